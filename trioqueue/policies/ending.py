"""What becomes of a message when an attempt ends: the one rule for every ending.

Failing, a lease that expires, a missed heartbeat, giving back and completing differ
in what they ask for; what the message becomes is decided here and nowhere else.
"""

from __future__ import annotations

from typing import NamedTuple

from trioqueue.model.message import MessageState
from trioqueue.model.queue import UNLIMITED_ATTEMPTS


class Error(NamedTuple):
    """What went wrong in an attempt."""

    type: str
    message: str
    traceback: str | None = None


class Ending(NamedTuple):
    """How an attempt ended.

    `outcome` is what its record says.  `delay` is the wait before the next attempt,
    in microseconds.  `charged` is whether the attempt counts; `final` gives the
    message up whatever is left.
    """

    outcome: str
    delay: int = 0
    charged: bool = True
    final: bool = False
    error: Error | None = None
    result: bytes | None = None


class Verdict(NamedTuple):
    """What the message becomes."""

    state: MessageState
    attempts: int
    """Attempts used, after this ending."""
    due_at: int | None = None
    """When it is due again, if it is INVISIBLE."""
    reason: str | None = None
    outcome: str = ""
    """What the attempt's record says."""


def verdict(
    ending: Ending,
    *,
    attempts: int,
    max_attempts: int,
    abort_reason: str | None,
    aborted: bool,
    now: int,
) -> Verdict:
    """Decide what a message becomes when its attempt ends now.

    Args:
        ending: How the attempt ended.
        attempts: Attempts used, this one included (it was charged at the claim).
        max_attempts: How many it may use, -1 for no limit.
        aborted: Whether somebody canceled the message while it ran: then it ends
            CANCELED, however the attempt ended.
        abort_reason: Why they did.
        now: The present instant.
    """
    if aborted:
        return Verdict(MessageState.CANCELED, attempts, None, abort_reason, "canceled")
    if ending.outcome == "completed":
        return Verdict(MessageState.COMPLETED, attempts, None, None, "completed")
    used = attempts if ending.charged else attempts - 1
    exhausted = max_attempts != UNLIMITED_ATTEMPTS and used >= max_attempts
    if ending.final or (ending.charged and exhausted):
        reason = "max_attempts" if ending.outcome == "failed" else ending.outcome
        if ending.final and ending.outcome == "failed":
            reason = "discarded"
        return Verdict(MessageState.ERRORED, used, None, reason, ending.outcome)
    if ending.delay > 0:
        due = now + ending.delay
        return Verdict(MessageState.INVISIBLE, used, due, None, ending.outcome)
    return Verdict(MessageState.PENDING, used, None, None, ending.outcome)
