"""The metrics reporter: when it looks, what it registers, what it survives."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest
import trio
from prometheus_client import CollectorRegistry, generate_latest
from trio.testing import MockClock

from tests.helpers import QUEUE, World, contract
from tests.metrics.scraping import Scrape, scrape
from tests.processes.crew import until
from trioqueue import (
    Cron,
    LeasePolicy,
    Schedule,
    Store,
    StoreUnavailableError,
    ValidationError,
    open_services,
    open_store,
)
from trioqueue.metrics import Metrics
from trioqueue.metrics import catalogue as names
from trioqueue.services import MetricsReporterService

MEMORY: Final = "sqlite://:memory:"
HALF_A_MINUTE: Final = timedelta(seconds=30)


def looks(store: Store) -> float:
    return scrape(store).value(names.OPERATIONS, operation="measure")


@contract
async def test_it_looks_once_and_says_how_many_queues_there_are(world: World) -> None:
    service = MetricsReporterService(world.store)
    assert scrape(world.store).get(names.LAST_REPORTED) is None
    assert await service.run_once() == 0
    await world.make_queue()
    await world.make_queue("other")
    before = world.store.now()
    assert await service.run_once() == 2
    assert service.last_reported_at is not None
    assert before <= service.last_reported_at <= world.store.now()
    assert service.statistics().processed == 2
    assert scrape(world.store).value(names.PROCESSED, service=service.name) == 2


@contract
async def test_it_looks_at_its_start_and_at_each_interval(world: World) -> None:
    interval = world.span(10)
    service = MetricsReporterService(world.store, interval_seconds=interval)
    async with trio.open_nursery() as nursery:
        await nursery.start(service.run)
        while service.statistics().iterations < 4:
            await world.sleep(5)
        assert service.statistics().running
        service.stop()
    assert service.last_reported_at is not None
    assert looks(world.store) >= 3


async def test_the_interval_is_kept_to_the_second(
    anywhere: str, autojump_clock: MockClock
) -> None:
    async with open_store(anywhere) as store, trio.open_nursery() as nursery:
        service = MetricsReporterService(store, interval_seconds=7)
        start = store.now()
        await nursery.start(service.run)
        for place in range(4):
            await trio.sleep(1)
            assert service.last_reported_at == start + timedelta(seconds=7 * place)
            await trio.sleep(6)
        assert await service.stop_gracefully()


async def test_among_the_services_of_virtual_time_it_waits_for_changes(
    anywhere: str, autojump_clock: MockClock
) -> None:
    async with open_store(anywhere) as store, open_services(store) as services:
        reporter = services.metrics_reporter
        await trio.sleep(1)
        seen = reporter.last_reported_at
        assert seen is not None
        await trio.sleep(80_000)
        assert reporter.statistics().iterations <= 2
        quiet = looks(store)
        await store.create_queue(QUEUE)
        changed = store.now()
        await store.post(QUEUE, 1)
        await trio.sleep(29)
        assert looks(store) == quiet
        await trio.sleep(2)
        assert reporter.last_reported_at == changed + HALF_A_MINUTE
        found = scrape(store)
        assert found.get(names.MESSAGES, queue=QUEUE, state="PENDING") == 1
        await trio.sleep(80_000)
        assert looks(store) == quiet + 1
        await store.pause_queue(QUEUE)
        await trio.sleep(31)
        assert scrape(store).get(names.PAUSED, queue=QUEUE) == 1


async def test_changes_by_another_store_of_the_run_are_noticed_too(
    tmp_path: object, autojump_clock: MockClock
) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    async with (
        open_store(url) as store,
        open_services(store) as services,
        open_store(url) as other,
    ):
        await trio.sleep(100)
        await other.create_queue(QUEUE)
        changed = other.now()
        await trio.sleep(100)
        assert services.metrics_reporter.last_reported_at == changed + HALF_A_MINUTE


async def test_a_virtual_year_with_a_daily_job_is_looked_at_daily(
    autojump_clock: MockClock,
) -> None:
    async with open_store(MEMORY) as store, open_services(store) as services:
        await store.create_queue(QUEUE)
        await store.create_schedule(Schedule("s", QUEUE, when=Cron("0 0 * * *")))
        await trio.sleep(365 * 86400)
        assert 365 <= looks(store) <= 370
        assert services.metrics_reporter.statistics().failures == 0


async def test_where_changes_go_unseen_it_looks_although_nothing_has_changed(
    tmp_path: object,
) -> None:
    async with open_store(f"sqlite:///{tmp_path}/jobs.db") as store:
        assert not store.sees_every_change
        service = MetricsReporterService(store, interval_seconds=0.01, when_idle=False)
        async with trio.open_nursery() as nursery:
            await nursery.start(service.run)
            await until(lambda: service.statistics().iterations >= 3)
            service.stop()
        assert looks(store) >= 2


@contract
async def test_with_a_registry_it_is_shown_there_while_it_runs(world: World) -> None:
    await world.make_queue()
    registry = CollectorRegistry()
    service = MetricsReporterService(world.store, registry=registry)
    assert not list(registry.collect())
    async with trio.open_nursery() as nursery:
        await nursery.start(service.run)
        while service.last_reported_at is None:
            await world.sleep(1)
        found = Scrape(generate_latest(registry).decode())
        assert found.get(names.PAUSED, queue=QUEUE) == 0
        assert found.get(names.SERVICE_RUNNING, service=service.name) == 1
        service.stop()
    assert not list(registry.collect())


async def test_a_registry_refuses_to_show_the_same_twice() -> None:
    registry = CollectorRegistry()
    async with open_store(MEMORY) as store:
        first = Metrics(store, registry=registry)
        with pytest.raises(ValueError, match="Duplicated"):
            Metrics(store, registry=registry)
        first.unregister()
        first.unregister()
        Metrics([store], registry=registry).unregister()


async def test_nothing_is_registered_where_nobody_asked_for_it() -> None:
    from prometheus_client import REGISTRY

    async with open_store(MEMORY) as store, open_services(store):
        Metrics(store)
        assert "trioqueue" not in generate_latest(REGISTRY).decode()


@contract
async def test_it_goes_on_when_the_database_was_away(world: World) -> None:
    service = MetricsReporterService(world.store, interval_seconds=0.01)
    real = world.store.measure
    away = True

    async def measure() -> object:
        if away:
            raise StoreUnavailableError("away")
        return await real()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.store, "measure", measure)
        async with trio.open_nursery() as nursery:
            await nursery.start(service.run)
            await until(lambda: service.statistics().failures >= 2)
            assert scrape(world.store).get(names.LAST_REPORTED) is None
            away = False
            await until(lambda: service.last_reported_at is not None)
            service.stop()
    failures = service.statistics().failures
    assert scrape(world.store).value(names.FAILURES, service=service.name) == failures


async def test_an_interval_must_be_greater_than_nothing() -> None:
    async with open_store(MEMORY) as store:
        for wrong in (0, -1, float("inf")):
            with pytest.raises(ValidationError) as raised:
                MetricsReporterService(store, interval_seconds=wrong)
            assert [issue.field for issue in raised.value.issues] == [
                "interval_seconds"
            ]


async def test_a_job_that_lasts_a_day_costs_no_more_looks_than_heartbeats(
    autojump_clock: MockClock,
) -> None:
    async with open_store(MEMORY) as store, open_services(store):
        await store.create_queue(QUEUE)
        await store.post(QUEUE, 1)
        async with store.lease(QUEUE, lease=LeasePolicy(base_seconds=300)):
            await trio.sleep(86400)
        assert looks(store) <= 86400 / 100 + 5
