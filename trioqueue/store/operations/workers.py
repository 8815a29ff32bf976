"""Workers say that they are alive; others see them, and tell them to be quiet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

from trioqueue.errors import WorkerNotFoundError
from trioqueue.model.spans import micros_to_instant
from trioqueue.model.worker_info import WorkerInfo
from trioqueue.store.operations.core import Execute, Fetch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioqueue.store.operations.core import Context, Failure, Operation

WORKERS: Final = "workers"
"""Under which name it is announced that a worker is told something."""
MISSED_BEATS: Final = 3
DEFAULT_INTERVAL: Final = 10_000_000
FORGOTTEN_MICROS: Final = 24 * 3600 * 1_000_000
"""Rows of workers that were killed are deleted when they have been stale so long."""


class Registration(NamedTuple):
    """What a worker says of itself once; an interval of None: it will not beat."""

    worker_id: str
    host: str
    pid: int
    version: str
    queues: tuple[str, ...]
    concurrency: int
    interval: int | None


class Beat(NamedTuple):
    """What it says again and again."""

    registration: int
    running: int
    stopping: bool


class WorkerRow(NamedTuple):
    """A worker, whole."""

    registration: int
    worker_id: str
    host: str
    pid: int
    version: str
    queues: str
    concurrency: int
    running: int
    started_at: int
    beat_at: int
    beat_interval: int | None
    quiet_at: int | None
    stopping: int

    def is_stale(self, now: int, *, virtual: bool) -> bool:
        """Whether it should have beaten long ago.

        In virtual time nobody beats, and nobody is killed; where such a run has left a
        row behind, whoever looks at it in real time sees no life in it.
        """
        interval = self.beat_interval
        if interval is None:
            if virtual:
                return False
            interval = DEFAULT_INTERVAL
        return now - self.beat_at > MISSED_BEATS * interval

    def to_info(self, *, stale: bool = False) -> WorkerInfo:
        """Show it to users."""
        return WorkerInfo(
            worker_id=self.worker_id,
            host=self.host,
            pid=self.pid,
            version=self.version,
            queues=tuple(json.loads(self.queues)),
            concurrency=self.concurrency,
            running=self.running,
            started_at=micros_to_instant(self.started_at),
            last_beat=micros_to_instant(self.beat_at),
            quiet=self.quiet_at is not None,
            stopping=bool(self.stopping),
            stale=stale,
        )


def register(context: Context, about: Registration, *, quiet: bool) -> Operation[int]:
    """Note a worker; return the number of its row, which its beats name."""
    rows = yield Fetch(
        "register_worker",
        {
            "worker_id": about.worker_id,
            "host": about.host,
            "pid": about.pid,
            "version": about.version,
            "queues": json.dumps(sorted(about.queues)),
            "concurrency": about.concurrency,
            "interval": about.interval,
            "now": context.now,
            "quiet_at": context.now if quiet else None,
        },
    )
    number: int = rows[0][0]
    return number


def beat(
    context: Context, beats: Sequence[Beat]
) -> Operation[list[bool | Failure | None]]:
    """Note that workers are alive: one statement for each.

    Answers with whether it is to be quiet; None: its row is gone, it must register.
    """
    answers: list[bool | Failure | None] = []
    for one in beats:
        rows = yield Fetch(
            "beat_worker",
            {
                "registration": one.registration,
                "running": one.running,
                "stopping": int(one.stopping),
                "now": context.now,
            },
        )
        answers.append(bool(rows[0][0]) if rows else None)
    return answers


def deregister(context: Context, registration: int) -> Operation[None]:
    """Forget a worker that has ended."""
    del context
    yield Execute("deregister_worker", {"registration": registration})


def list_workers(
    now: int, *, virtual: bool, stale: bool
) -> Operation[list[WorkerInfo]]:
    """List workers by name; those that are stale only if asked for."""
    rows = yield Fetch("list_workers")
    found = []
    for row in map(WorkerRow._make, rows):
        gone = row.is_stale(now, virtual=virtual)
        if stale or not gone:
            found.append(row.to_info(stale=gone))
    return found


def quiet_worker(
    context: Context, worker_id: str, *, quiet: bool, virtual: bool
) -> Operation[WorkerInfo]:
    """Tell every live worker of this name to claim nothing more, or to claim again.

    Returns:
        The one that registered last.

    Raises:
        WorkerNotFoundError: None is alive.
    """
    rows = yield Fetch("workers_by_id", {"worker_id": worker_id})
    alive = [
        row
        for row in map(WorkerRow._make, rows)
        if not row.is_stale(context.now, virtual=virtual)
    ]
    if not alive:
        raise WorkerNotFoundError(worker_id)
    for row in alive:
        if (row.quiet_at is not None) != quiet:
            yield Execute(
                "set_quiet",
                {
                    "registration": row.registration,
                    "quiet_at": context.now if quiet else None,
                },
            )
    context.effects.add_due(WORKERS, context.now)
    last = max(alive)
    return last._replace(quiet_at=context.now if quiet else None).to_info()


def forget_stale(now: int, *, virtual: bool) -> Operation[None]:
    """Delete what killed workers have left behind, a day after they went stale."""
    yield Execute(
        "forget_workers",
        {
            "before": now - FORGOTTEN_MICROS,
            "missed": MISSED_BEATS,
            # In virtual time nobody beats: NULL is before nothing.
            "silent": None if virtual else DEFAULT_INTERVAL,
        },
    )
