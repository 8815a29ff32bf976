"""What all services share: do what is due, sleep until more is, stop in good order."""

from __future__ import annotations

import logging
import math
import random
import time
from abc import ABC, abstractmethod
from contextlib import nullcontext
from typing import TYPE_CHECKING, ClassVar, Final, final

import attrs
import trio

from trioqueue._lifecycle import Lifecycle
from trioqueue.errors import StoreUnavailableError, ValidationError
from trioqueue.metrics.catalogue import (
    FAILURES,
    ITERATIONS,
    PROCESSED,
    SERVICE_SECONDS,
)
from trioqueue.metrics.meters import Meters
from trioqueue.model.spans import (
    Seconds,
    instant_to_micros,
    micros_to_instant,
    to_seconds,
)
from trioqueue.store.wakeups import Alarm

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from datetime import datetime

    from trioqueue.clock import Clock
    from trioqueue.store import Store
    from trioqueue.store.wakeups import WakeUps

logger: Final = logging.getLogger("trioqueue.services")

FIRST_BACKOFF_SECONDS: Final = 0.1
LAST_BACKOFF_SECONDS: Final = 3.0
DEFAULT_GRACE_SECONDS: Final = 10.0


@final
@attrs.frozen
class ServiceStatistics:
    """What a service has done so far.

    Attributes:
        running: Whether it runs now.
        iterations: Cycles begun.
        processed: Things done in all.
        failures: Cycles that failed on the database.
        last_error: What the last of them said.
        last_run: When the last cycle ended.
        next_due: When more will be due, as far as the service knows.
    """

    running: bool
    iterations: int
    processed: int
    failures: int
    last_error: str | None
    last_run: datetime | None
    next_due: datetime | None


