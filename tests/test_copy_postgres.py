"""Copying from SQLite to PostgreSQL, and back again."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import trio

from tests.copying import KEPT, TABLES, Pair, Stop, everything, populate
from tests.postgres_server import Server
from trioqueue import Clock, IllegalStateError, Store
from trioqueue.store.copying import copy_store
from trioqueue.store.operations.copy_rows import BEING_COPIED
from trioqueue.store.operations.core import Context
from trioqueue.store.postgres.driver import TrioConnection
from trioqueue.store.postgres.inline import InlinePostgresExecutor
from trioqueue.store.postgres.migrations import prepare
from trioqueue.store.postgres.session import Session
from trioqueue.store.postgres.settings import Settings
from trioqueue.store.wakeups import join_hub, leave_hub

TOKEN_BITS: Final = 63


@asynccontextmanager
async def open_postgres(
    server: Server, schema: str, clock: Clock
) -> AsyncIterator[Store]:
    """Open a store on one connection, whose time is that of the tests."""
    conninfo = server.conninfo()
    async with TrioConnection.opened(conninfo) as connection:
        await prepare(connection, schema, migrate=True)
    session = await Session.open(Settings(conninfo, schema), blocking=True)
    source = random.Random(schema)

    def token(_: int) -> int:
        return source.getrandbits(TOKEN_BITS)

    def context() -> Context:
        return Context(clock.now_us(), token, b"", shared=True)

    hub = join_hub(None)
    executor: Any = InlinePostgresExecutor(session, context, hub.announce)
    try:
        yield Store(
            url=f"postgresql:///{schema}",
            clock=clock,
            executor=executor,
            hub=hub,
            source=source,
            salt=b"",
            worker_id="w",
        )
    finally:
        await executor.aclose()
        leave_hub(None)


Test = Callable[[Pair, Store], Awaitable[None]]
Run = Callable[[Test], None]


@pytest.fixture
def run(tmp_path: Path, postgres: Server) -> Any:
    """Run an async test with two SQLite stores and a PostgreSQL store open."""

    def run_test(test: Test) -> None:
        pair = Pair(tmp_path)

        async def main() -> None:
            with trio.fail_after(60), postgres.schema() as schema:
                async with (
                    pair.opened(),
                    open_postgres(postgres, schema, pair.clock) as store,
                ):
                    await test(pair, store)

        trio.run(main)

    return run_test


async def begin(source: Store, target: Store) -> None:
    """Begin a copy and never end it."""

    def stop(_done: int, _total: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        await copy_store(source, target, progress=stop)


def test_a_copy_there_and_back_is_what_the_source_was(run: Run) -> None:
    async def test(pair: Pair, store: Store) -> None:
        await populate(pair.source, pair.clock)
        wanted = await everything(pair.source)
        await copy_store(pair.source, store)
        assert await everything(store) == wanted
        await copy_store(store, pair.target)
        assert await everything(pair.target) == wanted
        orders = [
            [job.message_id for job in await each.claim("jobs", limit=100)]
            for each in (pair.source, store, pair.target)
        ]
        assert orders[0] == orders[1] == orders[2]
        assert await store.fire_due_schedules("cron") is None

    run(test)


def test_an_interrupted_copy_is_paused_and_the_next_begins_again(run: Run) -> None:
    async def test(pair: Pair, store: Store) -> None:
        await populate(pair.source, pair.clock)
        wanted = await everything(pair.source)
        await begin(pair.source, store)
        reasons = [queue.pause_reason for queue in await store.list_queues()]
        assert reasons == [BEING_COPIED] * 2
        with pytest.raises(IllegalStateError, match="itself the target"):
            await copy_store(store, pair.target)
        report = await copy_store(pair.source, store)
        assert report.undone == pair.url("source")
        assert await everything(store) == wanted

    run(test)


def test_what_others_put_into_an_unfinished_copy_is_not_deleted(run: Run) -> None:
    async def test(pair: Pair, store: Store) -> None:
        await populate(pair.source, pair.clock)
        await begin(pair.source, store)
        await store.post("jobs", "precious", message_id="mine")
        with pytest.raises(IllegalStateError, match="'jobs' has been used since"):
            await copy_store(pair.source, store)
        await copy_store(pair.source, store, discard=True)
        assert await everything(store) == await everything(pair.source)

    run(test)


def test_numbers_are_new_and_later_ones_lie_above_them(run: Run) -> None:
    async def test(pair: Pair, store: Store) -> None:
        await store.create_queue("other", KEPT)
        await store.post("other", 1, message_id="mine")
        (held,) = await store.claim("other")
        await pair.source.create_queue("jobs", KEPT)
        await pair.source.post("jobs", 1, message_id="copied")
        await copy_store(pair.source, store)
        (copied,) = await store.claim("jobs")
        await store.post("other", 2)
        (later,) = await store.claim("other")
        assert held.attempt_id < copied.attempt_id < later.attempt_id
        for job in (held, copied, later):
            await store.complete(job)

    run(test)


def test_a_running_message_expires_in_the_target(run: Run) -> None:
    async def test(pair: Pair, store: Store) -> None:
        await pair.source.create_queue("jobs", KEPT)
        await pair.source.post("jobs", 1, message_id="m")
        (old,) = await pair.source.claim("jobs")
        await copy_store(pair.source, store, running="expire")
        pair.clock.advance(3600)
        found = await store.find_expired_messages()
        assert await store.reclaim_expired_messages(found) == 1
        (job,) = await store.claim("jobs")
        assert (job.message_id, job.attempt) == ("m", 2)
        assert job.attempt_id > old.attempt_id

    run(test)


@pytest.mark.parametrize("table", TABLES)
def test_every_column_of_a_table_is_copied(postgres: Server, table: str) -> None:
    async def main(schema: str) -> None:
        async with TrioConnection.opened(postgres.conninfo()) as connection:
            await prepare(connection, schema, migrate=True)
            cursor = await connection.execute(
                "SELECT column_name::text FROM information_schema.columns"
                " WHERE table_schema = %s AND table_name = %s",
                [schema, table],
            )
            found = {name for (name,) in await cursor.fetchall()}
        assert found == set(TABLES[table]._fields)

    with postgres.schema() as schema:
        trio.run(main, schema)
