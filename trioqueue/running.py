"""Running an app: the services and a worker in one nursery, until told to stop."""

from __future__ import annotations

import signal
import threading
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Final, final

import attrs
import trio

from trioqueue._background import open_background
from trioqueue.metrics.serving import open_metrics
from trioqueue.services import open_services
from trioqueue.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from trioqueue.app import App
    from trioqueue.model.spans import Seconds
    from trioqueue.services.group import Services

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@final
class HowEnded(StrEnum):
    """Why a run is over.

    Attributes:
        STOPPED: It was told to stop, and every job ended by itself.
        CUT_OFF: It was told to stop, and jobs were cut off when the grace was over.
        ABORTED: A second signal cut the jobs off.
        DRAINED: Nothing was left to do.
        LIMITED: It has run as many jobs as it may.
    """

    STOPPED = "stopped"
    CUT_OFF = "cut_off"
    ABORTED = "aborted"
    DRAINED = "drained"
    LIMITED = "limited"


@final
@attrs.frozen
class RunEnd:
    """How a run ended.

    Attributes:
        how: Why it is over.
        signal: The last signal that told it to stop, if one did.
        handed_back: Jobs that went back to their queues: snoozed, or cut off.
    """

    how: HowEnded
    signal: int | None = None
    handed_back: int = 0


@final
class AppRunner:
    """One run of an app's worker; see `trioqueue.App.run`."""

    def __init__(self, worker: Worker, grace_seconds: Seconds) -> None:
        self._worker = worker
        self._grace = grace_seconds
        self._told: list[int] = []

    @asynccontextmanager
    async def hearing_signals(self) -> AsyncIterator[None]:
        """Let signals stop the worker as long as the block runs."""
        async with open_background("the worker has ended") as nursery:
            if threading.current_thread() is threading.main_thread():
                await nursery.start(self._hear_signals)
            yield

    async def run(
        self,
        services: Services,
        task_status: trio.TaskStatus[Worker],
        *,
        drain: bool,
    ) -> RunEnd:
        """Work until the worker has ended."""
        worker = self._worker
        if drain:
            task_status.started(worker)
            await self._drain(services)
        else:
            async with trio.open_nursery() as running:
                await running.start(worker.run)
                task_status.started(worker)
        # It has ended, so this only asks whether by itself.
        clean = await worker.stop_gracefully(grace_seconds=0)
        return self._end(drain=drain, clean=clean)

    async def _drain(self, services: Services) -> None:
        """Run what is due or falls due meanwhile, until nothing is."""
        while not self._worker.stopping:
            due = await services.scheduler.run_once()
            if not await self._worker.run_once() and not due:
                return
        await trio.lowlevel.checkpoint()

    def _end(self, *, drain: bool, clean: bool) -> RunEnd:
        handed_back = self._worker.statistics().released
        last = self._told[-1] if self._told else None
        if not self._told:
            how = HowEnded.DRAINED if drain else HowEnded.STOPPED
            if self._worker.limit_reached:
                how = HowEnded.LIMITED
        elif clean:
            how = HowEnded.STOPPED
        else:
            how = HowEnded.ABORTED if len(self._told) > 1 else HowEnded.CUT_OFF
        return RunEnd(how, last, handed_back)

    async def _hear_signals(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Stop gracefully at the first signal, at once at the second.

        A third one has its ordinary effect: there may be code that no cancellation
        reaches.
        """
        async with trio.open_nursery() as nursery:
            with trio.open_signal_receiver(*STOP_SIGNALS) as signals:
                task_status.started()
                async for number in signals:
                    first = not self._told
                    self._told.append(number)
                    nursery.start_soon(self._stop, self._grace if first else 0)
                    if not first:
                        break

    async def _stop(self, grace_seconds: Seconds) -> None:
        await self._worker.stop_gracefully(grace_seconds=grace_seconds)


async def run_app(  # noqa: ASYNC128  the runner reports
    app: App,
    url: str,
    *,
    queues: Iterable[str] | None,
    concurrency: int,
    grace_seconds: Seconds,
    drain: bool,
    max_jobs: int | None,
    metrics: str | None,
    task_status: trio.TaskStatus[Worker],
) -> RunEnd:
    """Open an app's store, and run its services and a worker on it."""
    async with app.open(url) as store, open_services(store) as services:
        worker = Worker(
            store, app, queues=queues, concurrency=concurrency, max_jobs=max_jobs
        )
        runner = AppRunner(worker, grace_seconds)
        served = open_metrics(metrics, store, services=services, workers=[worker])
        async with runner.hearing_signals(), served:
            return await runner.run(services, task_status, drain=drain)
