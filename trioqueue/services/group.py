"""All services in one nursery."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, final

import trio

from trioqueue._background import open_background
from trioqueue.services.base import DEFAULT_GRACE_SECONDS, Service, ServiceStatistics
from trioqueue.services.calendar import CalendarService
from trioqueue.services.cleanup import CleanupService
from trioqueue.services.cron import CronProcessorService
from trioqueue.services.metrics_reporter import MetricsReporterService
from trioqueue.services.reclaim import ReclaimService
from trioqueue.services.scheduler import SchedulerService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from trioqueue.model.spans import Seconds
    from trioqueue.store import Store


@final
class Services:
    """The services of one store; made by `open_services`.

    Attributes:
        scheduler: Makes due messages ready.
        reclaim: Takes messages back from dead workers.
        cron: Posts what is due on cron schedules.
        calendar: Posts what is due on calendar schedules.
        cleanup: Deletes what retention has released.
        metrics_reporter: Looks at the whole database for metrics.
    """

    def __init__(self, store: Store) -> None:
        self.scheduler = SchedulerService(store)
        self.reclaim = ReclaimService(store)
        self.cron = CronProcessorService(store)
        self.calendar = CalendarService(store)
        self.cleanup = CleanupService(store)
        self.metrics_reporter = MetricsReporterService(
            store, when_idle=not store.sees_every_change
        )

    def __iter__(self) -> Iterator[Service]:
        """Go through them in the order in which they start."""
        return iter(
            (
                self.reclaim,
                self.scheduler,
                self.cron,
                self.calendar,
                self.cleanup,
                self.metrics_reporter,
            )
        )

    def statistics(self) -> dict[str, ServiceStatistics]:
        """Return what each has done so far."""
        return {service.name: service.statistics() for service in self}

    async def stop_gracefully(
        self, *, grace_seconds: Seconds = DEFAULT_GRACE_SECONDS
    ) -> bool:
        """Stop all of them at once; return whether all ended by themselves."""
        answers: list[bool] = []

        async def stop(service: Service) -> None:
            answers.append(await service.stop_gracefully(grace_seconds=grace_seconds))

        async with trio.open_nursery() as nursery:
            for service in self:
                nursery.start_soon(stop, service)
        return all(answers)


@asynccontextmanager
async def open_services(
    store: Store, *, grace_seconds: Seconds = DEFAULT_GRACE_SECONDS
) -> AsyncIterator[Services]:
    """Run all services beside the body of an ``async with`` block.

    Leaving the block stops them gracefully.  A bug in one of them cancels the block and
    comes out in an `ExceptionGroup`; what the block itself raises comes out as it is.

    Args:
        store: The store.
        grace_seconds: How long batches in hand may take when the block is left.
    """
    services = Services(store)
    async with open_background("the services are closing") as nursery:
        for service in services:
            await nursery.start(service.run)
        yield services
        await services.stop_gracefully(grace_seconds=grace_seconds)
