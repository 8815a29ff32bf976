"""Bringing a schema up to date, and the same as a script for somebody with the rights.

The version is kept in ``tq_meta``, as on SQLite.  A transaction-level advisory lock
makes it safe that many processes start at once: one migrates, the others find it done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import trio
from psycopg import errors

from trioqueue.errors import SchemaVersionError, StoreUnavailableError
from trioqueue.store.postgres.compiling import quote_schema
from trioqueue.store.postgres.tables import STEPS

if TYPE_CHECKING:
    from psycopg import AsyncConnection

OLDEST_SERVER: Final = 140000
SCHEMA_VERSION: Final = len(STEPS)

_LOOK: Final = """
    SELECT
        n.oid IS NOT NULL,
        m.oid IS NOT NULL,
        coalesce(has_schema_privilege(n.oid, 'USAGE'), false),
        coalesce(has_schema_privilege(n.oid, 'CREATE'), false),
        coalesce(has_table_privilege(m.oid, 'SELECT'), false),
        has_database_privilege(current_database(), 'CREATE'),
        current_setting('transaction_read_only') = 'on',
        current_database()::text,
        current_user::text
    FROM (VALUES (1)) AS one
    LEFT JOIN pg_catalog.pg_namespace AS n ON n.nspname = %s
    LEFT JOIN pg_catalog.pg_class AS m
        ON m.relnamespace = n.oid AND m.relname = 'tq_meta'
"""
_CLOSED: Final = """
    SELECT c.relname::text FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname LIKE 'tq\\_%%' AND CASE c.relkind
        WHEN 'r' THEN NOT (
            has_table_privilege(c.oid, 'SELECT')
            AND has_table_privilege(c.oid, 'INSERT')
            AND has_table_privilege(c.oid, 'UPDATE')
            AND has_table_privilege(c.oid, 'DELETE')
        )
        WHEN 'S' THEN c.relname = 'tq_tickets'
            AND NOT has_sequence_privilege(c.oid, 'USAGE')
        ELSE false
    END
    ORDER BY c.relname LIMIT 1
