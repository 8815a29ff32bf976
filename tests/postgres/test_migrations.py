"""A schema is set up once, by whoever may, and refused in one clear line otherwise."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import psycopg
import pytest
import trio

from tests.postgres_server import Server
from trioqueue import open_store
from trioqueue.errors import SchemaVersionError, StoreUnavailableError
from trioqueue.store.postgres.driver import TrioConnection
from trioqueue.store.postgres.migrations import SCHEMA_VERSION, prepare, script
from trioqueue.store.postgres.tables import STEPS

PASSWORD: Final = "a-word"


@asynccontextmanager
async def _opened(conninfo: str) -> AsyncIterator[TrioConnection]:
    async with TrioConnection.opened(conninfo) as connection:
        yield connection


async def _prepare(conninfo: str, schema: str, *, migrate: bool = True) -> None:
    async with _opened(conninfo) as connection:
        await prepare(connection, schema, migrate=migrate)
        # It leaves nothing behind: no transaction, no path.
        status = connection.info.transaction_status
        assert status is psycopg.pq.TransactionStatus.IDLE
        cursor = await connection.execute("SHOW search_path")
        assert await cursor.fetchone() == ('"$user", public',)


@pytest.fixture
def schema(postgres: Server) -> Iterator[str]:
    with postgres.schema("Migration$") as name:
        yield name


@contextmanager
def _role(server: Server) -> Iterator[str]:
    """Make a role that may connect and nothing else."""
    name = server.new_name("role")
    with server.connect() as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'".encode())
        try:
            yield name
        finally:
            admin.execute(f"DROP OWNED BY {name} CASCADE".encode())
            admin.execute(f"DROP ROLE {name}".encode())


def _conninfo(server: Server, role: str) -> str:
    return server.conninfo(user=role, password=PASSWORD)


def _shape(server: Server, schema: str) -> list[tuple[str, ...]]:
    """Return everything that was made, and how."""
    with server.connect() as connection:
        columns = connection.execute(
            "SELECT table_name, column_name, data_type, collation_name, is_nullable, "
            "column_default, is_identity, ordinal_position FROM "
            "information_schema.columns WHERE table_schema = %s",
            [schema],
        ).fetchall()
        indexes = connection.execute(
            "SELECT indexname, replace(indexdef, %s, '') FROM pg_indexes "
            "WHERE schemaname = %s",
            [schema, schema],
        ).fetchall()
        relations = connection.execute(
            "SELECT relname, relkind, relpersistence, reloptions FROM pg_class "
            "WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s)",
            [schema],
        ).fetchall()
    rows = [*columns, *indexes, *relations]
    return sorted(tuple(map(str, row)) for row in rows)


def _version(server: Server, schema: str) -> str:
    with server.connect() as connection:
        sql = f'SELECT value FROM "{schema}".tq_meta WHERE key = %s'
        row = connection.execute(sql.encode(), ["schema_version"]).fetchone()
    assert row is not None
    return str(row[0])


async def test_a_fresh_schema_is_set_up_and_the_next_start_finds_it(
    postgres: Server, schema: str
) -> None:
    await _prepare(postgres.conninfo(), schema)
    made = _shape(postgres, schema)
    assert _version(postgres, schema) == str(SCHEMA_VERSION)
    await _prepare(postgres.conninfo(), schema)
    await _prepare(postgres.conninfo(), schema, migrate=False)
    assert _shape(postgres, schema) == made


async def test_many_processes_may_start_at_once(postgres: Server, schema: str) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(_prepare, postgres.conninfo(), schema)
    assert _version(postgres, schema) == str(SCHEMA_VERSION)


async def test_they_may_also_when_transactions_are_repeatable_reads(
    postgres: Server, schema: str
) -> None:
    option = "-c default_transaction_isolation=repeatable\\ read"
    conninfo = postgres.conninfo(options=option)
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(_prepare, conninfo, schema)
    assert _version(postgres, schema) == str(SCHEMA_VERSION)


async def test_the_script_makes_what_a_start_makes(
    postgres: Server, schema: str
) -> None:
    await _prepare(postgres.conninfo(), schema)
    with postgres.schema("Script$") as other, _role(postgres) as role:
        with postgres.connect() as admin:
            database = admin.info.dbname
            admin.execute(f'GRANT CREATE ON DATABASE "{database}" TO {role}'.encode())
        with psycopg.connect(_conninfo(postgres, role), autocommit=True) as connection:
            connection.execute(script(other).encode())
        assert _shape(postgres, other) == [
            tuple(text.replace(schema, other) for text in row)
            for row in _shape(postgres, schema)
        ]
        await _prepare(postgres.conninfo(), other, migrate=False)


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
async def test_an_older_schema_is_brought_up_to_date(
    postgres: Server, schema: str, version: int
) -> None:
    with postgres.schema() as other, postgres.connect() as connection:
        connection.execute(script(other).encode())
        whole = _shape(postgres, other)
        for name in (schema, other):
            postgres.drop_schema(name)
            connection.execute(f'CREATE SCHEMA "{name}"'.encode())
            connection.execute(f'SET search_path TO "{name}"'.encode())
            for _, step in STEPS[:version]:
                connection.execute(step.encode())
            connection.execute(
                "INSERT INTO tq_meta VALUES ('schema_version', %s)", [str(version)]
            )
        with pytest.raises(SchemaVersionError, match=f"is at version {version}, this"):
            await _prepare(postgres.conninfo(), schema, migrate=False)
        await _prepare(postgres.conninfo(), schema)
        connection.execute(script(other, version).encode())
        assert _shape(postgres, other) == whole
        assert len(_shape(postgres, schema)) == len(whole)
        assert _version(postgres, schema) == str(SCHEMA_VERSION)


def _make_older(server: Server, schema: str, newest: str, version: int) -> None:
    """Give an older schema what a newer one holds, as far as it has room for it."""
    with server.connect() as connection:
        connection.execute(f'CREATE SCHEMA "{schema}"'.encode())
        connection.execute(f'SET search_path TO "{schema}"'.encode())
        for _, step in STEPS[:version]:
            connection.execute(step.encode())
        connection.execute(
            "INSERT INTO tq_meta VALUES ('schema_version', %s)", [str(version)]
        )
        connection.execute(
            f"SELECT setval('tq_tickets', nextval('\"{newest}\".tq_tickets'))".encode()
        )
        tables = connection.execute(
            "SELECT table_name::text, string_agg(quote_ident(column_name), ', ') "
            "FROM information_schema.columns WHERE table_schema = %s "
            "AND table_name LIKE 'tq!_%%' ESCAPE '!' AND table_name <> 'tq_meta' "
            "GROUP BY 1",
            [schema],
        ).fetchall()
        assert len(tables) >= 4
        for table, columns in tables:
            if table != "tq_tickets":
                connection.execute(
                    f"INSERT INTO {table} ({columns}) "
                    f'SELECT {columns} FROM "{newest}".{table}'.encode()
                )


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
async def test_messages_in_flight_go_on_after_a_migration(
    postgres: Server, schema: str, version: int
) -> None:
    with postgres.schema() as newest:
        async with open_store(postgres.store_url(newest)) as store:
            await store.create_queue("jobs")
            await store.post("jobs", "held", message_id="held")
            (job,) = await store.claim("jobs")
            await store.post("jobs", "kept", message_id="kept")
        _make_older(postgres, schema, newest, version)
    async with open_store(postgres.store_url(schema)) as store:
        await store.heartbeat(job)
        await store.complete(job)
        (again,) = await store.claim("jobs")
        assert (again.message_id, again.payload) == ("kept", "kept")
        paused = await store.pause_queue("jobs", by="ada")
        assert (await store.list_queues(), paused.paused_by) == ([paused], "ada")
        assert await store.list_workers() == []


async def test_a_newer_schema_is_refused(postgres: Server, schema: str) -> None:
    await _prepare(postgres.conninfo(), schema)
    with postgres.connect() as connection:
        connection.execute(f"UPDATE \"{schema}\".tq_meta SET value = '99'".encode())
    for migrate in (True, False):
        with pytest.raises(SchemaVersionError, match="has version 99") as caught:
            await _prepare(postgres.conninfo(), schema, migrate=migrate)
        assert (caught.value.found, caught.value.known) == (99, SCHEMA_VERSION)
    assert _version(postgres, schema) == "99"


async def test_without_migrate_nothing_is_made(postgres: Server, schema: str) -> None:
    with pytest.raises(SchemaVersionError, match="has no schema") as caught:
        await _prepare(postgres.conninfo(), schema, migrate=False)
    assert caught.value.found == 0
    with postgres.connect() as connection:
        connection.execute(f'CREATE SCHEMA "{schema}"'.encode())
    with pytest.raises(SchemaVersionError, match="has no tables of trioqueue"):
        await _prepare(postgres.conninfo(), schema, migrate=False)
    assert _shape(postgres, schema) == []


async def test_who_may_not_create_a_schema_is_told_so(
    postgres: Server, schema: str
) -> None:
    with _role(postgres) as role, pytest.raises(StoreUnavailableError) as caught:
        await _prepare(_conninfo(postgres, role), schema)
    line = str(caught.value)
    assert line.startswith(f"role '{role}' may not set up schema '{schema}' (")
    assert "\n" not in line
    assert "trioqueue migrate --sql" in line
    assert PASSWORD not in line


async def test_who_may_not_create_tables_is_told_so(
    postgres: Server, schema: str
) -> None:
    with _role(postgres) as role, postgres.connect() as admin:
        admin.execute(f'CREATE SCHEMA "{schema}"'.encode())
        admin.execute(f'GRANT USAGE ON SCHEMA "{schema}" TO {role}'.encode())
        with pytest.raises(StoreUnavailableError, match="may not set up schema"):
            await _prepare(_conninfo(postgres, role), schema)
    assert _shape(postgres, schema) == []


async def test_a_role_needs_only_what_the_script_grants(
    postgres: Server, schema: str
) -> None:
    await _prepare(postgres.conninfo(), schema)
    with _role(postgres) as role, postgres.connect() as admin:
        conninfo = _conninfo(postgres, role)
        with pytest.raises(StoreUnavailableError, match="may not read the tables"):
            await _prepare(conninfo, schema)
        grants = [
            line.removeprefix("-- ").replace(" TO app", f" TO {role}")
            for line in script(schema).splitlines()
            if line.startswith("-- GRANT")
        ]
        assert len(grants) == 3
        for grant in grants:
            admin.execute(grant.encode())
        await _prepare(conninfo, schema)
        await _prepare(conninfo, schema, migrate=False)
        for table, right in (("tq_tickets", "USAGE"), ("tq_messages", "DELETE")):
            kind = "SEQUENCE" if table == "tq_tickets" else "TABLE"
            what = f'{right} ON {kind} "{schema}".{table}'
            admin.execute(f"REVOKE {what} FROM {role}".encode())
            with pytest.raises(
                StoreUnavailableError, match=f"lacks rights on .*{table}"
            ):
                await _prepare(conninfo, schema)
            admin.execute(f"GRANT {what} TO {role}".encode())


async def test_a_read_only_database_is_told_from_one_that_lacks_rights(
    postgres: Server, schema: str
) -> None:
    conninfo = postgres.conninfo(options="-c default_transaction_read_only=on")
    with pytest.raises(StoreUnavailableError, match="is read-only"):
        await _prepare(conninfo, schema)
    await _prepare(postgres.conninfo(), schema)
    with pytest.raises(StoreUnavailableError, match="is read-only"):
        await _prepare(conninfo, schema)


@pytest.mark.parametrize("name", ['a"b', "a'b", "", "a b", "9"])
async def test_a_schema_with_an_odd_name_is_refused(
    postgres: Server, name: str
) -> None:
    with pytest.raises(ValueError, match="no name for a schema"):
        await _prepare(postgres.conninfo(), name)
    with pytest.raises(ValueError, match="no name for a schema"):
        script(name)


@pytest.mark.parametrize("version", [-1, SCHEMA_VERSION + 1])
def test_a_script_from_an_unknown_version_is_refused(version: int) -> None:
    with pytest.raises(ValueError, match="versions are 0 to"):
        script("trioqueue", version)


async def test_another_encoding_is_refused(postgres: Server) -> None:
    database = postgres.new_name("latin")
    with postgres.connect() as admin:
        admin.execute(
            f"CREATE DATABASE {database} TEMPLATE template0 ENCODING 'LATIN1' "
            "LOCALE 'C'".encode()
        )
        try:
            with pytest.raises(StoreUnavailableError, match="has the encoding LATIN1"):
                await _prepare(postgres.conninfo(dbname=database), "trioqueue")
        finally:
            admin.execute(f"DROP DATABASE {database} WITH (FORCE)".encode())


async def test_a_server_that_is_too_old_is_refused(
    postgres: Server, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trioqueue.store.postgres.migrations.OLDEST_SERVER", 99_00_00)
    with pytest.raises(
        StoreUnavailableError, match="is too old; trioqueue needs 99 or"
    ):
        await _prepare(postgres.conninfo(), schema)
    assert _shape(postgres, schema) == []
