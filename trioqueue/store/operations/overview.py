"""Everything at a glance: a few set queries in one snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioqueue.model.message import MessageState
from trioqueue.model.overview import NextRun, Overview, QueueOverview
from trioqueue.model.spans import micros_to_instant
from trioqueue.store.operations.core import Fetch
from trioqueue.store.operations.rows import queues_by_id
from trioqueue.store.operations.workers import list_workers

if TYPE_CHECKING:
    from trioqueue.store.operations.core import Operation


def overview(now: int, *, virtual: bool, runs: int) -> Operation[Overview]:
    """Look at all queues, the workers and the next runs of schedules."""
    found = yield Fetch("measure_queues")
    options = yield from queues_by_id([row[0] for row in found])
    counts: dict[int, dict[MessageState, int]] = {
        queue_id: dict.fromkeys(MessageState, 0) for queue_id in options
    }
    for queue_id, state, count in (yield Fetch("measure_messages")):
        if queue_id in counts:
            counts[queue_id][MessageState(state)] = count
    queues = [
        QueueOverview(
            name=name,
            counts=counts[queue_id],
            oldest_ready_seconds=None if oldest is None else max(0, now - oldest) / 1e6,
            paused=paused_at is not None,
            keeps_finished=options[queue_id].options.retention.kind != "delete",
        )
        for queue_id, name, paused_at, oldest in found
        if queue_id in options
    ]
    workers = yield from list_workers(now, virtual=virtual, stale=False)
    schedules = yield Fetch("next_runs", {"limit": runs})
    return Overview(
        at=micros_to_instant(now),
        queues=tuple(sorted(queues, key=lambda queue: queue.name)),
        workers=tuple(workers),
        schedules=tuple(
            NextRun(schedule_id, queue, micros_to_instant(next_at))
            for schedule_id, queue, next_at in schedules
        ),
    )
