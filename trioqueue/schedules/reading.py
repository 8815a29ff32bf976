"""What people write in schedules, read leniently: texts become dates and times.

What cannot be read is left as it is, for `validate` to name it with everything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from trioqueue.model.spans import EPOCH
from trioqueue.schedules.wall_clock import (
    FIRST_WALL,
    LAST_WALL,
    Zone,
    seconds_of,
    wall_of,
)

MIDNIGHT: Final = (0,)
_SECOND: Final = timedelta(seconds=1)


def read_times(value: Any) -> Any:
    """Read times of day: ``time(17)`` or ``"17:00"``, one or several, any order."""
    if value is None:
        return ()
    if isinstance(value, (time, str)):
        value = (value,)
    if not isinstance(value, Iterable) or isinstance(value, Mapping):
        return value
    return tuple(_read_time(item) for item in value)


def _read_time(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return time.fromisoformat(value)
        except ValueError:
            return value
    return value


def read_date(value: Any) -> Any:
    """Read a date; a text as ISO 8601 writes it."""
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return value
    return value


def read_day_or_moment(value: Any) -> Any:
    """Read a date or a datetime; a text as ISO 8601 writes it."""
    if isinstance(value, str) and len(value) > 10:
        return read_moment(value)
    return read_date(value)


def read_moment(value: Any) -> Any:
    """Read a datetime; a text as ISO 8601 writes it."""
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return value
    return value


def read_numbers(value: Any) -> Any:
    """Read one or several whole numbers."""
    if value is None:
        return ()
    if isinstance(value, int):
        return (value,)
    return tuple(value) if isinstance(value, Iterable) else value


def read_list(value: Any) -> Any:
    """Read one or several things of any kind."""
    if value is None:
        return ()
    if isinstance(value, (str, date, Mapping)) or not isinstance(value, Iterable):
        return (value,)
    return tuple(value)


def time_problem(value: object) -> str | None:
    """Say what is wrong with a time of day."""
    if not isinstance(value, time):
        return f"{value!r} is no time of day; write '17:00' or time(17, 0)"
    if value.tzinfo is not None:
        return f"{value.isoformat()} has a zone; times are in the calendar's own zone"
    if value.microsecond:
        return f"{value.isoformat()} is finer than a second"
    return None


def times_problems(values: object) -> list[str]:
    """Say what is wrong with a list of times of day."""
    if not isinstance(values, tuple):
        return [f"expected a list of times, got {values!r}"]
    return [problem for value in values if (problem := time_problem(value))]


def moment_problem(value: object) -> str | None:
    """Say what is wrong with a datetime; None is allowed."""
    if value is None:
        return None
    if not isinstance(value, datetime):
        return f"{value!r} is no datetime"
    if value.tzinfo is not None and value.utcoffset() is None:
        return f"{value!r} has a zone that does not tell its offset"
    return None


def date_problem(value: object) -> str | None:
    """Say what is wrong with a date; None is allowed, a datetime is not."""
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return None
    return f"{value!r} is no date; write date(2026, 1, 31) or '2026-01-31'"


def clocks_of(times: Iterable[time]) -> tuple[int, ...]:
    """Return times of day in seconds, sorted; none means midnight."""
    return tuple(sorted({seconds_of(moment) for moment in times})) or MIDNIGHT


def instant_of(moment: datetime, zone: Zone) -> int:
    """Return the instant of a moment, in seconds; a naive one is on the zone's wall."""
    if moment.tzinfo is None:
        return zone.to_instant(wall_of(moment)).instant
    return (moment - EPOCH) // _SECOND


def wall_in(moment: datetime, zone: Zone) -> int:
    """Return what the zone's wall shows at a moment, in seconds.

    It keeps to the years 1 to 9999, also where the wall is past them.
    """
    if moment.tzinfo is None:
        return wall_of(moment)
    wall = zone.to_wall(instant_of(moment, zone))
    return min(max(wall, FIRST_WALL), LAST_WALL)


def write(value: Any) -> Any:
    """Return dates, times and tuples as JSON values."""
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, tuple):
        return [write(item) for item in value]
    return value
