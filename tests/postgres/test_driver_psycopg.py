"""What psycopg offers works on a Trio connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import psycopg
import pytest
import trio

from tests.postgres.driver_scene import (
    IDLE,
    PATIENCE_SECONDS,
    become,
    is_usable,
    sessions,
)
from tests.postgres_server import Server
from trioqueue.store.postgres.driver import TrioConnection


@pytest.fixture(params=[False, True], ids=["waits", "in-place"])
async def connection(
    request: pytest.FixtureRequest, postgres: Server
) -> AsyncIterator[TrioConnection]:
    async with TrioConnection.opened(
        postgres.url, blocking=request.param
    ) as connection:
        await connection.execute("CREATE TEMP TABLE t (n int, word text)")
        yield connection


def give_up() -> None:
    raise psycopg.Rollback


async def fetch(connection: TrioConnection, query: Any, *parameters: Any) -> list[Any]:
    cursor = await connection.execute(query, parameters or None)
    return await cursor.fetchall()


async def test_parameters_come_back(connection: TrioConnection) -> None:
    rows = await fetch(connection, "SELECT %s::int, %s::text, %s::bytea", 1, "é", b"\0")
    assert rows == [(1, "é", b"\0")]


async def test_statements_are_committed_one_by_one(
    connection: TrioConnection, postgres: Server
) -> None:
    assert connection.autocommit
    await connection.execute("INSERT INTO t VALUES (1)")
    assert connection.pgconn.transaction_status == IDLE


async def test_a_transaction_commits_and_rolls_back(connection: TrioConnection) -> None:
    async with connection.transaction():
        await connection.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(ZeroDivisionError):
        async with connection.transaction():
            await connection.execute("INSERT INTO t VALUES (2)")
            raise ZeroDivisionError
    async with connection.transaction(force_rollback=True):
        await connection.execute("INSERT INTO t VALUES (3)")
    async with connection.transaction():
        await connection.execute("INSERT INTO t VALUES (4)")
        give_up()
    assert await fetch(connection, "SELECT n FROM t") == [(1,)]
    assert await is_usable(connection)


async def test_a_nested_transaction_rolls_back_alone(
    connection: TrioConnection,
) -> None:
    async with connection.transaction():
        await connection.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(psycopg.errors.DivisionByZero):
            async with connection.transaction():
                await connection.execute("INSERT INTO t VALUES (2)")
                await connection.execute("SELECT 1 / 0")
        async with connection.transaction("named"):
            await connection.execute("INSERT INTO t VALUES (3)")
    assert await fetch(connection, "SELECT n FROM t ORDER BY n") == [(1,), (3,)]


async def test_a_commit_that_fails_is_reported(connection: TrioConnection) -> None:
    await connection.execute(
        "CREATE TEMP TABLE late (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)"
    )
    with pytest.raises(psycopg.errors.UniqueViolation):
        async with connection.transaction():
            await connection.execute("INSERT INTO late VALUES (1), (1)")
    assert await is_usable(connection)


async def test_executemany_inserts_them_all(connection: TrioConnection) -> None:
    async with connection.cursor() as cursor:
        rows = [(n, "x" * 500) for n in range(2000)]
        await cursor.executemany("INSERT INTO t VALUES (%s, %s)", rows)
        assert cursor.rowcount == 2000
    assert await is_usable(connection)


async def test_copy_goes_in_and_out(connection: TrioConnection) -> None:
    async with connection.cursor() as cursor:
        async with cursor.copy("COPY t FROM STDIN") as copy:
            for n in range(5000):
                await copy.write_row((n, "word" * 100))
        total = 0
        async with cursor.copy("COPY t (n) TO STDOUT") as copy:
            async for row in copy.rows():
                total += int(row[0])
    assert total == sum(range(5000))
    assert await is_usable(connection)


async def test_a_pipeline_sends_many_at_once(connection: TrioConnection) -> None:
    async with connection.pipeline() as pipeline:
        cursors = [await connection.execute("SELECT %s::int", (n,)) for n in range(5)]
        await pipeline.sync()
        assert [await cursor.fetchone() for cursor in cursors] == [
            (n,) for n in range(5)
        ]
        async with connection.transaction():
            await connection.execute("INSERT INTO t VALUES (1)")
    assert await fetch(connection, "SELECT n FROM t") == [(1,)]
    assert await is_usable(connection)


async def test_a_pipeline_reports_what_fails(connection: TrioConnection) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        async with connection.pipeline():
            await connection.execute("SELECT 1 / 0")
    assert await is_usable(connection)


async def test_a_server_side_cursor_reads_in_parts(connection: TrioConnection) -> None:
    async with connection.transaction(), connection.cursor("parts") as cursor:
        await cursor.execute("SELECT generate_series(1, 250)")
        assert await cursor.fetchmany(2) == [(1,), (2,)]
        assert len([row async for row in cursor]) == 248


async def test_a_stream_gives_row_by_row(connection: TrioConnection) -> None:
    cursor = connection.cursor()
    rows = [row async for row in cursor.stream("SELECT generate_series(1, 50)")]
    assert len(rows) == 50
    stream: Any = cursor.stream("SELECT generate_series(1, 9000000)")
    async with aclosing(stream) as rest:
        async for _ in rest:
            break
    assert await is_usable(connection)


async def test_notifications_are_heard(
    connection: TrioConnection, postgres: Server
) -> None:
    channel = postgres.new_name('odd "channel')
    await connection.listen(channel)
    with postgres.connect() as other:
        other.execute("SELECT pg_notify(%s, %s)", (channel, "one"))
        other.execute("SELECT pg_notify(%s, %s)", (channel, "two"))
    heard: list[psycopg.Notify] = []
    while len(heard) < 2:
        heard += await connection.next_notifies()
    assert [(one.channel, one.payload) for one in heard] == [
        (channel, "one"),
        (channel, "two"),
    ]


async def test_notifications_read_on_the_way_are_kept(
    connection: TrioConnection, postgres: Server
) -> None:
    channel = postgres.new_name("channel")
    await connection.listen(channel)
    with postgres.connect() as other:
        other.execute("SELECT pg_notify(%s, 'x')", (channel,))
    assert await is_usable(connection)  # an exchange and a query read it too
    assert [one.payload for one in await connection.next_notifies()] == ["x"]


async def test_notifies_ends_after_its_time(
    connection: TrioConnection, postgres: Server
) -> None:
    await connection.execute("LISTEN c")
    await connection.execute("NOTIFY c, 'x'")
    for seconds in (0.0, 0.05):
        async with aclosing(connection.notifies(timeout=seconds)) as notifies:
            heard = [one.payload async for one in notifies]
        assert heard == (["x"] if seconds == 0 else [])
    assert await is_usable(connection)


async def test_notices_are_logged_quietly(
    connection: TrioConnection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="trioqueue.postgres")
    await connection.execute("DO $$BEGIN RAISE WARNING 'mind the gap'; END$$")
    (record,) = caplog.records
    assert record.levelname == "DEBUG"
    assert record.getMessage() == "WARNING: mind the gap"


async def test_ten_wait_in_the_server_side_by_side(postgres: Server) -> None:
    """They sleep together until they are seen to, however slow the machine is."""
    name = postgres.new_name("ten")
    conninfo = postgres.conninfo(application_name=name)
    asleep = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE application_name = %s AND wait_event = 'PgSleep'"
    )

    async def sleep() -> None:
        async with TrioConnection.opened(conninfo) as connection:
            await connection.execute("SELECT pg_sleep(600)")

    async with (
        TrioConnection.opened(postgres.url) as watching,
        trio.open_nursery() as nursery,
    ):
        for _ in range(10):
            nursery.start_soon(sleep)
        with trio.fail_after(PATIENCE_SECONDS):
            while await fetch(watching, asleep, name) != [(10,)]:  # noqa: ASYNC110  only the server knows
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert become(0, lambda: sessions(postgres, name))


async def test_two_tasks_take_turns_on_one_connection(postgres: Server) -> None:
    order: list[str] = []

    async def use(name: str) -> None:
        for _ in range(5):
            await shared.execute("SELECT pg_sleep(0.001)")
            order.append(name)

    async with TrioConnection.opened(postgres.url) as shared:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(use, "a")
            nursery.start_soon(use, "b")
        assert sorted(order) == ["a"] * 5 + ["b"] * 5
        assert order not in (["a"] * 5 + ["b"] * 5, ["b"] * 5 + ["a"] * 5)
        assert await is_usable(shared)
