"""Looking at a PostgreSQL database; nothing in it is changed."""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import psycopg
import trio
from psycopg import sql

from trioqueue.doctor.common_rules import Contents
from trioqueue.doctor.postgres_rules import LISTEN_SECONDS, Pin, PostgresFacts
from trioqueue.doctor.postgres_settings import NAMES
from trioqueue.doctor.postgres_version import CONNECT_SECONDS, describe
from trioqueue.store.postgres import migrations
from trioqueue.store.postgres.driver import TrioConnection
from trioqueue.store.postgres.server_clock import QUESTION, DatabaseClock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import LiteralString

STATEMENT_SECONDS: Final = 20.0
"""How long one look may take."""
_TABLE_RIGHTS: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")
_SEQUENCE_RIGHTS: Final = ("USAGE",)


async def look(conninfo: str, schema: str, place: str) -> PostgresFacts:
    """See what there is.

    Args:
        conninfo: libpq's connection string.
        schema: Where the tables are, or will be.
        place: How to call the server, without passwords.
    """
    seen = _Seen(schema)
    facts: dict[str, Any] = {
        "place": place,
        "schema": schema,
        "oldest_server": migrations.OLDEST_SERVER,
        "known_version": migrations.SCHEMA_VERSION,
    }
    await trio.lowlevel.checkpoint()
    try:
        with trio.fail_after(CONNECT_SECONDS):
            connection = await TrioConnection.open(conninfo)
    except (psycopg.Error, OSError) as error:
        return PostgresFacts(**facts, error=describe(error, conninfo))
    except trio.TooSlowError:
        error_text = f"no answer within {CONNECT_SECONDS:g} s"
        return PostgresFacts(**facts, error=error_text)
    try:
        await seen.all(connection)
    finally:
        with trio.move_on_after(LISTEN_SECONDS, shield=True):
            await connection.close()
        connection.kill()
    return PostgresFacts(**facts, **seen.facts, unseen=seen.unseen)


