"""Transactions for the user's rows and ours, on the store's own database."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

import psycopg
import trio
from psycopg import pq

from trioqueue.errors import IllegalStateError, StoreUnavailableError
from trioqueue.store.borrowed import ENDED
from trioqueue.store.operations.core import Effects, OvertakenError
from trioqueue.store.postgres.borrowed import (
    UNDO,
    Inside,
    check_kind,
    check_state,
    is_open,
    simple,
)
from trioqueue.store.postgres.driver import TrioConnection
from trioqueue.store.postgres.endings import GRACE_SECONDS, grace
from trioqueue.store.postgres.faults import is_connection_lost, translate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from psycopg.abc import PQGen

    from trioqueue.metrics.meters import Meters
    from trioqueue.store.foreign import ForeignWork
    from trioqueue.store.operations.core import Context, Operation
    from trioqueue.store.postgres.settings import Settings
    from trioqueue.store.requests import ContextMaker

T = TypeVar("T")

TRIES: Final = 5
"""How often an operation is tried while others post or finish the same ids."""
COMMIT_SECONDS: Final = 30.0
"""How long a commit may keep a caller that is canceled."""
_FAILED: Final = (
    "the transaction has failed, so it can only be undone; an error inside its block "
    "must leave the block"
)
_OVERTAKEN: Final = "other transactions were in the way, again and again; try later"
_UNKNOWN: Final = (
    f"the server has not answered to COMMIT for {COMMIT_SECONDS:g} s; the message may "
    "or may not be completed, together with your rows"
)


@final
class PostgresTransactions:
    """Ways into transactions on a database that are not the store's own."""

    def __init__(
        self,
        settings: Settings,
        identity: tuple[Any, ...],
        make_context: ContextMaker,
        *,
        announce: Callable[[Effects], None],
        meters: Meters,
        foreign: ForeignWork,
        virtual: bool,
    ) -> None:
        self._settings = settings
        self._inside = Inside(settings.schema, identity)
        self._make_context = make_context
        self._announce = announce
        self._meters = meters
        self._foreign = foreign
        self._virtual = virtual
        self._turns = trio.Semaphore(settings.pool_size)

    def run(
        self, connection: object, operation: Callable[[Context], Operation[T]]
    ) -> T:
        """Run an operation in the transaction that a connection has open.

        Raises:
            ValidationError: It has none, or is not one that can be used.
        """
        check_kind(connection, asynchronous=False)
        assert isinstance(connection, psycopg.Connection)  # noqa: S101  just checked
        for last in _tries():
            with connection.lock:
                check_state(connection)
                context = self._make_context()
                try:
                    work = self._work(connection.pgconn, operation, context)
                    value = connection.wait(work)
                    connection.wait(
                        self._inside.end(connection.pgconn, context.effects)
                    )
                except (OvertakenError, psycopg.errors.UniqueViolation) as error:
                    _undo(connection)
                    if last:
                        raise StoreUnavailableError(_OVERTAKEN) from error
                    continue
                except psycopg.Error as error:
                    _undo(connection)
                    raise translate(error, "PostgreSQL") from error
                except BaseException:
                    _undo(connection)
                    raise
            self._expect(connection, context.effects)
            return value
        raise AssertionError  # pragma: no cover  the last try returns or raises

    async def run_async(
        self, connection: object, operation: Callable[[Context], Operation[T]]
    ) -> T:
        """Do the same on an asynchronous connection, whatever its event loop."""
        check_kind(connection, asynchronous=True)
        assert isinstance(connection, psycopg.AsyncConnection)  # noqa: S101  just checked
        value, effects = await run_inside(
            connection, self._inside, self._work, operation, self._make_context
        )
        self._expect(connection, effects)
        return value

    def _work(
        self,
        pgconn: Any,
        operation: Callable[[Context], Operation[T]],
        context: Context,
    ) -> PQGen[T]:
        yield from self._inside.begin(pgconn)
        return (yield from self._inside.drive(pgconn, operation(context)))

    def _expect(
        self,
        connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any],
        effects: Effects,
    ) -> None:
        self._foreign.expect(connection, partial(is_open, connection.pgconn), effects)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[PostgresTransaction]:
        """Begin a transaction for the length of a block, undone if not committed.

        Raises:
            StoreUnavailableError: The server cannot be reached.
        """
        settings = self._settings
        async with self._turns:
            try:
                connection = await TrioConnection.open(
                    settings.conninfo, blocking=self._virtual
                )
            except psycopg.Error as error:
                raise translate(error, "PostgreSQL", changes=False) from error
            try:
                transaction = PostgresTransaction(
                    connection, self._inside, self._make_context
                )
                await transaction.begin(relaxed=settings.relaxed)
                yield transaction
            finally:
                try:
                    if _can_undo(connection):
                        with grace(connection):
                            await connection.execute("ROLLBACK")  # noqa: ASYNC102  `grace` shields it
                finally:
                    connection.kill()
        if transaction.micros is not None:
            self._meters.wrote(transaction.effects, "write", transaction.micros, 1)
            self._announce(transaction.effects)


