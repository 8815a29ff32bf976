"""The named rules of a calendar give the days that they say, and say what they give."""

from __future__ import annotations

import itertools
import json
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.schedules.shown import NEW_YORK, at, days, runs
from trioqueue import ValidationError
from trioqueue.schedules import (
    BusinessCalendar,
    BusinessDays,
    Calendar,
    Custom,
    Daily,
    Holiday,
    Monthly,
    Recurrence,
    Weekly,
    Yearly,
)
from trioqueue.schedules.rule import Rule

US = BusinessCalendar(
    "us",
    [
        Holiday.fixed(1, 1, name="New Year"),
        Holiday.fixed(7, 4, name="Independence Day"),
        Holiday.relative(9, 1, 1, name="Labor Day"),
        Holiday.relative(11, 4, 4, name="Thanksgiving"),
        Holiday.fixed(12, 25, name="Christmas"),
        Holiday.easter(-2, name="Good Friday"),
    ],
)


def calendar(*rules: Rule, **more: object) -> Calendar:
    return Calendar(rules, **{"tz": "America/New_York", **more})  # type: ignore[arg-type]  # tests pass all kinds


@pytest.mark.parametrize(
    ("rule", "after", "expected"),
    [
        (
            Monthly(31),
            "2025-01-01",
            "01-31 03-31 05-31 07-31 08-31 10-31 12-31",
        ),
        (Monthly(30), "2025-01-31", "03-30 04-30 05-30"),
        (Monthly(29), "2024-02-01", "02-29 03-29 04-29"),
        (Monthly(29), "2025-02-01", "03-29 04-29 05-29"),
        (Monthly(15), "2025-01-15", "02-15 03-15"),
        (Monthly(31, months=[2, 4, 5]), "2025-01-01", "05-31 05-31"),
        (Monthly(weekday=1, nth=1), "2025-01-01", "01-06 02-03 03-03"),
        (Monthly(weekday=5, nth=-1), "2025-01-01", "01-31 02-28 03-28"),
        (Monthly(weekday=4, nth=5), "2025-01-01", "01-30 05-29 07-31"),
        (Monthly(last_weekday=5), "2025-01-01", "01-31 02-28 03-28"),
        (Monthly(last_weekday=7), "2025-01-01", "01-26 02-23 03-30"),
        (Monthly(last_day=True), "2024-01-01", "01-31 02-29 03-31 04-30"),
        (Monthly(business_day="first"), "2025-01-01", "01-02 02-03 03-03"),
        (Monthly(business_day="last"), "2025-01-01", "01-31 02-28 03-31"),
        (Monthly(business_day="last", months=[5]), "2025-01-01", "05-30 05-29"),
        (Weekly([1, 5]), "2025-01-01", "01-03 01-06 01-10"),
        (Weekly(), "2025-01-01", "01-02 01-03 01-04"),
        (
            Weekly([1], 2, date(2025, 1, 6)),
            "2025-02-14",
            "02-17 03-03 03-17 03-31",
        ),
        (Weekly([3, 1], 2, date(2025, 1, 8)), "2025-01-01", "01-06 01-08 01-20"),
        (Daily(), "2025-02-27", "02-28 03-01"),
        (Daily(2, start_date=date(2025, 1, 1)), "2025-01-01", "01-03 01-05 01-07"),
        (
            Daily(2, weekdays_only=True, start_date=date(2025, 1, 1)),
            "2025-01-01",
            "01-03 01-07 01-09 01-13",
        ),
        (Daily(weekdays_only=True), "2025-01-02", "01-03 01-06"),
        (Daily(start_date="2025-06-01"), "2025-01-01", "06-01 06-02"),
        (Yearly(12, 25), "2025-01-01", "12-25 12-25"),
        (Yearly(2, 29), "2025-01-01", "02-29 02-29"),
        (Yearly(2, 29, True), "2026-01-01", "02-28 02-28 02-29"),
        (BusinessDays(), "2025-07-02", "07-03 07-07 07-08"),
        (BusinessDays(1), "2025-07-01", "07-02 07-03 07-08"),
        (BusinessDays(-1), "2025-07-01", "07-02 07-07 07-08"),
        (BusinessDays(2), "2025-01-01", "01-02 01-08 01-09"),
        (Custom("last_business_day_of_quarter"), "2025-01-01", "03-31 06-30"),
        (Custom("nth_business_day", {"n": 3}), "2025-01-01", "01-06 02-05"),
    ],
    ids=str,
)
def test_a_rule_gives_these_days(rule: Rule, after: str, expected: str) -> None:
    # Asked from the end of that day, so that the day itself is past.
    shown = days(
        calendar(rule, business_calendar=US), f"{after} 12:00", len(expected.split())
    )
    assert [day[5:] for day in shown] == expected.split()


