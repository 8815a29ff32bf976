"""The server's clock, as seen from here: what all processes agree on.

A measurement asks the server for its time and notes when, by a monotonic clock, the
question left and the answer came.  The server looked at its clock somewhere in between,
so the middle is wrong by half the round trip at most.  Between two measurements the
monotonic clock counts on; the local wall clock has no say.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, final

import attrs

from trioqueue.clock import Clock, WallClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SAMPLES: Final = 3
"""How often one measurement asks; the quickest answer counts."""
DRIFT_PPM: Final = 500
"""How far two clocks may run apart: NTP slews by no more, quartz is better."""

QUESTION: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8"
"""Asks a server for its time, in microseconds since 1970."""

_BOOT_TIME: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)


def steady_ns() -> int:
    """Return nanoseconds that no one sets, suspended time included where possible."""
    if _BOOT_TIME is None:
        return time.monotonic_ns()
    return time.clock_gettime_ns(_BOOT_TIME)


@final
@attrs.frozen
class _Sample:
    """What is added to the steady clock, and how wrong that was when, at most."""

    offset_ns: int
    error_ns: int
    at_ns: int

    def error_at(self, now_ns: int) -> int:
        return self.error_ns + max(0, now_ns - self.at_ns) * DRIFT_PPM // 1_000_000


@final
class DatabaseClock(Clock):
    """The server's time; measure it before it is asked, and again from time to time.

    Args:
        steady: A clock in nanoseconds that nobody sets.
        wall: The local wall clock, only to say how wrong it is.
    """

    def __init__(
        self, steady: Callable[[], int] = steady_ns, wall: Clock | None = None
    ) -> None:
        self._steady = steady
        self._wall = WallClock() if wall is None else wall
        # Replaced as a whole: any thread may read it at any time.
        self._best: _Sample | None = None

    def now_us(self) -> int:
        """Return the server's present instant, in microseconds since 1970."""
        return (self._steady() + self._known().offset_ns) // 1000

    @property
    def is_virtual(self) -> bool:
        """Return False, for real time passes by itself."""
        return False

    @property
    def skew_seconds(self) -> float:
        """How far the local wall clock is ahead of the server's."""
        return (self._wall.now_us() - self.now_us()) / 1_000_000

    @property
    def error_seconds(self) -> float:
        """How wrong this clock may be by now, unless the server's was set."""
        return self._known().error_at(self._steady()) / 1e9

    def observe(self, server_us: int, sent_ns: int, received_ns: int) -> None:
        """Take a measurement, if it says more than what is known.

        It does if it is sharper than the last good one is by its age, or if the two
        cannot both be true: then the server's clock was set.  Either way, and as long
        as the clocks drift by 500 ppm at most, this clock is now wrong by no more than
        half the round trip.

        Args:
            server_us: What the server's clock showed, in microseconds since 1970.
            sent_ns: When the question left, by the steady clock.
            received_ns: When the answer came.
        """
        middle = (sent_ns + received_ns) // 2
        half = (received_ns - sent_ns + 1) // 2
        new = _Sample(server_us * 1000 - middle, half, received_ns)
        old = self._best
        if old is not None:
            doubt = old.error_at(received_ns)
            apart = abs(new.offset_ns - old.offset_ns)
            # A microsecond more, for the server's clock shows whole ones.
            if half > doubt and apart <= half + doubt + 1000:
                return
        self._best = new

    async def measure(self, sample: Callable[[], Awaitable[int]]) -> None:  # noqa: ASYNC910  sampling is one
        """Ask the server three times, and take the quickest answer.

        Canceled, it has changed nothing.

        Args:
            sample: Returns the server's time in microseconds, after one round trip.
        """
        answers: list[tuple[int, int, int]] = []
        for _ in range(SAMPLES):
            sent = self._steady()
            server = await sample()
            answers.append((server, sent, self._steady()))
        self.observe(*min(answers, key=_round_trip))

    def _known(self) -> _Sample:
        best = self._best
        if best is None:
            message = "the server's clock was never measured"
            raise RuntimeError(message)
        return best

    def __repr__(self) -> str:
        return "DatabaseClock()"


def _round_trip(answer: tuple[int, int, int]) -> int:
    _, sent, received = answer
    return received - sent
