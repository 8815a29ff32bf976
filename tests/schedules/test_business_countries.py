"""Public holidays of a country are written into the calendar, as dates."""

from __future__ import annotations

import sys
from datetime import date
from importlib.metadata import version
from typing import Any

import holidays
import pytest

from trioqueue import ValidationError
from trioqueue.schedules import BusinessCalendar, Holiday


def test_the_holidays_of_a_country_are_written_in_as_dates() -> None:
    calendar = BusinessCalendar.for_country("US", years=range(2024, 2031))
    assert {holiday.kind for holiday in calendar.holidays} == {"on"}
    assert Holiday.on(date(2025, 7, 4), "Independence Day") in calendar.holidays
    assert not calendar.is_business_day(date(2030, 11, 28))
    assert calendar.validate() == []
    assert calendar.id == "US"


@pytest.mark.parametrize("country", ["US", "GB", "DE", "JP", "ZA"])
def test_they_are_those_of_the_package(country: str) -> None:
    calendar = BusinessCalendar.for_country(country, years=range(2020, 2025))
    package = holidays.country_holidays(country, years=range(2020, 2025))
    found = {day for year in range(2020, 2025) for day in calendar.holidays_in(year)}
    assert found == {day for day in package if day.year in range(2020, 2025)}


def test_the_source_says_where_they_come_from() -> None:
    calendar = BusinessCalendar.for_country(
        "us", subdivision="NY", years=range(2024, 2031)
    )
    assert calendar.source == f"holidays {version('holidays')} US-NY 2024..2030"
    assert calendar.id == "US-NY"
    assert not calendar.is_business_day(date(2024, 2, 12))
    again = BusinessCalendar.from_document(calendar.to_document())
    assert again == calendar


def test_years_need_not_follow_each_other() -> None:
    calendar = BusinessCalendar.for_country("US", years=(2027, 2025, 2027))
    assert calendar.source.endswith(" US 2025, 2027")
    assert not calendar.holidays_in(2026)
    one = BusinessCalendar.for_country("US", years=[2025])
    assert one.source.endswith(" US 2025")


@pytest.mark.parametrize(
    ("country", "expected"),
    [("US", (6, 7)), ("SA", (5, 6)), ("IR", (5,)), ("BN", (5, 7))],
)
def test_the_weekend_is_the_countrys(country: str, expected: tuple[int, ...]) -> None:
    calendar = BusinessCalendar.for_country(country, years=[2024])
    assert calendar.weekend_days == expected


def test_id_and_weekend_can_be_given() -> None:
    calendar = BusinessCalendar.for_country(
        "SA", years=[2024], id="riyadh", weekend_days=[7]
    )
    assert (calendar.id, calendar.weekend_days) == ("riyadh", (7,))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"country": "XX"}, "country: the holidays package knows no 'XX'"),
        ({"country": 7}, "country: the holidays package knows no 7"),
        (
            {"country": "US", "subdivision": "QQ"},
            "subdivision: the holidays package knows no 'QQ' in US; it knows: AK, AL",
        ),
        ({"country": "US", "subdivision": 7}, "subdivision: must be a text, got 7"),
        ({"country": "US", "years": []}, r"years: must be 1 to 400 years"),
        ({"country": "US", "years": ["2024"]}, "years: must be 1 to 400 years"),
        ({"country": "US", "years": range(1, 9999)}, "years: must be 1 to 400 years"),
        ({"country": "US", "years": None}, "years: must be 1 to 400 years"),
        ({"country": "US", "years": [2024, 9998]}, "no holidays of US in 9998"),
    ],
)
def test_what_the_package_does_not_know_is_refused(
    arguments: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ValidationError, match=expected):
        BusinessCalendar.for_country(**{"years": [2024], **arguments})


def test_without_the_package_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(ValidationError) as caught:
        BusinessCalendar.for_country("US", years=[2024])
    assert str(caught.value) == (
        "country: holidays of countries need the holidays package; "
        'pip install "trioqueue[holidays]"'
    )
