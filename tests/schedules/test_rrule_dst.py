"""Rules through clock changes: the wall decides, each wall time is one instant.

Expected instants are worked out by hand from each zone's change: in a gap with the
offset before it, in an overlap the first pass.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

import pytest

from trioqueue.schedules.calendar import Calendar

Gap: TypeAlias = Literal["shift", "skip"]
NEW_YORK: Final = "America/New_York"


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def runs_of(calendar: Calendar, count: int, after: datetime) -> list[str]:
    """The next runs in UTC, to the minute."""
    runs = calendar.preview(count, after)
    return [f"{run.astimezone(UTC):%Y-%m-%dT%H:%M}" for run in runs]


def daily(tz: str, start: str, gap: Gap = "shift") -> list[str]:
    """Three days of a daily rule, DTSTART first."""
    calendar = Calendar.from_rrule("FREQ=DAILY", dtstart=wall(start), tz=tz, gap=gap)
    return runs_of(calendar, 3, utc(start) - timedelta(days=3))


# Zone, DTSTART on the day before, the three runs; the second wall time does not exist.
GAPS: Final = [
    (NEW_YORK, "2024-03-09T02:30", "03-09T07:30", "03-10T07:30", "03-11T06:30"),
    ("Europe/Paris", "2026-03-28T02:30", "03-28T01:30", "03-29T01:30", "03-30T00:30"),
    ("Europe/Dublin", "2024-03-30T01:30", "03-30T01:30", "03-31T01:30", "04-01T00:30"),
    # Half an hour only: 02:15 becomes 02:45.
    (
        "Australia/Lord_Howe",
        "2024-10-05T02:15",
        "10-04T15:45",
        "10-05T15:45",
        "10-06T15:15",
    ),
    # Midnight itself does not exist.
    (
        "Atlantic/Azores",
        "2024-03-30T00:00",
        "03-30T01:00",
        "03-31T01:00",
        "04-01T00:00",
    ),
    ("Africa/Cairo", "2024-04-25T00:00", "04-24T22:00", "04-25T22:00", "04-26T21:00"),
    (
        "America/Sao_Paulo",
        "2018-11-03T00:30",
        "11-03T03:30",
        "11-04T03:30",
        "11-05T02:30",
    ),
    ("Asia/Tehran", "2022-03-21T00:00", "03-20T20:30", "03-21T20:30", "03-22T19:30"),
    ("America/Havana", "2024-03-09T00:15", "03-09T05:15", "03-10T05:15", "03-11T04:15"),
    # One minute past midnight.
    (
        "America/St_Johns",
        "2008-03-08T00:30",
        "03-08T04:00",
        "03-09T04:00",
        "03-10T03:00",
    ),
    # Two hours.
    (
        "Antarctica/Troll",
        "2025-03-29T02:59",
        "03-29T02:59",
        "03-30T02:59",
        "03-31T00:59",
    ),
    # Zones with quarters of an hour.
    (
        "Pacific/Chatham",
        "2024-09-28T03:00",
        "09-27T14:15",
        "09-28T14:15",
        "09-29T13:15",
    ),
    # For good, not for a summer; the second one over midnight.
    (
        "America/Caracas",
        "2016-04-30T02:45",
        "04-30T07:15",
        "05-01T07:15",
        "05-02T06:45",
    ),
    ("Asia/Pyongyang", "2018-05-03T23:45", "05-03T15:15", "05-04T15:15", "05-05T14:45"),
]
OVERLAPS: Final = [
    (NEW_YORK, "2024-11-02T01:30", "11-02T05:30", "11-03T05:30", "11-04T06:30"),
    ("Europe/Paris", "2026-10-24T02:30", "10-24T00:30", "10-25T00:30", "10-26T01:30"),
    ("Europe/Dublin", "2024-10-26T01:30", "10-26T00:30", "10-27T00:30", "10-28T01:30"),
    (
        "Australia/Lord_Howe",
        "2025-04-05T01:45",
        "04-04T14:45",
        "04-05T14:45",
        "04-06T15:15",
    ),
    (
        "Atlantic/Azores",
        "2024-10-26T00:30",
        "10-26T00:30",
        "10-27T00:30",
        "10-28T01:30",
    ),
    ("Africa/Cairo", "2024-10-30T23:30", "10-30T20:30", "10-31T20:30", "11-01T21:30"),
    (
        "America/Sao_Paulo",
        "2018-02-16T23:30",
        "02-17T01:30",
        "02-18T01:30",
        "02-19T02:30",
    ),
    ("Asia/Tehran", "2022-09-20T23:30", "09-20T19:00", "09-21T19:00", "09-22T20:00"),
    (
        "America/St_Johns",
        "2008-10-31T23:30",
        "11-01T02:00",
        "11-02T02:00",
        "11-03T03:00",
    ),
    (
        "Antarctica/Troll",
        "2025-10-25T01:30",
        "10-24T23:30",
        "10-25T23:30",
        "10-27T01:30",
    ),
]


def with_year(start: str, runs: tuple[str, ...]) -> list[str]:
    return [f"{start[:4]}-{run}" for run in runs]


@pytest.mark.parametrize(("tz", "start", "before", "shifted", "later"), GAPS)
def test_a_time_in_a_gap_runs_with_the_offset_before_it(
    tz: str, start: str, before: str, shifted: str, later: str
) -> None:
    assert daily(tz, start) == with_year(start, (before, shifted, later))


@pytest.mark.parametrize(("tz", "start", "before", "shifted", "later"), GAPS)
def test_a_time_in_a_gap_does_not_run_when_gaps_are_skipped(
    tz: str, start: str, before: str, shifted: str, later: str
) -> None:
    first, second, third = daily(tz, start, "skip")
    assert [first, second] == with_year(start, (before, later))
    assert utc(third) == utc(second) + timedelta(days=1)


@pytest.mark.parametrize(("tz", "start", "before", "first_pass", "later"), OVERLAPS)
def test_a_time_that_comes_twice_runs_in_the_first_pass_only(
    tz: str, start: str, before: str, first_pass: str, later: str
) -> None:
    expected = with_year(start, (before, first_pass, later))
    assert daily(tz, start, "shift") == expected
    assert daily(tz, start, "skip") == expected


@pytest.mark.parametrize(
    ("tz", "start", "day_before", "collapsed"),
    [
        ("Pacific/Apia", "2011-12-29T09:00", "2011-12-29T19:00", "2011-12-30T19:00"),
        (
            "Pacific/Kwajalein",
            "1993-08-20T12:00",
            "1993-08-21T00:00",
            "1993-08-22T00:00",
        ),
    ],
)
@pytest.mark.parametrize("gap", ["shift", "skip"])
def test_a_lost_day_runs_once_together_with_the_day_after(
    tz: str, start: str, day_before: str, collapsed: str, gap: Gap
) -> None:
    first, second, third = daily(tz, start, gap)
    assert [first, second] == [day_before, collapsed]
    assert utc(third) == utc(collapsed) + timedelta(days=1)


@pytest.mark.parametrize("gap", ["shift", "skip"])
def test_count_counts_the_lost_day(gap: Gap) -> None:
    calendar = Calendar.from_rrule(
        "FREQ=DAILY;COUNT=3",
        dtstart=wall("2011-12-29T09:00"),
        tz="Pacific/Apia",
        gap=gap,
    )
    expected = ["2011-12-29T19:00", "2011-12-30T19:00"]
    assert runs_of(calendar, 9, utc("2011-12-01")) == expected


def new_york(rule: str, start: str, gap: Gap = "shift") -> Calendar:
    return Calendar.from_rrule(rule, dtstart=wall(start), tz=NEW_YORK, gap=gap)


def test_a_skipped_run_is_not_given_back_by_count() -> None:
    calendar = new_york("FREQ=DAILY;COUNT=3", "2024-03-09T02:30", "skip")
    expected = ["2024-03-09T07:30", "2024-03-11T06:30"]
    assert runs_of(calendar, 9, utc("2024-01-01")) == expected


@pytest.mark.parametrize("gap", ["shift", "skip"])
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=HOURLY", "05:00 06:00 07:00 08:00 09:00"),
        (
            "FREQ=MINUTELY;INTERVAL=30",
            "05:00 05:30 06:00 06:30 07:00 07:30 08:00 08:30",
        ),
        (
            "FREQ=SECONDLY;INTERVAL=1200",
            "05:00 05:20 05:40 06:00 06:20 06:40 07:00 07:20",
        ),
    ],
)
def test_a_finer_rule_runs_once_where_wall_times_fall_together(
    rule: str, expected: str, gap: Gap
) -> None:
    runs = runs_of(new_york(rule, "2024-03-10T00:00", gap), 8, utc("2024-03-01"))
    times = expected.split()
    assert [run[11:] for run in runs[: len(times)]] == times


def test_a_finer_rule_sees_the_repeated_hour_once() -> None:
    calendar = new_york("FREQ=MINUTELY;INTERVAL=30", "2024-11-03T00:30")
    runs = runs_of(calendar, 5, utc("2024-11-01"))
    assert [run[11:] for run in runs] == ["04:30", "05:00", "05:30", "07:00", "07:30"]


def test_hours_that_a_gap_swallows_altogether_are_shifted_or_skipped() -> None:
    rule = "FREQ=MINUTELY;INTERVAL=20;BYHOUR=2"
    shifted = runs_of(new_york(rule, "2024-03-10T00:00"), 4, utc("2024-03-01"))
    assert [run[8:] for run in shifted] == [
        "10T07:00",
        "10T07:20",
        "10T07:40",
        "11T06:00",
    ]
    skipped = runs_of(new_york(rule, "2024-03-10T00:00", "skip"), 1, utc("2024-03-01"))
    assert skipped == ["2024-03-11T06:00"]


def test_a_rule_that_falls_into_gaps_only_never_runs_when_they_are_skipped() -> None:
    rule = "FREQ=YEARLY;BYMONTH=3;BYDAY=2SU;BYHOUR=2;BYMINUTE=30"
    assert len(runs_of(new_york(rule, "2010-01-01T00:00"), 9, utc("2010-01-01"))) == 9
    skipping = new_york(rule, "2010-01-01T00:00", "skip")
    assert skipping.next_after(utc("2010-01-01")) is None


OUT_OF_ORDER: Final = "FREQ=DAILY;BYHOUR=2,3;BYMINUTE=15,45;BYSETPOS=2,3"


def test_a_shifted_run_may_come_after_a_later_wall_time() -> None:
    # 02:45 becomes 03:45, and 03:15 stays.
    runs = runs_of(new_york(OUT_OF_ORDER, "2024-03-10T00:00"), 3, utc("2024-03-01"))
    assert [run[8:] for run in runs] == ["10T07:15", "10T07:45", "11T06:45"]


def test_between_runs_that_changed_places_the_next_one_is_found() -> None:
    calendar = new_york(OUT_OF_ORDER, "2024-03-10T00:00")
    assert runs_of(calendar, 1, utc("2024-03-10T07:15")) == ["2024-03-10T07:45"]
    assert runs_of(calendar, 1, utc("2024-03-10T07:14")) == ["2024-03-10T07:15"]


def test_count_cuts_by_the_wall_even_where_runs_change_places() -> None:
    calendar = new_york(f"{OUT_OF_ORDER};COUNT=1", "2024-03-10T00:00")
    assert runs_of(calendar, 2, utc("2024-03-01")) == ["2024-03-10T07:45"]


@pytest.mark.parametrize(
    ("until", "last"),
    [
        # In the gap, local: the instant that it means is included.
        ("20240310T023000", "2024-03-10T07:30"),
        ("20240310T022959", "2024-03-09T07:30"),
        ("20240310T073000Z", "2024-03-10T07:30"),
        ("20240310T072959Z", "2024-03-09T07:30"),
        ("20240310", "2024-03-10T07:30"),
        ("20240309", "2024-03-09T07:30"),
    ],
)
def test_until_is_compared_with_the_instant_of_a_shifted_run(
    until: str, last: str
) -> None:
    calendar = new_york(f"FREQ=DAILY;UNTIL={until}", "2024-03-05T02:30")
    assert runs_of(calendar, 99, utc("2024-01-01"))[-1] == last


def test_until_may_lie_between_runs_that_changed_places() -> None:
    calendar = new_york(f"{OUT_OF_ORDER};UNTIL=20240310T073000Z", "2024-03-10T00:00")
    assert runs_of(calendar, 2, utc("2024-03-01")) == ["2024-03-10T07:15"]


@pytest.mark.parametrize(
    ("until", "last"),
    [
        ("20241103T013000", "2024-11-03T05:30"),
        ("20241103T053000Z", "2024-11-03T05:30"),
        ("20241103T052959Z", "2024-11-02T05:30"),
    ],
)
def test_until_in_a_repeated_hour_means_the_first_pass(until: str, last: str) -> None:
    calendar = new_york(f"FREQ=DAILY;UNTIL={until}", "2024-11-01T01:30")
    assert runs_of(calendar, 99, utc("2024-01-01"))[-1] == last


def test_from_inside_the_second_pass_the_next_run_is_tomorrow() -> None:
    calendar = new_york("FREQ=DAILY", "2024-11-01T01:30")
    assert runs_of(calendar, 1, utc("2024-11-03T05:30")) == ["2024-11-04T06:30"]
    second_pass = datetime(2024, 11, 3, 1, 15, tzinfo=ZoneInfo(NEW_YORK), fold=1)
    assert runs_of(calendar, 1, second_pass) == ["2024-11-04T06:30"]
    first_pass = second_pass.replace(fold=0)
    assert runs_of(calendar, 1, first_pass) == ["2024-11-03T05:30"]


def test_a_start_in_a_gap_shifts_the_first_run_only() -> None:
    calendar = new_york("FREQ=DAILY", "2024-03-10T02:30")
    expected = ["2024-03-10T07:30", "2024-03-11T06:30"]
    assert runs_of(calendar, 2, utc("2024-01-01")) == expected


def test_an_aware_start_is_read_on_the_clock_of_the_zone() -> None:
    calendar = Calendar.from_rrule(
        "FREQ=DAILY", dtstart=utc("2024-03-09T14:00"), tz=NEW_YORK
    )
    # Nine in the morning, also after the change.
    expected = ["2024-03-09T14:00", "2024-03-10T13:00"]
    assert runs_of(calendar, 2, utc("2024-01-01")) == expected


def test_runs_are_shown_in_the_zone_of_the_calendar() -> None:
    calendar = new_york("FREQ=DAILY", "2024-03-09T02:30")
    runs = calendar.preview(3, utc("2024-01-01"))
    assert {run.tzinfo for run in runs} == {ZoneInfo(NEW_YORK)}
    assert [f"{run:%d %H:%M %Z}" for run in runs] == [
        "09 02:30 EST",
        "10 03:30 EDT",
        "11 02:30 EDT",
    ]


def test_an_exception_in_a_gap_cancels_the_run_it_became() -> None:
    calendar = Calendar.from_rrule(
        "FREQ=DAILY",
        dtstart=wall("2024-03-09T02:30"),
        tz=NEW_YORK,
        exdates=[wall("2024-03-10T02:30")],
    )
    expected = ["2024-03-09T07:30", "2024-03-11T06:30"]
    assert runs_of(calendar, 2, utc("2024-01-01")) == expected


def test_an_extra_date_can_be_in_the_second_pass_and_an_exception_can_miss_it() -> None:
    second_pass = datetime(2024, 11, 3, 1, 30, tzinfo=ZoneInfo(NEW_YORK), fold=1)
    calendar = Calendar.from_rrule(
        "FREQ=DAILY;COUNT=1",
        dtstart=wall("2024-11-03T01:30"),
        tz=NEW_YORK,
        rdates=[second_pass],
        exdates=[wall("2024-11-03T01:30")],
    )
    assert runs_of(calendar, 9, utc("2024-01-01")) == ["2024-11-03T06:30"]
