"""The days that a recurrence rule gives within one period, by arithmetic.

Days are proleptic Gregorian ordinals.  The functions follow the table of RFC 5545
3.3.10: within a month or a year some BY parts add days and others take them away, and
what they add is computed, not searched.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from trioqueue.schedules.wall_clock import LAST_ORDINAL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trioqueue.schedules.rrule import NthWeekday, RecurrenceRule

LONGEST_MONTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""The most days that each month can have."""
_ALL_MONTHS: Final = tuple(range(1, 13))


def weekday_of(ordinal: int) -> int:
    """Return the weekday of a day: 0 for Monday to 6 for Sunday."""
    return (ordinal + 6) % 7


@lru_cache(maxsize=4096)
def month_span(year: int, month: int) -> tuple[int, int]:
    """Return the first day of a month and the first day after it."""
    first = date(year, month, 1).toordinal()
    if month == 12:
        return first, first + 31
    return first, date(year, month + 1, 1).toordinal()


@lru_cache(maxsize=1024)
def week_year_start(year: int, wkst: int) -> int:
    """Return the first day of a year's week 1: the first with four days in the year.

    (RFC 5545 3.3.10, BYWEEKNO; for weeks that begin on Monday it is ISO 8601's.)
    """
    fourth = date(1, 1, 4).toordinal() if year < 1 else _january_4(year)
    return fourth - (weekday_of(fourth) - wkst) % 7


def _january_4(year: int) -> int:
    if year > 9999:
        return LAST_ORDINAL + 4
    return date(year, 1, 4).toordinal()


def week_year_of(ordinal: int, wkst: int) -> int:
    """Return the year that the week of a day is counted in."""
    year = date.fromordinal(ordinal).year
    if ordinal < week_year_start(year, wkst):
        return year - 1
    return year + 1 if ordinal >= week_year_start(year + 1, wkst) else year


def in_month(rule: RecurrenceRule, year: int, month: int, default: int) -> list[int]:
    """Return the days of a month; `default` is the day of the month of DTSTART."""
    if rule.bymonth and month not in rule.bymonth:
        return []
    span = month_span(year, month)
    if not rule.bymonthday and not rule.byday:
        day = span[0] + default - 1
        return [day] if day < span[1] else []
    days: set[int] | None = None
    if rule.bymonthday:
        days = set(_month_days(rule.bymonthday, span))
    if rule.byday:
        named = set(_weekdays(rule.byday, span))
        days = named if days is None else days & named
    return sorted(days or ())


def in_week(rule: RecurrenceRule, first: int, default: int) -> list[int]:
    """Return the days of the week that begins with `first`."""
    wanted = {day.weekday for day in rule.byday} or {default}
    days = [first + k for k in range(7) if weekday_of(first + k) in wanted]
    if rule.bymonth:
        days = [
            day
            for day in days
            if 0 < day <= LAST_ORDINAL and date.fromordinal(day).month in rule.bymonth
        ]
    return days


def in_year(rule: RecurrenceRule, year: int, start: date) -> list[int]:
    """Return the days of a calendar year, for a rule without BYWEEKNO."""
    months = rule.bymonth or _ALL_MONTHS
    if not (rule.byyearday or rule.bymonthday or rule.byday):
        found = []
        for month in rule.bymonth or (start.month,):
            first, end = month_span(year, month)
            day = first + start.day - 1
            if day < end:
                found.append(day)
        return found
    days: set[int] | None = None
    whole = month_span(year, 1)[0], month_span(year, 12)[1]
    if rule.byyearday:
        days = set(_month_days(rule.byyearday, whole))
        if rule.bymonth:
            days &= {day for month in months for day in range(*month_span(year, month))}
    if rule.bymonthday:
        named = {
            day
            for month in months
            for day in _month_days(rule.bymonthday, month_span(year, month))
        }
        days = named if days is None else days & named
    if rule.byday:
        # "nth" counts within the month where BYMONTH is given, else within the year.
        if rule.bymonth:
            named = {
                day
                for month in months
                for day in _weekdays(rule.byday, month_span(year, month))
            }
        else:
            named = set(_weekdays(rule.byday, whole))
        days = named if days is None else days & named
    return sorted(days or ())


def in_week_year(rule: RecurrenceRule, year: int, default: int) -> list[int]:
    """Return the days of a year counted in weeks, for a rule with BYWEEKNO.

    The first and the last week may reach into the neighboring calendar years.
    `default` is the weekday of DTSTART, used where no part names the day.
    """
    start = week_year_start(year, rule.wkst)
    weeks = (week_year_start(year + 1, rule.wkst) - start) // 7
    numbers = {n if n > 0 else weeks + 1 + n for n in rule.byweekno}
    wanted = {day.weekday for day in rule.byday}
    if not (wanted or rule.bymonthday or rule.byyearday):
        wanted = {default}
    return [
        day
        for number in sorted(numbers)
        if 1 <= number <= weeks
        for day in range(start + 7 * number - 7, start + 7 * number)
        if 0 < day <= LAST_ORDINAL
        and (not wanted or weekday_of(day) in wanted)
        and _named(rule, day)
    ]


def limits_days(rule: RecurrenceRule) -> bool:
    """Say whether a rule of days or less leaves out any day."""
    return bool(rule.bymonth or rule.bymonthday or rule.byyearday or rule.byday)


def allows_day(rule: RecurrenceRule, ordinal: int) -> bool:
    """Say whether a rule of days or less allows a day."""
    if rule.byday:
        weekday = weekday_of(ordinal)
        if all(day.weekday != weekday for day in rule.byday):
            return False
    return _named(rule, ordinal)


def _named(rule: RecurrenceRule, ordinal: int) -> bool:
    """Say whether a day satisfies BYMONTH, BYMONTHDAY and BYYEARDAY."""
    if not (rule.bymonth or rule.bymonthday or rule.byyearday):
        return True
    day = date.fromordinal(ordinal)
    if rule.bymonth and day.month not in rule.bymonth:
        return False
    if rule.bymonthday:
        first, end = month_span(day.year, day.month)
        if not {ordinal - first + 1, ordinal - end} & set(rule.bymonthday):
            return False
    if rule.byyearday:
        first, end = month_span(day.year, 1)[0], month_span(day.year, 12)[1]
        if not {ordinal - first + 1, ordinal - end} & set(rule.byyearday):
            return False
    return True


def _month_days(numbers: Iterable[int], span: tuple[int, int]) -> list[int]:
    """Return the days of a span by their numbers, from the end if negative."""
    first, end = span
    days = (first + n - 1 if n > 0 else end + n for n in numbers)
    return [day for day in days if first <= day < end]


def _weekdays(wanted: Iterable[NthWeekday], span: tuple[int, int]) -> list[int]:
    """Return the days of a span that are such weekdays."""
    first, end = span
    days: list[int] = []
    for nth, weekday in wanted:
        earliest = first + (weekday - weekday_of(first)) % 7
        if nth == 0:
            days += range(earliest, end, 7)
            continue
        if nth > 0:
            day = earliest + 7 * (nth - 1)
        else:
            latest = end - 1 - (weekday_of(end - 1) - weekday) % 7
            day = latest + 7 * (nth + 1)
        if first <= day < end:
            days.append(day)
    return days
