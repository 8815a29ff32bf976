"""Everything at a glance, as records."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from trioqueue.model.message import MessageState
    from trioqueue.model.worker_info import WorkerInfo


@final
@attrs.frozen
class QueueOverview:
    """A queue in figures.

    Attributes:
        name: Its name.
        counts: Messages in each of the six states.
        oldest_ready_seconds: How long the message waiting longest has been PENDING
            (None: none is).
        paused: Whether claims are refused.
        keeps_finished: Whether COMPLETED and CANCELED messages are kept for a while, so
            that their number tells how many have finished.
    """

    name: str
    counts: Mapping[MessageState, int]
    oldest_ready_seconds: float | None
    paused: bool
    keeps_finished: bool


@final
@attrs.frozen
class NextRun:
    """When a schedule runs next.

    Attributes:
        schedule_id: Which.
        queue: Where it posts.
        next_run: When.
    """

    schedule_id: str
    queue: str
    next_run: datetime


@final
@attrs.frozen
class Overview:
    """Everything at a glance, in one snapshot.

    Attributes:
        at: The instant.
        queues: All queues, by name.
        workers: The workers that are alive, by name.
        schedules: The next runs, the earliest first.
    """

    at: datetime
    queues: tuple[QueueOverview, ...]
    workers: tuple[WorkerInfo, ...]
    schedules: tuple[NextRun, ...]
