"""The rule of months: one day of each."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, ClassVar, Final, Literal, final

import attrs

from trioqueue.schedules import words
from trioqueue.schedules.day_sets import LONGEST_MONTHS, month_span
from trioqueue.schedules.reading import read_numbers
from trioqueue.schedules.rrule import NthWeekday, RecurrenceRule
from trioqueue.schedules.rule import (
    DayRule,
    Problem,
    Setting,
    truth,
    whole_number,
    whole_numbers,
)
from trioqueue.schedules.wall_clock import LAST_ORDINAL

if TYPE_CHECKING:
    from collections.abc import Iterator

_CYCLE_MONTHS: Final = 4_800
"""The months that the Gregorian calendar needs to repeat itself."""


@final
@attrs.frozen
class Monthly(DayRule):
    """One day of each month; exactly one of the first five arguments says which.

    Args:
        day: The day of the month, 1 to 31; months too short are left out.
        weekday: An ISO weekday, 1 for Monday; `nth` says which of them.
        last_weekday: An ISO weekday: the last one of the month.
        last_day: The last day of the month.
        business_day: ``"first"`` or ``"last"`` business day of the month.
        nth: 1 to 5, or -1 for the last; months without a fifth are left out.
        months: Only in these months, 1 to 12 (default: all).
    """

    tag: ClassVar[str] = "monthly"

    day: int | None = None
    weekday: int | None = None
    nth: int | None = None
    last_weekday: int | None = None
    last_day: bool = False
    business_day: Literal["first", "last"] | None = None
    months: tuple[int, ...] = attrs.field(
        default=(), converter=read_numbers, kw_only=True
    )

    def own_problems(self) -> Iterator[Problem]:
        """Name what is wrong with its fields."""
        given = [
            name
            for name in ("day", "weekday", "last_weekday", "last_day", "business_day")
            if getattr(self, name) not in (None, False)
        ]
        if len(given) != 1:
            yield Problem(
                given[1] if given else "day",
                f"a monthly rule needs exactly one kind of day, got {given or 'none'}",
                "give one of day, weekday with nth, last_weekday, last_day, "
                "business_day",
            )
        if self.day is not None:
            yield from whole_number("day", self.day, 1, 31)
        for field in ("weekday", "last_weekday"):
            if (value := getattr(self, field)) is not None:
                yield from whole_number(field, value, 1, 7)
        known = type(self.nth) is int and self.nth in (1, 2, 3, 4, 5, -1)
        if self.weekday is not None and not known:
            yield Problem(
                "nth", f"must be 1 to 5, or -1 for the last, got {self.nth!r}"
            )
        if self.weekday is None and self.nth is not None:
            yield Problem("nth", "belongs to a weekday", "give weekday as well")
        yield from truth("last_day", self.last_day)
        if self.business_day not in (None, "first", "last"):
            yield Problem(
                "business_day", f"must be 'first' or 'last', got {self.business_day!r}"
            )
        yield from whole_numbers("months", self.months, 1, 12)
        if self.day in (29, 30, 31) and not self._impossible():
            yield Problem(
                "day",
                f"months without a {words.ordinal_word(self.day)} are left out",
                "use last_day=True for the last day of every month",
                "info",
            )

    def _impossible(self) -> bool:
        months: object = self.months
        if not isinstance(months, tuple) or not months:
            return False
        return all(
            isinstance(month, int)
            and 1 <= month <= 12
            and self.day is not None
            and self.day > LONGEST_MONTHS[month - 1]
            for month in months
        )

    def recurrence(self, setting: Setting) -> tuple[RecurrenceRule, int] | None:
        """Return an equal RRULE and the day it starts, if iCalendar can say it."""
        months = tuple(sorted(set(self.months)))
        if self.day is not None:
            rule = RecurrenceRule("MONTHLY", bymonthday=(self.day,), bymonth=months)
        elif self.last_day:
            rule = RecurrenceRule("MONTHLY", bymonthday=(-1,), bymonth=months)
        elif self.weekday is not None or self.last_weekday is not None:
            nth = -1 if self.weekday is None else self.nth or 0
            day = NthWeekday(nth, (self.weekday or self.last_weekday or 1) - 1)
            rule = RecurrenceRule("MONTHLY", byday=(day,), bymonth=months)
        else:
            return None
        return rule, 1

    def days_from(self, setting: Setting, day: int) -> Iterator[int]:
        """Give its days from a day on."""
        asked = date.fromordinal(min(max(day, 1), LAST_ORDINAL))
        month = asked.year * 12 + asked.month - 1
        empty = 0
        while month < 120_000 and empty <= _CYCLE_MONTHS:
            empty += 1
            year, index = divmod(month, 12)
            month += 1
            if self.months and index + 1 not in self.months:
                continue
            found = self._day_of(setting, *month_span(year, index + 1))
            if found is not None:
                empty = 0
                if found >= day:
                    yield found

    def _day_of(self, setting: Setting, first: int, end: int) -> int | None:
        """Return the day of the month from `first` up to `end`."""
        if self.day is not None:
            found = first + self.day - 1
            return found if found < end else None
        if self.last_day:
            return end - 1
        if self.business_day is not None:
            days = range(first, end)
            for found in days if self.business_day == "first" else reversed(days):
                if setting.business_days.is_business_day(found):
                    return found
            return None
        if self.weekday is not None and self.nth != -1:
            found = first + (self.weekday - first) % 7 + 7 * ((self.nth or 1) - 1)
            return found if found < end else None
        wanted = self.last_weekday or self.weekday or 1
        return end - 1 - (end - 1 - wanted) % 7

    def words(self) -> str:
        """Say its days in words."""
        if self.day is not None:
            text = f"the {words.ordinal_word(self.day)}"
        elif self.last_day:
            text = "the last day"
        elif self.business_day is not None:
            text = f"the {self.business_day} business day"
        elif self.last_weekday is not None:
            text = f"the last {words.weekday_word(self.last_weekday)}"
        else:
            nth = words.ordinal_word(self.nth or 1)
            text = f"the {nth} {words.weekday_word(self.weekday or 1)}"
        if self.months:
            return f"{text} of {words.months_words(sorted(set(self.months)))}"
        return f"{text} of every month"
