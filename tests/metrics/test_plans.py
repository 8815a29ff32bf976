"""A look at the whole database reads narrow indexes, not the messages themselves."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Final

import psycopg
import pytest

from tests.postgres_server import Server
from trioqueue.store.postgres.compiling import compile_statement
from trioqueue.store.postgres.measure_statements import MEASURE_STATEMENTS
from trioqueue.store.postgres.migrations import script
from trioqueue.store.postgres.statements import SESSION_SETTINGS
from trioqueue.store.sqlite.connection import (
    MEMORY,
    open_connection,
    prepare_database,
)
from trioqueue.store.sqlite.measure_statements import (
    MEASURE_STATEMENTS as SQLITE_STATEMENTS,
)

LARGE: Final = ("tq_messages", "tq_history")


@pytest.fixture(scope="module")
def connection(postgres: Server) -> Iterator[tuple[psycopg.Connection, str]]:
    with postgres.schema("measured") as schema, postgres.connect() as connection:
        connection.execute(script(schema).encode())
        for name, value in SESSION_SETTINGS.items():
            connection.execute(f"SET {name} TO '{value}'".encode())
        yield connection, schema


@pytest.mark.parametrize("name", MEASURE_STATEMENTS)
def test_postgresql_reads_indexes(
    connection: tuple[psycopg.Connection, str], name: str
) -> None:
    session, schema = connection
    sql = compile_statement(name, schema).sql
    rows = session.execute(b"EXPLAIN " + sql).fetchall()
    plan = "\n".join(row[0] for row in rows)
    for table in LARGE:
        assert f"Seq Scan on {table}" not in plan
    if name == "measure_messages":
        assert len(re.findall(r"Index Only Scan using \w+ on tq_messages", plan)) == 3
        assert "Index Only Scan using tq_history_order on tq_history" in plan


@pytest.mark.parametrize("name", SQLITE_STATEMENTS)
def test_sqlite_reads_indexes(name: str) -> None:
    connection = open_connection(MEMORY)
    try:
        prepare_database(connection, migrate=True, pause=time.sleep)
        rows = connection.statement(f"EXPLAIN QUERY PLAN {SQLITE_STATEMENTS[name]}")
    finally:
        connection.close()
    steps = [row[3] for row in rows]
    assert steps
    for table in LARGE:
        touched = [step for step in steps if table in step.split()[:2]]
        assert all("USING" in step and "INDEX" in step for step in touched)
