"""What the metrics reporter wants to know of the whole database: a few set queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioqueue.metrics.sample import QueueSample, Sample
from trioqueue.model.schedule import ScheduleState
from trioqueue.store.operations.core import Fetch
from trioqueue.store.operations.workers import list_workers

if TYPE_CHECKING:
    from trioqueue.store.operations.core import Operation


def measure(now: int, *, virtual: bool) -> Operation[Sample]:
    """Look at every queue, schedule and worker, and at how the database is doing."""
    queues = yield Fetch("measure_queues")
    counts: dict[int, dict[int, int]] = {row[0]: {} for row in queues}
    for queue_id, state, count in (yield Fetch("measure_messages")):
        # Rows of a queue that is being deleted may be left.
        counts.setdefault(queue_id, {})[state] = count
    schedules = yield Fetch("measure_schedules")
    workers = yield from list_workers(now, virtual=virtual, stale=False)
    health = yield Fetch("measure_health")
    tuples = yield Fetch("measure_dead_tuples")
    return Sample(
        at=now,
        queues={
            name: QueueSample(counts[queue_id], oldest, paused_at is not None)
            for queue_id, name, paused_at, oldest in queues
        },
        schedules={ScheduleState(row[0]).name: row[1] for row in schedules},
        next_run_at=min(
            (row[2] for row in schedules if row[2] is not None), default=None
        ),
        workers=len(workers),
        oldest_transaction_us=health[0][0] if health else None,
        # Names of tables come qualified with their schema.
        dead_tuples={name.rpartition(".")[2]: count for name, count in tuples},
    )
