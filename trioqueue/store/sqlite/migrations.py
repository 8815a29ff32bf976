"""The tables, and how they came to be.

Every change of the schema is a step below, applied in order and recorded in the
database by sqlite-utils; a step is never edited once released.  All names begin with
``tq_``, so that the queue can live in a database that has other tables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from trioqueue.errors import SchemaVersionError

if TYPE_CHECKING:
    import sqlite3

_TABLES: Final = (
    # Names and numbers of the whole database.
    "CREATE TABLE tq_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    "CREATE TABLE tq_counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT",
    "INSERT INTO tq_counters (name, value) VALUES ('ticket', 0)",
    """
    CREATE TABLE tq_queues (
        queue_id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        options TEXT NOT NULL,           -- JSON
        dead_letter_name TEXT NOT NULL,  -- under which its dead letters are kept
        created_at INTEGER NOT NULL,     -- every instant: microseconds since 1970, UTC
        updated_at INTEGER NOT NULL,
        paused_at INTEGER,               -- NULL: not paused
        pause_reason TEXT
    ) STRICT
    """,
    "CREATE INDEX tq_queues_dead_letters ON tq_queues (dead_letter_name)",
    # Messages that have not finished: INVISIBLE 0, PENDING 1, RUNNING 2.
    """
    CREATE TABLE tq_messages (
        id INTEGER PRIMARY KEY,          -- a ticket
        queue_id INTEGER NOT NULL,
        message_id TEXT NOT NULL,
        state INTEGER NOT NULL,
        priority INTEGER NOT NULL,
        claim_key INTEGER NOT NULL,      -- the order of claims ...
        ready_seq INTEGER NOT NULL,      -- ... and the ticket that breaks ties
        due_at INTEGER,                  -- INVISIBLE: until then
        deadline INTEGER,                -- RUNNING: the earlier of the two below
        created_at INTEGER NOT NULL,
        scheduled_at INTEGER,            -- the instant asked for, or worked out ...
        delay INTEGER,                   -- ... from this delay, in microseconds
        max_attempts INTEGER NOT NULL,   -- -1: no limit
        attempts INTEGER NOT NULL DEFAULT 0,
        worker_id TEXT,                  -- who holds it, or held it last
        lease TEXT,                      -- JSON: the message's own lease policy
        content_type TEXT NOT NULL,
        metadata TEXT,                   -- JSON
        attempt_id INTEGER,              -- RUNNING: the fencing ticket
        token INTEGER,                   -- RUNNING: random bits beside it
        started_at INTEGER,
        lease_expires_at INTEGER,
        heartbeat_expires_at INTEGER,    -- NULL: no such deadline
        renewals INTEGER NOT NULL DEFAULT 0,
        attempt_lease TEXT,              -- JSON; NULL: the queue's policy holds
        abort_requested_at INTEGER,
        abort_reason TEXT,
        payload BLOB NOT NULL
    ) STRICT
    """,
    "CREATE UNIQUE INDEX tq_messages_ids ON tq_messages (queue_id, message_id)",
    """
    CREATE INDEX tq_messages_ready ON tq_messages (queue_id, claim_key, ready_seq)
    WHERE state = 1
    """,
    "CREATE INDEX tq_messages_due ON tq_messages (due_at, queue_id) WHERE state = 0",
    """
    CREATE INDEX tq_messages_leased ON tq_messages (deadline, queue_id)
    WHERE state = 2
    """,
    # Messages that have finished and are kept: COMPLETED 3, CANCELED 4, ERRORED 5.
    """
    CREATE TABLE tq_history (
        id INTEGER PRIMARY KEY,          -- as it was in tq_messages
        queue_id INTEGER NOT NULL,
        message_id TEXT NOT NULL,
        state INTEGER NOT NULL,
        priority INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        scheduled_at INTEGER,
        delay INTEGER,
        max_attempts INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        worker_id TEXT,
        lease TEXT,
        content_type TEXT NOT NULL,
        metadata TEXT,
        result BLOB,                     -- JSON
        reason TEXT,
        finished_at INTEGER NOT NULL,
        expires_at INTEGER,              -- NULL: kept until somebody deletes it
        dead_letter_name TEXT,           -- ERRORED: under which it is kept
        payload BLOB NOT NULL
    ) STRICT
    """,
    "CREATE UNIQUE INDEX tq_history_ids ON tq_history (queue_id, message_id)",
    "CREATE INDEX tq_history_order ON tq_history (queue_id, state, finished_at, id)",
    """
    CREATE INDEX tq_history_dead ON tq_history (dead_letter_name, finished_at, id)
    WHERE state = 5
    """,
    """
    CREATE INDEX tq_history_release ON tq_history (expires_at)
    WHERE expires_at IS NOT NULL
    """,
    # Attempts that ended without finishing a message that was deleted at once.
    """
    CREATE TABLE tq_attempts (
        message_row INTEGER NOT NULL,    -- tq_messages.id or tq_history.id
        attempt_id INTEGER NOT NULL,
        number INTEGER NOT NULL,
        worker_id TEXT,
        started_at INTEGER NOT NULL,
        ended_at INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        error_type TEXT,
        error_message TEXT,
        traceback TEXT,
        PRIMARY KEY (message_row, attempt_id)
    ) STRICT, WITHOUT ROWID
    """,
    # How attempts ended, for a while: the same word again gets the same answer.
    """
    CREATE TABLE tq_receipts (
        attempt_id INTEGER PRIMARY KEY,
        token INTEGER NOT NULL,
        verb TEXT NOT NULL,
        digest INTEGER NOT NULL,
        state INTEGER NOT NULL,
        finished_at INTEGER NOT NULL
    ) STRICT
    """,
)

_SCHEDULES: Final = (
    """
    CREATE TABLE tq_schedules (
        schedule_row INTEGER PRIMARY KEY AUTOINCREMENT,
        schedule_id TEXT NOT NULL UNIQUE,
        queue TEXT NOT NULL,             -- its name: the queue may come and go
        kind TEXT NOT NULL,              -- cron or calendar
        rule TEXT NOT NULL,              -- JSON: when it runs
        calendar_id TEXT,                -- the stored business calendar it uses
        payload BLOB NOT NULL,
        content_type TEXT NOT NULL,
        metadata TEXT,                   -- JSON
        priority INTEGER,
        max_attempts INTEGER,
        lease TEXT,                      -- JSON
        misfire TEXT NOT NULL,           -- JSON
        jitter INTEGER NOT NULL,         -- microseconds
        max_messages INTEGER,
        start_at INTEGER,
        end_at INTEGER,
        state INTEGER NOT NULL,  -- SCHEDULED 0, PAUSED 1, COMPLETED 2, ERRORED 3
        reason TEXT,
        next_at INTEGER,                 -- when it runs next ...
        next_nominal INTEGER,            -- ... and the instant that names that run
        cursor INTEGER NOT NULL,         -- up to here every run is dealt with
        last_at INTEGER,
        run_count INTEGER NOT NULL,
        revision INTEGER NOT NULL,       -- counts updates, for people
        version INTEGER NOT NULL,        -- counts changes, for compare-and-set
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    ) STRICT
    """,
    """
    CREATE INDEX tq_schedules_due ON tq_schedules (kind, next_at)
    WHERE state = 0
    """,
    "CREATE INDEX tq_schedules_queue ON tq_schedules (queue, schedule_id)",
    """
    CREATE INDEX tq_schedules_calendar ON tq_schedules (calendar_id, schedule_id)
    WHERE calendar_id IS NOT NULL
    """,
    # What ran; a run's message may be gone for long.
    """
    CREATE TABLE tq_schedule_runs (
        run INTEGER PRIMARY KEY AUTOINCREMENT,
        schedule_row INTEGER NOT NULL,
        message_id TEXT NOT NULL,        -- names the occurrence
        occurrence INTEGER NOT NULL,
        posted_at INTEGER NOT NULL,
        kind TEXT NOT NULL,
        merged INTEGER NOT NULL
    ) STRICT
    """,
    # No occurrence of a schedule runs twice.
    """
    CREATE UNIQUE INDEX tq_schedule_runs_ids
    ON tq_schedule_runs (message_id, schedule_row)
    """,
    "CREATE INDEX tq_schedule_runs_order ON tq_schedule_runs (schedule_row, run)",
    """
    CREATE TABLE tq_business_calendars (
        calendar_id TEXT PRIMARY KEY,
        document TEXT NOT NULL,          -- JSON
        revision INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    ) STRICT
    """,
)

_WORKERS: Final = (
    # Who runs jobs now; its row says so every few seconds, and is gone when it ends.
    """
    CREATE TABLE tq_workers (
        registration INTEGER PRIMARY KEY AUTOINCREMENT,
        worker_id TEXT NOT NULL,         -- several may have the same name
        host TEXT NOT NULL,
        pid INTEGER NOT NULL,
        version TEXT NOT NULL,           -- of trioqueue
        queues TEXT NOT NULL,            -- JSON: their names
        concurrency INTEGER NOT NULL,
        running INTEGER NOT NULL,
        started_at INTEGER NOT NULL,
        beat_at INTEGER NOT NULL,
        beat_interval INTEGER,           -- NULL: it does not beat (virtual time)
        quiet_at INTEGER,                -- NULL: it claims
        stopping INTEGER NOT NULL
    ) STRICT
    """,
    "ALTER TABLE tq_queues ADD COLUMN paused_by TEXT",
)


_SCHEMAS: Final = (
    # Tells this database from all others, also through a connection of a user's.
    "INSERT INTO tq_meta (key, value) VALUES ('store_id', lower(hex(randomblob(16))))",
    # What payloads must look like; a version is never changed.
    """
    CREATE TABLE tq_schemas (
        schema_id TEXT NOT NULL,
        version INTEGER NOT NULL,
        document TEXT NOT NULL,          -- JSON
        description TEXT,
        active INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        PRIMARY KEY (schema_id, version)
    ) STRICT, WITHOUT ROWID
    """,
    "ALTER TABLE tq_messages ADD COLUMN schema_id TEXT",
    "ALTER TABLE tq_messages ADD COLUMN schema_version INTEGER",
    "ALTER TABLE tq_history ADD COLUMN schema_id TEXT",
    "ALTER TABLE tq_history ADD COLUMN schema_version INTEGER",
)


def _create_tables(database: Any) -> None:
    for statement in _TABLES:
        database.execute(statement)


def _create_schedules(database: Any) -> None:
    for statement in _SCHEDULES:
        database.execute(statement)


def _create_workers(database: Any) -> None:
    for statement in _WORKERS:
        database.execute(statement)


def _create_schemas(database: Any) -> None:
    for statement in _SCHEMAS:
        database.execute(statement)


STEPS: Final[tuple[tuple[str, Callable[[Any], None]], ...]] = (
    ("0001_tables", _create_tables),
    ("0002_schedules", _create_schedules),
    ("0003_workers", _create_workers),
    ("0004_schemas", _create_schemas),
)
"""Every step, in order.  The schema version is how many there are."""

SCHEMA_VERSION: Final = len(STEPS)


def schema_version(connection: sqlite3.Connection) -> int:
    """Return the schema version of a database: 0 where trioqueue has no tables."""
    row = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'tq_meta'"
    ).fetchone()
    if row is None:
        return 0
    row = connection.execute(
        "SELECT value FROM tq_meta WHERE key = 'schema_version'"
    ).fetchone()
    return 0 if row is None else int(row[0])


def check_version(found: int) -> None:
    """Refuse a database that a newer trioqueue has written.

    Raises:
        SchemaVersionError: It is newer than this code.
    """
    if found > SCHEMA_VERSION:
        message = (
            f"the database has schema version {found}, this trioqueue knows versions "
            f"up to {SCHEMA_VERSION}; upgrade trioqueue, or open another database"
        )
        raise SchemaVersionError(message, found=found, known=SCHEMA_VERSION)


def apply(connection: sqlite3.Connection) -> None:
    """Bring a database up to date, inside the transaction that the caller has begun.

    The caller holds the write lock (BEGIN IMMEDIATE), so that several processes may
    open a new file at once: one migrates, the others find it done.
    """
    # Here, because importing sqlite-utils costs more than everything else together.
    import sqlite_utils
    from sqlite_utils import Migrations

    # Plugins of the user's and recursive triggers have no business on this connection.
    database = sqlite_utils.Database(
        connection, execute_plugins=False, recursive_triggers=False
    )
    migrations = Migrations("trioqueue")
    for name, step in STEPS:
        migrations(name=name)(step)
    migrations.apply(database)
    connection.execute(
        "INSERT INTO tq_meta (key, value) VALUES ('schema_version', ?) "
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (str(SCHEMA_VERSION),),
    )
