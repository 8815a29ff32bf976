"""What is wrong with a database, and what to do about it.

`verdicts` says what a check answers; the ``*_facts`` files look (all input and output
is there), the ``*_rules`` files judge what was seen, as pure functions; `examining`
does both for a URL.
"""

from __future__ import annotations

from trioqueue.doctor.examining import examine as examine
from trioqueue.doctor.verdicts import Level as Level
from trioqueue.doctor.verdicts import Verdict as Verdict
