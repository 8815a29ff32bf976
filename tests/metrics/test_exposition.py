"""Metrics and health over HTTP, asked as Prometheus and a container's probe would."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_text,
)
from prometheus_client.parser import text_string_to_metric_families as plain_text
from prometheus_client.registry import Collector

from tests.metrics.asking import Client
from tests.postgres_server import OwnServer
from trioqueue import (
    SchemaVersionError,
    Store,
    StoreUnavailableError,
    ValidationError,
    Worker,
    open_services,
    open_store,
)
from trioqueue.metrics import Health, Metrics, open_metrics, serve_metrics
from trioqueue.store.operations import health as health_operation


@asynccontextmanager
async def served(store: Store, **facts: Any) -> AsyncIterator[Client]:
    registry = CollectorRegistry()
    Metrics(store, services=facts.get("services"), registry=registry)
    health = Health(store, **facts)
    async with trio.open_nursery() as nursery:
        serve = partial(serve_metrics, "127.0.0.1:0", registry, health=health)
        (url,) = await nursery.start(serve)
        yield Client(url)
        nursery.cancel_scope.cancel()


@pytest.fixture
async def store(tmp_path: Any) -> AsyncIterator[Store]:
    async with open_store(f"sqlite:///{tmp_path / 'jobs.db'}") as store:
        await store.create_queue("jobs")
        yield store


async def test_prometheus_reads_what_happened(store: Store) -> None:
    await store.post("jobs", 1)
    async with served(store) as client:
        status, headers, body = await client.get("/metrics")
        families = {family.name: family for family in plain_text(body.decode())}
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=")
    (sample,) = families["trioqueue_messages_posted"].samples
    assert (sample.labels["queue"], sample.value) == ("jobs", 1)


async def test_openmetrics_is_spoken_to_those_who_ask_for_it(store: Store) -> None:
    await store.post("jobs", 1)
    async with served(store) as client:
        accept = "application/openmetrics-text; version=1.0.0"
        _, headers, body = await client.get("/metrics", accept=accept)
    assert headers["content-type"].startswith("application/openmetrics-text")
    read: Any = openmetrics_text  # it has no types
    names = [family.name for family in read(body.decode())]
    assert "trioqueue_messages_posted" in names


async def test_long_answers_are_compressed_for_those_who_can_read_it(
    store: Store,
) -> None:
    for number in range(30):
        await store.create_queue(f"q{number}")
        await store.post(f"q{number}", 1)
    async with served(store) as client:
        _, packed, body = await client.get("/metrics", accept_encoding="gzip, br")
        _, plain, text = await client.get("/metrics", accept_encoding="gzip;q=0")
    assert packed["content-encoding"] == "gzip"
    assert "content-encoding" not in plain
    assert b"trioqueue_messages_posted_total" in gzip.decompress(body)
    assert len(text) > 2 * len(body)


async def test_a_healthy_process_is_alive_and_ready(store: Store) -> None:
    async with (
        open_services(store) as services,
        served(store, services=services) as client,
    ):
        assert (await client.get("/healthz"))[::2] == (200, b"ok\n")
        status, headers, body = await client.get("/readyz")
    assert (status, headers["content-type"]) == (200, "application/json")
    document = json.loads(body)
    assert document["ready"] is True
    names = [check["name"] for check in document["checks"]]
    assert names[0] == "store"
    assert {"service scheduler", "service reclaim", "service cron"} <= {*names}
    assert all(check["ok"] for check in document["checks"])


async def problems(client: Client) -> dict[str, str]:
    status, _, body = await client.get("/readyz")
    document = json.loads(body)
    found = {
        check["name"]: check["problem"]
        for check in document["checks"]
        if not check["ok"]
    }
    assert status == (503 if found else 200)
    assert document["ready"] is (not found)
    return found


async def test_a_worker_that_stops_is_not_ready_for_more(store: Store) -> None:
    async def handler(job: object) -> None: ...

    worker = Worker(store, {"jobs": handler})
    async with served(store, workers=[worker]) as client:
        assert not await problems(client)
        worker.stop()
        assert await problems(client) == {"worker": "it was told to stop"}


async def test_services_that_do_not_run_are_named(store: Store) -> None:
    async with open_services(store) as services:
        pass
    async with served(store, services=services) as client:
        found = await problems(client)
    assert found["service scheduler"] == "it does not run"
    assert set(found) == {f"service {service.name}" for service in services}


async def test_a_database_that_is_away_is_not_ready_but_alive(
    own_postgres: OwnServer,
) -> None:
    async with (
        open_store(own_postgres.store_url("ready")) as store,
        open_services(store) as services,
        served(store, services=services) as client,
    ):
        assert not await problems(client)
        own_postgres.stop("immediate")
        found = await problems(client)
        assert "store" in found
        assert (await client.get("/healthz"))[0] == 200
        own_postgres.start()
        with trio.fail_after(30):
            while await problems(client):  # noqa: ASYNC110  in another process
                await trio.sleep(0.1)


async def test_tables_that_were_migrated_meanwhile_are_not_ready(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = health_operation.SCHEMA_VERSION
    async with served(store) as client:
        monkeypatch.setattr(health_operation, "SCHEMA_VERSION", known - 1)
        found = await problems(client)
    assert f"has schema version {known} now" in found["store"]
    with pytest.raises(SchemaVersionError):
        await store.check_schema()


def test_both_databases_have_the_tables_that_operations_know() -> None:
    from trioqueue.store.postgres.migrations import SCHEMA_VERSION as POSTGRES
    from trioqueue.store.sqlite.migrations import SCHEMA_VERSION as SQLITE

    assert POSTGRES == SQLITE == health_operation.SCHEMA_VERSION


async def test_other_paths_and_methods_are_refused(store: Store) -> None:
    async with served(store) as client:
        status, _, body = await client.get("/metrics/")
        assert (status, body) == (404, b"there are: /healthz /metrics /readyz\n")
        status, headers, _ = await client.get("/metrics", method="DELETE")
        assert (status, headers["allow"]) == (405, "GET, HEAD")
        status, headers, body = await client.get("/healthz", method="HEAD")
        assert (status, headers["content-length"], body) == (200, "3", b"")
        assert (await client.get("/healthz?verbose=1"))[0] == 200


async def test_a_collector_that_hangs_keeps_nobody_from_stopping(store: Store) -> None:
    hangs, go = threading.Event(), threading.Event()

    class Hanging(Collector):
        def collect(self) -> Iterator[Any]:
            hangs.set()
            go.wait(600)
            return iter(())

    registry = CollectorRegistry()
    registry.register(Hanging())
    with trio.fail_after(60):
        async with served(store) as client, trio.open_nursery() as nursery:
            serve = partial(serve_metrics, "127.0.0.1:0", registry)
            (url,) = await nursery.start(serve)
            hung = await Client(url).connect()
            await hung.send_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            await trio.to_thread.run_sync(hangs.wait, 30)
            # Other pages, and other servers, are answered meanwhile.
            assert (await Client(url).get("/healthz"))[0] == 200
            assert (await client.get("/metrics"))[0] == 200
            nursery.cancel_scope.cancel()
    go.set()
    await hung.aclose()


async def test_a_block_has_its_metrics_for_as_long_as_it_lasts(store: Store) -> None:
    registry, url = CollectorRegistry(), ""
    with pytest.raises(KeyError):
        async with open_metrics("127.0.0.1:0", store, registry=registry) as (url,):
            _, _, body = await Client(url).get("/metrics")
            assert b"trioqueue_build_info" in body
            raise KeyError
    assert generate_latest(registry) == b""
    with pytest.raises(OSError, match="connect"):
        await Client(url).connect()


async def test_metrics_that_cannot_be_served_leave_no_trace(store: Store) -> None:
    registry = CollectorRegistry()
    with pytest.raises(ValidationError, match="is no address"):
        async with open_metrics("nowhere", store, registry=registry):
            pytest.fail("it is served")
    async with open_metrics("127.0.0.1:0", store, registry=registry) as (url,):
        address = Client(url).address
        other = CollectorRegistry()
        with pytest.raises(StoreUnavailableError, match="cannot listen on"):
            async with open_metrics(address, store, registry=other):
                pytest.fail("it is served")
        assert generate_latest(other) == b""
    async with open_metrics(None, store, registry=registry) as urls:
        assert urls == ()
        assert generate_latest(registry) == b""
