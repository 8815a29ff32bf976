"""Queues: create, change, list, delete, pause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioqueue.errors import IllegalStateError, QueueExistsError
from trioqueue.model.options_codec import decode_options, encode_options
from trioqueue.model.queue import dead_letter_name
from trioqueue.store.operations.core import Execute, Fetch, queue_lock
from trioqueue.store.operations.rows import QueueRow, queue_named, queues_by_name
from trioqueue.store.operations.schedules import check_queue_unused
from trioqueue.store.operations.schemas import hold_schema_of

if TYPE_CHECKING:
    from trioqueue.model.queue import Queue, QueueOptions
    from trioqueue.store.operations.core import Context, Operation


def create_queue(
    context: Context, name: str, options: QueueOptions
) -> Operation[Queue]:
    """Create a queue; creating it again with the same options returns it.

    Raises:
        QueueExistsError: It exists with other options.
    """
    existing = (yield from queues_by_name([name])).get(name)
    if existing is not None:
        if existing.options != decode_options(encode_options(options)):
            raise QueueExistsError(name)
        return existing.to_queue()
    yield from hold_schema_of(options)
    yield Execute(
        "insert_queue",
        {
            "name": name,
            "options": encode_options(options),
            "dead_letter_name": dead_letter_name(name, options),
            "now": context.now,
        },
    )
    return (yield from queue_named(name)).to_queue()


def update_queue(
    context: Context, name: str, options: QueueOptions
) -> Operation[Queue]:
    """Replace a queue's options; messages already there keep what was fixed for them.

    Raises:
        QueueNotFoundError: There is no such queue.
    """
    yield queue_lock(name, exclusive=True)
    queue = yield from queue_named(name)
    if options.schema_id != queue.options.schema_id:
        yield from hold_schema_of(options)
    yield Execute(
        "update_queue",
        {
            "queue_id": queue.queue_id,
            "options": encode_options(options),
            "dead_letter_name": dead_letter_name(name, options),
            "now": context.now,
        },
    )
    return (yield from queue_named(name)).to_queue()


def get_queue(name: str) -> Operation[Queue]:
    """Fetch one queue.

    Raises:
        QueueNotFoundError: There is no such queue.
    """
    return (yield from queue_named(name)).to_queue()


def list_queues(prefix: str, limit: int, after: str | None) -> Operation[list[Queue]]:
    """List queues by name, a page at a time."""
    rows = yield Fetch(
        "list_queues",
        {"prefix": prefix, "length": len(prefix), "after": after or "", "limit": limit},
    )
    return [QueueRow._make(row).to_queue() for row in rows]


def delete_queue(context: Context, name: str, *, force: bool) -> Operation[None]:
    """Delete a queue with everything in it.

    Raises:
        QueueNotFoundError: There is no such queue.
        IllegalStateError: Messages are live, dead letters are kept or schedules post to
            it, and not `force`.
    """
    yield queue_lock(name, exclusive=True)
    queue = yield from queue_named(name)
    yield from check_queue_unused(name, force=force)
    parameters = {"queue_id": queue.queue_id}
    ((live, dead),) = yield Fetch("queue_contents", parameters)
    if not force and (live or dead):
        message = (
            f"queue {name!r} holds {live} live messages and {dead} dead letters, which "
            "would be lost; drain and purge it first, or pass force=True"
        )
        raise IllegalStateError(message)
    for statement in (
        "delete_queue_attempts",
        "delete_queue_messages",
        "delete_queue_history",
        "delete_queue",
    ):
        yield Execute(statement, parameters)
    context.effects.ready.add(name)
    context.effects.delete_queue(name)


def pause_queue(
    context: Context, name: str, reason: str | None, by: str | None
) -> Operation[Queue]:
    """Refuse claims from now on; pausing again changes the reason, and who says so."""
    yield queue_lock(name, exclusive=True)
    queue = yield from queue_named(name)
    paused_at = context.now if queue.paused_at is None else queue.paused_at
    yield Execute(
        "set_paused",
        {
            "queue_id": queue.queue_id,
            "paused_at": paused_at,
            "reason": reason,
            "by": by,
        },
    )
    return (yield from queue_named(name)).to_queue()


def resume_queue(context: Context, name: str) -> Operation[Queue]:
    """Allow claims again."""
    yield queue_lock(name, exclusive=True)
    queue = yield from queue_named(name)
    yield Execute(
        "set_paused",
        {"queue_id": queue.queue_id, "paused_at": None, "reason": None, "by": None},
    )
    context.effects.ready.add(name)
    return (yield from queue_named(name)).to_queue()
