"""Another queue on PostgreSQL, alone in a process of its own, in asyncio.

It posts jobs one at a time, is then filled and drained, and prints jobs per second of
both.  It fails unless each job was handled once and none is left.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final, Protocol

import attrs
import psycopg

BATCH: Final = 100
CHUNK: Final = 1000
CONCURRENCY: Final = 100
QUEUE: Final = "jobs"


@attrs.define
class Seen:
    """What handlers were given, and when the last of them was."""

    ids: list[Any] = attrs.Factory(list)
    ended: float = 0.0

    def add(self, job_id: Any) -> None:
        self.ids.append(job_id)
        self.ended = time.perf_counter()


class Peer(Protocol):
    """One queue, installed in an empty database."""

    left: str
    """Counts in SQL the jobs that are not done."""

    async def post(self, payload: dict[str, str]) -> Any: ...

    async def post_many(self, payload: dict[str, str], count: int) -> Any: ...

    async def drain(self, count: int) -> Seen:
        """Return once so many jobs are done and the worker has stopped."""
        ...


class PgQueuer:
    """Two workers with a connection each, batches of 100; one connection posts."""

    left = "SELECT count(*) FROM pgqueuer"

    def __init__(self, posting: Any, workers: list[Any]) -> None:
        """Take drivers: one to post with, one for each worker."""
        self._queries = importlib.import_module("pgqueuer.queries").Queries(posting)
        self._workers = workers

    @classmethod
    async def open(
        cls, driver: Callable[[Any], Any], connections: list[Any]
    ) -> PgQueuer:
        posting, *workers = [driver(connection) for connection in connections]
        peer = cls(posting, workers)
        await peer._queries.install()
        return peer

    async def post(self, payload: dict[str, str]) -> Any:
        await self._queries.enqueue(QUEUE, json.dumps(payload).encode())

    async def post_many(self, payload: dict[str, str], count: int) -> Any:
        body = json.dumps(payload).encode()
        await self._queries.enqueue([QUEUE] * count, [body] * count, [0] * count)

    async def drain(self, count: int) -> Seen:
        manager = importlib.import_module("pgqueuer.qm").QueueManager
        queries = importlib.import_module("pgqueuer.queries").Queries
        types = importlib.import_module("pgqueuer.types")
        seen = Seen()

        async def handle(job: Any) -> None:
            json.loads(job.payload)
            seen.add(job.id)

        running = []
        for driver in self._workers:
            worker = manager(queries(driver))
            worker.entrypoint(QUEUE)(handle)
            drain = types.QueueExecutionMode.drain
            running.append(worker.run(batch_size=BATCH, mode=drain))
        await asyncio.gather(*running)
        return seen


@attrs.frozen
class Procrastinate:
    """One worker of 100 jobs at a time, which deletes those that succeeded."""

    app: Any
    task: Any
    seen: Seen
    left = (
        "SELECT count(*) FROM procrastinate_jobs "
        "WHERE status NOT IN ('succeeded', 'failed')"
    )

    async def post(self, payload: dict[str, str]) -> Any:
        await self.task.defer_async(payload=payload)

    async def post_many(self, payload: dict[str, str], count: int) -> Any:
        await self.task.batch_defer_async(*[{"payload": payload}] * count)

    async def drain(self, count: int) -> Seen:
        await self.app.run_worker_async(
            queues=[QUEUE],
            concurrency=CONCURRENCY,
            wait=False,
            delete_jobs="successful",
            install_signal_handlers=False,
        )
        return self.seen


@dataclasses.dataclass
class PeerJob:
    """The arguments of an awa job; awa takes dataclasses only."""

    payload: dict[str, str]


@attrs.frozen
class Awa:
    """Its Rust core with 100 workers, calling a Python handler."""

    client: Any
    left = "SELECT count(*) FROM awa.jobs WHERE state <> 'completed'"

    async def post(self, payload: dict[str, str]) -> Any:
        await self.client.insert(PeerJob(payload), queue=QUEUE)

    async def post_many(self, payload: dict[str, str], count: int) -> Any:
        jobs = [PeerJob(payload)] * count
        await self.client.enqueue_many_copy(jobs, queue=QUEUE)

    async def drain(self, count: int) -> Seen:
        seen = Seen()
        last = asyncio.Event()

        async def handle(job: Any) -> None:
            seen.add(job.id)
            if len(seen.ids) == count:
                last.set()

        self.client.task(PeerJob, queue=QUEUE)(handle)
        await self.client.start([(QUEUE, CONCURRENCY)])
        await last.wait()
        await self.client.shutdown(timeout_ms=10_000)
        return seen


async def open_pgqueuer_asyncpg(url: str, stack: AsyncExitStack) -> Peer:
    asyncpg: Any = importlib.import_module("asyncpg")
    driver: Any = importlib.import_module("pgqueuer.db").AsyncpgDriver
    connections = []
    for _ in range(3):
        connections.append(await asyncpg.connect(url))
        stack.push_async_callback(connections[-1].close)
    return await PgQueuer.open(driver, connections)


async def open_pgqueuer_psycopg(url: str, stack: AsyncExitStack) -> Peer:
    driver: Any = importlib.import_module("pgqueuer.db").PsycopgDriver
    connections = []
    for _ in range(3):
        connect = psycopg.AsyncConnection.connect(url, autocommit=True)
        connections.append(await connect)
        stack.push_async_callback(connections[-1].close)
    return await PgQueuer.open(driver, connections)


async def open_procrastinate(url: str, stack: AsyncExitStack) -> Peer:
    procrastinate: Any = importlib.import_module("procrastinate")
    connector = procrastinate.PsycopgConnector(conninfo=url, min_size=4, max_size=20)
    app = procrastinate.App(connector=connector)
    seen = Seen()

    @app.task(name="handle", queue=QUEUE, pass_context=True)  # type: ignore[untyped-decorator]  # no stubs
    async def handle(context: Any, payload: Any) -> None:
        seen.add(context.job.id)

    await stack.enter_async_context(app.open_async())
    await app.schema_manager.apply_schema_async()
    return Procrastinate(app, handle, seen)


async def open_awa(url: str, stack: AsyncExitStack) -> Peer:
    client: Any = importlib.import_module("awa").AsyncClient(url)
    stack.push_async_callback(client.close)
    await client.migrate()
    await client.install_queue_storage()  # COPY needs its newer engine
    return Awa(client)


OPEN: Final[dict[str, Callable[[str, AsyncExitStack], Awaitable[Peer]]]] = {
    "pgqueuer-asyncpg": open_pgqueuer_asyncpg,
    "pgqueuer-psycopg": open_pgqueuer_psycopg,
    "procrastinate": open_procrastinate,
    "awa": open_awa,
}


async def main(
    name: str, url: str, count: int, posts: int, payload: dict[str, str]
) -> None:
    async with AsyncExitStack() as stack:
        peer = await OPEN[name](url, stack)
        begun = time.perf_counter()
        for _ in range(posts):
            await peer.post(payload)
        post = posts / (time.perf_counter() - begun)
        for start in range(posts, count, CHUNK):
            await peer.post_many(payload, min(CHUNK, count - start))
        with psycopg.connect(url, autocommit=True) as connection:
            # Some plan badly on a table that was empty when it was last looked at.
            connection.execute("VACUUM ANALYZE")
            waiting = connection.execute(peer.left).fetchone()
        assert waiting == (count,), f"{waiting} jobs wait, not {count}"
        begun = time.perf_counter()
        seen = await peer.drain(count)
        # Some take seconds to stop.  What is still to be written then is not counted
        # against them.
        seconds = seen.ended - begun
        assert len(seen.ids) == count, f"{len(seen.ids)} runs of {count} jobs"
        assert len(set(seen.ids)) == count, "a job ran twice"
        with psycopg.connect(url, autocommit=True) as connection:
            left = connection.execute(peer.left).fetchone()
        assert left == (0,), f"{left} jobs are left"
    print(json.dumps({"post": post, "drain": count / seconds}))


if __name__ == "__main__":
    asyncio.run(
        main(
            sys.argv[1],
            sys.argv[2],
            int(sys.argv[3]),
            int(sys.argv[4]),
            json.loads(sys.argv[5]),
        )
    )
