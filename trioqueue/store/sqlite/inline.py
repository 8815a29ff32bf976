"""The executor for virtual time: one connection, used on the Trio thread itself.

Under an autojump clock a thread looks like idleness, and time leaps while it works
(trio#456).  Work done inline never leaves the loop idle, so simulated runs are exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, final

import trio

from trioqueue.errors import StoreClosedError, StoreUnavailableError
from trioqueue.store.requests import Request
from trioqueue.store.sqlite.group import run_group
from trioqueue.store.sqlite.patience import try_until
from trioqueue.store.sqlite.writer import WriterStatistics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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


@final
class InlineExecutor:
    """Runs operations on the Trio thread, one transaction each."""

    def __init__(
        self,
        connection: Connection,
        make_context: ContextMaker,
        announce: Callable[[Effects], None],
    ) -> None:
        self._connection = connection
        self._make_context = make_context
        self._announce = announce
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
        self._connection.statement("BEGIN")
        try:
            return self._connection.drive(operation())
        finally:
            self._connection.rollback()

    async def _run(self, request: Request) -> Any:
        # The one place where cancellation may strike: nothing has begun.
        await trio.lowlevel.checkpoint()
        self._check_open()
        # Waiting blocks the loop, on purpose: this is real time, not the run's.
        if not try_until(self._begin, patience=PATIENCE_SECONDS):
            message = (
                f"{self._connection.path}: another process holds the write lock; "
                "a simulated run cannot wait for it"
            )
            raise StoreUnavailableError(message)
        effects = run_group(self._connection, [request], self._make_context)
        self._transactions += 1
        self._announce(effects)
        assert request.outcome is not None  # noqa: S101  run_group sets every outcome
        return request.outcome.unwrap()

    def _begin(self) -> bool:
        begun = self._connection.begin_write()
        self._busy += not begun
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
