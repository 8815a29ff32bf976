"""A business calendar names everything that is wrong with it, and can be stored."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings

from tests.schedules.business_model import CALENDARS
from trioqueue import ValidationError
from trioqueue.schedules import BusinessCalendar, Holiday


def errors(calendar: BusinessCalendar) -> list[tuple[str, str]]:
    """Return the fields and texts of errors."""
    found = calendar.validate()
    return [
        (issue.field, issue.message) for issue in found if issue.severity == "error"
    ]


def test_everything_is_named_at_once() -> None:
    calendar = BusinessCalendar(
        "no spaces",
        [
            Holiday.fixed(4, 31),
            Holiday.relative(13, 1, 1),
            "1 May",
            Holiday.fixed(12, 25),
        ],
        weekend_days=(0, 8),
    )
    assert errors(calendar) == [
        ("id", "must be 1 to 128 characters A-Z a-z 0-9 . _ -, got 'no spaces'"),
        ("weekend_days", "must be whole numbers from 1 to 7, got 0"),
        ("weekend_days", "must be whole numbers from 1 to 7, got 8"),
        ("holidays[0].day", "31 April does not exist: April has 30 days"),
        ("holidays[1].month", "must be a whole number from 1 to 12, got 13"),
        ("holidays[2]", "'1 May' is no Holiday"),
    ]


def test_one_with_errors_cannot_be_asked_and_tells_all_of_them() -> None:
    calendar = BusinessCalendar("x y", [Holiday.fixed(4, 31)])
    day = date(2026, 1, 1)
    for ask in (
        calendar.is_business_day,
        calendar.next_business_day,
        calendar.previous_business_day,
        lambda day: calendar.holidays_in(day.year),
        lambda day: calendar.add_business_days(day, 3),
    ):
        with pytest.raises(ValidationError) as caught:
            ask(day)
        fields = [issue.field for issue in caught.value.issues]
        assert fields == ["id", "holidays[0].day"]


@pytest.mark.parametrize("bad", ["", "a" * 129, "a b", "ä", "a/b", "a\n", 7, None])
def test_a_bad_id_is_refused(bad: Any) -> None:
    assert [field for field, _ in errors(BusinessCalendar(bad))] == ["id"]


@pytest.mark.parametrize("good", ["a", "a" * 128, "US-NY", "de_BY.2026"])
def test_a_good_id_is_taken(good: str) -> None:
    assert BusinessCalendar(good).validate() == []


def test_a_week_without_business_days_is_refused() -> None:
    calendar = BusinessCalendar("x", weekend_days=range(1, 8))
    assert errors(calendar) == [
        ("weekend_days", "are all seven days: there is no business day")
    ]


@pytest.mark.parametrize(
    ("given_days", "field"),
    [
        ("67", "weekend_days"),
        (True, "weekend_days"),
        ([6.0], "weekend_days"),
        (6.5, "weekend_days"),
        ([[6]], "weekend_days"),
        ({}, None),
        (None, None),
        (7, None),
        ([7, 6, 7], None),
    ],
)
def test_weekend_days_are_whole_numbers(given_days: Any, field: str | None) -> None:
    found = {name for name, _ in errors(BusinessCalendar("x", weekend_days=given_days))}
    assert found == ({field} if field else set())


@pytest.mark.parametrize("field", ["name", "description", "source"])
def test_texts_are_texts(field: str) -> None:
    wrong: Any = {field: 7}
    assert errors(BusinessCalendar("x", **wrong)) == [(field, "must be a text, got 7")]


def test_holidays_are_a_list() -> None:
    wrong: Any = 7
    assert [field for field, _ in errors(BusinessCalendar("x", wrong))] == [
        "holidays[0]"
    ]
    many = [Holiday.fixed(1, 1, first_year=n, last_year=n) for n in range(1, 9999)]
    assert errors(BusinessCalendar("x", many)) == []
    assert errors(BusinessCalendar("x", many + many)) == [
        ("holidays", "are more than 10000")
    ]


def test_the_same_holiday_twice_is_a_warning_and_works() -> None:
    calendar = BusinessCalendar(
        "x",
        [
            Holiday.fixed(5, 1, "May Day"),
            Holiday.on(date(2026, 5, 1)),
            Holiday.fixed(5, 1, "Labour Day"),
            Holiday.fixed(7, 3, last_year=2020),
            Holiday.fixed(7, 3, first_year=2021),
        ],
    )
    (issue,) = calendar.validate()
    assert (issue.severity, issue.field) == ("warning", "holidays[2]")
    assert issue.message == "is the same as holidays[0]"
    assert calendar.holidays_in(2026)[date(2026, 5, 1)] == "May Day; Labour Day"


@pytest.mark.parametrize(
    ("years", "twins"),
    [
        ([(None, 2000), (2001, None)], []),
        ([(2001, None), (None, 2000)], []),
        ([(2001, None), (None, 2001)], [(1, 0)]),
        ([(1990, 2020), (1995, 1996), (2000, 2001), (2021, None)], [(1, 0), (2, 0)]),
        ([(2005, 2006), (1990, 2004), (2004, 2004)], [(2, 1)]),
    ],
)
def test_the_same_rule_is_doubled_only_where_its_years_overlap(
    years: list[tuple[int | None, int | None]], twins: list[tuple[int, int]]
) -> None:
    calendar = BusinessCalendar(
        "x",
        [Holiday.easter(1, first_year=first, last_year=last) for first, last in years],
    )
    assert [(issue.field, issue.message) for issue in calendar.validate()] == [
        (f"holidays[{one}]", f"is the same as holidays[{other}]")
        for one, other in twins
    ]


def test_calendars_are_equal_by_value() -> None:
    one = BusinessCalendar("x", [Holiday.fixed(1, 1)], weekend_days=[7, 6])
    other = BusinessCalendar("x", (Holiday.fixed(1, 1),))
    assert one == other
    assert hash(one) == hash(other)
    assert one != BusinessCalendar("x", (Holiday.fixed(1, 2),))


def test_more_holidays_make_another_calendar() -> None:
    one = BusinessCalendar("x", [Holiday.fixed(1, 1)], name="X")
    two = one.with_holidays([Holiday.fixed(1, 2)])
    assert one.is_business_day(date(2026, 1, 2))
    assert not two.is_business_day(date(2026, 1, 2))
    assert not two.is_business_day(date(2026, 1, 1))
    assert (two.id, two.name) == ("x", "X")


@settings(deadline=None)
@given(CALENDARS)
def test_a_calendar_survives_its_document(calendar: BusinessCalendar) -> None:
    document = json.loads(json.dumps(calendar.to_document()))
    assert BusinessCalendar.from_document(document) == calendar
    assert errors(calendar) == []


def test_one_with_errors_survives_too_and_keeps_them() -> None:
    calendar = BusinessCalendar("x y", [Holiday.fixed(4, 31)], description="text")
    document = json.loads(json.dumps(calendar.to_document()))
    again = BusinessCalendar.from_document(document)
    assert again == calendar
    assert again.validate() == calendar.validate()


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ([], "business_calendar: expected a mapping"),
        ({}, "business_calendar: lacks 'id'"),
        ({"id": "x", "workdays": []}, "does not know 'workdays'"),
        ({"id": "x", "holidays": "all"}, "holidays: expected a list"),
        ({"id": "x", "holidays": [1]}, "holiday: expected a mapping"),
        ({"id": "x", "holidays": [{"kind": "on", "hour": 1}]}, "does not know 'hour'"),
    ],
)
def test_a_damaged_document_is_refused(document: Any, expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        BusinessCalendar.from_document(document)
