"""The rules of a calendar: days and weeks, years, business days."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, ClassVar, Final, final

import attrs

from trioqueue.schedules import words
from trioqueue.schedules.day_sets import LONGEST_MONTHS
from trioqueue.schedules.reading import date_problem, read_date, read_numbers
from trioqueue.schedules.rrule import NthWeekday, RecurrenceRule
from trioqueue.schedules.rule import (
    DayRule,
    Problem,
    RecurringRule,
    Setting,
    truth,
    whole_number,
    whole_numbers,
)
from trioqueue.schedules.wall_clock import LAST_ORDINAL

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_INTERVAL: Final = 10_000
MAX_OFFSET: Final = 365
_CYCLE_DAYS: Final = 146_097
_MONDAY_TO_FRIDAY: Final = tuple(NthWeekday(0, day) for day in range(5))


def _unanchored(field: str, what: str) -> Problem:
    return Problem(
        field,
        f"is not given; {what} is counted from the day the schedule is created, and "
        "in a preview before that from 1 January 1970",
        f"name a {field}",
        "info",
    )


@final
@attrs.frozen
class Daily(RecurringRule):
    """Every day, or every so many days.

    Args:
        interval: Every how many days.
        weekdays_only: Leave out Saturdays and Sundays, after counting.
        start_date: The first day, from which they are counted (default: the day the
            schedule was created).
    """

    tag: ClassVar[str] = "daily"

    interval: int = 1
    weekdays_only: bool = False
    start_date: date | None = attrs.field(default=None, converter=read_date)

    def own_problems(self) -> Iterator[Problem]:
        """Name what is wrong with its fields."""
        yield from whole_number("interval", self.interval, 1, MAX_INTERVAL)
        yield from truth("weekdays_only", self.weekdays_only)
        if problem := date_problem(self.start_date):
            yield Problem("start_date", problem)
        if self.counts_from_creation:
            yield _unanchored("start_date", f"every {self.interval} days")

    @property
    def counts_from_creation(self) -> bool:
        """Whether it depends on the day that the schedule was created."""
        return type(self.interval) is int and self.interval > 1 and not self.start_date

    def recurrence(self, setting: Setting) -> tuple[RecurrenceRule, int]:
        """Return an equal RRULE and the day it starts."""
        days = _MONDAY_TO_FRIDAY if self.weekdays_only else ()
        start = 1 if self.interval == 1 else setting.anchor
        if self.start_date is not None:
            start = self.start_date.toordinal()
        return RecurrenceRule("DAILY", self.interval, byday=days), start

    def words(self) -> str:
        """Say its days in words."""
        if self.weekdays_only and self.interval == 1:
            text = "every Monday to Friday"
        else:
            text = words.every(self.interval, "day")
            if self.weekdays_only:
                text += " that is no Saturday or Sunday"
        return text if self.start_date is None else f"{text} from {self.start_date}"


@final
@attrs.frozen
class Weekly(RecurringRule):
    """Days of the week, every week or every so many weeks.

    Args:
        days: 1 for Monday to 7 for Sunday (ISO 8601); none means every day.
        interval: Every how many weeks; weeks begin on Monday.
        start_week: Any day of the first week (default: the week the schedule was
            created in).
    """

    tag: ClassVar[str] = "weekly"

    days: tuple[int, ...] = attrs.field(default=(), converter=read_numbers)
    interval: int = 1
    start_week: date | None = attrs.field(default=None, converter=read_date)

    def own_problems(self) -> Iterator[Problem]:
        """Name what is wrong with its fields."""
        yield from whole_numbers("days", self.days, 1, 7)
        yield from whole_number("interval", self.interval, 1, MAX_INTERVAL)
        if problem := date_problem(self.start_week):
            yield Problem("start_week", problem)
        if self.counts_from_creation:
            yield _unanchored("start_week", f"every {self.interval} weeks")

    @property
    def counts_from_creation(self) -> bool:
        """Whether it depends on the day that the schedule was created."""
        return type(self.interval) is int and self.interval > 1 and not self.start_week

    def recurrence(self, setting: Setting) -> tuple[RecurrenceRule, int]:
        """Return an equal RRULE and the day it starts."""
        days = tuple(NthWeekday(0, day - 1) for day in sorted(set(self.days)))
        start = 1 if self.interval == 1 else setting.anchor
        if self.start_week is not None:
            start = self.start_week.toordinal()
        # The first week counts whole, from its Monday on.
        start -= (start - 1) % 7
        every_day = tuple(NthWeekday(0, day) for day in range(7))
        rule = RecurrenceRule("WEEKLY", self.interval, byday=days or every_day)
        return rule, start

    def words(self) -> str:
        """Say its days in words."""
        names = [words.weekday_word(day) for day in sorted(set(self.days))]
        if not names:
            text = "every day"
            return text if self.interval == 1 else f"{text} of {self._weeks()}"
        if self.interval == 1:
            return f"every {words.listed(names)}"
        return f"{words.listed(names)} of {self._weeks()}"

    def _weeks(self) -> str:
        text = words.every(self.interval, "week")
        if self.start_week is None:
            return text
        return f"{text}, counted from the week of {self.start_week}"


@final
@attrs.frozen
class Yearly(RecurringRule):
    """One date of each year.

    Args:
        month: 1 to 12.
        day: The day of that month.
        adjust_for_leap_year: For 29 February: run on the 28th in other years, rather
            than not at all.
    """

    tag: ClassVar[str] = "yearly"

    month: int
    day: int
    adjust_for_leap_year: bool = False

    def own_problems(self) -> Iterator[Problem]:
        """Name what is wrong with its fields."""
        problems = [
            *whole_number("month", self.month, 1, 12),
            *whole_number("day", self.day, 1, 31),
        ]
        yield from problems
        yield from truth("adjust_for_leap_year", self.adjust_for_leap_year)
        if problems:
            return
        if self.day > LONGEST_MONTHS[self.month - 1]:
            name = words.MONTH_NAMES[self.month - 1]
            yield Problem(
                "day",
                f"{name} has no day {self.day}",
                f"the last one is {LONGEST_MONTHS[self.month - 1]}",
            )
        elif (self.month, self.day) == (2, 29) and not self.adjust_for_leap_year:
            yield Problem(
                "day",
                "29 February comes in leap years only; other years are left out",
                "adjust_for_leap_year=True runs on the 28th in the others",
                "info",
            )

    def recurrence(self, setting: Setting) -> tuple[RecurrenceRule, int]:
        """Return an equal RRULE and the day it starts."""
        if (self.month, self.day) == (2, 29) and self.adjust_for_leap_year:
            rule = RecurrenceRule(
                "YEARLY", bymonth=(2,), bymonthday=(28, 29), bysetpos=(-1,)
            )
        else:
            rule = RecurrenceRule(
                "YEARLY", bymonth=(self.month,), bymonthday=(self.day,)
            )
        return rule, 1

    def words(self) -> str:
        """Say its days in words."""
        text = f"every {self.day} {words.MONTH_NAMES[self.month - 1]}"
        if (self.month, self.day) != (2, 29):
            return text
        if self.adjust_for_leap_year:
            return "every 29 February (28 February in common years)"
        return f"{text} (leap years only)"


@final
@attrs.frozen
class BusinessDays(DayRule):
    """Every business day of the calendar, or the days so far from one.

    Args:
        day_offset: So many calendar days after each business day (before it, if
            negative); kept only if that is a business day too.
    """

    tag: ClassVar[str] = "business_days"

    day_offset: int = 0

    def own_problems(self) -> Iterator[Problem]:
        """Name what is wrong with its fields."""
        yield from whole_number("day_offset", self.day_offset, -MAX_OFFSET, MAX_OFFSET)

    def days_from(self, setting: Setting, day: int) -> Iterator[int]:
        """Give its days from a day on."""
        is_business_day = setting.business_days.is_business_day
        offset, empty = self.day_offset, 0
        day = max(day, 1)
        while day <= LAST_ORDINAL and empty <= _CYCLE_DAYS:
            empty += 1
            base = day - offset
            if (
                is_business_day(day)
                and 0 < base <= LAST_ORDINAL
                and (not offset or is_business_day(base))
            ):
                empty = 0
                yield day
            day += 1

    def words(self) -> str:
        """Say its days in words."""
        if not self.day_offset:
            return "every business day"
        side = "after" if self.day_offset > 0 else "before"
        number = abs(self.day_offset)
        days = "day" if number == 1 else "days"
        return f"every business day that is {number} {days} {side} a business day"
