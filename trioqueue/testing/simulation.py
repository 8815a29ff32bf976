"""What schedules would do: run through virtual time, with the reasons.

The schedules are copied into a store in memory and served there by the same services
that run in production, on a clock that is moved from one due instant to the next.
Nothing is posted to the real store, and no time passes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Literal, TypeVar, final

import attrs
import trio

from trioqueue.app import App
from trioqueue.clock import Clock
from trioqueue.errors import TrioQueueError, ValidationError
from trioqueue.model.message import JSON_TYPE
from trioqueue.model.schedule import ScheduleState
from trioqueue.model.spans import instant_to_micros, micros_to_instant, to_micros
from trioqueue.policies.jitter import jitter
from trioqueue.services import CalendarService, CronProcessorService
from trioqueue.store import open_store
from trioqueue.store.operations.core import CALENDAR, CRON

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
    from datetime import datetime

    from trioqueue.model.schedule import Schedule, ScheduleRun
    from trioqueue.schedules.business_days import BusinessCalendar
    from trioqueue.schedules.when import Occurrence, When
    from trioqueue.store import Store

T = TypeVar("T")

DEFAULT_LIMIT: Final = 100_000
_PAGE: Final = 1000


@final
@attrs.frozen
class SimulatedRun:
    """One thing that a schedule would do.

    Attributes:
        schedule_id: Which schedule.
        at: When the message would be posted; of a skipped run, when it would have been.
        occurrence: Which run: the instant that the rules give, before any move.
        kind: ``on_time``, ``catch_up`` (after an outage) or ``skipped``.
        merged: How many other missed runs it stands for.
        jitter_seconds: By how much the message would be held back.
        notes: Why it is not as the rules alone would have it, in words.
    """

    schedule_id: str
    at: datetime
    occurrence: datetime
    kind: Literal["on_time", "catch_up", "manual", "skipped"]
    merged: int = 0
    jitter_seconds: float = 0
    notes: tuple[str, ...] = ()


@final
@attrs.frozen
class Simulation:
    """What came out.

    Attributes:
        runs: What the schedules would do, in order of time.
        idle: The schedules that would do nothing, with the reason.
        complete: Whether it reached its end; else it stopped after so many runs as it
            was allowed.
    """

    runs: tuple[SimulatedRun, ...]
    idle: dict[str, str]
    complete: bool = True


@final
class SteppedClock(Clock):
    """A clock that stands still until it is set.

    Args:
        now: The present instant, in microseconds since 1970.
    """

    def __init__(self, now: int) -> None:
        self._now = now

    def now_us(self) -> int:
        """Return the present instant, in microseconds since 1970."""
        return self._now

    @property
    def is_virtual(self) -> bool:
        """Return True, for no thread may wait for it."""
        return True

    def set(self, instant: int) -> None:
        """Move it forward to an instant; it never goes back."""
        self._now = max(self._now, instant)


async def simulate(
    source: Store | App,
    start: datetime,
    until: datetime,
    *,
    schedule_ids: Collection[str] | None = None,
    outages: Sequence[tuple[datetime, datetime]] = (),
    limit: int = DEFAULT_LIMIT,
) -> Simulation:
    """Run schedules through virtual time and list what they would do.

    It works in any Trio run and needs no mock clock.

    Args:
        source: A store, whose schedules are read and left alone; or an app, whose
            declared schedules are taken as if created at `start`.
        start: The first instant, aware.
        until: The last one.
        schedule_ids: Only these schedules.
        outages: Spans (from, to) in which no service runs; what is missed in them is
            dealt with by each schedule's misfire policy.
        limit: Stop after so many runs.

    Raises:
        ValidationError: The end is before the start, or an instant has no time zone.
    """
    first, last = instant_to_micros(start, "start"), instant_to_micros(until, "until")
    if last < first:
        raise ValidationError.of("until", f"{until} is before start {start}")
    spans = [_outage(place, *span) for place, span in enumerate(outages)]
    schedules, calendars = await _read(source, schedule_ids)
    simulator = _Simulator(
        schedules=schedules,
        calendars=calendars,
        first=first,
        last=last,
        outages=spans,
        limit=limit,
    )
    return await simulator.run()


def _outage(place: int, begin: datetime, end: datetime) -> tuple[int, int]:
    field = f"outages[{place}]"
    span = instant_to_micros(begin, field), instant_to_micros(end, field)
    if span[1] < span[0]:
        raise ValidationError.of(field, f"ends at {end}, before it begins at {begin}")
    return span


async def _read(
    source: Store | App, wanted: Collection[str] | None
) -> tuple[list[Schedule], list[BusinessCalendar]]:
    if isinstance(source, App):
        await trio.lowlevel.checkpoint()
        found = list(source.schedules.values())
        calendars: list[BusinessCalendar] = []
    else:
        found = await _all_pages(source.list_schedules, lambda schedule: schedule.id)
        calendars = await _all_pages(
            source.list_business_calendars, lambda calendar: calendar.id
        )
    if wanted is not None:
        found = [schedule for schedule in found if schedule.id in wanted]
    return found, calendars


async def _all_pages(
    fetch: Callable[..., Awaitable[list[T]]], key: Callable[[T], object]
) -> list[T]:
    """Return everything that is listed a page at a time."""
    found: list[T] = []
    after = None
    while page := await fetch(limit=_PAGE, after=after):
        found += page
        after = key(page[-1])
    await trio.lowlevel.checkpoint()
    return found


@final
class _Simulator:
    """One simulation: what it is about, and how far it has come."""

    def __init__(
        self,
        *,
        schedules: list[Schedule],
        calendars: list[BusinessCalendar],
        first: int,
        last: int,
        outages: list[tuple[int, int]],
        limit: int,
    ) -> None:
        self._schedules = schedules
        self._calendars = {calendar.id: calendar for calendar in calendars}
        self._first = first
        self._last = last
        self._outages = sorted(outages)
        self._limit = limit
        self._idle: dict[str, str] = {}

    async def run(self) -> Simulation:
        # A run at the first instant itself belongs to it.
        clock = SteppedClock(self._first - 1)
        async with open_store("sqlite://:memory:", clock=clock) as store:
            simulated = await self._copy(store)
            complete = await self._serve(store, clock)
            runs = [
                run
                for schedule in simulated
                for run in await self._runs_of(store, schedule)
            ]
        runs.sort(key=lambda run: (run.at, run.schedule_id, run.occurrence))
        return Simulation(tuple(runs), self._idle, complete)

    async def _copy(self, store: Store) -> list[Schedule]:
        """Put the schedules that would run into the store; return them."""
        for calendar in self._calendars.values():
            await store.put_business_calendar(calendar)
        for queue in sorted({schedule.queue for schedule in self._schedules}):
            await store.create_queue(queue)
        copied = []
        for schedule in self._schedules:
            left = schedule.max_messages
            if left is not None:
                left -= schedule.run_count
            if schedule.state is not ScheduleState.SCHEDULED:
                reason = f": {schedule.reason}" if schedule.reason else ""
                self._idle[schedule.id] = f"{schedule.state.name}{reason}"
                continue
            lean = attrs.evolve(
                schedule,
                # The clock shows an instant before the start, maybe of another day.
                when=schedule.when.bind(schedule.id, self._first),
                payload=None,
                content_type=JSON_TYPE,
                metadata=None,
                max_messages=left,
            )
            try:
                copied.append(await store.create_schedule(lean))
            except TrioQueueError as error:
                self._idle[schedule.id] = str(error)
        await trio.lowlevel.checkpoint()
        return copied

    async def _serve(self, store: Store, clock: SteppedClock) -> bool:
        """Let the services do what falls due, until the end; False: cut short."""
        services = (CronProcessorService(store), CalendarService(store))
        done = 0
        while done < self._limit:
            instants = [
                instant_to_micros(instant, "next_run")
                for kind in (CRON, CALENDAR)
                if (instant := await store.next_schedule_run(kind)) is not None
            ]
            due = self._after_outages(min(instants, default=self._last + 1))
            if due > self._last:
                return True
            clock.set(due)
            for service in services:
                done += await service.run_once()
        await trio.lowlevel.checkpoint()
        return False

    def _after_outages(self, instant: int) -> int:
        for begin, end in self._outages:
            if begin <= instant < end:
                instant = end
        return instant

    async def _runs_of(self, store: Store, schedule: Schedule) -> list[SimulatedRun]:
        when = self._resolved(schedule.when)
        window = to_micros(float(schedule.jitter_seconds))  # type: ignore[arg-type]  # what a store returns is a number
        runs = [
            SimulatedRun(
                schedule.id,
                run.posted_at,
                run.occurrence,
                run.kind,
                run.merged,
                jitter(schedule.id, _nominal(run), window) / 1_000_000,
                tuple(_notes(when, run)),
            )
            for run in await _all_pages(
                partial(store.schedule_history, schedule.id), lambda run: run
            )
        ]
        return [*runs, *self._skipped(schedule.id, when)]

    def _resolved(self, when: When) -> When:
        named = when.business_calendar_id
        return when if named is None else when.resolve(self._calendars[named])

    def _skipped(self, schedule_id: str, when: When) -> Iterator[SimulatedRun]:
        for occurrence in when.skipped_occurrences():
            if self._first <= occurrence.at <= self._last:
                at = micros_to_instant(occurrence.at)
                notes = (occurrence.note or "skipped",)
                yield SimulatedRun(schedule_id, at, at, "skipped", notes=notes)


def _nominal(run: ScheduleRun) -> int:
    return instant_to_micros(run.occurrence, "occurrence")


def _notes(when: When, run: ScheduleRun) -> Iterator[str]:
    found = _occurrence_of(when, run)
    if found is not None and found.note is not None:
        yield found.note
    if run.merged:
        plural = "s" if run.merged > 1 else ""
        yield f"coalesced with {run.merged} other missed run{plural}"


def _occurrence_of(when: When, run: ScheduleRun) -> Occurrence | None:
    """Find the occurrence of a run, by when it ran or by its name."""
    nominal = _nominal(run)
    posted = instant_to_micros(run.posted_at, "posted_at")
    for at in (posted, nominal):
        found = when.next_occurrence(at - 1)
        if found is not None and found.nominal == nominal:
            return found
    return None
