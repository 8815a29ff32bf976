"""Tables full of rows, and the plans that statements get on them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, final

import attrs
import psycopg

from tests.postgres_server import Server
from trioqueue.store.postgres.compiling import compile_statement
from trioqueue.store.postgres.migrations import script
from trioqueue.store.postgres.statements import SESSION_SETTINGS

BAND: Final = 1 << 58
NOW: Final = 1_000_000_000
SMALL, LARGE, MILLION = 2_000, 60_000, 1_000_000

_QUEUES: Final = """
    INSERT INTO tq_queues (name, options, dead_letter_name, created_at, updated_at)
    SELECT 'queue' || n, '{}', 'dead', 0, 0 FROM generate_series(1, 10) AS n
"""
# Nine in ten messages are in queue 1; of ten, two are INVISIBLE and one is RUNNING.
_MESSAGES: Final = f"""
    INSERT INTO tq_messages (
        id, queue_id, message_id, state, priority, claim_key, ready_seq, due_at,
        deadline, created_at, max_attempts, content_type, payload
    )
    SELECT n, CASE WHEN n % 10 = 0 THEN 1 + n / 10 % 10 ELSE 1 END, 'message' || n,
        kind, priority, (4 - priority) * {BAND} + n, n, CASE kind WHEN 0 THEN n END,
        CASE kind WHEN 2 THEN n END, 0, 5, 'application/json', '{{}}'
    FROM (
        SELECT n, CASE WHEN n % 10 < 2 THEN 0 WHEN n % 10 = 2 THEN 2 ELSE 1 END AS kind,
            n / 10 % 5 AS priority
        FROM generate_series(:first, :last) AS n
    ) AS drawn
"""
_HISTORY: Final = """
    INSERT INTO tq_history (
        id, queue_id, message_id, state, priority, created_at, max_attempts, attempts,
        content_type, reason, finished_at, expires_at, dead_letter_name, payload
    )
    SELECT n, CASE WHEN n % 10 = 0 THEN 1 + n / 10 % 10 ELSE 1 END, 'done' || n,
        3 + n % 3, 2, 0, 5, 1, 'application/json', 'failed', n,
        CASE WHEN n % 2 = 0 THEN n END, CASE n % 3 WHEN 2 THEN 'dead' END, '{}'
    FROM generate_series(1, :rows) AS n
"""
_RECEIPTS: Final = """
    INSERT INTO tq_receipts (attempt_id, token, verb, digest, state, finished_at)
    SELECT n, n, 'complete', 0, 3, n FROM generate_series(1, :rows) AS n
"""
_ATTEMPTS: Final = """
    INSERT INTO tq_attempts (
        message_row, attempt_id, number, started_at, ended_at, outcome
    ) SELECT n, n, 1, 0, 1, 'failed' FROM generate_series(1, :rows) AS n
