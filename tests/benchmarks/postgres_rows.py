"""The same work on a PostgreSQL server of its own, which syncs each commit to disk.

Beside it, in the same run: raw SQL over psycopg, without Trio, fencing or handlers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import trio

from tests.benchmarks.bench import PAYLOAD, PAYLOAD_TEXT, QUEUE, Bench, check_counts
from tests.benchmarks.children import python_command
from tests.benchmarks.latency import POSTER, gaps
from tests.benchmarks.table import Row, at_least, at_most
from tests.benchmarks.worker_rows import drain_store, fill
from tests.postgres_server import OwnServer, Room
from trioqueue import Job, NewMessage, Store, Worker, open_services, open_store

DURABLE: Final = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
}
POSTERS: Final = 50
RAW_BATCH: Final = 200


def rows(bench: Bench) -> Iterator[Row]:
    with durable_server() as server:
        count = bench.size(20_000, 6_000)

        def on(work: Callable[[Store], Awaitable[float]]) -> Callable[[Path], float]:
            def trial(_: Path) -> float:
                with server.schema("bench") as schema:
                    result: float = trio.run(on_store, server, schema, work)
                return result

            return trial

        raw_drain, raw_post, plain, wide, post, many, alone = bench.take_turns(
            lambda _: _raw_drain(server, count),
            lambda _: _raw_post(server, count // 20),
            on(lambda store: drain_on(store, count, 100)),
            on(lambda store: drain_on(store, count, 400)),
            on(lambda store: post_on(store, count // 2, POSTERS)),
            on(lambda store: _post_many(store, count)),
            on(lambda store: post_on(store, count // 20, 1)),
        )
        yield Row("PostgreSQL, raw claim and delete of 200, psycopg", "/s", raw_drain)
        yield Row("PostgreSQL, raw insert, one a transaction", "/s", raw_post)
        yield Row(
            "PostgreSQL, drain, concurrency 100", "/s", plain, target=at_least(14_000)
        )
        yield Row("PostgreSQL, drain, concurrency 400", "/s", wide)
        yield Row(
            f"PostgreSQL, post from {POSTERS} tasks", "/s", post, target=at_least(6_000)
        )
        yield Row("PostgreSQL, post_many of 1,000", "/s", many)
        yield Row("PostgreSQL, one task posting alone", "/s", alone)
        with server.schema("bench") as schema:
            waits = trio.run(_pick_up, server.store_url(schema), bench.size(300, 80))
        yield Row(
            "PostgreSQL, pick-up across processes, p50", "ms", waits, target=at_most(5)
        )
        yield Row(
            "PostgreSQL, pick-up across processes, p99",
            "ms",
            waits,
            target=at_most(20),
            quantile=0.99,
        )


@contextmanager
def durable_server() -> Iterator[OwnServer]:
    room = Room.open()
    try:
        server = OwnServer(room, **DURABLE)
        server.start()
        yield server
    finally:
        room.close()


async def on_store(
    server: OwnServer, schema: str, work: Callable[[Store], Awaitable[float]]
) -> float:
    async with open_store(server.store_url(schema)) as store:
        await store.create_queue(QUEUE)
        return await work(store)


async def drain_on(store: Store, count: int, concurrency: int) -> float:
    await fill(store, count)
    seconds = await drain_store(store, count, concurrency)
    await check_counts(store)
    return count / seconds


async def post_on(store: Store, count: int, tasks: int) -> float:
    async def post_some() -> None:
        for _ in range(count // tasks):
            await store.post(QUEUE, PAYLOAD)

    begun = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(tasks):
            nursery.start_soon(post_some)
    seconds = time.perf_counter() - begun
    posted = count // tasks * tasks
    await check_counts(store, PENDING=posted)
    return posted / seconds


async def _post_many(store: Store, count: int) -> float:
    begun = time.perf_counter()
    for _ in range(count // 1000):
        await store.post_many(QUEUE, [NewMessage(PAYLOAD)] * 1000)
    seconds = time.perf_counter() - begun
    await check_counts(store, PENDING=count // 1000 * 1000)
    return count // 1000 * 1000 / seconds


def _raw_drain(server: OwnServer, count: int) -> float:
    with server.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS raw_jobs")
        connection.execute(
            "CREATE TABLE raw_jobs (id bigint PRIMARY KEY, state smallint, "
            "attempt bigint, payload bytea)"
        )
        connection.execute("CREATE INDEX raw_ready ON raw_jobs (id) WHERE state = 1")
        connection.execute(
            "INSERT INTO raw_jobs SELECT g, 1, NULL, convert_to(%s, 'UTF8') "
            "FROM generate_series(1, %s) g",
            (PAYLOAD_TEXT, count),
        )
        connection.commit()
        done = 0
        begun = time.perf_counter()
        while done < count:
            found = connection.execute(
                "UPDATE raw_jobs SET state = 2, attempt = id WHERE id = ANY(ARRAY("
                "SELECT id FROM raw_jobs WHERE state = 1 ORDER BY id "
                f"LIMIT {RAW_BATCH} FOR UPDATE SKIP LOCKED)) RETURNING id, payload"
            ).fetchall()
            connection.commit()
            connection.execute(
                "DELETE FROM raw_jobs WHERE id = ANY(%s)", ([row[0] for row in found],)
            )
            connection.commit()
            done += len(found)
        return count / (time.perf_counter() - begun)


def _raw_post(server: OwnServer, count: int) -> float:
    with server.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS raw_posts")
        connection.execute(
            "CREATE TABLE raw_posts (id bigserial PRIMARY KEY, payload bytea)"
        )
        connection.commit()
        payload = PAYLOAD_TEXT.encode()
        begun = time.perf_counter()
        for _ in range(count):
            connection.execute(
                "INSERT INTO raw_posts (payload) VALUES (%s)", (payload,)
            )
            connection.commit()
        return count / (time.perf_counter() - begun)


async def _pick_up(url: str, count: int) -> list[float]:
    """Return milliseconds from a return of post in another process."""
    started: dict[int, int] = {}
    last = trio.Event()

    async def handle(job: Job) -> None:
        started[job.payload["number"]] = time.monotonic_ns()
        if len(started) == count:
            last.set()

    command = python_command(POSTER, url, QUEUE, json.dumps(list(gaps(count))))
    returned: list[int] = []
    async with open_store(url) as store:
        await store.create_queue(QUEUE)
        async with open_services(store), trio.open_nursery() as nursery:
            worker = Worker(store, {QUEUE: handle})
            await nursery.start(worker.run)
            returned += json.loads(await command.run())
            await last.wait()
            await worker.stop_gracefully()
    return [(started[place] - at) / 1e6 for place, at in enumerate(returned)]
