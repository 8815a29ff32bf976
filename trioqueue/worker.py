"""A worker: claims messages, runs their handlers, keeps their leases, stops gracefully.

One fetcher claims what free slots can run; each job is a Trio task in its own cancel
scope, which is its lease; one loop sends the heartbeats of all; how a handler ended is
written with whatever else is being committed.  A failing handler never takes the worker
down.  A worker that is killed leaves nothing to repair: its leases end by themselves.
"""

from __future__ import annotations

import logging
import math
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

import attrs
import trio

from trioqueue._lifecycle import Lifecycle
from trioqueue.errors import QueueNotFoundError, StoreUnavailableError
from trioqueue.handlers import ask_retry_seconds, choose_handlers, run_handler
from trioqueue.heartbeats import Heartbeats
from trioqueue.logs import job_facts
from trioqueue.presence import BEAT_SECONDS, Presence, check_beat
from trioqueue.store.base import check_count, check_text
from trioqueue.store.lease_scope import (
    UNAVAILABLE_PAUSE_SECONDS,
    Ended,
    LeaseScope,
    end_after,
    end_of,
    interruption_in,
    signal_in,
)
from trioqueue.store.wakeups import ReadySignal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from trioqueue.handlers import Handler, HandlerSource
    from trioqueue.model.message import Job, Lease
    from trioqueue.model.spans import Seconds
    from trioqueue.store import Store

logger: Final = logging.getLogger("trioqueue.worker")

DEFAULT_CONCURRENCY: Final = 100
DEFAULT_GRACE_SECONDS: Final = 30.0
NO_LIMIT: Final = 2**53


@final
@attrs.frozen
class WorkerStatistics:
    """What a worker has done so far.

    Attributes:
        running: Handlers running now.
        claimed: Jobs taken.
        completed: Jobs whose handler returned.
        failed: Jobs whose handler failed, retries included.
        released: Jobs given back: snoozed, or cut off by a stop.
        lost: Jobs whose lease was lost, or that were canceled, meanwhile.
        heartbeats: Leases prolonged.
    """

    running: int
    claimed: int
    completed: int
    failed: int
    released: int
    lost: int
    heartbeats: int


