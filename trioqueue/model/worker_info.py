"""Workers as they have registered themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import attrs

if TYPE_CHECKING:
    from datetime import datetime


@final
@attrs.frozen
class WorkerInfo:
    """A worker, as it was when it last said so.

    Attributes:
        worker_id: Its name; several workers of one process may share one.
        host: The machine it runs on.
        pid: Its process there.
        version: The version of trioqueue it runs.
        queues: The queues it works on, sorted.
        concurrency: The most jobs it runs at once.
        running: Jobs it ran at its last beat.
        started_at: When it began.
        last_beat: When it last said that it is alive.
        quiet: Whether it was told to claim nothing more.
        stopping: Whether it is on its way out.
        stale: Whether it has missed three beats: killed, cut off, or suspended.
    """

    worker_id: str
    host: str
    pid: int
    version: str
    queues: tuple[str, ...]
    concurrency: int
    running: int
    started_at: datetime
    last_beat: datetime
    quiet: bool = False
    stopping: bool = False
    stale: bool = False
