"""The runs of one rule: its wall times as instants, within its limits."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, final

import attrs

from trioqueue.schedules.wall_clock import DAY, FIRST_WALL, LAST_SECOND, LAST_WALL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trioqueue.schedules.wall_clock import Zone


_PATIENCE: Final = 1000
"""So many gaps in a row are skipped: those of more than four centuries, after which
the calendar repeats itself."""


class Walls(Protocol):
    """What gives wall times, in seconds."""

    def walls_from(self, floor: int) -> Iterator[int]:
        """Give wall times from `floor` on, ascending."""
        ...


@final
class DayWalls:
    """Days, each with the same times.

    Args:
        days_from: Gives days (ordinals) from a day on, ascending.
        times: Times of day in seconds.
    """

    def __init__(
        self, days_from: Callable[[int], Iterator[int]], times: Sequence[int]
    ) -> None:
        self._days_from = days_from
        self._times = tuple(sorted(set(times)))

    def walls_from(self, floor: int) -> Iterator[int]:
        """Give wall times from `floor` on, ascending."""
        for day in self._days_from(floor // DAY):
            for clock in self._times:
                if (wall := day * DAY + clock) >= floor:
                    yield wall


class Run(NamedTuple):
    """One run of a rule."""

    instant: int
    """When, in seconds since 1970."""
    wall: int | None
    """The wall time that it comes from; None: it was given as an instant."""
    gap: int
    """By how many seconds a clock change moved it."""


def _latest(run: Run) -> int:
    """Return the wall time from which on nothing comes before a run."""
    return (run.wall or 0) + run.gap


@final
@attrs.frozen(eq=False)
class Source:
    """One rule, ready to be asked for its next run.

    Attributes:
        zone: Where its walls are.
        walls: Its wall times (None: it has only `fixed` ones).
        skip_gaps: Leave out wall times that a clock change skips, rather than shift
            them.
        first: No run before this instant.
        last: No run after it.
        until: No wall time after this instant (UNTIL; RDATEs may lie beyond).
        fixed: Further instants, ascending (RDATE).
        removed: Instants that are left out (EXDATE).
        removed_days: Days on the wall, as ordinals, that are left out.
    """

    zone: Zone
    walls: Walls | None
    skip_gaps: bool = False
    first: float = -math.inf
    last: float = LAST_SECOND
    until: float = math.inf
    fixed: Sequence[int] = ()
    removed: frozenset[int] = frozenset()
    removed_days: frozenset[int] = frozenset()

    def next_run(self, after: int) -> Run | None:
        """Return the first run strictly after an instant (in seconds)."""
        if after >= self.last:
            return None
        if after < self.first:
            after = int(self.first) - 1
        ruled = self._next_ruled(after)
        fixed = self._next_fixed(after) if self.fixed else None
        if ruled is None or (fixed is not None and fixed.instant < ruled.instant):
            return fixed
        return ruled

    def _next_ruled(self, after: int) -> Run | None:
        last = min(self.last, self.until)
        if self.walls is None or after >= last:
            return None
        present = floor = self.zone.to_wall(after)
        # Clocks that went forward have moved earlier wall times to after now.
        if (gap := self.zone.open_gap(after)) is not None:
            floor = max(gap[0], floor - (gap[1] - gap[0]))
        best: Run | None = None
        jump: int | None = max(floor, FIRST_WALL)
        patience = _PATIENCE + len(self.removed_days)
        while jump is not None and (best is None or jump < _latest(best)):
            patience -= 1
            if patience < 0:
                return best
            best, jump = self._walk(jump, after, last, best)
            if best is not None and jump is not None:
                jump = max(jump, present)
        return best

    def _walk(
        self, floor: int, after: int, last: float, best: Run | None
    ) -> tuple[Run | None, int | None]:
        """Look for a run from a wall time on.

        Returns:
            The earliest run found so far, and where to look on for an earlier one;
            None: nowhere.
        """
        assert self.walls is not None  # noqa: S101  the caller has looked
        for wall in self.walls.walls_from(floor):
            if wall > LAST_WALL or (best is not None and wall >= _latest(best)):
                break
            instant, gap = self.zone.to_instant(wall)
            if instant > last and not gap:
                break
            if gap and self.skip_gaps:
                return best, self.zone.gap_end(wall, gap)
            if wall // DAY in self.removed_days:
                return best, (wall // DAY + 1) * DAY
            if not after < instant <= last or instant in self.removed:
                continue
            if best is None or instant < best.instant:
                best = Run(instant, wall, gap)
            # What a clock change has moved may come after what it has not.
            return best, self.zone.gap_end(wall, gap) if gap else None
        return best, None

    def _next_fixed(self, after: int) -> Run | None:
        for instant in self.fixed[bisect_right(self.fixed, after) :]:
            if instant > self.last:
                break
            day = self.zone.to_wall(instant) // DAY
            if instant not in self.removed and day not in self.removed_days:
                return Run(instant, None, 0)
        return None
