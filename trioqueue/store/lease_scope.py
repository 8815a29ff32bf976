"""A lease as a cancel scope.

`LeaseScope` is one job's scope: its deadline is the lease's, heartbeats move it, and
whoever finds the lease lost cancels it with the reason.  `hold` wraps it round the
body of ``async with store.lease(...)``; a worker wraps it round a handler.  `end_after`
is how an attempt ends by what its code did, for both.
"""

from __future__ import annotations

import logging
import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, final

import trio

from trioqueue._background import only_canceled, open_background
from trioqueue.errors import (
    Discard,
    ExecutionLimitError,
    HandlerSignal,
    LeaseLostError,
    Retry,
    Snooze,
    StoreUnavailableError,
    TrioQueueError,
    ValidationError,
)
from trioqueue.model.spans import instant_to_micros
from trioqueue.policies import lease as lease_rules
from trioqueue.tracing import at_work

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from trioqueue.clock import Clock
    from trioqueue.model.message import Job, Lease
    from trioqueue.store.job_methods import JobMethods

logger: Final = logging.getLogger("trioqueue.worker")

HAND_BACK_SECONDS: Final = 5.0
"""How long ending an attempt may take once its code has been canceled."""
UNAVAILABLE_PAUSE_SECONDS: Final = 0.5
"""How soon a heartbeat or a claim that met an unavailable database is tried again."""


@final
class LeaseScope:
    """The cancel scope of one job, as long as its lease.

    Its deadline is the earlier of the lease's end and the execution limit, so the code
    stops in time even when the database cannot be reached.
    """

    __slots__ = (
        "_clock",
        "_limit_at",
        "heartbeat_at",
        "interval",
        "job",
        "lost",
        "scope",
    )

    def __init__(
        self, clock: Clock, job: Job, now: int, ends: float | None = None
    ) -> None:
        pace = lease_rules.pace_of(job.lease_policy)
        self.job = job
        self.interval = pace.interval
        """Microseconds between heartbeats."""
        self.heartbeat_at: float = now + pace.interval
        """When the next heartbeat is to be sent; infinity when none helps any more."""
        self.lost: str | None = None
        """Why the lease is lost, once it is known to be."""
        self._clock = clock
        self._limit_at = math.inf
        if pace.execution_limit is not None:
            self._limit_at = clock.trio_deadline(now + pace.execution_limit)
        if ends is None:
            ends = end_of(clock, job.lease)
        self.scope = trio.CancelScope(deadline=min(ends, self._limit_at))

    def renew(self, lease: Lease, now: int) -> None:
        """Take in the answer to a heartbeat."""
        if lease.abort_requested:
            self.lose("aborted")
            return
        self.scope.deadline = min(end_of(self._clock, lease), self._limit_at)
        # Past the cap only a heartbeat deadline is worth another heartbeat.
        more = not lease.capped or lease.heartbeat_expires_at is not None
        self.heartbeat_at = now + self.interval if more else math.inf

    def lose(self, reason: str) -> None:
        """Cancel the code: it no longer holds the message.

        If that is because its own transaction has completed it, the code goes on.
        """
        if self.job.completed:
            self.heartbeat_at = math.inf
            self.scope.deadline = self._limit_at
        elif self.lost is None:
            self.lost = reason
            self.heartbeat_at = math.inf
            self.scope.cancel(reason=f"lease lost: {reason}")

    def on_abort(self, queue: str, message_id: str) -> None:
        """Hear that a message is to be canceled; perhaps it is this one."""
        if message_id == self.job.message_id and queue == self.job.queue:
            self.lose("aborted")

    @property
    def over_limit(self) -> bool:
        """Whether the code was stopped by its execution limit."""
        return (
            self.lost is None
            and self.scope.cancel_called
            and trio.current_time() >= self._limit_at
        )

    def loss(self) -> str | None:
        """Say why the lease is lost, None while it is held."""
        if self.lost is None and self.scope.cancel_called and not self.over_limit:
            return "lease_expired"
        return self.lost


