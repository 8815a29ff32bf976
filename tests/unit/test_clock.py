"""One clock per store: exact under a MockClock, and always aware."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from trioqueue import TrioClock, ValidationError, WallClock, open_store
from trioqueue.clock import DEFAULT_VIRTUAL_START, choose_clock
from trioqueue.model.spans import instant_to_micros

START = datetime(2026, 3, 29, 0, 59, 59, 999_999, tzinfo=UTC)
CENTURY_US = 100 * 366 * 24 * 3600 * 1_000_000


@given(st.lists(st.integers(0, CENTURY_US), min_size=1, max_size=20))
def test_virtual_time_reaches_each_instant_to_the_microsecond(
    offsets: list[int],
) -> None:
    async def main() -> None:
        clock = TrioClock(START)
        start = instant_to_micros(START, "start")
        assert clock.now() == START
        for offset in sorted(offsets):
            await trio.sleep_until(clock.trio_deadline(start + offset))
            assert clock.now_us() == start + offset

    trio.run(main, clock=MockClock(autojump_threshold=0))


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=50))
def test_many_short_sleeps_do_not_drift(steps: list[int]) -> None:
    async def main() -> None:
        clock = TrioClock(START)
        begin = clock.now_us()
        for step in steps:
            await trio.sleep(step / 1_000_000)
        assert clock.now_us() == begin + sum(steps)

    trio.run(main, clock=MockClock(autojump_threshold=0))


@given(st.integers(CENTURY_US, 79 * CENTURY_US))
def test_virtual_time_never_stops_short_of_an_instant_millennia_ahead(
    offset: int,
) -> None:
    async def main() -> None:
        clock = TrioClock(START)
        instant = instant_to_micros(START, "start") + offset
        await trio.sleep_until(clock.trio_deadline(instant))
        assert 0 <= clock.now_us() - instant < 100

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def test_a_jump_moves_the_clock_by_exactly_as_much(
    mock_clock: MockClock,
) -> None:
    clock = TrioClock(START)
    mock_clock.jump(0.000_001)
    assert clock.now() == START + timedelta(microseconds=1)
    mock_clock.jump(3600)
    assert clock.now() == START + timedelta(hours=1, microseconds=1)


async def test_every_store_of_a_virtual_run_agrees_on_the_time(
    autojump_clock: MockClock,
) -> None:
    await trio.sleep(12.5)
    async with (
        open_store("sqlite://:memory:") as one,
        open_store("sqlite://:memory:") as other,
    ):
        assert one.now() == other.now()
        assert one.now() == DEFAULT_VIRTUAL_START + timedelta(seconds=12.5)


@pytest.mark.parametrize("start", [START.replace(tzinfo=None), "2026-01-01", None, 0])
async def test_a_start_without_a_time_zone_is_refused(start: datetime) -> None:
    with pytest.raises(ValidationError, match=r"^start: "):
        TrioClock(start)


async def test_a_start_in_another_zone_is_the_same_moment(
    autojump_clock: MockClock,
) -> None:
    zoned = START.astimezone(datetime.now().astimezone().tzinfo)
    assert TrioClock(zoned).now() == START


async def test_a_mock_clock_makes_a_store_virtual(autojump_clock: MockClock) -> None:
    clock = choose_clock()
    assert isinstance(clock, TrioClock)
    assert clock.is_virtual
    assert "2000-01-01" in repr(clock)


async def test_a_usual_run_goes_by_the_wall_clock() -> None:
    clock = choose_clock()
    assert isinstance(clock, WallClock)
    assert not clock.is_virtual
    before = time.time()
    assert before - 1 < clock.now().timestamp() < time.time() + 1
    assert clock.now().tzinfo is UTC
    assert repr(clock) == "WallClock()"


async def test_a_trio_clock_on_real_time_starts_when_it_is_made() -> None:
    clock = TrioClock(START)
    assert not clock.is_virtual
    assert timedelta(0) <= clock.now() - START < timedelta(seconds=30)
    ahead = clock.trio_deadline(clock.now_us() + 5_000_000) - trio.current_time()
    assert 4 < ahead <= 5


async def test_a_deadline_by_the_wall_clock_is_as_far_off_as_the_instant() -> None:
    clock = WallClock()
    ahead = clock.trio_deadline(clock.now_us() + 5_000_000) - trio.current_time()
    assert 4 < ahead <= 5


async def test_a_clock_may_be_read_from_any_thread(autojump_clock: MockClock) -> None:
    autojump_clock.autojump_threshold = float("inf")
    clock = TrioClock(START)
    assert await trio.to_thread.run_sync(clock.now_us) == clock.now_us()


def test_a_virtual_clock_needs_a_trio_run() -> None:
    with pytest.raises(RuntimeError):
        TrioClock(START)
