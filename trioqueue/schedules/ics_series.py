"""The instances of one VEVENT: its rules, as they come back to a calendar."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final, final

import attrs

from trioqueue.schedules.day_sets import month_span
from trioqueue.schedules.ics_events import instant_in, instant_to_moment, moments_in
from trioqueue.schedules.ics_lines import refuse
from trioqueue.schedules.ics_shift import shifted_moment, shifted_rule
from trioqueue.schedules.raw_rules import Recurrence, end_of
from trioqueue.schedules.recurrence import RuleWalls
from trioqueue.schedules.wall_clock import show_wall, wall_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from trioqueue.schedules.ics_events import Event
    from trioqueue.schedules.rrule import RecurrenceRule
    from trioqueue.schedules.source import Source
    from trioqueue.schedules.wall_clock import Zone

MAX_LISTED: Final = 1_000
"""How many instances are written out, where a moved series has no rule."""
MAX_LISTINGS: Final = 10
"""How often that may happen in one file."""
MAX_DATES: Final = 200_000
"""How many dates the rules of one event may have together."""


@final
@attrs.frozen(eq=False)
class Series:
    """Rules with a common beginning, and dates.

    Attributes:
        zone: The calendar's zone.
        start: DTSTART on its wall.
        rules: What repeats from there.
        rdates: Further moments.
        exdates: Moments that are left out.
        first: No instance before this instant (seconds since 1970).
        last: None after it.
    """

    zone: Zone
    start: datetime
    rules: tuple[RecurrenceRule, ...]
    rdates: tuple[date, ...]
    exdates: tuple[date, ...]
    first: int | None = None
    last: int | None = None
    listings: list[int] = attrs.field(factory=list)
    """The lines for which instances were written out."""

    def recurrences(self) -> Iterator[Recurrence]:
        """Give it as rules of a calendar."""
        first = None if self.first is None else instant_to_moment(self.first)
        last = None if self.last is None else instant_to_moment(self.last)
        rdates = self.rdates
        for rule in self.rules:
            yield Recurrence(
                str(rule),
                self.start,
                rdates,
                self.exdates,
                valid_from=first,
                valid_until=last,
            )
            rdates = ()
        if rdates:
            yield Recurrence(
                "",
                self.start,
                rdates,
                self.exdates,
                valid_from=first,
                valid_until=last,
            )

    def limited(self, first: int | None, last: int | None) -> Series:
        """Return what is left of it between two instants, both included."""
        return attrs.evolve(self, first=first, last=last)

    def shifted(self, delta: timedelta, since: int, line: int) -> Series:
        """Return it with every instance so much later on the wall.

        Args:
            delta: By how much.
            since: Instances before this wall time are not asked for.
            line: Where the file says so.

        Raises:
            ValidationError: There is no rule for it, and it does not end soon.
        """
        zone = self.zone
        clock = self.start.time()

        def moved(moment: date) -> date:
            return shifted_moment(moment, delta, zone, clock)

        rdates = [moved(moment) for moment in self.rdates]
        rules = []
        for rule in self.rules:
            later = shifted_rule(rule, self.start, delta, zone)
            if later is not None:
                rules.append(later)
                continue
            self.listings.append(line)
            if len(self.listings) > MAX_LISTINGS:
                raise refuse("too many changes of rules that no RRULE says", line)
            listed = _listed(self, rule, since, line)
            rdates += (show_wall(wall) + delta for wall in listed)
        return attrs.evolve(
            self,
            start=self.start + delta,
            rules=tuple(rules),
            rdates=tuple(rdates),
            exdates=tuple(moved(moment) for moment in self.exdates),
        )


def _listed(
    series: Series, rule: RecurrenceRule, since: int, line: int
) -> Iterator[int]:
    """Give the wall times of a rule that ends soon."""
    last = float("inf") if rule.until is None else end_of(rule.until, series.zone)
    walls = RuleWalls(rule, wall_of(series.start)).walls_from(since)
    for count, wall in enumerate(islice(walls, MAX_LISTED + 1)):
        if series.zone.to_instant(wall).instant > last:
            return
        if count == MAX_LISTED:
            raise refuse(
                f"RANGE=THISANDFUTURE moves {rule} so that no RRULE gives the new "
                "times; give that part of the series an RRULE of its own",
                line,
            )
        yield wall


def series_of(event: Event, zone: Zone, notes: list[str]) -> Series:
    """Return the instances of an event; its DTSTART always is one (RFC 5545 3.8.5.3).

    Args:
        event: The event.
        zone: The calendar's zone.
        notes: Takes what people should know.

    Raises:
        ValidationError: It has no DTSTART, or too many rules and dates.
    """
    begin = event.begin()
    wall = begin.wall(zone)
    start = show_wall(wall)
    rules: list[RecurrenceRule] = []
    included = False
    for rule in event.rules:
        if _yields(rule, wall, zone):
            included = True
            rules.append(rule)
        elif rule.count is None:
            rules.append(rule)
        elif rule.count > 1:
            # DTSTART is the first of COUNT, whether or not the rule yields it.
            rules.append(attrs.evolve(rule, count=rule.count - 1))
    rdates = moments_in(event.rdates, zone)
    if not included:
        if start not in rdates:
            rdates = (start, *rdates)
        if event.rules:
            notes.append(
                f"line {begin.line}: the rule does not yield DTSTART "
                f"{start.isoformat(' ')}; it runs nevertheless, as the first instance"
            )
    exdates = moments_in(event.exdates, zone)
    if len(rules) * len(exdates) > MAX_DATES:
        raise refuse("too many EXDATEs for so many RRULEs", event.line)
    return Series(zone, start, tuple(rules), rdates, exdates)


def _yields(rule: RecurrenceRule, wall: int, zone: Zone) -> bool:
    """Whether DTSTART is an instance by the rule itself."""
    if rule.until is not None:
        if zone.to_instant(wall).instant > end_of(rule.until, zone):
            return False
        rule = attrs.evolve(rule, until=None)
    if not may_yield(rule, wall):
        return False
    # COUNT is set aside: it would be counted out just to look at the first.
    walls = RuleWalls(attrs.evolve(rule, count=None), wall).walls_from(wall)
    return next(walls, None) == wall


def may_yield(rule: RecurrenceRule, wall: int) -> bool:
    """Whether a rule could yield a wall time, by those of its parts that tell at once.

    It saves the search through 400 years that a rule without any instance costs.
    """
    moment = show_wall(wall)
    year = moment.toordinal() - date(moment.year, 1, 1).toordinal() + 1
    first, end = month_span(moment.year, moment.month)
    days = date(moment.year, 12, 31).timetuple().tm_yday
    checks: list[tuple[Collection[int], tuple[int, ...]]] = [
        (rule.bymonth, (moment.month,)),
        (rule.bymonthday, (moment.day, moment.day - 1 - (end - first))),
        (rule.byyearday, (year, year - 1 - days)),
        ([day.weekday for day in rule.byday], (moment.weekday(),)),
        (rule.byhour, (moment.hour,)),
        (rule.byminute, (moment.minute,)),
        (rule.bysecond, (moment.second,)),
    ]
    return all(
        not allowed or any(value in allowed for value in values)
        for allowed, values in checks
    )


@final
class Instances:
    """Whether something runs at an instant; best asked in ascending order.

    What a search has passed over is remembered, so that all questions together cost no
    more than one walk through the series.
    """

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = list(sources)
        self._seen: list[tuple[int, float]] = [(1, 0)] * len(self._sources)

    def has(self, instant: int) -> bool:
        """Whether something runs at an instant."""
        return self.first_from(instant) == instant

    def first_from(self, instant: int) -> float:
        """Return the first run not before an instant; infinity if there is none."""
        best = float("inf")
        for number, source in enumerate(self._sources):
            since, found = self._seen[number]
            if not since <= instant <= found:
                run = source.next_run(instant - 1)
                found = float("inf") if run is None else run.instant
                self._seen[number] = (instant, found)
            best = min(best, found)
        return best


def key_of(moment: date, zone: Zone) -> tuple[int, bool]:
    """Return what makes two RECURRENCE-IDs the same."""
    return instant_in(moment, zone), isinstance(moment, datetime)
