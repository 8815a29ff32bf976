"""Where recurrence rules begin and end, and which days they fall on."""

from __future__ import annotations

import calendar as months
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from tests.schedules.rrule_reference import Reference
from trioqueue.schedules.calendar import Calendar

NEW_YORK: Final = "America/New_York"
EVER: Final = datetime(1800, 1, 1, tzinfo=UTC)


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def rule(text: str, start: str, tz: str = "UTC") -> Calendar:
    return Calendar.from_rrule(text, dtstart=wall(start), tz=tz)


def walls(found: Calendar, count: int = 99, after: datetime = EVER) -> list[str]:
    """The next runs on the wall, to the minute."""
    return [f"{run:%Y-%m-%dT%H:%M}" for run in found.preview(count, after)]


def days(found: Calendar, count: int = 99, after: datetime = EVER) -> list[date]:
    return [run.date() for run in found.preview(count, after)]


# Beginning and end


@pytest.mark.parametrize(
    ("until", "last_day"),
    [
        # Nine in the morning there is 13:00 UTC in June.
        ("20260610T130000Z", 10),
        ("20260610T125959Z", 9),
        ("20260610T090000", 10),
        ("20260610T085959", 9),
        ("20260610", 10),
        ("20260611T000000", 10),
        # 02:00 UTC is still the evening of the day before.
        ("20260611T020000Z", 10),
    ],
)
def test_until_is_included_as_an_instant(until: str, last_day: int) -> None:
    found = rule(f"FREQ=DAILY;UNTIL={until}", "2026-06-01T09:00", NEW_YORK)
    assert days(found) == [date(2026, 6, day) for day in range(1, last_day + 1)]


def test_a_date_as_until_is_the_end_of_that_day_in_the_zone() -> None:
    found = rule("FREQ=HOURLY;UNTIL=20260601", "2026-06-01T20:30", NEW_YORK)
    assert [run[11:] for run in walls(found)] == ["20:30", "21:30", "22:30", "23:30"]


def test_until_before_the_start_leaves_nothing() -> None:
    assert walls(rule("FREQ=DAILY;UNTIL=20260531", "2026-06-01T09:00")) == []


def test_a_start_that_the_rule_does_not_give_is_no_run() -> None:
    found = rule("FREQ=WEEKLY;BYDAY=FR;COUNT=2", "2026-06-01T09:00")
    assert days(found) == [date(2026, 6, 5), date(2026, 6, 12)]


def test_a_time_of_day_before_the_start_does_not_run_that_day() -> None:
    found = rule("FREQ=DAILY;BYHOUR=8,10;COUNT=3", "2026-06-01T09:00")
    expected = ["2026-06-01T10:00", "2026-06-02T08:00", "2026-06-02T10:00"]
    assert walls(found) == expected


def test_the_start_is_the_first_run_however_early_one_asks() -> None:
    found = rule("FREQ=DAILY", "2026-06-01T09:00")
    first = datetime(2026, 6, 1, 9, tzinfo=UTC)
    assert found.next_after(EVER) == first
    assert found.next_after(first - timedelta(microseconds=1)) == first
    assert found.next_after(first) == first + timedelta(days=1)


# COUNT, EXDATE, RDATE


def test_an_exception_is_not_given_back_by_count() -> None:
    found = Calendar.from_rrule(
        "FREQ=DAILY;COUNT=4",
        dtstart=wall("2026-06-01T09:00"),
        exdates=[wall("2026-06-02T09:00"), wall("2026-06-04T09:00")],
    )
    assert days(found) == [date(2026, 6, 1), date(2026, 6, 3)]


def test_an_exception_beats_an_extra_date() -> None:
    extra = wall("2026-06-05T17:00")
    found = Calendar.from_rrule(
        "FREQ=DAILY;COUNT=1",
        dtstart=wall("2026-06-01T09:00"),
        rdates=[extra, wall("2026-06-06T17:00")],
        exdates=[extra],
    )
    assert walls(found) == ["2026-06-01T09:00", "2026-06-06T17:00"]


