"""The store's job methods: claim, and every verb of a job in hand."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any, Final, TypeVar

import trio

from trioqueue.errors import LeaseLostError, ValidationError
from trioqueue.model.lease_policy import LeasePolicy
from trioqueue.model.message import Job, MessageState, bring_home
from trioqueue.model.payload import EncodingProblem, encode_json
from trioqueue.policies.ending import Error
from trioqueue.store.base import (
    POLL_SECONDS,
    StoreBase,
    check_count,
    check_queue_name,
    check_text,
)
from trioqueue.store.drafts import read_delay
from trioqueue.store.lease_scope import hold
from trioqueue.store.operations.attempts import EndRequest, JobKey, end, heartbeat
from trioqueue.store.operations.claim import ClaimRequest, claim
from trioqueue.store.operations.core import Failure, unwrap
from trioqueue.store.wakeups import ReadySignal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractAsyncContextManager

    from trioqueue.model.message import Lease
    from trioqueue.model.spans import Seconds

T = TypeVar("T")

MAX_CLAIM: Final = 10_000
MAX_TRACEBACK: Final = 16 * 1024
MAX_ERROR_TEXT: Final = 4 * 1024


class JobMethods(StoreBase):
    """Take messages under a lease, and end or prolong the attempt."""

    async def claim(
        self,
        queue: str,
        *,
        limit: int = 1,
        worker_id: str | None = None,
        lease: LeasePolicy | None = None,
    ) -> list[Job]:
        """Take up to `limit` ready messages; never waits.

        Each claim counts an attempt at once.  The order is priority, then the order in
        which the messages became ready.

        Args:
            queue: The queue's name.
            limit: At most so many.
            worker_id: Who claims, kept with the attempt (default: the store's own).
            lease: Terms that go over the queue's, and under the message's own.

        Returns:
            The jobs; [] when nothing is ready or the queue is paused.

        Raises:
            QueueNotFoundError: There is no such queue.

        When this is canceled, nothing has been claimed.
        """
        request = ClaimRequest(
            check_queue_name(queue),
            check_count(limit, "limit", most=MAX_CLAIM),
            check_text(worker_id, "worker_id", most=256) or self._worker_id,
            _check_lease(lease),
        )
        (answer,) = await self._executor.batch(claim, [request])
        jobs = unwrap(answer)
        bring_home(jobs, self)
        return jobs

    async def claim_wait(
        self,
        queue: str,
        *,
        limit: int = 1,
        worker_id: str | None = None,
        lease: LeasePolicy | None = None,
    ) -> list[Job]:
        """Take up to `limit` ready messages, waiting until there is at least one.

        Arguments and errors are those of `claim`.  Bound the wait with a cancel scope:
        when this is canceled, nothing has been claimed.
        """
        signal = ReadySignal([check_queue_name(queue)])
        with self._hub.listen_for_ready(signal):
            while True:
                signal.clear()
                jobs = await self.claim(
                    queue, limit=limit, worker_id=worker_id, lease=lease
                )
                if jobs:
                    return jobs
                await self.wait_ready(signal)

    async def wait_ready(self, signal: ReadySignal) -> None:
        """Sleep until a signal is set, or until it is time to look anyway."""
        if self.sees_every_change:
            await signal.wait()
        else:
            with trio.move_on_after(POLL_SECONDS):
                await signal.wait()

    def lease(
        self,
        queue: str,
        *,
        worker_id: str | None = None,
        lease: LeasePolicy | None = None,
    ) -> AbstractAsyncContextManager[Job]:
        """Wait for a message and hold it for the length of an ``async with`` block.

        The block runs in a cancel scope that is the lease: heartbeats prolong it, and
        when it is lost the block is canceled and ``LeaseLostError`` raised.  Leaving
        the block completes the message; an exception fails it and goes on; cancellation
        from outside gives the message back, its attempt refunded.

        ::

            async with store.lease("emails") as job:
                await send(job.payload)

        Raises:
            QueueNotFoundError: There is no such queue.
            LeaseLostError: The lease was lost, or the message canceled, meanwhile.
        """

        async def take() -> Job:
            jobs = await self.claim_wait(queue, worker_id=worker_id, lease=lease)
            return jobs[0]

        return hold(self, take)

    async def complete(self, job: Job, result: Any = None) -> None:
        """End an attempt well; the same attempt may say so again.

        Args:
            job: The job.
            result: Any JSON value, kept with the message if the queue keeps it.

        Raises:
            ValidationError: The result is not a JSON value; the job is still held.
            LeaseLostError: The attempt is over; nothing changed.

        A job that its own `Job.transaction` has completed keeps that result.
        """
        if isinstance(job, Job) and job.completed:
            await trio.lowlevel.checkpoint()
            return
        unwrap(
            await self._end_one(
                EndRequest(key_of(job), "complete", encode_result(result))
            )
        )

    async def fail(
        self,
        job: Job,
        error: BaseException | str,
        *,
        retry_in_seconds: Seconds | None = None,
        final: bool = False,
    ) -> MessageState:
        """End an attempt badly: the message is retried later, or becomes a dead letter.

        Args:
            job: The job.
            error: What went wrong; an exception is kept with its traceback.
            retry_in_seconds: The wait before the next attempt (None: the policy's).
            final: Give the message up, whatever attempts are left.

        Returns:
            The message's state now, which is PENDING, INVISIBLE or ERRORED (or
            CANCELED, if that had been asked for).

        Raises:
            LeaseLostError: The attempt is over; nothing changed.
        """
        delay = self._delay(retry_in_seconds, "retry_in_seconds")
        request = EndRequest(
            key_of(job),
            "fail",
            error=describe_error(error),
            delay=delay,
            final=bool(final),
        )
        return unwrap(await self._end_one(request))

    async def release(
        self, job: Job, *, delay_seconds: Seconds | None = None
    ) -> MessageState:
        """Give a message back unharmed: PENDING again, its attempt refunded.

        Args:
            job: The job.
            delay_seconds: Keep it INVISIBLE for so long first.

        Returns:
            What the message is now.

        Raises:
            LeaseLostError: The attempt is over; nothing changed.
        """
        delay = self._delay(delay_seconds, "delay_seconds")
        request = EndRequest(key_of(job), "release", delay=delay)
        return unwrap(await self._end_one(request))

    async def heartbeat(self, job: Job) -> Lease:
        """Prolong a job's lease; never shortens it.

        Returns:
            The lease as it stands now, which says whether it can still be prolonged and
            whether somebody asked for the message to be canceled.

        Raises:
            LeaseLostError: The attempt is over or a deadline has passed.
        """
        (answer,) = await self._executor.batch(heartbeat, [key_of(job)], relaxed=True)
        return unwrap(answer)

    async def complete_many(
        self, jobs: Iterable[Job], results: Iterable[Any] | None = None
    ) -> list[MessageState | LeaseLostError]:
        """Complete many jobs in one transaction; stale ones are reported, not raised.

        Args:
            jobs: The jobs.
            results: One result for each of them (default: None for all).

        Returns:
            For each job the message's state, or why its word did not count.
        """
        held = list(jobs)
        values = [None] * len(held) if results is None else list(results)
        if len(values) != len(held):
            raise ValidationError.of(
                "results", f"{len(values)} results for {len(held)} jobs"
            )
        requests = [
            EndRequest(key_of(job), "complete", encode_result(value))
            for job, value in zip(held, values, strict=True)
        ]
        return await self._end_many(requests)

    async def fail_many(
        self,
        jobs: Iterable[Job],
        error: BaseException | str,
        *,
        retry_in_seconds: Seconds | None = None,
        final: bool = False,
    ) -> list[MessageState | LeaseLostError]:
        """Fail many jobs in one transaction; stale ones are reported, not raised."""
        delay = self._delay(retry_in_seconds, "retry_in_seconds")
        described = describe_error(error)
        requests = [
            EndRequest(key_of(job), "fail", None, described, delay, bool(final))
            for job in jobs
        ]
        return await self._end_many(requests)

    async def release_many(
        self, jobs: Iterable[Job]
    ) -> list[MessageState | LeaseLostError]:
        """Give many jobs back in one transaction; stale ones are reported."""
        return await self._end_many(
            [EndRequest(key_of(job), "release") for job in jobs]
        )

    async def heartbeat_many(self, jobs: Iterable[Job]) -> list[Lease | LeaseLostError]:
        """Prolong many leases in one transaction; stale ones are reported."""
        keys = [key_of(job) for job in jobs]
        if not keys:
            await trio.lowlevel.checkpoint()
            return []
        answers = await self._executor.batch(heartbeat, keys, relaxed=True)
        return [_value_or_lost(answer) for answer in answers]

    def _delay(self, value: Seconds | None, field: str) -> int | None:
        return None if value is None else read_delay(value, field, self._clock.now_us())

    async def _end_one(self, request: EndRequest) -> MessageState | Failure:
        (answer,) = await self._executor.batch(end, [request])
        return answer

    async def _end_many(
        self, requests: list[EndRequest]
    ) -> list[MessageState | LeaseLostError]:
        if not requests:
            await trio.lowlevel.checkpoint()
            return []
        answers = await self._executor.batch(end, requests)
        return [_value_or_lost(answer) for answer in answers]


def key_of(job: Job) -> JobKey:
    """Return what fences a job's verbs.

    Raises:
        ValidationError: It is no job.
    """
    if not isinstance(job, Job):
        raise ValidationError.of("job", f"expected a Job from claim(), got {job!r}")
    message = job.message
    return JobKey(
        message.queue, message.message_id, job.row_id, job.attempt_id, job.token
    )


def describe_error(error: BaseException | str) -> Error:
    """Write down what went wrong, within the limits of an attempt's record.

    Raises:
        ValidationError: It is neither an exception nor a str.
    """
    if isinstance(error, str):
        return Error("Error", _clip(error, MAX_ERROR_TEXT))
    if not isinstance(error, BaseException):
        raise ValidationError.of(
            "error", f"expected an exception or str, got {error!r}"
        )
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    try:
        text = str(error)
    except Exception as failure:  # noqa: BLE001  a __str__ of the user's
        text = f"<its __str__ raised {type(failure).__name__}>"
    try:
        trace = "".join(traceback.format_exception(error))
    except Exception as failure:  # noqa: BLE001  the same
        trace = f"<its traceback raised {type(failure).__name__}>"
    return Error(
        f"{module}{kind.__qualname__}",
        _clip(text, MAX_ERROR_TEXT),
        _clip(trace, MAX_TRACEBACK),
    )


def _clip(text: str, most: int) -> str:
    """Cut the middle out of a long text; both ends say the most."""
    data = text.replace("\0", "\N{SYMBOL FOR NULL}").encode("utf-8", "backslashreplace")
    if len(data) <= most:
        return data.decode()
    cut = b"\n[...]\n"
    head = (most - len(cut)) // 2
    tail = most - len(cut) - head
    return (data[:head] + cut + data[-tail:]).decode("utf-8", "ignore")


def encode_result(result: Any) -> bytes | None:
    """Write a result as stored.

    Raises:
        ValidationError: It is not a JSON value.
    """
    if result is None:
        return None
    try:
        return encode_json(result)
    except EncodingProblem as problem:
        raise ValidationError.of("result", str(problem)) from None


def _check_lease(lease: object) -> LeasePolicy | None:
    if lease is None or isinstance(lease, LeasePolicy):
        return lease
    raise ValidationError.of("lease", f"expected LeasePolicy, got {lease!r}")


def _value_or_lost(answer: T | Failure) -> T | LeaseLostError:
    if isinstance(answer, Failure) and isinstance(answer.error, LeaseLostError):
        return answer.error
    return unwrap(answer)
