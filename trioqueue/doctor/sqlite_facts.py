"""Looking at an SQLite database; nothing in it is changed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
import urllib.parse
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

from trioqueue.clock import WallClock
from trioqueue.doctor.common_rules import Contents
from trioqueue.doctor.sqlite_rules import SqliteFacts
from trioqueue.store.sqlite import migrations
from trioqueue.store.sqlite.connection import OLDEST_SQLITE, is_busy, translate
from trioqueue.store.sqlite.patience import try_until

LOCK_SECONDS: Final = 2.0
"""How long the write lock is waited for; no transaction of ours takes as long."""
MOUNTS: Final = "/proc/mounts"
MOST_DAMAGE: Final = 5


def look(path: str, *, thorough: bool = False) -> SqliteFacts:
    """See what there is; blocks for some seconds at most, unless `thorough`.

    Args:
        path: The database file.
        thorough: Read the whole file and check it.
    """
    file = Path(path)
    seen: dict[str, Any] = {
        "path": path,
        "exists": file.exists(),
        "library": sqlite3.sqlite_version_info,
        "oldest_library": OLDEST_SQLITE,
        "known_version": migrations.SCHEMA_VERSION,
    }
    if not seen["exists"]:
        return SqliteFacts(**seen)
    seen |= _around(file)
    if not file.is_file():
        return SqliteFacts(**seen, error=f"{path} is no file")
    try:
        with closing(_open(path)) as raw:
            seen |= _inside(raw, thorough=thorough, writable=seen["writable"])
    except sqlite3.Error as error:
        seen["error"] = str(translate(error, path))
    return SqliteFacts(**seen)


def _around(file: Path) -> dict[str, Any]:
    seen: dict[str, Any] = {
        "writable": os.access(file, os.W_OK),
        "directory_writable": os.access(file.absolute().parent, os.W_OK),
        "file_bytes": file.stat().st_size,
        "filesystem": filesystem_of(file),
    }
    with suppress(OSError):
        seen["wal_bytes"] = Path(f"{file}-wal").stat().st_size
    with suppress(OSError):
        seen["free_bytes"] = shutil.disk_usage(file.absolute().parent).free
    return seen


def filesystem_of(file: Path, mounts: str = MOUNTS) -> str | None:
    """Return the type of the file system that a file is on, None if nobody says."""
    try:
        lines = Path(mounts).read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    real = Path(os.path.realpath(file))
    depth, kind = -1, None
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        place = Path(_unescape(fields[1]))
        # The deepest place wins, and of equal ones the last: it was mounted over.
        if (place == real or place in real.parents) and len(place.parts) >= depth:
            depth, kind = len(place.parts), fields[2]
    return kind


def _unescape(place: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n")):
        place = place.replace(code, char)
    return place.replace("\\134", "\\")


def _open(path: str) -> sqlite3.Connection:
    mode = "rw" if os.access(path, os.W_OK) else "ro"
    uri = f"file:{urllib.parse.quote(path)}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=LOCK_SECONDS, isolation_level=None)


def _inside(
    raw: sqlite3.Connection, *, thorough: bool, writable: bool
) -> dict[str, Any]:
    seen: dict[str, Any] = {"version": migrations.schema_version(raw)}
    (seen["journal_mode"],) = raw.execute("PRAGMA journal_mode").fetchone()
    if writable:
        seen["locked_seconds"] = _locked(raw)
    if thorough:
        rows = raw.execute(f"PRAGMA quick_check({MOST_DAMAGE})").fetchall()
        seen["damage"] = tuple(row[0] for row in rows if row[0] != "ok")
    if seen["version"] == migrations.SCHEMA_VERSION:
        seen["newest"], seen["contents"] = _contents(raw)
    return seen


def _locked(raw: sqlite3.Connection) -> float:
    """Return how long the write lock was waited for in vain; 0 if it could be had."""

    def attempt() -> bool:
        try:
            raw.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if is_busy(error):
                return False
            raise
        raw.execute("ROLLBACK")
        return True

    raw.execute("PRAGMA busy_timeout = 0")
    began = time.monotonic()
    if try_until(attempt, patience=LOCK_SECONDS):
        return 0.0
    return time.monotonic() - began


def _contents(raw: sqlite3.Connection) -> tuple[int | None, Contents]:
    def one(sql: str) -> Any:
        return raw.execute(sql).fetchone()[0]

    newest = one(
        "SELECT max(coalesce((SELECT max(updated_at) FROM tq_queues), 0), "
        "coalesce((SELECT created_at FROM tq_messages ORDER BY id DESC LIMIT 1), 0), "
        "coalesce((SELECT finished_at FROM tq_history ORDER BY id DESC LIMIT 1), 0), "
        "coalesce((SELECT finished_at FROM tq_receipts ORDER BY attempt_id DESC LIMIT 1"
        "), 0))"
    )
    contents = Contents(
        now=WallClock().now_us(),
        next_due=one("SELECT min(due_at) FROM tq_messages WHERE state = 0"),
        next_expiry=one("SELECT min(deadline) FROM tq_messages WHERE state = 2"),
        next_schedule=one("SELECT min(next_at) FROM tq_schedules WHERE state = 0"),
        unfinished_copy=bool(one("SELECT count(*) FROM tq_meta WHERE key = 'copy'")),
    )
    return newest or None, contents
