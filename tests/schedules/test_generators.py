"""Day generators give the days of a function, from any day on."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.schedules.business_model import CALENDARS, FIRST, LAST, business_days
from trioqueue import ValidationError
from trioqueue.schedules import BusinessCalendar, Holiday, Period
from trioqueue.schedules.generators import (
    _GENERATORS,
    MAX_EMPTY_YEARS,
    Generator,
    get_generator,
)

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN = BusinessCalendar("plain")
US = BusinessCalendar(
    "us",
    [
        Holiday.fixed(1, 1, observed="nearest_weekday"),
        Holiday.relative(5, 1, -1),
        Holiday.fixed(12, 25),
        Holiday.easter(-2),
    ],
)
NAMES = [
    "business_day_on_or_after",
    "business_day_on_or_before",
    "first_business_day_of_month",
    "last_business_day_of_month",
    "last_business_day_of_quarter",
    "nth_business_day",
]


@pytest.fixture
def own() -> Iterator[None]:
    """Take back what a test registers."""
    before = dict(_GENERATORS)
    yield
    _GENERATORS.clear()
    _GENERATORS.update(before)


def days(
    name: str, start: str, count: int, calendar: BusinessCalendar = US, **given: Any
) -> list[str]:
    """Return the next days of a generator."""
    first = date.fromisoformat(start).toordinal()
    found = get_generator(name).days_from(first, calendar, given)
    return [date.fromordinal(day).isoformat() for day in itertools.islice(found, count)]


def test_the_last_business_day_of_a_month_steps_over_weekends_and_holidays() -> None:
    assert days("last_business_day_of_month", "2021-05-01", 8) == [
        "2021-05-28",  # the 29th and 30th are a weekend, the 31st is Memorial Day
        "2021-06-30",
        "2021-07-30",
        "2021-08-31",
        "2021-09-30",
        "2021-10-29",
        "2021-11-30",
        "2021-12-30",  # New Year is observed on the 31st
    ]


def test_the_last_business_day_of_a_quarter_steps_over_good_friday() -> None:
    calendar = US.with_holidays([Holiday.on("2024-03-28", "closed")])
    assert days("last_business_day_of_quarter", "2024-01-01", 4, calendar) == [
        "2024-03-27",  # the 28th is closed, the 29th Good Friday, then a weekend
        "2024-06-28",
        "2024-09-30",
        "2024-12-31",
    ]


@pytest.mark.parametrize(
    ("name", "given_parameters", "expected"),
    [
        ("first_business_day_of_month", {}, "01-03 02-01 03-01 04-01"),
        ("nth_business_day", {"n": 3}, "01-05 02-03 03-03 04-05"),
        ("nth_business_day", {"n": -2}, "01-28 02-25 03-30 04-28"),
        ("nth_business_day", {"n": 22}, "03-30 06-30 08-30 09-30"),
        ("business_day_on_or_after", {"day": 15}, "01-17 02-15 03-15 04-18"),
        ("business_day_on_or_after", {"day": 31}, "01-31 03-31 05-31 08-01"),
        ("business_day_on_or_before", {"day": 15}, "01-14 02-15 03-15 04-14"),
        ("business_day_on_or_before", {"day": 31}, "01-31 03-31 05-31 07-29"),
        ("business_day_on_or_before", {"day": 1}, "02-01 03-01 04-01 04-29"),
    ],
)
def test_the_days_of_2022(
    name: str, given_parameters: dict[str, Any], expected: str
) -> None:
    calendar = US if "31" not in str(given_parameters) else PLAIN
    found = days(name, "2022-01-01", 4, calendar, **given_parameters)
    assert " ".join(day.removeprefix("2022-") for day in found) == expected


def naive(name: str, number: int, working: list[date]) -> list[date]:
    """Work the days of a built-in generator out from a list of business days."""
    months = [
        (year, m) for year in range(FIRST.year, LAST.year + 1) for m in range(1, 13)
    ]
    found: set[date] = set()
    for year, month in months:
        ours = [day for day in working if (day.year, day.month) == (year, month)]
        if name == "business_day_on_or_after":
            found.update(_nearest(year, month, number, working, 1))
        elif name == "business_day_on_or_before":
            found.update(_nearest(year, month, number, working, -1))
        elif name == "last_business_day_of_quarter":
            span = range(month - 2, month + 1)
            ours = [day for day in working if day.year == year and day.month in span]
            found.update(ours[-1:] if month % 3 == 0 else ())
        elif name == "first_business_day_of_month":
            found.update(ours[:1])
        elif name == "last_business_day_of_month":
            found.update(ours[-1:])
        elif abs(number) <= len(ours):
            found.add(ours[number - 1 if number > 0 else number])
    return sorted(found)


def _nearest(
    year: int, month: int, number: int, working: list[date], step: int
) -> list[date]:
    try:
        target = date(year, month, number)
    except ValueError:
        return []
    first = date(year, month, 1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    if step > 0:
        end = last + timedelta(days=31)
        return [day for day in working if target <= day <= end][:1]
    end = first - timedelta(days=31)
    return [day for day in working if end <= day <= target][-1:]


@settings(deadline=None, max_examples=25)
@given(CALENDARS, st.sampled_from(NAMES), st.integers(1, 23), st.booleans())
def test_built_in_ones_agree_with_a_model_over_a_decade(
    calendar: BusinessCalendar, name: str, number: int, backwards: bool
) -> None:
    parameters: dict[str, int] = {}
    if name == "nth_business_day":
        number = -number if backwards else number
        parameters = {"n": number}
    elif name.startswith("business_day_on"):
        number += 8 * backwards
        parameters = {"day": number}
    found = get_generator(name).days_from(FIRST.toordinal(), calendar, parameters)
    end = date(LAST.year, 10, 1)
    ours = list(itertools.takewhile(end.toordinal().__gt__, found))
    expected = naive(name, number, business_days(calendar))
    # Near the first day, the model does not know the business days before it.
    start = date(FIRST.year, 3, 15)
    assert [date.fromordinal(day) for day in ours if day >= start.toordinal()] == [
        day for day in expected if start <= day < end
    ]


@pytest.mark.usefixtures("own")
@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(["month", "quarter", "year"]),
    st.lists(st.integers(-31, 60), min_size=1, max_size=5),
    st.integers(2, 7),
)
def test_the_days_do_not_depend_on_where_one_begins(
    kind: Any, offsets: list[int], modulus: int
) -> None:
    def scattered(period: Period, calendar: BusinessCalendar) -> Iterable[date]:
        # Not every period has days; those of neighbours overlap and repeat.
        for offset in offsets if (period.index + period.year) % modulus else ():
            day = period.first_day + timedelta(days=offset)
            if day <= period.last_day + timedelta(days=31):
                yield day
                yield day

    generator = Generator("scattered", kind, scattered)
    start, end = date(2023, 1, 1).toordinal(), date(2026, 1, 1).toordinal()

    def from_day(first: int) -> list[int]:
        found = generator.days_from(first, PLAIN, {})
        return list(itertools.takewhile(end.__gt__, itertools.islice(found, 500)))

    periods = {
        Period.of(kind, date(2022, 9, 1) + timedelta(days=n)) for n in range(1500)
    } | {Period("year", 2022) for _ in range(kind == "year")}
    everything = {d.toordinal() for p in periods for d in scattered(p, PLAIN)}
    expected = sorted(day for day in everything if start <= day < end)
    assert from_day(start) == expected
    for first in range(start, end, 11):
        assert from_day(first) == [day for day in expected if day >= first]


def test_days_of_neighbouring_periods_come_in_order_and_once() -> None:
    def far(period: Period, calendar: BusinessCalendar) -> list[date]:
        month = timedelta(days=31)
        after = period.last_day + timedelta(days=1)
        return [period.last_day + month, after - month, period.first_day - month]

    found = Generator("far", "month", far).days_from(
        date(2023, 3, 1).toordinal(), PLAIN, {}
    )
    shown = [date.fromordinal(day) for day in itertools.islice(found, 7)]
    assert [f"{day:%m-%d}" for day in shown] == [
        "03-01",  # from March and April
        "03-03",  # from January, the last day it can reach
        "03-31",  # from February, April and May
        "05-01",
        "05-31",
        "07-01",
        "07-31",
    ]


@pytest.mark.parametrize("kind", ["month", "quarter", "year"])
@pytest.mark.parametrize("year", [1, 1900, 2026, 9900])
def test_one_that_never_gives_a_day_ends(kind: Any, year: int) -> None:
    asked: list[int] = []

    def never(period: Period, calendar: BusinessCalendar) -> Iterable[date]:
        asked.append(period.year)
        return ()

    generator = Generator("never", kind, never)
    assert list(generator.days_from(date(year, 6, 1).toordinal(), PLAIN, {})) == []
    assert asked[0] == year
    begin = year if year + MAX_EMPTY_YEARS >= 1970 else 1970
    assert asked[-1] == min(begin + MAX_EMPTY_YEARS, 9999)
    assert len(asked) <= 2 * (MAX_EMPTY_YEARS * 12 + 1)


def test_one_whose_days_begin_late_is_found_from_the_first_year_on() -> None:
    def moon_landings(period: Period, calendar: BusinessCalendar) -> list[date]:
        return [date(2028, 7, 20)] if period.year == 2028 else []

    generator = Generator("landings", "year", moon_landings)
    assert list(generator.days_from(1, PLAIN, {})) == [date(2028, 7, 20).toordinal()]


@pytest.mark.parametrize("name", NAMES)
def test_the_first_and_the_last_year_are_no_exception(name: str) -> None:
    parameters = {
        "nth_business_day": {"n": 1},
        "business_day_on_or_after": {"day": 31},
        "business_day_on_or_before": {"day": 1},
    }.get(name, {})
    generator = get_generator(name)
    calendar = BusinessCalendar("x", [Holiday.on(date.min), Holiday.on(date.max)])
    found = itertools.islice(generator.days_from(-5, calendar, parameters), 3)
    assert all(1 <= day < 400 for day in found)
    start = date(9999, 9, 15).toordinal()
    last = list(generator.days_from(start, calendar, parameters))
    assert last
    assert all(start <= day < date.max.toordinal() for day in last)
    assert (
        list(generator.days_from(date.max.toordinal() + 1, calendar, parameters)) == []
    )


def test_a_function_that_steps_over_the_ends_of_all_years_gives_no_day_there() -> None:
    def day_before(period: Period, calendar: BusinessCalendar) -> list[date]:
        return [period.first_day - timedelta(days=1)]

    def day_after(period: Period, calendar: BusinessCalendar) -> list[date]:
        return [period.last_day + timedelta(days=1)]

    before = Generator("before", "year", day_before)
    assert next(before.days_from(1, PLAIN, {})) == date(1, 12, 31).toordinal()
    after = Generator("after", "year", day_after)
    edge = date(9999, 1, 1).toordinal()
    assert list(after.days_from(edge, PLAIN, {})) == [edge]


def broken(problem: Callable[[], Iterable[Any]]) -> Generator:
    def function(period: Period, calendar: BusinessCalendar) -> Iterable[Any]:
        return problem()

    return Generator("broken", "month", function)


def endless() -> Iterator[date]:
    while True:
        yield date(2026, 3, 1)


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (lambda: 1 / 0, "asked for 2026-03, failed: ZeroDivisionError"),
        (lambda: date.max + timedelta(days=1), "2026-03, failed: OverflowError"),
        (lambda: None, "asked for 2026-03, failed: TypeError"),
        (lambda: ["2026-03-01"], "gave '2026-03-01', which is no date"),
        (lambda: [None], "gave None, which is no date"),
        (lambda: [datetime(2026, 3, 1)], "which is no date"),
        (lambda: [date(2026, 5, 2)], "gave 2026-05-02, more than 31 days outside"),
        (lambda: [date(2026, 1, 28)], "gave 2026-01-28, more than 31 days outside"),
        (endless, "gave more than 1000 days"),
    ],
)
def test_a_function_that_fails_is_named(problem: Any, expected: str) -> None:
    start = date(2026, 4, 1).toordinal()
    with pytest.raises(ValidationError, match=f"'broken', .*{expected}"):
        list(broken(problem).days_from(start, PLAIN, {}))


def test_an_invalid_calendar_is_told_as_it_is() -> None:
    calendar = BusinessCalendar("x", [Holiday.fixed(4, 31)])
    with pytest.raises(ValidationError, match="31 April does not exist"):
        days("last_business_day_of_month", "2026-01-01", 1, calendar)


@pytest.mark.parametrize(
    ("period", "first", "last", "shown"),
    [
        (Period("month", 2024, 2), "2024-02-01", "2024-02-29", "2024-02"),
        (Period("quarter", 2025, 4), "2025-10-01", "2025-12-31", "2025-Q4"),
        (Period("year", 2025), "2025-01-01", "2025-12-31", "2025"),
        (Period("month", 9999, 12), "9999-12-01", "9999-12-31", "9999-12"),
    ],
)
def test_a_period_knows_its_days(
    period: Period, first: str, last: str, shown: str
) -> None:
    found = list(period.days())
    assert (found[0].isoformat(), found[-1].isoformat()) == (first, last)
    assert (found[0], found[-1]) == (period.first_day, period.last_day)
    assert len(found) == (period.last_day - period.first_day).days + 1
    assert {Period.of(period.kind, day) for day in found} == {period}
    assert str(period) == shown


@pytest.mark.parametrize(
    "wrong",
    [("week", 2026, 1), ("month", 2026, 13), ("quarter", 0, 1), ("year", 2026, True)],
)
def test_what_is_no_period_is_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError, match="must be"):
        Period(*wrong)
