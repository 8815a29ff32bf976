"""Servers that are not there, refuse, or go away; and waits that happen in place."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import psycopg
import pytest
import trio
import trio.testing
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import ExecStatus

from tests.postgres.driver_scene import is_usable, query, scalar, values
from tests.postgres_server import OwnServer, Server
from trioqueue.store.postgres.driver import TrioConnection

BOTH = pytest.mark.parametrize("blocking", [False, True], ids=["waits", "in-place"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@BOTH
async def test_a_refused_port_is_an_operational_error(
    postgres: Server, blocking: bool
) -> None:
    conninfo = postgres.conninfo(port=_free_port())
    with pytest.raises(psycopg.OperationalError, match="refused"):
        await TrioConnection.open(conninfo, blocking=blocking)


@BOTH
async def test_an_unknown_host_is_an_operational_error(
    postgres: Server, blocking: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*args: object, **kwargs: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "no such host")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    conninfo = postgres.conninfo(host="nowhere.invalid")
    with pytest.raises(psycopg.OperationalError, match=r"nowhere\.invalid"):
        await TrioConnection.open(conninfo, blocking=blocking)


@BOTH
async def test_a_wrong_password_is_an_operational_error(
    own_postgres: OwnServer, blocking: bool
) -> None:
    conninfo = own_postgres.conninfo(password="mistaken")
    with pytest.raises(psycopg.OperationalError, match="password") as caught:
        await TrioConnection.open(conninfo, blocking=blocking)
    assert "mistaken" not in str(caught.value)


async def test_a_malformed_string_is_not_quoted() -> None:
    with pytest.raises(psycopg.ProgrammingError, match="malformed") as caught:
        await TrioConnection.open("postgresql://user:secret%zz@host/")
    assert "secret" not in repr(caught.value)
    assert caught.value.__suppress_context__


@BOTH
async def test_the_next_host_is_tried(postgres: Server, blocking: bool) -> None:
    target = conninfo_to_dict(postgres.url)
    conninfo = postgres.conninfo(
        host=f"127.0.0.1,{target['host']}", port=f"{_free_port()},{target['port']}"
    )
    async with TrioConnection.opened(conninfo, blocking=blocking) as connection:
        assert await is_usable(connection)


async def test_all_hosts_that_refused_are_named(postgres: Server) -> None:
    one, two = _free_port(), _free_port()
    conninfo = postgres.conninfo(host="127.0.0.1,localhost", port=f"{one},{two}")
    with pytest.raises(psycopg.OperationalError) as caught:
        await TrioConnection.open(conninfo)
    assert str(one) in str(caught.value)
    assert str(two) in str(caught.value)


@BOTH
async def test_a_host_that_does_not_answer_is_given_up(
    postgres: Server, blocking: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trioqueue.store.postgres.driver.ADDRESS_SECONDS", 0.1)
    target = conninfo_to_dict(postgres.url)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        conninfo = postgres.conninfo(
            host=f"127.0.0.1,{target['host']}", port=f"{port},{target['port']}"
        )
        async with TrioConnection.opened(conninfo, blocking=blocking) as connection:
            assert await is_usable(connection)


async def test_a_socket_directory_is_a_host(own_postgres: OwnServer) -> None:
    directory = own_postgres.socket_directory
    async with TrioConnection.opened(
        own_postgres.conninfo(host=directory)
    ) as connection:
        assert await is_usable(connection)


async def test_connect_refuses_in_favour_of_open(postgres: Server) -> None:
    with pytest.raises(psycopg.NotSupportedError, match="open"):
        await TrioConnection.connect(postgres.url)


@pytest.mark.parametrize(
    "waiting",
    [
        lambda one: one.execute("SELECT pg_sleep(600)"),
        lambda one: one.exchange([query(one, "SELECT pg_sleep(600)")]),
        lambda one: one.next_notifies(),
    ],
    ids=["execute", "exchange", "next_notifies"],
)
async def test_a_terminated_session_is_an_operational_error(
    postgres: Server, waiting: Callable[[TrioConnection], object]
) -> None:
    connection = await TrioConnection.open(postgres.url)

    async def wait() -> None:
        with pytest.raises(psycopg.OperationalError):
            await waiting(connection)  # type: ignore[misc]  # object: three kinds

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked(0.05)
        pid = connection.info.backend_pid
        assert scalar(postgres, "SELECT pg_terminate_backend(%s)", pid)
    assert connection.closed
    with pytest.raises(psycopg.OperationalError):
        await connection.exchange([query(connection, "SELECT 1")])
    with pytest.raises(psycopg.OperationalError):
        await connection.execute("SELECT 1")
    await connection.close()


@BOTH
async def test_an_exchange_answers_for_each_command(
    postgres: Server, blocking: bool
) -> None:
    async with TrioConnection.opened(postgres.url, blocking=blocking) as connection:
        texts = ["SELECT 1", "SELECT 'two'", "SELECT 1 / 0", "SELECT 4"]
        results = await connection.exchange([query(connection, t) for t in texts])
        assert values(results[:2]) == [b"1", b"two"]
        assert [result.status for result in results[2:]] == [
            ExecStatus.FATAL_ERROR,
            ExecStatus.PIPELINE_ABORTED,
        ]
        assert await connection.exchange([]) == []
        big = "x" * 5_000_000
        results = await connection.exchange(
            [query(connection, "SELECT $1::text", big)] * 3
        )
        assert [len(value or b"") for value in values(results)] == [5_000_000] * 3
        assert await is_usable(connection)


@BOTH
async def test_a_command_that_raises_undoes_its_exchange(
    postgres: Server, blocking: bool
) -> None:
    connection = await TrioConnection.open(postgres.url, blocking=blocking)

    def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await connection.exchange([query(connection, "SELECT 1"), broken])
    assert connection.closed


async def test_an_exchange_within_a_pipeline_is_refused(postgres: Server) -> None:
    async with TrioConnection.opened(postgres.url) as connection:
        async with connection.pipeline():
            with pytest.raises(psycopg.ProgrammingError, match="pipeline"):
                await connection.exchange([])
        assert await is_usable(connection)


def test_virtual_time_stands_still_while_a_query_runs_in_place(
    postgres: Server,
) -> None:
    ran = []

    async def main() -> None:
        async def other() -> None:
            ran.append("other")

        opened = await TrioConnection.open(postgres.url, blocking=True)
        async with opened as connection, trio.open_nursery() as nursery:
            began, virtual = time.monotonic(), trio.current_time()
            nursery.start_soon(other)
            await connection.execute("SELECT pg_sleep(0.2)")
            await connection.exchange([query(connection, "SELECT pg_sleep(0.2)")])
            async with connection.transaction():
                await connection.execute("SELECT 1")
            await connection.close()
            assert ran == []  # nobody else had a turn
            assert time.monotonic() - began >= 0.4
            assert trio.current_time() == virtual
            await trio.sleep(1000)
            assert trio.current_time() == virtual + 1000

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert ran == ["other"]
