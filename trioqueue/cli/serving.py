"""Serving a database's metrics from a command of its own."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import trio

from trioqueue.cli.output import say

if TYPE_CHECKING:
    from trioqueue.store import Store


async def serve_until_stopped(
    store: Store, address: str, *, interval_seconds: float
) -> None:
    """Sample a database and serve what is seen, until Ctrl-C or SIGTERM."""
    from trioqueue.metrics.serving import open_metrics
    from trioqueue.services import MetricsReporterService

    reporter = MetricsReporterService(store, interval_seconds=interval_seconds)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        # Whoever asks first must not be told that there is nothing.
        await reporter.run_once()
        async with trio.open_nursery() as nursery:
            await nursery.start(reporter.run)
            async with open_metrics(address, store, services=[reporter]) as urls:
                say(f"metrics at {urls[0]}/metrics; Ctrl-C stops it")
                async for _ in signals:
                    break
            nursery.cancel_scope.cancel(reason="told to stop")
