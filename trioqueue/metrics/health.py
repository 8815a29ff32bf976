"""Whether a process is alive, and whether it is ready to work."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, final

import attrs
import trio

from trioqueue.errors import TrioQueueError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trioqueue.services import Service
    from trioqueue.store import Store
    from trioqueue.worker import Worker

LOOK_SECONDS: Final = 5.0
"""How long the database may take to answer."""
LATE: Final = timedelta(seconds=60)
"""How far a service may be behind what is due."""


@final
@attrs.frozen
class Check:
    """One thing that was looked at.

    Attributes:
        name: What it is: ``store``, ``service scheduler``, ``worker``.
        problem: What is wrong with it; None if nothing is.
    """

    name: str
    problem: str | None = None


@final
class Health:
    """What stands behind ``/healthz`` and ``/readyz``.

    A process is *alive* when its Trio loop answers at all.  It is *ready* when its
    store can be reached and has the tables that it knows, its services get on, and its
    workers have not been told to stop.

    Args:
        store: The store.
        services: Its services, a `trioqueue.services.Services` for example.
        workers: Its workers.
    """

    def __init__(
        self,
        store: Store,
        *,
        services: Iterable[Service] = (),
        workers: Iterable[Worker] = (),
    ) -> None:
        self._store = store
        self._services = tuple(services)
        self._workers = tuple(workers)

    async def check(self) -> list[Check]:
        """Look at everything; the database has 5 seconds to answer."""
        checks = [Check("store", await self._problem_of_store())]
        for service in self._services:
            problem = self._problem_of_service(service)
            checks.append(Check(f"service {service.name}", problem))
        checks.extend(
            Check("worker", self._problem_of_worker(worker)) for worker in self._workers
        )
        return checks

    async def _problem_of_store(self) -> str | None:
        with trio.move_on_after(LOOK_SECONDS):
            await trio.lowlevel.checkpoint()
            try:
                await self._store.check_schema()
            except TrioQueueError as error:
                return str(error)
            return None
        return f"the database has not answered in {LOOK_SECONDS:g} s"

    def _problem_of_service(self, service: Service) -> str | None:
        seen = service.statistics()
        if not seen.running:
            return "it does not run"
        if count := service.failures_in_a_row:
            return f"it failed {count} times in a row: {seen.last_error}"
        if seen.next_due is not None:
            late = self._store.now() - seen.next_due
            if late > LATE:
                return f"it is {late.total_seconds():.0f} s behind what is due"
        return None

    @staticmethod
    def _problem_of_worker(worker: Worker) -> str | None:
        return "it was told to stop" if worker.stopping else None
