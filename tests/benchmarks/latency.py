"""Pick-up of a message that is posted while the worker has nothing to do."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import trio

from tests.benchmarks.bench import QUEUE, Bench, check_counts, url_of
from tests.benchmarks.children import measure_idle_worker, python_command
from tests.benchmarks.table import Row, at_most
from trioqueue import Job, Worker, open_services, open_store

POSTER: Final = Path(__file__).with_name("child_poster.py")
MEAN_GAP_SECONDS: Final = 0.05


def rows(bench: Bench) -> Iterator[Row]:
    with bench.fresh() as path:
        since_call, since_return = trio.run(
            _same_process, path, bench.size(300, 80), bench.quick
        )
    note = "from post's return to the handler's first line"
    yield Row(
        "pick-up, same process, p50", "ms", since_return, target=at_most(1), note=note
    )
    yield Row("pick-up, same process, p99", "ms", since_return, quantile=0.99)
    yield Row(
        "post's call to handler, same process, p50",
        "ms",
        since_call,
        note="with the commits of the post and of the claim",
    )
    with bench.fresh() as path:
        across = trio.run(_across_processes, path, bench.size(400, 100))
    yield Row("pick-up, across processes, p50", "ms", across, target=at_most(3))
    yield Row(
        "pick-up, across processes, p99",
        "ms",
        across,
        target=at_most(15),
        quantile=0.99,
    )
    yield from _idle_rows(bench)


def _idle_rows(bench: Bench) -> Iterator[Row]:
    """Measure soon after the last message, and once nothing has happened for long.

    A store looks for changes of other processes the less often, the longer there have
    been none.
    """
    for settle in (1,) if bench.quick else (1, 30):
        with bench.fresh() as path:
            idle = trio.run(_idle_cpu, path, bench.size(5, 3), settle)
        yield Row(
            f"idle worker and services after {settle} s, CPU of a core",
            "%",
            idle,
            target=at_most(2),
        )


def gaps(count: int) -> Iterator[float]:
    """Draw pauses between posts, so that no poll falls into step with them."""
    source = random.Random(20)
    for _ in range(count):
        yield min(0.2, 0.005 + source.expovariate(1 / MEAN_GAP_SECONDS))


async def _same_process(
    path: Path, count: int, quick: bool
) -> tuple[list[float], list[float]]:
    """Return milliseconds from the call of post, and from its return."""
    started: dict[int, int] = {}
    called: list[int] = []
    returned: list[int] = []
    last = trio.Event()

    async def handle(job: Job) -> None:
        started[job.payload["number"]] = time.monotonic_ns()
        if len(started) == count:
            last.set()

    async with open_store(url_of(path)) as store:
        await store.create_queue(QUEUE)
        async with open_services(store), trio.open_nursery() as nursery:
            worker = Worker(store, {QUEUE: handle})
            await nursery.start(worker.run)
            await trio.sleep(0.2)
            for number, gap in enumerate(gaps(count)):
                called.append(time.monotonic_ns())
                await store.post(QUEUE, {"number": number, "text": "x" * 170})
                returned.append(time.monotonic_ns())
                await trio.sleep(gap)
            await last.wait()
            await worker.stop_gracefully()
        await check_counts(store)
    assert sorted(started) == list(range(count))
    return _waits(called, started), _waits(returned, started)


def _waits(since: list[int], started: dict[int, int]) -> list[float]:
    return [(started[place] - at) / 1e6 for place, at in enumerate(since)]


async def _across_processes(path: Path, count: int) -> list[float]:
    """Return milliseconds from a return of post in another process."""
    started: dict[int, int] = {}
    last = trio.Event()

    async def handle(job: Job) -> None:
        started[job.payload["number"]] = time.monotonic_ns()
        if len(started) == count:
            last.set()

    async with open_store(url_of(path)) as store:
        await store.create_queue(QUEUE)
        async with open_services(store), trio.open_nursery() as nursery:
            worker = Worker(store, {QUEUE: handle})
            await nursery.start(worker.run)
            command = python_command(
                POSTER, url_of(path), QUEUE, json.dumps(list(gaps(count)))
            )
            with trio.fail_after(count + 60):
                result = await command.run()
                await last.wait()
            await worker.stop_gracefully()
        await check_counts(store)
    assert sorted(started) == list(range(count))
    # CLOCK_MONOTONIC is one clock for all processes of the machine.
    return _waits(json.loads(result), started)


async def _idle_cpu(path: Path, seconds: int, settle: int) -> list[float]:
    async with open_store(url_of(path)) as store:
        await store.create_queue(QUEUE)
    report = await measure_idle_worker(path, QUEUE, seconds, settle=settle)
    return report.cpu_percent
