"""One SQLite connection: opened with our settings, driven by operations.

No error of the driver leaves this file untranslated.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import time
import urllib.parse
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, final

from trioqueue.errors import SchemaVersionError, StoreUnavailableError, TrioQueueError
from trioqueue.store.operations.core import ExecuteMany, Fetch, Lock
from trioqueue.store.sqlite import migrations
from trioqueue.store.sqlite.patience import try_until
from trioqueue.store.sqlite.statements import STATEMENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioqueue.store.operations.core import Operation

T = TypeVar("T")

Durability = Literal["full", "relaxed"]

MEMORY: Final = ":memory:"
OLDEST_SQLITE: Final = (3, 37, 0)
WAL_PAGES: Final = 4000
"""16 MiB: past this a commit checkpoints by itself, so the WAL stays bounded."""
WAL_KEPT_BYTES: Final = 64 * 1024 * 1024
OPEN_PATIENCE_SECONDS: Final = 10.0
"""How long opening waits for another process that has the file for itself."""
_CACHE_KIB: Final = 32 * 1024
CHUNKS: Final = (64, 16, 4, 1)
"""How many rows one statement of an `ExecuteMany` takes, largest first."""

_ADVICE: Final = {
    "SQLITE_FULL": "the disk is full (or a size limit is reached); free some space, "
    "then try again: nothing was stored",
    "SQLITE_READONLY": "the file or its directory is read-only; make it writable for "
    "this user, or open another file",
    "SQLITE_CANTOPEN": "the file cannot be opened; check the path and its permissions",
    "SQLITE_NOTADB": "the file is not an SQLite database; name another file",
    "SQLITE_CORRUPT": "the file is damaged; restore it from a backup",
    "SQLITE_IOERR": "the disk reports an error; check the disk and the file system",
    "SQLITE_BUSY": "another process holds the database; try again",
    "SQLITE_LOCKED": "another connection holds the table; try again",
    "SQLITE_PROTOCOL": "the file's locks do not work; is it on a network file system?",
    "SQLITE_PERM": "the file's permissions forbid it",
    "SQLITE_INTERRUPT": "the query was interrupted",
    "SQLITE_NOMEM": "there is not enough memory",
    "SQLITE_TOOBIG": "a value is larger than SQLite can hold",
}


def primary_code(error: sqlite3.Error) -> str:
    """Return an error's primary result code by name, "" if it has none."""
    name = getattr(error, "sqlite_errorname", "") or ""
    return "_".join(name.split("_")[:2])


def is_busy(error: sqlite3.Error) -> bool:
    """Say whether another connection was in the way, so that trying again helps."""
    return primary_code(error) in ("SQLITE_BUSY", "SQLITE_LOCKED")


def translate(error: sqlite3.Error, path: str) -> TrioQueueError:
    """Turn a driver's error into one of ours that says what to do."""
    advice = _ADVICE.get(primary_code(error))
    if advice is not None:
        return StoreUnavailableError(f"{path}: {advice} ({error})")
    if "no such table" in str(error) or "no such column" in str(error):
        return SchemaVersionError(
            f"{path}: the tables are not those of this trioqueue ({error}); "
            "open the store with migrate=True",
            found=0,
            known=migrations.SCHEMA_VERSION,
        )
    return TrioQueueError(f"{path}: unexpected database error, please report: {error}")


