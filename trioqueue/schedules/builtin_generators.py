"""The day generators that come with trioqueue: business days near month ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Final

from trioqueue.schedules.wall_clock import LAST_ORDINAL

if TYPE_CHECKING:
    from trioqueue.schedules.business_days import BusinessCalendar
    from trioqueue.schedules.periods import Period

REACH_DAYS: Final = 31
"""How far outside of its period a generated day may be."""
MAX_NTH: Final = 23
"""No month has more days from Monday to Friday."""


def first_business_day(period: Period, calendar: BusinessCalendar) -> list[date]:
    """Return the first business day of a period."""
    return _first(period.days(), calendar)


def last_business_day(period: Period, calendar: BusinessCalendar) -> list[date]:
    """Return the last business day of a period."""
    return _first(_backwards(period), calendar)


def nth_business_day(period: Period, calendar: BusinessCalendar, n: int) -> list[date]:
    """Return the nth business day of a period, counted from its end if negative."""
    days = period.days() if n > 0 else _backwards(period)
    return _first(days, calendar, abs(n))


def business_day_on_or_after(
    period: Period, calendar: BusinessCalendar, day: int
) -> list[date]:
    """Return the first business day from a day of the month on."""
    start = period.first_day.toordinal() + day - 1
    last = period.last_day.toordinal()
    if start > last:
        return []
    end = min(last + REACH_DAYS, LAST_ORDINAL)
    return _first(_dates(range(start, end + 1)), calendar)


def business_day_on_or_before(
    period: Period, calendar: BusinessCalendar, day: int
) -> list[date]:
    """Return the last business day up to a day of the month."""
    first = period.first_day.toordinal()
    start = first + day - 1
    if start > period.last_day.toordinal():
        return []
    end = max(first - REACH_DAYS, 1)
    return _first(_dates(range(start, end - 1, -1)), calendar)


def n_problem(n: int) -> Iterator[str]:
    """Say what is wrong with the number of a business day."""
    if not 1 <= abs(n) <= MAX_NTH:
        yield f"n must be 1 to {MAX_NTH}, or -1 to -{MAX_NTH} from the end, got {n}"


def day_problem(day: int) -> Iterator[str]:
    """Say what is wrong with a day of a month."""
    if not 1 <= day <= 31:
        yield f"day must be 1 to 31, got {day}"


def register_builtins(register: Callable[..., Callable[..., object]]) -> None:
    """Register them all.

    Args:
        register: `register_generator`, whose module asks for it when it is ready.
    """
    register(
        "first_business_day_of_month",
        period="month",
        describe="the first business day of every month",
    )(first_business_day)
    register(
        "last_business_day_of_month",
        period="month",
        describe="the last business day of every month",
    )(last_business_day)
    register(
        "last_business_day_of_quarter",
        period="quarter",
        describe="the last business day of every quarter",
    )(last_business_day)
    register(
        "nth_business_day",
        period="month",
        describe="the {n:nth} business day of every month",
        check=n_problem,
    )(nth_business_day)
    register(
        "business_day_on_or_after",
        period="month",
        describe="the first business day on or after the {day:nth} of the month",
        check=day_problem,
    )(business_day_on_or_after)
    register(
        "business_day_on_or_before",
        period="month",
        describe="the last business day on or before the {day:nth} of the month",
        check=day_problem,
    )(business_day_on_or_before)


def _dates(ordinals: Iterable[int]) -> Iterator[date]:
    return map(date.fromordinal, ordinals)


def _backwards(period: Period) -> Iterator[date]:
    first, last = period.first_day.toordinal(), period.last_day.toordinal()
    return _dates(range(last, first - 1, -1))


def _first(
    days: Iterable[date], calendar: BusinessCalendar, count: int = 1
) -> list[date]:
    for day in days:
        if calendar.is_business_day(day):
            count -= 1
            if not count:
                return [day]
    return []
