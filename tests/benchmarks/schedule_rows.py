"""Schedules: how fast the next run is found, and many schedules due at once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import trio
import trio.testing
from croniter import croniter
from cronsim import CronSim
from dateutil.rrule import rrulestr

from tests.benchmarks.bench import QUEUE, TRIALS, Bench, check_counts, url_of
from tests.benchmarks.table import Reference, Row, at_most
from trioqueue import (
    Calendar,
    Cron,
    MessageState,
    Schedule,
    Store,
    open_services,
    open_store,
)
from trioqueue.services import CronProcessorService
from trioqueue.testing import virtual_store

BEGAN: Final = datetime(1975, 1, 1, 9, 0)  # noqa: DTZ001  on the wall of ZONE
NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
ZONE: Final = "America/New_York"
ASKED: Final = 300
RULES: Final = (
    # How often dateutil is asked for comparison: it takes seconds for fine rules.
    ("DAILY", 10),
    ("WEEKLY;BYDAY=MO,WE,FR", 10),
    ("MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", 10),
    ("YEARLY", 10),
    ("HOURLY", 1),
    ("MINUTELY", 0),
)
CREATORS: Final = 100
CRON: Final = "*/5 9-17 * * 1-5"


def rows(bench: Bench) -> Iterator[Row]:
    for text, asked in RULES:
        yield _next_run(text, asked)
    yield from _cron()
    yield from _many(bench)


def _instants(count: int) -> list[datetime]:
    source = random.Random(1)
    year = 365 * 86_400
    return [NOW + timedelta(seconds=source.randrange(year)) for _ in range(count)]


def _time_each(
    ask: Callable[[datetime], object], instants: list[datetime]
) -> list[float]:
    """Return how long each question takes, in microseconds."""
    samples = []
    for instant in instants:
        began = time.perf_counter()
        found = ask(instant)
        samples.append(1e6 * (time.perf_counter() - began))
        assert found is not None
    return samples


def _next_run(text: str, asked: int) -> Row:
    whole = Calendar.from_rrule(f"FREQ={text}", dtstart=BEGAN, tz=ZONE)
    whole.next_after(NOW)  # compiled once, as in a service

    def ask(instant: datetime) -> object:
        return whole.next_occurrence(int(instant.timestamp()) * 1_000_000)

    ours = _time_each(ask, _instants(ASKED))
    reference = None
    if asked:
        other = rrulestr(f"FREQ={text}", dtstart=BEGAN)
        instants = [instant.replace(tzinfo=None) for instant in _instants(asked)]
        reference = Reference("dateutil", _time_each(other.after, instants))
    name = f"next run of FREQ={text}, DTSTART 50 years ago"
    return Row(name, "us", ours, reference, at_most(30))


def _cron() -> Iterator[Row]:
    ours = Cron(CRON, ZONE)
    zone = ZoneInfo(ZONE)
    ours.next_after(NOW)
    instants = _instants(ASKED)
    samples = _time_each(
        lambda at: ours.next_occurrence(int(at.timestamp()) * 1_000_000), instants
    )
    theirs = _time_each(
        lambda at: croniter(CRON, at.astimezone(zone)).get_next(datetime), instants
    )
    sims = _time_each(lambda at: next(CronSim(CRON, at.astimezone(zone))), instants)
    name = f"next run of cron {CRON}"
    built = Reference("croniter, built each time", theirs)
    yield Row(name, "us", samples, built, at_most(200))
    yield Row(name, "us", samples, Reference("cronsim", sims))


def _many(bench: Bench) -> Iterator[Row]:
    count = bench.size(10_000, 1000)
    due = [bench.measure(lambda path: _due_at_once(path, count)) for _ in range(TRIALS)]
    yield Row(
        f"{count:,} schedules due in one second: all posted",
        "s",
        due,
        target=at_most(3),
    )
    idle = [_idle_tick(count) for _ in range(TRIALS)]
    yield Row(f"idle tick with {count:,} schedules", "us", idle, target=at_most(50))


async def _create(store: Store, count: int, when: Callable[[int], Cron]) -> None:
    await store.create_queue(QUEUE)

    async def create(numbers: range) -> None:
        for number in numbers:
            schedule = Schedule(f"s{number}", QUEUE, when(number), {"n": number})
            await store.create_schedule(schedule)

    async with trio.open_nursery() as nursery:
        for first in range(CREATORS):
            nursery.start_soon(create, range(first, count, CREATORS))


def _due_at_once(path: Path, count: int) -> float:
    async def main() -> float:
        async with open_store(url_of(path)) as store:
            due = (store.now() + timedelta(seconds=count // 500 + 3)).replace(
                microsecond=0
            )
            cron = Cron(f"{due.minute} {due.hour} * * * {due.second}")
            await _create(store, count, lambda _: cron)
            early = (due - store.now()).total_seconds()
            assert early > 0.5, f"the schedules were ready {-early} s too late"
            async with open_services(store):
                await trio.sleep(early)
                while True:
                    counts = (await store.queue_state(QUEUE)).counts
                    if counts[MessageState.PENDING] == count:
                        break
                    await trio.sleep(0.02)
                took = (store.now() - due).total_seconds()
            await check_counts(store, PENDING=count)
            return took

    return trio.run(main)


def _idle_tick(count: int) -> float:
    """Return how long a look takes that finds nothing due, in microseconds."""

    async def main() -> float:
        async with virtual_store() as store:
            await _create(store, count, lambda n: Cron(f"{n % 60} {n % 24} * * *"))
            service = CronProcessorService(store)
            samples = []
            for _ in range(200):
                began = time.perf_counter()
                assert await service.run_once() == 0
                samples.append(time.perf_counter() - began)
            return 1e6 * sorted(samples)[len(samples) // 2]

    return trio.run(main, clock=trio.testing.MockClock())