@final
class Worker:
    """Runs handlers for the messages of some queues.

    ::

        async def send(job: trioqueue.Job) -> None:
            await deliver(job.payload)

        worker = trioqueue.Worker(store, {"emails": send})
        await nursery.start(worker.run)

    Args:
        store: The store.
        handlers: An async function of a `Job` for each queue, or an `App`.
        queues: Only these of them (default: all).
        concurrency: The most jobs at once.
        worker_id: Its name, kept with each attempt (default: the store's own).
        max_jobs: Claim no more than so many jobs in all, then stop (default: any
            number); attempts count, whatever becomes of them.
        beat_seconds: How often it says that it is alive (10); `Store.list_workers`
            believes it for three times as long.

    Raises:
        ValidationError: A handler or an option is wrong.
    """

    def __init__(
        self,
        store: Store,
        handlers: Mapping[str, Handler] | HandlerSource,
        *,
        queues: Iterable[str] | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
        worker_id: str | None = None,
        max_jobs: int | None = None,
        beat_seconds: Seconds = BEAT_SECONDS,
    ) -> None:
        self._store = store
        self._handlers = choose_handlers(handlers, queues)
        self._queues = list(self._handlers)
        self._concurrency = check_count(concurrency, "concurrency")
        self._worker_id = check_text(worker_id, "worker_id", most=256)
        self._max_jobs = NO_LIMIT
        if max_jobs is not None:
            self._max_jobs = check_count(max_jobs, "max_jobs", most=NO_LIMIT)
        self._beat_seconds = check_beat(beat_seconds)
        self._lifecycle = Lifecycle("worker")
        self._leases: set[LeaseScope] = set()
        self._slot_freed = trio.Event()
        self._heartbeats = Heartbeats(store, self._leases)
        self._quiet = False
        self._handlers_running = 0
        self._claimed = self._completed = self._failed = 0
        self._released = self._lost = 0

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Work until told to stop; start it with ``nursery.start``.

        Raises:
            QueueNotFoundError: One of the queues does not exist.

        Canceling this cancels the handlers; their messages are given back, their
        attempts refunded.
        """
        for queue in self._queues:
            await self._store.get_queue(queue)
        signal = ReadySignal(self._queues)
        with self._lifecycle.running(), self._store.wakeups.listen_for_ready(signal):

            async def fetch(jobs: trio.Nursery) -> None:
                task_status.started()
                await self._fetch(jobs, signal)

            await self._serve(fetch, self._presence())

    async def run_once(self) -> int:
        """Run everything that is ready, also what handlers post meanwhile, and return.

        Returns:
            How many jobs were run.

        Raises:
            StoreUnavailableError: The database cannot be used now.
        """
        before = self._claimed
        away: list[StoreUnavailableError] = []

        async def fetch(jobs: trio.Nursery) -> None:  # noqa: ASYNC910  claiming is one
            # Carried out by hand: jobs in hand go on, and it comes out as it is.
            try:
                await self._fetch_until_empty(jobs)
            except StoreUnavailableError as error:
                away.append(error)

        with self._lifecycle.running():
            await self._serve(fetch)
        if away:
            raise away[0]
        return self._claimed - before

    async def _serve(
        self,
        fetch: Callable[[trio.Nursery], Awaitable[None]],
        presence: Presence | None = None,
    ) -> None:
        """Run a fetcher and the jobs it starts, in the order in which they must end."""
        with self._store.wakeups.listen_for_abort(self):
            # Heartbeats outlive the last job; jobs outlive the fetcher.
            async with trio.open_nursery() as background:
                if presence is not None:
                    await background.start(presence.run)
                background.start_soon(self._heartbeats.run)
                async with trio.open_nursery() as jobs:
                    self._lifecycle.set_work_scope(jobs.cancel_scope)
                    with self._lifecycle.intake():
                        await fetch(jobs)
                background.cancel_scope.cancel(reason="the last job has ended")

    def _presence(self) -> Presence:
        self._quiet = False
        return Presence(
            self._store,
            worker_id=self._worker_id or self._store.worker_id,
            queues=self._queues,
            concurrency=self._concurrency,
            running=lambda: self._handlers_running,
            on_quiet=self._be_quiet,
            stopping=lambda: self._lifecycle.stopping,
            beat_seconds=self._beat_seconds,
        )

    def _be_quiet(self, quiet: bool) -> None:  # noqa: FBT001  as it is called
        """Claim nothing more, or go on."""
        self._quiet = quiet
        self._slot_freed.set()

    def stop(self) -> None:
        """Claim no more; jobs in hand go on to their end.  May be called any time."""
        self._lifecycle.stop()

    async def stop_gracefully(
        self, *, grace_seconds: Seconds = DEFAULT_GRACE_SECONDS
    ) -> bool:
        """Claim no more, let jobs in hand finish, and cut them off after the grace.

        A job that is cut off gives its message back, its attempt refunded.  May be
        called before the start, twice, or from several tasks.

        Returns:
            Whether every job ended by itself.
        """
        return await self._lifecycle.stop_gracefully(grace_seconds)

    @property
    def concurrency(self) -> int:
        """The most jobs that it runs at once."""
        return self._concurrency

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._lifecycle.stopping

    @property
    def limit_reached(self) -> bool:
        """Whether it has claimed as many jobs as it may."""
        return self._claimed >= self._max_jobs

    def statistics(self) -> WorkerStatistics:
        """Return what it has done so far."""
        return WorkerStatistics(
            self._handlers_running,
            self._claimed,
            self._completed,
            self._failed,
            self._released,
            self._lost,
            self._heartbeats.sent,
        )

    def __repr__(self) -> str:
        return (
            f"<Worker of {', '.join(self._queues)}, {len(self._leases)} jobs in hand>"
        )

    async def _fetch(self, jobs: trio.Nursery, signal: ReadySignal) -> None:
        """Claim what free slots can run, for ever."""
        while True:
            while self._free_slots() <= 0:
                await self._wait_for_slot()
            signal.clear()
            try:
                if not await self._claim_round(jobs):
                    await self._store.wait_ready(signal)
            except StoreUnavailableError as error:
                logger.warning("claiming: %s; trying again", error)
                await trio.sleep(UNAVAILABLE_PAUSE_SECONDS)

    async def _fetch_until_empty(self, jobs: trio.Nursery) -> None:
        """Claim until nothing is ready and no job runs that might post more."""
        while await self._claim_round(jobs) or self._leases:
            if self._leases:
                await self._wait_for_slot()

    def _free_slots(self) -> int:
        """Return how many more jobs may be claimed.

        A handler frees its slot when it ends, not when that has been committed: so the
        next claim rides in the same commit.  Jobs whose end is being committed are
        bounded too.
        """
        if self._quiet:
            return 0
        return min(
            self._concurrency - self._handlers_running,
            2 * self._concurrency - len(self._leases),
            self._max_jobs - self._claimed,
        )

    async def _wait_for_slot(self) -> None:
        """Sleep until a job ends."""
        self._slot_freed = trio.Event()
        await self._slot_freed.wait()

    async def _claim_round(self, jobs: trio.Nursery) -> int:
        """Ask each queue once, beginning with another one each time."""
        taken = 0
        for queue in self._queues:
            free = self._free_slots()
            if free <= 0:
                break
            try:
                claimed = await self._store.claim(
                    queue, limit=free, worker_id=self._worker_id
                )
            except QueueNotFoundError:
                # Deleted while we run: it may come back, and the others go on.
                logger.warning(
                    "queue %r has been deleted", queue, extra={"queue": queue}
                )
                continue
            # No checkpoint from here on: what was claimed has its task.
            handler = self._handlers[queue]
            self._start(jobs, claimed, handler)
            taken += len(claimed)
        self._queues.append(self._queues.pop(0))
        return taken  # noqa: ASYNC910  there is a queue, and a slot, or its caller waits

    def _start(self, jobs: trio.Nursery, claimed: list[Job], handler: Handler) -> None:
        clock = self._store.clock
        now = clock.now_us()
        known: Lease | None = None
        ends = earliest = math.inf
        for job in claimed:
            if job.lease is not known:
                # Most jobs of a claim share their lease.
                known, ends = job.lease, end_of(clock, job.lease)
            lease = LeaseScope(clock, job, now, ends)
            self._leases.add(lease)
            if lease.heartbeat_at < earliest:  # noqa: PLR1730  min() takes longer
                earliest = lease.heartbeat_at
            jobs.start_soon(self._run_job, lease, handler, name=job.message.message_id)
        self._heartbeats.expect(earliest)
        self._claimed += len(claimed)
        self._handlers_running += len(claimed)
        if self.limit_reached:
            self.stop()

    async def _run_job(self, lease: LeaseScope, handler: Handler) -> None:
        """Run one handler under its lease, and end the attempt by what it did."""
        raised: BaseException | None = None
        result: Any = None
        try:
            try:
                with lease.scope:
                    result = await run_handler(handler, lease.job)
            except BaseException as error:  # noqa: BLE001, ASYNC103  raised below
                raised = error
            self._handlers_running -= 1
            self._slot_freed.set()
            ask = partial(ask_retry_seconds, handler, lease.job)
            ended = await end_after(self._store, lease, raised, result, ask)
            self._count(lease.job, ended, raised)
        finally:
            self._leases.discard(lease)
            self._slot_freed.set()
        if raised is not None:
            interruption = interruption_in(raised)
            if interruption is not None:
                raise interruption

    def _count(self, job: Job, ended: Ended, raised: BaseException | None) -> None:
        if ended.how == "completed":
            self._completed += 1
            return
        where = f"message {job.message_id} of queue {job.queue} (attempt {job.attempt})"
        facts = job_facts(job)
        if ended.how == "failed":
            self._failed += 1
            if raised is not None and signal_in(raised) is not None:
                logger.info("%s: %s", where, signal_in(raised), extra=facts)
            else:
                error = ended.error or raised
                logger.warning("%s failed", where, exc_info=error, extra=facts)
        elif ended.how == "released":
            self._released += 1
            logger.info("%s was given back", where, extra=facts)
        else:
            self._lost += 1
            logger.warning("%s: %s", where, ended.error, extra=facts)

    def on_abort(self, queue: str, message_id: str) -> None:
        """Hear that a running message is to be canceled; perhaps it is one of ours."""
        for lease in self._leases:
            lease.on_abort(queue, message_id)
