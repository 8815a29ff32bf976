"""One PostgreSQL connection that runs operations.

What an operation writes is sent together with what it reads next, or with the end of
its transaction, in one round trip (libpq's pipeline mode).  Statements are prepared
when a session first needs them.
"""

from __future__ import annotations

import hashlib
import time
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

import psycopg
import trio
from psycopg import pq
from psycopg.adapt import Transformer

from trioqueue.store.operations.core import ExecuteMany, Fetch, Lock
from trioqueue.store.postgres.compiling import compile_statement
from trioqueue.store.postgres.driver import TrioConnection
from trioqueue.store.postgres.encoding import BINARY, encode, encode_columns
from trioqueue.store.postgres.statements import MANY_TYPES, SESSION_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg.pq.abc import PGresult

    from trioqueue.store.low_water import LowWaterMarks
    from trioqueue.store.operations.core import Operation
    from trioqueue.store.postgres.settings import Settings

T = TypeVar("T")

STOPPED_SECONDS: Final = 4
"""How long a transaction may wait for its client: what one that was stopped holds must
be free within 5 s.

The server counts from the end of a request.  See `stopped_statements` for who is
stopped inside one: libpq sends a large one in pieces.
"""
GOODBYE_SECONDS: Final = 2.0
"""How long undoing a transaction may keep a caller that is canceled."""

_OK: Final = (int(pq.ExecStatus.COMMAND_OK), int(pq.ExecStatus.TUPLES_OK))
_ABORTED: Final = int(pq.ExecStatus.PIPELINE_ABORTED)
_IDLE: Final = int(pq.TransactionStatus.IDLE)

_BEGIN: Final = b"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_BEGIN_READ: Final = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_RELAXED: Final = b"SET LOCAL synchronous_commit TO off"
LOCKS: Final = {
    False: b"SELECT pg_advisory_xact_lock_shared(k) FROM unnest($1::int8[]) AS r(k)",
    True: b"SELECT pg_advisory_xact_lock(k) FROM unnest($1::int8[]) AS r(k)",
}


class SilentError(psycopg.OperationalError):
    """The server has not answered in time; whether it did anything is unknown."""


