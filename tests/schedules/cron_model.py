"""A slow model of Debian's cron, which wakes up every minute and looks at the clock.

It shares nothing with the engine.  Each minute it compares the clock on the wall with
the last one: a jump of up to three hours ahead makes it run, at once, the jobs at fixed
times that were skipped; a jump back makes those wait until the clock has caught up.
Jobs with a star in the minute or hour look at the clock alone.  With a seconds field it
wakes up every second.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

LOWS: Final = (0, 0, 1, 1, 0, 0)
HIGHS: Final = (59, 23, 31, 12, 7, 59)
MOST: Final = timedelta(hours=3)


class CronModel:
    """One expression, in numbers only."""

    def __init__(self, expression: str) -> None:
        self.fields = expression.split()
        self.tick = timedelta(seconds=1 if len(self.fields) == 6 else 60)
        self.wildcard = any(field.startswith("*") for field in self.fields[:2])
        self.both_days = any(self.fields[n][0] in "*?" for n in (2, 4))
        self.sets = [
            _numbers(field, LOWS[n], HIGHS[n]) for n, field in enumerate(self.fields)
        ]

    def matches(self, wall: datetime) -> bool:
        """Say whether the fields allow what the clock shows."""
        minutes, hours, _, months, *_ = self.sets
        if len(self.sets) == 6 and wall.second not in self.sets[5]:
            return False
        if wall.minute not in minutes or wall.hour not in hours:
            return False
        if wall.month not in months:
            return False
        answers = self._day(wall), self._weekday(wall)
        return all(answers) if self.both_days else any(answers)

    def _day(self, wall: datetime) -> bool:
        last = monthrange(wall.year, wall.month)[1]
        if wall.day in self.sets[2]:
            return True
        items = self.fields[2].upper().split(",")
        if "L" in items and wall.day == last:
            return True
        if "LW" not in items:
            return False
        days = [
            day
            for day in range(1, last + 1)
            if datetime(wall.year, wall.month, day).isoweekday() < 6
        ]
        return wall.day == days[-1]

    def _weekday(self, wall: datetime) -> bool:
        weekday = wall.isoweekday()
        if {weekday, weekday % 7} & self.sets[4]:
            return True
        for item in self.fields[4].upper().split(","):
            if "#" in item:
                day, nth = item.split("#")
                low = 7 * (int(nth) - 1)
                if int(day) % 7 == weekday % 7 and low < wall.day <= low + 7:
                    return True
            elif item.endswith("L"):
                following = wall + timedelta(days=7)
                if int(item[:-1]) % 7 == weekday % 7 and following.month != wall.month:
                    return True
        return False

    def runs(self, tz: str, start: datetime, end: datetime) -> list[datetime]:
        """Return all runs after a moment, up to another one."""
        found = []
        reached: datetime | None = None
        warm_up = timedelta(hours=4 if len(self.fields) == 6 else 26)
        for moment, wall in _clock(tz, _hour(start - warm_up), end, self.tick):
            step = self.tick if reached is None else wall - reached
            missed: list[datetime] = []
            if abs(step) > MOST:
                missed, reached = [wall], wall
            elif step > timedelta(0):
                count = step // self.tick
                missed = [wall - n * self.tick for n in range(count)]
                reached = wall
            due = [wall] if self.wildcard else missed
            if moment > start and any(map(self.matches, due)):
                found.append(moment)
        return found


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


@lru_cache(maxsize=64)
def _clock(
    tz: str, start: datetime, end: datetime, tick: timedelta
) -> list[tuple[datetime, datetime]]:
    zone = ZoneInfo(tz)
    moment = start
    shown = []
    while moment <= end:
        shown.append((moment, moment.astimezone(zone).replace(tzinfo=None)))
        moment += tick
    return shown


def _numbers(field: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for item in field.split(","):
        span, _, step = item.partition("/")
        if span in ("*", "?"):
            first, last = low, high
        elif "-" in span:
            first, last = map(int, span.split("-"))
        elif span.isdigit():
            first = int(span)
            last = high if step else first
        else:
            continue
        found.update(range(first, last + 1, int(step or 1)))
    return found