def test_an_exception_in_another_zone_is_the_same_instant() -> None:
    paris = datetime(2026, 6, 2, 15, tzinfo=ZoneInfo("Europe/Paris"))
    fixed = datetime(2026, 6, 3, 18, 30, tzinfo=timezone(timedelta(hours=5.5)))
    found = Calendar.from_rrule(
        "FREQ=DAILY;COUNT=4",
        dtstart=wall("2026-06-01T09:00"),
        tz=NEW_YORK,
        exdates=[paris, fixed],
    )
    assert days(found) == [date(2026, 6, 1), date(2026, 6, 4)]


def test_an_exception_at_another_time_cancels_nothing() -> None:
    found = Calendar.from_rrule(
        "FREQ=DAILY;COUNT=2",
        dtstart=wall("2026-06-01T09:00"),
        exdates=[wall("2026-06-01T09:01"), wall("2026-06-02T00:00")],
    )
    assert days(found) == [date(2026, 6, 1), date(2026, 6, 2)]


def test_a_date_as_exception_cancels_that_day_of_the_zone() -> None:
    found = Calendar.from_rrule(
        "FREQ=DAILY;BYHOUR=0,23;COUNT=6",
        dtstart=wall("2026-06-01T00:00"),
        tz=NEW_YORK,
        exdates=[date(2026, 6, 2)],
    )
    assert [run[8:13] for run in walls(found)] == ["01T00", "01T23", "03T00", "03T23"]


def test_extra_dates_run_outside_the_rule_and_once_inside_it() -> None:
    found = Calendar.from_rrule(
        "FREQ=DAILY;UNTIL=20260603",
        dtstart=wall("2026-06-01T09:00"),
        rdates=[
            wall("2026-06-02T09:00"),
            wall("2026-06-02T12:00"),
            wall("2027-01-01T00:00"),
        ],
    )
    assert walls(found) == [
        "2026-06-01T09:00",
        "2026-06-02T09:00",
        "2026-06-02T12:00",
        "2026-06-03T09:00",
        "2027-01-01T00:00",
    ]


def test_a_date_as_extra_runs_at_the_time_of_the_start() -> None:
    found = Calendar.from_rrule(
        "FREQ=DAILY;COUNT=1",
        dtstart=wall("2026-06-01T09:30"),
        rdates=[date(2026, 6, 9), date(2026, 6, 1)],
    )
    assert walls(found) == ["2026-06-01T09:30", "2026-06-09T09:30"]


def test_a_series_ends_when_every_run_is_an_exception() -> None:
    found = Calendar.from_rrule(
        "FREQ=DAILY;COUNT=2",
        dtstart=wall("2026-06-01T09:00"),
        exdates=[date(2026, 6, 1), date(2026, 6, 2)],
    )
    assert found.next_after(EVER) is None


# Leap years and weeks


def test_the_29th_of_february_runs_in_leap_years_only() -> None:
    found = rule("FREQ=YEARLY", "2088-02-29T09:00")
    assert [day.year for day in days(found, 4)] == [2088, 2092, 2096, 2104]


def test_the_29th_of_february_on_a_monday_is_found_decades_later() -> None:
    found = rule("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO", "1990-01-01T09:00")
    leap = [date(y, 2, 29) for y in range(1990, 2300) if months.isleap(y)]
    mondays = [day for day in leap if day.weekday() == 0]
    assert days(found, len(mondays)) == mondays


def test_a_month_too_short_is_skipped() -> None:
    found = rule("FREQ=MONTHLY", "2026-01-31T09:00")
    assert [day.month for day in days(found, 7)] == [1, 3, 5, 7, 8, 10, 12]


def test_the_last_day_of_the_year_has_two_numbers() -> None:
    found = rule("FREQ=YEARLY;BYYEARDAY=-1,366,-366", "2027-01-01T09:00")
    expected = [date(2027, 12, 31), date(2028, 1, 1), date(2028, 12, 31)]
    assert days(found, 3) == expected


def test_week_53_runs_in_long_years_only() -> None:
    found = rule("FREQ=YEARLY;BYWEEKNO=53;BYDAY=TH", "2000-01-01T09:00")
    long_years = [
        y for y in range(2000, 2060) if date(y, 12, 28).isocalendar().week == 53
    ]
    expected = [date.fromisocalendar(year, 53, 4) for year in long_years]
    assert days(found, len(expected)) == expected