class Service(ABC):
    """A background loop that does all that is due and sleeps until more is.

    Any number of them may run, in any number of processes.

    Args:
        clock: Where time comes from.
        wakeups: What announces new work (None: the interval alone finds it).
        interval_seconds: The most it sleeps, where changes may go unannounced.
        sees_every_change: Whether they cannot, so that it need not look for itself.
        meters: Where what it does is counted (None: in its own).
    """

    name: ClassVar[str]
    """What it is called in logs."""
    topic: ClassVar[str]
    """Under which name its work is announced."""

    def __init__(
        self,
        *,
        clock: Clock,
        wakeups: WakeUps | None,
        interval_seconds: Seconds,
        sees_every_change: bool,
        meters: Meters | None = None,
    ) -> None:
        interval = to_seconds(interval_seconds, "interval_seconds")
        if not 0 < interval < math.inf:
            raise ValidationError.of(
                "interval_seconds", f"must be greater than 0, got {interval:g}"
            )
        self._clock = clock
        self._wakeups = wakeups
        self._interval = interval
        self._relies_on_wakeups = sees_every_change and wakeups is not None
        self._consecutive = 0
        self._meters = Meters() if meters is None else meters
        self._lifecycle = Lifecycle(self.name)
        self._iterations = self._processed = self._failures = 0
        self._last_error: str | None = None
        self._last_run: datetime | None = None
        self._next_due: datetime | None = None

    @property
    def meters(self) -> Meters:
        """Where what it does is counted, which is its store's if it has one."""
        return self._meters

    @abstractmethod
    async def _batch(self) -> int:
        """Do one batch of what is due; return how many, 0 when nothing was left."""

    @abstractmethod
    async def _find_next_due(self) -> datetime | None:
        """Return when more falls due, as far as the database knows."""

    async def run_once(self) -> int:
        """Do everything that is due now, in batches; return how much that was.

        Raises:
            StoreUnavailableError: The database cannot be used now.

        Cancellation takes effect between batches or leaves a batch undone.
        """
        total = 0
        while count := await self._batch():
            total += count
            self._note_processed(count)
        return total

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Run until told to stop; start it with ``nursery.start``.

        A database that cannot be used is logged, counted and tried again, with growing,
        jittered pauses.  Any other error is a bug and ends the nursery.
        """
        alarm = Alarm(self.topic)
        if self._wakeups is not None:
            self._wakeups.alarms.add(alarm)
        try:
            # Stopped before it ran, it has nothing to cancel.
            with (
                self._lifecycle.running(),
                self._while_running(),
                trio.CancelScope() as work,  # noqa: ASYNC912  see above
            ):
                self._lifecycle.set_work_scope(work)
                task_status.started()
                while not self._lifecycle.stopping:
                    await self._cycle(alarm)
        finally:
            if self._wakeups is not None:
                self._wakeups.alarms.discard(alarm)
        await trio.lowlevel.checkpoint()

    def _while_running(self) -> AbstractContextManager[None]:
        """Wrap the whole run."""
        return nullcontext()

    def _note_processed(self, count: int) -> None:
        self._processed += count
        self._meters.count(PROCESSED, self.name, count)

    async def _cycle(self, alarm: Alarm) -> None:
        """Do what is due, then sleep."""
        alarm.clear()
        self._iterations += 1
        self._meters.count(ITERATIONS, self.name)
        began = time.perf_counter_ns()
        pause: float | None = None
        try:
            while not self._lifecycle.stopping:
                count = await self._batch()
                if not count:
                    break
                self._note_processed(count)
            self._next_due = await self._find_next_due()
        except StoreUnavailableError as error:
            self._failures += 1
            self._meters.count(FAILURES, self.name)
            self._consecutive += 1
            self._last_error = str(error)
            pause = self._backoff()
            logger.warning(
                "%s: %s; trying again in %.1f s",
                self.name,
                error,
                pause,
                extra={"service": self.name},
            )
        else:
            self._consecutive = 0
            self._last_run = self._clock.now()
            if self._next_due is not None:
                alarm.plan(instant_to_micros(self._next_due, "next_due"))
        micros = (time.perf_counter_ns() - began) // 1000
        self._meters.observe(SERVICE_SECONDS, self.name, micros)
        with self._lifecycle.intake():
            if pause is None:
                await self._sleep(alarm)
            else:
                await trio.sleep(pause)

    def _backoff(self) -> float:
        growth = FIRST_BACKOFF_SECONDS * 2.0 ** min(self._consecutive - 1, 10)
        spread = random.uniform(0.5, 1.0)
        return min(LAST_BACKOFF_SECONDS, growth) * spread

    async def _sleep(self, alarm: Alarm) -> None:
        """Sleep until something is due, or the interval is over."""
        # The interval counts by Trio's clock: no step of the wall clock stretches it.
        latest = math.inf
        if not self._relies_on_wakeups:
            latest = trio.current_time() + self._interval
        while trio.current_time() < latest and alarm.earliest > self._clock.now_us():
            deadline = latest
            if alarm.earliest < math.inf:
                due = self._clock.trio_deadline(int(alarm.earliest))
                deadline = min(latest, due)
            with trio.move_on_at(deadline):
                await alarm.wait()
        if alarm.earliest < math.inf:
            self._next_due = micros_to_instant(int(alarm.earliest))
        await trio.lowlevel.checkpoint()

    def stop(self) -> None:
        """Take no more work: the batch in hand is the last.  May be called any time."""
        self._lifecycle.stop()

    async def stop_gracefully(
        self, *, grace_seconds: Seconds = DEFAULT_GRACE_SECONDS
    ) -> bool:
        """Stop, let the batch in hand finish, and cancel it after the grace.

        May be called before the start, twice, or from several tasks.

        Returns:
            Whether it ended by itself.
        """
        return await self._lifecycle.stop_gracefully(grace_seconds)

    @property
    def failures_in_a_row(self) -> int:
        """How many of the latest cycles failed on the database, without a break."""
        return self._consecutive

    def statistics(self) -> ServiceStatistics:
        """Return what it has done so far."""
        return ServiceStatistics(
            self._lifecycle.is_running,
            self._iterations,
            self._processed,
            self._failures,
            self._last_error,
            self._last_run,
            self._next_due,
        )

    def __repr__(self) -> str:
        state = "running" if self._lifecycle.is_running else "not running"
        return f"<{type(self).__name__} {state}, {self._processed} processed>"


class StoreService(Service):
    """A service that works on a store.

    Args:
        store: The store.
        interval_seconds: The most it sleeps, in seconds.
    """

    def __init__(self, store: Store, interval_seconds: Seconds) -> None:
        super().__init__(
            clock=store.clock,
            wakeups=store.wakeups,
            interval_seconds=interval_seconds,
            sees_every_change=store.sees_every_change,
            meters=store.meters,
        )
        self._store = store
