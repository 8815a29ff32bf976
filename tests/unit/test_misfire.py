"""Which due occurrences run: the rule against a slow and simple one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.scheduling import MICRO, Every
from trioqueue import Misfire, ValidationIssue
from trioqueue.policies.jitter import jitter
from trioqueue.policies.misfire import (
    MAX_COUNTED,
    MAX_RUNS,
    ON_TIME_SECONDS,
    Run,
    choose_runs,
)
from trioqueue.schedules.when import Occurrence, When

POLICIES = st.one_of(
    st.just(Misfire.coalesce()),
    st.just(Misfire.skip()),
    st.integers(1, 20).map(Misfire.all),
)


def reference(
    due: list[Occurrence], now: int, misfire: Misfire, most: int | None
) -> list[Run]:
    """Choose among all due occurrences, listed one by one."""
    late = now - ON_TIME_SECONDS * MICRO
    missed = [each for each in due if each.at < late]
    if not missed:
        runs = [Run(each, "on_time") for each in due]
    elif misfire.kind == "coalesce":
        runs = [Run(due[-1], "catch_up", len(due) - 1)]
    elif misfire.kind == "skip":
        runs = [Run(each, "on_time") for each in due if each.at >= late]
    else:
        kept = due[-misfire.max_catchup :]
        dropped = len(due) - len(kept)
        runs = [
            Run(each, "catch_up" if each.at < late or dropped else "on_time")
            for each in kept
        ]
        runs[0] = runs[0]._replace(merged=dropped)
    return runs if most is None else runs[:most]


@given(
    period=st.integers(5, 400),
    start=st.integers(0, 1000),
    passed=st.integers(0, 3000),
    misfire=POLICIES,
    most=st.none() | st.integers(1, 10),
    end=st.none() | st.integers(0, 4000),
    moves=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4000)), max_size=3),
)
@example(400, 0, 60, Misfire.coalesce(), None, None, [])
@example(400, 0, 61, Misfire.coalesce(), None, None, [])
@example(60, 0, 120, Misfire.skip(), None, None, [])
def test_the_runs_are_those_of_the_simple_rule(  # noqa: PLR0917  Hypothesis names them
    period: int,
    start: int,
    passed: int,
    misfire: Misfire,
    most: int | None,
    end: int | None,
    moves: list[tuple[int, int]],
) -> None:
    moved = {a * period: b + 0.5 for a, b in moves}
    rule = Every(period, moved=tuple(moved.items()))
    first = rule.next_occurrence(start * MICRO)
    assert first is not None
    now = first.at + passed * MICRO
    end_at = None if end is None else first.at + end * MICRO
    due, step = [], first
    while step.at <= now and (end_at is None or step.at <= end_at):
        due.append(step)
        following = rule.next_occurrence(step.at)
        assert following is not None
        step = following
    chosen = choose_runs(rule, first, now, misfire, most=most, end_at=end_at)
    assert chosen.runs == reference(due, now, misfire, most)
    # All that is dealt with has run or will not; the rest comes later.
    left = rule.next_occurrence(chosen.dealt_with)
    assert left is not None
    if most is not None and len(chosen.runs) == most:
        assert chosen.dealt_with == chosen.runs[-1].occurrence.at
    else:
        assert left == step


def due_forever(misfire: Misfire, days: int, **more: Any) -> Any:
    rule = Every(1)
    first = Occurrence(MICRO, MICRO)
    now = days * 86_400 * MICRO
    return now, choose_runs(rule, first, now, misfire, **more)


def test_a_month_of_seconds_coalesces_without_going_through_all_of_them() -> None:
    now, chosen = due_forever(Misfire.coalesce(), 30)
    assert chosen.runs == [Run(Occurrence(now, now), "catch_up", MAX_COUNTED)]
    assert chosen.dealt_with == now


@pytest.mark.parametrize(
    ("due", "spare"), [(1, None), (2, 1), (100, 99), (MAX_COUNTED + 5, MAX_COUNTED + 1)]
)
def test_a_coalesced_run_has_an_earlier_one_to_stand_in(
    due: int, spare: int | None
) -> None:
    first, end = Occurrence(MICRO, MICRO), due * MICRO
    now = end + 2 * ON_TIME_SECONDS * MICRO
    chosen = choose_runs(Every(1), first, now, Misfire.coalesce(), end_at=end)
    assert [run.occurrence.at for run in chosen.runs] == [end]
    if spare is None:
        assert chosen.spare is None
    else:
        at = spare * MICRO
        merged = min(due - 1, MAX_COUNTED) - 1
        assert chosen.spare == Run(Occurrence(at, at), "catch_up", merged)


def test_the_latest_of_a_month_of_seconds_are_found_from_the_end() -> None:
    now, chosen = due_forever(Misfire.all(1000), 30)
    instants = [run.occurrence.at for run in chosen.runs]
    assert instants == [now - n * MICRO for n in range(999, -1, -1)]
    assert [run.merged for run in chosen.runs] == [MAX_COUNTED] + [0] * 999


@pytest.mark.parametrize("days", [0.13, 0.2, 0.5])
def test_the_latest_are_found_wherever_the_counting_ends(days: float) -> None:
    """Just after it, a little later, much later."""
    rule, now = Every(1), round(days * 86_400) * MICRO
    first = Occurrence(MICRO, MICRO)
    chosen = choose_runs(rule, first, now, Misfire.all(700))
    instants = [run.occurrence.at for run in chosen.runs]
    assert instants == [now - n * MICRO for n in range(699, -1, -1)]


class Asked(When):
    """A rule that is asked for its occurrences only."""

    kind = "cron"
    tz = "UTC"

    def describe(self) -> str:
        return ""

    def validate(self) -> list[ValidationIssue]:
        return []

    def to_document(self) -> dict[str, Any]:
        return {}


class Bursts(Asked):
    """Every second for four hours, then once a day."""

    def next_occurrence(self, after: int) -> Occurrence | None:
        busy = 4 * 3600 * MICRO
        period = MICRO if after < busy else 86_400 * MICRO
        found = (after // period + 1) * period
        return Occurrence(found, found)


def test_the_latest_are_found_where_runs_have_become_rare() -> None:
    rule = Bursts()
    now = 40 * 86_400 * MICRO
    first = Occurrence(MICRO, MICRO)
    chosen = choose_runs(rule, first, now, Misfire.all(50))
    instants = [run.occurrence.at for run in chosen.runs]
    days = [n * 86_400 * MICRO for n in range(1, 41)]
    seconds = [(4 * 3600 - n) * MICRO for n in range(9, -1, -1)]
    assert instants == seconds + days


def test_many_runs_on_time_are_taken_in_parts() -> None:
    rule = Every(0.01)
    now = 60 * MICRO
    first = Occurrence(10_000, 10_000)
    chosen = choose_runs(rule, first, now, Misfire.skip())
    assert len(chosen.runs) == MAX_RUNS
    assert chosen.dealt_with == MAX_RUNS * 10_000


def test_the_rule_is_asked_in_a_few_dozens_of_questions() -> None:
    asked = 0

    class Counting(Asked):
        def next_occurrence(self, after: int) -> Occurrence | None:
            nonlocal asked
            asked += 1
            return Every(3600).next_occurrence(after)

    first = Occurrence(3600 * MICRO, 3600 * MICRO)
    rule = Counting()
    now = 10 * 365 * 86_400 * MICRO
    choose_runs(rule, first, now, Misfire.skip())
    assert asked < 5
    asked = 0
    found = choose_runs(rule, first, now, Misfire.coalesce())
    assert found.runs[0].occurrence.at == now
    assert asked < MAX_COUNTED + 100


@given(st.text(max_size=20), st.integers(), st.integers(1, 10**12))
def test_jitter_is_within_its_window_and_always_the_same(
    name: str, nominal: int, window: int
) -> None:
    wait = jitter(name, nominal, window)
    assert 0 <= wait < window
    assert jitter(name, nominal, window) == wait


def test_jitter_spreads_evenly_and_differs_by_schedule_and_run() -> None:
    assert jitter("s", 1, 0) == 0
    waits = [jitter(f"s{n}", 5, 1000) for n in range(2000)]
    for tenth in range(10):
        inside = [w for w in waits if tenth * 100 <= w < (tenth + 1) * 100]
        assert 130 < len(inside) < 270
    assert len({jitter("s", n, 10**9) for n in range(1000)}) == 1000
