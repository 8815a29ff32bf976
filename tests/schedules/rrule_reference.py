"""Recurrence rules by definition: slow, and meant to be checked by reading alone.

It numbers the periods of a rule (years, months, ... seconds), looks at every day of a
period and at every time of such a day, keeps what all BY parts allow, lets BYSETPOS
choose last, and maps what is left from the wall to instants at the very end.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from typing import TYPE_CHECKING, Final, final
from zoneinfo import ZoneInfo

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
DAY: Final = timedelta(days=1)
UNITS: Final = {
    "HOURLY": timedelta(hours=1),
    "MINUTELY": timedelta(minutes=1),
    "SECONDLY": timedelta(seconds=1),
}


def week_year_start(year: int, wkst: int) -> date:
    """The first day of week 1, the first with four days or more in the year."""
    fourth = date(year, 1, 4)
    return fourth - DAY * ((fourth.weekday() - wkst) % 7)


def days_between(start: date, end: date) -> Iterator[date]:
    day = start
    while day < end:
        yield day
        day += DAY


def instant_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """In a gap: with the offset before it.  In an overlap: the first pass."""
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def exists(wall: datetime, zone: ZoneInfo) -> bool:
    """Whether a clock in the zone ever shows it."""
    return instant_of(wall, zone).astimezone(zone).replace(tzinfo=None) == wall


@final
@attrs.define
class Reference:
    """What a rule gives, from DTSTART on the wall of a zone."""

    text: str
    dtstart: datetime
    tz: str = "UTC"
    gap: str = "shift"
    parts: dict[str, str] = attrs.field(init=False)
    numbers: dict[str, list[int]] = attrs.field(init=False)
    byday: list[tuple[int, int]] = attrs.field(init=False)
    wkst: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.parts = dict(part.split("=") for part in self.text.split(";"))
        self.numbers = {
            name: [int(value) for value in values.split(",")]
            for name, values in self.parts.items()
            if name.startswith("BY") and name != "BYDAY"
        }
        days = filter(None, self.parts.get("BYDAY", "").split(","))
        self.byday = [(int(d[:-2] or 0), WEEKDAYS.index(d[-2:])) for d in days]
        self.wkst = WEEKDAYS.index(self.parts.get("WKST", "MO"))

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.tz)

    def bounds(self, number: int) -> tuple[datetime, datetime] | None:
        """Where a period begins and ends; None beyond the calendar."""
        freq, start = self.parts["FREQ"], self.dtstart.date()
        step = number * int(self.parts.get("INTERVAL", "1"))
        midnight = datetime.combine(start, time())
        try:
            if freq == "YEARLY" and "BYWEEKNO" in self.numbers:
                around = range(start.year - 1, start.year + 2)
                year = max(y for y in around if week_year_start(y, self.wkst) <= start)
                first = week_year_start(year + step, self.wkst)
                last = week_year_start(year + step + 1, self.wkst)
            elif freq == "YEARLY":
                first = date(start.year + step, 1, 1)
                last = date(start.year + step + 1, 1, 1)
            elif freq == "MONTHLY":
                month = start.year * 12 + start.month - 1 + step
                first = date(month // 12, month % 12 + 1, 1)
                last = date((month + 1) // 12, (month + 1) % 12 + 1, 1)
            elif freq == "WEEKLY":
                first = start - DAY * ((start.weekday() - self.wkst) % 7)
                first += DAY * 7 * step
                last = first + DAY * 7
            elif freq == "DAILY":
                first = start + DAY * step
                last = first + DAY
            else:
                unit = UNITS[freq]
                begin = midnight + (self.dtstart - midnight) // unit * unit
                return begin + unit * step, begin + unit * (step + 1)
        except (OverflowError, ValueError):
            return None
        return datetime.combine(first, time()), datetime.combine(last, time())

    def day_counts(self, day: date) -> bool:
        """Whether every part that speaks of days allows a day."""
        freq, numbers = self.parts["FREQ"], self.numbers
        next_month = (day.replace(day=28) + DAY * 4).replace(day=1)
        days_left_in_month = (next_month - day).days
        day_of_year = day.timetuple().tm_yday
        days_left_in_year = (date(day.year, 12, 31) - day).days + 1
        if "BYMONTH" in numbers and day.month not in numbers["BYMONTH"]:
            return False
        if "BYWEEKNO" in numbers and not self.week_counts(day):
            return False
        if "BYYEARDAY" in numbers and not (
            {day_of_year, -days_left_in_year} & set(numbers["BYYEARDAY"])
        ):
            return False
        if "BYMONTHDAY" in numbers and not (
            {day.day, -days_left_in_month} & set(numbers["BYMONTHDAY"])
        ):
            return False
        if self.byday:
            if freq == "MONTHLY" or "BYMONTH" in numbers:
                nth, from_end = day.day, days_left_in_month
            else:
                nth, from_end = day_of_year, days_left_in_year
            nths = {0, (nth + 6) // 7, -((from_end + 6) // 7)}
            return any(w == day.weekday() and n in nths for n, w in self.byday)
        return self.same_day_as_dtstart(day)

    def same_day_as_dtstart(self, day: date) -> bool:
        """What the rule does not say is taken from DTSTART."""
        freq, numbers, start = self.parts["FREQ"], self.numbers, self.dtstart
        if freq not in ("YEARLY", "MONTHLY", "WEEKLY"):
            return True
        if {"BYYEARDAY", "BYMONTHDAY"} & numbers.keys():
            return True
        if freq == "WEEKLY" or "BYWEEKNO" in numbers:
            return day.weekday() == start.weekday()
        if freq == "YEARLY" and "BYMONTH" not in numbers and day.month != start.month:
            return False
        return day.day == start.day

    def week_counts(self, day: date) -> bool:
        """Whether BYWEEKNO allows a day."""
        around = [
            y for y in range(day.year - 1, day.year + 2) if 1 <= y < date.max.year
        ]
        year = max(y for y in around if week_year_start(y, self.wkst) <= day)
        first = week_year_start(year, self.wkst)
        weeks = (week_year_start(year + 1, self.wkst) - first).days // 7
        week = (day - first).days // 7 + 1
        return bool({week, week - weeks - 1} & set(self.numbers["BYWEEKNO"]))

    def times(self, start: datetime) -> Iterable[time]:
        """Every time of day that the parts allow within the period that begins here."""
        freq = self.parts["FREQ"]
        fixed = {
            "HOURLY": ("BYHOUR",),
            "MINUTELY": ("BYHOUR", "BYMINUTE"),
            "SECONDLY": ("BYHOUR", "BYMINUTE", "BYSECOND"),
        }.get(freq, ())
        choices: list[list[int]] = []
        for name, own, first in (
            ("BYHOUR", start.hour, self.dtstart.hour),
            ("BYMINUTE", start.minute, self.dtstart.minute),
            ("BYSECOND", start.second, self.dtstart.second),
        ):
            listed = self.numbers.get(name)
            if name in fixed:
                choices.append([own] if listed is None or own in listed else [])
            else:
                choices.append([first] if listed is None else sorted(set(listed)))
        return (
            time(hour, minute, second) for hour, minute, second in product(*choices)
        )

    def period(self, number: int) -> list[datetime] | None:
        """What the rule gives in one period, DTSTART, COUNT and UNTIL left aside."""
        bounds = self.bounds(number)
        if bounds is None:
            return None
        start, end = bounds
        days = days_between(start.date(), max(end.date(), start.date() + DAY))
        if self.parts["FREQ"] in UNITS:
            days = iter([start.date()])
        walls = [
            datetime.combine(day, clock)
            for day in days
            if self.day_counts(day)
            for clock in self.times(start)
        ]
        if "BYSETPOS" in self.numbers:
            chosen = self.numbers["BYSETPOS"]
            size = len(walls)
            return [w for i, w in enumerate(walls) if {i + 1, i - size} & set(chosen)]
        return walls

    def walls(self, first: int, periods: int) -> list[datetime]:
        """What the rule gives in some periods on the wall, COUNT and DTSTART heeded."""
        found: list[datetime] = []
        for number in range(first, first + periods):
            walls = self.period(number)
            if walls is None:
                break
            found += [wall for wall in walls if wall >= self.dtstart]
        if "COUNT" in self.parts:
            assert first == 0
            return found[: int(self.parts["COUNT"])]
        return found

    def until(self) -> datetime | None:
        """UNTIL as an instant."""
        text = self.parts.get("UNTIL")
        if text is None:
            return None
        if "T" not in text:
            text += "T235959"
        wall = datetime.strptime(text[:15], "%Y%m%dT%H%M%S")
        return wall.replace(tzinfo=UTC) if "Z" in text else instant_of(wall, self.zone)

    def runs(self, periods: int, first: int = 0) -> list[datetime]:
        """The instants of some periods in UTC, sorted, each once."""
        until, zone = self.until(), self.zone
        found = {
            instant_of(wall, zone)
            for wall in self.walls(first, periods)
            if self.gap == "shift" or exists(wall, zone)
        }
        return sorted(run for run in found if until is None or run <= until)