def test_leap_days_are_skipped_or_adjusted() -> None:
    assert days(calendar(Yearly(2, 29)), "2025-01-01", 3) == [
        "2028-02-29",
        "2032-02-29",
        "2036-02-29",
    ]
    adjusted = calendar(
        Yearly(2, 29, adjust_for_leap_year=True, times=["9:00".zfill(5), "17:00"])
    )
    assert runs(adjusted, "2027-01-01", 4) == [
        "2027-02-28 09:00-05:00",
        "2027-02-28 17:00-05:00",
        "2028-02-29 09:00-05:00",
        "2028-02-29 17:00-05:00",
    ]


def test_times_run_in_order_whatever_order_they_are_written_in() -> None:
    rule = Daily(times=[time(17), "09:00", time(9), "12:30:15"])
    assert runs(calendar(rule), "2025-01-01 08:00", 4) == [
        "2025-01-01 09:00-05:00",
        "2025-01-01 12:30:15-05:00",
        "2025-01-01 17:00-05:00",
        "2025-01-02 09:00-05:00",
    ]


def test_an_interval_without_a_start_is_counted_from_the_day_of_creation() -> None:
    created = int(at("2025-03-01 23:30").timestamp()) * 1_000_000
    bound = calendar(Daily(2, times="12:00")).bind("s", created)
    for asked in ("2025-03-01", "2025-03-02"):
        assert (
            days(bound, asked, 3)
            == days(bound, "2025-02-28", 3 + (asked[-1] == "2"))[-3:]
        )
    assert days(bound, "2025-03-01", 3) == ["2025-03-01", "2025-03-03", "2025-03-05"]
    assert bound.bind("s", created + 10**12) == bound
    weekly = calendar(Weekly([1], 2)).bind("s", created)
    assert days(weekly, "2025-03-01", 2) == ["2025-03-10", "2025-03-24"]


def test_a_rule_with_its_own_start_needs_no_day_of_creation() -> None:
    rules = (Daily(3, start_date=date(2025, 1, 1)), Weekly([1]), Daily())
    whole = calendar(*rules)
    assert whole.bind("s", 10**15) is whole


def test_two_weeks_stay_two_weeks_when_the_clocks_change() -> None:
    rule = Weekly([1], 2, date(2025, 1, 6), times="09:00")
    shown = days(calendar(rule), "2025-01-01", 26)
    gaps = {
        date.fromisoformat(b) - date.fromisoformat(a)
        for a, b in itertools.pairwise(shown)
    }
    assert gaps == {timedelta(14)}


def test_valid_from_and_valid_until_are_inclusive() -> None:
    rule = Daily(
        times="09:00",
        valid_from=datetime(2025, 1, 3, 9),
        valid_until=datetime(2025, 1, 5, 9),
    )
    limited = calendar(rule)
    assert days(limited, "2024-01-01", 9) == ["2025-01-03", "2025-01-04", "2025-01-05"]
    assert limited.next_after(at("2025-01-05 09:00")) is None
    later = calendar(
        Daily(
            times="09:00",
            valid_from=datetime(2025, 1, 3, 9, 0, 1),
            valid_until=datetime(2025, 1, 5, 8, 59, 59),
        )
    )
    assert days(later, "2024-01-01", 9) == ["2025-01-04"]