def end_of(clock: Clock, lease: Lease) -> float:
    """Return the Trio time at which a lease ends."""
    return clock.trio_deadline(instant_to_micros(lease.deadline, "lease"))


async def keep_alive(store: JobMethods, lease: LeaseScope) -> None:
    """Send one job's heartbeats until it is canceled or the lease is lost."""
    clock = store.clock
    await trio.lowlevel.checkpoint()
    while lease.heartbeat_at < math.inf:
        await trio.sleep_until(clock.trio_deadline(int(lease.heartbeat_at)))
        try:
            renewed = await store.heartbeat(lease.job)
        except LeaseLostError as error:
            lease.lose(error.reason)
        except StoreUnavailableError:
            # The scope's deadline stops the code if this lasts.
            await trio.sleep(UNAVAILABLE_PAUSE_SECONDS)
        else:
            lease.renew(renewed, clock.now_us())


@asynccontextmanager
async def hold(
    store: JobMethods, take: Callable[[], Awaitable[Job]]
) -> AsyncIterator[Job]:
    """Take a job and run the body of an ``async with`` block under its lease."""
    job = await take()
    lease = LeaseScope(store.clock, job, store.clock.now_us())
    raised: BaseException | None = None
    beats: BaseException | None = None
    try:
        # The ear first: an abort must not slip by before the heartbeats have begun.
        with store.wakeups.listen_for_abort(lease):
            async with open_background("the leased block has ended") as nursery:
                nursery.start_soon(keep_alive, store, lease)
                with lease.scope:
                    # Carried out by hand: first the attempt ends by what was raised.
                    try:
                        with at_work(job):
                            yield job
                    except BaseException as error:  # noqa: BLE001, ASYNC103  raised
                        raised = error
    except BaseException as error:  # noqa: BLE001, ASYNC103  raised again below
        # Cancellation from outside strikes the heartbeats too: end the attempt first.
        beats = error
    ended = await end_after(store, lease, raised, result=None)
    if beats is not None and not only_canceled(beats):
        raise beats
    if ended.error is not None:
        raise ended.error from raised
    if raised is not None and signal_in(raised) is None:
        raise raised
    if beats is not None:
        raise beats


class Ended(NamedTuple):
    """How an attempt was ended, and the error that this itself brought up."""

    how: Literal["completed", "failed", "released", "lost", "unconfirmed"]
    error: Exception | None = None


_COMPLETED: Final = Ended("completed")


def _leave_it_to_the_queue() -> float | None:
    return None


async def end_after(
    store: JobMethods,
    lease: LeaseScope,
    raised: BaseException | None,
    result: Any,
    ask_retry_seconds: Callable[[], float | None] = _leave_it_to_the_queue,
) -> Ended:
    """End an attempt by what its code did.

    It returned: complete.  It raised: fail, or what its signal asks for.  It was
    canceled from outside: give the message back.  This is shielded, with a deadline: an
    attempt that cannot be ended in that time ends when its lease does.

    Args:
        store: The store.
        lease: The attempt's lease; its scope has been left.
        raised: What the code raised, if it did.
        result: What it returned.
        ask_retry_seconds: Says how long a failed message waits, where its code has a
            say; None leaves it to the queue's policy.
    """
    if raised is None and lease.lost is None and not lease.scope.cancelled_caught:
        # Nearly always; a shield costs as much as all the rest.  Should a cancellation
        # strike before the completion is taken, it is said again behind the shield.
        try:
            await store.complete(lease.job, result)
        except (trio.Cancelled, TrioQueueError):  # noqa: ASYNC103  see above
            pass
        else:
            return _COMPLETED
    ended: Ended | None = None
    # Every path through `_end` is a checkpoint; the linter does not see that far.
    with trio.move_on_after(HAND_BACK_SECONDS, shield=True):  # noqa: ASYNC912
        try:
            ended = await _end_or_fail(store, lease, raised, result, ask_retry_seconds)
        except LeaseLostError as error:
            ended = Ended("lost", error)
        except StoreUnavailableError as error:
            ended = Ended("unconfirmed", error)
    if ended is None:
        message = (
            f"the end of message {lease.job.message_id!r} could not be stored in "
            f"{HAND_BACK_SECONDS:g} s; it is tried again when its lease ends"
        )
        ended = Ended("unconfirmed", StoreUnavailableError(message))
    return ended  # noqa: ASYNC910  as above


