"""Rules made to be slow are not: the next run is found in bounded time."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.schedules.shown import at
from trioqueue.schedules import Calendar

BEGAN = datetime(2010, 1, 1)
QUICK_SECONDS = 1.5
"""Generous: what is guarded against took from 10 s to minutes."""


@pytest.mark.parametrize("freq", ["DAILY", "HOURLY", "MINUTELY", "SECONDLY"])
def test_a_rule_that_only_runs_in_gaps_which_are_skipped(freq: str) -> None:
    second_sunday = "BYMONTH=3;BYDAY=SU;BYMONTHDAY=8,9,10,11,12,13,14"
    whole = Calendar.from_rrule(
        f"FREQ={freq};{second_sunday};BYHOUR=2",
        dtstart=BEGAN,
        tz="America/New_York",
        gap="skip",
    )
    began = time.process_time()
    assert whole.next_after(at("2026-01-01")) is None
    assert time.process_time() - began < QUICK_SECONDS


def test_a_month_of_cancelled_days_under_a_rule_of_seconds() -> None:
    whole = Calendar.from_rrule(
        "FREQ=SECONDLY",
        dtstart=BEGAN,
        exdates=[date(2026, 1, 1) + timedelta(n) for n in range(30)],
    )
    began = time.process_time()
    found = whole.next_after(datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert found == datetime(2026, 1, 31, tzinfo=UTC)
    assert time.process_time() - began < QUICK_SECONDS


@pytest.mark.parametrize(
    ("zone", "moment"),
    [
        ("America/New_York", "2026-03-08 03:00:00"),
        ("America/New_York", "2026-03-08 03:59:58"),
        ("America/New_York", "2026-03-08 22:00:00"),
        ("Pacific/Apia", "2011-12-31 00:00:05"),
        ("Pacific/Apia", "2011-12-31 23:00:00"),
    ],
)
def test_a_rule_of_seconds_just_after_a_gap(zone: str, moment: str) -> None:
    whole = Calendar.from_rrule("FREQ=SECONDLY", dtstart=BEGAN, tz=zone)
    after = whole.next_after(datetime(2011, 1, 1, tzinfo=UTC))
    assert after is not None
    start = at(moment, after.tzinfo)  # type: ignore[arg-type]  # it is a ZoneInfo
    began = time.process_time()
    for _ in range(20):
        following = whole.next_after(start)
        assert following is not None
        assert following.timestamp() == start.timestamp() + 1
        start = following
    assert time.process_time() - began < QUICK_SECONDS / 3


def test_every_second_of_every_day_by_its_parts() -> None:
    hours, sixty = ",".join(map(str, range(24))), ",".join(map(str, range(60)))
    whole = Calendar.from_rrule(
        f"FREQ=DAILY;BYHOUR={hours};BYMINUTE={sixty};BYSECOND={sixty}", dtstart=BEGAN
    )
    moment = datetime(2026, 1, 1, 23, 59, 0, tzinfo=UTC)
    whole.next_after(moment)
    began = time.process_time()
    for _ in range(200):
        following = whole.next_after(moment)
        assert following == moment + timedelta(seconds=1)
        moment = following
    assert time.process_time() - began < QUICK_SECONDS / 5