def test_a_week_number_without_weekdays_takes_that_of_the_start() -> None:
    found = rule("FREQ=YEARLY;BYWEEKNO=1,20", "2026-01-07T09:00")
    expected = [
        date.fromisocalendar(year, week, 3)
        for year in range(2026, 2040)
        for week in (1, 20)
    ]
    # Week 1 of 2026 has no Wednesday left: the start is in week 2.
    assert days(found, len(expected) - 1) == expected[1:]


def test_week_1_can_begin_in_december() -> None:
    found = rule("FREQ=YEARLY;BYWEEKNO=1;BYDAY=MO", "2018-01-01T09:00")
    expected = [date.fromisocalendar(year, 1, 1) for year in range(2018, 2050)]
    assert days(found, len(expected)) == expected


def test_every_other_year_counts_the_years_that_weeks_belong_to() -> None:
    # The start is in week 1 of 2025.
    found = rule("FREQ=YEARLY;INTERVAL=2;BYWEEKNO=1;BYDAY=MO", "2024-12-30T09:00")
    expected = [date.fromisocalendar(year, 1, 1) for year in (2025, 2027, 2029, 2031)]
    assert days(found, 4) == expected


def test_a_start_in_january_can_belong_to_the_year_before() -> None:
    # The first of January 2027 is in week 53 of 2026.
    found = rule("FREQ=YEARLY;INTERVAL=2;BYWEEKNO=10;BYDAY=MO", "2027-01-01T09:00")
    expected = [date.fromisocalendar(year, 10, 1) for year in (2028, 2030)]
    assert days(found, 2) == expected


def test_the_last_week_of_a_year_goes_on_in_january() -> None:
    found = rule("FREQ=YEARLY;BYWEEKNO=53;BYDAY=TH,FR,SA,SU", "2020-01-01T09:00")
    expected = [date(2026, 12, 31), *(date(2027, 1, day) for day in (1, 2, 3))]
    assert days(found, 4, datetime(2026, 6, 1, tzinfo=UTC)) == expected
    assert days(found, 1, datetime(2027, 1, 2, 12, tzinfo=UTC)) == expected[3:]


def test_weeks_are_numbered_from_the_day_they_begin_on() -> None:
    found = rule("FREQ=YEARLY;BYWEEKNO=1;BYDAY=SU;WKST=SU", "2023-01-01T09:00")
    expected = ["2023-01-01", "2023-12-31", "2024-12-29", "2026-01-04"]
    assert [day.isoformat() for day in days(found, 4)] == expected


# BYSETPOS


@pytest.mark.parametrize(
    ("text", "periods"),
    [
        ("FREQ=YEARLY;BYDAY=MO,TU;BYSETPOS=1,-1,50", 8),
        ("FREQ=YEARLY;BYWEEKNO=1,53;BYDAY=MO,FR;BYSETPOS=-1", 12),
        ("FREQ=YEARLY;BYMONTH=1,7;BYHOUR=6,18;BYSETPOS=2,-2", 8),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1,1,9", 20),
        ("FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYHOUR=1,23;BYSETPOS=-1,7", 20),
        ("FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=2", 20),
        ("FREQ=WEEKLY;INTERVAL=3;BYDAY=SU,TU,SA;WKST=WE;BYSETPOS=1,-1", 20),
        ("FREQ=DAILY;BYHOUR=8,12,16;BYMINUTE=0,30;BYSETPOS=-1,2", 40),
        ("FREQ=HOURLY;BYMINUTE=5,10,50;BYSECOND=1,2;BYSETPOS=3,-1", 100),
        ("FREQ=MINUTELY;BYSECOND=0,15,30,45;BYSETPOS=-2", 300),
        ("FREQ=SECONDLY;BYSECOND=0,15,30,45;BYSETPOS=1", 900),
        ("FREQ=SECONDLY;BYMINUTE=38;BYSETPOS=-1,5", 300),
    ],
)
def test_positions_are_counted_in_the_whole_period(text: str, periods: int) -> None:
    # In the middle of each: of a year, a month, a week, a day, an hour, a minute.
    start = wall("2026-07-15T12:37:31")
    reference = Reference(text, start)
    expected = reference.runs(periods)
    assert expected
    found = Calendar.from_rrule(text, dtstart=start)
    assert found.preview(len(expected), EVER) == expected
