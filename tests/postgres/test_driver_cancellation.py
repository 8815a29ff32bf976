"""Canceled wherever it waits, a connection is in order afterwards, or gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, Final

import psycopg
import pytest
import trio
import trio.testing

from tests.postgres.driver_scene import (
    STEPS,
    become,
    is_usable,
    open_sockets,
    query,
    sessions,
    swallowing_proxy,
)
from tests.postgres_server import Server
from tests.stepping import cancel_at
from trioqueue.store.postgres import endings
from trioqueue.store.postgres.driver import TrioConnection

Use = Callable[[TrioConnection], Awaitable[Any]]


async def execute(connection: TrioConnection) -> None:
    await connection.execute("SELECT pg_sleep(0.005), repeat('x', 100000)")


async def exchange(connection: TrioConnection) -> None:
    texts = ["SELECT 1", "SELECT pg_sleep(0.005)", "SELECT repeat('x', 100000)"]
    await connection.exchange([query(connection, text) for text in texts])


async def send_much(connection: TrioConnection) -> None:
    text = "SELECT length($1::text)"
    await connection.exchange([query(connection, text, "x" * 3_000_000)] * 3)


async def transact(connection: TrioConnection) -> None:
    async with connection.transaction():
        await connection.execute("CREATE TEMP TABLE t (n int)")
        async with connection.transaction():
            await connection.execute("INSERT INTO t VALUES (1)")


async def pipeline(connection: TrioConnection) -> None:
    async with connection.pipeline():
        async with connection.transaction():
            await connection.execute("SELECT 1")
        await connection.execute("SELECT pg_sleep(0.005)")


async def stream(connection: TrioConnection) -> None:
    cursor = connection.cursor()
    text = "SELECT repeat('x', 999) FROM generate_series(1, 9)"
    stream: Any = cursor.stream(text)
    async with aclosing(stream) as rows:
        async for _ in rows:
            await trio.lowlevel.checkpoint()


async def copy_in(connection: TrioConnection) -> None:
    async with connection.transaction():
        await connection.execute("CREATE TEMP TABLE c (n int) ON COMMIT DROP")
        async with connection.cursor().copy("COPY c FROM STDIN") as copy:
            for n in range(5):
                await copy.write_row((n,))
                await trio.lowlevel.checkpoint()


async def copy_out(connection: TrioConnection) -> None:
    statement = "COPY (SELECT repeat('x', 999) FROM generate_series(1, 9)) TO STDOUT"
    async with connection.cursor().copy(statement) as copy:
        while await copy.read():
            await trio.lowlevel.checkpoint()


async def execute_many(connection: TrioConnection) -> None:
    async with connection.transaction():
        await connection.execute("CREATE TEMP TABLE e (n int) ON COMMIT DROP")
        rows = [(n,) for n in range(100)]
        await connection.cursor().executemany("INSERT INTO e VALUES (%s)", rows)


async def listen(connection: TrioConnection) -> None:
    await connection.listen("c")
    await connection.execute("NOTIFY c")
    assert await connection.next_notifies()


USES: Final[list[Use]] = [
    execute,
    exchange,
    send_much,
    transact,
    pipeline,
    stream,
    copy_in,
    copy_out,
    execute_many,
    listen,
]


@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
async def test_canceled_at_any_step_the_connection_can_be_used(
    postgres: Server, use: Use
) -> None:
    seen = []
    async with TrioConnection.opened(postgres.url) as connection:
        for step in range(STEPS):
            seen.append(await cancel_at(step, partial(use, connection)))
            assert not connection.closed
            assert await is_usable(connection)
            await connection.execute("DROP TABLE IF EXISTS pg_temp.t")
            if seen[-1] == (True, False):
                break
    assert seen[0] == (False, True)  # a checkpoint, before anything is done
    assert seen[-1] == (True, False)


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost"])
def test_opening_and_closing_leave_nothing_at_any_step(
    postgres: Server, address: str
) -> None:
    name = postgres.new_name("driver")
    conninfo = postgres.conninfo(application_name=name, host=address)
    seen = []
    before = []
    after = []

    async def use() -> None:
        async with (
            TrioConnection.opened(conninfo) as connection,
            connection,
            connection.transaction(),
        ):
            await connection.execute("SELECT 1")

    async def once(step: int) -> None:
        before.append(open_sockets())
        seen.append(await cancel_at(step, use))
        after.append(open_sockets())

    for step in range(STEPS):
        trio.run(once, step)
        if seen[-1] == (True, False):
            break
    assert seen[-1] == (True, False)
    assert len(seen) > 4
    assert before == after
    assert become(0, lambda: sessions(postgres, name))


async def test_a_canceled_query_stops_on_the_server(postgres: Server) -> None:
    async with TrioConnection.opened(postgres.url) as connection:
        for attempt in (
            lambda: connection.execute("SELECT pg_sleep(600)"),
            lambda: connection.exchange([query(connection, "SELECT pg_sleep(600)")]),
        ):
            with trio.move_on_after(0.05) as scope:
                await attempt()
            assert scope.cancelled_caught
            assert await is_usable(connection)


async def test_a_canceled_transaction_is_rolled_back(postgres: Server) -> None:
    async with TrioConnection.opened(postgres.url) as connection:
        await connection.execute("CREATE TEMP TABLE t (n int)")
        with trio.CancelScope() as scope:
            async with connection.transaction():
                await connection.execute("INSERT INTO t VALUES (1)")
                scope.cancel()
        assert await is_usable(connection)
        rows = await (await connection.execute("SELECT n FROM t")).fetchall()
        assert rows == []
        async with connection.transaction():
            with trio.move_on_after(0.05):
                async with connection.transaction():
                    await connection.execute("INSERT INTO t VALUES (2)")
                    await connection.execute("SELECT pg_sleep(600)")
            await connection.execute("INSERT INTO t VALUES (3)")
        rows = await (await connection.execute("SELECT n FROM t")).fetchall()
        assert rows == [(3,)]


async def test_closing_stops_the_query_and_ends_its_waiter(postgres: Server) -> None:
    name = postgres.new_name("driver")
    connection = await TrioConnection.open(postgres.conninfo(application_name=name))

    async def sleep() -> None:
        with pytest.raises(psycopg.OperationalError, match="closed"):
            await connection.execute("SELECT pg_sleep(600)")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sleep)
        await trio.testing.wait_all_tasks_blocked(0.05)
        with trio.CancelScope() as scope:
            scope.cancel()
            await connection.close()
    assert connection.closed
    assert become(0, lambda: sessions(postgres, name))
    await connection.close()  # twice is once


async def test_killing_ends_whoever_waits(postgres: Server) -> None:
    ended: list[TrioConnection] = []

    async def wait_for(call: Callable[[TrioConnection], Awaitable[Any]]) -> None:
        connection = await TrioConnection.open(postgres.url)
        connections.append(connection)
        if len(connections) == 3:
            all_open.set()
        with pytest.raises(psycopg.OperationalError, match="closed"):
            await call(connection)
        ended.append(connection)

    connections: list[TrioConnection] = []
    all_open = trio.Event()
    async with trio.open_nursery() as nursery:
        sleeping = "SELECT pg_sleep(0.5)"
        nursery.start_soon(wait_for, lambda one: one.execute(sleeping))
        nursery.start_soon(wait_for, lambda one: one.exchange([query(one, sleeping)]))
        nursery.start_soon(wait_for, lambda one: one.next_notifies())
        await all_open.wait()
        await trio.testing.wait_all_tasks_blocked(0.05)
        for connection in connections:
            connection.kill()
            connection.kill()
    assert len(ended) == 3


async def test_a_kill_between_answer_and_waiter_is_noticed(postgres: Server) -> None:
    """The socket is ready already when the connection goes: nothing is read from it."""
    connection = await TrioConnection.open(postgres.url)
    calls = 0
    wait_readable = trio.lowlevel.wait_readable

    async def kill_after(fd: int) -> None:
        nonlocal calls
        calls += 1
        await wait_readable(fd)
        connection.kill()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trio.lowlevel, "wait_readable", kill_after)
        with pytest.raises(psycopg.OperationalError, match="closed"):
            await connection.execute("SELECT 1")
    assert calls == 1


async def test_a_silent_server_costs_a_canceled_caller_only_the_grace(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr("trioqueue.store.postgres.driver.GRACE_SECONDS", 0.2)
    for use in (execute, exchange, transact, pipeline, copy_out):
        async with swallowing_proxy(postgres) as (conninfo, silent):
            connection = await TrioConnection.open(conninfo)
            silent.set()
            with trio.move_on_after(0.05) as scope:
                await use(connection)
            assert scope.cancelled_caught
            assert connection.closed  # nobody knows what it is at
            with trio.move_on_after(0.05) as scope:
                await TrioConnection.open(conninfo)
            assert scope.cancelled_caught


@pytest.mark.parametrize("blocking", [False, True], ids=["waits", "in-place"])
async def test_an_old_libpq_cancels_too(
    postgres: Server, monkeypatch: pytest.MonkeyPatch, blocking: bool
) -> None:
    monkeypatch.setattr(psycopg.capabilities, "has_cancel_safe", lambda: False)
    async with TrioConnection.opened(postgres.url, blocking=blocking) as connection:
        cursor = connection.cursor()
        stream: Any = cursor.stream("SELECT generate_series(1, 9000000)")
        async with aclosing(stream) as rows:
            async for _ in rows:
                break
        assert await is_usable(connection)
        if not blocking:
            with trio.move_on_after(0.05) as scope:
                await connection.execute("SELECT pg_sleep(600)")
            assert scope.cancelled_caught
            assert await is_usable(connection)


async def test_a_cancel_that_nobody_takes_is_reported(postgres: Server) -> None:
    async with swallowing_proxy(postgres) as (conninfo, silent):
        connection = await TrioConnection.open(conninfo)
        silent.set()
        with pytest.raises(psycopg.errors.CancellationTimeout):
            await connection.cancel_safe(timeout=0.05)
        connection.kill()
