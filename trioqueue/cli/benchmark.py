"""The measurements behind ``trioqueue bench``."""

from __future__ import annotations

import os
import secrets
import sqlite3
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import trio

from trioqueue.errors import NotFoundError
from trioqueue.model import QueueOptions
from trioqueue.store import open_store
from trioqueue.store.url import hide_password, parse_url
from trioqueue.worker import Worker

if TYPE_CHECKING:
    from trioqueue.model import Job
    from trioqueue.store import Store

PAYLOAD: Final = {"text": "x" * 88}
"""About a hundred bytes."""
RAW_SECONDS: Final = 1.0
PICKUPS: Final = 200
PICKUP_SECONDS: Final = 3.0
PAUSE_SECONDS: Final = 0.005
REMOVE_SECONDS: Final = 60


class Plan(NamedTuple):
    """What to measure.

    Attributes:
        seconds: How long to post, unless a number is given.
        messages: How many messages, if not None.
        concurrency: How many tasks post, and how many drain.
    """

    seconds: float
    messages: int | None
    concurrency: int


async def measure(store: Store, url: str, plan: Plan) -> dict[str, Any]:
    """Measure all, in a queue of its own that is deleted in the end."""
    raw = await _raw_commits(url)
    name = f"trioqueue-bench-{os.getpid()}-{secrets.token_hex(4)}"
    await store.create_queue(name, QueueOptions())
    try:
        count, post_seconds = await _post(store, name, plan)
        drained, drain_seconds = await _drain(store, name, plan.concurrency)
        waits = sorted(await _pick_up(store, url, name))
    finally:
        # Somebody may have tidied up already.
        with (
            trio.move_on_after(REMOVE_SECONDS, shield=True),
            suppress(NotFoundError),
        ):
            await store.delete_queue(name, force=True)
    return {
        "db": hide_password(url),
        "messages": count,
        "concurrency": plan.concurrency,
        "raw_commits_per_second": raw,
        "posts_per_second": count / post_seconds,
        "drained_per_second": drained / drain_seconds,
        "pickup_seconds": {
            "count": len(waits),
            "p50": waits[len(waits) // 2],
            "p99": waits[min(len(waits) - 1, len(waits) * 99 // 100)],
        },
    }


async def _post(store: Store, queue: str, plan: Plan) -> tuple[int, float]:
    posted = 0
    began = time.perf_counter()

    def wanted() -> bool:
        if plan.messages is not None:
            return begun < plan.messages
        return time.perf_counter() - began < plan.seconds

    begun = 0

    async def post() -> None:  # noqa: ASYNC910  posting is one
        nonlocal posted, begun
        while wanted():
            begun += 1
            await store.post(queue, PAYLOAD)
            posted += 1

    async with trio.open_nursery() as nursery:
        for _ in range(plan.concurrency):
            nursery.start_soon(post)
    await trio.lowlevel.checkpoint()
    return posted, time.perf_counter() - began


async def _drain(store: Store, queue: str, concurrency: int) -> tuple[int, float]:
    """Let a worker run a handler that does nothing, until the queue is empty."""

    async def handle(_: Job) -> None:
        await trio.lowlevel.checkpoint()

    worker = Worker(store, {queue: handle}, concurrency=concurrency)
    began = time.perf_counter()
    drained = await worker.run_once()
    return drained, time.perf_counter() - began


async def _pick_up(store: Store, url: str, queue: str) -> list[float]:
    """Post to an idle queue, one after the other; how long until each is claimed.

    The worker's side is a store of its own, so that it hears of messages as another
    process would.
    """
    waits: list[float] = []
    posted = 0.0
    claimed = trio.Event()

    async with open_store(url, migrate=False) as other, trio.open_nursery() as nursery:

        async def work() -> None:
            nonlocal claimed
            while True:
                (job,) = await other.claim_wait(queue)
                waits.append(time.perf_counter() - posted)
                await other.complete(job)
                claimed.set()

        nursery.start_soon(work)
        until = time.perf_counter() + PICKUP_SECONDS
        while len(waits) < PICKUPS and (not waits or time.perf_counter() < until):
            claimed = trio.Event()
            await trio.sleep(PAUSE_SECONDS)  # the worker is idle again
            posted = time.perf_counter()
            await store.post(queue, PAYLOAD)
            await claimed.wait()
        nursery.cancel_scope.cancel()
    return waits


async def _raw_commits(url: str) -> float:
    """Commit small rows, one after the other, without any queue."""
    place = parse_url(url)
    if place.kind == "sqlite":
        return await trio.to_thread.run_sync(_raw_sqlite, place.path)
    return await _raw_postgres(place.conninfo)


def _raw_sqlite(path: str) -> float:
    """Commit to another file of the same directory, with the same durability."""
    with (
        tempfile.TemporaryDirectory(
            prefix=".trioqueue-bench-", dir=Path(path).absolute().parent
        ) as directory,
        closing(
            sqlite3.connect(Path(directory) / "raw.db", isolation_level=None)
        ) as connection,
    ):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT)")
        count = 0
        began = time.perf_counter()
        while (passed := time.perf_counter() - began) < RAW_SECONDS:
            row = (PAYLOAD["text"],)
            connection.execute("INSERT INTO rows (text) VALUES (?)", row)
            count += 1
        return count / passed


async def _raw_postgres(conninfo: str) -> float:
    """Commit messages to the write-ahead log: it needs no table."""
    from trioqueue.store.postgres.driver import TrioConnection

    async with TrioConnection.opened(conninfo) as connection:
        count = 0
        began = time.perf_counter()
        while (passed := time.perf_counter() - began) < RAW_SECONDS:
            await connection.execute(
                "SELECT pg_logical_emit_message(true, 'trioqueue', %s)",
                (PAYLOAD["text"],),
            )
            count += 1
    return count / passed
