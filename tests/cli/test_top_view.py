"""The layout of ``trioqueue top``: it fits any terminal, and its figures are right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioqueue import MessageState, NextRun, Overview, QueueOverview, WorkerInfo
from trioqueue.cli.output import text_width
from trioqueue.cli.top_view import BOLD, PLAIN, Rates, age, rates, screen

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def queue(name: str, *counts: int, keeps: bool = True) -> QueueOverview:
    """Make a queue with so many messages in the first states."""
    all_counts = dict.fromkeys(MessageState, 0)
    all_counts |= dict(zip(MessageState, counts, strict=False))
    return QueueOverview(name, all_counts, 5.0, paused=False, keeps_finished=keeps)


def view(
    *queues: QueueOverview, seconds: float = 0, workers: int = 0, runs: int = 0
) -> Overview:
    now = NOW + timedelta(seconds=seconds)
    return Overview(
        now,
        queues,
        tuple(
            WorkerInfo(f"wörker-{n}", "höst", n, "1", ("a",), 4, 1, now, now)
            for n in range(workers)
        ),
        tuple(NextRun(f"schedule-{n}", "a", now) for n in range(runs)),
    )


@given(
    width=st.integers(1, 200),
    height=st.integers(1, 60),
    queues=st.integers(0, 30),
    workers=st.integers(0, 30),
    runs=st.integers(0, 10),
)
def test_it_never_needs_more_than_there_is(
    width: int, height: int, queues: int, workers: int, runs: int
) -> None:
    seen = view(
        *(queue(f"queue-{n}-世界", 1, n) for n in range(queues)),
        workers=workers,
        runs=runs,
    )
    lines = screen(
        seen,
        rates(None, seen),
        width=width,
        height=height,
        title="a title of some length",
        footer="q: quit",
        bold=True,
    )
    assert 0 < len(lines) <= height
    for line in lines:
        assert text_width(line.replace(BOLD, "").replace(PLAIN, "")) <= width
        assert line.count(BOLD) == line.count(PLAIN)


def test_without_a_limit_everything_is_there() -> None:
    seen = view(*(queue(f"q{n}") for n in range(50)), workers=40, runs=9)
    lines = screen(seen, {}, width=200)
    assert len(lines) == 50 + 40 + 9 + 3 + 2
    assert not any("more" in line for line in lines)


def test_the_busiest_queues_come_first() -> None:
    seen = view(queue("a", 0, 1), queue("b", 5, 5), queue("c", 0, 1))
    lines = screen(seen, {}, width=100)
    assert [line.split()[0] for line in lines[1:4]] == ["b", "a", "c"]


def test_rates_are_what_changed_in_each_second() -> None:
    before = view(
        queue("a", 0, 10, 2, 5, 1, 1), queue("b", 0, 5, keeps=False), queue("gone", 1)
    )
    now = view(
        queue("a", 1, 4, 1, 11, 1, 3),
        queue("b", 0, 9, keeps=False),
        queue("new", 0, 7),
        seconds=2,
    )
    assert rates(before, now) == {"a": Rates(-3.0, 4.0), "b": Rates(2.0, None)}
    assert rates(None, now) == {}
    assert rates(now, now) == {}


def test_what_cleanup_deleted_has_not_been_undone() -> None:
    before, now = view(queue("a", 0, 0, 0, 100)), view(queue("a"), seconds=1)
    assert rates(before, now)["a"].finished == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (59.9, "59s"), (61, "1m1s"), (3661, "1h1m"), (90000, "1d1h")],
)
def test_a_span_has_two_units_at_most(seconds: float, text: str) -> None:
    assert age(seconds) == text
