"""Other queues on one PostgreSQL server, in turn with this one and with raw SQL.

Each peer runs in a process of its own, in a database of its own, with the tables that
its own installer makes.  What each is set to do is written in `child_postgres_peer`.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, final

import attrs
import trio

from tests.benchmarks.bench import PAYLOAD, PAYLOAD_TEXT, TRIALS, Bench, report
from tests.benchmarks.children import run_python
from tests.benchmarks.postgres_rows import (
    RAW_BATCH,
    drain_on,
    durable_server,
    on_store,
    post_on,
)
from tests.benchmarks.table import Reference, Row, ratio_at_least
from tests.postgres_server import OwnServer
from trioqueue import Store

CHILD: Final = Path(__file__).with_name("child_postgres_peer.py")


@final
@attrs.frozen
class Peer:
    """Another queue.

    Attributes:
        name: Which one, for the process that runs it.
        label: The same with its setting, for people.
        modules: What has to be installed.
        count: How many jobs; a slow one gets fewer.
    """

    name: str
    label: str
    modules: tuple[str, ...]
    count: int = 20_000


PEERS: Final = (
    Peer(
        "pgqueuer-asyncpg",
        "pgqueuer on asyncpg, batch 100, two connections",
        ("pgqueuer", "asyncpg"),
    ),
    Peer(
        "pgqueuer-psycopg",
        "pgqueuer on psycopg, batch 100, two connections",
        ("pgqueuer",),
    ),
    Peer("procrastinate", "procrastinate, concurrency 100", ("procrastinate",), 2_000),
    Peer("awa", "awa, 100 workers", ("awa",)),
)


def rows(bench: Bench) -> Iterator[Row]:
    with durable_server() as server:
        for connections in (1, 2):
            yield from _raw_rows(bench, server, connections)
        for peer in PEERS:
            yield from _peer_rows(bench, server, peer)


def _raw_rows(bench: Bench, server: OwnServer, connections: int) -> Iterator[Row]:
    count = bench.size(20_000, 2_000)
    ours: list[float] = []
    raw: list[float] = []
    for _ in range(TRIALS):
        raw.append(_raw_drain(server, count, connections))
        ours.append(_ours(server, lambda store: drain_on(store, count, 100)))
    plural = "s" if connections > 1 else ""
    name = f"raw claim and delete of {RAW_BATCH}, {connections} connection{plural}"
    yield Row(
        f"PostgreSQL, drain, concurrency 100: {name}",
        "/s",
        ours,
        Reference("it", raw),
    )


def _peer_rows(bench: Bench, server: OwnServer, peer: Peer) -> Iterator[Row]:
    if missing := [name for name in peer.modules if not importlib.util.find_spec(name)]:
        report(f"  {peer.label}: {', '.join(missing)} is not installed")
        return
    count = bench.size(peer.count, peer.count // 10)
    alone = bench.size(1_000, 200)
    posts: list[float] = []
    drains: list[float] = []
    posted: list[float] = []
    drained: list[float] = []
    for _ in range(TRIALS):
        try:
            found = _run_peer(server, peer, count, min(alone, count))
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            # No row of something that lost a job, or ran one twice.
            report(f"  {peer.label}: no row, it failed: {_last_line(error)}")
            return
        posts.append(found["post"])
        drains.append(found["drain"])
        posted.append(_ours(server, lambda store: post_on(store, alone, 1)))
        drained.append(_ours(server, lambda store: drain_on(store, count, 100)))
    yield Row(
        f"PostgreSQL, one task posting alone: {peer.label}",
        "/s",
        posted,
        Reference("it", posts),
    )
    yield Row(
        f"PostgreSQL, drain, concurrency 100: {peer.label}",
        "/s",
        drained,
        Reference("it", drains),
        ratio_at_least(1),
    )


def _ours(server: OwnServer, work: Callable[[Store], Awaitable[float]]) -> float:
    with server.schema("bench") as schema:
        result: float = trio.run(on_store, server, schema, work)
    return result


def _run_peer(
    server: OwnServer, peer: Peer, count: int, posts: int
) -> dict[str, float]:
    with _database(server) as url:
        payload = json.dumps(PAYLOAD)
        arguments = (str(CHILD), peer.name, url, str(count), str(posts), payload)
        said = run_python(*arguments, limit_seconds=300)
    found: dict[str, float] = json.loads(said.splitlines()[-1])
    return found


def _last_line(error: subprocess.SubprocessError) -> str:
    said = getattr(error, "stderr", None)
    # The command has a password in it, so the error itself is not shown.
    if isinstance(said, str) and said.strip():
        return said.strip().splitlines()[-1]
    return type(error).__name__


@contextmanager
def _database(server: OwnServer) -> Iterator[str]:
    """Give the URL of an empty database, and drop it afterwards."""
    name = server.new_name("peer")
    with server.connect() as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
        try:
            yield f"{server.url.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def _raw_drain(server: OwnServer, count: int, connections: int) -> float:
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
        connection.execute("VACUUM ANALYZE raw_jobs")
    seen: list[int] = []
    workers = [
        threading.Thread(target=_raw_worker, args=(server, seen))
        for _ in range(connections)
    ]
    begun = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - begun
    assert sorted(seen) == list(range(1, count + 1))
    return count / seconds


def _raw_worker(server: OwnServer, seen: list[int]) -> None:
    """Claim and delete until nothing is found, a transaction for each."""
    with server.connect() as connection:
        while True:
            found = connection.execute(
                "UPDATE raw_jobs SET state = 2, attempt = id WHERE id = ANY(ARRAY("
                "SELECT id FROM raw_jobs WHERE state = 1 ORDER BY id "
                f"LIMIT {RAW_BATCH} FOR UPDATE SKIP LOCKED)) RETURNING id, payload"
            ).fetchall()
            if not found:
                return
            ids = [row[0] for row in found]
            connection.execute("DELETE FROM raw_jobs WHERE id = ANY(%s)", (ids,))
            seen += ids
