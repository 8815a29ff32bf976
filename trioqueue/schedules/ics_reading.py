"""From an iCalendar file to a calendar: one event, with its overrides."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, final

from trioqueue.schedules.calendar import Calendar
from trioqueue.schedules.exceptions import CalendarException, Reschedule, Skip
from trioqueue.schedules.ics_embedded import check, embedded_calendar
from trioqueue.schedules.ics_events import Event, family_of, instant_in, read_event
from trioqueue.schedules.ics_lines import Component, read_components, refuse
from trioqueue.schedules.ics_series import MAX_DATES, Instances, key_of, series_of
from trioqueue.schedules.ics_zones import Zones
from trioqueue.schedules.raw_rules import Recurrence
from trioqueue.schedules.wall_clock import show_wall, wall_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trioqueue.schedules.ics_series import Series
    from trioqueue.schedules.source import Source

_SHOWN: Final = 10
MAX_TURNS: Final = 50
"""How many RANGE=THISANDFUTURE one event may have."""


class IcsResult(NamedTuple):
    """What was read from a file."""

    calendar: Calendar
    notes: tuple[str, ...]
    """What was guessed or put right on the way, for people."""


def calendar_from_ics(text: str, uid: str | None = None) -> Calendar:
    """Read one event of an iCalendar file.

    Args:
        text: The file.
        uid: Which event; needed where the file has several.

    Raises:
        ValidationError: The text is malformed, or has no such event.
    """
    return read_ics(text, uid).calendar


def events_in(text: str) -> list[str]:
    """Return the UIDs of the events of an iCalendar file, in its order.

    Raises:
        ValidationError: The text is malformed.
    """
    return list(_families(read_components(text)))


def read_ics(text: str, uid: str | None = None) -> IcsResult:
    """Read one event of an iCalendar file, and say what was put right.

    Args:
        text: The file.
        uid: Which event; needed where the file has several.

    Raises:
        ValidationError: The text is malformed, or has no such event.
    """
    family = _chosen(_families(read_components(text)), uid)
    notes: list[str] = []
    found = embedded_calendar([vevent for _, vevent, _ in family], notes)
    if found is not None:
        return IcsResult(found, tuple(notes))
    try:
        calendar = _standard_calendar(family, notes)
        check(calendar)
    except OverflowError:
        raise refuse("a date is outside the years 1 to 9999") from None
    return IcsResult(calendar, tuple(notes))


class _Member(NamedTuple):
    """One VEVENT, with the VCALENDAR it is in."""

    calendar: Component
    vevent: Component
    number: int


def _families(calendars: Iterable[Component]) -> dict[str, list[_Member]]:
    """Return the VEVENTs of a file by the UID that people choose them by."""
    families: dict[str, list[_Member]] = {}
    number = 0
    for calendar in calendars:
        for vevent in calendar.parts("VEVENT"):
            number += 1
            family = family_of(vevent, number)
            families.setdefault(family, []).append(_Member(calendar, vevent, number))
    return families


def _chosen(families: dict[str, list[_Member]], uid: str | None) -> list[_Member]:
    if not families:
        raise refuse("there is no VEVENT in it")
    if uid is None:
        if len(families) == 1:
            return next(iter(families.values()))
        names = list(families)
        shown = ", ".join(repr(name[:100]) for name in names[:_SHOWN])
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise refuse(f"there are several events; choose one by uid: {shown}{more}")
    if uid not in families:
        shown = ", ".join(repr(name[:100]) for name in list(families)[:_SHOWN])
        raise refuse(f"there is no event {str(uid)[:100]!r}; there is {shown}")
    return families[uid]


def _standard_calendar(family: Sequence[_Member], notes: list[str]) -> Calendar:
    zones: dict[int, Zones] = {}
    by_uid: dict[str, list[Event]] = {}
    for calendar, vevent, number in family:
        method = calendar.first("METHOD")
        event = read_event(
            vevent,
            zones.setdefault(id(calendar), Zones(calendar)),
            number,
            "" if method is None else method.value.strip().upper(),
        )
        by_uid.setdefault(event.uid, []).append(event)
    series = [_EventReader(events, notes) for events in by_uid.values()]
    zone = next((each.zone for each in series if each.has_rules), series[0].zone)
    rules: list[Recurrence] = []
    exceptions: dict[tuple[int, bool], CalendarException] = {}
    for each in series:
        if not each.has_rules:
            each.zone = zone
        if each.zone.name != zone.name:
            raise refuse(
                f"the parts of one calendar have different zones: {zone.name} and "
                f"{each.zone.name}",
                each.line,
            )
        each.read()
        rules += each.rules
        for key, exception in each.exceptions.items():
            exceptions.setdefault(key, exception)
    for found in zones.values():
        notes += found.notes
    if not rules and not exceptions:
        raise refuse("nothing is left of the event to run", series[0].line)
    return Calendar(
        rules=tuple(rules),
        tz=zone.name,
        exceptions=tuple(exceptions.values()),
        gap="skip" if series[0].skip_gaps else "shift",
    )


class _Segment(NamedTuple):
    """The part of a series from one RANGE=THISANDFUTURE on."""

    wall: int
    """Where it begins, by the original series."""
    delta: timedelta
    """How much later than in the original series its instances are."""


@final
class _EventReader:
    """Puts an event and its overrides together."""

    def __init__(self, events: list[Event], notes: list[str]) -> None:
        self._notes = notes
        newest = sorted(events, key=lambda event: event.order)
        masters = [event for event in newest if event.override is None]
        self._master = masters[-1] if masters else None
        lead = newest[-1] if self._master is None else self._master
        if self._master is not None and self._master.cancelled:
            raise refuse(
                f"the event {lead.uid[:100]!r} is cancelled (STATUS:CANCELLED)",
                lead.line,
            )
        self.line = lead.line
        self.skip_gaps = lead.skip_gaps
        self.has_rules = any(event.rules for event in events)
        if self._master is None and lead.start is None and lead.override is not None:
            self.zone = lead.override.zone
        else:
            self.zone = lead.begin().zone
        self._events = newest
        self._overrides: list[tuple[date, Event]] = []
        self._segments: list[_Segment] = []
        self._alone: list[date] = []
        self.rules: list[Recurrence] = []
        self.exceptions: dict[tuple[int, bool], CalendarException] = {}

    def _newest(self, events: Iterable[Event]) -> list[tuple[date, Event]]:
        """Return the overrides in order; of several for one instance, the newest."""
        chosen: dict[tuple[int, bool], tuple[date, Event]] = {}
        for event in events:
            if event.override is not None:
                named = event.override.in_zone(self.zone)
                if self._all_day() and not isinstance(named, datetime):
                    named = event.override.start
                chosen[key_of(named, self.zone)] = (named, event)
        return [chosen[key] for key in sorted(chosen)]

    def _all_day(self) -> bool:
        master = self._master
        return master is None or not isinstance(master.begin().value, datetime)

    def read(self) -> None:
        """Fill `rules` and `exceptions`.

        Raises:
            ValidationError: An override is malformed, or cannot be followed.
        """
        self._overrides = self._newest(self._events)
        if self._master is not None:
            series = series_of(self._master, self.zone, self._notes)
            self.rules = list(self._split(series))
        else:
            self._notes.append(
                f"line {self.line}: the file has overrides of a series, not the series"
            )
        sources: list[Source] = []
        if self._overrides and self.rules:
            calendar = Calendar(
                rules=self.rules,
                tz=self.zone.name,
                gap="skip" if self.skip_gaps else "shift",
            )
            check(calendar)
            setting = calendar.setting()
            sources = [each for rule in self.rules for each in rule.compile(setting)]
        self._named = Instances(sources)
        self._mapped = Instances(sources)
        for named, event in self._overrides:
            self._override(named, event)
        if self._alone:
            self.rules.append(Recurrence("", None, tuple(self._alone)))

    def _split(self, series: Series) -> Iterable[Recurrence]:
        """Give the series up to the first RANGE=THISANDFUTURE, and each part after."""
        current, since = series, None
        delta = timedelta()
        turns = [event for _, event in self._overrides if event.onwards]
        if len(turns) > MAX_TURNS:
            raise refuse(
                f"more than {MAX_TURNS} RANGE=THISANDFUTURE", turns[MAX_TURNS].line
            )
        dates = len(series.rdates) + len(series.exdates)
        if dates * max(1, len(series.rules)) * len(turns) > MAX_DATES:
            raise refuse("too many RDATEs and EXDATEs for so many changes", self.line)
        for event in turns:
            if event.override is None:
                continue
            wall = event.override.wall(self.zone)
            # Where the part before ends, by its own times.
            end = self.zone.to_instant(wall_of(show_wall(wall) + delta)).instant - 1
            yield from current.limited(since, end).recurrences()
            if event.cancelled:
                return
            begin = event.begin().wall(self.zone)
            since = self.zone.to_instant(begin).instant
            if event.rules:
                current, delta = series_of(event, self.zone, self._notes), timedelta()
            else:
                delta = show_wall(begin) - show_wall(wall)
                current = series.shifted(delta, wall, event.line)
            self._segments.append(_Segment(wall, delta))
        yield from current.limited(since, None).recurrences()

    def _override(self, named: date, event: Event) -> None:
        """Apply one override."""
        original = self._instance(named)
        if event.onwards:
            if original is None and not event.cancelled:
                self._run_alone(event)
            return
        if event.cancelled:
            if original is None:
                self._note(event, "cancels an instance that the series does not have")
            else:
                key = key_of(original, self.zone)
                self.exceptions[key] = Skip(original)
            return
        if event.rules:
            self._note(event, "has an RRULE, which only RANGE=THISANDFUTURE may")
        if original is None:
            self._note(event, "is no instance of the series; it runs nevertheless")
            self._run_alone(event)
            return
        begin = event.begin()
        target = begin.in_zone(self.zone)
        if not isinstance(target, datetime):
            target = begin.start
        if key_of(original, self.zone) != key_of(target, self.zone):
            key = key_of(original, self.zone)
            self.exceptions[key] = Reschedule(original, target)

    def _instance(self, named: date) -> date | None:
        """Return what an override is about as the calendar has it; None: nothing."""
        instant = instant_in(named, self.zone)
        if not isinstance(named, datetime):
            found = self._named.first_from(instant)
            end = instant_in(named + timedelta(days=1), self.zone)
            return named if found < end else None
        for segment in reversed(self._segments):
            if self.zone.to_instant(segment.wall).instant <= instant:
                wall = show_wall(self.zone.to_wall(instant)) + segment.delta
                if self._mapped.has(instant_in(wall, self.zone)):
                    return wall
                break
        return named if self._named.has(instant) else None

    def _run_alone(self, event: Event) -> None:
        begin = event.begin()
        moment = begin.in_zone(self.zone)
        self._alone.append(moment if isinstance(moment, datetime) else begin.start)

    def _note(self, event: Event, text: str) -> None:
        self._notes.append(f"line {event.line}: the override {text}")