def test_the_window_may_be_given_as_instants_of_another_zone() -> None:
    paris = ZoneInfo("Europe/Paris")
    rule = Daily(times="09:00", valid_until=datetime(2025, 1, 3, 15, tzinfo=paris))
    assert days(calendar(rule), "2025-01-01", 9) == [
        "2025-01-01",
        "2025-01-02",
        "2025-01-03",
    ]


def test_rules_are_a_union_and_an_instant_counts_once() -> None:
    whole = calendar(
        Monthly(1, times="09:00"),
        Weekly([1], times=["09:00", "10:00"]),
        Daily(times="10:00"),
    )
    assert runs(whole, "2025-08-31 12:00", 3) == [
        "2025-09-01 09:00-04:00",
        "2025-09-01 10:00-04:00",
        "2025-09-02 10:00-04:00",
    ]


def test_without_a_business_calendar_monday_to_friday_are_business_days() -> None:
    assert days(calendar(BusinessDays()), "2025-07-02 12:00", 3) == [
        "2025-07-03",
        "2025-07-04",
        "2025-07-07",
    ]


def test_the_calendars_own_weekend_counts() -> None:
    gulf = BusinessCalendar("gulf", weekend_days=(5, 6))
    assert days(calendar(BusinessDays(), business_calendar=gulf), "2025-01-01", 4) == [
        "2025-01-01",
        "2025-01-02",
        "2025-01-05",
        "2025-01-06",
    ]


def test_a_calendar_that_names_a_stored_business_calendar_must_be_resolved() -> None:
    named = calendar(BusinessDays(), business_calendar="us")
    assert named.business_calendar_id == "us"
    assert named.validate() == []
    with pytest.raises(ValidationError, match=r"business_calendar.*'us'.*resolve"):
        named.next_after(at("2025-07-03"))
    resolved = named.resolve(US)
    assert days(resolved, "2025-07-03 12:00", 1) == ["2025-07-07"]
    assert resolved.business_calendar_id is None


ROUND = [
    calendar(Daily(3, True, date(2025, 1, 1), times=["17:00", "08:15:30"])),
    calendar(Weekly([1, 3], 2), anchor=date(2025, 1, 1)),
    calendar(Monthly(weekday=1, nth=-1, months=[1, 2]), gap="skip"),
    calendar(Monthly(business_day="last"), BusinessDays(-3), business_calendar=US),
    calendar(BusinessDays(), business_calendar="us"),
    calendar(Yearly(2, 29, True, valid_from=datetime(2025, 1, 1, tzinfo=NEW_YORK))),
    calendar(Custom("nth_business_day", {"n": -2})),
    calendar(
        Recurrence(
            "FREQ=DAILY;COUNT=9",
            datetime(2025, 1, 1, 9),
            [date(2025, 3, 1), datetime(2025, 4, 1, 5)],
            [datetime(2025, 1, 2, 9, tzinfo=NEW_YORK)],
        )
    ),
]


@pytest.mark.parametrize("whole", ROUND, ids=range(len(ROUND)))
def test_a_calendar_comes_back_from_its_document(whole: Calendar) -> None:
    text = json.dumps(whole.to_document())
    again = Calendar.from_document(json.loads(text))
    # A zone is written as the offset it has, which names the same instants.
    assert json.dumps(again.to_document()) == text
    if whole.business_calendar_id is None:
        after = at("2025-01-01")
        assert again.preview(20, after) == whole.preview(20, after)
        assert whole.describe()


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"tz": "UTC"},
        {"tz": "UTC", "rules": [{"rule": "hourly"}]},
        {"tz": "UTC", "rules": [{"rule": "daily", "colour": 3}]},
        {"tz": "UTC", "rules": 7},
        {"tz": "UTC", "rules": [], "exceptions": [{"exception": "never"}]},
    ],
    ids=str,
)
def test_a_damaged_document_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"^(calendar|rules\[0\]): "):
        Calendar.from_document(document)


