"""Rules beyond the named ones: raw RFC 5545 recurrences, and registered functions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

import attrs

from trioqueue.errors import ValidationError
from trioqueue.schedules import rule_words
from trioqueue.schedules.generators import get_generator
from trioqueue.schedules.reading import (
    instant_of,
    moment_problem,
    read_day_or_moment,
    read_list,
    read_moment,
    wall_in,
)
from trioqueue.schedules.recurrence import RuleWalls
from trioqueue.schedules.rrule import RecurrenceRule, parse_rrule
from trioqueue.schedules.rule import DayRule, Problem, Rule, Setting
from trioqueue.schedules.source import Source
from trioqueue.schedules.wall_clock import DAY, LAST_WALL, Zone, show_wall

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_DATES: Final = 100_000


def _read_days(value: Any) -> Any:
    values = read_list(value)
    return tuple(read_day_or_moment(item) for item in values)


def _date_problems(field: str, values: Sequence[object]) -> Iterator[Problem]:
    if len(values) > MAX_DATES:
        yield Problem(field, f"has more than {MAX_DATES} entries")
        return
    for value in values:
        if not isinstance(value, date):
            yield Problem(field, f"{value!r} is no date or datetime")
        elif isinstance(value, datetime) and (problem := moment_problem(value)):
            yield Problem(field, problem)


@final
@attrs.frozen
class Recurrence(Rule):
    """A recurrence as RFC 5545 has it.

    Args:
        rrule: The RRULE, ``FREQ=...``; empty if only `rdates` run.
        dtstart: Where it begins: it gives the time of day, and anchors INTERVAL.  It
            runs itself only if the rule yields it.  Naive moments are on the calendar's
            wall clock, aware ones are instants.
        rdates: Further moments; a date means its day at the time of `dtstart`.
        exdates: Moments that are left out, even if `rdates` has them, and not made up
            for under COUNT; a date leaves out its whole day.
    """

    tag: ClassVar[str] = "recurrence"

    rrule: str
    dtstart: datetime | None = attrs.field(default=None, converter=read_moment)
    rdates: tuple[date, ...] = attrs.field(default=(), converter=_read_days)
    exdates: tuple[date, ...] = attrs.field(default=(), converter=_read_days)

    def own_problems(self) -> Iterator[Problem]:
        """Name what is wrong with its fields."""
        if self.rrule != "" or not self.rdates:
            try:
                parse_rrule(self.rrule)
            except ValidationError as error:
                for issue in error.issues:
                    suggestion = getattr(issue, "suggestion", "")
                    yield Problem(issue.field, issue.message, suggestion)
        if self.dtstart is None:
            if self.rrule:
                yield Problem(
                    "dtstart",
                    "is missing; it says when the rule begins and at what time of day",
                    "give e.g. datetime(2026, 1, 1, 9, 0)",
                )
        elif problem := moment_problem(self.dtstart):
            yield Problem("dtstart", problem)
        for field in ("rdates", "exdates"):
            yield from _date_problems(field, getattr(self, field))
        if self.times:
            yield Problem(
                "times",
                "a recurrence has its own times",
                "write BYHOUR and BYMINUTE, or set the time in dtstart",
            )

    def parsed(self) -> RecurrenceRule | None:
        """Return the RRULE as a value; None: there are only dates.

        Raises:
            ValidationError: It is malformed.
        """
        return parse_rrule(self.rrule) if self.rrule else None

    def compile(self, setting: Setting) -> list[Source]:
        """Make it ready to run."""
        zone = setting.zone
        rule = self.parsed()
        start = 0 if self.dtstart is None else wall_in(self.dtstart, zone)
        walls, until = None, float("inf")
        if rule is not None:
            walls = RuleWalls(rule, start)
            if rule.until is not None:
                until = end_of(rule.until, zone)
        clock = start % DAY
        fixed = {self._instant(moment, zone, clock) for moment in self.rdates}
        days, instants = set(), set()
        for moment in self.exdates:
            if isinstance(moment, datetime):
                instants.add(instant_of(moment, zone))
            else:
                days.add(moment.toordinal())
        source = Source(
            zone,
            walls,
            setting.skip_gaps,
            until=until,
            fixed=sorted(fixed),
            removed=frozenset(instants),
            removed_days=frozenset(days),
        )
        return [self.limited(source)]

    def _instant(self, moment: date, zone: Zone, clock: int) -> int:
        if isinstance(moment, datetime):
            return instant_of(moment, zone)
        wall = min(moment.toordinal() * DAY + clock, LAST_WALL)
        return zone.to_instant(wall).instant

    def on_wall(self, zone: Zone) -> Recurrence:
        """Return it with `dtstart` as the zone's wall shows it."""
        if self.dtstart is None or self.dtstart.tzinfo is None:
            return self
        return attrs.evolve(self, dtstart=show_wall(wall_in(self.dtstart, zone)))

    def words(self) -> str:
        """Say it in words; an aware `dtstart` on its own wall, see `on_wall`."""
        rule = self.parsed()
        text = "" if rule is None else rule_words.describe(rule, self.dtstart)
        if self.rdates:
            extra = f"{len(self.rdates)} further date{'s'[: len(self.rdates) > 1]}"
            text = f"{text}, and on {extra}" if text else f"on {extra}"
        if self.exdates:
            text += f", except {len(self.exdates)}"
        return text


