"""Withdrawing a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from trioqueue.errors import IllegalStateError, MessageNotFoundError
from trioqueue.model.message import Message, MessageState
from trioqueue.model.spans import micros_to_instant
from trioqueue.policies.ending import Verdict
from trioqueue.store.operations.core import Execute, ExecuteMany, queue_lock
from trioqueue.store.operations.read import message_from
from trioqueue.store.operations.rows import LiveRow, find_rows, queue_named
from trioqueue.store.operations.settle import finishing

if TYPE_CHECKING:
    from trioqueue.store.operations.core import Context, Operation
    from trioqueue.store.operations.rows import QueueRow


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
    if isinstance(row, LiveRow) and state is not MessageState.RUNNING:
        return (yield from _withdraw(context, queue, row, reason))
    if not isinstance(row, LiveRow):
        message = (
            f"message {message_id!r} of queue {queue_name!r} is {state.name}; "
            "only a message that has not finished can be canceled"
        )
        raise IllegalStateError(message, state)
    if not abort:
        message = (
            f"message {message_id!r} of queue {queue_name!r} is RUNNING; "
            "pass abort=True to ask its worker to cancel the handler"
        )
        raise IllegalStateError(message, state)
    if row.abort_requested_at is None:
        yield Execute(
            "request_abort", {"id": row.id, "now": context.now, "reason": reason}
        )
        row = row._replace(abort_requested_at=context.now, abort_reason=reason)
    context.effects.aborts.append((queue.name, message_id))
    return (yield from message_from(queue.name, row))


def _withdraw(
    context: Context, queue: QueueRow, row: LiveRow, reason: str | None
) -> Operation[Message]:
    outcome = Verdict(MessageState.CANCELED, row.attempts, None, reason, "canceled")
    kept = finishing(context, queue, row.id, outcome)
    message = yield from message_from(queue.name, row)
    if kept is None:
        yield ExecuteMany("delete_attempts", [(row.id,)])
    else:
        yield ExecuteMany("copy_to_history", [kept])
    yield ExecuteMany("delete_messages", [(row.id,)])
    context.effects.finished.append((queue.name, row.message_id))
    return attrs.evolve(
        message,
        state=outcome.state,
        reason=reason,
        finished_at=micros_to_instant(context.now),
    )
