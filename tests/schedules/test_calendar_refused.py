"""A calendar with something wrong is told all of it, and is never run."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime

import pytest

from tests.schedules.shown import at
from trioqueue import ValidationError
from trioqueue.schedules import (
    BusinessCalendar,
    BusinessDays,
    Calendar,
    Custom,
    Daily,
    Monthly,
    Recurrence,
    ValidationIssue,
    Weekly,
    Yearly,
)
from trioqueue.schedules.rule import Rule


def errors(calendar: Calendar) -> list[str]:
    return [str(each) for each in calendar.validate() if each.severity == "error"]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (Daily(0), "interval: must be a whole number from 1 to 10000, got 0"),
        (Daily(-2), "interval: must be"),
        (Daily(True), "interval: must be"),
        (Daily(1.5), "interval: must be"),  # type: ignore[arg-type]  # the point
        (Daily(1, "no"), "weekdays_only: must be True or False"),  # type: ignore[arg-type]  # the point
        (Daily(start_date="2025-02-30"), "start_date: '2025-02-30' is no date"),
        (Daily(start_date=datetime(2025, 1, 1)), "start_date: "),
        (Daily(times="25:00"), "times: '25:00' is no time of day; write '17:00'"),
        (Daily(times=7), "times: expected a list of times, got 7"),
        (Daily(times="09:00:00.5"), "times: 09:00:00.500000 is finer than a second"),
        (Daily(times="09:00+01:00"), "times: 09:00:00+01:00 has a zone"),
        (Daily(valid_from="soon"), "valid_from: 'soon' is no datetime"),
        (
            Daily(valid_from=datetime(2025, 1, 2), valid_until=datetime(2025, 1, 1)),
            "valid_until: 2025-01-01 00:00:00 is before valid_from",
        ),
        (Weekly([0]), "days: must be a whole number from 1 to 7, got 0"),
        (Weekly([8]), "days: must be"),
        (Weekly("MO"), "days: must be"),
        (Weekly(None, 0), "interval: must be"),
        (Monthly(), "day: a monthly rule needs exactly one kind of day, got none"),
        (Monthly(1, last_day=True), "last_day: a monthly rule needs exactly one"),
        (Monthly(32), "day: must be a whole number from 1 to 31, got 32"),
        (Monthly(0), "day: must be"),
        (Monthly(weekday=8, nth=1), "weekday: must be a whole number from 1 to 7"),
        (Monthly(weekday=1), "nth: must be 1 to 5, or -1 for the last, got None"),
        (Monthly(weekday=1, nth=6), "nth: must be 1 to 5"),
        (Monthly(weekday=1, nth=-2), "nth: must be 1 to 5"),
        (Monthly(1, nth=1), "nth: belongs to a weekday"),
        (Monthly(business_day="third"), "business_day: must be 'first' or 'last'"),  # type: ignore[arg-type]  # the point
        (Monthly(1, months=[13]), "months: must be a whole number from 1 to 12"),
        (Yearly(13, 1), "month: must be a whole number from 1 to 12, got 13"),
        (Yearly(2, 30), "day: February has no day 30; the last one is 29"),
        (Yearly(4, 31), "day: April has no day 31; the last one is 30"),
        (BusinessDays(366), "day_offset: must be a whole number from -365 to 365"),
        (Recurrence("FREQ=DAILY"), "dtstart: is missing"),
        (Recurrence("FREQ=NEVER", datetime(2025, 1, 1)), "rrule: FREQ: 'NEVER'"),
        (Recurrence("", None, ["x"]), "rdates: 'x' is no date"),
        (
            Recurrence("FREQ=DAILY", datetime(2025, 1, 1), times="09:00"),
            "times: a recurrence has its own times",
        ),
        (Custom("moon_phase"), "name: "),
        (Custom("nth_business_day", {"m": 3}), ""),
        (Custom("nth_business_day", 3), "parameters: expected a dict, got 3"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_rule_is_named(rule: Rule, text: str) -> None:
    calendar = Calendar([Daily(), rule])
    found = errors(calendar)
    assert any(each.startswith(f"rules[1].{text}") for each in found), found
    with pytest.raises(ValidationError) as caught:
        calendar.next_after(at("2025-01-01"))
    assert found == [
        str(issue)
        for issue in caught.value.issues
        if isinstance(issue, ValidationIssue) and issue.severity == "error"
    ]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            Recurrence("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", datetime(2025, 1, 1)),
            "every year, in February, on the 30th day of the month, at 00:00",
        ),
        (Monthly(31, months=[2, 4]), "the 31st of February and April"),
        (
            Recurrence("FREQ=DAILY;UNTIL=20241231", datetime(2025, 1, 1)),
            "every day, at 00:00, until 2024-12-31",
        ),
    ],
    ids=["February", "April", "before it began"],
)
def test_a_rule_that_never_runs_is_an_error(rule: Rule, words: str) -> None:
    # Also where another one runs.
    assert errors(Calendar([Daily(), rule])) == [
        f"rules[1].rule: {words!r} never runs; look at its dates"
    ]
    assert Calendar([rule]).next_after(at("2020-01-01")) is None


@pytest.mark.parametrize(
    "rule",
    [
        Monthly(weekday=1, nth=5, valid_from="2025-02-01", valid_until="2025-02-28"),
        Recurrence("FREQ=DAILY;COUNT=1", datetime(2025, 1, 1), (), [date(2025, 1, 1)]),
    ],
    ids=["its window", "its exception"],
)
def test_rules_of_which_nothing_is_left_are_an_error(rule: Rule) -> None:
    assert errors(Calendar([rule])) == [
        "rules: never run: their limits and exceptions leave nothing; look at dates"
    ]
    assert Calendar([rule]).next_after(at("2020-01-01")) is None


def test_a_rule_that_is_over_costs_the_others_nothing() -> None:
    never = "FREQ=SECONDLY;BYYEARDAY=366;BYMONTH=1"
    both = Calendar([Daily(), Recurrence(never, datetime(2020, 1, 1))])
    moment = at("2025-01-01")
    began = time.process_time()
    assert len(both.preview(2000, moment)) == 2000
    assert time.process_time() - began < 3


def test_everything_wrong_is_named_at_once() -> None:
    calendar = Calendar(
        [Daily(0), "daily", Yearly(2, 31)],
        tz="Mars/Olympus_Mons",
        gap="jump",  # type: ignore[arg-type]  # the point
        business_calendar=7,  # type: ignore[arg-type]  # the point
        exceptions=["never"],
        anchor="first",
    )
    fields = [(each.rule_index, each.field) for each in calendar.validate()]
    assert fields == [
        (-1, "tz"),
        (-1, "gap"),
        (-1, "anchor"),
        (-1, "business_calendar"),
        (0, "interval"),
        (1, "rules"),
        (2, "day"),
        (-1, "exceptions[0]"),
    ]
    with pytest.raises(ValidationError, match="tz: there is no time zone") as caught:
        calendar.describe()
    assert len(caught.value.issues) == len(fields)


@pytest.mark.parametrize(
    "tz",
    [
        "",
        "Paris",
        "America",
        "../etc/passwd",
        "/etc/localtime",
        "U\0C",
        "x" * 200,
        5,
        None,
    ],
)
def test_an_unknown_zone_is_refused(tz: str) -> None:
    assert errors(Calendar([Daily()], tz=tz))[0].startswith("tz: there is no time zone")


def test_a_bad_business_calendar_is_refused() -> None:
    always_off = BusinessCalendar("off", weekend_days=(1, 2, 3, 4, 5, 6, 7))
    found = errors(Calendar([Daily()], business_calendar=always_off))
    assert found
    assert all(each.startswith("business_calendar.") for each in found)


def test_no_rules_at_all_are_refused() -> None:
    assert errors(Calendar()) == ["rules: there are none; give at least one rule"]


def test_a_doubtful_rule_runs_and_is_pointed_out() -> None:
    doubtful = Calendar([Monthly(31), Yearly(2, 29), Daily(2), Weekly([1, 1])])
    assert [(i.severity, i.rule_index, i.field) for i in doubtful.validate()] == [
        ("info", 0, "day"),
        ("info", 1, "day"),
        ("info", 2, "start_date"),
        ("warning", 3, "days"),
    ]
    assert doubtful.next_after(at("2025-01-01")) is not None


@pytest.mark.parametrize("count", [0, -1, 10_001, True, 2.0, None])
def test_a_preview_has_a_sensible_length(count: int) -> None:
    with pytest.raises(ValidationError, match=r"^count: must be a whole number"):
        Calendar([Daily()]).preview(count, at("2025-01-01"))


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="has no time zone"):
        Calendar([Daily()]).next_after(datetime(2025, 1, 1))


@pytest.mark.parametrize(
    "moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
)
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_ends_of_time_are_no_trouble(moment: datetime, zone: str) -> None:
    whole = Calendar([Daily(), Monthly(last_day=True), BusinessDays(5)], tz=zone)
    found = whole.next_after(moment)
    assert (found is None) == (moment.year == 9999)
    assert len(whole.preview(3, datetime(9999, 12, 29, 12, tzinfo=UTC))) <= 3
