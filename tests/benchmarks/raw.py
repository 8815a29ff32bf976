"""Raw SQLite: rows of the same shape, written by nothing but a loop.

What a queue adds to this (ids, checks, tasks that wait, answers) is its overhead.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.benchmarks.bench import PAYLOAD_BYTES, PAYLOAD_TEXT, Trial, count_rows

_SCHEMA: Final = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 4000;
    CREATE TABLE messages (
        id INTEGER PRIMARY KEY, queue_id INTEGER NOT NULL, message_id TEXT NOT NULL,
        state INTEGER NOT NULL, priority INTEGER NOT NULL, claim_key INTEGER NOT NULL,
        ready_seq INTEGER NOT NULL, due_at INTEGER, deadline INTEGER,
        created_at INTEGER NOT NULL, max_attempts INTEGER NOT NULL,
        content_type TEXT NOT NULL, payload BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX messages_ids ON messages (queue_id, message_id);
    CREATE INDEX messages_ready ON messages (queue_id, claim_key, ready_seq)
        WHERE state = 1;
    CREATE INDEX messages_due ON messages (due_at, queue_id) WHERE state = 0;
    CREATE INDEX messages_leased ON messages (deadline, queue_id) WHERE state = 2;
"""
_INSERT: Final = f"INSERT INTO messages VALUES ({', '.join('?' * 13)})"


def inserts(count: int, per_transaction: int) -> Trial:
    """Measure inserts per second, so many in each durable transaction."""

    def trial(path: Path) -> float:
        payload = PAYLOAD_TEXT.encode()
        assert len(payload) == PAYLOAD_BYTES
        now = time.time_ns() // 1000
        # Ids in rising order, as a queue's are: the index grows at its end.
        prefix = uuid.uuid4().hex[:24]
        rows = [
            (
                *(number, 1, f"{prefix}{number:012x}", 1, 2, now + number, number),
                *(None, None, now, 3, "application/json", payload),
            )
            for number in range(count)
        ]
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.executescript(_SCHEMA)
            begun = time.perf_counter()
            for start in range(0, count, per_transaction):
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(_INSERT, rows[start : start + per_transaction])
                connection.execute("COMMIT")
            seconds = time.perf_counter() - begun
        assert count_rows(path, "messages") == count
        return count / seconds

    return trial
