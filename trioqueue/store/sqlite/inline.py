"""The executor for virtual time: one connection, used on the Trio thread itself.

Under an autojump clock a thread looks like idleness, and time leaps while it works
(trio#456).  Work done inline never leaves the loop idle, so simulated runs are exact.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

import trio

from trioqueue.errors import StoreClosedError, StoreUnavailableError
from trioqueue.metrics.catalogue import BUSY
from trioqueue.store.foreign import ForeignWork
from trioqueue.store.requests import Request, name_of
from trioqueue.store.sqlite.group import run_group
from trioqueue.store.sqlite.patience import try_until
from trioqueue.store.sqlite.writer import WriterStatistics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trioqueue.metrics.meters import Meters
    from trioqueue.store.operations.core import (
        Context,
        Effects,
        Failure,
        Operation,
    )
    from trioqueue.store.requests import ContextMaker
    from trioqueue.store.sqlite.connection import Connection

T = TypeVar("T")
ItemT = TypeVar("ItemT")

PATIENCE_SECONDS: Final = 10.0
"""Real seconds that a simulated run waits for a foreign process's lock."""
LOCKED_SECONDS: Final = 0.05
"""How often a lock is tried that a transaction of the same run holds."""


async def begin_in_virtual_time(  # noqa: ASYNC910  the caller has made a checkpoint
    connection: Connection, begin: Callable[[], bool], foreign: ForeignWork
) -> None:
    """Take the write lock, which somebody else holds.

    Args:
        connection: What is to hold it.
        begin: Tries to take it; says whether it could.
        foreign: The transactions of this run that may hold it.

    Raises:
        StoreUnavailableError: Another process does not let it go.
    """
    while foreign.any_open:
        # Whoever holds it goes on only while we sleep.
        await trio.sleep(LOCKED_SECONDS)
        if begin():
            return
    # Waiting blocks the loop, on purpose: this is real time, not the run's.
    if not try_until(begin, patience=PATIENCE_SECONDS):
        message = (
            f"{connection.path}: another process holds the write lock; "
            "a simulated run cannot wait for it"
        )
        raise StoreUnavailableError(message)


@final
class InlineExecutor:
    """Runs operations on the Trio thread, one transaction each."""

    def __init__(
        self,
        connection: Connection,
        make_context: ContextMaker,
        announce: Callable[[Effects], None],
        meters: Meters,
        foreign: ForeignWork | None = None,
    ) -> None:
        self._foreign = ForeignWork() if foreign is None else foreign
        self._connection = connection
        self._make_context = make_context
        self._announce = announce
        self._meters = meters
        self._closed = False
        self._transactions = self._busy = 0

    @property
    def sees_every_change(self) -> bool:
        """In virtual time nobody else is supposed to write."""
        return True

    async def batch(
        self,
        operation: Callable[[Context, Sequence[ItemT]], Operation[list[T | Failure]]],
        items: Sequence[ItemT],
        *,
        relaxed: bool = False,
    ) -> list[T | Failure]:
        """Run a batch operation."""
        answers: list[T | Failure] = await self._run(Request(operation, items))
        return answers

    async def write(self, operation: Callable[[Context], Operation[T]]) -> T:
        """Run an operation that writes."""
        answer: T = await self._run(Request(operation))
        return answer

    async def read(self, operation: Callable[[], Operation[T]]) -> T:
        """Run an operation that only reads."""
        await trio.lowlevel.checkpoint()
        self._check_open()
        began = time.perf_counter_ns()
        self._connection.statement("BEGIN")
        try:
            answer = self._connection.drive(operation())
        finally:
            self._connection.rollback()
        micros = (time.perf_counter_ns() - began) // 1000
        self._meters.read(name_of(operation), micros)
        return answer

    async def _run(self, request: Request) -> Any:
        # The one place where cancellation may strike: nothing has begun.
        await trio.lowlevel.checkpoint()
        self._check_open()
        if not self._begin():
            await begin_in_virtual_time(self._connection, self._begin, self._foreign)
        began = time.perf_counter_ns()
        effects = run_group(self._connection, [request], self._make_context)
        micros = (time.perf_counter_ns() - began) // 1000
        self._meters.wrote(effects, "write", micros, 1)
        self._transactions += 1
        self._announce(effects)
        assert request.outcome is not None  # noqa: S101  run_group sets every outcome
        return request.outcome.unwrap()

    def _begin(self) -> bool:
        self._check_open()
        self._foreign.check_free()
        begun = self._connection.begin_write()
        if not begun:
            self._busy += 1
            self._meters.count(BUSY)
        return begun

    def _check_open(self) -> None:
        if self._closed:
            message = "the store is closed"
            raise StoreClosedError(message)

    def statistics(self) -> WriterStatistics:
        """Return what it has done so far."""
        count = self._transactions
        return WriterStatistics(count, count, min(count, 1), self._busy, 0)

    async def aclose(self) -> None:
        """Close the connection."""
        await trio.lowlevel.cancel_shielded_checkpoint()
        if not self._closed:
            self._closed = True
            self._connection.close()
