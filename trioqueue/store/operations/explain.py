"""What there is to know of why a message is not running, in one snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioqueue.errors import MessageNotFoundError
from trioqueue.model.message import MessageState
from trioqueue.model.spans import micros_to_instant, optional_instant
from trioqueue.policies.explaining import MOST_AHEAD, Facts
from trioqueue.policies.priority import ready_at
from trioqueue.store.operations.core import Fetch
from trioqueue.store.operations.read import message_from
from trioqueue.store.operations.rows import LiveRow, find_rows, queue_named
from trioqueue.store.operations.workers import list_workers

if TYPE_CHECKING:
    from trioqueue.model.worker_info import WorkerInfo
    from trioqueue.store.operations.core import Operation


def find_facts(
    queue_name: str, message_id: str, now: int, *, virtual: bool
) -> Operation[Facts]:
    """Gather the facts.

    Raises:
        QueueNotFoundError, MessageNotFoundError: There is no such thing.
    """
    queue = yield from queue_named(queue_name)
    found = yield from find_rows(queue.queue_id, [message_id])
    if message_id not in found:
        raise MessageNotFoundError(queue_name, message_id)
    row = found[message_id]
    message = yield from message_from(queue.name, row)
    here = Facts(micros_to_instant(now), message, queue.to_queue())
    if not isinstance(row, LiveRow):
        return here
    everyone = yield from list_workers(now, virtual=virtual, stale=True)
    ready, ahead = None, 0
    if message.state is MessageState.PENDING:
        place = {"queue_id": queue.queue_id, "message_id": message_id}
        ((_, key, sequence),) = yield Fetch("position_of", place)
        ready = ready_at(key)
        ((ahead,),) = yield Fetch(
            "count_ahead",
            {
                "queue_id": queue.queue_id,
                "key": key,
                "sequence": sequence,
                "limit": MOST_AHEAD + 1,
            },
        )
    return Facts(
        now=here.now,
        message=message,
        queue=here.queue,
        workers=tuple(each for each in everyone if queue.name in each.queues),
        holder=_holder(message.worker_id, everyone),
        due_at=optional_instant(row.due_at),
        delay_seconds=None if row.delay is None else row.delay / 1e6,
        ready_at=optional_instant(ready),
        ahead=ahead,
    )


def _holder(worker_id: str | None, everyone: list[WorkerInfo]) -> WorkerInfo | None:
    """Return the worker of this name that was seen last."""
    same = [each for each in everyone if each.worker_id == worker_id]
    return max(same, key=lambda each: each.last_beat, default=None)