"""

SAMPLES: Final[Mapping[str, str]] = {
    **{f"low_{band}": str(band * BAND) for band in range(5)},
    "queue_id": "1",
    "limit": "100",
    "ids": f"'{{{','.join(map(str, range(2, 2002, 10)))}}}'",
    "now": str(NOW),
    "queue": "NULL",
    "before": str(NOW),
    "names": "'{queue1,queue2}'",
    "message_ids": "'{message1,message2}'",
    "attempt_ids": "'{1,2,3}'",
    "scope": "1",
    "reason": "NULL",
    "before_at": "NULL",
    "before_id": "NULL",
    "newest_id": str(NOW),
    "message_id": "'message1'",
    "low_key": "0",
    "high_key": str(5 * BAND),
    "first": "NULL",
    "second": "NULL",
    "state": "3",
    "low": "0",
    "high": "4",
    "name": "'dead'",
    "id": "1",
    "kind": "'cron'",
    "calendar_id": "'days'",
    "schedule_row": "1",
    "schedule_rows": "'{1,2,3}'",
    "schedule_ids": "'{one,two}'",
    "key": str(3 * BAND),
    "sequence": "1000",
    "registration": "1",
    "running": "1",
    "stopping": "0",
}
_MANY: Final = 200


@final
@attrs.frozen
class Scene:
    """A schema with our tables, on a connection with our sessions' settings."""

    connection: psycopg.Connection
    schema: str

    def fill(self, rows: int) -> None:
        """Add so many rows to each large table; statistics stay as they are."""
        self.fill_messages(1, rows)
        for insert in (_HISTORY, _RECEIPTS, _ATTEMPTS):
            self.connection.execute(insert.replace(":rows", str(rows)).encode())

    def fill_messages(self, first: int, last: int) -> None:
        """Add the messages with these numbers."""
        insert = _MESSAGES.replace(":first", str(first)).replace(":last", str(last))
        self.connection.execute(insert.encode())

    def analyze(self) -> None:
        """Gather statistics, as autovacuum does."""
        for table in ("queues", "messages", "history", "receipts", "attempts"):
            self.connection.execute(f"VACUUM ANALYZE tq_{table}".encode())

    def forget_plans(self) -> None:
        """Drop every prepared statement, as a new session begins without."""
        self.connection.execute("DEALLOCATE ALL")

    def explain(
        self,
        name: str,
        *,
        generic: bool = True,
        analyze: bool = False,
        samples: Mapping[str, str] | None = None,
    ) -> Plan:
        """Return the plan of a statement; a generic one is made once and kept."""
        compiled = compile_statement(name, self.schema)
        given = {**SAMPLES, **(samples or {})}
        if compiled.many:
            array = ",".join(map(str, range(2, 2 + 10 * _MANY, 10)))
            values = [f"'{{{array}}}'"] * compiled.columns
        else:
            values = [given[each] for each in compiled.names]
        kind = "generic" if generic else "custom"
        plan = f"{kind}_{name}"
        known = self.connection.execute(
            "SELECT 1 FROM pg_prepared_statements WHERE name = %s", [plan]
        ).fetchone()
        if known is None:
            self.connection.execute(
                f"PREPARE {plan} AS ".encode() + compiled.sql, prepare=False
            )
        self.connection.execute(f"SET plan_cache_mode = force_{kind}_plan".encode())
        call = f"EXECUTE {plan}" + (f"({', '.join(values)})" if values else "")
        options = "FORMAT JSON, ANALYZE" if analyze else "FORMAT JSON"
        row = self.connection.execute(f"EXPLAIN ({options}) {call}".encode()).fetchone()
        assert row is not None
        return Plan(name, row[0][0]["Plan"])


@final
@attrs.frozen
class Plan:
    """A plan as EXPLAIN tells it."""

    name: str
    root: dict[str, Any]

    def nodes(self) -> Iterator[dict[str, Any]]:
        """List all nodes, the outer ones first."""
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(node.get("Plans", ()))

    def indexes(self) -> set[str]:
        """Return the indexes in use."""
        return {node["Index Name"] for node in self.nodes() if "Index Name" in node}

    def kinds(self) -> set[str]:
        """Return which kinds of nodes there are."""
        return {node["Node Type"] for node in self.nodes()}

    def squares(self) -> bool:
        """Tell whether parameter rows are read again for each row of a table."""
        return any(
            node["Node Type"] == "Nested Loop"
            and any(
                inner["Node Type"] in {"Function Scan", "Materialize"}
                for inner in node["Plans"][1:]
            )
            for node in self.nodes()
        )

    def whole_keys(self) -> list[str]:
        """List whole primary keys read, which is a sequential scan in disguise."""
        return [
            node["Index Name"]
            for node in self.nodes()
            if node.get("Index Name", "").endswith("_pkey") and "Index Cond" not in node
        ]

    def __str__(self) -> str:
        return f"{self.name}\n{json.dumps(self.root, indent=1)}"


@contextmanager
def open_scene(server: Server) -> Iterator[Scene]:
    """Make the tables in a schema of their own, empty but for ten queues."""
    with server.schema("sql") as schema, server.connect() as connection:
        connection.execute(script(schema).encode())
        connection.execute(f'SET search_path TO "{schema}"'.encode())
        for setting, value in SESSION_SETTINGS.items():
            connection.execute(f"SET {setting} = {value}".encode())
        connection.execute(_QUEUES)
        # Statistics are gathered when a test says so.
        for table in ("queues", "messages", "history", "receipts", "attempts"):
            connection.execute(
                f"ALTER TABLE tq_{table} SET (autovacuum_enabled = off)".encode()
            )
        yield Scene(connection, schema)
