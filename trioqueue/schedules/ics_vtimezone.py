"""A zone of the IANA database as a VTIMEZONE, for programs that do not know its name.

The clock changes are those of the database up to 2037; where they follow a yearly rule
to the end, that rule goes on.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from trioqueue.model.spans import micros_to_instant
from trioqueue.schedules.rrule import NthWeekday, RecurrenceRule
from trioqueue.schedules.wall_clock import DAY, Zone, show_wall

if TYPE_CHECKING:
    from collections.abc import Iterator

    import icalendar

_BEGIN: Final = datetime(1970, 1, 1, tzinfo=UTC)
_END: Final = datetime(2038, 1, 1, tzinfo=UTC)
_LAST_YEAR: Final = _END.year - 1
_STEP: Final = 5 * DAY
_PROVEN: Final = 8
"""How many years in a row make a rule."""
_EPOCH_WALL: Final = datetime(1970, 1, 1).toordinal() * DAY


class _Kind(NamedTuple):
    """What a clock change does."""

    before: int
    after: int
    name: str
    summer: bool


def timezone_of(zone: Zone) -> icalendar.Timezone:
    """Return a zone as a VTIMEZONE, from 1970 on."""
    import icalendar

    described = icalendar.Timezone()
    described.add("tzid", zone.name)
    first = _kind(zone, 0, zone.offset_at(0))
    described.add_component(_part(first, [datetime(1970, 1, 1)], None))
    changes: dict[_Kind, list[datetime]] = {}
    for instant in _changes(zone):
        kind = _kind(zone, instant, zone.offset_at(instant - 1))
        wall = show_wall(instant + kind.before + _EPOCH_WALL)
        changes.setdefault(kind, []).append(wall)
    for kind, walls in changes.items():
        rule, ruled = _yearly(walls)
        if rest := walls[: len(walls) - ruled]:
            described.add_component(_part(kind, rest, None))
        if ruled:
            described.add_component(_part(kind, walls[-ruled:], rule))
    return described


def _changes(zone: Zone) -> Iterator[int]:
    """Give the instants at which the offset changes, in seconds since 1970."""
    end = int(_END.timestamp())
    for start in range(0, end, _STEP):
        low, high = start, min(start + _STEP, end)
        if zone.offset_at(low) == zone.offset_at(high):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            if zone.offset_at(middle) == zone.offset_at(low):
                low = middle
            else:
                high = middle
        yield high


def _kind(zone: Zone, instant: int, before: int) -> _Kind:
    shown = micros_to_instant(instant * 1_000_000).astimezone(zone.info)
    name = shown.tzname() or zone.name
    return _Kind(before, zone.offset_at(instant), name, bool(shown.dst()))


def _part(
    kind: _Kind, walls: list[datetime], rule: RecurrenceRule | None
) -> icalendar.TimezoneStandard | icalendar.TimezoneDaylight:
    import icalendar

    summer = icalendar.TimezoneDaylight
    part = summer() if kind.summer else icalendar.TimezoneStandard()
    part.add("dtstart", walls[0])
    part.add("tzname", kind.name)
    part.add("tzoffsetfrom", timedelta(seconds=kind.before))
    part.add("tzoffsetto", timedelta(seconds=kind.after))
    if rule is not None:
        part.add("rrule", icalendar.vRecur.from_ical(str(rule)))
    elif walls[1:]:
        part.add("rdate", walls[1:])
    return part


def _yearly(walls: list[datetime]) -> tuple[RecurrenceRule | None, int]:
    """Return the yearly rule that the last changes follow, and how many do."""
    last = walls[-1]
    if last.year != _LAST_YEAR:
        return None, 0
    best: tuple[RecurrenceRule | None, int] = (None, 0)
    for nth in (-1, (last.day - 1) // 7 + 1):
        count, expected = 0, last.year
        for wall in reversed(walls):
            if not (wall.year == expected and _falls(wall, last, nth)):
                break
            count, expected = count + 1, expected - 1
        if count > max(best[1], _PROVEN):
            day = NthWeekday(nth, last.weekday())
            rule = RecurrenceRule("YEARLY", byday=(day,), bymonth=(last.month,))
            best = (rule, count)
    return best


def _falls(wall: datetime, model: datetime, nth: int) -> bool:
    """Whether a change falls on the same weekday of its month as another."""
    if (wall.month, wall.weekday(), wall.time()) != (
        model.month,
        model.weekday(),
        model.time(),
    ):
        return False
    if nth < 0:
        return (wall + timedelta(days=7)).month != wall.month
    return (wall.day - 1) // 7 + 1 == nth
