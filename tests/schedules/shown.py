"""Runs as short texts, for tests that people read."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from trioqueue.schedules import When

NEW_YORK = ZoneInfo("America/New_York")


def at(text: str, zone: ZoneInfo = NEW_YORK) -> datetime:
    """Read a moment on a wall clock."""
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def runs(when: When, after: str, count: int) -> list[str]:
    """Return the next runs after a moment on the schedule's wall clock."""
    moments = when.preview(count, at(after, ZoneInfo(when.tz)))
    return [
        moment.isoformat(" ").replace(":00-", "-").replace(":00+", "+")
        if moment.second == 0
        else moment.isoformat(" ")
        for moment in moments
    ]


def days(when: When, after: str, count: int) -> list[str]:
    """Return the days of the next runs; asked from just before that moment."""
    start = at(after, ZoneInfo(when.tz))
    moments = when.preview(
        count, datetime.fromtimestamp(start.timestamp() - 1, start.tzinfo)
    )
    return [moment.date().isoformat() for moment in moments]
