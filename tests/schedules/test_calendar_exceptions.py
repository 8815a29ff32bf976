"""Exceptions do exactly what they say, on the day of the calendar's wall clock."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from tests.schedules.shown import NEW_YORK, at, days, runs
from trioqueue.schedules import (
    Calendar,
    Daily,
    Extra,
    Monthly,
    Reschedule,
    Skip,
    Weekly,
)
from trioqueue.schedules.exceptions import CalendarException

NINE = Daily(times="09:00")


def daily(*exceptions: CalendarException, tz: str = "America/New_York") -> Calendar:
    return Calendar([NINE], tz=tz, exceptions=exceptions)


def micros(text: str) -> int:
    return int(at(text).timestamp()) * 1_000_000


def test_a_skip_drops_one_run_and_goes_on() -> None:
    assert days(daily(Skip(date(2025, 1, 3))), "2025-01-02", 3) == [
        "2025-01-02",
        "2025-01-04",
        "2025-01-05",
    ]


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "UTC", "Pacific/Auckland"])
def test_a_date_is_a_day_on_the_calendars_own_wall(zone: str) -> None:
    shown = days(daily(Skip("2025-01-03"), tz=zone), "2025-01-01", 4)
    assert shown == ["2025-01-01", "2025-01-02", "2025-01-04", "2025-01-05"]


def test_a_skipped_day_loses_all_its_runs_but_a_skipped_moment_only_one() -> None:
    twice = [Daily(times=["09:00", "17:00"])]
    whole_day = Calendar(twice, exceptions=[Skip(date(2025, 1, 2))])
    assert runs(whole_day, "2025-01-01 12:00", 2) == [
        "2025-01-01 17:00+00:00",
        "2025-01-03 09:00+00:00",
    ]
    one = Calendar(twice, exceptions=[Skip(datetime(2025, 1, 2, 9))])
    assert runs(one, "2025-01-01 12:00", 2) == [
        "2025-01-01 17:00+00:00",
        "2025-01-02 17:00+00:00",
    ]


def test_a_run_moved_earlier_runs_once_and_keeps_its_name() -> None:
    whole = Calendar(
        [Monthly(31, times="09:00")],
        tz="America/New_York",
        exceptions=[Reschedule(date(2025, 12, 31), date(2025, 12, 30))],
    )
    assert runs(whole, "2025-11-01", 2) == [
        "2025-12-30 09:00-05:00",
        "2026-01-31 09:00-05:00",
    ]
    moved = whole.next_occurrence(micros("2025-12-01 00:00"))
    assert moved is not None
    assert moved.at == micros("2025-12-30 09:00")
    assert moved.nominal == micros("2025-12-31 09:00")
    assert moved.note == "rescheduled from 2025-12-31 09:00"


def test_a_run_moved_later_swallows_nothing_in_between() -> None:
    moved = daily(Reschedule("2025-01-02", datetime(2025, 1, 4, 15)))
    assert runs(moved, "2025-01-01 12:00", 4) == [
        "2025-01-03 09:00-05:00",
        "2025-01-04 09:00-05:00",
        "2025-01-04 15:00-05:00",
        "2025-01-05 09:00-05:00",
    ]


def test_a_run_moved_onto_another_merges_with_it() -> None:
    merged = daily(Reschedule("2025-01-02", "2025-01-03"))
    assert days(merged, "2025-01-01", 3) == ["2025-01-01", "2025-01-03", "2025-01-04"]
    found = merged.next_occurrence(micros("2025-01-02 10:00"))
    assert found is not None
    assert found.nominal == found.at == micros("2025-01-03 09:00")


def test_a_target_may_be_an_instant_of_another_zone() -> None:
    paris = datetime(2025, 1, 2, 20, tzinfo=ZoneInfo("Europe/Paris"))
    assert runs(daily(Reschedule("2025-01-02", paris)), "2025-01-01 12:00", 1) == [
        "2025-01-02 14:00-05:00"
    ]


def test_extra_runs_come_before_and_after_the_usual_ones_once_each() -> None:
    more = daily(Extra("2025-01-02", ["17:00", "06:30", "09:00"]))
    assert runs(more, "2025-01-01 12:00", 4) == [
        "2025-01-02 06:30-05:00",
        "2025-01-02 09:00-05:00",
        "2025-01-02 17:00-05:00",
        "2025-01-03 09:00-05:00",
    ]


def test_an_extra_run_needs_no_other_run_on_its_day() -> None:
    whole = Calendar([Weekly([1])], exceptions=[Extra("2025-01-04", "12:00")])
    assert runs(whole, "2025-01-03", 2) == [
        "2025-01-04 12:00+00:00",
        "2025-01-06 00:00+00:00",
    ]
    alone = Calendar(exceptions=[Extra("2025-01-04", "12:00")])
    assert alone.validate() == []
    assert runs(alone, "2025-01-03", 5) == ["2025-01-04 12:00+00:00"]


def test_a_day_may_be_skipped_and_get_a_run_of_its_own() -> None:
    whole = daily(Skip("2025-01-02"), Extra("2025-01-02", ["09:00", "11:00"]))
    assert runs(whole, "2025-01-01 12:00", 2) == [
        "2025-01-02 09:00-05:00",
        "2025-01-02 11:00-05:00",
    ]


def test_an_extra_run_where_another_was_moved_away_gets_a_name_of_its_own() -> None:
    whole = daily(
        Reschedule("2025-01-02", "2025-01-02T15:00"), Extra("2025-01-02", "09:00")
    )
    names, cursor = [], micros("2025-01-01 12:00")
    for _ in range(3):
        found = whole.next_occurrence(cursor)
        assert found is not None
        names.append(found.nominal)
        cursor = found.at
    assert len(set(names)) == 3
    assert runs(whole, "2025-01-01 12:00", 3) == [
        "2025-01-02 09:00-05:00",
        "2025-01-02 15:00-05:00",
        "2025-01-03 09:00-05:00",
    ]


def test_many_exceptions_in_a_row_are_passed() -> None:
    start = date(2025, 1, 1).toordinal()
    many = daily(*(Skip(date.fromordinal(start + day)) for day in range(400)))
    assert days(many, "2025-01-01", 1) == ["2026-02-05"]


def test_what_an_exception_does_not_change_is_pointed_out() -> None:
    whole = Calendar(
        [Weekly([1])],
        exceptions=[
            Skip("2025-01-07"),
            Skip("2025-01-06"),
            Skip(datetime(2025, 1, 13, 1, tzinfo=UTC)),
        ],
    )
    issues = whole.validate()
    assert [(issue.field, issue.severity) for issue in issues] == [
        ("exceptions[0]", "warning"),
        ("exceptions[2]", "warning"),
    ]
    assert "changes nothing" in issues[0].message


@pytest.mark.parametrize(
    ("exception", "message"),
    [
        (Skip("soon"), r"exceptions\[0\]\.date: 'soon' is no date"),
        (Skip(["2025-01-01"]), r"exceptions\[0\]\.date: \['2025-01-01'\] is no date"),
        (Skip(None), r"exceptions\[0\]\.date: a date is missing"),
        (Reschedule("2025-01-01", "then"), r"exceptions\[0\]\.to: 'then' is no date"),
        (Extra("2025-01-01", []), r"exceptions\[0\]\.times: is empty"),
        (Extra("2025-01-01", ["25:00"]), r"exceptions\[0\]\.times: '25:00' is no time"),
        (Extra(datetime(2025, 1, 1), "09:00"), r"exceptions\[0\]\.date: .* is no date"),
        ("skip", r"exceptions\[0\]: 'skip' is no Skip, Reschedule or Extra"),
    ],
    ids=str,
)
def test_what_is_wrong_with_an_exception_is_named(
    exception: CalendarException, message: str
) -> None:
    issues = Calendar([NINE], exceptions=[exception]).validate()
    assert len(issues) == 1
    assert issues[0].severity == "error"
    assert __import__("re").match(message, str(issues[0]))


def test_two_exceptions_about_one_day_contradict_each_other() -> None:
    issues = daily(
        Skip("2025-01-02"), Reschedule("2025-01-02", "2025-01-03")
    ).validate()
    assert [str(issue) for issue in issues] == [
        "exceptions[1].date: exceptions[0] is about 2025-01-02 already; keep one"
    ]


def test_exceptions_are_said_in_words() -> None:
    whole = daily(
        Skip("2025-01-02"),
        Reschedule("2025-01-03", datetime(2025, 1, 4, 10)),
        Extra("2025-01-05", ["07:00", "08:30:15"]),
    )
    assert whole.describe() == (
        "every day at 09:00; not on 2025-01-02; on 2025-01-04 10:00 instead of "
        "2025-01-03; also on 2025-01-05 at 07:00, 08:30:15, America/New_York time"
    )


def test_a_moment_of_another_zone_is_said_with_its_offset() -> None:
    paris = datetime(2025, 1, 2, 15, tzinfo=ZoneInfo("Europe/Paris"))
    assert Skip(paris).words() == "not on 2025-01-02 15:00+01:00"
    assert days(daily(Skip(paris)), "2025-01-01", 2) == ["2025-01-01", "2025-01-03"]


def test_the_runs_that_exceptions_leave_out_can_be_asked_for() -> None:
    compiled = daily(Skip("2025-01-02")).compiled
    assert [(each.at, each.note) for each in compiled.skipped] == [
        (micros("2025-01-02 09:00"), "skipped by an exception")
    ]


def test_a_moved_run_in_a_clock_change_keeps_its_time_on_the_wall() -> None:
    moved = daily(Reschedule("2025-03-08", "2025-03-09"))
    found = Calendar(
        [Daily(times="02:30")],
        tz="America/New_York",
        exceptions=[Reschedule("2025-03-08", "2025-03-09")],
    )
    assert days(moved, "2025-03-08", 1) == ["2025-03-09"]
    assert runs(found, "2025-03-07 12:00", 2) == [
        "2025-03-09 03:30-04:00",
        "2025-03-10 02:30-04:00",
    ]


def test_exceptions_compare_by_value() -> None:
    assert Skip("2025-01-02") == Skip(date(2025, 1, 2))
    assert daily(Skip("2025-01-02")) == daily(Skip(date(2025, 1, 2)))
    assert at("2025-01-02").tzinfo is NEW_YORK
