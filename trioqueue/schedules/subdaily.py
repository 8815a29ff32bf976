"""The wall times of rules that repeat every so many hours, minutes or seconds.

INTERVAL counts hours, minutes or seconds of the wall clock from DTSTART on, as if every
day had 24 hours.  Days are walked one by one and those that the rule leaves out are
skipped; within a day either the spans that the BY parts allow are walked or the periods
that INTERVAL allows, whichever are fewer.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import date
from math import gcd
from typing import TYPE_CHECKING, Final, final

from trioqueue.schedules import day_sets
from trioqueue.schedules.wall_clock import DAY, LAST_ORDINAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trioqueue.schedules.rrule import RecurrenceRule

_UNITS: Final = {"HOURLY": 3600, "MINUTELY": 60, "SECONDLY": 1}
_PATIENCE_DAYS: Final = 146_097
"""The days that the Gregorian calendar needs to repeat itself."""


@final
class SubdailyTimes:
    """An HOURLY, MINUTELY or SECONDLY rule tied to its beginning.

    Args:
        rule: What repeats.
        start: DTSTART on the wall, in seconds.
    """

    def __init__(self, rule: RecurrenceRule, start: int) -> None:
        self._rule = rule
        self._start = start
        unit = _UNITS[rule.freq]
        self._step = rule.interval * unit
        self._origin = start - start % unit
        self._limited = day_sets.limits_days(rule)
        self._within = self._offsets(start)
        self._spans = self._reachable(list(_allowed_spans(rule, unit)))
        self._starts = [low for low, _ in self._spans]
        self._few_periods = DAY // self._step < len(self._spans)

    def walls_from(self, floor: int) -> Iterator[int]:
        """Give wall times from `floor` on, ascending."""
        if not self._within or not self._spans:
            return
        floor = max(floor, self._start)
        day = floor // DAY
        patience = _PATIENCE_DAYS
        while day <= LAST_ORDINAL and patience >= 0:
            patience -= 1
            if self._limited and not day_sets.allows_day(self._rule, day):
                day = self._next_day(day)
                continue
            base = day * DAY
            # A period that began before the floor may still hold times after it.
            begin = max(base, floor - floor % _UNITS[self._rule.freq])
            for period in self._periods(base, begin):
                for offset in self._within:
                    if period + offset >= floor:
                        patience = _PATIENCE_DAYS
                        yield period + offset
            day += 1
            if self._step > DAY:
                # The next period may be months away.
                day = max(day, self._aligned(day * DAY) // DAY)

    def _offsets(self, start: int) -> tuple[int, ...]:
        """Return the seconds within a period that the rule gives, BYSETPOS applied."""
        rule = self._rule
        if rule.freq == "SECONDLY":
            offsets = [0]
        else:
            seconds = rule.bysecond or (start % 60,)
            if rule.freq == "MINUTELY":
                offsets = list(seconds)
            else:
                minutes = rule.byminute or (start // 60 % 60,)
                offsets = [m * 60 + s for m in minutes for s in seconds]
        if not rule.bysetpos:
            return tuple(offsets)
        size = len(offsets)
        places = {n - 1 if n > 0 else size + n for n in rule.bysetpos}
        return tuple(offsets[place] for place in sorted(places) if 0 <= place < size)

    def _reachable(self, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Leave out spans of the day that INTERVAL never falls into on any day."""
        grid = gcd(self._step, DAY)
        return [
            (low, high)
            for low, high in spans
            if low + (self._origin - low) % grid < high
        ]

    def _next_day(self, day: int) -> int:
        bymonth = self._rule.bymonth
        if bymonth:
            shown = date.fromordinal(day)
            if shown.month not in bymonth:
                return day_sets.month_span(shown.year, shown.month)[1]
        return day + 1

    def _aligned(self, wall: int) -> int:
        """Return the first period that INTERVAL allows, at a wall time or after it."""
        return wall + (self._origin - wall) % self._step

    def _periods(self, base: int, begin: int) -> Iterator[int]:
        """Give the periods of a day that begin at `begin` or after it."""
        if self._few_periods:
            for period in range(self._aligned(begin), base + DAY, self._step):
                place = bisect_right(self._starts, period - base) - 1
                if place >= 0 and period - base < self._spans[place][1]:
                    yield period
            return
        first = max(0, bisect_right(self._starts, begin - base) - 1)
        for place in range(first, len(self._spans)):
            low, high = self._spans[place]
            yield from range(
                self._aligned(max(base + low, begin)), base + high, self._step
            )


def _allowed_spans(rule: RecurrenceRule, unit: int) -> Iterator[tuple[int, int]]:
    """Give the spans of a day that BYHOUR, BYMINUTE and BYSECOND let periods begin in.

    Spans that touch are joined, so that a rule without limits has one.
    """
    minutes = rule.byminute if unit < 3600 else ()
    seconds = rule.bysecond if unit < 60 else ()
    spans = [(hour * 3600, hour * 3600 + 3600) for hour in rule.byhour or range(24)]
    if minutes or seconds:
        spans = [
            (low + minute * 60, low + minute * 60 + 60)
            for low, _ in spans
            for minute in minutes or range(60)
        ]
    if seconds:
        spans = [(low + s, low + s + 1) for low, _ in spans for s in seconds]
    begin, end = spans[0]
    for low, high in spans[1:]:
        if low > end:
            yield begin, end
            begin = low
        end = high
    yield begin, end
