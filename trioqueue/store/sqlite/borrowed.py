"""Driving operations over an SQLite connection of the user's."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from trioqueue.errors import ValidationError
from trioqueue.store.borrowed import (
    ANOTHER_DATABASE,
    CLOSED,
    NO_TRANSACTION,
    SAVEPOINT,
)
from trioqueue.store.sqlite.connection import MEMORY, Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trioqueue.store.operations.core import Context, Effects, Operation
    from trioqueue.store.requests import ContextMaker

T = TypeVar("T")

_KINDS = "expected a sqlite3.Connection or a sqlite_utils.Database"


def find_raw(connection: object) -> sqlite3.Connection:
    """Return the driver's connection, with a transaction open.

    Raises:
        ValidationError: It is none, or has no transaction open.
    """
    utils = sys.modules.get("sqlite_utils")
    if utils is not None and isinstance(connection, utils.Database):
        connection = connection.conn  # pyright: ignore[reportAttributeAccessIssue]  found late
    if not isinstance(connection, sqlite3.Connection):
        kind = type(connection)
        module = kind.__module__.partition(".")[0]
        if module in ("psycopg", "aiosqlite"):
            problem = f"the store is on SQLite: {_KINDS}, got one of {module}"
        else:
            problem = f"{_KINDS}, got {connection!r:.200}"
        raise ValidationError.of("connection", problem)
    try:
        begun = connection.in_transaction
        sqlite3.Cursor(connection).close()  # says whether this thread may use it
    except sqlite3.ProgrammingError as error:
        raise _unusable(error) from None
    if not begun:
        raise ValidationError.of("connection", NO_TRANSACTION)
    return connection


def refuse_async(connection: object) -> ValidationError:
    """Say what is wrong with awaiting an SQLite connection."""
    find_raw(connection)
    return ValidationError.of(
        "connection",
        "an SQLite connection is not asynchronous; use `store.post_in(...)`, "
        "without await",
    )


def is_open(raw: sqlite3.Connection) -> bool:
    """Say whether a connection has a transaction open."""
    try:
        return raw.in_transaction
    except sqlite3.Error:
        return False


def _unusable(error: sqlite3.ProgrammingError) -> ValidationError:
    text = str(error)
    problem = CLOSED if "closed" in text else f"cannot be used here ({text})"
    return ValidationError.of("connection", problem)


def check_database(connection: Connection, store_id: str) -> None:
    """See that a connection is to the store's own file.

    Raises:
        ValidationError: It is not.
    """
    if connection.path == MEMORY:
        raise ValidationError.of(
            "connection",
            "cannot share a transaction with this store, whose database is in memory: "
            "no second connection sees it; open the store on a file",
        )
    # One that is attached is no use: SQLite commits two files one after the other.
    files = {row[1]: row[2] for row in connection.statement("PRAGMA database_list")}
    main = files.get("main", "")
    if not main or not _is_same(main, connection.path):
        raise ValidationError.of("connection", f"{ANOTHER_DATABASE} ({main!r})")
    tables = "SELECT 1 FROM main.sqlite_master WHERE name = 'tq_meta'"
    if not connection.statement(tables):
        raise ValidationError.of(
            "connection", "the database has no tables of trioqueue"
        )
    rows = connection.statement("SELECT value FROM tq_meta WHERE key = 'store_id'")
    if not rows or rows[0][0] != store_id:
        raise ValidationError.of("connection", ANOTHER_DATABASE)


def _is_same(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return False


@contextmanager
def borrow(raw: sqlite3.Connection, path: str) -> Iterator[Connection]:
    """Use a connection of the user's, whatever he has set there for his own rows."""
    cursor = sqlite3.Cursor(raw)
    cursor.row_factory = None
    text_factory = raw.text_factory
    try:
        raw.text_factory = str
        yield Connection(path, raw, cursor)
    finally:
        raw.text_factory = text_factory
        cursor.close()


def run_inside(
    connection: Connection,
    make_context: ContextMaker,
    operation: Callable[[Context], Operation[T]],
) -> tuple[T, Effects]:
    """Run an operation in the open transaction; if it fails, nothing of it is done.

    Raises:
        TrioQueueError: What the operation or the database says.
    """
    context = make_context()
    connection.statement(f"SAVEPOINT {SAVEPOINT}")
    try:
        value = connection.drive(operation(context))
        connection.statement(f"RELEASE {SAVEPOINT}")
    except BaseException:
        # A full disk, for one, undoes the whole transaction by itself.
        if connection.in_transaction:
            connection.statement(f"ROLLBACK TO {SAVEPOINT}")
            connection.statement(f"RELEASE {SAVEPOINT}")
        raise
    return value, context.effects
