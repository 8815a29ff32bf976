"""Virtual time, many due messages, start-up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import trio
from trio.testing import MockClock

from tests.benchmarks.bench import QUEUE, TRIALS, Bench, check_counts, url_of
from tests.benchmarks.children import run_python
from tests.benchmarks.table import Reference, Row, at_least, at_most
from trioqueue import Job, NewMessage, Worker, open_services, open_store
from trioqueue.testing import virtual_store

DAY: Final = 86_400
STARTS: Final = 7


def rows(bench: Bench) -> Iterator[Row]:
    due = [bench.measure(_due_at_once) for _ in range(TRIALS)]
    yield Row("10,000 due in one instant: all PENDING", "s", due, target=at_most(1))
    speeds = [_virtual_jobs(bench.size(5000, 1000)) for _ in range(TRIALS)]
    yield Row("virtual time, jobs", "/s", speeds, target=at_least(2000))
    years = [_virtual_year() for _ in range(TRIALS)]
    yield Row("virtual time, a year of a daily job", "s", years, target=at_most(1))
    yield from _start_up()


def _start_up() -> Iterator[Row]:
    """Start Python again and again: bare, with trio, with us, and as a command."""
    commands = (
        ("-c", "pass"),
        ("-c", "import trio"),
        ("-c", "import trio, trioqueue.app"),  # which needs nearly all of the package
        ("-m", "trioqueue", "--help"),
    )
    for command in commands:
        run_python(*command)  # the first time it may have to be compiled
    bare, trios, apps, helps = (
        list(samples)
        for samples in zip(
            *([_milliseconds(command) for command in commands] for _ in range(STARTS)),
            strict=True,
        )
    )
    more = [app - own for app, own in zip(apps, trios, strict=True)]
    yield Row(
        "import trioqueue and its App, beyond trio's own",
        "ms",
        more,
        target=at_most(150),
    )
    reference = Reference("python -c pass", bare)
    yield Row("trioqueue --help", "ms", helps, reference, at_most(250))


def _milliseconds(command: tuple[str, ...]) -> float:
    began = time.perf_counter()
    run_python(*command)
    return 1000 * (time.perf_counter() - began)


def _due_at_once(path: Path) -> float:
    async def main() -> float:
        async with open_store(url_of(path)) as store:
            await store.create_queue(QUEUE)
            when = store.now().timestamp() + 2
            due = trio.current_time() + 2
            instant = store.now().fromtimestamp(when, tz=store.now().tzinfo)
            batch = [NewMessage(n, scheduled_time=instant) for n in range(10_000)]
            await store.post_many(QUEUE, batch)
            async with open_services(store):
                await trio.sleep_until(due)
                while await store.next_due() is not None:  # noqa: ASYNC110  a poll
                    await trio.sleep(0.01)
                took = trio.current_time() - due
            await check_counts(store, PENDING=10_000)
            return took

    return trio.run(main)


def _virtual_jobs(count: int) -> float:
    async def main() -> None:
        done = 0

        async def handle(job: Job) -> None:
            nonlocal done
            done += 1

        async with virtual_store() as store:
            await store.create_queue(QUEUE)
            async with open_services(store), trio.open_nursery() as nursery:
                worker = Worker(store, {QUEUE: handle})
                await nursery.start(worker.run)
                for number in range(count):
                    await store.post(QUEUE, number, delay_seconds=number)
                await trio.sleep(count + 1)
                worker.stop()
            await check_counts(store)
        assert done == count

    began = time.perf_counter()
    trio.run(main, clock=MockClock(autojump_threshold=0))
    return count / (time.perf_counter() - began)


def _virtual_year() -> float:
    async def main() -> None:
        ran: list[float] = []

        async def handle(job: Job) -> None:
            ran.append(trio.current_time())
            await store.post(QUEUE, job.payload + 1, delay_seconds=DAY)

        async with virtual_store() as store:
            await store.create_queue(QUEUE)
            await store.post(QUEUE, 0, delay_seconds=DAY)
            async with open_services(store), trio.open_nursery() as nursery:
                worker = Worker(store, {QUEUE: handle})
                await nursery.start(worker.run)
                await trio.sleep(365 * DAY + 1)
                worker.stop()
        assert ran == [DAY * (n + 1) for n in range(365)]

    began = time.perf_counter()
    trio.run(main, clock=MockClock(autojump_threshold=0))
    return time.perf_counter() - began
