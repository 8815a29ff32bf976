"""What every rule of a calendar has: times of day, and a window it is valid in."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from datetime import datetime, time
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NamedTuple, Self, final

import attrs

from trioqueue.schedules.reading import (
    clocks_of,
    instant_of,
    moment_problem,
    read_moment,
    read_times,
    times_problems,
    write,
)
from trioqueue.schedules.recurrence import RuleWalls
from trioqueue.schedules.source import DayWalls, Source
from trioqueue.schedules.wall_clock import DAY, FIRST_SECOND, LAST_SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from trioqueue.schedules.business_days import BusinessCalendar
    from trioqueue.schedules.rrule import RecurrenceRule
    from trioqueue.schedules.wall_clock import Zone

EPOCH_ANCHOR: Final = 719_163
"""1970-01-01, where intervals are counted from as long as nobody says otherwise."""


class Problem(NamedTuple):
    """Something wrong or doubtful about a rule."""

    field: str
    message: str
    suggestion: str = ""
    severity: Literal["error", "warning", "info"] = "error"


@final
@attrs.frozen(eq=False)
class Setting:
    """What a rule needs to know of its calendar.

    Attributes:
        zone: Where its wall clock is.
        business_days: Which days are business days.
        skip_gaps: Leave out times that a clock change skips.
        anchor: The day (ordinal) that intervals without a start are counted from.
    """

    zone: Zone
    business_days: BusinessCalendar
    skip_gaps: bool = False
    anchor: int = EPOCH_ANCHOR


@attrs.frozen
class Rule(ABC):
    """A rule that gives days, each with the same times.

    Args:
        times: Times of day on the wall, ``time(17)`` or ``"17:00"``, in any order
            (default: midnight).
        valid_from: No run before this moment; one at it is given.
        valid_until: No run after this moment; one at it is given.  Naive moments are
            on the calendar's wall clock.
    """

    tag: ClassVar[str]
    """What it is called in a document."""

    times: tuple[time, ...] = attrs.field(
        default=(), converter=read_times, kw_only=True
    )
    valid_from: datetime | None = attrs.field(
        default=None, converter=read_moment, kw_only=True
    )
    valid_until: datetime | None = attrs.field(
        default=None, converter=read_moment, kw_only=True
    )

    @abstractmethod
    def own_problems(self) -> Iterator[Problem]:
        """Name what is wrong with the rule's own fields."""

    @abstractmethod
    def words(self) -> str:
        """Say its days in words."""

    def recurrence(self, setting: Setting) -> tuple[RecurrenceRule, int] | None:
        """Return an equal RRULE and the day it starts, if iCalendar can say it."""
        return None

    @property
    def counts_from_creation(self) -> bool:
        """Whether it depends on the day that the schedule was created."""
        return False

    def problems(self, zone: Zone | None) -> Iterator[Problem]:
        """Name everything that is wrong with it, `zone` being the calendar's."""
        yield from self.own_problems()
        yield from (Problem("times", text) for text in times_problems(self.times))
        ends = []
        for field in ("valid_from", "valid_until"):
            moment = getattr(self, field)
            if problem := moment_problem(moment):
                yield Problem(field, problem)
            elif moment is not None and zone is not None:
                ends.append(instant_of(moment, zone))
        if len(ends) == 2 and ends[0] > ends[1]:
            yield Problem(
                "valid_until",
                f"{self.valid_until} is before valid_from {self.valid_from}",
                "exchange the two",
            )

    @abstractmethod
    def compile(self, setting: Setting) -> list[Source]:
        """Make it ready to run; it must have no problems."""

    def at_times(
        self, setting: Setting, days_from: Callable[[int], Iterator[int]]
    ) -> list[Source]:
        """Make days, given from a day on, ready to run at the rule's times."""
        walls = DayWalls(days_from, clocks_of(self.times))
        return [self.limited(Source(setting.zone, walls, setting.skip_gaps))]

    def limited(self, source: Source) -> Source:
        """Keep a source within `valid_from` and `valid_until`."""
        first, last = -math.inf, float(LAST_SECOND)
        if self.valid_from is not None:
            # A moment within a second: the run of that second is before it.
            cut = self.valid_from.microsecond > 0
            first = instant_of(self.valid_from, source.zone) + cut
        if self.valid_until is not None:
            last = instant_of(self.valid_until, source.zone)
        return attrs.evolve(source, first=first, last=min(last, source.last))

    def runs_at_all(self, setting: Setting) -> bool:
        """Say whether it gives any run, its window and what it leaves out aside."""
        return any(
            attrs.evolve(
                source,
                first=-math.inf,
                last=float(LAST_SECOND),
                removed=frozenset(),
                removed_days=frozenset(),
            ).next_run(FIRST_SECOND)
            is not None
            for source in self.compile(setting)
        )

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON values; what has its default is left out."""
        document: dict[str, Any] = {"rule": self.tag}
        for field in attrs.fields(type(self)):
            value = getattr(self, field.name)
            if value != field.default:
                document[field.name] = write(value)
        return document

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Self:
        """Make it from what `to_document` returned."""
        return cls(**{key: v for key, v in document.items() if key != "rule"})


class DayRule(Rule):
    """A rule that computes its days."""

    @abstractmethod
    def days_from(self, setting: Setting, day: int) -> Iterator[int]:
        """Give its days (ordinals) from a day on, ascending."""

    def compile(self, setting: Setting) -> list[Source]:
        """Make it ready to run; it must have no problems."""
        return self.at_times(setting, partial(self.days_from, setting))


class RecurringRule(Rule):
    """A rule of days that iCalendar can say."""

    @abstractmethod
    def recurrence(self, setting: Setting) -> tuple[RecurrenceRule, int]:
        """Return an equal RRULE and the day it starts."""

    def compile(self, setting: Setting) -> list[Source]:
        """Make it ready to run; the recurrence is built once."""
        return self.at_times(setting, self._days(setting))

    def _days(self, setting: Setting) -> Callable[[int], Iterator[int]]:
        rule, start = self.recurrence(setting)
        # One run a day: BYSETPOS picks days, not times of day.
        engine = RuleWalls(rule, start * DAY, (0,))

        def days_from(day: int) -> Iterator[int]:
            for wall in engine.walls_from(day * DAY):
                yield wall // DAY

        return days_from


def whole_number(field: str, value: object, low: int, high: int) -> Iterator[Problem]:
    """Check a whole number."""
    if type(value) is not int or not low <= value <= high:
        yield Problem(
            field, f"must be a whole number from {low} to {high}, got {value!r}"
        )


def truth(field: str, value: object) -> Iterator[Problem]:
    """Check a switch."""
    if not isinstance(value, bool):
        yield Problem(field, f"must be True or False, got {value!r}")


def whole_numbers(field: str, values: object, low: int, high: int) -> Iterator[Problem]:
    """Check a list of different whole numbers."""
    if not isinstance(values, tuple):
        yield Problem(field, f"expected a list of numbers, got {values!r}")
        return
    for value in values:
        yield from whole_number(field, value, low, high)
    if len({repr(value) for value in values}) < len(values):
        yield Problem(field, "names one twice", "name each once", "warning")
