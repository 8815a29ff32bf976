"""The executor for virtual time: one connection, which is waited on in place.

Under an autojump clock a task that waits for a socket looks idle, and time leaps while
the server works (trio#456).  So nothing here yields to the loop once it has begun, and
simulated runs are exact.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar, final

import psycopg
import trio

from trioqueue.errors import StoreClosedError, StoreUnavailableError
from trioqueue.metrics.meters import Meters
from trioqueue.store.postgres.executor import ExecutorStatistics, read_with
from trioqueue.store.postgres.faults import translate
from trioqueue.store.postgres.group import ConnectionLostError, run_group
from trioqueue.store.requests import Request, name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trioqueue.store.operations.core import Context, Effects, Failure, Operation
    from trioqueue.store.postgres.session import Session
    from trioqueue.store.requests import ContextMaker

T = TypeVar("T")
ItemT = TypeVar("ItemT")


@final
class InlinePostgresExecutor:
    """Runs operations on one blocking connection, one transaction each."""

    def __init__(
        self,
        session: Session,
        make_context: ContextMaker,
        announce: Callable[[Effects], None],
        meters: Meters | None = None,
    ) -> None:
        self._session = session
        self._make_context = make_context
        self._announce = announce
        self._meters = Meters() if meters is None else meters
        self._lock = trio.Lock()
        self._closed = False
        self._transactions = 0

    async def batch(
        self,
        operation: Callable[[Context, Sequence[ItemT]], Operation[list[T | Failure]]],
        items: Sequence[ItemT],
        *,
        relaxed: bool = False,
    ) -> list[T | Failure]:
        """Run a batch operation by itself."""
        answers: list[T | Failure] = await self._run(Request(operation, items))
        return answers

    async def write(self, operation: Callable[[Context], Operation[T]]) -> T:
        """Run an operation that writes."""
        answer: T = await self._run(Request(operation))
        return answer

    async def read(self, operation: Callable[[], Operation[T]]) -> T:
        """Run an operation that only reads."""
        # The lock's checkpoint is the one place where cancellation may strike.
        async with self._lock:
            self._check_open()
            began = time.perf_counter_ns()
            try:
                answer = await read_with(self._session, operation)
            except psycopg.Error as error:
                raise translate(error, "PostgreSQL") from error

        micros = (time.perf_counter_ns() - began) // 1000
        self._meters.read(name_of(operation), micros)
        return answer

    async def _run(self, request: Request) -> Any:
        async with self._lock:
            self._check_open()
            began = time.perf_counter_ns()
            try:
                effects = await run_group(self._session, [request], self._make_context)
            except ConnectionLostError as lost:
                message = "the connection was lost; a simulated run cannot go on"
                raise StoreUnavailableError(message) from lost.__cause__
        micros = (time.perf_counter_ns() - began) // 1000
        self._meters.wrote(effects, "write", micros, 1)
        self._transactions += 1
        self._announce(effects)
        assert request.outcome is not None  # noqa: S101  run_group sets every outcome
        return request.outcome.unwrap()

    def _check_open(self) -> None:
        if self._closed:
            message = "the store is closed"
            raise StoreClosedError(message)

    @property
    def sees_every_change(self) -> bool:
        """In virtual time nobody else is supposed to write."""
        return True

    def statistics(self) -> ExecutorStatistics:
        """Return what it has done so far."""
        count = self._transactions
        return ExecutorStatistics(count, count, min(count, 1), 0, None)

    async def aclose(self) -> None:
        """Close the connection."""
        await trio.lowlevel.cancel_shielded_checkpoint()
        self._closed = True
        self._session.kill()