@pytest.mark.parametrize(
    ("whole", "text"),
    [
        (
            calendar(Monthly(business_day="last", times="17:00")),
            "the last business day of every month at 17:00, America/New_York time",
        ),
        (
            calendar(
                Daily(2, start_date="2025-01-01"),
                Weekly([2, 1], times=["9:00".zfill(5)]),
            ),
            (
                "every 2 days from 2025-01-01 at 00:00; every Monday and Tuesday at "
                "09:00, America/New_York time"
            ),
        ),
        (
            calendar(Weekly([1], 2, "2025-01-06"), business_calendar=US),
            (
                "Monday of every 2 weeks, counted from the week of 2025-01-06 at "
                "00:00, America/New_York time, business days of us"
            ),
        ),
        (
            calendar(
                Monthly(22, months=[3]), Yearly(12, 25), BusinessDays(-1), tz="UTC"
            ),
            (
                "the 22nd of March at 00:00; every 25 December at 00:00; every "
                "business day that is 1 day before a business day at 00:00, UTC time"
            ),
        ),
    ],
    ids=range(4),
)
def test_a_calendar_says_what_it_does(whole: Calendar, text: str) -> None:
    assert whole.describe() == text


RULES = st.one_of(
    st.builds(
        Daily,
        st.integers(1, 9),
        st.booleans(),
        st.dates(date(2000, 1, 1), date(2030, 1, 1)),
        times=st.lists(st.times().map(lambda t: t.replace(microsecond=0)), max_size=3),
    ),
    st.builds(
        Weekly,
        st.sets(st.integers(1, 7)),
        st.integers(1, 5),
        st.dates(date(2000, 1, 1), date(2030, 1, 1)),
        times=st.lists(st.times().map(lambda t: t.replace(microsecond=0)), max_size=3),
    ),
    st.builds(Monthly, st.integers(1, 28), months=st.sets(st.integers(1, 12))),
    st.builds(
        lambda w, n: Monthly(weekday=w, nth=n),
        st.integers(1, 7),
        st.sampled_from([1, 2, 3, 4, 5, -1]),
    ),
    st.builds(Yearly, st.integers(1, 12), st.integers(1, 28)),
    st.builds(BusinessDays, st.integers(-9, 9)),
    st.sampled_from(
        [
            Monthly(business_day="first"),
            Monthly(business_day="last"),
            Monthly(last_day=True),
        ]
    ),
)
ZONES = st.sampled_from(
    [
        "UTC",
        "America/New_York",
        "Australia/Lord_Howe",
        "Atlantic/Azores",
        "Pacific/Apia",
    ]
)


@given(
    st.lists(RULES, min_size=1, max_size=3),
    ZONES,
    st.datetimes(datetime(2005, 1, 1), datetime(2035, 1, 1)),
)
def test_the_answer_does_not_depend_on_where_one_asks_from(
    rules: list[Rule], zone: str, asked: datetime
) -> None:
    whole = Calendar(rules, tz=zone, business_calendar=US)
    after = asked.replace(tzinfo=ZoneInfo("UTC"))
    seen = whole.preview(6, after)
    stamps = [moment.timestamp() for moment in seen]
    assert stamps == sorted(set(stamps))
    assert all(stamp > after.timestamp() for stamp in stamps)
    for place, moment in enumerate(seen[:-1]):
        for nearer in (moment, moment + timedelta(microseconds=1)):
            found = whole.next_after(nearer.astimezone(ZoneInfo("UTC")))
            assert found is not None
            assert found.timestamp() == stamps[place + 1]
        just_before = moment.astimezone(ZoneInfo("UTC")) - timedelta(microseconds=1)
        again = whole.next_after(just_before)
        assert again is not None
        assert again.timestamp() == stamps[place]
