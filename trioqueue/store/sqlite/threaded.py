"""The executor for real time: a writer thread, and readers that never wait for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar, final

import trio

from trioqueue.errors import StoreClosedError
from trioqueue.store.foreign import ForeignWork
from trioqueue.store.operations.core import Context
from trioqueue.store.requests import Request, name_of
from trioqueue.store.sqlite.connection import (
    MEMORY,
    Connection,
    open_connection,
)
from trioqueue.store.sqlite.writer import WriterThread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trioqueue.metrics.meters import Meters
    from trioqueue.store.operations.core import Effects, Failure, Operation
    from trioqueue.store.requests import ContextMaker
    from trioqueue.store.sqlite.connection import Durability
    from trioqueue.store.sqlite.writer import WriterStatistics

T = TypeVar("T")
ItemT = TypeVar("ItemT")

READERS: Final = 4
"""Reads that may run at once; more would only share the same two disks and cores."""


@final
class ThreadedExecutor:
    """Runs operations on a database file from worker threads.

    A database in memory has one connection only, so its reads go through the writer.
    """

    def __init__(
        self,
        connection: Connection,
        durability: Durability,
        make_context: ContextMaker,
        announce: Callable[[Effects], None],
        meters: Meters,
        *,
        foreign: ForeignWork | None = None,
    ) -> None:
        self._foreign = ForeignWork() if foreign is None else foreign
        self._path = connection.path
        self._durability: Durability = durability
        self._writer = WriterThread(connection, make_context, announce, meters)
        self._limiter = trio.CapacityLimiter(READERS)
        self._idle_readers: list[Connection] = []
        self._meters = meters
        self._closed = False

    @property
    def sees_every_change(self) -> bool:
        """Other processes may write to a file; nobody else sees a memory database."""
        return self._path == MEMORY

    async def batch(
        self,
        operation: Callable[[Context, Sequence[ItemT]], Operation[list[T | Failure]]],
        items: Sequence[ItemT],
        *,
        relaxed: bool = False,
    ) -> list[T | Failure]:
        """Run a batch operation together with whoever else asks for it."""
        self._foreign.check_free()
        answers: list[T | Failure] = await self._writer.submit(
            Request(operation, items)
        )
        return answers

    async def write(self, operation: Callable[[Context], Operation[T]]) -> T:
        """Run an operation that writes, in the next group."""
        self._foreign.check_free()
        answer: T = await self._writer.submit(Request(operation))
        return answer

    async def read(self, operation: Callable[[], Operation[T]]) -> T:
        """Run an operation in a read transaction, beside whatever is being written."""
        if self._path == MEMORY:

            def look(_: Context) -> Operation[T]:
                return operation()

            look.__name__ = name_of(operation)
            return await self.write(look)
        if self._closed:
            message = "the store is closed"
            raise StoreClosedError(message)
        answer, micros = await trio.to_thread.run_sync(
            self._read, operation, limiter=self._limiter
        )
        self._meters.read(name_of(operation), micros)
        return answer

    def _read(self, operation: Callable[[], Operation[T]]) -> tuple[T, int]:
        try:
            reader = self._idle_readers.pop()
        except IndexError:
            reader = open_connection(self._path, self._durability, reader=True)
        try:
            began = time.perf_counter_ns()
            reader.statement("BEGIN")
            try:
                answer = reader.drive(operation())
                return answer, (time.perf_counter_ns() - began) // 1000
            finally:
                reader.rollback()
        finally:
            if self._closed:
                reader.close()
            else:
                self._idle_readers.append(reader)

    def statistics(self) -> WriterStatistics:
        """Return what the writer has done so far."""
        return self._writer.statistics()

    async def aclose(self) -> None:
        """Finish the transaction in hand and close every connection."""
        self._closed = True
        while self._idle_readers:
            self._idle_readers.pop().close()
        await self._writer.aclose()