@final
class PostgresTransaction:
    """A transaction on a connection of its own."""

    def __init__(
        self, connection: TrioConnection, inside: Inside, make_context: ContextMaker
    ) -> None:
        self._connection = connection
        self._inside = inside
        self._make_context = make_context
        self._began = time.perf_counter_ns()
        self.effects = Effects()
        self.micros: int | None = None
        """How long it took, once it is committed."""

    async def begin(self, *, relaxed: bool) -> None:
        """Begin it.

        Raises:
            StoreUnavailableError: The server refuses.
        """
        begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
        if relaxed:
            begin += "; SET LOCAL synchronous_commit TO off"
        try:
            await self._connection.execute(begin.encode())
        except psycopg.Error as error:
            raise translate(error, "PostgreSQL", changes=False) from error

    @property
    def connection(self) -> TrioConnection:
        """The driver's connection."""
        return self._connection

    async def execute(self, sql: str, parameters: Any) -> list[Sequence[Any]]:
        """Run one statement of the user's; return its rows, if it has any.

        Raises:
            psycopg.Error: What the server says.
        """
        cursor = await self._connection.execute(sql.encode(), parameters or None)
        if cursor.description is None:
            return []
        return list(await cursor.fetchall())

    async def run(self, operation: Callable[[Context], Operation[T]]) -> T:
        """Run an operation in it; if that fails, nothing of it is done."""
        self._check_open()
        value, effects = await run_inside(
            self._connection,
            self._inside,
            self._work,
            operation,
            self._make_context,
            notify=False,
        )
        self.effects.merge(effects)
        return value

    def _work(
        self,
        pgconn: Any,
        operation: Callable[[Context], Operation[T]],
        context: Context,
    ) -> PQGen[T]:
        yield from self._inside.save(pgconn)
        return (yield from self._inside.drive(pgconn, operation(context)))

    async def commit(self) -> None:
        """Make it durable.

        Raises:
            IllegalStateError: The user has ended it himself, or it has failed.
            StoreUnavailableError: It is not known whether it is stored.
            psycopg.Error: A deferred constraint of the user's is violated.
        """
        self._check_open()
        await trio.lowlevel.checkpoint()
        # Canceled on the way, nobody would know what became of it.
        with trio.move_on_after(COMMIT_SECONDS, shield=True):
            try:
                await self._connection.execute("COMMIT")
            except psycopg.Error as error:
                if is_connection_lost(error):
                    raise translate(error, "PostgreSQL") from error
                raise
            self.micros = (time.perf_counter_ns() - self._began) // 1000
            return
        raise StoreUnavailableError(_UNKNOWN)

    def _check_open(self) -> None:
        status = self._connection.pgconn.transaction_status
        if status == pq.TransactionStatus.INERROR:
            raise IllegalStateError(_FAILED)
        if self._connection.closed or status != pq.TransactionStatus.INTRANS:
            raise IllegalStateError(ENDED)


async def run_inside(
    connection: psycopg.AsyncConnection[Any],
    inside: Inside,
    work: Callable[[Any, Callable[[Context], Operation[T]], Context], PQGen[T]],
    operation: Callable[[Context], Operation[T]],
    make_context: ContextMaker,
    *,
    notify: bool = True,
) -> tuple[T, Effects]:
    """Run an operation in the open transaction; if it fails, nothing of it is done.

    It awaits nothing but the connection, so that any event loop will do.
    """
    pgconn = connection.pgconn
    for last in _tries():
        async with connection.lock:
            check_state(connection)
            context = make_context()
            try:
                value = await connection.wait(work(pgconn, operation, context))
                effects = context.effects
                await connection.wait(inside.end(pgconn, effects if notify else None))
            except (OvertakenError, psycopg.errors.UniqueViolation) as error:
                await _undo_async(connection)  # noqa: ASYNC120  it shields itself
                if last:
                    raise StoreUnavailableError(_OVERTAKEN) from error
                continue
            except psycopg.Error as error:
                await _undo_async(connection)  # noqa: ASYNC120  it shields itself
                raise translate(error, "PostgreSQL") from error
            except BaseException:
                await _undo_async(connection)  # noqa: ASYNC102  it shields itself
                raise
        return value, effects
    raise AssertionError  # pragma: no cover  the last try returns or raises


def _tries() -> list[bool]:
    """Return for each try whether it is the last one."""
    return [False] * (TRIES - 1) + [True]


def _can_undo(
    connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any],
) -> bool:
    status = connection.pgconn.transaction_status
    if status == pq.TransactionStatus.ACTIVE:
        # What it was doing has not come to its end, and nobody can tell it to.
        connection.pgconn.finish()
    return status in (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR)


def _undo(connection: psycopg.Connection[Any]) -> None:
    """Go back to the savepoint."""
    if _can_undo(connection):
        # If that fails, the transaction can no longer be committed.
        with suppress(psycopg.Error):
            connection.wait(simple(connection.pgconn, UNDO))


async def _undo_async(connection: psycopg.AsyncConnection[Any]) -> None:  # noqa: ASYNC910  on any loop
    """Go back to the savepoint, also when canceled; else let the connection go."""
    if not _can_undo(connection):
        return  # noqa: ASYNC910  there is nothing to do

    async def undo() -> None:  # noqa: ASYNC910  on any loop
        with suppress(psycopg.Error):
            await connection.wait(simple(connection.pgconn, UNDO))

    if trio.lowlevel.in_trio_task():
        with trio.move_on_after(GRACE_SECONDS, shield=True) as scope:
            await undo()
        late = scope.cancelled_caught
    else:
        late = False
        try:
            await asyncio.wait_for(undo(), GRACE_SECONDS)
        except TimeoutError:
            late = True
    if late:
        connection.pgconn.finish()
