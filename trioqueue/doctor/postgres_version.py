"""Which schema version a PostgreSQL database has, by its store's URL."""

from __future__ import annotations

from typing import Final

import psycopg
import trio
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from trioqueue.errors import StoreUnavailableError
from trioqueue.store.postgres.driver import TrioConnection
from trioqueue.store.url import parse_url

CONNECT_SECONDS: Final = 10.0
"""How long a server may take to let us in."""


async def version_at(url: str) -> int:
    """Return the schema version: 0 where there are no tables.

    Raises:
        ValidationError: The URL is wrong.
        StoreUnavailableError: The server cannot be reached, or the tables not be read.
    """
    address = parse_url(url)
    try:
        with trio.fail_after(CONNECT_SECONDS):
            async with TrioConnection.opened(address.conninfo) as connection:
                return await _version(connection, address.schema)
    except trio.TooSlowError:
        message = f"{address.shown}: no answer within {CONNECT_SECONDS:g} s"
        raise StoreUnavailableError(message) from None
    except (psycopg.Error, OSError) as error:
        message = f"{address.shown}: {describe(error, address.conninfo)}"
        raise StoreUnavailableError(message) from error


async def _version(connection: TrioConnection, schema: str) -> int:
    cursor = await connection.execute(
        "SELECT 1 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = 'tq_meta'",
        [schema],
    )
    if await cursor.fetchone() is None:
        return 0
    table = sql.Identifier(schema, "tq_meta")
    query = sql.SQL("SELECT value FROM {} WHERE key = 'schema_version'")
    row = await (await connection.execute(query.format(table))).fetchone()
    return 0 if row is None else int(row[0])


def describe(error: Exception, conninfo: str) -> str:
    """Say what went wrong on one line, without the password."""
    text = " ".join(str(error).split())[:300] or type(error).__name__
    try:
        password = str(conninfo_to_dict(conninfo).get("password") or "")
    except psycopg.Error:
        return type(error).__name__ if conninfo in text else text
    return text.replace(password, "***") if password else text
