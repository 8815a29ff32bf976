"""Virtual time, many due messages, start-up."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import trio
from trio.testing import MockClock

from tests.benchmarks.bench import QUEUE, TRIALS, Bench, check_counts, url_of
from tests.benchmarks.table import Row, at_least, at_most
from trioqueue import Job, NewMessage, Worker, open_services, open_store
from trioqueue.testing import virtual_store

DAY = 86_400


def rows(bench: Bench) -> Iterator[Row]:
    due = [bench.measure(_due_at_once) for _ in range(TRIALS)]
    yield Row("10,000 due in one instant: all PENDING", "s", due, target=at_most(1))
    speeds = [_virtual_jobs(bench.size(5000, 1000)) for _ in range(TRIALS)]
    yield Row("virtual time, jobs", "/s", speeds, target=at_least(2000))
    years = [_virtual_year() for _ in range(TRIALS)]
    yield Row("virtual time, a year of a daily job", "s", years, target=at_most(1))
    base = [_run("import trio") for _ in range(7)]
    whole = [_run("import trio, trioqueue.app") for _ in range(7)]
    more = [1000 * (w - min(base)) for w in whole]
    yield Row("import beyond trio's own", "ms", more, target=at_most(150))
    command = [sys.executable, "-m", "trioqueue", "--help"]
    helps = [1000 * _timed(command) for _ in range(7)]
    yield Row("trioqueue --help", "ms", helps, target=at_most(250))


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


def _run(code: str) -> float:
    return _timed([sys.executable, "-c", code])


def _timed(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
