"""Which days of a year are holidays, once all have found their place."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import TYPE_CHECKING, Final, final

from trioqueue.errors import ValidationError
from trioqueue.schedules.wall_clock import LAST_ORDINAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trioqueue.schedules.holidays import Holiday

_YEARS_KEPT: Final = 128
SUBSTITUTE_REACH: Final = 31
"""How many days a ``next_business_day`` holiday may move; beyond it has no other."""


@final
class HolidayTable:
    """The holidays of a calendar by year, each year computed once and kept.

    Days are ordinals.  A holiday may be observed in the neighbouring year, so that a
    year depends on its neighbours.

    Args:
        holidays: Holidays without problems.
        weekend_days: ISO weekdays, not all seven.
    """

    def __init__(
        self, holidays: Iterable[Holiday], weekend_days: Iterable[int]
    ) -> None:
        self._given = tuple(holidays), tuple(weekend_days)
        # An ordinal modulo 7 is its ISO weekday, but 0 for Sunday.
        self._weekend = frozenset(day % 7 for day in self._given[1])
        self._dated: dict[int, list[Holiday]] = {}
        self._rules: list[Holiday] = []
        for holiday in self._given[0]:
            if holiday.date is None:
                self._rules.append(holiday)
            else:
                self._dated.setdefault(holiday.date.year, []).append(holiday)
        self._days = lru_cache(_YEARS_KEPT)(self._find_days)
        self._settled = lru_cache(_YEARS_KEPT)(self._settle)
        self._moved = lru_cache(_YEARS_KEPT)(self._move)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self._given

    def is_business_day(self, ordinal: int) -> bool:
        """Tell whether a day is neither weekend nor a holiday."""
        if not 1 <= ordinal <= LAST_ORDINAL:
            raise ValidationError.of(
                "day", f"{ordinal} is no day of the years 1 to 9999"
            )
        if ordinal % 7 in self._weekend:
            return False
        return ordinal not in self._days(dt.date.fromordinal(ordinal).year)

    def names(self, year: int) -> dict[int, str]:
        """Return the holidays of a year with their names, in order of days."""
        first = dt.date(year, 1, 1).toordinal()
        last = dt.date(year, 12, 31).toordinal()
        names: dict[int, list[str]] = {}
        for near in (year - 1, year, year + 1):
            # Substitutes only come later: those of the next year are not ours.
            moved = self._moved(near) if near <= year else ()
            for day, name in (*self._settled(near)[0], *moved):
                if first <= day <= last and name not in names.setdefault(day, []):
                    names[day].append(name)
        return {day: "; ".join(filter(None, names[day])) for day in sorted(names)}

    def _find_days(self, year: int) -> frozenset[int]:
        return frozenset(self.names(year))

    def _nominal(self, year: int) -> list[tuple[int, Holiday]]:
        """Return the holidays whose unmoved day is in a year, in order of days."""
        if not dt.MINYEAR <= year <= dt.MAXYEAR:
            return []
        found: list[tuple[int, Holiday]] = []
        first = dt.date(year, 1, 1).toordinal()
        last = dt.date(year, 12, 31).toordinal()
        for holiday in (*self._dated.get(year, ()), *self._rules):
            years: Iterable[int] = (year,)
            if holiday.offset_days is not None:
                years = range(max(year - 1, dt.MINYEAR), min(year + 1, dt.MAXYEAR) + 1)
            for rule_year in years:
                day = holiday.ordinal_in(rule_year)
                if day is not None and first <= day <= last:
                    found.append((day, holiday))
        return sorted(found, key=lambda item: item[0])

    def _settle(
        self, year: int
    ) -> tuple[tuple[tuple[int, str], ...], tuple[tuple[int, str], ...]]:
        """Return what does not depend on other holidays, and what waits for a place."""
        settled: list[tuple[int, str]] = []
        waiting: list[tuple[int, str]] = []
        for day, holiday in self._nominal(year):
            settled.append((day, holiday.name))
            if holiday.observed is None or day % 7 not in self._weekend:
                continue
            name = f"{holiday.name} (observed)".lstrip()
            if holiday.observed == "next_business_day":
                waiting.append((day, name))
                continue
            if holiday.observed == "nearest_weekday":
                moved = self._nearest_weekday(day)
            else:
                moved = self._next_monday(day)
            settled.append((moved, name))
        return tuple(settled), tuple(waiting)

    def _nearest_weekday(self, day: int) -> int:
        for distance in range(1, 7):
            for near in (day + distance, day - distance):
                if near % 7 not in self._weekend:
                    return near
        return day

    def _next_monday(self, day: int) -> int:
        day += 1
        while day % 7 != 1:
            day += 1
        while day % 7 in self._weekend:
            day += 1
        return day

    def _move(self, year: int) -> tuple[tuple[int, str], ...]:
        """Return the substitute days of a year's ``next_business_day`` holidays.

        Those of the end of the year before come first.  That year is looked at by
        itself: otherwise each year would depend on all before it.
        """
        if not self._settled(year)[1]:
            return ()
        taken = {
            day
            for near in (year - 1, year, year + 1)
            for day, _ in self._settled(near)[0]
        }
        for _ in self._substitutes(year - 1, taken):
            pass
        return tuple(self._substitutes(year, taken))

    def _substitutes(self, year: int, taken: set[int]) -> Iterator[tuple[int, str]]:
        for day, name in self._settled(year)[1]:
            end = min(day + SUBSTITUTE_REACH, LAST_ORDINAL)
            for substitute in range(day + 1, end + 1):
                if substitute % 7 not in self._weekend and substitute not in taken:
                    taken.add(substitute)
                    yield substitute, name
                    break
