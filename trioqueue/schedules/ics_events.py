"""VEVENTs of an iCalendar file as values, as far as they say when something runs."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Final, NamedTuple, final

import attrs

from trioqueue.errors import ValidationError
from trioqueue.model.spans import micros_to_instant
from trioqueue.schedules.ics_lines import refuse
from trioqueue.schedules.reading import instant_of
from trioqueue.schedules.rrule import RecurrenceRule, parse_rrule, read_moment
from trioqueue.schedules.wall_clock import Zone, wall_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trioqueue.schedules.ics_lines import Component, Property
    from trioqueue.schedules.ics_zones import Zones

MAX_RULES: Final = 8
MAX_MOMENTS: Final = 100_000
FAMILY: Final = "X-TRIOQUEUE-PART"
"""On events that are parts of one calendar: the UID of the first."""
GAP: Final = "X-TRIOQUEUE-GAP"
_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


class Moment(NamedTuple):
    """A date or a time as the file has it."""

    value: date
    """A date, or a naive datetime."""
    zone: Zone
    """Where that is; what is floating is in the file's own zone."""
    line: int

    @property
    def start(self) -> datetime:
        """The moment itself; a date begins at midnight."""
        if isinstance(self.value, datetime):
            return self.value
        return datetime(self.value.year, self.value.month, self.value.day)

    @property
    def instant(self) -> int:
        """Its instant, in seconds since 1970."""
        return self.zone.to_instant(wall_of(self.start)).instant

    def in_zone(self, zone: Zone) -> date:
        """Return it for a calendar of a zone: a date, a naive moment, or an instant."""
        if not isinstance(self.value, datetime):
            return self.value
        if self.zone.name == zone.name:
            return self.value
        return instant_to_moment(self.instant)

    def wall(self, zone: Zone) -> int:
        """Return what the wall of a zone shows then."""
        if self.zone.name == zone.name or not isinstance(self.value, datetime):
            return wall_of(self.start)
        return zone.to_wall(self.instant)


def instant_to_moment(instant: int) -> datetime:
    """Return an instant as a moment in UTC."""
    return micros_to_instant(instant * 1_000_000)


@final
@attrs.frozen(eq=False)
class Event:
    """One VEVENT.

    Attributes:
        uid: Its UID; one without is named after its place.
        order: What makes it newer than another of the same UID: SEQUENCE, the time it
            was written, its place in the file.
        override: What RECURRENCE-ID names.
        onwards: Whether it is about all later instances too (RANGE=THISANDFUTURE).
        skip_gaps: Whether times that a clock change skips are left out.
    """

    uid: str
    line: int
    order: tuple[int, str, int]
    cancelled: bool
    start: Moment | None
    rules: tuple[RecurrenceRule, ...]
    rdates: tuple[Moment, ...]
    exdates: tuple[Moment, ...]
    override: Moment | None
    onwards: bool
    skip_gaps: bool

    def begin(self) -> Moment:
        """Return its DTSTART.

        Raises:
            ValidationError: It has none.
        """
        if self.start is None:
            raise refuse("the VEVENT has no DTSTART", self.line)
        return self.start


def family_of(vevent: Component, number: int) -> str:
    """Return the UID by which people choose an event."""
    for name in (FAMILY, "UID"):
        found = vevent.first(name)
        if found is not None and found.value.strip():
            return found.text().strip()[:1_000]
    return f"#{number}"


def read_event(vevent: Component, zones: Zones, number: int, method: str) -> Event:
    """Read one VEVENT.

    Args:
        vevent: The component.
        zones: The zones of its file.
        number: Its place in the file.
        method: What the file is for, such as ``CANCEL``.

    Raises:
        ValidationError: One of its properties is malformed.
    """
    reader = _Reader(vevent, zones)
    uid = vevent.first("UID")
    status = vevent.first("STATUS")
    cancelled = status is not None and status.value.strip().upper() == "CANCELLED"
    start = reader.one("DTSTART")
    named = vevent.first("RECURRENCE-ID")
    reach = "" if named is None else named.parameters.get("RANGE", "")
    if reach and reach.upper() != "THISANDFUTURE":
        line = vevent.line if named is None else named.line
        raise refuse(f"RANGE={reach[:40]} is unknown; use THISANDFUTURE", line)
    if (forbidden := vevent.first("EXRULE")) is not None:
        raise refuse(
            "EXRULE is not supported; RFC 5545 has dropped it, use EXDATE",
            forbidden.line,
        )
    gap = vevent.first(GAP)
    return Event(
        uid=uid.text().strip() if uid is not None and uid.value else f"#{number}",
        line=vevent.line,
        order=(reader.number("SEQUENCE"), reader.stamp(), number),
        cancelled=cancelled or method == "CANCEL",
        start=start,
        rules=tuple(reader.rules(start)),
        rdates=tuple(reader.many("RDATE")),
        exdates=tuple(reader.many("EXDATE")),
        override=reader.one("RECURRENCE-ID"),
        onwards=bool(reach),
        skip_gaps=gap is not None and gap.value.strip().lower() == "skip",
    )