class _Seen:
    """What has been seen so far."""

    def __init__(self, schema: str) -> None:
        self.schema = schema
        self.facts: dict[str, Any] = {}
        self.unseen: dict[str, str] = {}
        self._connection: TrioConnection

    async def all(self, connection: TrioConnection) -> None:
        """Look at everything; what cannot be seen does not keep from the rest."""
        self._connection = connection
        await trio.lowlevel.checkpoint()
        for what, look_at in (
            ("server", self._server),
            ("rights", self._rights),
            ("clock", self._clock),
            ("LISTEN", self._listen),
            ("transactions", self._pins),
            ("dead rows", self._dead_rows),
            ("settings", self._settings),
            ("contents", self._contents),
        ):
            with self._noting(what), trio.fail_after(STATEMENT_SECONDS):
                await look_at()

    @contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            self.unseen[what] = describe(error, "")
        except trio.TooSlowError:
            self.unseen[what] = f"no answer within {STATEMENT_SECONDS:g} s"

    async def _rows(
        self, query: LiteralString, parameters: Sequence[Any] = ()
    ) -> list[tuple[Any, ...]]:
        qualified = sql.SQL(query).format(schema=sql.Identifier(self.schema))
        # Once a statement is prepared, PgBouncer may lose it.
        cursor = await self._connection.execute(qualified, parameters, prepare=False)
        return await cursor.fetchall()

    async def _server(self) -> None:
        self.facts["server"] = self._connection.info.server_version
        ((encoding, standby),) = await self._rows(
            "SELECT current_setting('server_encoding'), pg_is_in_recovery()"
        )
        self.facts |= {"encoding": encoding, "standby": standby}

    async def _rights(self) -> None:
        rows = await self._rows(
            "SELECT n.oid, has_schema_privilege(n.oid, 'USAGE'),"
            " has_schema_privilege(n.oid, 'CREATE') FROM pg_namespace AS n"
            " WHERE n.nspname = %s",
            [self.schema],
        )
        if not rows:
            ((may_create,),) = await self._rows(
                "SELECT has_database_privilege(current_database(), 'CREATE')"
            )
            self.facts |= {
                "schema_exists": False,
                "may_create": may_create,
                "version": 0,
            }
            return
        ((oid, usage, create),) = rows
        missing = [] if usage else [f"USAGE on schema {self.schema}"]
        self.facts["may_create"] = create
        if usage:
            missing += await self._missing(oid)
        self.facts["missing"] = tuple(missing)
        if usage:
            self.facts["may_copy"] = await self._may_copy(oid)
        if usage and not any("SELECT" in m and "tq_meta" in m for m in missing):
            await self._version()

    async def _missing(self, oid: int) -> list[str]:
        rows = await self._rows(
            "SELECT relname, relkind = 'S', CASE WHEN relkind = 'S'"
            " THEN ARRAY(SELECT r FROM unnest(%s::text[]) AS r"
            "  WHERE NOT has_sequence_privilege(c.oid, r))"
            " ELSE ARRAY(SELECT r FROM unnest(%s::text[]) AS r"
            "  WHERE NOT has_table_privilege(c.oid, r)) END"
            " FROM pg_class AS c WHERE relnamespace = %s AND relkind IN ('r', 'p', 'S')"
            " AND relname LIKE 'tq\\_%%' AND (relkind <> 'S' OR relname = 'tq_tickets')"
            " ORDER BY relname",
            [list(_SEQUENCE_RIGHTS), list(_TABLE_RIGHTS), oid],
        )
        return [f"{', '.join(rights)} on {name}" for name, _, rights in rows if rights]

    async def _may_copy(self, oid: int) -> bool:
        """Say whether the numbers of jobs can be set to go on after those brought."""
        rows = await self._rows(
            "SELECT has_sequence_privilege(oid, 'UPDATE') FROM pg_class"
            " WHERE relnamespace = %s AND relname = 'tq_tickets' AND relkind = 'S'",
            [oid],
        )
        return all(may for (may,) in rows)

    async def _version(self) -> None:
        self.facts["version"] = 0
        if await self._has("tq_meta"):
            rows = await self._rows(
                "SELECT value FROM {schema}.tq_meta WHERE key = 'schema_version'"
            )
            self.facts["version"] = int(rows[0][0]) if rows else 0

    async def _has(self, table: str) -> bool:
        rows = await self._rows(
            "SELECT 1 FROM pg_class AS c JOIN pg_namespace AS n"
            " ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s",
            [self.schema, table],
        )
        return bool(rows)

    async def _clock(self) -> None:
        async def sample() -> int:
            ((instant,),) = await self._rows(QUESTION)
            return int(instant)

        clock = DatabaseClock()
        await clock.measure(sample)
        self.facts |= {
            "skew_seconds": clock.skew_seconds,
            "skew_error_seconds": clock.error_seconds,
        }

    async def _listen(self) -> None:
        channel = f"trioqueue_doctor_{secrets.token_hex(8)}"
        await self._connection.listen(channel)
        began = time.perf_counter()
        await self._rows("SELECT pg_notify(%s, '')", [channel])
        with trio.move_on_after(LISTEN_SECONDS):
            while True:
                notifies = await self._connection.next_notifies()
                if any(each.channel == channel for each in notifies):
                    self.facts["listen_seconds"] = time.perf_counter() - began
                    break
        await self._connection.execute("UNLISTEN *")

    async def _pins(self) -> None:
        backends = await self._rows(
            "SELECT pid, coalesce(usename::text, '?'), coalesce(state, backend_type),"
            " extract(epoch FROM clock_timestamp() - xact_start)::float8"
            " FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)"
            " AND (datname = current_database() OR backend_type = 'walsender')"
            " AND coalesce(backend_type, '') <> 'autovacuum worker'"
            " ORDER BY xact_start NULLS LAST"
        )
        pins = [
            Pin(
                f"a transaction of process {pid} (role {role}, {state})",
                seconds,
                f"let it end, or: SELECT pg_terminate_backend({pid})",
            )
            for pid, role, state, seconds in backends
            if seconds is not None
        ]
        prepared = await self._rows(
            "SELECT gid, extract(epoch FROM clock_timestamp() - prepared)::float8"
            " FROM pg_prepared_xacts WHERE database = current_database()"
        )
        pins += [
            Pin(
                f"prepared transaction {gid!r}",
                seconds,
                "COMMIT PREPARED or ROLLBACK PREPARED it",
            )
            for gid, seconds in prepared
        ]
        slots = await self._rows(
            "SELECT slot_name::text FROM pg_replication_slots"
            " WHERE xmin IS NOT NULL AND NOT active"
        )
        pins += [
            Pin(
                f"replication slot {name!r}, which nobody reads,",
                None,
                "let its standby come back, or drop it: pg_drop_replication_slot",
            )
            for (name,) in slots
        ]
        pins.sort(key=lambda pin: -(pin.seconds or 0))
        self.facts["pins"] = tuple(pins)

    async def _dead_rows(self) -> None:
        rows = await self._rows(
            "SELECT n_live_tup, n_dead_tup, extract(epoch FROM clock_timestamp() -"
            " greatest(last_autovacuum, last_vacuum))::float8"
            " FROM pg_stat_user_tables WHERE schemaname = %s AND relname = %s",
            [self.schema, "tq_messages"],
        )
        if rows:
            keys = ("live_rows", "dead_rows", "vacuum_seconds")
            self.facts |= dict(zip(keys, rows[0], strict=True))

    async def _settings(self) -> None:
        rows = await self._rows(
            "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(NAMES)]
        )
        self.facts["settings"] = dict(rows)
        ((count,),) = await self._rows(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend'"
        )
        self.facts["connections"] = count

    async def _contents(self) -> None:
        if self.facts.get("version") != migrations.SCHEMA_VERSION:
            await trio.lowlevel.checkpoint()
            return
        ((now, due, expiry, scheduled, copying),) = await self._rows(
            "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,"
            " (SELECT min(due_at) FROM {schema}.tq_messages WHERE state = 0),"
            " (SELECT min(deadline) FROM {schema}.tq_messages WHERE state = 2),"
            " (SELECT min(next_at) FROM {schema}.tq_schedules WHERE state = 0),"
            " EXISTS (SELECT 1 FROM {schema}.tq_meta WHERE key = 'copy')"
        )
        self.facts["contents"] = Contents(now, due, expiry, scheduled, copying)
