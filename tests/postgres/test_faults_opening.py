"""A store that cannot be opened says why, in one line, without the password."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable
from typing import Final

import pytest
import trio

from tests.postgres.faulty import chain, made_role
from tests.postgres_server import PASSWORD, Server
from trioqueue import (
    SchemaVersionError,
    StoreUnavailableError,
    TrioQueueError,
    ValidationError,
    open_store,
)
from trioqueue.store.postgres import migrations, opening

SECRET: Final = "hunter2-very-secret"


async def failure(url: str, *, migrate: bool = True) -> TrioQueueError:
    """Return what opening raises; no error of its chain knows the password."""
    with trio.fail_after(20), pytest.raises(TrioQueueError) as raised:
        async with open_store(url, migrate=migrate):
            pass
    error = raised.value
    assert "\n" not in str(error)
    for secret in (SECRET, PASSWORD, urllib.parse.quote(PASSWORD, safe="")):
        for part in chain(error):
            assert secret not in str(part)
            assert secret not in repr(part)
    return error


def at(
    server: Server, *, user: str = "", password: str = "", database: str = ""
) -> str:
    parts = urllib.parse.urlsplit(server.url)
    word = urllib.parse.quote(password or SECRET, safe="")
    return (
        f"postgresql://{user or parts.username}:{word}@{parts.hostname}:{parts.port}"
        f"/{database or parts.path[1:]}"
    )


def wrong_password(server: Server) -> str:
    return at(server)


def unknown_database(server: Server) -> str:
    return at(server, password=PASSWORD, database="no_such_database")


def unknown_role(server: Server) -> str:
    return at(server, user="no_such_role")


def closed_port(server: Server) -> str:
    return f"postgresql://me:{SECRET}@127.0.0.1:1/postgres"


def unknown_host(server: Server) -> str:
    return f"postgresql://me:{SECRET}@no-such-host.invalid/postgres"


def unknown_option(server: Server) -> str:
    return f"postgresql://me:{SECRET}@127.0.0.1/postgres?no_such_option=1"


def bad_percent(server: Server) -> str:
    return f"postgresql://me:{SECRET}%ZZ@127.0.0.1/postgres"


def bad_port(server: Server) -> str:
    return f"postgresql://me:{SECRET}@127.0.0.1:many/postgres"


def bad_wait(server: Server) -> str:
    return f"postgresql://me:{SECRET}@127.0.0.1/postgres?connect_timeout=long"


def option_password(server: Server) -> str:
    return f"postgresql://127.0.0.1:1/postgres?user=me&password={SECRET}"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (wrong_password, "password"),
        (unknown_database, "database does not exist"),
        (unknown_role, "password"),  # the server does not tell the difference
        (closed_port, "cannot be reached"),
        (unknown_host, "host"),
        (unknown_option, "connection string"),
        (bad_percent, "connection string"),
        (bad_port, "port"),
        (bad_wait, "connect_timeout"),
        (option_password, "cannot be reached"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_wrong_is_named(
    postgres: Server, wrong: Callable[[Server], str], words: str
) -> None:
    async def main() -> None:
        error = await failure(wrong(postgres))
        assert isinstance(error, StoreUnavailableError | ValidationError)
        assert words in str(error)

    trio.run(main)


def test_a_missing_right_is_named(postgres: Server) -> None:
    async def main(schema: str, role: str) -> None:
        url = postgres.store_url(f"{schema}_other", user=role)
        error = await failure(url)
        assert isinstance(error, StoreUnavailableError)
        assert "permission denied" in str(error)

    with postgres.schema() as schema, made_role(postgres, schema) as role:
        trio.run(main, schema, role)


def test_tables_without_rights_are_named(postgres: Server) -> None:
    async def main(schema: str, owned: str, role: str) -> None:
        async with open_store(postgres.store_url(schema)):
            pass
        error = await failure(postgres.store_url(schema, user=role))
        assert isinstance(error, StoreUnavailableError | SchemaVersionError)

    with (
        postgres.schema() as schema,
        postgres.schema() as owned,
        made_role(postgres, owned) as role,
    ):
        trio.run(main, schema, owned, role)


def test_a_missing_schema_is_named_and_not_made(postgres: Server) -> None:
    async def main(schema: str) -> None:
        for _ in range(2):
            error = await failure(postgres.store_url(schema), migrate=False)
            assert isinstance(error, SchemaVersionError)
            assert "migrate" in str(error)

    with postgres.schema() as schema:
        trio.run(main, schema)


def test_an_old_server_is_named(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "OLDEST_SERVER", 990000)

    async def main(schema: str) -> None:
        error = await failure(postgres.store_url(schema))
        assert isinstance(error, StoreUnavailableError | SchemaVersionError)
        assert "99" in str(error)

    with postgres.schema() as schema:
        trio.run(main, schema)


def test_a_host_that_does_not_answer_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PGCONNECT_TIMEOUT", raising=False)
    monkeypatch.setattr(opening, "CONNECT_SECONDS", 2)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            # It takes the connection, and says nothing.
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            port = listener.socket.getsockname()[1]

            async def say_nothing(_: trio.SocketStream) -> None:
                await trio.sleep_forever()

            await nursery.start(trio.serve_listeners, say_nothing, [listener])
            error = await failure(f"postgresql://me:{SECRET}@127.0.0.1:{port}/db")
            assert isinstance(error, StoreUnavailableError)
            nursery.cancel_scope.cancel()

    trio.run(main)