"""
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('{key}', 0))"
_SET_VERSION: Final = """
INSERT INTO tq_meta (key, value) VALUES ('schema_version', '{version}')
ON CONFLICT (key) DO UPDATE SET value = excluded.value;
"""


class _Look(NamedTuple):
    """What is there, and what this role may do with it."""

    schema_exists: bool
    meta_exists: bool
    may_use: bool
    may_create_tables: bool
    may_read: bool
    may_create_schema: bool
    read_only: bool
    database: str
    role: str


def _lock(schema: str) -> str:
    # What can be quoted as a name has no quote of either kind in it.
    return _LOCK.format(key=f"trioqueue migration {quote_schema(schema)}")


def _create_schema(schema: str) -> str:
    return f"CREATE SCHEMA IF NOT EXISTS {quote_schema(schema)}"


def _search(schema: str) -> str:
    return f"SET LOCAL search_path TO {quote_schema(schema)}"


def _steps(from_version: int) -> str:
    scripts = [
        f"\n-- {name}\n{script.strip()}\n" for name, script in STEPS[from_version:]
    ]
    return "".join(scripts) + _SET_VERSION.format(version=SCHEMA_VERSION)


def script(schema: str, from_version: int = 0) -> str:
    """Write what brings a schema from a version to this one, as SQL for psql.

    Whoever runs it owns the tables; the last lines say which rights the role needs
    that trioqueue connects as.

    Raises:
        ValueError: The schema's name is none, or the version is not known.
    """
    if not 0 <= from_version <= SCHEMA_VERSION:
        message = f"versions are 0 to {SCHEMA_VERSION}, not {from_version}"
        raise ValueError(message)
    quoted = quote_schema(schema)
    return (
        f"-- trioqueue: schema {quoted}, version {from_version} to {SCHEMA_VERSION}\n"
        f"BEGIN;\n{_lock(schema)};\n{_create_schema(schema)};\n{_search(schema)};\n"
        f"{_steps(from_version)}COMMIT;\n\n"
        "-- What the role that trioqueue connects as needs (replace app):\n"
        f"-- GRANT USAGE ON SCHEMA {quoted} TO app;\n"
        "-- GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "
        f"{quoted} TO app;\n"
        f"-- GRANT USAGE, UPDATE ON ALL SEQUENCES IN SCHEMA {quoted} TO app;\n"
    )


async def prepare(
    connection: AsyncConnection[Any], schema: str, *, migrate: bool
) -> None:
    """Check the server and the schema, and bring the tables up to date.

    Several processes may do so at once.  Canceled, it leaves the schema as it was; the
    connection may have a transaction open then.

    Args:
        connection: In autocommit mode, with no transaction open.
        schema: Where the tables are, or are to be.
        migrate: Whether to create or change tables; else they must be up to date.

    Raises:
        ValidationError: The schema's name is none.
        SchemaVersionError: The schema is newer than this code, or older or missing and
            `migrate` is false.
        StoreUnavailableError: The server is too old, its encoding is not UTF-8, it is
            read-only, or the role lacks rights.
        psycopg.Error: Anything else that the server says.
    """
    quote_schema(schema)
    _check_server(connection)
    look = await _look(connection, schema)
    version = await _version(connection, schema, look)
    if version < SCHEMA_VERSION and not migrate:
        raise _not_migrated(schema, look, version)
    if look.read_only:
        message = (
            f"database {look.database!r} is read-only (a standby, or "
            "default_transaction_read_only); connect to the primary server"
        )
        raise StoreUnavailableError(message)
    if version < SCHEMA_VERSION:
        try:
            async with connection.transaction():
                await _migrate(connection, schema)
        except errors.InsufficientPrivilege as error:
            raise _may_not_migrate(schema, look.role, str(error)) from error
    cursor = await connection.execute(_CLOSED, (schema,))
    closed = await cursor.fetchone()
    if closed is not None:
        message = (
            f"role {look.role!r} lacks rights on {schema}.{closed[0]}; the owner "
            "grants them with the last lines that `trioqueue migrate --sql` prints"
        )
        raise StoreUnavailableError(message)


def _check_server(connection: AsyncConnection[Any]) -> None:
    info = connection.info
    if info.server_version < OLDEST_SERVER:
        message = (
            f"PostgreSQL {info.server_version // 10000} is too old; "
            f"trioqueue needs {OLDEST_SERVER // 10000} or newer"
        )
        raise StoreUnavailableError(message)
    encoding = info.parameter_status("server_encoding")
    if encoding not in (None, "UTF8"):
        message = (
            f"database {info.dbname!r} has the encoding {encoding}; trioqueue needs "
            "one with UTF8: create another with ENCODING 'UTF8' TEMPLATE template0"
        )
        raise StoreUnavailableError(message)


async def _look(connection: AsyncConnection[Any], schema: str) -> _Look:
    cursor = await connection.execute(_LOOK, (schema,))
    row = await cursor.fetchone()
    assert row is not None  # it is one row, whatever there is  # noqa: S101
    return _Look._make(row)


async def _version(connection: AsyncConnection[Any], schema: str, look: _Look) -> int:
    """Return the schema's version: 0 where trioqueue has no tables.

    Raises:
        SchemaVersionError: It is newer than this code.
        StoreUnavailableError: This role may not read it.
    """
    if not look.meta_exists:
        await trio.lowlevel.checkpoint()
        return 0
    if not (look.may_use and look.may_read):
        message = (
            f"role {look.role!r} may not read the tables in schema {schema!r}; the "
            "owner grants it with the last lines that `trioqueue migrate --sql` prints"
        )
        raise StoreUnavailableError(message)
    sql = f"SELECT value FROM {quote_schema(schema)}.tq_meta WHERE key = %s"
    cursor = await connection.execute(sql.encode(), ("schema_version",))
    row = await cursor.fetchone()
    found = 0 if row is None else int(row[0])
    if found > SCHEMA_VERSION:
        message = (
            f"schema {schema!r} of database {look.database!r} has version {found}, "
            f"this trioqueue knows versions up to {SCHEMA_VERSION}; upgrade "
            "trioqueue, or use another schema"
        )
        raise SchemaVersionError(message, found=found, known=SCHEMA_VERSION)
    return found


def _not_migrated(schema: str, look: _Look, version: int) -> SchemaVersionError:
    where = f"schema {schema!r} of database {look.database!r}"
    if not look.schema_exists:
        what = f"database {look.database!r} has no schema {schema!r}"
    elif not look.meta_exists:
        what = f"{where} has no tables of trioqueue"
    else:
        what = f"{where} is at version {version}, this trioqueue needs {SCHEMA_VERSION}"
    message = f"{what}; run `trioqueue migrate`, or open the store with migrate=True"
    return SchemaVersionError(message, found=version, known=SCHEMA_VERSION)


def _may_not_migrate(schema: str, role: str, reason: str) -> StoreUnavailableError:
    first = reason.splitlines()[0] if reason else "insufficient privilege"
    message = (
        f"role {role!r} may not set up schema {schema!r} ({first}); let somebody who "
        "may run what `trioqueue migrate --sql` prints"
    )
    return StoreUnavailableError(message)


async def _migrate(connection: AsyncConnection[Any], schema: str) -> None:
    """Apply what is missing, inside the transaction that the caller has begun."""
    # With a snapshot of its own each look sees what was committed during the wait.
    await connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
    await connection.execute(_lock(schema).encode())
    # Looked at again: another process may have done it while this one waited.
    look = await _look(connection, schema)
    version = await _version(connection, schema, look)
    if version == SCHEMA_VERSION:
        return
    if not look.schema_exists:
        await connection.execute(_create_schema(schema).encode())
    await connection.execute(_search(schema).encode())
    await connection.execute(_steps(version).encode())
