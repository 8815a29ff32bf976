"""Cron expressions where clocks are put forward or back, as Debian's cron runs them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.schedules.shown import runs
from trioqueue.model.spans import instant_to_micros
from trioqueue.schedules import Cron

# The zone, the expression, a moment before the change, and the first runs after it.
FIXED_IN_A_GAP = [
    ("America/New_York", "30 2 * * *", "2025-03-08 03:00", "03-09 03:00-04:00"),
    ("America/New_York", "0 3 * * *", "2025-03-08 04:00", "03-09 03:00-04:00"),
    ("America/New_York", "0,20,40 2 * * *", "2025-03-08 03:00", "03-09 03:00-04:00"),
    ("America/New_York", "30 2,3 * * *", "2025-03-08 04:00", "03-09 03:00-04:00"),
    ("Europe/Paris", "15 2 * * *", "2025-03-29 03:00", "03-30 03:00+02:00"),
    ("Europe/Paris", "15 2-2 * * 7", "2025-03-29 03:00", "03-30 03:00+02:00"),
    ("Europe/Paris", "15 2 30 3 *", "2025-03-29 03:00", "03-30 03:00+02:00"),
    ("Europe/Dublin", "30 1 * * *", "2025-03-29 02:00", "03-30 02:00+01:00"),
    ("Australia/Lord_Howe", "15 2 * * *", "2025-10-04 03:00", "10-05 02:30+11:00"),
    ("Atlantic/Azores", "0 0 * * *", "2025-03-29 01:00", "03-30 01:00+00:00"),
    ("Africa/Cairo", "30 0 * * *", "2025-04-24 01:00", "04-25 01:00+03:00"),
    ("Antarctica/Troll", "30 1 * * *", "2025-03-29 03:00", "03-30 03:00+02:00"),
    ("Antarctica/Troll", "30 1,2 * * *", "2025-03-29 03:00", "03-30 03:00+02:00"),
    ("America/Sao_Paulo", "0 0 * * *", "2018-11-03 01:00", "11-04 01:00-02:00"),
    ("Asia/Kathmandu", "10 0 * * *", "1985-12-31 12:00", "01-01 00:15+05:45"),
    ("America/New_York", "30 2 * * * 15", "2025-03-08 03:00", "03-09 03:00-04:00"),
]
FIXED_IN_AN_OVERLAP = [
    ("America/New_York", "30 1 * * *", "2025-11-01 02:00", "11-02 01:30-04:00"),
    ("America/New_York", "0,30 1 * * *", "2025-11-02 01:00", "11-02 01:30-04:00"),
    ("Europe/Paris", "30 2 * * *", "2025-10-25 03:00", "10-26 02:30+02:00"),
    ("Europe/Dublin", "30 1 * * *", "2025-10-25 02:00", "10-26 01:30+01:00"),
    ("Australia/Lord_Howe", "45 1 * * *", "2025-04-05 02:00", "04-06 01:45+11:00"),
    ("Atlantic/Azores", "30 0 * * *", "2025-10-25 01:00", "10-26 00:30+00:00"),
    ("Africa/Cairo", "30 23 * * *", "2025-10-29 23:50", "10-30 23:30+03:00"),
    ("Antarctica/Troll", "30 1 * * *", "2025-10-25 02:00", "10-26 01:30+02:00"),
    ("America/Sao_Paulo", "30 23 * * *", "2018-02-16 23:50", "02-17 23:30-02:00"),
    ("America/New_York", "30 1 * * * 15", "2025-11-01 02:00", "11-02 01:30:15-04:00"),
]


@pytest.mark.parametrize(
    ("zone", "expression", "after", "expected"), FIXED_IN_A_GAP + FIXED_IN_AN_OVERLAP
)
def test_a_job_at_fixed_times_runs_once_around_a_change(
    zone: str, expression: str, after: str, expected: str
) -> None:
    first, second = runs(Cron(expression, zone), after, 2)
    assert first[5:] == expected
    if expression.split()[1].isdigit() and " * * *" in expression:
        assert second[:10] > first[:10]


@pytest.mark.parametrize(
    ("zone", "expression", "after", "expected"),
    [
        (
            "America/New_York",
            "*/30 * * * *",
            "2025-03-09 01:15",
            ["01:30-05:00", "03:00-04:00", "03:30-04:00"],
        ),
        (
            "America/New_York",
            "30 * * * *",
            "2025-11-02 00:40",
            ["01:30-04:00", "01:30-05:00", "02:30-05:00"],
        ),
        (
            "America/New_York",
            "*/30 1 * * *",
            "2025-11-02 00:40",
            ["01:00-04:00", "01:30-04:00", "01:00-05:00", "01:30-05:00"],
        ),
        (
            "Europe/Paris",
            "*/30 2 * * *",
            "2025-03-29 23:00",
            ["02:00+02:00", "02:30+02:00"],
        ),
        (
            "Australia/Lord_Howe",
            "*/15 * * * *",
            "2025-04-06 01:31",
            ["01:45+11:00", "01:30+10:30", "01:45+10:30", "02:00+10:30"],
        ),
        (
            "Australia/Lord_Howe",
            "*/15 * * * *",
            "2025-10-05 01:31",
            ["01:45+10:30", "02:30+11:00", "02:45+11:00"],
        ),
        (
            "Antarctica/Troll",
            "0 * * * *",
            "2025-10-26 01:30",
            ["02:00+02:00", "01:00+00:00", "02:00+00:00", "03:00+00:00"],
        ),
        (
            "Europe/Paris",
            "* 2 * * * */30",
            "2025-10-26 02:59",
            ["02:59:30+02:00", "02:00+01:00", "02:00:30+01:00"],
        ),
    ],
)
def test_a_job_with_a_star_follows_the_clock(
    zone: str, expression: str, after: str, expected: list[str]
) -> None:
    shown = runs(Cron(expression, zone), after, len(expected))
    assert [each[11:] for each in shown] == expected


def test_a_star_counts_only_where_the_field_starts_with_it() -> None:
    # All hours, but not written with a star: a job at fixed times.
    cron = Cron("30 0-23 * * *", "America/New_York")
    assert [each[11:] for each in runs(cron, "2025-11-02 00:40", 2)] == [
        "01:30-04:00",
        "02:30-05:00",
    ]
    assert [each[11:] for each in runs(cron, "2025-03-09 01:00", 3)] == [
        "01:30-05:00",
        "03:00-04:00",
        "03:30-04:00",
    ]
    stepped = Cron("30 */1 * * *", "America/New_York")
    assert [each[11:] for each in runs(stepped, "2025-11-02 00:40", 2)] == [
        "01:30-04:00",
        "01:30-05:00",
    ]


def test_asked_in_the_second_pass_a_fixed_job_is_over() -> None:
    cron = Cron("0,30 1 * * *", "America/New_York")
    for minute in (0, 15, 30, 59):
        second_pass = datetime(2025, 11, 2, 6, minute, tzinfo=UTC)
        found = cron.next_after(second_pass)
        assert found is not None
        assert found.isoformat() == "2025-11-03T01:00:00-05:00"


def test_samoas_lost_day_is_lost() -> None:
    # Debian's cron makes up for changes of up to three hours.
    daily = Cron("0 12 * * *", "Pacific/Apia")
    assert runs(daily, "2011-12-28 13:00", 3) == [
        "2011-12-29 12:00-10:00",
        "2011-12-31 12:00+14:00",
        "2012-01-01 12:00+14:00",
    ]
    hourly = Cron("0 * * * *", "Pacific/Apia")
    assert runs(hourly, "2011-12-29 22:30", 2) == [
        "2011-12-29 23:00-10:00",
        "2011-12-31 00:00+14:00",
    ]


def test_nothing_changes_for_a_zone_without_changes() -> None:
    daily = Cron("30 2 * * *", "Asia/Kathmandu")
    assert runs(daily, "2025-03-29 03:00", 2) == [
        "2025-03-30 02:30+05:45",
        "2025-03-31 02:30+05:45",
    ]


@pytest.mark.parametrize(
    ("zone", "expression", "after", "note"),
    [
        (
            "America/New_York",
            "30 2 * * *",
            "2025-03-09 06:00",
            "02:30 does not exist on 2025-03-09",
        ),
        (
            "Antarctica/Troll",
            "40,50 1 * * * 30",
            "2025-03-30 00:00",
            "01:40:30 does not exist on 2025-03-30",
        ),
        ("America/New_York", "0 3 * * *", "2025-03-09 06:00", None),
        ("America/New_York", "0 * * * *", "2025-03-09 06:00", None),
        ("America/New_York", "30 1 * * *", "2025-11-02 04:00", None),
    ],
)
def test_a_moved_run_says_why(
    zone: str, expression: str, after: str, note: str | None
) -> None:
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    found = Cron(expression, zone).next_occurrence(instant_to_micros(moment, "after"))
    assert found is not None
    if note is not None:
        note += "; runs when the clocks have gone forward"
    assert found.note == note
    assert found.nominal == found.at


@pytest.mark.parametrize(
    "expression", ["30 2 * * *", "*/10 2,3 * * *", "0 3 29-31 3 *"]
)
def test_asked_at_every_minute_of_a_change_it_goes_on_from_there(
    expression: str,
) -> None:
    cron = Cron(expression, "Europe/Paris")
    start = instant_to_micros(datetime(2025, 3, 30, 0, tzinfo=UTC), "after")
    all_runs: list[int] = []
    cursor = start
    while len(all_runs) < 20:
        found = cron.next_occurrence(cursor)
        assert found is not None
        cursor = found.at
        all_runs.append(cursor)
    for minute in range(180):
        after = start + minute * 60_000_000
        found = cron.next_occurrence(after)
        assert found is not None
        assert found.at == next(run for run in all_runs if run > after)
