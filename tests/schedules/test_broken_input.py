"""Input that once ended in something else than a list of what is wrong with it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from trioqueue.errors import ValidationError
from trioqueue.schedules import (
    BusinessCalendar,
    BusinessDays,
    Calendar,
    Custom,
    Monthly,
    Period,
    Recurrence,
    Weekly,
    register_generator,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioqueue.schedules.rule import Rule

ANY: Any = None
ANY_OBJECT: Any = object()
FLOAT: Any = 2.0
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def fields_of(rule: Rule) -> set[str]:
    issues = Calendar([rule]).validate()
    return {issue.field for issue in issues if issue.severity == "error"}


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (Weekly([[1]]), "days"),
        (Weekly([{}]), "days"),
        (Monthly(1, months=[[1], [1]]), "months"),
        (Monthly(weekday=1, nth=FLOAT), "nth"),
        (Monthly(weekday=1, nth=True), "nth"),
        (Monthly(31, months=ANY_OBJECT), "months"),
        (Recurrence(ANY, rdates=["2026-01-01"]), "rrule"),
    ],
    ids=[
        "a list as a day",
        "a dict as a day",
        "lists as months",
        "a float",
        "a bool",
        "an object as months",
        "no rrule",
    ],
)
def test_a_wrong_type_is_named_with_its_field(rule: Rule, field: str) -> None:
    assert fields_of(rule) == {field}


@pytest.mark.parametrize("field", ["rdates", "exdates"])
def test_dates_of_a_recurrence_are_read_leniently_or_named(field: str) -> None:
    start = datetime(2026, 1, 1, 9)
    wrong: dict[str, Any] = {field: 5}
    with pytest.raises(ValidationError, match=rf"^rules\[0\].{field}: 5 is no date"):
        Calendar.from_rrule("FREQ=DAILY", dtstart=start, **wrong)
    none: dict[str, Any] = {field: None}
    one: dict[str, Any] = {field: "2026-01-02"}
    without = Calendar.from_rrule("FREQ=DAILY", dtstart=start, **none)
    with_one = Calendar.from_rrule("FREQ=DAILY", dtstart=start, **one)
    assert without == Calendar.from_rrule("FREQ=DAILY", dtstart=start)
    (rule,) = with_one.rules
    assert getattr(rule, field) == (date(2026, 1, 2),)


@pytest.mark.parametrize("named", ["", "a b", "a/b", "x" * 129])
def test_an_id_that_no_business_calendar_can_have_is_refused(named: str) -> None:
    (issue,) = Calendar([BusinessDays()], business_calendar=named).validate()
    assert (issue.field, issue.severity) == ("business_calendar", "error")
    assert "A-Z" in issue.suggestion


def test_wrong_weekend_days_of_a_country_are_named() -> None:
    pytest.importorskip("holidays")
    wrong: Any = 8
    calendar = BusinessCalendar.for_country("US", years=[2026], weekend_days=wrong)
    assert [issue.field for issue in calendar.validate()] == ["weekend_days"]


def test_parameters_of_a_wrong_type_do_not_hinder_the_document() -> None:
    wrong: Any = 5
    calendar = Calendar([Custom("nth_business_day", wrong)])
    copy = Calendar.from_document(calendar.to_document())
    assert [issue.field for issue in copy.validate()] == ["parameters"]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"period": []}, "period"),
        ({"period": "month", "describe": 5}, "describe"),
        ({"period": "month", "check": 5}, "check"),
    ],
)
def test_a_generator_with_wrong_arguments_is_not_registered(
    arguments: dict[str, Any], field: str
) -> None:
    register = register_generator(f"broken {field}", **arguments)
    with pytest.raises(ValidationError, match=f"^{field}: "):
        register(lambda period, _calendar: [period.first_day])
    with pytest.raises(ValidationError, match="no day generator"):
        Calendar([Custom(f"broken {field}")]).next_after(NEW_YEAR)


def test_a_class_without_a_signature_is_no_generator() -> None:
    with pytest.raises(ValidationError, match="must take a period"):
        register_generator("broken dict", period="month")(dict)


@pytest.mark.parametrize(
    "check", [lambda n: 1 / n, lambda n: n or None], ids=["raises", "gives None"]
)
def test_a_check_that_fails_is_an_issue_of_the_rule(check: Callable[..., Any]) -> None:
    name = f"broken check {id(check)}"

    def days(period: Period, _calendar: BusinessCalendar, n: int) -> list[date]:
        return [period.first_day] * n

    register_generator(name, period="month", check=check)(days)
    (issue,) = Calendar([Custom(name, {"n": 0})]).validate()
    assert (issue.field, issue.rule_index) == ("parameters", 0)
    assert name in issue.message


@pytest.mark.parametrize("template", ["{nope}", "{", "{0}"])
def test_words_that_do_not_fit_the_parameters_are_shown_as_they_are(
    template: str,
) -> None:
    name = f"broken words {template}"

    def days(period: Period, _calendar: BusinessCalendar) -> list[date]:
        return [period.first_day]

    register_generator(name, period="month", describe=template)(days)
    assert Calendar([Custom(name)]).describe() == f"{template} at 00:00, UTC time"


def test_a_period_of_something_else_is_refused() -> None:
    wrong: Any
    for wrong in ("x", []):
        with pytest.raises(ValidationError, match=r"^kind: "):
            Period.of(wrong, NEW_YEAR)
    with pytest.raises(ValidationError, match=r"^day: "):
        Period.of("month", ANY)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"tz": "UTC", "rules": [], "colour": 3}, "^calendar: does not know 'colour'"),
        ({"tz": "UTC"}, "^calendar: lacks 'rules'"),
        (
            {"tz": "UTC", "rules": [{"rule": "daily"}, {"rule": "dayly"}]},
            r"^rules\[1\]: needs a 'rule' that is one of daily, weekly",
        ),
        ({"tz": "UTC", "rules": [5]}, r"^rules\[0\]: needs a 'rule'"),
        (
            {"tz": "UTC", "rules": [{"rule": "daily", "intervall": 2}]},
            r"^rules\[0\]: does not know 'intervall'",
        ),
        (
            {"tz": "UTC", "rules": [{"rule": "yearly", "day": 1}]},
            r"^rules\[0\]: lacks 'month'",
        ),
    ],
)
def test_a_document_from_elsewhere_is_refused_by_name(
    document: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        Calendar.from_document(document)
