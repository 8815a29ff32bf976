"""What the tests of the driver share: queries about a connection, and bad networks."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq.abc import PGresult

from tests.postgres_server import Server
from trioqueue.store.postgres.driver import TrioConnection

IDLE: Final = pq.TransactionStatus.IDLE
PATIENCE_SECONDS: Final = 20.0
STEPS: Final = 200


def scalar(server: Server, query: str, *parameters: Any) -> Any:
    """Ask the server something from outside, and return the one value."""
    with server.connect() as connection:
        row = connection.execute(query.encode(), parameters).fetchone()
    assert row is not None
    return row[0]


def sessions(server: Server, name: str) -> int:
    """Return how many sessions of an application name the server has."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
    return int(scalar(server, query, name))


def become(expected: Any, look: Callable[[], Any]) -> bool:
    """Look until something is as expected; False if it does not become so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while look() != expected:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def open_sockets() -> int:
    """Return how many sockets this process has."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the directory's own is closed by now
            count += str(link.readlink()).startswith("socket:")
    return count


async def is_usable(connection: TrioConnection) -> bool:
    """Whether a connection is idle, and answers in both ways."""
    assert connection.pgconn.transaction_status == IDLE
    assert connection.pgconn.pipeline_status == pq.PipelineStatus.OFF
    (result,) = await connection.exchange([query(connection, "SELECT 7")])
    rows = await (await connection.execute("SELECT 8")).fetchall()
    return (result.get_value(0, 0), rows) == (b"7", [(8,)])


def query(
    connection: TrioConnection, text: str, *parameters: str
) -> Callable[[], None]:
    """Return a command for `exchange`."""
    values = [parameter.encode() for parameter in parameters]
    return partial(connection.pgconn.send_query_params, text.encode(), values)


def values(results: list[PGresult]) -> list[bytes | None]:
    return [result.get_value(0, 0) for result in results]


@asynccontextmanager
async def swallowing_proxy(server: Server) -> AsyncIterator[tuple[str, trio.Event]]:
    """Give the connection string of a relay that stops to answer once the event is set.

    What connects to it after that is accepted, and never hears anything.
    """
    target: dict[str, Any] = conninfo_to_dict(server.url)
    silent = trio.Event()

    async def relay(client: trio.SocketStream) -> None:
        if silent.is_set():
            await trio.sleep_forever()
        upstream = await trio.open_tcp_stream(target["host"], int(target["port"]))
        async with client, upstream, trio.open_nursery() as both:
            both.start_soon(pump, client, upstream)
            both.start_soon(pump, upstream, client)

    async def pump(source: trio.SocketStream, sink: trio.SocketStream) -> None:
        try:
            async for data in source:
                if silent.is_set():
                    await trio.sleep_forever()
                await sink.send_all(data)
            await sink.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, relay, 0)
        port = listeners[0].socket.getsockname()[1]
        yield server.conninfo(host="127.0.0.1", port=port), silent
        nursery.cancel_scope.cancel()
