"""Looks at the whole database for metrics."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, final

import trio

from trioqueue.model.spans import micros_to_instant
from trioqueue.services.base import StoreService
from trioqueue.store.operations.core import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from prometheus_client import CollectorRegistry

    from trioqueue.model.spans import Seconds
    from trioqueue.store import Store
    from trioqueue.store.wakeups import Alarm


@final
class MetricsReporterService(StoreService):
    """Counts what is in the queues, also at start, for `trioqueue.metrics.Metrics`.

    Args:
        store: The store.
        interval_seconds: The most it sleeps, in seconds (30).
        registry: Where what it and the store know is shown while it runs (None:
            nowhere; make a `Metrics` yourself).
        when_idle: Whether it looks although nothing has changed.  Without, it waits
            for a change, which only a store that sees every change can tell, and looks
            one interval later.
    """

    name: ClassVar[str] = "metrics_reporter"
    topic: ClassVar[str] = METRICS

    def __init__(
        self,
        store: Store,
        *,
        interval_seconds: Seconds = 30.0,
        registry: CollectorRegistry | None = None,
        when_idle: bool = True,
    ) -> None:
        super().__init__(store, interval_seconds)
        self._registry = registry
        # Nobody tells of changes that others make.
        self._when_idle = when_idle or not store.sees_every_change

    @property
    def last_reported_at(self) -> datetime | None:
        """When it, or another one on the same store, last looked, or None."""
        sample = self._meters.sample
        return None if sample is None else micros_to_instant(sample.at)

    async def run_once(self) -> int:
        """Look now; return how many queues there are.

        Raises:
            StoreUnavailableError: The database cannot be used now.
        """
        sample = await self._store.measure()
        count = len(sample.queues)
        self._note_processed(count)
        return count

    @contextmanager
    def _while_running(self) -> Iterator[None]:
        if self._registry is None:
            yield
            return
        # Only now: prometheus_client takes its time to import.
        from trioqueue.metrics.collector import Metrics

        metrics = Metrics(self._store, services=[self], registry=self._registry)
        try:
            yield
        finally:
            metrics.unregister()

    async def _batch(self) -> int:
        await self.run_once()
        return 0  # one look is all there is to do

    async def _find_next_due(self) -> datetime | None:
        return None  # noqa: ASYNC910  the batch before was a checkpoint

    async def _sleep(self, alarm: Alarm) -> None:
        if not self._when_idle and alarm.earliest > 0:
            await alarm.wait()
        await trio.sleep(self._interval)