@final
class _Reader:
    """Reads the properties of one VEVENT."""

    def __init__(self, vevent: Component, zones: Zones) -> None:
        self._vevent = vevent
        self._zones = zones
        start = vevent.first("DTSTART")
        text = start.value.strip()[:4] if start is not None else ""
        self._year = int(text) if re.fullmatch(r"[0-9]{4}", text) else 2000

    def number(self, name: str) -> int:
        """Return a whole number; 0 where there is none, or it is none."""
        found = self._vevent.first(name)
        text = "" if found is None else found.value.strip()
        return int(text) if _NUMBER.fullmatch(text) else 0

    def stamp(self) -> str:
        """Return when it was written, for comparing."""
        for name in ("LAST-MODIFIED", "DTSTAMP"):
            found = self._vevent.first(name)
            if found is not None and isinstance(read_moment(found.value), datetime):
                return found.value
        return ""

    def one(self, name: str) -> Moment | None:
        """Return the moment of a property that may be there once.

        Raises:
            ValidationError: It is malformed, or there are two.
        """
        found = list(self._vevent.all(name))
        if not found:
            return None
        if len(found) > 1:
            raise refuse(f"a second {name} in one VEVENT", found[1].line)
        return self._moment(found[0], found[0].value.strip())

    def many(self, name: str) -> Iterator[Moment]:
        """Give the moments of all properties of a name, each moment once."""
        seen: set[tuple[date, str]] = set()
        for entry in self._vevent.all(name):
            for text in entry.value.split(","):
                # Of a PERIOD, only its start says when something runs.
                moment = self._moment(entry, text.partition("/")[0].strip())
                key = (moment.value, moment.zone.name)
                if key in seen:
                    continue
                seen.add(key)
                if len(seen) > MAX_MOMENTS:
                    raise refuse(f"more than {MAX_MOMENTS} {name} values", entry.line)
                yield moment

    def rules(self, start: Moment | None) -> Iterator[RecurrenceRule]:
        """Give the RRULEs, each once."""
        seen: list[RecurrenceRule] = []
        for entry in self._vevent.all("RRULE"):
            try:
                rule = parse_rrule(entry.value)
            except ValidationError as error:
                raise ValidationError(
                    attrs.evolve(
                        issue,
                        field="ics",
                        message=f"line {entry.line}: RRULE: {issue.message}",
                    )
                    for issue in error.issues
                ) from None
            all_day = start is not None and not isinstance(start.value, datetime)
            if all_day and isinstance(rule.until, datetime):
                # The days of an all-day event have no time of day to compare with.
                rule = attrs.evolve(rule, until=rule.until.date())
            if rule in seen:
                continue
            seen.append(rule)
            if len(seen) > MAX_RULES:
                raise refuse(f"more than {MAX_RULES} RRULEs in one VEVENT", entry.line)
            yield rule

    def _moment(self, entry: Property, text: str) -> Moment:
        text = text.upper()
        if re.fullmatch(r"[0-9]{8}T[0-9]{4}60Z?", text):
            # No clock here shows a leap second.
            text = text[:13] + "59" + text[15:]
        value = read_moment(text)
        if value is None:
            raise refuse(
                f"{entry.name}: {text[:40]!r} is no date or time; write 20261231, "
                "20261231T170000 or 20261231T170000Z",
                entry.line,
            )
        if not isinstance(value, datetime):
            return Moment(value, self._zones.default(entry.line), entry.line)
        if value.tzinfo is not None:
            zone = self._zones.find("UTC", self._year, entry.line)
            return Moment(value.replace(tzinfo=None), zone, entry.line)
        tzid = entry.parameters.get("TZID", "")
        if tzid:
            zone = self._zones.find(tzid, self._year, entry.line)
        else:
            zone = self._zones.default(entry.line)
        return Moment(value, zone, entry.line)


def moments_in(moments: Iterable[Moment], zone: Zone) -> tuple[date, ...]:
    """Return moments for a calendar of a zone."""
    return tuple(moment.in_zone(zone) for moment in moments)


def instant_in(moment: date, zone: Zone) -> int:
    """Return the instant of what `Moment.in_zone` returned."""
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    return instant_of(moment, zone)
