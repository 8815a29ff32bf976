"""What croniter 6.2 and 7.0 get wrong by themselves: none of it comes through."""

from __future__ import annotations

import pytest

from tests.schedules.shown import runs
from trioqueue import ValidationError
from trioqueue.schedules import Cron


def test_a_fixed_job_in_the_repeated_hour_does_not_run_twice() -> None:
    cron = Cron("30 1 * * *", "America/New_York")
    assert runs(cron, "2024-11-03 00:00", 2) == [
        "2024-11-03 01:30-04:00",
        "2024-11-04 01:30-05:00",
    ]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 0 */2 * 1", ["01-13", "01-27", "02-03"]),
        ("0 0 13 * */5", ["04-13", "06-13", "07-13"]),
    ],
)
def test_a_step_of_a_star_is_still_a_star_in_day_fields(
    expression: str, expected: list[str]
) -> None:
    shown = runs(Cron(expression), "2025-01-01 00:00", 3)
    assert [each[5:10] for each in shown] == expected


@pytest.mark.parametrize(
    ("expression", "day"), [("0 0 LW * *", "2025-05-30"), ("0 0 * * 6L", "2025-05-31")]
)
def test_last_days_are_read(expression: str, day: str) -> None:
    assert runs(Cron(expression), "2025-05-20 00:00", 1) == [f"{day} 00:00+00:00"]


def test_a_day_of_the_month_or_a_weekday_by_its_place_is_enough() -> None:
    shown = runs(Cron("0 0 3 * 1#2"), "2025-01-01 00:00", 3)
    assert [each[5:10] for each in shown] == ["01-03", "01-13", "02-03"]


@pytest.mark.parametrize("expression", ["0 0 * * 1,3#2", "0 0 15,LW * *"])
def test_forms_may_be_mixed_in_one_field(expression: str) -> None:
    assert len(runs(Cron(expression), "2025-01-01 00:00", 3)) == 3


def test_with_seconds_a_job_in_a_gap_runs_at_its_end_once() -> None:
    cron = Cron("30 2 * * * 15", "America/New_York")
    assert runs(cron, "2025-03-09 01:00", 2) == [
        "2025-03-09 03:00-04:00",
        "2025-03-10 02:30:15-04:00",
    ]


@pytest.mark.parametrize("expression", ["5-1 * * * *", "R * * * *", "0 0 31 2 *"])
def test_what_it_takes_though_it_makes_no_sense_is_refused(expression: str) -> None:
    with pytest.raises(ValidationError):
        Cron(expression)


def test_a_start_at_the_end_of_the_field_is_that_value_alone() -> None:
    # 6.2 and 7.0 disagree.
    cron = Cron("59/15 * * * *")
    shown = runs(cron, "2025-01-01 00:00", 2)
    assert [each[11:16] for each in shown] == ["00:59", "01:59"]


def test_a_range_of_one_is_not_the_whole_round() -> None:
    shown = runs(Cron("0 12-12 * * *"), "2025-01-01 00:00", 2)
    assert [each[5:16] for each in shown] == ["01-01 12:00", "01-02 12:00"]


def test_half_an_hour_on_lord_howe_is_not_an_hour() -> None:
    cron = Cron("*/15 1,2 * * *", "Australia/Lord_Howe")
    assert [each[11:] for each in runs(cron, "2025-04-06 01:20", 6)] == [
        "01:30+11:00",
        "01:45+11:00",
        "01:30+10:30",
        "01:45+10:30",
        "02:00+10:30",
        "02:15+10:30",
    ]
