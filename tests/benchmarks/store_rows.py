"""Posting, beside raw inserts in transactions of the same size."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import trio

from tests.benchmarks.bench import PAYLOAD, QUEUE, Bench, Trial, check_counts, url_of
from tests.benchmarks.raw import inserts
from tests.benchmarks.table import Reference, Row, Target, ratio_at_least
from trioqueue import NewMessage, Store, open_store

Posting: TypeAlias = Callable[[Store], Awaitable[None]]


def rows(bench: Bench) -> Iterator[Row]:
    yield from _beside_raw(
        bench,
        "post, 100 tasks at once",
        concurrent(bench.size(20_000, 6_000), tasks=100),
        (bench.size(20_000, 6_000), 100),
        ratio_at_least(0.6),
    )
    yield from _beside_raw(
        bench,
        "post_many of 1,000",
        _in_batches(bench.size(50_000, 15_000), 1000),
        (bench.size(50_000, 15_000), 1000),
        ratio_at_least(0.7),
    )
    yield from _beside_raw(
        bench,
        "post, one task alone",
        concurrent(bench.size(3_000, 800), tasks=1),
        (bench.size(3_000, 800), 1),
        ratio_at_least(0.7),
    )


def _beside_raw(
    bench: Bench, name: str, ours: Trial, raw: tuple[int, int], target: Target
) -> Iterator[Row]:
    count, per_transaction = raw
    theirs, samples = bench.take_turns(inserts(count, per_transaction), ours)
    reference = Reference(f"raw, {per_transaction:,} a transaction", theirs)
    yield Row(name, "/s", samples, reference, target)


def concurrent(count: int, *, tasks: int) -> Trial:
    """Measure posts per second of tasks that each post one message after another."""

    async def post(store: Store) -> None:
        async def post_some() -> None:
            for _ in range(count // tasks):
                await store.post(QUEUE, PAYLOAD)

        async with trio.open_nursery() as nursery:
            for _ in range(tasks):
                nursery.start_soon(post_some)

    return timed(post, count)


def _in_batches(count: int, size: int) -> Trial:
    batch = [NewMessage(PAYLOAD)] * size

    async def post(store: Store) -> None:
        for _ in range(count // size):
            await store.post_many(QUEUE, batch)

    return timed(post, count)


def timed(post: Posting, count: int) -> Trial:
    """Make a trial of a way to post, and check that all of it is there."""

    async def main(path: Path) -> float:
        async with open_store(url_of(path)) as store:
            await store.create_queue(QUEUE)
            begun = time.perf_counter()
            await post(store)
            seconds = time.perf_counter() - begun
            await check_counts(store, PENDING=count)
        return count / seconds

    def trial(path: Path) -> float:
        return trio.run(main, path)

    return trial
