"""A calendar made ready to run: its rules as sources, its exceptions as instants.

The same form serves execution, previews and exports.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from datetime import date, datetime
from functools import cached_property
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Final, final

from trioqueue.schedules.exceptions import Extra, Reschedule, Skip, show
from trioqueue.schedules.reading import instant_of, wall_in
from trioqueue.schedules.wall_clock import DAY, LAST_SECOND, LAST_WALL, show_wall
from trioqueue.schedules.when import Occurrence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from trioqueue.schedules.exceptions import CalendarException
    from trioqueue.schedules.source import Run, Source
    from trioqueue.schedules.wall_clock import Zone

SECOND: Final = 1_000_000
MAX_MOVED: Final = DAY


@final
class CompiledCalendar:
    """The union of some sources, with exceptions.

    Args:
        zone: The calendar's zone.
        sources: Its rules.
        exceptions: Its exceptions; they have no problems.
    """

    def __init__(
        self,
        zone: Zone,
        sources: Sequence[Source],
        exceptions: Iterable[CalendarException] = (),
    ) -> None:
        self._zone = zone
        self._sources = tuple(sources)
        self._over = [math.inf] * len(self._sources)
        self._removed: set[int] = set()
        self._skipped: list[int] = []
        self._skipped_days: list[tuple[int, int]] = []
        self.idle: list[CalendarException] = []
        """Exceptions about days or moments without a run of their own."""
        extra: list[Extra] = []
        added: list[Occurrence] = []
        # Of two that are about one run, the one that names its moment holds.
        for exception in sorted(exceptions, key=_names_a_day):
            if isinstance(exception, Extra):
                extra.append(exception)
            elif isinstance(exception, Skip):
                self._leave_out(exception)
            else:
                added += self._move(exception)
        self._skipped_days.sort()
        moved = {occurrence.nominal for occurrence in added}
        for exception in extra:
            added += self._more(exception, moved)
        self._added = sorted(added)
        self._instants = [occurrence.at for occurrence in self._added]

    @cached_property
    def skipped(self) -> tuple[Occurrence, ...]:
        """The runs that exceptions leave out, for those who ask why."""
        instants = list(self._skipped)
        for span in self._skipped_days:
            runs = islice(self._runs_in(*span), MAX_MOVED)
            instants += (run.instant for run in runs)
        micros = (instant * SECOND for instant in sorted(instants))
        return tuple(Occurrence(at, at, "skipped by an exception") for at in micros)

    @property
    def added(self) -> tuple[Occurrence, ...]:
        """The runs that exceptions move or add, by time."""
        return tuple(self._added)

    def next_occurrence(self, after: int) -> Occurrence | None:
        """Return the first occurrence strictly after an instant (in microseconds)."""
        second = after // SECOND
        run = self._next_kept(second)
        added = None
        place = bisect_right(self._instants, after)
        if place < len(self._added):
            added = self._added[place]
        if run is None or run.instant > LAST_SECOND:
            return added
        at = run.instant * SECOND
        if added is not None and added.at < at:
            return added
        note = None
        if run.gap and run.wall is not None:
            note = f"{show(show_wall(run.wall))} does not exist: the clocks go forward"
        return Occurrence(at, at, note)

    def next_ruled(self, after: int) -> Run | None:
        """Return what the rules alone give next after an instant (in seconds)."""
        best: Run | None = None
        for place, source in enumerate(self._sources):
            if after >= self._over[place]:
                continue
            run = source.next_run(after)
            if run is None:
                # To find that out may take a search through 400 years.
                self._over[place] = after
            elif best is None or run.instant < best.instant:
                best = run
        return best

    def _next_kept(self, after: int) -> Run | None:
        """Return what the rules give next and no exception takes out."""
        run = self.next_ruled(after)
        while run is not None:
            days = self._skipped_days
            place = bisect_right(days, run.instant, key=itemgetter(0)) - 1
            if place >= 0 and run.instant < (end := days[place][1]):
                run = self.next_ruled(end - 1)
            elif run.instant in self._removed:
                run = self.next_ruled(run.instant)
            else:
                break
        return run

    def _span(self, named: date) -> tuple[int, int]:
        """Return the first instant of a day on the wall, or a moment, and its end."""
        if isinstance(named, datetime):
            instant = instant_of(named, self._zone)
            return instant, instant + 1
        # A day that a clock change skips whole is empty.
        day = named.toordinal() * DAY
        end = self._zone.to_instant(min(day + DAY, LAST_WALL)).instant
        return self._zone.to_instant(day).instant, end

    def _runs_in(self, begin: int, end: int) -> Iterator[Run]:
        """Give the runs of a span, without those taken out one by one."""
        cursor = begin - 1
        while (run := self.next_ruled(cursor)) is not None and run.instant < end:
            if run.instant not in self._removed:
                yield run
            cursor = run.instant

    def _leave_out(self, skip: Skip) -> None:
        span = self._span(skip.date)
        run = next(self._runs_in(*span), None)
        if run is None:
            self.idle.append(skip)
        elif isinstance(skip.date, datetime):
            self._removed.add(run.instant)
            self._skipped.append(run.instant)
        else:
            # All at once: there may be a run each second.
            self._skipped_days.append(span)

    def _move(self, exception: Reschedule) -> Iterator[Occurrence]:
        """Remove the runs that an exception is about; give them at their new time."""
        span = self._span(exception.date)
        runs = list(islice(self._runs_in(*span), MAX_MOVED))
        if not runs:
            self.idle.append(exception)
        to = exception.to
        for run in runs:
            self._removed.add(run.instant)
            if isinstance(to, datetime):
                target = instant_of(to, self._zone)
            else:
                clock = self._zone.to_wall(run.instant) % DAY
                target = self._zone.to_instant(to.toordinal() * DAY + clock).instant
            nominal = run.instant * SECOND
            moved = show(show_wall(wall_in_zone(run.instant, self._zone)))
            yield Occurrence(target * SECOND, nominal, f"rescheduled from {moved}")

    def _more(self, exception: Extra, moved: set[int]) -> Iterator[Occurrence]:
        for moment in exception.times:
            wall = wall_in(datetime.combine(exception.date, moment), self._zone)
            at = self._zone.to_instant(wall).instant * SECOND
            # The run that was moved away keeps its name, the instant it had; a further
            # run at that instant needs another.
            yield Occurrence(at, at + (at in moved), "an extra run")


def _names_a_day(exception: CalendarException) -> bool:
    return not isinstance(exception.date, datetime)


def wall_in_zone(instant: int, zone: Zone) -> int:
    """Return what the wall shows at an instant, as far as a datetime can show it."""
    return min(max(zone.to_wall(instant), DAY), LAST_WALL)
