"""Dead letters: looking at them, giving them a new life, throwing them away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from trioqueue.errors import (
    ConflictError,
    DuplicateMessageError,
    MessageNotFoundError,
    QueueNotFoundError,
)
from trioqueue.metrics.catalogue import DEAD_PURGED, DEAD_REQUEUED
from trioqueue.model.message import DeadLetter, DeadLetterStats, Message, MessageState
from trioqueue.model.spans import micros_to_instant, optional_instant
from trioqueue.policies.priority import claim_key
from trioqueue.store.operations.core import (
    SCHEDULER,
    ExecuteMany,
    Fetch,
    queue_lock,
    tickets,
)
from trioqueue.store.operations.read import records_of
from trioqueue.store.operations.rows import (
    FinishedRow,
    LiveRow,
    find_rows,
    insert_messages,
    queue_named,
    queues_by_id,
    queues_by_name,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trioqueue.store.operations.core import Context, Operation
    from trioqueue.store.operations.rows import QueueRow

BATCH: Final = 500


class KeptRow(NamedTuple):
    """What deleting a finished message needs to know of it."""

    id: int
    queue_id: int
    state: int
    reason: str | None


class Scope(NamedTuple):
    """Which dead letters a name means: those of a dead letter queue, or of a queue."""

    kind: Literal["name", "queue"]
    value: str | int

    def fetch(self, name: str, **parameters: Any) -> Fetch:
        """Make the query for this scope: each kind has an index of its own."""
        return Fetch(f"{name}_in_{self.kind}", {"scope": self.value, **parameters})


def scope_of(name: str) -> Operation[Scope]:
    """Find what a name means.

    A dead letter queue's name means all that is kept under it, whichever queue it came
    from; otherwise a queue's name means that queue's own.

    Raises:
        QueueNotFoundError: It is neither.
    """
    known = yield Fetch("dead_letter_name_known", {"name": name})
    if known:
        return Scope("name", name)
    queues = yield from queues_by_name([name])
    if name not in queues:
        raise QueueNotFoundError(name)
    return Scope("queue", queues[name].queue_id)


def list_dead_letters(
    name: str, *, limit: int, after: tuple[str, str] | str | None, reason: str | None
) -> Operation[list[DeadLetter]]:
    """List dead letters, newest first.

    `after` is a message id, or the (queue, id) pair of the last one seen.
    """
    scope = yield from scope_of(name)
    before: tuple[int | None, int | None] = (None, None)
    if after is not None:
        before = yield from position(scope, name, after)
    rows = yield scope.fetch(
        "dead_letters",
        reason=reason,
        before_at=before[0],
        before_id=before[1],
        limit=limit,
    )
    return (yield from letters_from(list(map(FinishedRow._make, rows))))


def letters_from(found: Sequence[FinishedRow]) -> Operation[list[DeadLetter]]:
    """Show dead letters to users, with every attempt kept."""
    queues = yield from queues_by_id({row.queue_id for row in found})
    letters = []
    for row in found:
        records = yield from records_of(row.id)
        queue = queues[row.queue_id]
        letters.append(
            DeadLetter(
                queue.name,
                row.dead_letter_name or "",
                row.to_message(queue.name, records),
                row.reason or "",
                records,
                micros_to_instant(row.finished_at),
            )
        )
    return letters


def position(
    scope: Scope, name: str, after: tuple[str, str] | str
) -> Operation[tuple[int, int]]:
    """Return where a page goes on.

    A message id alone may mean several letters under a name that queues share; then
    it is the oldest of them, so that paging gets on.
    """
    if isinstance(after, str):
        rows = yield scope.fetch("dead_letter_position", message_id=after)
        message_id = after
    else:
        queue_name, message_id = after
        queue = (yield from queues_by_name([queue_name])).get(queue_name)
        rows = ()
        if queue is not None:
            own = Scope("queue", queue.queue_id)
            rows = yield own.fetch("dead_letter_position", message_id=message_id)
    if not rows:
        hint = "the page cannot go on after it; start again without after="
        raise MessageNotFoundError(name, message_id, hint)
    position: tuple[int, int] = rows[0]
    return position


def newest_dead_letter(name: str) -> Operation[int]:
    """Return the newest row under a name, 0 where there is none."""
    scope = yield from scope_of(name)
    rows = yield scope.fetch("newest_dead_letter")
    newest: int = rows[0][0] or 0
    return newest


def requeue(
    context: Context, queue_name: str, message_id: str, target: str | None
) -> Operation[Message]:
    """Give one dead letter a new life, in its own queue or in another.

    Raises:
        QueueNotFoundError, MessageNotFoundError: There is no such thing.
        ConflictError: The target already has a message of this id.
    """
    yield queue_lock(queue_name, *(() if target is None else (target,)))
    queue, row = yield from _dead_letter(queue_name, message_id)
    # Under the name of a dead letter queue it may come from any queue.
    yield queue_lock(queue.name)
    destination = queue if target is None else (yield from queue_named(target))
    if destination.queue_id != queue.queue_id:
        taken = yield from find_rows(destination.queue_id, [message_id])
        if taken:
            raise DuplicateMessageError(destination.name, message_id)
    moved = yield from revive(context, [(row, destination)], [0])
    note_gone(context, DEAD_REQUEUED, [row], {queue.queue_id: queue})
    return moved[0]


def requeue_batch(
    context: Context,
    name: str,
    *,
    reason: str | None,
    target: str | None,
    newest_id: int,
    delays: Sequence[int],
) -> Operation[int]:
    """Give the oldest dead letters a new life, one for each of the delays given.

    Only rows up to `newest_id` count, so that a message which dies again meanwhile, in
    a new row, is not taken twice.
    """
    yield queue_lock(name, *(() if target is None else (target,)))
    scope = yield from scope_of(name)
    rows = yield scope.fetch(
        "oldest_dead_letters", reason=reason, newest_id=newest_id, limit=len(delays)
    )
    found = list(map(FinishedRow._make, rows))
    if not found:
        return 0
    queues = yield from queues_by_id({row.queue_id for row in found})
    # None of them is gone, nor can go: we hold a row of each.
    yield queue_lock(*(queue.name for queue in queues.values()))
    destination = None if target is None else (yield from queue_named(target))
    if destination is not None:
        yield from _refuse_taken(destination, found)
    pairs = [(row, destination or queues[row.queue_id]) for row in found]
    moved = yield from revive(context, pairs, delays)
    note_gone(context, DEAD_REQUEUED, found, queues)
    return len(moved)


def note_gone(
    context: Context,
    metric: str,
    rows: Sequence[FinishedRow | KeptRow],
    queues: Mapping[int, QueueRow],
) -> None:
    """Tell the metrics where dead letters that go came from, and why they died."""
    for row in rows:
        context.effects.count(metric, queues[row.queue_id].name, row.reason or "")


def _refuse_taken(
    destination: QueueRow, found: Sequence[FinishedRow]
) -> Operation[None]:
    """Refuse to move messages onto ids that the target queue already has."""
    foreign = [r.message_id for r in found if r.queue_id != destination.queue_id]
    if len(set(foreign)) != len(foreign):
        message = (
            "dead letters of several queues share message ids, so they cannot all move "
            f"to queue {destination.name!r}; requeue them queue by queue"
        )
        raise ConflictError(message)
    taken = yield from find_rows(destination.queue_id, foreign)
    if taken:
        raise DuplicateMessageError(destination.name, next(iter(taken)))


def revive(
    context: Context,
    pairs: Sequence[tuple[FinishedRow, QueueRow]],
    delays: Sequence[int],
) -> Operation[list[Message]]:
    """Move dead letters back among the living, their attempts reset."""
    numbers = yield from tickets(len(pairs))
    now = context.now
    inserts = []
    messages = []
    for place, (row, queue) in enumerate(pairs):
        number = numbers[place]
        due = now + delays[place] if delays[place] else None
        state = MessageState.PENDING if due is None else MessageState.INVISIBLE
        if due is None:
            context.effects.ready.add(queue.name)
        else:
            context.effects.add_due(SCHEDULER, due)
        inserts.append(
            (
                number,
                queue.queue_id,
                row.message_id,
                int(state),
                row.priority,
                claim_key(row.priority, due or now),
                number,
                due,
                row.created_at,
                row.scheduled_at,
                row.delay,
                row.max_attempts,
                row.lease,
                row.content_type,
                row.metadata,
                row.payload,
                row.schema_id,
                row.schema_version,
            )
        )
        living = LiveRow(
            number, queue.queue_id, row.message_id, int(state), row.priority,
            row.created_at, row.scheduled_at, row.delay, row.max_attempts, 0, None,
            row.lease, row.content_type, row.metadata, row.payload, due, None, None,
            None, None, None, None, row.schema_id, row.schema_version,
        )  # fmt: skip
        messages.append(living.to_message(queue.name))
    ids = [(row.id,) for row, _ in pairs]
    yield ExecuteMany("delete_attempts", ids)
    yield ExecuteMany("delete_history", ids)
    # One that goes back to its own queue has left the history just now.
    named = [(queue.queue_id, row.message_id) for row, queue in pairs]
    yield from insert_messages(context, inserts, named)
    return messages


def _dead_letter(
    queue_name: str, message_id: str
) -> Operation[tuple[QueueRow, FinishedRow]]:
    """Find a dead letter by its source queue's name, or its dead letter queue's."""
    queues = yield from queues_by_name([queue_name])
    if queue_name in queues:
        queue = queues[queue_name]
        found = yield from find_rows(queue.queue_id, [message_id], lock=True)
        row = found.get(message_id)
        if isinstance(row, FinishedRow) and row.state == MessageState.ERRORED:
            return queue, row
    rows = yield Fetch(
        "dead_letter_by_name", {"name": queue_name, "message_id": message_id}
    )
    if len(rows) > 1:
        message = (
            f"{queue_name!r} keeps several dead letters with the id {message_id!r}; "
            "name the queue that the one you mean came from"
        )
        raise ConflictError(message)
    if rows:
        row = FinishedRow._make(rows[0])
        queues_found = yield from queues_by_id([row.queue_id])
        return queues_found[row.queue_id], row
    if queue_name not in queues:
        yield from scope_of(queue_name)
    raise MessageNotFoundError(
        queue_name, message_id, "there is no such dead letter; list them first"
    )


def delete_dead_letter(
    context: Context, queue_name: str, message_id: str
) -> Operation[None]:
    """Delete one dead letter.

    Raises:
        QueueNotFoundError, MessageNotFoundError: There is no such thing.
    """
    queue, row = yield from _dead_letter(queue_name, message_id)
    yield from remove(context, [row], {queue.queue_id: queue})


def remove(
    context: Context,
    rows: Sequence[FinishedRow | KeptRow],
    queues: Mapping[int, QueueRow],
) -> Operation[None]:
    """Delete finished messages, with their attempts; the caller holds their rows."""
    ids = [(row.id,) for row in rows]
    if ids:
        dead = [row for row in rows if row.state == MessageState.ERRORED]
        note_gone(context, DEAD_PURGED, dead, queues)
        yield ExecuteMany("delete_attempts", ids)
        yield ExecuteMany("delete_history", ids)


def purge_batch(context: Context, name: str, newest_id: int) -> Operation[int]:
    """Delete the oldest dead letters, at most `BATCH` of them; return how many."""
    scope = yield from scope_of(name)
    rows = yield scope.fetch(
        "oldest_dead_letters", reason=None, newest_id=newest_id, limit=BATCH
    )
    found = list(map(FinishedRow._make, rows))
    queues = yield from queues_by_id({row.queue_id for row in found})
    yield from remove(context, found, queues)
    return len(found)


def dead_letter_stats(name: str) -> Operation[DeadLetterStats]:
    """Count dead letters by reason."""
    scope = yield from scope_of(name)
    rows = yield scope.fetch("dead_letter_stats")
    return DeadLetterStats(
        count=sum(row[1] for row in rows),
        oldest_at=optional_instant(min((row[2] for row in rows), default=None)),
        newest_at=optional_instant(max((row[3] for row in rows), default=None)),
        by_reason={row[0]: row[1] for row in rows},
    )
