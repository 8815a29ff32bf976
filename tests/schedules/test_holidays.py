"""A holiday falls on the day that its rule says, and says what is wrong with it."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pytest
from dateutil.easter import easter
from hypothesis import given

from tests.schedules.business_model import HOLIDAYS
from trioqueue import ValidationError
from trioqueue.schedules import Holiday
from trioqueue.schedules.holidays import easter_sunday

if TYPE_CHECKING:
    from collections.abc import Mapping


def days_in(holiday: Holiday, *years: int) -> list[str]:
    """Return the days of a holiday by the rules of some years."""
    found = [holiday.ordinal_in(year) for year in years]
    return [date.fromordinal(day).isoformat() for day in found if day is not None]


def problems(holiday: Holiday) -> dict[str, str]:
    return {field: message for field, message, _ in holiday.problems()}


def test_easter_agrees_with_dateutil_in_every_year_that_it_knows() -> None:
    wrong = [year for year in range(1583, 4100) if easter_sunday(year) != easter(year)]
    assert wrong == []


@pytest.mark.parametrize(
    ("year", "expected"),
    [
        (1818, "1818-03-22"),
        (1943, "1943-04-25"),
        (1981, "1981-04-19"),
        (2000, "2000-04-23"),
        (2025, "2025-04-20"),
        (2285, "2285-03-22"),
    ],
)
def test_easter_is_right_in_the_years_that_are_hard(year: int, expected: str) -> None:
    assert easter_sunday(year).isoformat() == expected


def test_easter_is_a_sunday_from_22_march_to_25_april_in_any_year() -> None:
    found = [easter_sunday(year) for year in range(1, 10_000)]
    assert {day.isoweekday() for day in found} == {7}
    assert min((day.month, day.day) for day in found) == (3, 22)
    assert max((day.month, day.day) for day in found) == (4, 25)


def test_a_rule_based_holiday_does_not_collapse_to_the_first_of_january() -> None:
    rules = [
        Holiday.fixed(7, 4),
        Holiday.relative(11, 4, 4),
        Holiday.relative(5, 1, -1),
        Holiday.easter(-2),
    ]
    assert [days_in(rule, 2025) for rule in rules] == [
        ["2025-07-04"],
        ["2025-11-27"],
        ["2025-05-26"],
        ["2025-04-18"],
    ]


def test_29_february_is_a_holiday_in_leap_years_only() -> None:
    found = days_in(Holiday.fixed(2, 29), *range(1895, 1909))
    assert found == ["1896-02-29", "1904-02-29", "1908-02-29"]


def test_a_month_without_a_fifth_weekday_has_no_fifth() -> None:
    fifth = Holiday.relative(6, 1, 5)
    assert days_in(fifth, *range(2023, 2028)) == ["2025-06-30", "2026-06-29"]


def test_a_single_date_comes_once() -> None:
    assert days_in(Holiday.on("2026-12-24"), 2025, 2026, 2027) == ["2026-12-24"]


def test_first_and_last_year_are_inclusive() -> None:
    rule = Holiday.fixed(6, 19, first_year=2021, last_year=2023)
    found = days_in(rule, *range(2019, 2026))
    assert found == ["2021-06-19", "2022-06-19", "2023-06-19"]


@pytest.mark.parametrize(
    ("holiday", "expected"),
    [
        (
            Holiday.fixed(4, 31),
            {"day": "31 April does not exist: April has 30 days"},
        ),
        (
            Holiday.fixed(2, 30),
            {"day": "30 February does not exist: February has 29 days"},
        ),
        (
            Holiday.fixed(13, 0),
            {
                "month": "must be a whole number from 1 to 12, got 13",
                "day": "must be a whole number from 1 to 31, got 0",
            },
        ),
        (
            Holiday.relative(0, 8, 6),
            {
                "month": "must be a whole number from 1 to 12, got 0",
                "weekday": "must be a whole number from 1 to 7, got 8",
                "nth": "must be 1 to 5, or -1 for the last one, got 6",
            },
        ),
        (
            Holiday.relative(1, 1, -2),
            {"nth": "must be 1 to 5, or -1 for the last one, got -2"},
        ),
        (
            Holiday.relative(1, 1, True),
            {"nth": "must be 1 to 5, or -1 for the last one, got True"},
        ),
        (
            Holiday.easter(367),
            {"offset_days": "must be a whole number from -366 to 366, got 367"},
        ),
        (
            Holiday.on("24 Dec"),
            {
                "date": "'24 Dec' is no date; write date(2026, 1, 31) or '2026-01-31'",
            },
        ),
        (Holiday("on"), {"date": "is missing"}),
        (
            Holiday.fixed(1, 1, first_year=2026, last_year=2025),
            {"last_year": "2025 is before first_year 2026"},
        ),
        (
            Holiday.fixed(1, 1, first_year=0, last_year=10_000),
            {
                "first_year": "must be a whole number from 1 to 9999, got 0",
                "last_year": "must be a whole number from 1 to 9999, got 10000",
            },
        ),
        (
            Holiday("fixed", month=1, day=1, offset_days=3),
            {"offset_days": "means nothing for a holiday of kind 'fixed'"},
        ),
        (
            Holiday("on", date="2026-01-01", first_year=2020),
            {"first_year": "means nothing for a holiday of kind 'on'"},
        ),
    ],
)
def test_every_wrong_value_is_named(holiday: Holiday, expected: dict[str, str]) -> None:
    assert problems(holiday) == expected


def test_wrong_types_are_named_together_not_raised() -> None:
    bad: dict[str, Any] = {"month": "1", "day": 1.0, "name": 7, "observed": "sometime"}
    assert set(problems(Holiday.fixed(**bad))) == {"month", "day", "name", "observed"}
    unhashable: Any = []
    assert set(problems(Holiday(unhashable))) == {"kind"}
    assert set(problems(Holiday.on(datetime(2026, 1, 1, 9)))) == {"date"}


@given(HOLIDAYS)
def test_a_holiday_survives_its_document(holiday: Holiday) -> None:
    document = json.loads(json.dumps(holiday.to_document()))
    assert Holiday.from_document(document) == holiday
    assert list(holiday.problems()) == []


def test_a_document_holds_nothing_but_what_was_said() -> None:
    holiday = Holiday.on(date(2026, 12, 24), "Eve")
    expected = {"kind": "on", "name": "Eve", "date": "2026-12-24"}
    assert holiday.to_document() == expected


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"kind": "on", "moon": 1, "sun": 2}, "does not know 'moon', 'sun'"),
        ({"month": 1}, "lacks 'kind'"),
        ([], "expected a mapping"),
    ],
)
def test_a_damaged_document_is_refused(
    document: Mapping[str, Any], expected: str
) -> None:
    with pytest.raises(ValidationError, match=expected):
        Holiday.from_document(document)