@final
class Connection:
    """An SQLite connection that runs operations; used by one thread at a time."""

    def __init__(
        self, path: str, raw: sqlite3.Connection, cursor: sqlite3.Cursor | None = None
    ) -> None:
        self.path = path
        self.raw = raw
        self._cursor = raw.cursor() if cursor is None else cursor

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.raw.in_transaction

    def begin_write(self) -> bool:
        """Begin a write transaction; False means that another process is writing.

        Raises:
            StoreUnavailableError: The database cannot be written.
        """
        try:
            self._cursor.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if is_busy(error):
                return False
            raise translate(error, self.path) from error
        return True

    def commit(self) -> None:
        """Make the transaction durable.

        Raises:
            StoreUnavailableError: It could not be; nothing of it is stored.
        """
        self.statement("COMMIT")

    def rollback(self) -> None:
        """Undo the open transaction, if there is one."""
        if self.raw.in_transaction:
            self.statement("ROLLBACK")

    def statement(self, sql: str) -> list[Any]:
        """Run one statement that is no query of an operation."""
        try:
            return self._cursor.execute(sql).fetchall()
        except sqlite3.Error as error:
            raise translate(error, self.path) from error

    def drive(self, operation: Operation[T]) -> T:
        """Run an operation to its end in the open transaction.

        Raises:
            TrioQueueError: What the operation or the database says.
        """
        send = operation.send
        answer: Any = None
        try:
            while True:
                answer = self._run(send(answer))
        except StopIteration as stop:
            value: T = stop.value
            return value
        except sqlite3.Error as error:
            raise translate(error, self.path) from error
        finally:
            operation.close()

    def _run(self, query: Any) -> Any:
        cursor = self._cursor
        if type(query) is ExecuteMany:
            self._run_many(query)
            return None
        if type(query) is Lock:
            return None  # whoever writes has the database for himself
        parameters = {
            key: json.dumps(value) if type(value) is list else value
            for key, value in query.parameters.items()
        }
        cursor.execute(STATEMENTS[query.name], parameters)
        return cursor.fetchall() if type(query) is Fetch else None

    def _run_many(self, query: ExecuteMany) -> None:
        """Run a statement for many rows, up to 64 of them at once.

        SQLite is asked once for all of them, so this thread needs the interpreter's
        lock once, and not once a row: the Trio thread keeps it meanwhile.
        """
        cursor, rows = self._cursor, query.rows
        start = 0
        for size in CHUNKS:
            while len(rows) - start >= size:
                end = start + size
                sql = _many(query.name, len(rows[start]), size)
                flat = list(chain.from_iterable(rows[start:end]))
                cursor.execute(sql, flat)
                start = end

    def close(self) -> None:
        """Close it; an open transaction is rolled back."""
        self.raw.close()


@lru_cache(maxsize=256)
def _many(name: str, columns: int, size: int) -> str:
    """Write a statement for so many rows; few sizes, so that they stay prepared."""
    row = f"({', '.join('?' * columns)})"
    return STATEMENTS[name].replace("{rows}", ", ".join([row] * size))


