"""Which days a cron expression runs on, as rules whose two parts must both match.

croniter knows fewer forms than are accepted here: no ``LW``, no list of ``W`` forms, no
``1,5#2``, and it does not join ``#`` and a day of the month with "or".  An expression
is therefore split into simple ones, and the first to come is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

import attrs

from trioqueue.schedules.cron_items import LAST_WEEK
from trioqueue.schedules.day_sets import LONGEST_MONTHS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from trioqueue.schedules.cron_fields import Field, Fields


@final
@attrs.frozen
class MonthDays:
    """Days of a month: any of these plain days, or the last one, or...

    Attributes:
        days: Plain days, 1 to 31.
        last: Whether the last day is one of them.
        last_workday: Whether the last one from Monday to Friday is the only one.
    """

    days: tuple[int, ...] = ()
    last: bool = False
    last_workday: bool = False

    def match(self, day: int, length: int, weekday: int) -> bool:
        """Say whether it has a day of a month of some length; Sunday is 0."""
        if self.last_workday:
            # Friday is last if only a weekend follows.
            return 1 <= weekday <= 5 and length - day <= (2 if weekday == 5 else 0)
        return day in self.days or (self.last and day == length)

    @property
    def text(self) -> str:
        """How croniter writes it."""
        if self.last_workday:
            return "31W"
        if len(self.days) == 31:
            return "*"
        return ",".join([*map(str, self.days), *(["L"] if self.last else [])])


@final
@attrs.frozen
class Weekdays:
    """Weekdays, Sunday 0, or weekdays by their place in the month."""

    days: tuple[int, ...] = ()
    nth: tuple[tuple[int, int], ...] = ()

    def match(self, day: int, length: int, weekday: int) -> bool:
        """Say whether it has a day of a month of some length."""
        if weekday in self.days or (weekday, (day + 6) // 7) in self.nth:
            return True
        return day + 7 > length and (weekday, LAST_WEEK) in self.nth

    @property
    def text(self) -> str:
        """How croniter writes it."""
        if len(self.days) == 7:
            return "*"
        placed = [f"L{d}" if n == LAST_WEEK else f"{d}#{n}" for d, n in self.nth]
        return ",".join([*map(str, self.days), *placed])


EVERY_DAY: Final = MonthDays(tuple(range(1, 32)))
EVERY_WEEKDAY: Final = Weekdays(tuple(range(7)))


@final
@attrs.frozen
class DayRule:
    """Days on which both parts match."""

    month_days: MonthDays
    weekdays: Weekdays

    def comes_in(self, month: int) -> bool:
        """Say whether any year has such a day in this month.

        Over 400 years a month of any length begins on each day of the week, so
        these few cases are all there are.
        """
        longest = LONGEST_MONTHS[month - 1]
        return any(
            self._comes(length, first)
            for length in ((28, 29) if month == 2 else (longest,))
            for first in range(7)
        )

    def _comes(self, length: int, first: int) -> bool:
        for day in range(1, length + 1):
            weekday = (first + day - 1) % 7
            if self.month_days.match(day, length, weekday) and self.weekdays.match(
                day, length, weekday
            ):
                return True
        return False


def day_rules(fields: Fields) -> list[DayRule]:
    """Return rules of which one must match; none if no date ever does."""
    month_days = _month_days(fields.day)
    weekdays = _weekdays(fields.weekday)
    if fields.either_day:
        rules = [DayRule(each, EVERY_WEEKDAY) for each in month_days]
        rules += [DayRule(EVERY_DAY, each) for each in weekdays]
    else:
        rules = [DayRule(one, other) for one in month_days for other in weekdays]
    every = DayRule(EVERY_DAY, EVERY_WEEKDAY)
    if every in rules:
        return [every]
    # One that never comes would be searched for through fifty years each time.
    return [rule for rule in rules if _comes(rule, fields.month.values)]


def plain_expressions(fields: Fields, rules: Sequence[DayRule]) -> list[str]:
    """Return expressions that croniter takes; the earliest of them is the answer."""
    second = "" if fields.second is None else f" {_numbers(fields.second)}"
    clock = f"{_numbers(fields.minute)} {_numbers(fields.hour)}"
    month = _numbers(fields.month)
    return [
        f"{clock} {rule.month_days.text} {month} {rule.weekdays.text}{second}"
        for rule in rules
    ]


def _comes(rule: DayRule, months: Collection[int]) -> bool:
    return any(rule.comes_in(month) for month in months)


def _month_days(field: Field) -> list[MonthDays]:
    if field.full:
        return [EVERY_DAY]
    found = []
    if field.values or field.last_day:
        found.append(MonthDays(field.values, last=field.last_day))
    if field.last_workday:
        found.append(MonthDays(last_workday=True))
    return found


def _weekdays(field: Field) -> list[Weekdays]:
    if field.full:
        return [EVERY_WEEKDAY]
    found = []
    if field.values:
        found.append(Weekdays(field.values))
    if field.nth:
        found.append(Weekdays(nth=field.nth))
    return found


def _numbers(field: Field) -> str:
    return "*" if field.full else ",".join(map(str, field.values))
