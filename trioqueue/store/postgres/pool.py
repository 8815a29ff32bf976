"""A small fair pool for Trio: bounded, health-checked, patient with an absent server.

Borrowers queue in the order in which they came.  A member that comes back goes to the
first of them; while the pool may still grow, the first opens a new one for itself.
Once opening fails, all borrowers share one back-off and one attempt at a time, so that
a server that comes back is not stormed.

Only `Pool.run` works in the background; it is upkeep, and the pool does without.
"""

from __future__ import annotations

import math
from bisect import insort
from collections import deque
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Final, Generic, NoReturn, final

import trio

from trioqueue.errors import StoreClosedError, StoreUnavailableError
from trioqueue.store.postgres.faults import is_transient
from trioqueue.store.postgres.pool_parts import (
    Backoff,
    Borrower,
    Entry,
    PoolStatistics,
    T,
    say_goodbye,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

CONNECT_SECONDS: Final = 10.0
"""How long one attempt to connect may take."""
CHECK_SECONDS: Final = 5.0
"""How long a check may take before its member counts as broken."""
CLOSE_SECONDS: Final = 2.0
"""How long farewells may take before members are killed."""
TRUST_SECONDS: Final = 30.0
"""A member that was idle for longer is checked before it is lent."""
UPKEEP_SECONDS: Final = 10.0
"""How often `Pool.run` looks; it checks what would not be trusted much longer."""
IDLE_SECONDS: Final = 300.0
"""Members idle for longer are closed, all but one."""
_SLOW_ATTEMPT: Final = 1.0


@final
class Pool(Generic[T]):
    """Lends members to one borrower at a time each, and never has more than `size`.

    Args:
        connect: Opens a member.  It raises errors of ours, and must not leak what it
            has half opened when it is canceled.
        size: How many members there may be.
        name: What the members lead to, for error messages; no password in it.
        is_transient: Whether what `connect` raised may pass by itself.  Such errors are
            waited out; others reach the borrower at once.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[T]],
        *,
        size: int,
        name: str = "",
        is_transient: Callable[[Exception], bool] = is_transient,
    ) -> None:
        self._connect = connect
        self._size = size
        self._prefix = f"{name}: " if name else ""
        self._is_transient = is_transient
        self._tickets = count()
        self._waiting: list[Borrower[T]] = []
        self._idle: deque[Entry[T]] = deque()  # the longest idle one comes first
        self._out = 0
        self._connecting = 0
        self._attempts: set[trio.CancelScope] = set()
        self._backoff = Backoff()
        self._closed = False
        self._connects = 0
        self._failures = 0
        self._discarded = 0
        self._longest_wait = 0.0

    @asynccontextmanager
    async def lend(self, *, patience_seconds: float = 10.0) -> AsyncIterator[T]:
        """Lend a member for the length of the block; first come, first served.

        A member that is broken afterwards (``usable`` is false) is thrown away.
        Canceled, it leaves the queue, and has taken nothing.

        Args:
            patience_seconds: How long to wait for a member, in seconds.

        Raises:
            StoreUnavailableError: Patience ran out, with the last reason.
            StoreClosedError: The pool is closed.
            TrioQueueError: What `connect` raised and will not pass by itself.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        began = trio.current_time()
        entry = None
        try:
            with trio.move_on_after(patience_seconds):
                entry = await self._borrow(Borrower(next(self._tickets)))
        finally:
            waited = trio.current_time() - began
            self._longest_wait = max(self._longest_wait, waited)
        if entry is None:
            raise self._out_of_patience(patience_seconds) from self._backoff.reason
        try:
            yield entry.member
        finally:
            entry.idle_since = entry.proven_at = trio.current_time()
            self._put_back(entry)

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Check idle members from time to time, and close those nobody needs.

        Runs until it is canceled.
        """
        task_status.started()
        while True:
            await trio.sleep(UPKEEP_SECONDS)
            await self._close_superfluous()
            await self._check_idle()

    def statistics(self) -> PoolStatistics:
        """Return how the pool is doing."""
        return PoolStatistics(
            size=self._size,
            open=self._out + len(self._idle),
            idle=len(self._idle),
            waiting=len(self._waiting) + self._connecting,
            connects=self._connects,
            failures=self._failures,
            discarded=self._discarded,
            longest_wait_seconds=self._longest_wait,
        )

    def discard_idle(self) -> None:
        """Kill all idle members, e.g. once the server said that it is going away."""
        idle = list(self._idle)
        self._idle.clear()
        self._discarded += len(idle)
        for entry in idle:
            entry.member.kill()
        self._dispatch()

    async def aclose(self) -> None:
        """Close the pool: who waits is refused, lent members die when they come back.

        Takes 2 s at most.  Canceled, it is done all the same.
        """
        self._closed = True
        idle = list(self._idle)
        self._idle.clear()
        for borrower in self._waiting:
            borrower.nap.cancel()
        self._waiting.clear()
        for scope in self._attempts:
            scope.cancel()
        try:
            with trio.move_on_after(CLOSE_SECONDS, shield=True):  # noqa: ASYNC912  nobody may be idle
                for entry in idle:
                    await say_goodbye(entry.member)
        finally:
            for entry in idle:
                entry.member.kill()
        await trio.lowlevel.checkpoint()

    # What follows changes the state without a checkpoint in between, so that the sums
    # are right whenever another task runs.

    def _dispatch(self) -> None:
        """Serve whoever can be served; call it after each change."""
        while self._waiting:
            if self._idle:
                entry = self._idle.pop()
                if not entry.member.usable:
                    self._discard(entry.member)
                    continue
                self._out += 1
                self._serve(entry)
            elif not self._may_grow():
                return
            elif self._backoff.failures == 0 or (
                self._connecting == 0 and trio.current_time() >= self._backoff.retry_at
            ):
                self._connecting += 1
                self._serve(None)
            else:
                if self._connecting == 0:
                    # The first one's alarm: the time of the next attempt.
                    self._waiting[0].nap.deadline = self._backoff.retry_at
                return

    def _may_grow(self) -> bool:
        return len(self._idle) + self._out + self._connecting < self._size

    def _serve(self, entry: Entry[T] | None) -> None:
        borrower = self._waiting.pop(0)
        borrower.served = True
        borrower.entry = entry
        borrower.nap.cancel()

    def _join(self, borrower: Borrower[T]) -> None:
        """Queue, in the place that the borrower's ticket gives."""
        borrower.served = False
        borrower.entry = None
        borrower.nap = trio.CancelScope()
        insort(self._waiting, borrower, key=_ticket)
        self._dispatch()

    def _withdraw(self, borrower: Borrower[T]) -> None:
        """Give up waiting; what was just granted goes to the next."""
        if not borrower.served:
            # A pool that was closed meanwhile has emptied the queue.
            with suppress(ValueError):
                self._waiting.remove(borrower)
            self._dispatch()
        elif borrower.entry is not None:
            self._put_back(borrower.entry)
        else:
            self._connecting -= 1
            self._dispatch()

    def _put_back(self, entry: Entry[T], *, first_to_go: bool = False) -> None:
        """Take back a member that was out, or throw it away."""
        self._out -= 1
        if self._closed:
            entry.member.kill()
        elif not entry.member.usable:
            self._discard(entry.member)
        elif first_to_go:
            self._idle.appendleft(entry)
        else:
            self._idle.append(entry)
        self._dispatch()

    def _discard(self, member: T) -> None:
        """Kill a broken member; the idle ones are suspect now."""
        self._discarded += 1
        for entry in self._idle:
            entry.proven_at = -math.inf
        member.kill()

    async def _borrow(self, borrower: Borrower[T]) -> Entry[T]:
        self._join(borrower)
        while True:
            await self._wait_for_turn(borrower)
            entry = borrower.entry
            if entry is None:
                entry = await self._open()
            elif trio.current_time() - entry.proven_at > TRUST_SECONDS:
                entry = await self._prove(entry)
            if self._closed:
                if entry is not None:
                    self._put_back(entry)
                raise self._is_closed()
            if entry is not None:
                return entry
            self._join(borrower)

    async def _wait_for_turn(self, borrower: Borrower[T]) -> None:  # noqa: ASYNC910  lend and run have checkpoints
        if borrower.served:
            await trio.lowlevel.cancel_shielded_checkpoint()
        while not (borrower.served or self._closed):
            try:
                with borrower.nap:
                    await trio.sleep_forever()
            except BaseException:
                self._withdraw(borrower)
                raise
            if borrower.nap.cancelled_caught and not borrower.served:
                borrower.nap = trio.CancelScope()
                self._dispatch()
        if self._closed:
            self._withdraw(borrower)
            raise self._is_closed()

    async def _open(self) -> Entry[T] | None:
        """Make one attempt to connect; None means that the server is away."""
        began, seen = trio.current_time(), self._backoff.failures
        scope = trio.move_on_after(CONNECT_SECONDS)
        self._attempts.add(scope)
        failure: Exception = StoreUnavailableError(
            f"{self._prefix}the server does not answer"
        )
        member: T | None = None
        try:
            with scope:
                member = await self._connect()
        except Exception as error:
            self._failures += 1
            if not self._is_transient(error):
                self._connecting -= 1
                self._dispatch()
                raise
            failure = error
        except BaseException:
            self._connecting -= 1
            if trio.current_time() - began >= _SLOW_ATTEMPT:
                # Whoever was waiting had less patience than we have here.
                self._failures += 1
                self._backoff.failed(failure, seen)
            self._dispatch()
            raise
        finally:
            self._attempts.discard(scope)
        self._connecting -= 1
        if member is None:
            if scope.cancelled_caught:
                self._failures += 1
            self._backoff.failed(failure, seen)
            return None  # noqa: ASYNC910  lend and run have checkpoints
        self._connects += 1
        self._out += 1
        self._backoff.succeeded()
        self._dispatch()
        now = trio.current_time()
        return Entry(member, now, now)  # noqa: ASYNC910  lend and run have checkpoints

    async def _prove(self, entry: Entry[T]) -> Entry[T] | None:
        """Check a member that is out; None means that it was broken and is gone."""
        proven = False
        try:
            with trio.move_on_after(CHECK_SECONDS) as scope, suppress(Exception):
                await entry.member.check()
                proven = entry.member.usable
        except BaseException:
            self._put_back(entry)
            raise
        if proven:
            entry.proven_at = trio.current_time()
            return entry  # noqa: ASYNC910  lend and run have checkpoints
        self._out -= 1
        self._discard(entry.member)
        if scope.cancelled_caught:
            self.discard_idle()  # to wait as long for each would wear patience out
        return None  # noqa: ASYNC910  lend and run have checkpoints

    async def _check_idle(self) -> None:  # noqa: ASYNC910  lend and run have checkpoints
        now = trio.current_time()
        for entry in list(self._idle):
            aging = now - entry.proven_at > TRUST_SECONDS - UPKEEP_SECONDS
            if aging and entry in self._idle:
                self._idle.remove(entry)
                self._out += 1
                if await self._prove(entry) is None:
                    self._dispatch()
                else:
                    self._put_back(entry, first_to_go=True)

    async def _close_superfluous(self) -> None:  # noqa: ASYNC910  lend and run have checkpoints
        while (
            self._idle
            and self._out + len(self._idle) > 1
            and trio.current_time() - self._idle[0].idle_since > IDLE_SECONDS
        ):
            entry = self._idle.popleft()
            self._out += 1
            try:
                with trio.move_on_after(CLOSE_SECONDS):
                    await say_goodbye(entry.member)
            finally:
                self._out -= 1
                entry.member.kill()
                self._dispatch()

    def _is_closed(self) -> StoreClosedError:
        return StoreClosedError(f"{self._prefix}the store was closed meanwhile")

    def _out_of_patience(self, patience: float) -> StoreUnavailableError:
        if self._backoff.reason is not None:
            return StoreUnavailableError(
                f"{self._backoff.reason} (tried for {patience:g} s)"
            )
        if self._out + len(self._idle) < self._size:
            return StoreUnavailableError(
                f"{self._prefix}the server did not answer within {patience:g} s"
            )
        return StoreUnavailableError(
            f"{self._prefix}all {self._size} connections were in use for "
            f"{patience:g} s; do less at once, or raise the size of the pool"
        )


def _ticket(borrower: Borrower[T]) -> int:
    return borrower.ticket
