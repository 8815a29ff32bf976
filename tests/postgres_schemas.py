"""Schemas for the stores of tests: made once, emptied from one test to the next.

Emptying costs a fraction of what making the tables does.  A schema that cannot be
emptied, or whose test failed, is never used again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, final

import attrs
import psycopg
from psycopg import sql

from tests.postgres_server import Server

LOCK_PATIENCE: Final = "300ms"
"""How long what is left of a test may hold on to its tables."""
SMALL_BYTES: Final = 512 * 1024
"""Up to here DELETE is cheaper than new files for a table and all its indexes."""

_TABLES: Final = """
    SELECT c.relname::text, pg_relation_size(c.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relkind = 'r' ORDER BY c.relname
"""
_REWIND: Final = """
    SELECT setval(s.seqrelid, s.seqstart, false)
    FROM pg_sequence s
    JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s
"""

Rows = list[tuple[Any, ...]]


@final
@attrs.frozen
class _Made:
    """A schema as it was when nothing had used it."""

    name: str
    tables: frozenset[str]
    seeds: dict[str, Rows]


@final
class Schemas:
    """Lends one schema after another to the tests of this process."""

    def __init__(self, server: Server, make: Callable[[str], None]) -> None:
        """Remember what makes the tables: a function of the store's URL."""
        self._server = server
        self._make = make
        self._names: list[str] = []
        self._taken: _Made | None = None
        self._spare: _Made | None = None

    def take(self) -> str:
        """Return the name of a schema with empty tables."""
        if self._spare is None or not self._empty(self._spare):
            self._taken = self._new()
        else:
            self._taken = self._spare
        self._spare = None
        return self._taken.name

    def give_back(self) -> None:
        """Keep what was taken for the next one.

        Not after a test that failed: who knows what goes on in there.
        """
        self._spare = self._taken

    def drop(self) -> None:
        """Drop all of them."""
        for name in self._names:
            self._server.drop_schema(name)

    def _new(self) -> _Made:
        name = self._server.new_name("world")
        self._names.append(name)
        self._make(self._server.store_url(name))
        with self._server.connect() as connection:
            sizes = dict(connection.execute(_TABLES, [name]).fetchall())
            filled = [table for table, size in sizes.items() if size]
            seeds = {table: _rows(connection, name, table) for table in filled}
        return _Made(name, frozenset(sizes), seeds)

    def _empty(self, made: _Made) -> bool:
        """Bring a schema back to what it was; False if that cannot be."""
        with self._server.connect() as connection, connection.transaction():
            sizes = dict(connection.execute(_TABLES, [made.name]).fetchall())
            if sizes.keys() != made.tables:
                return False
            names = [sql.Identifier(made.name, table) for table in sorted(sizes)]
            lock = sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE")
            connection.execute(f"SET LOCAL lock_timeout = '{LOCK_PATIENCE}'")
            try:
                connection.execute(lock.format(sql.SQL(", ").join(names)))
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                return False
            connection.execute(_REWIND, [made.name])
            for table, size in sizes.items():
                seed = made.seeds.get(table, [])
                # Some have a row or two from the start, and most keep it.
                if size and (not seed or _rows(connection, made.name, table) != seed):
                    _replace(
                        connection, made.name, table, seed, small=size < SMALL_BYTES
                    )
        return True


def _rows(connection: psycopg.Connection, schema: str, table: str) -> Rows:
    select = sql.SQL("SELECT * FROM {} LIMIT 100")
    name = sql.Identifier(schema, table)
    return connection.execute(select.format(name)).fetchall()


def _replace(
    connection: psycopg.Connection, schema: str, table: str, rows: Rows, *, small: bool
) -> None:
    name = sql.Identifier(schema, table)
    empty = sql.SQL("DELETE FROM {}" if small else "TRUNCATE {}")
    connection.execute(empty.format(name))
    for row in rows:
        places = sql.SQL(", ").join([sql.Placeholder()] * len(row))
        insert = sql.SQL("INSERT INTO {} OVERRIDING SYSTEM VALUE VALUES ({})")
        connection.execute(insert.format(name, places), row)
