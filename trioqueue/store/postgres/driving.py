"""Running psycopg's generators to their end, on Trio or in place.

A generator says what it waits for, and is sent what came true.  Sent None it asks
again, so one that was interrupted can be run on.
"""

from __future__ import annotations

import itertools
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar, final

import psycopg
import trio
from psycopg import generators, pq, waiting

from trioqueue.store.postgres.readiness import READ, ready_now, until_ready

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg.abc import PQGen, PQGenConn
    from psycopg.pq.abc import PGconn, PGresult

T = TypeVar("T")

STRIDE: Final = 32
"""How many waits may end at once before the other tasks have their turn."""

# Plain numbers, for the hot path: members of enumerations compare ten times slower.
BAD: Final = int(pq.ConnStatus.BAD)
_FATAL_ERROR: Final = int(pq.ExecStatus.FATAL_ERROR)
_SYNC: Final = int(pq.ExecStatus.PIPELINE_SYNC)
_COPY_IN: Final = int(pq.ExecStatus.COPY_IN)
_COPY_OUT: Final = int(pq.ExecStatus.COPY_OUT)

_strides = itertools.count(1)


@final
class Turns:
    """A `trio.Lock` that does not yield to the loop unless somebody else has it."""

    def __init__(self) -> None:
        self._lock = trio.Lock()

    async def __aenter__(self) -> None:  # noqa: ASYNC910  waiting is left to who uses it
        try:
            self._lock.acquire_nowait()
        except trio.WouldBlock:
            await self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()


async def drive(pgconn: PGconn, gen: PQGen[T]) -> T:
    """Run a generator to its end; raises `psycopg.OperationalError` once closed."""
    fd = pgconn.socket
    try:
        wanted: int = next(gen)
        while True:
            try:
                if wanted == READ:
                    await trio.lowlevel.wait_readable(fd)
                    ready = READ
                elif ready := ready_now(fd, wanted):
                    await _stride()
                else:
                    ready = await until_ready(fd, wanted)
            except (trio.ClosedResourceError, OSError):
                raise psycopg.OperationalError("the connection was closed") from None
            if pgconn.status == BAD:
                # Sent on with a connection that is gone, it would read freed memory.
                raise psycopg.OperationalError("the connection was closed")
            wanted = gen.send(ready)
    except StopIteration as end:
        value: T = end.value
    await _stride()
    return value


async def _stride() -> None:  # noqa: ASYNC910  waiting is left to who uses it
    # Sockets can nearly always be written: long copies would never let others run.
    if next(_strides) % STRIDE == 0:
        await trio.lowlevel.cancel_shielded_checkpoint()


def drive_in_place(pgconn: PGconn, gen: PQGen[T], seconds: float | None = None) -> T:
    """Run a generator to its end while everything else waits.

    Raises `TimeoutError` after so many seconds.
    """
    fd = pgconn.socket
    left = _countdown(seconds)
    try:
        wanted = next(gen)
        while True:
            wanted = gen.send(_ready_in_place(fd, wanted, left()))
    except StopIteration as end:
        value: T = end.value
        return value


async def drive_apart(gen: PQGenConn[T], seconds: float | None, *, blocking: bool) -> T:
    """Run a generator that has a socket of its own: it connects, or cancels.

    Raises `TimeoutError` after so many seconds.  Canceled, it closes the socket.
    """
    left = _countdown(seconds)
    scope = trio.CancelScope()
    if seconds is not None and not blocking:
        scope.relative_deadline = seconds
    try:
        with scope:
            fd, wanted = next(gen)
            while True:  # noqa: ASYNC913  in place, with a deadline
                if blocking:
                    ready = _ready_in_place(fd, wanted, left())
                else:
                    ready = await until_ready(fd, wanted)
                fd, wanted = gen.send(ready)
    except StopIteration as end:
        value: T = end.value
        return value  # noqa: ASYNC910  waiting is left to who uses it
    finally:
        gen.close()
    raise TimeoutError


def _countdown(seconds: float | None) -> Callable[[], float | None]:
    if seconds is None:
        return lambda: None
    deadline = time.monotonic() + seconds
    return lambda: max(0.0, deadline - time.monotonic())


def _ready_in_place(fd: int, wanted: int, seconds: float | None) -> int:
    ready = ready_now(fd, wanted, seconds)
    if not ready:
        raise TimeoutError
    return ready


def answers(pgconn: PGconn, count: int, syncs: int = 1) -> PQGen[list[PGresult]]:
    """Send what is queued in pipeline mode; return its results, up to the last sync.

    Raises `psycopg.OperationalError` if the connection is lost.
    """
    results: list[PGresult] = []
    try:
        yield from _speak(pgconn)
        while syncs:
            while not (yield waiting.WAIT_R):
                pass
            pgconn.consume_input()
            while syncs and _take_results(pgconn, results):
                syncs -= 1
    except psycopg.OperationalError:
        if results and results[-1].status == _FATAL_ERROR:
            # The server said why, in its last words.
            raise psycopg.errors.error_from_result(results[-1]) from None
        raise
    while notification := pgconn.notifies():
        if pgconn.notify_handler:
            pgconn.notify_handler(notification)
    if len(results) != count:
        raise psycopg.InternalError(f"{count} commands had {len(results)} results")
    return results


def _speak(pgconn: PGconn) -> PQGen[None]:
    """Send what is queued; listen meanwhile, or the server would not."""
    while pgconn.flush():
        while not (ready := (yield waiting.WAIT_RW)):
            pass
        if ready & READ:
            pgconn.consume_input()


def _take_results(pgconn: PGconn, results: list[PGresult]) -> bool:
    """Take the results that have arrived; return whether a sync ended them."""
    between = False
    while not pgconn.is_busy():
        result = pgconn.get_result()
        if result is None:  # it parts two commands
            if between:
                break
            between = True
            continue
        between = False
        status = result.status
        if status == _SYNC:
            return True
        if status in (_COPY_IN, _COPY_OUT):
            raise psycopg.NotSupportedError("COPY cannot be exchanged")
        results.append(result)
    if pgconn.status == BAD:
        raise psycopg.OperationalError("the connection was lost")
    return False


def drained(pgconn: PGconn) -> PQGen[None]:
    """Read whatever the server still has to say, COPY too, and throw it away."""
    yield from generators.send(pgconn)
    while (result := (yield from generators.fetch(pgconn))) is not None:
        with suppress(psycopg.Error):  # being told that it was canceled
            if result.status == _COPY_IN:
                yield from generators.copy_end(pgconn, b"canceled")
            elif result.status == _COPY_OUT:
                while isinstance((yield from generators.copy_from(pgconn)), memoryview):
                    pass
