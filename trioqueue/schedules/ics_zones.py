"""What a TZID of an iCalendar file means: always a zone of the IANA database.

The zones that files carry along are often truncated or wrong, so a name that is known
wins; a zone described in the file is used only to find the IANA zone that agrees with
it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, final
from zoneinfo import available_timezones

from trioqueue.errors import ValidationError
from trioqueue.schedules.ics_lines import refuse
from trioqueue.schedules.recurrence import RuleWalls
from trioqueue.schedules.rrule import parse_rrule, read_moment
from trioqueue.schedules.wall_clock import DAY, Zone, find_zone, wall_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trioqueue.schedules.ics_lines import Component, Property

MAX_ONSETS: Final = 2_000
"""How many clock changes of a zone in a file are looked at."""
MAX_OBSERVANCES: Final = 50
MAX_MATCHED: Final = 3
"""How many zones of a file may be compared with those of the database."""
COMPARED_YEARS: Final = 20
"""How many years from its first use a zone in a file is compared with others."""
_EPOCH_WALL: Final = datetime(1970, 1, 1).toordinal() * DAY
_SAMPLE: Final = 5 * DAY


@final
class Zones:
    """Finds the zones that one VCALENDAR names.

    Args:
        calendar: The VCALENDAR.
    """

    def __init__(self, calendar: Component) -> None:
        self._calendar = calendar
        self._known: dict[tuple[str, int], Zone] = {}
        self._default: Zone | None = None
        self._matched = 0
        self.notes: list[str] = []
        """What was guessed."""

    def default(self, line: int) -> Zone:
        """Return the zone of times that name none: X-WR-TIMEZONE, else UTC."""
        if self._default is None:
            named = self._calendar.first("X-WR-TIMEZONE")
            if named is not None and named.value.strip():
                self._default = self.find(named.text().strip(), 2000, named.line)
            else:
                self._default = self.find("UTC", 2000, line)
        return self._default

    def find(self, tzid: str, year: int, line: int) -> Zone:
        """Return the zone of a TZID that is used from a year on.

        Raises:
            ValidationError: Nothing tells which zone it is.
        """
        key = (tzid, year)
        if key not in self._known:
            self._known[key] = self._find(tzid, year, line)
        return self._known[key]

    def _find(self, tzid: str, year: int, line: int) -> Zone:
        zone = _named(tzid)
        if zone is not None:
            return zone
        described = next(
            (
                each
                for each in self._calendar.parts("VTIMEZONE")
                if (name := each.first("TZID")) is not None and name.text() == tzid
            ),
            None,
        )
        if described is None:
            raise refuse(
                f"TZID {tzid[:100]!r} is unknown, and the file has no VTIMEZONE of "
                "that name",
                line,
            )
        location = described.first("X-LIC-LOCATION")
        if location is not None and (zone := find_zone(location.text().strip())):
            return zone
        self._matched += 1
        if self._matched > MAX_MATCHED:
            raise refuse(f"more than {MAX_MATCHED} time zones have unknown names", line)
        zone = _matching(described, year)
        if zone is None:
            raise refuse(
                f"TZID {tzid[:100]!r} is no zone of the IANA database, and none has "
                "the clock changes that its VTIMEZONE describes",
                line,
            )
        self.notes.append(f"TZID {tzid[:100]!r} is taken as {zone.name}, which agrees")
        return zone


def _named(tzid: str) -> Zone | None:
    """Return the zone that a name means by itself."""
    if (zone := find_zone(tzid)) is not None:
        return zone
    if (windows := _windows_zones().get(tzid)) is not None:
        return find_zone(windows)
    parts = [part for part in tzid.split("/") if part]
    # Some programs put their own name and a version in front.
    for size in (3, 2, 1):
        if len(parts) > size and (zone := find_zone("/".join(parts[-size:]))):
            return zone
    return None


@lru_cache(maxsize=1)
def _windows_zones() -> Mapping[str, str]:
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

    return WINDOWS_TO_OLSON


class _Onset(NamedTuple):
    """When an offset from UTC begins to hold."""

    instant: int
    offset: int
    before: int


def _matching(described: Component, year: int) -> Zone | None:
    """Return the IANA zone that agrees with a description from a year on."""
    year = min(max(year, 1900), 2100)
    begin = (datetime(year, 1, 1).toordinal() * DAY) - _EPOCH_WALL
    end = begin + COMPARED_YEARS * 366 * DAY
    onsets = _onsets(described, begin, end)
    if not onsets:
        return None
    starts = [onset.instant for onset in onsets]

    def offset_at(instant: int) -> int:
        place = bisect_right(starts, instant)
        return onsets[place - 1].offset if place else onsets[0].before

    moments = {*range(begin, end, _SAMPLE)}
    for start in starts:
        if begin < start < end:
            moments |= {start - 1, start}
    wanted = [(moment, offset_at(moment)) for moment in sorted(moments)]
    wanted = [*wanted[:: len(wanted) // 24], *wanted]
    fixed = len({offset for _, offset in wanted}) == 1
    for name in _candidates(fixed=fixed):
        zone = find_zone(name)
        if zone is not None and all(zone.offset_at(at) == off for at, off in wanted):
            return zone
    return None


@lru_cache(maxsize=2)
def _candidates(*, fixed: bool) -> tuple[str, ...]:
    """Return the zones to compare with, those that people use most first."""
    common = set(_windows_zones().values())

    def rank(name: str) -> tuple[bool, bool, str]:
        plain = name.startswith("Etc/") if fixed else name in common
        return not plain, "/" not in name, name

    names = sorted(available_timezones(), key=rank)
    return ("UTC", *names) if fixed else tuple(names)


def _onsets(described: Component, begin: int, end: int) -> list[_Onset]:
    """Return the clock changes of a VTIMEZONE up to an instant, ascending."""
    onsets: set[_Onset] = set()
    if len(described.children) > MAX_OBSERVANCES:
        raise refuse("a VTIMEZONE has too many parts", described.line)
    for part in described.children:
        start = part.first("DTSTART")
        from_, to = part.first("TZOFFSETFROM"), part.first("TZOFFSETTO")
        if start is None or from_ is None or to is None:
            raise refuse(
                f"{part.name[:40]} lacks DTSTART, TZOFFSETFROM or TZOFFSETTO", part.line
            )
        before, offset = _offset(from_), _offset(to)
        for wall in islice(_walls(part, start, begin, end), MAX_ONSETS):
            onsets.add(_Onset(wall - _EPOCH_WALL - before, offset, before))
    return sorted(onsets)


def _walls(part: Component, start: Property, begin: int, end: int) -> Iterator[int]:
    """Give the walls on which an observance begins, as far as they matter."""
    first = _wall(start.value, start.line)
    yield first
    for dates in part.all("RDATE"):
        for text in islice(dates.value.split(","), MAX_ONSETS):
            yield _wall(text.partition("/")[0], dates.line)
    for rule in islice(part.all("RRULE"), 10):
        try:
            parsed = parse_rrule(rule.value)
        except ValidationError as error:
            raise refuse(f"RRULE: {error.issues[0].message}", rule.line) from None
        if parsed.freq not in ("YEARLY", "MONTHLY") or parsed.count is not None:
            raise refuse("RRULE: no clock change repeats like that", rule.line)
        # The change that holds when the time compared begins may be long before it.
        floor = max(first, begin + _EPOCH_WALL - 10 * 366 * DAY)
        until = parsed.until
        last = end + _EPOCH_WALL
        if until is not None:
            # To the day: an UNTIL in UTC is some hours off the wall.
            last = min(last, until.toordinal() * DAY + 2 * DAY - 1)
        for wall in RuleWalls(parsed, first).walls_from(floor):
            if wall > last:
                break
            yield wall


def _wall(text: str, line: int) -> int:
    moment = read_moment(text.strip())
    if not isinstance(moment, datetime):
        raise refuse(f"{text[:40]!r} is no date with a time", line)
    return wall_of(moment)


def _offset(entry: Property) -> int:
    """Read ``-0500`` or ``+013000``, in seconds."""
    found = re.fullmatch(
        r"([+-]?)([0-9]{2}):?([0-9]{2}):?([0-9]{2})?", entry.value.strip()
    )
    if found is None:
        raise refuse(f"{entry.name}: {entry.value[:40]!r} is no offset", entry.line)
    sign, hours, minutes, seconds = found.groups()
    span = timedelta(hours=int(hours), minutes=int(minutes), seconds=int(seconds or 0))
    return int(span.total_seconds()) * (-1 if sign == "-" else 1)
