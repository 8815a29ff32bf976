"""Looking: messages by id, in order, and how a queue stands.  Nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from trioqueue.errors import MessageNotFoundError
from trioqueue.model.message import LIVE_STATES, MessageState
from trioqueue.model.queue import QueueState
from trioqueue.model.spans import optional_instant
from trioqueue.policies.priority import claim_key, ready_at
from trioqueue.store.operations.core import Fetch
from trioqueue.store.operations.rows import (
    FinishedRow,
    LiveRow,
    attempt_record,
    find_rows,
    queue_named,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioqueue.model.message import AttemptRecord, Message
    from trioqueue.store.operations.core import Operation
    from trioqueue.store.operations.rows import AnyRow


def records_of(row_id: int) -> Operation[tuple[AttemptRecord, ...]]:
    """Fetch the records of a message's ended attempts, oldest first."""
    rows = yield Fetch("attempts_of", {"id": row_id})
    return tuple(map(attempt_record, rows))


def message_from(queue: str, row: AnyRow) -> Operation[Message]:
    """Show a row to users, its attempts included."""
    records = yield from records_of(row.id)
    if isinstance(row, LiveRow):
        records += row.running_attempt()
    return row.to_message(queue, records)


def get_message(queue_name: str, message_id: str) -> Operation[Message]:
    """Fetch one message: live, retained or dead.

    Raises:
        QueueNotFoundError, MessageNotFoundError: There is no such thing.
    """
    queue = yield from queue_named(queue_name)
    found = yield from find_rows(queue.queue_id, [message_id])
    if message_id not in found:
        raise MessageNotFoundError(queue_name, message_id)
    return (yield from message_from(queue.name, found[message_id]))


class Position(NamedTuple):
    """Where a page of messages goes on: after this place in this state's order."""

    state: int
    first: int
    second: int


_FINISHED = (MessageState.COMPLETED, MessageState.CANCELED, MessageState.ERRORED)


def peek(
    queue_name: str,
    *,
    limit: int,
    states: Sequence[MessageState] | None,
    priorities: tuple[int, int],
    after: str | None,
) -> Operation[list[Message]]:
    """List messages without touching them.

    State by state: PENDING in the order of claims, RUNNING by deadline, INVISIBLE by
    due time, then finished ones, newest first.
    """
    queue = yield from queue_named(queue_name)
    wanted = LIVE_STATES if states is None else states
    start = None
    if after is not None:
        start = yield from _position(queue_name, queue.queue_id, after)
    messages: list[Message] = []
    for state in (*LIVE_STATES, *_FINISHED):
        if start is not None and state != start.state:
            continue
        if state in wanted and len(messages) < limit:
            parameters = {
                "queue_id": queue.queue_id,
                "low": priorities[0],
                "high": priorities[1],
                # A claim key says the priority, so the range is a range of keys.
                "low_key": claim_key(priorities[1], 0),
                "high_key": claim_key(priorities[0] - 1, 0),
                "state": int(state),
                "limit": limit - len(messages),
                "first": None if start is None else start.first,
                "second": None if start is None else start.second,
            }
            name = _PEEK.get(state, "peek_finished")
            rows = yield Fetch(name, parameters)
            kind = LiveRow if state in LIVE_STATES else FinishedRow
            messages += [kind._make(row).to_message(queue_name) for row in rows]
        start = None
    return messages


_PEEK = {
    MessageState.PENDING: "peek_pending",
    MessageState.RUNNING: "peek_running",
    MessageState.INVISIBLE: "peek_invisible",
}


def _position(queue_name: str, queue_id: int, after: str) -> Operation[Position]:
    rows = yield Fetch("position_of", {"queue_id": queue_id, "message_id": after})
    if not rows:
        hint = "the page cannot go on after it; start again without after="
        raise MessageNotFoundError(queue_name, after, hint)
    return Position._make(rows[0])


def queue_state(queue_name: str, now: int) -> Operation[QueueState]:
    """Count a queue's messages, exactly, in one snapshot."""
    queue = yield from queue_named(queue_name)
    parameters = {"queue_id": queue.queue_id}
    counts = dict.fromkeys(MessageState, 0)
    for state, count in (yield Fetch("count_states", parameters)):
        counts[MessageState(state)] = count
    ((deadline, due, oldest_key),) = yield Fetch("queue_instants", parameters)
    instants = [instant for instant in (deadline, due) if instant is not None]
    return QueueState(
        counts=counts,
        earliest_deadline=optional_instant(min(instants, default=None)),
        oldest_ready_seconds=(
            None if oldest_key is None else max(0, now - ready_at(oldest_key)) / 1e6
        ),
        paused=queue.paused_at is not None,
        dead_letters=counts[MessageState.ERRORED],
    )
