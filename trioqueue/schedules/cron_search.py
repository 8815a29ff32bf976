"""Finds the next run of a cron expression: the wall clock first, instants once.

croniter searches on a plain wall clock; the clock changes are handled here, as Debian's
cron does.  A job at fixed times runs once, when the clocks have gone forward, for all
times that were skipped, and only in the first pass of times that come twice.  A job
with a star in its minute or hour follows the clock.
"""

from __future__ import annotations

import copy
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, final

from croniter import croniter

from trioqueue.schedules.wall_clock import (
    DAY,
    FIRST_WALL,
    LAST_WALL,
    show_wall,
    wall_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioqueue.schedules.wall_clock import Zone

LONGEST_MADE_UP: Final = 3 * 3600
"""Beyond this Debian's cron takes a change for a correction, and makes up for none."""
SOME_INSTANT: Final = 1_767_225_600
"""The start of 2026.  What depends on a zone alone is looked up from there: the same
expression gets the same answer on every day."""
_EPOCH_WALL: Final = date(1970, 1, 1).toordinal() * DAY
_SEARCHED: Final = 146_097 * DAY
"""400 years, after which the calendar repeats itself, weekdays included."""
_START: Final = datetime(2000, 1, 1)
_NO_TIME: Final = timedelta(0)


class Found(NamedTuple):
    """A run, in seconds since 1970."""

    at: int
    skipped: int | None = None
    """The wall time that does not exist, for which it runs."""


class Change(NamedTuple):
    """A moment at which clocks were put forward or back."""

    at: int
    """When, in seconds since 1970."""
    before: int
    """The wall time that the clocks were about to show."""
    after: int
    """The wall time that they showed instead."""


@final
class CronSearch:
    """Searches the runs of one expression in one zone; safe to share by threads.

    Args:
        expressions: What croniter takes; the earliest of them counts.
        zone: The zone whose wall clock they are read on.
        wildcard: Whether to follow the clock through its changes.
    """

    __slots__ = ("_croniters", "_wildcard", "_zone")

    def __init__(
        self, expressions: Sequence[str], zone: Zone, *, wildcard: bool
    ) -> None:
        self._zone = zone
        self._wildcard = wildcard
        self._croniters = [
            croniter(each, _START, datetime, day_or=False) for each in expressions
        ]

    def next_wall(self, wall: int) -> int | None:
        """Return the first wall time strictly after another that the fields allow."""
        start = show_wall(max(wall, FIRST_WALL))
        best: datetime | None = None
        for each in self._croniters:
            # A croniter changes while it searches; a copy costs two microseconds.
            mine = copy.copy(each)
            try:
                found = mine.get_next(datetime, start_time=start)
            except (ValueError, OverflowError):
                continue  # none within fifty years or before the year 10000
            if best is None or found < best:
                best = found
        return None if best is None else wall_of(best)

    def next_run(self, after: int) -> Found | None:
        """Return the first run strictly after an instant, in seconds since 1970."""
        wall = self._zone.to_wall(after)
        if wall >= LAST_WALL:
            return None
        before, later = self._offsets(wall)
        if later >= before:
            return self._first(wall, after)
        first_pass = _instant(wall, before) >= after
        start, end = _instant(wall, before), _instant(wall, later)
        change = self.change_between(start, end)
        if not self._wildcard:
            # In the second pass everything before the change has had its turn.
            return self._first(wall if first_pass else change.before - 1, after)
        found = self._first(wall, after)
        if first_pass and (found is None or found.at >= change.at):
            again = self._first(change.after - 1, change.at - 1)
            if found is None or (again is not None and again.at < found.at):
                return again
        return found

    def change_between(self, start: int, end: int) -> Change:
        """Return the first change after one instant, and not after another."""
        offset = self._zone.offset_at(start)
        low, high = start, end
        while high - low > 1:
            middle = (low + high) // 2
            if self._zone.offset_at(middle) == offset:
                low = middle
            else:
                high = middle
        return Change(
            at=high,
            before=high + _EPOCH_WALL + offset,
            after=high + _EPOCH_WALL + self._zone.offset_at(high),
        )

    def _first(self, wall: int, after: int) -> Found | None:
        """Return the first run after a wall time that is after an instant too."""
        limit = min(wall + _SEARCHED, LAST_WALL)
        while True:
            candidate = self.next_wall(wall)
            if candidate is None or candidate > limit:
                return None
            wall = candidate
            before, later = self._offsets(candidate)
            if later > before:
                change = self.change_between(
                    _instant(candidate, later), _instant(candidate, before)
                )
                if not self._wildcard and later - before <= LONGEST_MADE_UP:
                    return Found(change.at, skipped=candidate)
                wall = change.after - 1
                continue
            at = _instant(candidate, before)
            if at > after:
                return Found(at)
            again = _instant(candidate, later)
            if self._wildcard and again > after:
                return Found(again)

    def _offsets(self, wall: int) -> tuple[int, int]:
        """Return the offsets before and after the change at a wall time, if any."""
        moment = show_wall(max(wall, FIRST_WALL)).replace(tzinfo=self._zone.info)
        return (
            _seconds(moment.utcoffset()),
            _seconds(moment.replace(fold=1).utcoffset()),
        )


def _instant(wall: int, offset: int) -> int:
    return wall - _EPOCH_WALL - offset


def _seconds(offset: timedelta | None) -> int:
    found = offset or _NO_TIME
    return found.days * DAY + found.seconds
