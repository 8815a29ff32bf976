"""``H``: values that differ from schedule to schedule, but never change."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.schedules.shown import runs
from trioqueue.schedules import Cron

NOW = datetime(2025, 1, 1, tzinfo=UTC)
JUST_BEFORE = NOW - timedelta(seconds=1)
HOUR_LATER = NOW + timedelta(hours=1)


def first(expression: str, seed: str) -> datetime:
    found = Cron(expression, seed=seed).next_after(NOW)
    assert found is not None
    return found


def test_values_stay_the_same_from_release_to_release() -> None:
    # Schedules in databases depend on these: never change them.
    start = "2025-01-01 00:00"
    assert runs(Cron("H H * * *"), start, 1) == ["2025-01-01 05:19+00:00"]
    daily = Cron("H H * * *", seed="report")
    assert runs(daily, start, 1) == ["2025-01-01 08:21+00:00"]
    stepped = Cron("H/20 * * * *", seed="report")
    assert [each[11:16] for each in runs(stepped, start, 2)] == ["00:01", "00:21"]
    yearly = Cron("H H H H * H", seed="report")
    assert runs(yearly, start, 1) == ["2025-03-16 08:21:08+00:00"]
    weekly = Cron("0 0 * * h", seed="report")
    assert runs(weekly, start, 1) == ["2025-01-07 00:00+00:00"]


def test_seeds_spread_schedules_over_the_hour_and_the_day() -> None:
    found = [first("H H * * *", f"schedule-{n}") for n in range(2_000)]
    minutes = Counter(each.minute for each in found)
    hours = Counter(each.hour for each in found)
    assert len(minutes) == 60
    assert len(hours) == 24
    assert max(minutes.values()) < 3 * 2_000 / 60
    assert max(hours.values()) < 2 * 2_000 / 24


def test_fields_are_drawn_apart_from_each_other() -> None:
    pairs = {
        (each.hour, each.minute % 24)
        for each in (first("H H * * *", f"schedule-{n}") for n in range(2_000))
    }
    assert len(pairs) > 24 * 24 * 0.9


@given(st.text(max_size=20), st.integers(1, 30))
def test_a_step_comes_that_often_wherever_it_begins(seed: str, step: int) -> None:
    cron = Cron(f"H/{step} * * * *", seed=seed)
    shown = [each.minute for each in cron.preview(60, JUST_BEFORE) if each < HOUR_LATER]
    assert shown == list(range(shown[0], 60, step))
    assert shown[0] < step


@given(st.text(max_size=20))
def test_a_range_keeps_the_value_inside(seed: str) -> None:
    found = first("H(10-19) H(2-4) * * H(1-5)", seed)
    assert 10 <= found.minute <= 19
    assert 2 <= found.hour <= 4
    assert found.isoweekday() <= 5
    stepped = Cron("H(0-29)/10 0 * * *", seed=seed).preview(3, JUST_BEFORE)
    low = stepped[0].minute
    assert [each.minute for each in stepped] == [low, low + 10, low + 20]
    assert low < 10


@given(st.text(max_size=20))
def test_a_day_that_is_drawn_comes_every_month(seed: str) -> None:
    days = [each.day for each in Cron("0 0 H * *", seed=seed).preview(12, NOW)]
    assert len(set(days)) == 1
    assert days[0] <= 28


@given(st.text(max_size=20))
def test_days_may_be_drawn_with_a_step(seed: str) -> None:
    days = [
        each.day for each in Cron("0 0 H/10 1 *", seed=seed).preview(3, JUST_BEFORE)
    ]
    assert days == [days[0], days[0] + 10, days[0] + 20]
    assert days[0] <= 10


def test_binding_gives_the_schedules_id_to_those_that_need_a_seed() -> None:
    spread = Cron("H H * * *")
    assert spread.bind("report", 0) == Cron("H H * * *", seed="report")
    assert spread.with_seed("a").bind("report", 0).seed == "a"
    plain = Cron("0 9 * * *")
    assert plain.bind("report", 0) is plain
    assert plain.with_seed("report").seed == "report"


@pytest.mark.parametrize("seed", ["", "é", "\ud800", "x" * 10_000])
def test_any_text_may_be_a_seed(seed: str) -> None:
    assert first("H * * * *", seed) - NOW <= timedelta(hours=1)