@final
class Session:
    """A connection with its prepared statements; used by one task at a time.

    Errors are psycopg's: whoever runs a transaction decides what they mean for it.
    """

    def __init__(
        self,
        connection: TrioConnection,
        settings: Settings,
        marks: LowWaterMarks | None = None,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._marks = marks
        self._prepared: dict[bytes, bytes] = {}  # what each is called on the server
        self._asked: list[bytes] = []
        self._asked_ever = 0
        self._commands: list[Callable[[], None]] = []
        self.writes = 0
        """How many statements that change something it has been given."""

    @classmethod
    async def open(
        cls,
        settings: Settings,
        *,
        blocking: bool = False,
        marks: LowWaterMarks | None = None,
    ) -> Session:
        """Connect.

        Raises:
            psycopg.Error: The server cannot be reached, or refuses.
        """
        connection = await TrioConnection.open(settings.conninfo, blocking=blocking)
        session = cls(connection, settings, marks)
        try:
            if not settings.pooled:
                for statement in _session_settings(settings):
                    session._plain(statement)
                await session.flush()
        except BaseException:
            connection.kill()
            raise
        return session

    @property
    def usable(self) -> bool:
        """Whether it may be used for another transaction."""
        pgconn = self._connection.pgconn
        return not self._commands and pgconn.transaction_status == _IDLE

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""
        return self._connection.closed

    async def check(self) -> None:
        """Make one round trip.

        Raises:
            psycopg.Error: That failed.
        """
        self._plain(b"SELECT 1")
        await self.flush()

    def kill(self) -> None:
        """Let the connection go at once."""
        self._connection.kill()

    async def pause(self, seconds: float) -> None:
        """Wait, in real time also where the loop's time is virtual."""
        if self._connection.blocking:
            time.sleep(seconds)  # noqa: ASYNC251  on purpose: see TrioConnection
        else:
            await trio.sleep(seconds)

    async def close(self) -> None:
        """Say good-bye to the server."""
        await self._connection.close()

    def begin(self, *, relaxed: bool = False) -> None:
        """Begin a transaction with the next statement.

        Args:
            relaxed: Its commit need not survive a crash of the server.
        """
        self._plain(_BEGIN)
        self._local_settings(relaxed=relaxed)

    def begin_read(self) -> None:
        """Begin a transaction that reads one snapshot."""
        self._plain(_BEGIN_READ)
        self._local_settings(relaxed=False)

    def _local_settings(self, *, relaxed: bool) -> None:
        if relaxed and not self._settings.relaxed:
            self._plain(_RELAXED)
        if self._settings.pooled:
            # The next transaction may have another server's process.
            for statement in _session_settings(self._settings, scope="LOCAL "):
                self._plain(statement)

    async def commit(self) -> None:
        """Send what is left and make it durable."""
        self._plain(b"COMMIT")
        await self.flush()

    async def rollback(self) -> None:
        """Undo the transaction, if one is open; kills the connection if that fails."""
        self._commands.clear()
        self._forget_asked()
        if self.lost or self._connection.pgconn.transaction_status == _IDLE:
            return
        try:
            with trio.move_on_after(GOODBYE_SECONDS, shield=True):
                self._plain(b"ROLLBACK")
                await self.flush()
        except psycopg.Error:
            self.kill()
        finally:
            if not self.usable:
                self.kill()

    async def drive(self, operation: Operation[T]) -> T:
        """Run an operation in the open transaction; its last writes may be unsent.

        Raises:
            psycopg.Error: What the server says.
            Exception: What the operation says.
        """
        send = operation.send
        answer: Any = None
        try:
            while True:
                query = send(answer)
                if isinstance(query, Fetch):
                    answer = await self._fetch(query.name, query.parameters)
                    continue
                answer = None
                self._queue(query)
        except StopIteration as stop:
            value: T = stop.value
            return value
        finally:
            operation.close()

    def _queue(self, query: Any) -> None:
        """Keep a statement to be sent with the next one that is read."""
        if type(query) is Lock:
            if not query.keys:
                return
            keys = sorted(lock_key(self._settings.schema, key) for key in query.keys)
            self._ask(b"lock_%d" % query.exclusive, LOCKS[query.exclusive], [keys])
            return
        self.writes += 1
        compiled = compile_statement(query.name, self._settings.schema)
        if type(query) is ExecuteMany:
            columns = encode_columns(MANY_TYPES[query.name], query.rows)
            self._send(query.name.encode(), compiled.sql, columns, None)
            return
        values = [query.parameters[name] for name in compiled.names]
        self._ask(query.name.encode(), compiled.sql, values)

    async def _fetch(self, name: str, parameters: Any) -> list[tuple[Any, ...]]:
        compiled = compile_statement(name, self._settings.schema)
        values = [parameters[key] for key in compiled.names]
        self._ask(name.encode(), compiled.sql, values)
        if self._marks is not None and name == "ready_messages":
            began = time.perf_counter()
            result = await self.flush()
            self._marks.took(time.perf_counter() - began)
        else:
            result = await self.flush()
        return self._rows(result)

    def _rows(self, result: PGresult) -> list[tuple[Any, ...]]:
        transformer = Transformer(self._connection)
        transformer.set_pgresult(result)
        return transformer.load_rows(0, result.ntuples, tuple)

    def _ask(self, name: bytes, sql: bytes, values: list[Any]) -> None:
        parameters, formats = [], []
        for value in values:
            data, form = encode(value)
            parameters.append(data)
            formats.append(form)
        self._send(name, sql, parameters, formats)

    def _send(
        self,
        name: bytes,
        sql: bytes,
        parameters: list[bytes | None],
        formats: list[int] | None,
    ) -> None:
        pgconn = self._connection.pgconn
        if self._settings.pooled:
            self._commands.append(
                partial(
                    pgconn.send_query_params,
                    sql,
                    parameters,
                    param_formats=formats,
                    result_format=BINARY,
                )
            )
            return
        if name not in self._prepared:
            # A name is never used again: the server keeps what it has prepared, also
            # if what came with it failed, or was canceled, and we cannot know.
            self._asked_ever += 1
            self._prepared[name] = b"%s.%d" % (name, self._asked_ever)
            self._asked.append(name)
            self._commands.append(
                partial(pgconn.send_prepare, self._prepared[name], sql)
            )
        prepared = self._prepared[name]
        self._commands.append(
            partial(pgconn.send_query_prepared, prepared, parameters, formats, BINARY)
        )

    def _forget_asked(self) -> None:
        """Count as not prepared what the server has not confirmed."""
        for name in self._asked:
            del self._prepared[name]
        self._asked.clear()

    def _plain(self, sql: bytes) -> None:
        """Keep a statement without parameters."""
        send = self._connection.pgconn.send_query_params
        self._commands.append(partial(send, sql, None))

    async def query(self, sql: bytes, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement that is no query of an operation; return its rows."""
        parameters = [encode(value)[0] for value in values]
        send = self._connection.pgconn.send_query_params
        self._commands.append(partial(send, sql, parameters, result_format=BINARY))
        return self._rows(await self.flush())

    async def flush(self) -> PGresult:
        """Send everything in one go; return the last result.

        Raises:
            SilentError: The server did not answer in time; the connection is killed.
            psycopg.Error: What the server says of the first statement that failed; the
                later ones have not been run.
        """
        commands, self._commands = self._commands, []
        results: list[PGresult] = []
        seconds = self._settings.statement_seconds
        try:
            with trio.move_on_after(seconds) as patience:
                results = await self._connection.exchange(commands)
        except BaseException:
            self._forget_asked()
            raise
        if patience.cancelled_caught:
            self.kill()
            raise SilentError(f"the server has not answered for {seconds:g} s")
        for result in results:
            if result.status not in _OK:
                self._forget_asked()
                encoding = self._connection.info.encoding
                raise psycopg.errors.error_from_result(result, encoding=encoding)
        self._asked.clear()
        return results[-1]


def _session_settings(settings: Settings, scope: str = "") -> list[bytes]:
    """Write the statements that set what our transactions rely on."""
    seconds = settings.statement_seconds
    wanted = {
        **SESSION_SETTINGS,
        # What we no longer wait for, the server gives up, too; and a transaction whose
        # client was stopped in the middle must not hold its rows for ever.
        "statement_timeout": f"{round(seconds * 1000)}ms",
        "idle_in_transaction_session_timeout": f"{STOPPED_SECONDS}s",
        "client_min_messages": "warning",
    }
    if settings.relaxed:
        wanted["synchronous_commit"] = "off"
    return [
        f"SET {scope}{name} TO '{value}'".encode() for name, value in wanted.items()
    ]


@lru_cache(maxsize=4096)
def lock_key(schema: str, key: str) -> int:
    """Return the number of an advisory lock; two keys may share one, to no harm."""
    digest = hashlib.blake2b(f"{schema}\0{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
