"""The server's clock as seen from here, with a made-up monotonic source."""

from __future__ import annotations

import time
from typing import final

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trioqueue import WallClock
from trioqueue.clock import Clock
from trioqueue.store.postgres.server_clock import DatabaseClock, steady_ns

MS = 1_000_000
SECOND = 1_000_000_000
START_US = 1_800_000_000_000_000


@final
class World:
    """A steady clock, a server whose clock drifts, and the way between them."""

    def __init__(self, drift_ppm: int = 0) -> None:
        self.steady = 77 * SECOND
        self.server_ns = START_US * 1000
        self.drift_ppm = drift_ppm
        self.clock = DatabaseClock(lambda: self.steady)

    def pass_time(self, ns: int) -> None:
        self.steady += ns
        self.server_ns += ns + ns * self.drift_ppm // 1_000_000

    def measure(self, there_ns: int, back_ns: int) -> None:
        sent = self.steady
        self.pass_time(there_ns)
        shown = self.server_ns // 1000
        self.pass_time(back_ns)
        self.clock.observe(shown, sent, self.steady)

    @property
    def error_us(self) -> float:
        return abs(self.clock.now_us() - self.server_ns / 1000)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3600 * SECOND),
            st.integers(0, 5 * SECOND),
            st.integers(0, 5 * SECOND),
        ),
        min_size=1,
        max_size=20,
    ),
    st.integers(-200, 200),
)
def test_after_a_measurement_it_is_wrong_by_half_a_round_trip_at_most(
    steps: list[tuple[int, int, int]], drift_ppm: int
) -> None:
    world = World(drift_ppm)
    for pause, there, back in steps:
        world.pass_time(pause)
        world.measure(there, back)
        # The drift within the round trip, and two roundings to a microsecond.
        slack = (there + back) / 1000 * 0.0002 + 2
        assert world.error_us <= (there + back) / 2000 + slack
        assert world.error_us <= world.clock.error_seconds * 1e6 + slack


def test_a_drift_of_200_ppm_is_followed() -> None:
    world = World(drift_ppm=200)
    for _ in range(100):
        world.measure(1 * MS, 1 * MS)
        world.pass_time(30 * SECOND)
        assert world.error_us <= 1_000 + 30 * 200 + 10


def test_an_answer_that_took_long_does_not_spoil_a_good_one() -> None:
    world = World()
    world.measure(1 * MS, 1 * MS)
    world.pass_time(SECOND)
    world.measure(0, 8 * SECOND)
    assert world.error_us <= 1


def test_a_sharper_answer_replaces_a_dull_one() -> None:
    world = World()
    world.measure(0, 8 * SECOND)
    assert world.error_us == pytest.approx(4_000_000, abs=2)
    world.measure(1 * MS, 1 * MS)
    assert world.error_us <= 1


@pytest.mark.parametrize("minutes", [10, -10])
def test_a_server_clock_that_was_set_is_followed_at_the_next_measurement(
    minutes: int,
) -> None:
    world = World()
    world.measure(1 * MS, 1 * MS)
    world.server_ns += minutes * 60 * SECOND
    # Although it is duller than the first.
    world.measure(200 * MS, 200 * MS)
    assert world.error_us <= 200_000


def test_a_suspended_machine_knows_the_time_when_it_wakes() -> None:
    world = World()
    world.measure(1 * MS, 1 * MS)
    world.pass_time(8 * 3600 * SECOND)
    assert world.error_us <= 1


def test_a_machine_suspended_while_it_measures_keeps_what_it_knew() -> None:
    world = World()
    world.measure(1 * MS, 1 * MS)
    world.measure(1 * MS, 8 * 3600 * SECOND)
    assert world.error_us <= 1


@final
class Wall(Clock):
    """A wall clock that a test sets."""

    shows = START_US

    def now_us(self) -> int:
        return self.shows

    @property
    def is_virtual(self) -> bool:
        return False


def test_the_local_wall_clock_has_no_influence() -> None:
    wall, steady = Wall(), 5 * SECOND
    clock = DatabaseClock(lambda: steady, wall)
    clock.observe(START_US, steady, steady)
    assert clock.skew_seconds == 0
    wall.shows += 600_000_000
    assert clock.now_us() == START_US
    assert clock.skew_seconds == 600
    wall.shows -= 1_200_000_000
    assert clock.now_us() == START_US
    assert clock.skew_seconds == -600


def test_the_operating_system_is_never_asked_for_the_date(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden() -> float:
        raise AssertionError

    clock = DatabaseClock()
    now = steady_ns()
    monkeypatch.setattr(time, "time", forbidden)
    monkeypatch.setattr(time, "time_ns", forbidden)
    clock.observe(START_US, now, now)
    first = clock.now_us()
    assert first >= START_US
    assert clock.now_us() >= first
    assert clock.now().year == 2027
    with pytest.raises(AssertionError):
        assert clock.skew_seconds


async def test_measuring_keeps_the_quickest_of_three_answers() -> None:
    world = World()
    ways = iter([(0, 900 * MS), (1 * MS, 1 * MS), (700 * MS, 0)])

    async def sample() -> int:
        there, back = next(ways)
        world.pass_time(there)
        shown = world.server_ns // 1000
        world.pass_time(back)
        await trio.lowlevel.checkpoint()
        return shown

    await world.clock.measure(sample)
    assert world.error_us <= 1
    assert not list(ways)


async def test_a_measurement_that_is_canceled_changes_nothing() -> None:
    world = World()
    world.measure(1 * MS, 1 * MS)
    before = world.clock.now_us()

    async def sample() -> int:
        await trio.Event().wait()
        return 0

    with trio.move_on_after(0) as scope:
        await world.clock.measure(sample)
    assert scope.cancelled_caught
    assert world.clock.now_us() == before


def test_a_clock_that_was_never_measured_says_so() -> None:
    with pytest.raises(RuntimeError, match="never measured"):
        DatabaseClock().now_us()
    assert not DatabaseClock().is_virtual
    assert not isinstance(DatabaseClock(), WallClock)
