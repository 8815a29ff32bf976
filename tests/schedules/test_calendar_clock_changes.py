"""Named rules where the clocks change: once a day, never early, never lost."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.schedules.shown import at, days, runs
from trioqueue.schedules import Calendar, Daily, Weekly

# The zone, the day before, and what a daily run at that time does on the next two days.
CHANGES = [
    ("America/New_York", "2025-03-08 03:00", "02:30", "03-09 03:30-04:00"),
    ("America/New_York", "2025-11-01 02:00", "01:30", "11-02 01:30-04:00"),
    ("Europe/Paris", "2025-03-29 03:00", "02:30", "03-30 03:30+02:00"),
    ("Europe/Paris", "2025-10-25 03:00", "02:30", "10-26 02:30+02:00"),
    ("Australia/Lord_Howe", "2025-10-04 03:00", "02:15", "10-05 02:45+11:00"),
    ("Australia/Lord_Howe", "2025-04-05 02:00", "01:45", "04-06 01:45+11:00"),
    ("Atlantic/Azores", "2025-03-29 01:00", "00:00", "03-30 01:00+00:00"),
    ("Atlantic/Azores", "2025-10-25 01:00", "00:30", "10-26 00:30+00:00"),
    ("Africa/Cairo", "2025-04-24 01:00", "00:30", "04-25 01:30+03:00"),
    ("Antarctica/Troll", "2025-03-29 02:30", "01:30", "03-30 03:30+02:00"),
    ("America/Sao_Paulo", "2018-11-03 01:00", "00:00", "11-04 01:00-02:00"),
    ("Europe/Dublin", "2025-03-29 02:00", "01:30", "03-30 02:30+01:00"),
    ("America/St_Johns", "2025-03-08 03:00", "02:30", "03-09 03:30-02:30"),
    ("Asia/Beirut", "2025-03-29 01:00", "00:15", "03-30 01:15+03:00"),
]


@pytest.mark.parametrize(("zone", "after", "time", "expected"), CHANGES)
def test_a_daily_run_happens_once_on_the_day_of_a_change(
    zone: str, after: str, time: str, expected: str
) -> None:
    whole = Calendar([Daily(times=time)], tz=zone)
    first, second = runs(whole, after, 2)
    assert first[5:] == expected
    assert second[11:16] == time
    assert date.fromisoformat(second[:10]) - date.fromisoformat(
        first[:10]
    ) == timedelta(1)


def test_no_day_of_many_years_is_skipped_in_the_azores() -> None:
    whole = Calendar([Daily()], tz="Atlantic/Azores")
    shown = days(whole, "2020-01-01", 366 * 3)
    expected = [(date(2020, 1, 1) + timedelta(n)).isoformat() for n in range(366 * 3)]
    assert shown == expected


def test_a_whole_day_that_a_zone_leaves_out_falls_on_the_next_one() -> None:
    # Samoa had no 30 December 2011.
    whole = Calendar([Daily(times="12:00")], tz="Pacific/Apia")
    assert runs(whole, "2011-12-28 13:00", 4) == [
        "2011-12-29 12:00-10:00",
        "2011-12-31 12:00+14:00",
        "2012-01-01 12:00+14:00",
        "2012-01-02 12:00+14:00",
    ]


def test_times_that_fall_together_run_once() -> None:
    whole = Calendar([Daily(times=["02:30", "03:30", "03:00"])], tz="America/New_York")
    assert runs(whole, "2025-03-08 12:00", 3) == [
        "2025-03-09 03:00-04:00",
        "2025-03-09 03:30-04:00",
        "2025-03-10 02:30-04:00",
    ]


def test_a_run_in_a_gap_may_be_left_out_instead() -> None:
    whole = Calendar(
        [Daily(times=["02:30", "04:00"])], tz="America/New_York", gap="skip"
    )
    assert runs(whole, "2025-03-08 12:00", 2) == [
        "2025-03-09 04:00-04:00",
        "2025-03-10 02:30-04:00",
    ]


def test_a_shifted_run_says_why() -> None:
    whole = Calendar([Daily(times="02:30")], tz="America/New_York")
    found = whole.next_occurrence(int(at("2025-03-08 12:00").timestamp()) * 1_000_000)
    assert found is not None
    assert found.note == "2025-03-09 02:30 does not exist: the clocks go forward"
    after = whole.next_occurrence(found.at)
    assert after is not None
    assert after.note is None


def test_an_instant_in_the_second_pass_is_after_the_runs_of_the_first() -> None:
    whole = Calendar([Daily(times="01:30")], tz="America/New_York")
    second_pass = at("2025-11-02 01:15").replace(fold=1)
    found = whole.next_after(second_pass)
    assert found is not None
    assert found.isoformat() == "2025-11-03T01:30:00-05:00"


@pytest.mark.parametrize("zone", ["Africa/Casablanca", "Asia/Gaza", "America/Nuuk"])
def test_a_weekly_run_is_a_week_of_days_apart_in_any_zone(zone: str) -> None:
    whole = Calendar([Weekly([7], times="00:30")], tz=zone)
    moments = whole.preview(300, at("2020-01-01", ZoneInfo(zone)))
    for one, two in itertools.pairwise(moments):
        assert two.date() - one.date() == timedelta(7)
