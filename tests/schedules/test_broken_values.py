"""Calendars that ran twice, told something wrong, or could not be copied."""

from __future__ import annotations

import copy
import pickle
import time as clocks
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType

import pytest

from tests.schedules.shown import at, runs
from trioqueue.schedules import (
    BusinessDays,
    Calendar,
    Custom,
    Daily,
    Recurrence,
    Reschedule,
    Skip,
)


def daily(*exceptions: Skip | Reschedule) -> Calendar:
    rule = Daily(times=["09:00", "17:00"])
    return Calendar([rule], tz="America/New_York", exceptions=exceptions)


def test_a_calendar_with_parameters_can_be_pickled_and_copied() -> None:
    calendar = Calendar([Custom("nth_business_day", {"n": 2})])
    calendar.preview(1, at("2026-01-01 00:00"))
    for twin in (
        pickle.loads(pickle.dumps(calendar)),  # noqa: S301  our own
        copy.deepcopy(calendar),
        copy.copy(calendar),
    ):
        assert twin == calendar
        assert hash(twin) == hash(calendar)
        (rule,) = twin.rules
        assert isinstance(rule, Custom)
        assert isinstance(rule.parameters, MappingProxyType)
        assert runs(twin, "2026-01-01 00:00", 3) == runs(
            calendar, "2026-01-01 00:00", 3
        )


def test_a_recurrence_is_described_on_the_clock_it_runs_by() -> None:
    start = datetime(2026, 1, 1, 3, 30, tzinfo=UTC)
    calendar = Calendar([Recurrence("FREQ=WEEKLY", start)], tz="America/New_York")
    assert runs(calendar, "2025-12-01 00:00", 1) == ["2025-12-31 22:30-05:00"]
    assert calendar.describe() == (
        "every week, on Wednesday, at 22:30, America/New_York time"
    )


@pytest.mark.parametrize("day_first", [True, False])
def test_a_run_that_two_exceptions_name_is_moved_once(day_first: bool) -> None:
    pair = [
        Reschedule("2026-01-05", "2026-01-07T12:00"),
        Reschedule("2026-01-05T09:00", "2026-01-06T12:00"),
    ]
    calendar = daily(*(pair if day_first else pair[::-1]))
    nominals = [each.nominal for each in calendar.compiled.added]
    assert len(nominals) == len(set(nominals)) == 2
    assert runs(calendar, "2026-01-04 18:00", 5) == [
        "2026-01-06 09:00-05:00",
        "2026-01-06 12:00-05:00",
        "2026-01-06 17:00-05:00",
        "2026-01-07 09:00-05:00",
        "2026-01-07 12:00-05:00",
    ]


def test_a_run_of_a_skipped_day_can_be_kept_by_moving_it() -> None:
    calendar = daily(
        Skip("2026-01-05"),
        Reschedule("2026-01-05T09:00", "2026-01-05T10:00"),
    )
    assert calendar.validate() == []
    assert runs(calendar, "2026-01-04 18:00", 2) == [
        "2026-01-05 10:00-05:00",
        "2026-01-06 09:00-05:00",
    ]
    (skipped,) = calendar.skipped_occurrences()
    assert skipped.at // 1_000_000 == at("2026-01-05 17:00").timestamp()


def test_a_second_exception_about_one_run_is_pointed_out() -> None:
    calendar = daily(
        Skip("2026-01-05T09:00"),
        Skip("2026-01-05T09:00-05:00"),
    )
    (issue,) = calendar.validate()
    assert (issue.field, issue.severity) == ("exceptions[1]", "warning")
    assert len(calendar.skipped_occurrences()) == 1


def test_days_with_a_run_each_second_are_skipped_at_once() -> None:
    first = date(2026, 1, 1)
    calendar = Calendar(
        [Recurrence("FREQ=SECONDLY", datetime(2026, 1, 1))],
        exceptions=[Skip(first + timedelta(day)) for day in range(300)],
    )
    begin = clocks.process_time()
    assert calendar.validate() == []
    found = calendar.next_after(datetime(2026, 1, 1, tzinfo=UTC))
    assert clocks.process_time() - begin < 3
    assert found == datetime(2026, 10, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    "rule",
    [
        Daily(valid_from=datetime.min.replace(tzinfo=UTC)),
        Recurrence("FREQ=DAILY", datetime.min.replace(tzinfo=UTC)),
    ],
    ids=["valid_from", "dtstart"],
)
def test_the_first_moment_that_there_is_can_be_written(
    rule: Daily | Recurrence,
) -> None:
    # In New York that is in the year 0.
    calendar = Calendar([rule], tz="America/New_York")
    copy_of_it = Calendar.from_ics(calendar.to_ics())
    assert runs(copy_of_it, "0001-01-01 12:00", 2) == runs(
        calendar, "0001-01-01 12:00", 2
    )


def test_a_stored_business_calendar_is_named_by_its_id() -> None:
    calendar = Calendar([BusinessDays()], business_calendar="US-NY")
    assert calendar.validate() == []
    assert calendar.business_calendar_id == "US-NY"
