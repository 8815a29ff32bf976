"""Rules that run rarely or never, began long ago, or reach the calendar's end."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioqueue.schedules.calendar import Calendar

NEW_YORK: Final = "America/New_York"
EVER: Final = datetime(1800, 1, 1, tzinfo=UTC)
FREQUENCIES: Final = (
    "YEARLY",
    "MONTHLY",
    "WEEKLY",
    "DAILY",
    "HOURLY",
    "MINUTELY",
    "SECONDLY",
)


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def rule(text: str, start: str, tz: str = "UTC") -> Calendar:
    return Calendar.from_rrule(text, dtstart=wall(start), tz=tz)


def days(found: Calendar, count: int) -> list[date]:
    return [run.date() for run in found.preview(count, EVER)]


@pytest.mark.parametrize("freq", ["YEARLY", "MONTHLY", "DAILY", "HOURLY", "MINUTELY"])
def test_a_sparse_rule_is_found_at_any_frequency(freq: str) -> None:
    text = f"FREQ={freq};BYMONTH=2;BYMONTHDAY=29;BYDAY=MO;BYHOUR=9;BYMINUTE=0"
    started = time.process_time()
    assert days(rule(text, "2017-01-01T09:00"), 1) == [date(2044, 2, 29)]
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("FREQ=HOURLY;INTERVAL=25;BYHOUR=10;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO", 2388),
        (
            "FREQ=MINUTELY;INTERVAL=1441;BYHOUR=10;BYMINUTE=5;BYMONTH=2;BYMONTHDAY=29",
            4192,
        ),
        ("FREQ=SECONDLY;INTERVAL=86399;BYHOUR=5;BYMINUTE=1;BYSECOND=7", 2065),
        ("FREQ=SECONDLY;INTERVAL=1000003;BYHOUR=5;BYMINUTE=1;BYSECOND=7", 3175),
    ],
)
def test_an_interval_may_meet_a_time_of_day_centuries_later(
    text: str, first: int
) -> None:
    # Found by stepping from the start through every period.
    started = time.process_time()
    assert [day.year for day in days(rule(text, "2026-01-01T09:00"), 1)] == [first]
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "text",
    [
        *(f"FREQ={f};BYMONTH=2;BYMONTHDAY=30" for f in FREQUENCIES if f != "WEEKLY"),
        "FREQ=YEARLY;BYMONTH=4,6,9,11;BYMONTHDAY=31",
        "FREQ=YEARLY;BYWEEKNO=20;BYMONTH=11;BYDAY=MO",
        "FREQ=YEARLY;BYYEARDAY=366;BYMONTH=1",
        "FREQ=SECONDLY;BYYEARDAY=366;BYMONTH=1",
        "FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29",
        "FREQ=MONTHLY;INTERVAL=12;BYMONTH=2",
        "FREQ=HOURLY;INTERVAL=24;BYHOUR=5",
        "FREQ=HOURLY;INTERVAL=8761;BYHOUR=10;BYMONTH=2;BYMONTHDAY=29",
        "FREQ=MINUTELY;INTERVAL=1440;BYHOUR=5",
        "FREQ=MINUTELY;INTERVAL=2;BYMINUTE=1,3",
        "FREQ=SECONDLY;INTERVAL=86400;BYMINUTE=1",
        "FREQ=SECONDLY;INTERVAL=10;BYSECOND=5",
        "FREQ=DAILY;BYHOUR=9;BYSETPOS=2",
        "FREQ=SECONDLY;BYHOUR=9;BYSETPOS=2,-3",
        "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=6",
    ],
)
def test_a_rule_that_can_never_run_says_so_at_once(text: str) -> None:
    started = time.process_time()
    assert rule(text, "2026-01-01T09:00").next_after(EVER) is None
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("text", "old", "step"),
    [
        ("FREQ=DAILY;INTERVAL=3", "1975-01-01T09:00", timedelta(days=3)),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR", "1975-01-01T09:00", timedelta(days=14)),
        ("FREQ=HOURLY;INTERVAL=7", "1975-01-01T09:00", timedelta(hours=7)),
        ("FREQ=MINUTELY;INTERVAL=11", "1975-01-01T09:00", timedelta(minutes=11)),
        ("FREQ=SECONDLY;INTERVAL=25", "1975-01-01T09:00", timedelta(seconds=25)),
        (
            "FREQ=SECONDLY;INTERVAL=1000003",
            "1975-01-01T09:00",
            timedelta(seconds=1_000_003),
        ),
        # 60 years and 48 years, leap days and all.
        ("FREQ=MONTHLY;INTERVAL=5;BYDAY=-1FR", "1965-01-31T09:00", timedelta(21_915)),
        ("FREQ=YEARLY;INTERVAL=3;BYDAY=20MO", "1977-03-05T09:00", timedelta(17_532)),
    ],
)
def test_an_old_start_gives_the_same_as_a_later_one_in_step(
    text: str, old: str, step: timedelta
) -> None:
    asked = datetime(2026, 1, 1, tzinfo=UTC)
    behind = (asked.replace(tzinfo=None) - wall(old)) // step
    later = wall(old) + step * behind
    runs = rule(text, old).preview(20, asked)
    assert runs == rule(text, later.isoformat()).preview(20, asked)
    assert len(runs) == 20


def test_a_count_reached_long_ago_is_over() -> None:
    found = rule("FREQ=MINUTELY;COUNT=100000", "1975-01-01T00:00")
    last = datetime(1975, 1, 1, tzinfo=UTC) + timedelta(minutes=99_999)
    assert found.next_after(last - timedelta(minutes=1)) == last
    assert found.next_after(last) is None
    assert found.next_after(datetime(2026, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize("tz", ["UTC", NEW_YORK, "Pacific/Kiritimati"])
@pytest.mark.parametrize("freq", FREQUENCIES)
def test_the_end_of_the_calendar_ends_a_rule_quietly(freq: str, tz: str) -> None:
    found = rule(f"FREQ={freq};INTERVAL=11", "9999-06-15T20:30", tz)
    first = found.next_after(EVER)
    assert first is not None
    assert f"{first:%Y-%m-%dT%H:%M}" == "9999-06-15T20:30"
    assert found.next_after(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)) is None


def test_the_last_days_of_the_calendar_run() -> None:
    found = rule("FREQ=DAILY", "9999-12-29T09:00")
    assert [day.day for day in days(found, 9)] == [29, 30, 31]


@pytest.mark.parametrize("interval", [7, 11, 25, 1_000, 1_000_003])
@pytest.mark.parametrize("freq", ["HOURLY", "MINUTELY", "SECONDLY"])
def test_odd_intervals_keep_their_step_across_days(freq: str, interval: int) -> None:
    unit = {"HOURLY": 3600, "MINUTELY": 60, "SECONDLY": 1}[freq]
    start = datetime(2026, 2, 27, 22, 58, 57, tzinfo=UTC)
    found = Calendar.from_rrule(f"FREQ={freq};INTERVAL={interval}", dtstart=start)
    runs = found.preview(60, start)
    step = timedelta(seconds=interval * unit)
    assert runs == [start + step * n for n in range(1, 61)]


@given(
    st.sampled_from([("HOURLY", 3600), ("MINUTELY", 60), ("SECONDLY", 1)]),
    st.integers(1, 100_000),
    st.integers(0, 10**9),
)
def test_an_interval_may_be_asked_for_anywhere(
    freq: tuple[str, int], interval: int, seconds: int
) -> None:
    name, unit = freq
    start = datetime(1990, 5, 6, 7, 8, 9, tzinfo=UTC)
    found = Calendar.from_rrule(f"FREQ={name};INTERVAL={interval}", dtstart=start)
    step = timedelta(seconds=interval * unit)
    asked = timedelta(seconds=seconds)
    assert found.next_after(start + asked) == start + step * (asked // step + 1)
