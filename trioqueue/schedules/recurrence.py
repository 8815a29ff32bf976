"""The recurrence engine: the wall times of an RRULE, from any moment on.

It works period by period (years, months, weeks, days) and jumps straight to the period
that holds the moment asked for, so that a rule costs the same however long ago it
began.  A rule of hours or less walks the days it is allowed on and takes the times of
one day by arithmetic.

Every search is bounded by the length of the calendar's own cycle: the Gregorian
calendar repeats every 400 years, so a rule that gives nothing for one cycle of its
periods never gives anything again.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING, Final, final

from trioqueue.schedules import day_sets
from trioqueue.schedules.subdaily import SubdailyTimes
from trioqueue.schedules.wall_clock import DAY, LAST_ORDINAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trioqueue.schedules.rrule import RecurrenceRule

_CYCLES: Final = {"YEARLY": 400, "MONTHLY": 4_800, "WEEKLY": 20_871, "DAILY": 146_097}
"""How many periods of each kind the Gregorian calendar needs to repeat itself."""


@final
class RuleWalls:
    """A rule tied to its beginning.

    Args:
        rule: What repeats.
        start: DTSTART on the wall, in seconds: it fixes the time of day and the day
            where the rule names none, anchors INTERVAL, and no wall time before it is
            given.  It is given itself only if the rule yields it.
        times: Times of day, in seconds, in place of the rule's own; only for rules of
            days or more.
    """

    def __init__(
        self, rule: RecurrenceRule, start: int, times: Sequence[int] | None = None
    ) -> None:
        self.rule = rule
        self.start = start
        self._first_day, self._first_time = divmod(start, DAY)
        self._date = date.fromordinal(self._first_day)
        self._weekday = day_sets.weekday_of(self._first_day)
        self._times = self._own_times() if times is None else tuple(sorted(set(times)))
        self._subdaily = SubdailyTimes(rule, start) if rule.subdaily else None
        self._last: int | None = None

    def walls_from(self, floor: int) -> Iterator[int]:
        """Give its wall times from `floor` on, ascending; UNTIL is not looked at."""
        last = self._last_of_count()
        floor = max(floor, self.start)
        if last is not None and floor > last:
            return
        for wall in self._walls(floor):
            if last is not None and wall > last:
                return
            yield wall

    def _own_times(self) -> tuple[int, ...]:
        """Return the times of day of a rule of days or more."""
        rule = self.rule
        minute, second = divmod(self._first_time, 60)
        hour, minute = divmod(minute, 60)
        return tuple(
            h * 3600 + m * 60 + s
            for h in rule.byhour or (hour,)
            for m in rule.byminute or (minute,)
            for s in rule.bysecond or (second,)
        )

    def _last_of_count(self) -> int | None:
        """Return the last wall time by COUNT; None: COUNT does not end it."""
        if self.rule.count is None:
            return None
        if self._last is None:
            # Counted once, for after that it is a bound like any other.  Wall times
            # are counted, before clock changes can merge two of them.
            self._last = self.start - 1
            for wall in islice(self._walls(self.start), self.rule.count):
                self._last = wall
        return self._last

    def _walls(self, floor: int) -> Iterator[int]:
        """Give wall times from `floor` on, without a look at COUNT."""
        if self._subdaily is not None:
            yield from self._subdaily.walls_from(floor)
            return
        walls: Sequence[int]
        first_day = floor // DAY
        patience = empty = _CYCLES[self.rule.freq]
        for days in self._periods(first_day):
            if self.rule.bysetpos:
                walls = self._picked(days)
                yield from walls[bisect_left(walls, floor) :]
            else:
                walls = days
                yield from self._all(days, floor)
            empty = patience if walls else empty - 1
            if empty < 0:
                return

    def _all(self, days: Sequence[int], floor: int) -> Iterator[int]:
        """Give every time of every day of a period, from `floor` on."""
        times = self._times
        for day in days:
            base = day * DAY
            if base + times[-1] < floor:
                continue
            first = bisect_left(times, floor - base) if base < floor else 0
            for place in range(first, len(times)):
                yield base + times[place]

    def _picked(self, days: Sequence[int]) -> list[int]:
        """Return what BYSETPOS picks from a period."""
        times = self._times
        size = len(days) * len(times)
        places = {n - 1 if n > 0 else size + n for n in self.rule.bysetpos}
        return [
            days[place // len(times)] * DAY + times[place % len(times)]
            for place in sorted(places)
            if 0 <= place < size
        ]

    def _periods(self, first_day: int) -> Iterator[Sequence[int]]:
        """Give the days of each period, from the one that holds a day on."""
        freq = self.rule.freq
        if freq == "DAILY":
            return self._days(first_day)
        if freq == "YEARLY":
            return self._years(first_day)
        if freq == "MONTHLY":
            return self._months(first_day)
        return self._weeks(first_day)

    def _years(self, first_day: int) -> Iterator[Sequence[int]]:
        rule, interval = self.rule, self.rule.interval
        year = date.fromordinal(min(first_day, LAST_ORDINAL)).year
        if rule.byweekno:
            # A week may belong to the year before or after its days, and INTERVAL
            # counts years of weeks.
            anchor = day_sets.week_year_of(self._first_day, rule.wkst)
            year -= 1
        else:
            anchor = self._date.year
        year = anchor + max(0, (year - anchor) // interval) * interval
        while year <= 9999:
            if rule.byweekno:
                yield day_sets.in_week_year(rule, year, self._weekday)
            else:
                yield day_sets.in_year(rule, year, self._date)
            year += interval

    def _months(self, first_day: int) -> Iterator[Sequence[int]]:
        rule, interval = self.rule, self.rule.interval
        asked = date.fromordinal(min(first_day, LAST_ORDINAL))
        anchor = self._date.year * 12 + self._date.month - 1
        month = asked.year * 12 + asked.month - 1
        month = anchor + max(0, (month - anchor) // interval) * interval
        while month < 120_000:  # January of the year 10000
            yield day_sets.in_month(rule, month // 12, month % 12 + 1, self._date.day)
            month += interval

    def _weeks(self, first_day: int) -> Iterator[Sequence[int]]:
        rule, step = self.rule, 7 * self.rule.interval
        anchor = self._first_day - (self._weekday - rule.wkst) % 7
        week = anchor + max(0, (first_day - anchor) // step) * step
        while week <= LAST_ORDINAL:
            days = day_sets.in_week(rule, week, self._weekday)
            yield [day for day in days if 0 < day <= LAST_ORDINAL]
            week += step

    def _days(self, first_day: int) -> Iterator[Sequence[int]]:
        rule, interval = self.rule, self.rule.interval
        anchor = self._first_day
        day = anchor + max(0, -((anchor - first_day) // interval)) * interval
        if not day_sets.limits_days(rule):
            while day <= LAST_ORDINAL:
                yield (day,)
                day += interval
            return
        bymonth = rule.bymonth
        while day <= LAST_ORDINAL:
            if day_sets.allows_day(rule, day):
                yield (day,)
            else:
                yield ()
                if bymonth and (shown := date.fromordinal(day)).month not in bymonth:
                    # Nothing in the rest of this month.
                    end = day_sets.month_span(shown.year, shown.month)[1]
                    day += -((day - end) // interval) * interval
                    continue
            day += interval
