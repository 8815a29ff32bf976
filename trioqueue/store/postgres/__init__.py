"""trioqueue on PostgreSQL: a Trio-native connection, and the store that runs on it.

`driver` is psycopg waiting the Trio way, and the only module that knows psycopg from
within; `addresses` finds where a connection string leads, `readiness` waits for a
socket.  Everything else here builds on those three.
"""