async def _end_or_fail(
    store: JobMethods,
    lease: LeaseScope,
    raised: BaseException | None,
    result: Any,
    ask_retry_seconds: Callable[[], float | None],
) -> Ended:
    try:
        return await _end(store, lease, raised, result, ask_retry_seconds)
    except ValidationError as error:
        # What the code returned or asked for cannot be stored: that is its failure.
        invalid = error
    await store.fail(lease.job, invalid, retry_in_seconds=ask_retry_seconds())
    return Ended("failed", invalid)


def _after_completion(lease: LeaseScope, raised: BaseException | None) -> Ended:
    """Say what became of code that went on when its job was completed."""
    job = lease.job
    if lease.over_limit:
        return Ended("completed", _over_limit(job))
    if lease.loss() is not None:
        lost = LeaseLostError(job.queue, job.message_id, "finished")
        return Ended("completed", lost)
    if raised is not None and interruption_in(raised) is None:
        logger.error(
            "message %s of queue %s: its handler failed when it had been completed",
            job.message_id,
            job.queue,
            exc_info=raised,
        )
    return _COMPLETED


def _over_limit(job: Job) -> ExecutionLimitError:
    limit = job.lease_policy.execution_limit_seconds
    return ExecutionLimitError(f"the handler ran over its limit of {limit:g} s")


async def _end(  # noqa: PLR0911  one for each way to end
    store: JobMethods,
    lease: LeaseScope,
    raised: BaseException | None,
    result: Any,
    ask_retry_seconds: Callable[[], float | None],
) -> Ended:
    job = lease.job
    if job.completed:
        await trio.lowlevel.checkpoint()
        return _after_completion(lease, raised)
    if lease.lost == "aborted":
        # Whatever verb ends it now, the message becomes CANCELED.
        await store.release(job)
        return Ended("lost", LeaseLostError(job.queue, job.message_id, "aborted"))
    if raised is None and not lease.scope.cancelled_caught:
        await store.complete(job, result)
        return Ended("completed")
    if lease.over_limit:
        error = _over_limit(job)
        await store.fail(job, error, retry_in_seconds=ask_retry_seconds())
        return Ended("failed", error)
    reason = lease.loss()
    if reason is not None or raised is None:
        await trio.lowlevel.checkpoint()
        lost = LeaseLostError(job.queue, job.message_id, reason or "superseded")
        return Ended("lost", lost)
    signal = signal_in(raised)
    if isinstance(signal, Snooze):
        await store.release(job, delay_seconds=signal.in_seconds)
        return Ended("released")
    if signal is None and interruption_in(raised) is not None:
        await store.release(job)
        return Ended("released")
    if isinstance(signal, Retry) and signal.in_seconds is not None:
        await store.fail(job, signal, retry_in_seconds=signal.in_seconds)
    else:
        final = isinstance(signal, Discard)
        wait = None if final else ask_retry_seconds()
        await store.fail(job, raised, retry_in_seconds=wait, final=final)
    return Ended("failed")


def interruption_in(raised: BaseException) -> BaseException | None:
    """Find what code raised that is not its own: a cancellation, Ctrl-C."""
    if isinstance(raised, BaseExceptionGroup):
        return raised.split((trio.Cancelled, KeyboardInterrupt))[0]
    return raised if isinstance(raised, (trio.Cancelled, KeyboardInterrupt)) else None


def signal_in(raised: BaseException) -> HandlerSignal | None:
    """Find the signal that code raised, also out of a nursery of its own.

    A group counts only if the signal is all that it holds: any other exception in it
    is a failure that must be seen.
    """
    while isinstance(raised, BaseExceptionGroup) and len(raised.exceptions) == 1:
        raised = raised.exceptions[0]
    return raised if isinstance(raised, HandlerSignal) else None
