"""A database with millions of messages: what a claim costs, what a worker weighs.

The rows are copies of rows that the store wrote itself, so they are what it would have
written, in seconds instead of minutes.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import trio

from tests.benchmarks.bench import (
    PAYLOAD,
    QUEUE,
    Bench,
    check_counts,
    report,
    url_of,
)
from tests.benchmarks.children import measure_idle_worker
from tests.benchmarks.table import Reference, Row, at_most, ratio_at_most
from trioqueue import (
    LeasePolicy,
    MessageState,
    QueueOptions,
    RetentionPolicy,
    Store,
    open_store,
)

CLAIM: Final = 10
DAYS: Final = 86_400
OPTIONS: Final = QueueOptions(
    retention=RetentionPolicy.keep(30 * DAYS),
    lease=LeasePolicy(base_seconds=3600),
)


def rows(bench: Bench) -> Iterator[Row]:
    count = bench.size(1_000_000, 100_000)
    with bench.fresh() as big, bench.fresh() as small:
        for path, each, others in ((big, count, count), (small, 1000, 0)):
            begun = time.perf_counter()
            trio.run(_prepare, path, each, others)
            report(
                f"  {each + 2 * others:,} rows in {time.perf_counter() - begun:.1f} s"
            )
        large, little = trio.run(_claims, big, small, bench.size(300, 100))
        yield Row(
            f"claim of {CLAIM}: {count:,} ready + delayed + retained each",
            "ms",
            large,
            Reference("1,000 ready", little),
            ratio_at_most(3),
            note="durability relaxed: a wait for the disk would hide the difference",
        )
        trio.run(_pause, big, count)
        idle = trio.run(_wait_beside, big, bench.size(5, 2))
        yield Row(
            f"memory of an idle worker, {3 * count:,} messages",
            "MB",
            idle,
            target=at_most(80),
            note="peak resident memory; its queue is paused, so that all of it waits",
        )


async def _prepare(path: Path, ready: int, others: int) -> None:
    """Make a queue with so many ready, delayed and retained messages."""
    async with open_store(url_of(path)) as store:
        await store.create_queue(QUEUE, OPTIONS)
        if others:
            await store.post(QUEUE, PAYLOAD)
            (job,) = await store.claim(QUEUE)
            await store.complete(job, {"sent": True})
            await store.post(QUEUE, PAYLOAD, delay_seconds=DAYS)
        await store.post(QUEUE, PAYLOAD)
    multiply(path, {"PENDING": ready, "INVISIBLE": others, "COMPLETED": others})
    async with open_store(url_of(path)) as store:
        await check_counts(store, PENDING=ready, INVISIBLE=others, COMPLETED=others)


def multiply(path: Path, counts: dict[str, int]) -> None:
    """Copy the one row there is of each state until there are so many."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -200000")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("BEGIN IMMEDIATE")
        for name, count in counts.items():
            if count > 1:
                _copy(connection, MessageState[name], count - 1)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _copy(connection: sqlite3.Connection, state: MessageState, count: int) -> None:
    finished = state is MessageState.COMPLETED
    table = "tq_history" if finished else "tq_messages"
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    (ticket,) = connection.execute(
        "UPDATE tq_counters SET value = value + ? WHERE name = 'ticket' "
        "RETURNING value - ?",
        (count, count),
    ).fetchone()
    # Each a microsecond after the one before it, in each of its instants.
    changes = {
        "id": f"{ticket} + n",
        "message_id": "substr(message_id, 1, 20) || printf('%016d', n)",
        "claim_key": "claim_key + n",
        "due_at": "due_at + n",
        "created_at": "created_at + n",
        "scheduled_at": "scheduled_at + n",
        "finished_at": "finished_at + n",
        "expires_at": "expires_at + n",
    }
    if state is MessageState.PENDING:
        changes["ready_seq"] = f"{ticket} + n"
    values = ", ".join(changes.get(column, column) for column in columns)
    connection.execute(
        f"""
        WITH RECURSIVE numbers (n) AS (
            SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}
        )
        INSERT INTO {table} ({", ".join(columns)})
        SELECT {values} FROM numbers CROSS JOIN (
            SELECT * FROM {table} WHERE state = {state.value} LIMIT 1
        )
        """
    )
    # Not rowcount: it knows nothing of statements that begin with WITH.
    assert connection.execute("SELECT changes()").fetchone() == (count,)


async def _claims(
    big: Path, small: Path, count: int
) -> tuple[list[float], list[float]]:
    """Return how many milliseconds claims take in each of two files, in turn."""
    large: list[float] = []
    little: list[float] = []
    async with (
        open_store(url_of(big), durability="relaxed") as store,
        open_store(url_of(small), durability="relaxed") as other,
    ):
        for _ in range(10):  # the first pages are read from the disk
            await _claim(store)
            await _claim(other)
        for _ in range(count):
            large.append(await _claim(store))
            little.append(await _claim(other))
        await check_counts(other, PENDING=1000)
    return large, little


async def _claim(store: Store) -> float:
    """Claim some messages and give them back; only the claim is timed."""
    begun = time.perf_counter()
    jobs = await store.claim(QUEUE, limit=CLAIM)
    milliseconds = (time.perf_counter() - begun) * 1000
    assert len({job.message_id for job in jobs}) == CLAIM
    for answer in await store.release_many(jobs):
        assert answer is MessageState.PENDING
    return milliseconds


async def _pause(path: Path, count: int) -> None:
    """Check that nothing was lost, and let all of it wait."""
    async with open_store(url_of(path)) as store:
        await check_counts(store, PENDING=count, INVISIBLE=count, COMPLETED=count)
        await store.pause_queue(QUEUE, reason="so that a worker has nothing to do")


async def _wait_beside(path: Path, seconds: int) -> list[float]:
    found = await measure_idle_worker(path, QUEUE, seconds)
    return found.megabytes
