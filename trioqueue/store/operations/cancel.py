"""Withdrawing a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from trioqueue.errors import IllegalStateError, MessageNotFoundError
from trioqueue.metrics.catalogue import CANCELED
from trioqueue.model.message import MessageState
from trioqueue.model.spans import micros_to_instant
from trioqueue.policies.ending import Verdict
from trioqueue.store.operations.core import Execute, ExecuteMany, queue_lock
from trioqueue.store.operations.read import message_from
from trioqueue.store.operations.rows import LiveRow, find_rows, queue_named
from trioqueue.store.operations.settle import finishing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioqueue.model.message import Message
    from trioqueue.store.operations.core import Context, Operation
    from trioqueue.store.operations.rows import HeldRow, QueueRow


def cancel(
    context: Context,
    queue_name: str,
    message_id: str,
    reason: str | None,
    *,
    abort: bool,
) -> Operation[Message]:
    """Cancel a message that waits; ask for a running one to be canceled, if `abort`.

    Raises:
        QueueNotFoundError, MessageNotFoundError: There is no such thing.
        IllegalStateError: It runs and `abort` was not asked for, or it has finished.
    """
    yield queue_lock(queue_name)
    queue = yield from queue_named(queue_name)
    found = yield from find_rows(queue.queue_id, [message_id], lock=True)
    row = found.get(message_id)
    if row is None:
        raise MessageNotFoundError(queue_name, message_id)
    state = MessageState(row.state)
    if not isinstance(row, LiveRow):
        message = (
            f"message {message_id!r} of queue {queue_name!r} is {state.name}; "
            "only a message that has not finished can be canceled"
        )
        raise IllegalStateError(message, state)
    if state is not MessageState.RUNNING:
        waiting = yield from message_from(queue.name, row)
        yield from withdraw(context, [(queue, row)], reason)
        return attrs.evolve(
            waiting,
            state=MessageState.CANCELED,
            reason=reason,
            finished_at=micros_to_instant(context.now),
        )
    if not abort:
        message = (
            f"message {message_id!r} of queue {queue_name!r} is RUNNING; "
            "pass abort=True to ask its worker to cancel the handler"
        )
        raise IllegalStateError(message, state)
    yield from ask_to_abort(context, queue, row, reason)
    if row.abort_requested_at is None:
        row = row._replace(abort_requested_at=context.now, abort_reason=reason)
    return (yield from message_from(queue.name, row))


def withdraw(
    context: Context,
    pairs: Sequence[tuple[QueueRow, LiveRow | HeldRow]],
    reason: str | None,
) -> Operation[None]:
    """End messages that wait as CANCELED; the caller holds their rows."""
    kept = []
    dropped = []
    for queue, row in pairs:
        outcome = Verdict(MessageState.CANCELED, row.attempts, None, reason, "canceled")
        moved = finishing(context, queue, row.id, outcome)
        if moved is None:
            dropped.append((row.id,))
        else:
            kept.append(moved)
        context.effects.finished.append((queue.name, row.message_id))
        context.effects.count(CANCELED, queue.name)
    if dropped:
        yield ExecuteMany("delete_attempts", dropped)
    if kept:
        yield ExecuteMany("copy_to_history", kept)
    yield ExecuteMany("delete_messages", [(row.id,) for _, row in pairs])


def ask_to_abort(
    context: Context, queue: QueueRow, row: LiveRow | HeldRow, reason: str | None
) -> Operation[None]:
    """Ask the worker of a running message to cancel its handler; once is enough."""
    if row.abort_requested_at is None:
        yield Execute(
            "request_abort", {"id": row.id, "now": context.now, "reason": reason}
        )
    context.effects.aborts.append((queue.name, row.message_id))
