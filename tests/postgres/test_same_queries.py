"""Both databases answer the same queries, and PostgreSQL takes every one of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import psycopg
import pytest

from tests.postgres_server import Server
from trioqueue.store.postgres.compiling import compile_statement, quote_schema
from trioqueue.store.postgres.migrations import script
from trioqueue.store.postgres.statements import MANY_TYPES, STATEMENTS
from trioqueue.store.sqlite.statements import STATEMENTS as SQLITE_STATEMENTS

SCHEMA: Final = "Same$queries-1"
ONLY_HERE: Final[Mapping[str, set[str]]] = {
    # SQLite has no use for marks: what is gone is gone there.
    "ready_messages": {"low_0", "low_1", "low_2", "low_3", "low_4"},
}
INTEGERS: Final = {20, 21, 23}
PLAIN: Final = INTEGERS | {16, 17, 25}
"""Types that arrive as bool, bytes, int or str."""


@pytest.fixture(scope="module")
def connection(postgres: Server) -> Iterator[psycopg.Connection]:
    with postgres.connect() as connection:
        postgres.drop_schema(SCHEMA)
        connection.execute(script(SCHEMA).encode())
        yield connection
    postgres.drop_schema(SCHEMA)


def _parameters(sql: str) -> set[str]:
    sql = re.sub(r"--[^\n]*", "", sql)
    return set(re.findall(r"(?<!:):([a-z]\w*)", sql))


def _columns(sql: str) -> set[str]:
    return set(re.findall(r"\bcolumn(\d+)\b", sql))


def test_both_have_the_same_queries() -> None:
    assert set(STATEMENTS) == set(SQLITE_STATEMENTS)


@pytest.mark.parametrize("name", sorted(set(STATEMENTS) & set(SQLITE_STATEMENTS)))
def test_a_query_takes_the_same_parameters(name: str) -> None:
    ours, theirs = STATEMENTS[name], SQLITE_STATEMENTS[name]
    assert _parameters(ours) - ONLY_HERE.get(name, set()) == _parameters(theirs)
    many = "{rows}" in theirs
    assert many == (name in MANY_TYPES)
    if many and (used := _columns(theirs)):
        assert used == {str(place + 1) for place in range(len(MANY_TYPES[name]))}


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_the_server_prepares_it_without_being_told_types(
    connection: psycopg.Connection, name: str
) -> None:
    compiled = compile_statement(name, SCHEMA)
    result = connection.pgconn.prepare(name.encode(), compiled.sql)
    assert not result.error_message
    described = connection.pgconn.describe_prepared(name.encode())
    types = {described.ftype(place) for place in range(described.nfields)}
    assert types <= PLAIN
    expected = compiled.columns if compiled.many else len(compiled.names)
    assert described.nparams == expected


def test_a_parameter_that_occurs_twice_is_sent_once() -> None:
    compiled = compile_statement("insert_queue", "trioqueue")
    assert compiled.names == ("name", "options", "dead_letter_name", "now")
    assert compiled.sql.endswith(b"VALUES ($1, $2, $3, $4, $4)")


def test_every_table_is_named_with_its_schema() -> None:
    for name in STATEMENTS:
        sql = compile_statement(name, "Own").sql.decode()
        assert len(re.findall(r"\btq_", sql)) == len(re.findall(r'"Own"\.tq_', sql))
        assert "{" not in sql


def test_parameter_rows_become_arrays() -> None:
    compiled = compile_statement("trim_attempts", "s")
    expected = (
        b'DELETE FROM "s".tq_attempts USING unnest($1::int8[], $2::int8[]) '
        b"AS r(column1, column2) WHERE message_row = ANY($1::int8[]) "
        b"AND message_row = column1 AND number <= column2"
    )
    assert compiled == (expected, (), True, 2)


@pytest.mark.parametrize(
    "name",
    ["", "1st", 'a"b', "a'b", "a b", "a.b", "a;b", "sch\u00e9ma", "a" * 64, "a\n"],
)
def test_what_cannot_be_a_schema_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name for a schema"):
        quote_schema(name)


@pytest.mark.parametrize("name", ["trioqueue", "_x", "Jobs$2-b", "a" * 63])
def test_a_schemas_name_keeps_its_letters(name: str) -> None:
    assert quote_schema(name) == f'"{name}"'
