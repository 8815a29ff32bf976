"""Draining a queue: claim, a handler in its own Trio task, fenced complete."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from pathlib import Path

import trio

from tests.benchmarks.bench import PAYLOAD, QUEUE, Bench, Trial, check_counts, url_of
from tests.benchmarks.table import Row, at_least
from trioqueue import (
    App,
    Job,
    MessageState,
    NewMessage,
    QueueOptions,
    RetentionPolicy,
    Store,
    Worker,
    open_store,
)

KEPT = QueueOptions(retention=RetentionPolicy.keep(3600))
DRAIN_TARGET = at_least(18_000)


def rows(bench: Bench) -> Iterator[Row]:
    count = bench.size(20_000, 6_000)
    plain, wide, kept, tasks = bench.take_turns(
        drain(count, concurrency=100),
        drain(count, concurrency=400),
        drain(count, concurrency=100, options=KEPT),
        _app_tasks(count // 2),
    )
    yield Row("drain, concurrency 100", "/s", plain, target=DRAIN_TARGET)
    yield Row("drain, concurrency 400", "/s", wide)
    yield Row("drain, concurrency 100, messages kept", "/s", kept)
    yield Row("drain, tasks of an App with results", "/s", tasks)


def drain(
    count: int, *, concurrency: int, options: QueueOptions | None = None
) -> Trial:
    """Measure jobs per second from a full queue to an empty one."""

    def trial(path: Path) -> float:
        return trio.run(_drain, path, count, concurrency, options)

    return trial


async def _drain(
    path: Path, count: int, concurrency: int, options: QueueOptions | None
) -> float:
    async with open_store(url_of(path)) as store:
        await store.create_queue(QUEUE, options)
        await fill(store, count)
        seconds = await drain_store(store, count, concurrency)
        # Each word was given to its own attempt, and nothing is left over.
        await check_counts(store, COMPLETED=0 if options is None else count)
    return count / seconds


async def fill(store: Store, count: int) -> None:
    """Post so many messages."""
    for start in range(0, count, 1000):
        await store.post_many(QUEUE, [NewMessage(PAYLOAD)] * min(1000, count - start))
    await check_counts(store, PENDING=count)


async def drain_store(store: Store, count: int, concurrency: int) -> float:
    """Return in how many seconds a worker runs what is there."""
    seen: list[str] = []
    last = trio.Event()

    async def handle(job: Job) -> None:
        seen.append(job.message_id)
        if len(seen) == count:
            last.set()

    worker = Worker(store, {QUEUE: handle}, concurrency=concurrency)
    begun = time.perf_counter()
    async with trio.open_nursery() as nursery:
        await nursery.start(worker.run)
        await last.wait()
        # Ends once the last completion is committed.
        assert await worker.stop_gracefully()
    seconds = time.perf_counter() - begun
    assert len(set(seen)) == len(seen) == count
    assert worker.statistics().completed == count
    return seconds


def _app_tasks(count: int) -> Trial:
    def trial(path: Path) -> float:
        return trio.run(_run_app_tasks, path, count)

    return trial


async def _run_app_tasks(path: Path, count: int) -> float:
    app = App()

    @app.task(queue=QUEUE)
    async def add(left: int, right: int, text: str) -> int:
        return left + right

    enqueue = functools.partial(add.enqueue, right=1, text="x" * 120)
    async with app.open(url_of(path)) as store:

        async def enqueue_some(first: int) -> None:
            for number in range(first, count, 100):
                await enqueue(number)

        async with trio.open_nursery() as nursery:
            for first in range(100):
                nursery.start_soon(enqueue_some, first)
        await check_counts(store, PENDING=count)
        worker = Worker(store, app)
        begun = time.perf_counter()
        assert await worker.run_once() == count
        seconds = time.perf_counter() - begun
        assert worker.statistics().completed == count
        await check_counts(store, COMPLETED=count)
        for message in await store.peek(QUEUE, states=[MessageState.COMPLETED]):
            assert message.result == message.payload["args"][0] + 1
    return count / seconds
