"""Transactions for the user's rows and ours, on the store's own file."""

from __future__ import annotations

import sqlite3
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, final

import trio

from trioqueue.errors import IllegalStateError, ValidationError
from trioqueue.store.borrowed import ENDED, NO_MEMORY
from trioqueue.store.operations.core import Effects
from trioqueue.store.sqlite.borrowed import (
    borrow,
    check_database,
    find_raw,
    is_open,
    refuse_async,
    run_inside,
)
from trioqueue.store.sqlite.connection import (
    MEMORY,
    Connection,
    open_connection,
)
from trioqueue.store.sqlite.inline import begin_in_virtual_time
from trioqueue.store.sqlite.patience import retry_pause

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from trioqueue.metrics.meters import Meters
    from trioqueue.store.foreign import ForeignWork
    from trioqueue.store.operations.core import Context, Operation
    from trioqueue.store.requests import ContextMaker
    from trioqueue.store.sqlite.connection import Durability

T = TypeVar("T")
P = ParamSpec("P")


@final
class SqliteTransactions:
    """Ways into transactions on a database file that are not the store's own."""

    def __init__(
        self,
        path: str,
        durability: Durability,
        make_context: ContextMaker,
        *,
        announce: Callable[[Effects], None],
        meters: Meters,
        foreign: ForeignWork,
        store_id: str,
        virtual: bool,
    ) -> None:
        self._path = path
        self._durability: Durability = durability
        self._make_context = make_context
        self._announce = announce
        self._meters = meters
        self._foreign = foreign
        self._store_id = store_id
        self._virtual = virtual
        # One of ours waits for the lock at a time, in the order in which they came.
        self._turn = trio.Lock()

    def run(
        self, connection: object, operation: Callable[[Context], Operation[T]]
    ) -> T:
        """Run an operation in the transaction that a connection has open.

        Raises:
            ValidationError: It has none, or is not one that can be used.
        """
        raw = find_raw(connection)
        with borrow(raw, self._path) as borrowed:
            check_database(borrowed, self._store_id)
            value, effects = run_inside(borrowed, self._make_context, operation)
        self._foreign.expect(raw, partial(is_open, raw), effects)
        return value

    async def run_async(
        self, connection: object, operation: Callable[[Context], Operation[T]]
    ) -> T:
        """Refuse: there is no asynchronous connection to SQLite."""
        raise refuse_async(connection)  # noqa: ASYNC910  it may be no Trio that runs

    @asynccontextmanager
    async def open(self) -> AsyncIterator[SqliteTransaction]:
        """Begin a transaction for the length of a block, undone if not committed.

        It holds the file's only write lock: everybody else who writes waits.

        Raises:
            ValidationError: The database is in memory.
            StoreUnavailableError: It cannot be opened.
        """
        if self._path == MEMORY:
            raise ValidationError.of("job", NO_MEMORY)
        self._foreign.check_free()
        holder = trio.lowlevel.current_task()
        opening = partial(open_connection, self._path, self._durability)
        connection = await self._call(opening)
        try:
            async with self._turn:
                await self._begin(connection)
            transaction = SqliteTransaction(connection, self._call, self._make_context)
            self._foreign.expect(
                connection, partial(is_open, connection.raw), Effects()
            )
            self._foreign.holders.add(holder)
            yield transaction
        finally:
            self._foreign.holders.discard(holder)
            # What is not committed is undone, which takes no time.
            connection.close()
        if transaction.micros is not None:
            self._meters.wrote(transaction.effects, "write", transaction.micros, 1)
            self._announce(transaction.effects)

    async def _begin(self, connection: Connection) -> None:  # noqa: ASYNC910  taking the turn was one
        if self._virtual:
            if not connection.begin_write():
                await begin_in_virtual_time(
                    connection, connection.begin_write, self._foreign
                )
            return  # noqa: ASYNC910  taking the turn was one
        waited = 0.0
        while not connection.begin_write():
            await trio.sleep(step := retry_pause(waited))
            waited += step

    async def _call(
        self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do what may wait for the disk, where it holds nobody up."""
        bound = partial(function, *args, **kwargs)
        if self._virtual:
            await trio.lowlevel.checkpoint()
            return bound()
        return await trio.to_thread.run_sync(bound)


@final
class SqliteTransaction:
    """A transaction that holds the file's write lock."""

    def __init__(
        self,
        connection: Connection,
        call: Callable[..., Any],
        make_context: ContextMaker,
    ) -> None:
        self._connection = connection
        self._call = call
        self._make_context = make_context
        self._began = time.perf_counter_ns()
        self.effects = Effects()
        self.micros: int | None = None
        """How long it took, once it is committed."""

    @property
    def connection(self) -> sqlite3.Connection:
        """The driver's connection; any thread may use it, one at a time."""
        return self._connection.raw

    async def execute(self, sql: str, parameters: Any) -> list[Sequence[Any]]:
        """Run one statement of the user's; return its rows, if it has any.

        Raises:
            sqlite3.Error: What the database says.
        """

        def work() -> list[Sequence[Any]]:
            return self.connection.execute(sql, parameters).fetchall()

        rows: list[Sequence[Any]] = await self._call(work)
        return rows

    async def run(self, operation: Callable[[Context], Operation[T]]) -> T:
        """Run an operation in it; if that fails, nothing of it is done."""

        def work() -> tuple[T, Effects]:
            with borrow(self.connection, self._connection.path) as borrowed:
                return run_inside(borrowed, self._make_context, operation)

        self._check_open()
        value: T
        value, effects = await self._call(work)
        self.effects.merge(effects)
        return value

    async def commit(self) -> None:
        """Make it durable.

        Raises:
            IllegalStateError: The user has ended it himself.
            StoreUnavailableError: It could not be; nothing of it is stored.
        """
        self._check_open()
        await self._call(self._connection.commit)
        self.micros = (time.perf_counter_ns() - self._began) // 1000

    def _check_open(self) -> None:
        if not is_open(self.connection):
            raise IllegalStateError(ENDED)
