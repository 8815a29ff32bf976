"""Serving what one process knows of itself."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from trioqueue._background import open_background
from trioqueue.metrics.address import Address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from prometheus_client import CollectorRegistry

    from trioqueue.services import Service
    from trioqueue.store import Store
    from trioqueue.worker import Worker

logger: Final = logging.getLogger("trioqueue.metrics")


@asynccontextmanager
async def open_metrics(
    address: str | None,
    store: Store,
    *,
    services: Iterable[Service] = (),
    workers: Iterable[Worker] = (),
    registry: CollectorRegistry | None = None,
) -> AsyncIterator[Sequence[str]]:
    """Serve metrics and health beside the body of an ``async with`` block.

    Args:
        address: Where; see `trioqueue.metrics.serve_metrics`.  None: nowhere.
        store: The store.
        services: Its services.
        workers: Its workers.
        registry: What to show beside them (None: prometheus_client's own, in which a
            program's own metrics are).  They are in it for the length of the block.

    Yields:
        The URLs.

    Raises:
        ValidationError: The address is none.
        StoreUnavailableError: It cannot be listened on.
    """
    if address is None:
        yield ()
        return
    Address.parse(address)
    from prometheus_client import REGISTRY

    from trioqueue.metrics.collector import Metrics
    from trioqueue.metrics.exposition import serve_metrics
    from trioqueue.metrics.health import Health

    services, workers = tuple(services), tuple(workers)
    registry = REGISTRY if registry is None else registry
    health = Health(store, services=services, workers=workers)
    serve: Any = partial(serve_metrics, address, registry, health=health)
    shown = Metrics(store, services=services, workers=workers, registry=registry)
    try:
        async with open_background("what the metrics tell of has ended") as nursery:
            urls = await nursery.start(serve)
            logger.info("metrics at %s/metrics, health at /healthz, /readyz", urls[0])
            yield urls
    finally:
        shown.unregister()
