"""Metrics and health over HTTP, for Prometheus and for whatever runs containers."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Final

import trio

from trioqueue.metrics.address import Address
from trioqueue.metrics.conversation import Page
from trioqueue.metrics.http import HttpServer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from prometheus_client import CollectorRegistry

    from trioqueue.metrics.health import Health
    from trioqueue.metrics.http import Headers

PACK_FROM: Final = 2048
"""Answers of so many bytes are compressed for those who can read that."""


async def serve_metrics(  # noqa: ASYNC128  the server reports
    address: str,
    registry: CollectorRegistry,
    *,
    health: Health | None = None,
    task_status: trio.TaskStatus[Sequence[str]] = trio.TASK_STATUS_IGNORED,
) -> NoReturn:
    """Serve ``/metrics``, ``/healthz`` and ``/readyz`` until canceled.

    Start it in a nursery of your own; it reports the URLs at which it can be reached::

        registry = prometheus_client.CollectorRegistry()
        async with trioqueue.open_services(store) as services:
            Metrics(store, services=services, registry=registry)
            health = Health(store, services=services)
            async with trio.open_nursery() as nursery:
                urls = await nursery.start(
                    partial(serve_metrics, "9464", registry, health=health)
                )

    ``/metrics`` is rendered in a thread, as text or, for those who ask, OpenMetrics.
    ``/healthz`` says 200 as long as the Trio loop answers; ``/readyz`` says 503 and
    why, when work cannot be done.  There is no TLS and no login: listen where only
    those who may know can ask.

    Args:
        address: ``HOST:PORT``, ``[IPV6]:PORT``, ``PORT`` for this machine only, or
            ``:PORT`` for every address.  Port 0 takes one that is free.
        registry: What to show.
        health: What ``/readyz`` looks at; without it, it says what ``/healthz`` says.
        task_status: Reports the URLs.

    Raises:
        ValidationError: The address is none.
        StoreUnavailableError: It cannot be listened on.
    """
    # One at a time: however many ask, a worker's own threads are left to it.
    limiter = trio.CapacityLimiter(1)

    async def metrics(headers: Headers) -> Page:
        # A collector that hangs must not keep a worker from stopping.
        return await trio.to_thread.run_sync(
            render, registry, headers, abandon_on_cancel=True, limiter=limiter
        )

    async def healthz(_: Headers) -> Page:
        await trio.lowlevel.checkpoint()
        return Page.text(200, "ok")

    async def readyz(headers: Headers) -> Page:
        return await healthz(headers) if health is None else await _readiness(health)

    routes = {"/metrics": metrics, "/healthz": healthz, "/readyz": readyz}
    await HttpServer(routes).serve(Address.parse(address), task_status=task_status)


def render(registry: CollectorRegistry, headers: Headers) -> Page:
    """Write a registry down in the form that a client asks for."""
    from prometheus_client.exposition import choose_encoder

    encode, content_type = choose_encoder(headers.get("accept", ""))
    body = encode(registry)
    packed: tuple[tuple[str, str], ...] = (("vary", "accept, accept-encoding"),)
    if len(body) >= PACK_FROM and _accepts_gzip(headers.get("accept-encoding", "")):
        body = gzip.compress(body, compresslevel=1, mtime=0)
        packed += (("content-encoding", "gzip"),)
    return Page(200, content_type, body, packed)


def _accepts_gzip(text: str) -> bool:
    for part in text.lower().split(","):
        coding, _, parameters = part.partition(";")
        if coding.strip() == "gzip":
            weight = parameters.strip().removeprefix("q=").strip()
            return weight not in {"0", "0.0", "0.00", "0.000"}
    return False


async def _readiness(health: Health) -> Page:
    checks = await health.check()
    ready = all(check.problem is None for check in checks)
    document = {
        "ready": ready,
        "checks": [
            {"name": check.name, "ok": check.problem is None, "problem": check.problem}
            for check in checks
        ],
    }
    body = json.dumps(document, indent=2).encode() + b"\n"
    return Page(200 if ready else 503, "application/json", body)