def open_connection(
    path: str, durability: Durability = "full", *, reader: bool = False
) -> Connection:
    """Open a connection on a database file, or in memory, with our settings.

    Raises:
        StoreUnavailableError: It cannot be opened, with the reason and what to do.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreUnavailableError(
            f"SQLite {sqlite3.sqlite_version} is too old; "
            f"trioqueue needs {'.'.join(map(str, OLDEST_SQLITE))} or newer"
        )
    _check_path(path)
    memory = path == MEMORY
    uri = MEMORY if memory else f"file:{urllib.parse.quote(path)}?mode=rwc"
    try:
        raw = sqlite3.connect(
            uri,
            timeout=0,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            uri=not memory,
        )
        try:
            # Even harmless pragmas read the file, which another opener may be changing.
            _wait_out(
                path,
                lambda: _set_pragmas(raw, durability, reader=reader, memory=memory),
            )
        except BaseException:
            raw.close()
            raise
    except sqlite3.Error as error:
        raise translate(error, path) from error
    return Connection(path, raw)


def _check_path(path: str) -> None:
    """Say what is wrong with a path better than SQLite would."""
    if path == MEMORY:
        return
    try:
        _check_file(path)
    except OSError as error:
        raise StoreUnavailableError(
            f"{path}: {_ADVICE['SQLITE_CANTOPEN']} ({error.strerror})"
        ) from error


def _check_file(path: str) -> None:
    parent = Path(path).absolute().parent
    if not parent.is_dir():
        raise StoreUnavailableError(
            f"{path}: the directory {parent} does not exist; create it first"
        )
    if Path(path).is_dir():
        raise StoreUnavailableError(f"{path}: is a directory; name a file in it")
    # Asked, not opened: closing any descriptor on the file from outside SQLite would
    # drop its locks.
    if Path(path).exists() and not os.access(path, os.W_OK):
        raise StoreUnavailableError(f"{path}: {_ADVICE['SQLITE_READONLY']}")


def _wait_out(
    path: str,
    action: Callable[[], T],
    pause: Callable[[float], None] = time.sleep,
) -> T:
    """Do something that fails as long as another process has the file for itself.

    Raises:
        StoreUnavailableError: That lasted too long.
        sqlite3.Error: It failed in another way.
    """
    done: list[T] = []

    def attempt() -> bool:
        try:
            done.append(action())
        except sqlite3.Error as error:
            if is_busy(error):
                return False
            raise
        return True

    if not try_until(attempt, patience=OPEN_PATIENCE_SECONDS, pause=pause):
        raise StoreUnavailableError(f"{path}: {_ADVICE['SQLITE_BUSY']}")
    return done[0]


def _set_pragmas(
    raw: sqlite3.Connection, durability: Durability, *, reader: bool, memory: bool
) -> None:
    # Waiting is ours: SQLite's own busy handler starves some processes for seconds.
    raw.execute("PRAGMA busy_timeout = 0")
    raw.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    raw.execute("PRAGMA temp_store = MEMORY")
    if reader:
        raw.execute("PRAGMA query_only = ON")
        return
    if not memory:
        level = "FULL" if durability == "full" else "NORMAL"
        raw.execute(f"PRAGMA synchronous = {level}")
        raw.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        raw.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")


def _enable_wal(raw: sqlite3.Connection) -> str:
    """Switch a file to a write-ahead log: readers and the writer do not wait then."""
    # Asking first: changing the mode needs the file for itself.
    mode: str
    (mode,) = raw.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        (mode,) = raw.execute("PRAGMA journal_mode = WAL").fetchone()
    return mode


def prepare_database(
    connection: Connection, *, migrate: bool, pause: Callable[[float], None]
) -> None:
    """Check the schema version, and bring the tables up to date.

    Several processes may do so at once.

    Raises:
        SchemaVersionError: The database is newer than this code, or older and `migrate`
            is false.
        StoreUnavailableError: The database cannot be read or written.
    """
    try:
        _prepare(connection, migrate=migrate, pause=pause)
    except sqlite3.Error as error:
        raise translate(error, connection.path) from error
    finally:
        connection.rollback()


def _prepare(
    connection: Connection, *, migrate: bool, pause: Callable[[float], None]
) -> None:
    path, raw = connection.path, connection.raw
    version = _wait_out(path, lambda: migrations.schema_version(raw), pause)
    migrations.check_version(version)
    if version < migrations.SCHEMA_VERSION and not migrate:
        raise SchemaVersionError(
            f"{path}: the schema is at version {version}, this trioqueue "
            f"needs {migrations.SCHEMA_VERSION}; open the store with migrate=True",
            found=version,
            known=migrations.SCHEMA_VERSION,
        )
    # Only now: a database that is refused is left as it was.
    mode = _wait_out(path, lambda: _enable_wal(raw), pause)
    if mode != "wal" and path != MEMORY:
        raise StoreUnavailableError(
            f"{path}: the file system does not support SQLite's write-ahead log "
            f"(mode {mode}); keep the file on a local disk"
        )
    if version == migrations.SCHEMA_VERSION:
        return
    # A program may hold the lock for long; whoever opens the store may cancel the wait.
    try_until(connection.begin_write, patience=math.inf, pause=pause)
    version = migrations.schema_version(raw)
    migrations.check_version(version)
    if version < migrations.SCHEMA_VERSION:
        migrations.apply(raw)
    connection.commit()
