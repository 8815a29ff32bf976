"""Posts what is due on cron schedules."""

from __future__ import annotations

from typing import ClassVar, final

from trioqueue.services.schedules import ScheduleService
from trioqueue.store.operations.core import CRON


@final
class CronProcessorService(ScheduleService):
    """Posts the messages of cron schedules when they are due, each once.

    Args:
        store: The store.
        interval_seconds: The most it sleeps, in seconds (1).
    """

    name: ClassVar[str] = "cron"
    topic: ClassVar[str] = CRON
    kind: ClassVar[str] = CRON
