"""Posts what is due on calendar schedules."""

from __future__ import annotations

from typing import ClassVar, final

from trioqueue.services.schedules import ScheduleService
from trioqueue.store.operations.core import CALENDAR


@final
class CalendarService(ScheduleService):
    """Posts the messages of calendar schedules when they are due, each once.

    Args:
        store: The store.
        interval_seconds: The most it sleeps, in seconds (1).
    """

    name: ClassVar[str] = "calendar"
    topic: ClassVar[str] = CALENDAR
    kind: ClassVar[str] = CALENDAR
