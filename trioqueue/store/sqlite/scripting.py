"""What a migration would do to a database file, as SQL for the ``sqlite3`` program."""

from __future__ import annotations

import sqlite3
import urllib.parse
from contextlib import closing
from typing import Any, Final

from trioqueue.store.sqlite.connection import OPEN_PATIENCE_SECONDS, translate
from trioqueue.store.sqlite.migrations import SCHEMA_VERSION, STEPS, schema_version

_RECORDS: Final = """
CREATE TABLE IF NOT EXISTS "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
CREATE UNIQUE INDEX IF NOT EXISTS
    "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
"""
"""The table in which sqlite-utils records steps, as it makes it itself."""


def version_of(path: str) -> int:
    """Return the schema version of a database file; the file stays as it is.

    Raises:
        StoreUnavailableError: It cannot be read.
    """
    uri = f"file:{urllib.parse.quote(path)}?mode=rw"
    try:
        with closing(
            sqlite3.connect(uri, uri=True, timeout=OPEN_PATIENCE_SECONDS)
        ) as raw:
            return schema_version(raw)
    except sqlite3.Error as error:
        raise translate(error, path) from error


class _Recorder:
    """Takes the place of a database, and keeps what is to be executed."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def execute(self, statement: str) -> None:
        self.statements.append(statement.strip())


def script(from_version: int = 0) -> str:
    """Write what brings a database from a version to this one.

    Raises:
        ValueError: The version is not known.
    """
    if not 0 <= from_version <= SCHEMA_VERSION:
        message = f"versions are 0 to {SCHEMA_VERSION}, not {from_version}"
        raise ValueError(message)
    lines = [
        f"-- trioqueue: version {from_version} to {SCHEMA_VERSION}",
        ".bail on",
        "BEGIN IMMEDIATE;",
        _RECORDS.strip(),
    ]
    for name, step in STEPS[from_version:]:
        recorder: Any = _Recorder()
        step(recorder)
        lines.append(f"\n-- {name}")
        lines += [f"{statement};" for statement in recorder.statements]
        lines.append(
            'INSERT INTO "_sqlite_migrations" (migration_set, name, applied_at) '
            f"VALUES ('trioqueue', '{name}', datetime('now'));"
        )
    lines += [
        "",
        "INSERT INTO tq_meta (key, value)",
        f"VALUES ('schema_version', '{SCHEMA_VERSION}')",
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value;",
        "COMMIT;",
    ]
    return "\n".join(lines) + "\n"
