"""One clock per store: the wall clock, or Trio's own when a test drives time.

Durable instants are wall-clock UTC, in whole microseconds.  Trio's clock is used only
to sleep.  Nothing else in trioqueue asks the operating system for the time.
"""

from __future__ import annotations

import math
import sys
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, final

import trio

from trioqueue.model.spans import instant_to_micros, micros_to_instant

if TYPE_CHECKING:
    from trio.abc import Clock as TrioRunClock

DEFAULT_VIRTUAL_START: Final = datetime(2000, 1, 1, tzinfo=UTC)


class Clock(ABC):
    """Where a store takes the present instant from.

    `now_us` may be called from any thread.
    """

    @abstractmethod
    def now_us(self) -> int:
        """Return the present instant, in microseconds since 1970."""

    @property
    @abstractmethod
    def is_virtual(self) -> bool:
        """Whether a test drives this clock, so that no thread may hold it up."""

    def now(self) -> datetime:
        """Return the present instant as an aware datetime."""
        return micros_to_instant(self.now_us())

    def trio_deadline(self, instant_us: int) -> float:
        """Return the Trio time at which an instant comes, as the clocks stand now."""
        return trio.current_time() + (instant_us - self.now_us()) / 1_000_000


@final
class WallClock(Clock):
    """The operating system's clock."""

    def now_us(self) -> int:
        """Return the present instant, in microseconds since 1970."""
        return time.time_ns() // 1000

    @property
    def is_virtual(self) -> bool:
        """Return False, for real time passes by itself."""
        return False

    def __repr__(self) -> str:
        return "WallClock()"


@final
class TrioClock(Clock):
    """Wall time that follows Trio's clock: ``start`` plus Trio time.

    Under a `trio.testing.MockClock` Trio time begins at 0, so every store of a run
    agrees on the time.  Under Trio's usual clock, whose zero means nothing, ``start``
    is the moment this object is made.

    Args:
        start: The wall time at Trio time 0 (default 2000-01-01T00:00Z), aware.

    Make it inside ``trio.run``.
    """

    def __init__(self, start: datetime = DEFAULT_VIRTUAL_START) -> None:
        self._start_us = instant_to_micros(start, "start")
        self._clock: TrioRunClock = trio.lowlevel.current_clock()
        self._virtual = uses_mock_clock(self._clock)
        self._origin = 0.0 if self._virtual else self._clock.current_time()

    def now_us(self) -> int:
        """Return the present instant, in microseconds since 1970."""
        passed = self._clock.current_time() - self._origin
        return self._start_us + round(passed * 1_000_000)

    @property
    def is_virtual(self) -> bool:
        """Whether the run uses a MockClock."""
        return self._virtual

    def trio_deadline(self, instant_us: int) -> float:
        """Return the Trio time at which an instant comes, exactly."""
        span = instant_us - self._start_us
        deadline = self._origin + span / 1_000_000
        while round((deadline - self._origin) * 1_000_000) < span:
            # Centuries ahead a float is coarser than a microsecond: rather late, for
            # who wakes too early finds nothing due, and virtual time stands still.
            deadline = math.nextafter(deadline, math.inf)
        return deadline

    def __repr__(self) -> str:
        return f"TrioClock(start={micros_to_instant(self._start_us).isoformat()!r})"


def uses_mock_clock(clock: TrioRunClock) -> bool:
    """Say whether a Trio clock is a `trio.testing.MockClock`.

    ``trio.testing`` imports pytest where it is installed, a third of a second; as long
    as nobody has imported it, nobody has a mock clock.
    """
    testing = sys.modules.get("trio.testing")
    return testing is not None and isinstance(clock, testing.MockClock)


def choose_clock() -> Clock:
    """Pick the clock for the current Trio run: virtual under a MockClock, else real."""
    if uses_mock_clock(trio.lowlevel.current_clock()):
        return TrioClock()
    return WallClock()
