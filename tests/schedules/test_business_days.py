"""A business calendar knows its business days, also where holidays are moved."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from bisect import bisect_left, bisect_right
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.schedules.business_model import (
    CALENDARS,
    FIRST,
    LAST,
    business_days,
    days_between,
    days_off,
)
from trioqueue import ValidationError
from trioqueue.schedules import BusinessCalendar, Holiday
from trioqueue.schedules.holiday_table import HolidayTable

US = BusinessCalendar(
    "us",
    [
        Holiday.fixed(1, 1, "New Year", observed="nearest_weekday"),
        Holiday.relative(1, 1, 3, "King"),
        Holiday.relative(5, 1, -1, "Memorial"),
        Holiday.fixed(6, 19, "Juneteenth", observed="nearest_weekday", first_year=2021),
        Holiday.fixed(7, 4, "Independence", observed="nearest_weekday"),
        Holiday.relative(9, 1, 1, "Labor"),
        Holiday.relative(11, 4, 4, "Thanksgiving"),
        Holiday.fixed(12, 25, "Christmas", observed="nearest_weekday"),
        Holiday.easter(-2, "Good Friday"),
    ],
)
UK = BusinessCalendar(
    "uk",
    [
        Holiday.fixed(1, 1, "New Year", observed="next_business_day"),
        Holiday.fixed(12, 25, "Christmas", observed="next_business_day"),
        Holiday.fixed(12, 26, "Boxing", observed="next_business_day"),
    ],
)


def listed(calendar: BusinessCalendar, year: int) -> list[str]:
    """Return the holidays of a year as short texts."""
    found = calendar.holidays_in(year)
    return [f"{day:%m-%d} {name}" for day, name in found.items()]


@pytest.mark.parametrize("day", ["01-01", "04-18", "07-04", "09-01", "11-27", "12-25"])
def test_a_us_holiday_of_2025_is_no_business_day(day: str) -> None:
    assert not US.is_business_day(date.fromisoformat(f"2025-{day}"))


@pytest.mark.parametrize("day", ["01-02", "04-17", "07-03", "09-02", "11-28", "12-26"])
def test_the_days_beside_them_are_business_days(day: str) -> None:
    assert US.is_business_day(date.fromisoformat(f"2025-{day}"))


def test_the_holidays_of_a_year_are_listed_in_order_with_names() -> None:
    assert listed(US, 2025) == [
        "01-01 New Year",
        "01-20 King",
        "04-18 Good Friday",
        "05-26 Memorial",
        "06-19 Juneteenth",
        "07-04 Independence",
        "09-01 Labor",
        "11-27 Thanksgiving",
        "12-25 Christmas",
    ]


def test_a_holiday_on_saturday_is_observed_in_the_year_before() -> None:
    assert not US.is_business_day(date(2021, 12, 31))
    assert "12-31 New Year (observed)" in listed(US, 2021)
    assert listed(US, 2022)[0] == "01-01 New Year"
    assert US.is_business_day(date(2022, 1, 3))


@pytest.mark.parametrize(
    ("year", "expected"),
    [
        (2020, ["12-25 Christmas", "12-26 Boxing", "12-28 Boxing (observed)"]),
        (
            2021,
            [
                "12-25 Christmas",
                "12-26 Boxing",
                "12-27 Christmas (observed)",
                "12-28 Boxing (observed)",
            ],
        ),
        (2022, ["12-25 Christmas", "12-26 Boxing", "12-27 Christmas (observed)"]),
        (2023, ["12-25 Christmas", "12-26 Boxing"]),
    ],
)
def test_uk_substitutes_step_over_other_holidays(
    year: int, expected: list[str]
) -> None:
    found = [text for text in listed(UK, year) if text.startswith("12")]
    assert found == expected


def test_substitutes_of_both_sides_of_a_year_do_not_share_a_day() -> None:
    eve = Holiday.fixed(12, 31, "Eve", observed="next_business_day")
    calendar = UK.with_holidays([eve])
    # 31 Dec 2022 was a Saturday.
    assert listed(calendar, 2023)[:3] == [
        "01-01 New Year",
        "01-02 Eve (observed)",
        "01-03 New Year (observed)",
    ]


def test_next_monday_is_taken_although_it_is_a_holiday_itself() -> None:
    calendar = BusinessCalendar(
        "x",
        [
            Holiday.on("2021-12-26", "A", observed="next_monday"),
            Holiday.on("2021-12-27"),
        ],
    )
    assert listed(calendar, 2021) == ["12-26 A", "12-27 A (observed)"]


@pytest.mark.parametrize(
    ("observed", "friday_moves_to", "saturday_moves_to"),
    [
        ("nearest_weekday", "2026-01-01", "2026-01-04"),
        ("next_monday", "2026-01-05", "2026-01-05"),
        ("next_business_day", "2026-01-04", "2026-01-04"),
    ],
)
def test_holidays_move_by_the_calendars_own_weekend(
    observed: Any, friday_moves_to: str, saturday_moves_to: str
) -> None:
    # 2 January 2026 is a Friday.
    for day, moved in (("02", friday_moves_to), ("03", saturday_moves_to)):
        holiday = Holiday.on(f"2026-01-{day}", observed=observed)
        gulf = BusinessCalendar("gulf", [holiday], weekend_days=(5, 6))
        found = [found.isoformat() for found in gulf.holidays_in(2026)]
        assert sorted({f"2026-01-{day}", moved}) == sorted(found)
    assert gulf.is_business_day(date(2026, 1, 11))
    assert not gulf.is_business_day(date(2026, 1, 9))


def test_days_counted_from_easter_may_lie_in_the_years_beside_it() -> None:
    calendar = BusinessCalendar(
        "x",
        [
            Holiday.easter(-366, "before", first_year=2025, last_year=2025),
            Holiday.easter(366, "after", first_year=2025, last_year=2025),
        ],
    )
    # Easter Sunday is 20 April 2025.
    assert listed(calendar, 2024) == ["04-19 before"]
    assert listed(calendar, 2025) == []
    assert listed(calendar, 2026) == ["04-21 after"]


def test_a_calendar_may_have_no_weekend() -> None:
    calendar = BusinessCalendar("shop", [Holiday.fixed(1, 1)], weekend_days=())
    days = days_between(date(2023, 1, 1), date(2023, 1, 8))
    assert [calendar.is_business_day(day) for day in days] == [False] + 7 * [True]


def test_a_substitute_that_finds_no_day_within_a_month_is_dropped() -> None:
    days = list(days_between(date(2023, 1, 1), date(2023, 3, 1)))
    holidays = [Holiday.on(day, observed="next_business_day") for day in days]
    calendar = BusinessCalendar("long", holidays)
    # From the weekend of 4 February on, a free day is less than a month away.
    found = list(calendar.holidays_in(2023))
    assert found[:60] == days
    assert [day.day for day in found[60:]] == [2, 3, 6, 7, 8, 9, 10, 13]


@settings(deadline=None, max_examples=25)
@given(CALENDARS)
@example(US)
@example(UK)
@example(UK.with_holidays([Holiday.fixed(12, 31, observed="next_business_day")]))
def test_it_agrees_with_a_model_day_by_day(calendar: BusinessCalendar) -> None:
    off = days_off(calendar)
    working = set(business_days(calendar))
    for year in range(FIRST.year, LAST.year + 1):
        found = calendar.holidays_in(year)
        assert list(found) == sorted(day for day in off if day.year == year)
    for day in days_between(FIRST, LAST):
        assert calendar.is_business_day(day.toordinal()) == (day in working), day


@settings(deadline=None, max_examples=40)
@given(CALENDARS, st.dates(date(2004, 1, 1), date(2008, 12, 31)), st.integers(-60, 60))
def test_next_previous_and_add_agree_with_a_list_of_days(
    calendar: BusinessCalendar, day: date, count: int
) -> None:
    working = business_days(calendar)
    after = bisect_left(working, day)
    assert calendar.next_business_day(day) == working[after]
    assert (
        calendar.previous_business_day(day) == working[bisect_right(working, day) - 1]
    )
    if count > 0:
        expected = working[bisect_right(working, day) + count - 1]
    else:
        expected = working[after + count]
    assert calendar.add_business_days(day, count) == expected


def test_adding_goes_from_business_day_to_business_day() -> None:
    friday, saturday = date(2025, 7, 4), date(2025, 7, 5)
    assert US.add_business_days(friday, 0) == date(2025, 7, 7)
    assert US.add_business_days(saturday, 1) == date(2025, 7, 7)
    assert US.add_business_days(saturday, -1) == date(2025, 7, 3)
    assert US.add_business_days(date(2025, 7, 3), 0) == date(2025, 7, 3)
    # 260 days from Monday to Friday, less nine holidays; then 3 July is observed.
    assert US.add_business_days(date(2025, 7, 3), 251) == date(2026, 7, 2)
    assert US.add_business_days(date(2025, 7, 3), 252) == date(2026, 7, 6)


@pytest.mark.parametrize("calendar", [US, UK], ids=["us", "uk"])
def test_the_first_and_the_last_year_are_no_exception(
    calendar: BusinessCalendar,
) -> None:
    moving = calendar.with_holidays(
        [
            Holiday.fixed(12, 31, observed="next_business_day"),
            Holiday.easter(366),
            Holiday.easter(-366),
        ]
    )
    for edge in (date.min, date.max):
        assert edge in moving.holidays_in(edge.year)
        assert not moving.is_business_day(edge)
    assert moving.next_business_day(date.min) == date(1, 1, 2)
    assert moving.previous_business_day(date.max) == date(9999, 12, 30)


@pytest.mark.parametrize(
    "observed", ["nearest_weekday", "next_monday", "next_business_day"]
)
def test_what_would_be_observed_outside_of_all_years_is_not_observed(
    observed: Any,
) -> None:
    # The year 1 begins on a Monday, the year 9999 ends on a Friday.
    holidays = [Holiday.on(day, observed=observed) for day in (date.min, date.max)]
    calendar = BusinessCalendar("x", holidays, weekend_days=(1, 5))
    assert list(calendar.holidays_in(9999)) == [date.max]
    assert next(iter(calendar.holidays_in(1))) == date.min


@pytest.mark.parametrize("step", [1, -1])
def test_there_is_no_business_day_beyond_the_last_one(step: int) -> None:
    edge = date.max if step > 0 else date.min
    shut = BusinessCalendar("x", [Holiday.on(edge)])
    seek = shut.next_business_day if step > 0 else shut.previous_business_day
    with pytest.raises(ValidationError, match="no business day"):
        seek(edge)
    with pytest.raises(ValidationError, match="no business day"):
        shut.add_business_days(edge, step * 10**12)


def test_a_calendar_of_nothing_but_holidays_ends_the_search() -> None:
    every_day = [
        Holiday.fixed(month, day)
        for month in range(1, 13)
        for day in range(1, 32)
        if not list(Holiday.fixed(month, day).problems())
    ]
    assert len(every_day) == 366
    shut = BusinessCalendar("shut", every_day)
    with pytest.raises(ValidationError, match=r"'shut' has no business day within ten"):
        shut.next_business_day(date(2026, 1, 1))


@pytest.mark.parametrize(
    "day",
    [
        0,
        -1,
        date.max.toordinal() + 1,
        10**30,
        True,
        "2026-01-01",
        None,
        1.5,
        datetime(2026, 1, 1),
    ],
)
def test_what_is_no_day_is_refused(day: Any) -> None:
    for ask in (US.is_business_day, US.next_business_day, US.previous_business_day):
        with pytest.raises(ValidationError, match="day: "):
            ask(day)


@pytest.mark.parametrize("year", [0, 10_000, "2026", True])
def test_what_is_no_year_is_refused(year: Any) -> None:
    with pytest.raises(ValidationError, match="year: must be a whole number"):
        US.holidays_in(year)
    with pytest.raises(ValidationError, match="count: must be a whole number"):
        US.add_business_days(date(2026, 1, 1), str(year))  # type: ignore[arg-type]  # refused


def test_a_year_is_computed_once_by_however_many_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    names = HolidayTable.names

    def counted(table: HolidayTable, year: int) -> dict[int, str]:
        asked.append(year)
        return names(table, year)

    monkeypatch.setattr(HolidayTable, "names", counted)
    calendar = copy.deepcopy(UK)
    for _ in range(3):
        for day in days_between(date(2020, 1, 1), date(2021, 12, 31)):
            calendar.is_business_day(day)
    assert asked == [2020, 2021]

    wrong: list[date] = []

    def look() -> None:
        wrong.extend(
            day
            for day in days_between(date(2000, 1, 1), date(2012, 12, 31))
            if calendar.is_business_day(day) != UK.is_business_day(day)
        )

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert wrong == []


def test_what_is_kept_is_bounded() -> None:
    table = HolidayTable(US.holidays, US.weekend_days)
    for year in range(1000, 2000):
        table.is_business_day(date(year, 7, 3).toordinal())
    kept = [
        cache.cache_info().currsize
        for cache in (table._days, table._settled, table._moved)
    ]
    assert max(kept) <= 128


def test_a_calendar_that_was_used_is_still_pickled_and_equal() -> None:
    assert US.is_business_day(date(2025, 7, 3))
    again = pickle.loads(pickle.dumps(US))  # noqa: S301  our own
    assert again == US
    assert hash(again) == hash(US)
    assert not again.is_business_day(date(2025, 7, 4))
