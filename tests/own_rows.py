"""The user's own connections and rows, beside those of a store."""

from __future__ import annotations

import sqlite3
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg


def conninfo_of(url: str) -> tuple[str, str]:
    """Return libpq's connection string of a store's URL, and its schema."""
    parts = urllib.parse.urlsplit(url)
    options = dict(urllib.parse.parse_qsl(parts.query))
    schema = options.pop("schema")
    return parts._replace(query=urllib.parse.urlencode(options)).geturl(), schema


def connect(url: str, **options: Any) -> Any:
    """Open a connection of the user's to a store's database."""
    if url.startswith("sqlite:"):
        path = urllib.parse.unquote(url.removeprefix("sqlite:///"))
        return sqlite3.connect(path, **options)
    conninfo, schema = conninfo_of(url)
    return psycopg.connect(conninfo, options=f"-c search_path={schema}", **options)


@contextmanager
def connected(url: str, **options: Any) -> Iterator[Any]:
    """Open a connection for a block; what is not committed then is undone."""
    connection = connect(url, **options)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def own_rows(url: str) -> Iterator[None]:
    """Make the table of the user's rows for a block."""
    with connected(url) as connection:
        connection.execute("CREATE TABLE mine (number integer)")
        connection.commit()
    try:
        yield
    finally:
        if not url.startswith("sqlite:"):
            with connected(url) as connection:
                connection.execute("DROP TABLE mine")
                connection.commit()


def table(url: str) -> str:
    """Return the name of the user's table, whatever the search path."""
    return "mine" if url.startswith("sqlite:") else f'"{conninfo_of(url)[1]}".mine'


def insert(url: str) -> str:
    """Write the statement that inserts a row, with the driver's placeholder."""
    place = "?" if url.startswith("sqlite:") else "%s"
    return f"INSERT INTO {table(url)} VALUES ({place})"


def rows(url: str) -> list[int]:
    """Return what is committed of the user's rows."""
    with connected(url) as connection:
        found = connection.execute("SELECT number FROM mine ORDER BY 1").fetchall()
    return [row[0] for row in found]
