"""What services do: make due messages ready, delete what retention has released."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trioqueue.policies.priority import claim_key
from trioqueue.store.operations.attempts import RECEIPT_MICROS
from trioqueue.store.operations.core import ExecuteMany, Fetch, tickets
from trioqueue.store.operations.workers import forget_stale

if TYPE_CHECKING:
    from trioqueue.store.operations.core import Context, Operation

PROMOTE_BATCH: Final = 1000
CLEANUP_BATCH: Final = 500


def promote_due(context: Context) -> Operation[int]:
    """Make due messages PENDING, in the order they fell due; return how many."""
    rows = yield Fetch("due_messages", {"now": context.now, "limit": PROMOTE_BATCH})
    if not rows:
        return 0
    numbers = yield from tickets(len(rows))
    updates = []
    for number, (row_id, queue, priority, due_at) in zip(numbers, rows, strict=True):
        # It became ready when it fell due, however late this service is.
        updates.append((claim_key(priority, due_at), number, row_id))
        context.effects.ready.add(queue)
    yield ExecuteMany("promote_messages", updates)
    return len(rows)


def next_due() -> Operation[int | None]:
    """Return when the next delayed message falls due."""
    rows = yield Fetch("next_due")
    instant: int | None = rows[0][0]
    return instant


def clean_up(context: Context) -> Operation[int]:
    """Delete a batch of what retention has released; return how many messages."""
    rows = yield Fetch("released_history", {"now": context.now, "limit": CLEANUP_BATCH})
    if rows:
        yield ExecuteMany("delete_attempts", rows)
        yield ExecuteMany("delete_history", rows)
    return len(rows)


def prune_receipts(context: Context, *, virtual: bool = False) -> Operation[int]:
    """Forget a batch of answers to attempts that ended long ago; return how many.

    With the last batch go the workers that were killed long ago.
    """
    before = context.now - RECEIPT_MICROS
    rows = yield Fetch("prune_receipts", {"before": before})
    if not rows:
        yield from forget_stale(context.now, virtual=virtual)
    return len(rows)


def next_release() -> Operation[int | None]:
    """Return when retention releases the next finished message."""
    rows = yield Fetch("next_release")
    instant: int | None = rows[0][0]
    return instant
