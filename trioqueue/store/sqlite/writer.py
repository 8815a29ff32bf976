"""The thread that writes: it commits whatever has gathered, in one transaction.

Trio tasks hand their requests over and sleep; the thread takes the write lock, *then*
takes every request that waits, runs them as one group, commits, and wakes their tasks
with one call into the Trio loop.  A request that has not been taken can be canceled and
leaves no trace; one that has been taken is answered after its commit.
"""

from __future__ import annotations

import logging
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, final

import attrs
import trio
from outcome import Error

from trioqueue.errors import StoreClosedError
from trioqueue.metrics.catalogue import BUSY
from trioqueue.store.operations.core import Effects
from trioqueue.store.requests import Request
from trioqueue.store.sqlite.group import run_group
from trioqueue.store.sqlite.patience import retry_pause

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trioqueue.metrics.meters import Meters
    from trioqueue.store.requests import ContextMaker
    from trioqueue.store.sqlite.connection import Connection

logger: Final = logging.getLogger("trioqueue.sqlite")

GROUP_LIMIT: Final = 2000
"""Most requests in one transaction: bounds how long other processes wait."""
IDLE_SECONDS: Final = 0.1
"""How long the thread is idle before it checkpoints what it has written."""
CLOSE_SECONDS: Final = 30.0
"""How long closing waits for a transaction that is being committed."""


@final
@attrs.frozen
class WriterStatistics:
    """What the writer has done so far.

    Attributes:
        transactions: Groups committed.
        requests: Requests served.
        largest_group: Most requests in one group.
        busy_retries: How often another process held the lock.
        checkpoints: Planned checkpoints of the write-ahead log.
    """

    transactions: int
    requests: int
    largest_group: int
    busy_retries: int
    checkpoints: int


@final
class WriterThread:
    """Owns the connection that writes; made and closed on the Trio thread."""

    def __init__(
        self,
        connection: Connection,
        make_context: ContextMaker,
        announce: Callable[[Effects], None],
        meters: Meters,
    ) -> None:
        self._connection = connection
        self._make_context = make_context
        self._announce = announce
        self._meters = meters
        self._token = trio.lowlevel.current_trio_token()
        self._lock = threading.Lock()
        self._waiting: list[Request] = []
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._asleep = False
        self._closing = False
        self._ended = trio.Event()
        self._transactions = self._requests = self._largest = 0
        self._busy = self._busy_told = self._checkpoints = 0
        self._thread = threading.Thread(
            target=self._run, name=f"trioqueue writer {connection.path}", daemon=True
        )
        self._thread.start()

    async def submit(self, request: Request) -> Any:
        """Hand a request over and sleep until it is committed; return its answer.

        Cancellation takes effect until the request's transaction begins; from then on
        the answer comes within that transaction's time.
        """
        request.task = trio.lowlevel.current_task()
        with self._lock:
            if self._closing:
                message = "the store is closed"
                raise StoreClosedError(message)
            self._waiting.append(request)
            if self._asleep:
                self._asleep = False
                self._wake.put(None)

        def abort(_: Callable[[], Any]) -> trio.lowlevel.Abort:
            with self._lock:
                if request.taken:
                    return trio.lowlevel.Abort.FAILED
                self._waiting.remove(request)
            return trio.lowlevel.Abort.SUCCEEDED

        return await trio.lowlevel.wait_task_rescheduled(abort)

    async def aclose(self) -> None:
        """End the thread; requests that it has not taken fail with StoreClosedError."""
        with self._lock:
            self._closing = True
        self._wake.put(None)
        with trio.move_on_after(CLOSE_SECONDS, shield=True):
            await self._ended.wait()

    def statistics(self) -> WriterStatistics:
        """Return what the writer has done so far."""
        return WriterStatistics(
            self._transactions,
            self._requests,
            self._largest,
            self._busy,
            self._checkpoints,
        )

    def _run(self) -> None:
        dirty = False
        try:
            while not self._closing:
                if not self._waiting and self._sleep(IDLE_SECONDS if dirty else None):
                    self._checkpoint("PASSIVE")
                    dirty = False
                if self._begin():
                    self._serve(self._take())
                    dirty = True
        finally:
            self._end()

    def _sleep(self, seconds: float | None) -> bool:
        """Sleep until there is work; True if it was too long."""
        with self._lock:
            if self._waiting or self._closing:
                return False
            self._asleep = True
        try:
            self._wake.get(timeout=seconds)
        except Empty:
            return True
        return False

    def _begin(self) -> bool:
        """Take the write lock; False if nobody waits for it any more."""
        waited = 0.0
        while not self._closing and self._waiting:
            try:
                if self._connection.begin_write():
                    return True
            except Exception as error:  # noqa: BLE001  it is every caller's answer
                self._answer_all(error)
                return False
            self._busy += 1
            time.sleep(step := retry_pause(waited))
            waited += step
        return False

    def _take(self) -> list[Request]:
        with self._lock:
            taken = self._waiting[:GROUP_LIMIT]
            del self._waiting[:GROUP_LIMIT]
            for request in taken:
                request.taken = True
        return taken

    def _serve(self, requests: list[Request]) -> None:
        if not requests:
            self._connection.rollback()
            return
        began = time.perf_counter_ns()
        try:
            effects = run_group(self._connection, requests, self._make_context)
        except Exception as error:
            logger.exception("the writer failed; its callers are told")
            effects = Effects()
            for request in requests:
                request.outcome = request.outcome or Error(error)
            if self._connection.in_transaction:
                self._connection.rollback()
        self._transactions += 1
        self._requests += len(requests)
        self._largest = max(self._largest, len(requests))
        micros = (time.perf_counter_ns() - began) // 1000
        self._deliver(requests, effects, micros)

    def _answer_all(self, error: Exception) -> None:
        requests = self._take()
        for request in requests:
            request.outcome = Error(error)
        self._deliver(requests, Effects())

    def _deliver(
        self, requests: Sequence[Request], effects: Effects, micros: int | None = None
    ) -> None:
        """Wake those who wait; a transaction was run if it has a length."""
        if self._busy > self._busy_told:
            effects.count(BUSY, "", n=self._busy - self._busy_told)
            self._busy_told = self._busy

        def wake() -> None:
            if micros is not None:
                self._meters.wrote(effects, "write", micros, len(requests))
            for request in requests:
                if request.task is not None and request.outcome is not None:
                    trio.lowlevel.reschedule(request.task, request.outcome)
            self._announce(effects)

        try:
            self._token.run_sync_soon(wake)
        except trio.RunFinishedError:  # pragma: no cover  nobody is left to tell
            logger.debug("the Trio run ended before its last answers")

    def _checkpoint(self, mode: str) -> None:
        try:
            self._connection.statement(f"PRAGMA wal_checkpoint({mode})")
            self._checkpoints += 1
        except Exception as error:  # noqa: BLE001  the next one may succeed
            logger.debug("checkpoint did not run: %s", error)

    def _end(self) -> None:
        message = "the store was closed before this call was begun"
        self._answer_all(StoreClosedError(message))
        self._checkpoint("TRUNCATE")
        self._connection.close()
        try:
            self._token.run_sync_soon(self._ended.set)
        except trio.RunFinishedError:  # pragma: no cover  nobody is left to tell
            logger.debug("the Trio run ended before the writer")
