"""Where messages are kept.

`store` opens a store; the ``*_methods`` files hold its verbs, `lease_scope` makes a
lease a cancel scope, `wakeups` says who waits for what.  What a verb means is in
`operations` (no I/O); `sqlite` runs operations on an SQLite file; `executor` is what
lies between.
"""

from trioqueue.store.store import Store as Store
from trioqueue.store.store import open_store as open_store
