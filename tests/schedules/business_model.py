"""Business days worked out slowly, day by day, to compare with."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from dateutil.easter import easter
from hypothesis import strategies as st

from trioqueue.schedules import BusinessCalendar, Holiday

if TYPE_CHECKING:
    from collections.abc import Iterator

ONE = timedelta(days=1)
FIRST, LAST = date(2000, 1, 1), date(2012, 12, 31)
"""The model is right for these days; it looks at the years around them too."""

_OBSERVED = st.sampled_from(
    [None, "nearest_weekday", "next_monday", "next_business_day"]
)
_YEARS = st.one_of(st.none(), st.integers(1998, 2013))


@st.composite
def _limits(draw: st.DrawFn) -> dict[str, int | None]:
    first, last = draw(_YEARS), draw(_YEARS)
    if first is not None and last is not None and first > last:
        first, last = last, first
    return {"first_year": first, "last_year": last}


def _fixed(day: date, observed: object, limits: dict[str, int | None]) -> Holiday:
    return Holiday.fixed(day.month, day.day, observed=observed, **limits)  # type: ignore[arg-type]  # one of the texts


HOLIDAYS = st.one_of(
    st.builds(
        Holiday.on,
        st.dates(date(1999, 12, 1), date(2013, 1, 31)),
        observed=_OBSERVED,
    ),
    st.builds(
        _fixed,
        # Most surprises are near the turn of the year.
        st.dates(date(2000, 1, 1), date(2000, 12, 31))
        | st.dates(date(2000, 12, 24), date(2001, 1, 6)),
        _OBSERVED,
        _limits(),
    ),
    st.builds(
        Holiday.relative,
        st.integers(1, 12),
        st.integers(1, 7),
        st.sampled_from([1, 2, 3, 4, 5, -1]),
        observed=_OBSERVED,
    ),
    st.builds(Holiday.easter, st.integers(-366, 366), observed=_OBSERVED),
)
CALENDARS = st.builds(
    BusinessCalendar,
    st.just("any"),
    st.lists(HOLIDAYS, max_size=8),
    st.sets(st.integers(1, 7), max_size=6),
)


def days_between(first: date, last: date) -> Iterator[date]:
    """Give every day."""
    while first <= last:
        yield first
        first += ONE


def _falls_on(holiday: Holiday, day: date) -> bool:
    years = (holiday.first_year or 1, holiday.last_year or 9999)
    if holiday.kind == "on":
        return day == holiday.date
    if holiday.kind == "easter":
        return any(
            day - easter(year) == timedelta(days=holiday.offset_days or 0)
            for year in (day.year - 1, day.year, day.year + 1)
            if years[0] <= year <= years[1]
        )
    if day.month != holiday.month or not years[0] <= day.year <= years[1]:
        return False
    if holiday.kind == "fixed":
        return day.day == holiday.day
    if holiday.nth == -1:
        right_week = (day + 7 * ONE).month != day.month
    else:
        right_week = (day.day - 1) // 7 + 1 == holiday.nth
    return day.isoweekday() == holiday.weekday and right_week


def _nearest(day: date, weekend: tuple[int, ...]) -> date:
    free = [
        near
        for near in days_between(day - 6 * ONE, day + 6 * ONE)
        if near.isoweekday() not in weekend
    ]
    return min(free, key=lambda near: (abs(near - day), -near.toordinal()))


def _monday_after(day: date, weekend: tuple[int, ...]) -> date:
    monday = next(d for d in days_between(day + ONE, day + 7 * ONE) if d.weekday() == 0)
    return next(
        d
        for d in days_between(monday, monday + 6 * ONE)
        if d.isoweekday() not in weekend
    )


def days_off(calendar: BusinessCalendar) -> set[date]:
    """Return the holidays, observed ones too, of every year of the model."""
    weekend = calendar.weekend_days
    off: set[date] = set()
    waiting: list[date] = []
    for day in days_between(date(FIRST.year - 2, 1, 1), date(LAST.year + 2, 12, 31)):
        for holiday in calendar.holidays:
            if not _falls_on(holiday, day):
                continue
            off.add(day)
            if holiday.observed is None or day.isoweekday() not in weekend:
                continue
            if holiday.observed == "next_business_day":
                waiting.append(day)
            elif holiday.observed == "nearest_weekday":
                off.add(_nearest(day, weekend))
            else:
                off.add(_monday_after(day, weekend))
    for day in waiting:
        for substitute in days_between(day + ONE, day + 31 * ONE):
            if substitute.isoweekday() not in weekend and substitute not in off:
                off.add(substitute)
                break
    return off


def business_days(calendar: BusinessCalendar) -> list[date]:
    """Return every business day of the model."""
    off = days_off(calendar)
    return [
        day
        for day in days_between(FIRST, LAST)
        if day.isoweekday() not in calendar.weekend_days and day not in off
    ]