def end_of(until: date, zone: Zone) -> int:
    """Return the last instant that UNTIL allows: it is inclusive.

    A date means the end of that day, a naive moment is on the wall (both are lenient:
    RFC 5545 asks for UTC where DTSTART has a zone).
    """
    if isinstance(until, datetime):
        return instant_of(until, zone)
    wall = until.toordinal() * DAY + DAY - 1
    return zone.to_instant(wall).instant


def _freeze(parameters: Any) -> Any:
    if parameters is None:
        return MappingProxyType({})
    return (
        MappingProxyType(dict(parameters))
        if isinstance(parameters, Mapping)
        else parameters
    )


@final
@attrs.frozen
class Custom(DayRule):
    """Days that a registered function gives; see `register_generator`.

    Args:
        name: The name it is registered under, such as
            ``last_business_day_of_quarter``.
        parameters: What it is called with.
    """

    tag: ClassVar[str] = "custom"

    name: str
    parameters: Mapping[str, Any] = attrs.field(
        default=None, converter=_freeze, hash=False
    )

    def own_problems(self) -> Iterator[Problem]:
        """Name what is wrong with its fields."""
        parameters: object = self.parameters
        if not isinstance(parameters, Mapping):
            yield Problem("parameters", f"expected a dict, got {parameters!r}")
            return
        try:
            generator = get_generator(self.name)
        except ValidationError as error:
            for issue in error.issues:
                suggestion = getattr(issue, "suggestion", "")
                yield Problem("name", issue.message, suggestion)
            return
        for issue in generator.parameter_issues(self.parameters):
            yield Problem(issue.field, issue.message, issue.suggestion, issue.severity)

    def days_from(self, setting: Setting, day: int) -> Iterator[int]:
        """Give its days from a day on."""
        generator = get_generator(self.name)
        return generator.days_from(day, setting.business_days, self.parameters)

    def words(self) -> str:
        """Say its days in words."""
        return get_generator(self.name).describe(self.parameters)

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        given: object = self.parameters
        document = super().to_document()
        document["parameters"] = dict(given) if isinstance(given, Mapping) else given
        return document

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled and copied: a read-only view cannot be."""
        names = [field.name for field in attrs.fields(type(self))]
        state = {name: getattr(self, name) for name in names}
        if isinstance(self.parameters, MappingProxyType):
            state["parameters"] = dict(self.parameters)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take on what `__getstate__` returned."""
        for name, value in state.items():
            kept = _freeze(value) if name == "parameters" else value
            object.__setattr__(self, name, kept)
