"""iCalendar files, put together for tests."""

from __future__ import annotations

from datetime import UTC, datetime

from trioqueue.schedules.ics_reading import read_ics

NEW_YORK = "TZID=America/New_York"
PARIS = "TZID=Europe/Paris"


def event(*lines: str, uid: str = "1") -> str:
    """Return a VEVENT."""
    return "\r\n".join(["BEGIN:VEVENT", f"UID:{uid}", *lines, "END:VEVENT"])


def file(*parts: str) -> str:
    """Return a VCALENDAR of some lines."""
    begin = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//test//EN")
    return "\r\n".join([*begin, *parts, "END:VCALENDAR", ""])


def of(*lines: str) -> str:
    """Return a file with one event."""
    return file(event(*lines))


def runs_of(text: str, count: int = 20, uid: str | None = None) -> list[str]:
    """Return when the event of a file runs first, on its own wall clock."""
    calendar = read_ics(text, uid).calendar
    runs = calendar.preview(count, datetime(1900, 1, 1, tzinfo=UTC))
    return [f"{run:%Y-%m-%d %H:%M%z}" for run in runs]


def notes_of(text: str) -> str:
    """Return what was put right when a file was read."""
    return "\n".join(read_ics(text).notes)
