"""Moments as people write and read them: on the wall clock of a zone, zone told."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

import click

MOMENT_HELP: Final = "write e.g. 2030-01-31T09:00 (in the zone) or 2030-01-31T09:00Z"
EXAMPLES: Final = "use a name of the IANA database, e.g. Europe/Paris or UTC"


def zone_name(text: str) -> str:
    """Read the name of a time zone."""
    from trioqueue.schedules.wall_clock import find_zone

    if find_zone(text) is None:
        raise click.BadParameter(f"there is no time zone {text!r}; {EXAMPLES}")
    return text


def moment(text: str) -> datetime:
    """Read an ISO 8601 date or time; without an offset it is on a wall clock."""
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no ISO 8601 time; {MOMENT_HELP}"
        ) from None


def span(text: str) -> tuple[datetime, datetime]:
    """Read two moments, ``FROM/TO``."""
    begin, slash, end = text.partition("/")
    if not slash:
        raise click.BadParameter(
            f"{text!r} is no span; write FROM/TO, e.g. 2030-01-31T09:00Z/2030-02-03"
        )
    return moment(begin), moment(end)


def time_of_day(text: str) -> time:
    """Read a time of day: ``17:00`` or ``17:00:30``."""
    try:
        found = time.fromisoformat(text.strip())
    except ValueError:
        found = None
    if found is None or found.tzinfo is not None or found.microsecond:
        raise click.BadParameter(f"{text!r} is no time of day; write e.g. 17:00")
    return found


def instant(value: datetime, zone: str, option: str | None = None) -> datetime:
    """Return the instant of a moment; a naive one is on the wall clock of a zone."""
    if value.tzinfo is None:
        value = value.replace(tzinfo=ZoneInfo(zone))
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise click.BadParameter(
            f"{value} is out of range: the years 1 to 9999 in UTC", param_hint=option
        ) from None


def in_zone(value: datetime, zone: str) -> str:
    """Write an instant in ISO 8601, as the clock of a zone shows it."""
    try:
        return value.astimezone(ZoneInfo(zone)).isoformat()
    except OverflowError:
        return value.isoformat()  # in the last hours that there are


def for_people(iso: str) -> str:
    """Write what `in_zone` wrote for people: weekday, date, time, offset."""
    value = datetime.fromisoformat(iso)
    return f"{value:%a} {value.date()} {value:%H:%M:%S} {offset_of(value)}"


def brief(iso: str) -> str:
    """Write it for people without the weekday and a zero second: columns are many."""
    value = datetime.fromisoformat(iso)
    clock = f"{value:%H:%M:%S}" if value.second else f"{value:%H:%M}"
    return f"{value.date()} {clock} {offset_of(value)}"


def offset_of(value: datetime) -> str:
    """Write the offset of an aware moment: ``+01:00``."""
    return value.isoformat().removeprefix(value.replace(tzinfo=None).isoformat())


def now() -> datetime:
    """Return the present instant."""
    return datetime.now(UTC)
