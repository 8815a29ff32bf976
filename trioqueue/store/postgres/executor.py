"""The executor for real time: a few lanes, each with a transaction of its own.

Callers hand their requests over and sleep.  A lane that has a connection takes every
request that waits, runs them as one group, commits, and wakes their tasks.  A request
that has not been taken can be canceled and leaves no trace; one that has been taken is
answered after its commit.  A lane whose connection is lost before that gives the
requests back, and goes on with another connection.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar, final

import attrs
import psycopg
import trio
from outcome import Error

from trioqueue.errors import (
    StoreClosedError,
    StoreUnavailableError,
    TrioQueueError,
)
from trioqueue.metrics.catalogue import CONNECTIONS_LOST
from trioqueue.store.postgres.faults import translate
from trioqueue.store.postgres.group import ConnectionLostError, run_group
from trioqueue.store.requests import Request, name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trioqueue.metrics.meters import Meters
    from trioqueue.store.operations.core import Context, Effects, Failure, Operation
    from trioqueue.store.postgres.pool import Pool
    from trioqueue.store.postgres.pool_parts import PoolStatistics
    from trioqueue.store.postgres.session import Session
    from trioqueue.store.requests import ContextMaker

T = TypeVar("T")
ItemT = TypeVar("ItemT")

LANES: Final = 2
"""Transactions of this process that write at once: one commits, one gathers."""
GROUP_LIMIT: Final = 1000
"""Most requests in one transaction."""
TRIES: Final = 3
"""How often work is begun again after its connection was lost."""
CLOSE_SECONDS: Final = 30.0
"""How long closing waits for transactions that have begun."""


@final
@attrs.frozen
class ExecutorStatistics:
    """What the executor has done so far.

    Attributes:
        transactions: Groups committed.
        requests: Requests served.
        largest_group: Most requests in one group.
        lost: How often a connection was lost with work in it.
        pool: How the connections are doing; None where there is but one.
    """

    transactions: int
    requests: int
    largest_group: int
    lost: int
    pool: PoolStatistics | None


@final
class PostgresExecutor:
    """Runs operations over a pool of connections."""

    def __init__(
        self,
        pool: Pool[Session],
        make_context: ContextMaker,
        announce: Callable[[Effects], None],
        meters: Meters,
    ) -> None:
        self._pool = pool
        self._make_context = make_context
        self._announce = announce
        self._meters = meters
        self._strict = _Waiting()
        self._relaxed = _Waiting()
        self._closing = False
        self._scope = trio.CancelScope(shield=True)
        self._busy = 0
        self._idle = trio.Event()
        self._transactions = self._requests = self._largest = self._lost = 0

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve requests until `aclose`.

        Cancellation from outside is not enough, once it has started: it strikes callers
        too, and what they do about it in a shielded scope needs us.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    for _ in range(LANES):
                        nursery.start_soon(self._serve, self._strict, False)  # noqa: FBT003
                    nursery.start_soon(self._serve, self._relaxed, True)  # noqa: FBT003
                    task_status.started()
                    await trio.sleep_forever()
        finally:
            self._refuse("the store was closed before this call was begun")

    async def batch(
        self,
        operation: Callable[[Context, Sequence[ItemT]], Operation[list[T | Failure]]],
        items: Sequence[ItemT],
        *,
        relaxed: bool = False,
    ) -> list[T | Failure]:
        """Run a batch operation together with whoever else asks for it."""
        waiting = self._relaxed if relaxed else self._strict
        answers: list[T | Failure] = await self._submit(
            waiting, Request(operation, items)
        )
        return answers

    async def write(self, operation: Callable[[Context], Operation[T]]) -> T:
        """Run an operation that writes, in the next group."""
        answer: T = await self._submit(self._strict, Request(operation))
        return answer

    async def _submit(self, waiting: _Waiting, request: Request) -> Any:
        self._check_open()
        return await waiting.submit(request)

    def _check_open(self) -> None:
        if self._closing:
            message = "the store is closed"
            raise StoreClosedError(message)

    async def read(self, operation: Callable[[], Operation[T]]) -> T:
        """Run an operation in a read transaction, beside whatever is being written."""
        self._check_open()
        tries = 0
        while True:
            async with self._pool.lend() as session:
                began = time.perf_counter_ns()
                try:
                    answer = await read_with(session, operation)
                except psycopg.Error as error:
                    tries += 1
                    self._look_after(session)
                    if not session.lost or tries == TRIES:
                        raise translate(error, "PostgreSQL", changes=False) from error
                else:
                    micros = (time.perf_counter_ns() - began) // 1000
                    self._meters.read(name_of(operation), micros)
                    return answer

    async def _serve(self, waiting: _Waiting, relaxed: bool) -> NoReturn:  # noqa: FBT001
        while True:
            seen = await waiting.any_there()
            try:
                async with self._pool.lend() as session:
                    await self._serve_with(session, waiting, relaxed=relaxed)
            except TrioQueueError as error:
                # Whoever came later has patience left.
                waiting.answer(seen, error)

    async def _serve_with(
        self, session: Session, waiting: _Waiting, *, relaxed: bool
    ) -> None:
        """Serve as long as there is work and the connection lasts."""
        while session.usable and (requests := waiting.take(GROUP_LIMIT)):
            self._busy += 1
            began = time.perf_counter_ns()
            try:
                effects = await run_group(
                    session, requests, self._make_context, relaxed=relaxed
                )
            except ConnectionLostError as lost:
                effects = lost.effects
                _give_up(requests, lost)
            except BaseException:
                message = "the store was closed before this was committed"
                for request in requests:
                    request.outcome = request.outcome or Error(
                        StoreClosedError(message)
                    )
                waiting.deliver(requests)
                raise
            finally:
                self._busy -= 1
                if not self._busy:
                    self._idle.set()
            self._look_after(session)
            micros = (time.perf_counter_ns() - began) // 1000
            kind = "relaxed" if relaxed else "write"
            self._meters.wrote(effects, kind, micros, len(requests))
            self._transactions += 1
            self._requests += len(requests)
            self._largest = max(self._largest, len(requests))
            waiting.deliver(requests)
            self._announce(effects)

    def _look_after(self, session: Session) -> None:
        """Let no one try what was lost with a connection that work was lost with.

        Most likely the server or the network went, and idle connections went, too.  To
        check each could take long: one that is cut off silently does not say so.
        """
        if session.lost:
            self._lost += 1
            self._meters.count(CONNECTIONS_LOST)
            self._pool.discard_idle()

    @property
    def sees_every_change(self) -> bool:
        """Other processes write, too."""
        return False

    def statistics(self) -> ExecutorStatistics:
        """Return what it has done so far."""
        return ExecutorStatistics(
            self._transactions,
            self._requests,
            self._largest,
            self._lost,
            self._pool.statistics(),
        )

    async def aclose(self) -> None:
        """Finish the transactions in hand; what has not begun fails."""
        message = "the store was closed before this call was begun"
        self._refuse(message)
        with trio.move_on_after(CLOSE_SECONDS, shield=True):
            await trio.lowlevel.checkpoint()
            while self._busy:
                self._idle = trio.Event()
                await self._idle.wait()
        self._refuse(message)
        self._scope.cancel(reason="the store is closing")

    def _refuse(self, message: str) -> None:
        self._closing = True
        for waiting in (self._strict, self._relaxed):
            waiting.answer_all(StoreClosedError(message))


def _give_up(requests: Sequence[Request], lost: ConnectionLostError) -> None:
    """Fail those whose connection was lost again and again."""
    for request in requests:
        request.tries += 1
        if request.outcome is None and request.tries >= TRIES:
            message = f"the connection to the database was lost {TRIES} times in a row"
            failure = StoreUnavailableError(message)
            failure.__cause__ = lost.__cause__
            request.outcome = Error(failure)


async def read_with(session: Session, operation: Callable[[], Operation[T]]) -> T:
    """Run an operation in a read transaction of a session."""
    session.begin_read()
    try:
        answer = await session.drive(operation())
        await session.commit()
    except BaseException:
        await session.rollback()
        raise
    return answer


@final
class _Waiting:
    """Requests that no lane has taken yet."""

    def __init__(self) -> None:
        self._requests: list[Request] = []
        self._lanes = trio.lowlevel.ParkingLot()

    async def submit(self, request: Request) -> Any:
        """Sleep until a request is answered.

        Cancellation takes effect until its transaction begins.
        """
        request.task = trio.lowlevel.current_task()
        self._requests.append(request)
        if self._lanes:
            self._lanes.unpark()

        def abort(_: Callable[[], Any]) -> trio.lowlevel.Abort:
            if request.taken:
                return trio.lowlevel.Abort.FAILED
            self._requests.remove(request)
            return trio.lowlevel.Abort.SUCCEEDED

        return await trio.lowlevel.wait_task_rescheduled(abort)

    async def any_there(self) -> list[Request]:
        """Sleep until there is something to take; return all that is."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._requests:
            await self._lanes.park()
        return list(self._requests)

    def take(self, most: int) -> list[Request]:
        """Take what waits longest."""
        taken = self._requests[:most]
        del self._requests[:most]
        for request in taken:
            request.taken = True
        return taken

    def deliver(self, requests: Sequence[Request]) -> None:
        """Wake those who have their answer; the others wait again, first in line."""
        again = []
        for request in requests:
            if request.outcome is None:
                request.taken = False
                again.append(request)
            elif request.task is not None:
                trio.lowlevel.reschedule(request.task, request.outcome)
        if again:
            self._requests[:0] = again
            self._lanes.unpark()

    def answer_all(self, error: Exception) -> None:
        """Fail whatever waits."""
        self.answer(list(self._requests), error)

    def answer(self, requests: Sequence[Request], error: Exception) -> None:
        """Fail those of some requests that still wait."""
        there = set(requests).intersection(self._requests)
        taken = [request for request in self._requests if request in there]
        self._requests = [r for r in self._requests if r not in there]
        for request in taken:
            request.taken = True
            request.outcome = Error(error)
        self.deliver(taken)
