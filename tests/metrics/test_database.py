"""Every metric of the database, its services and workers is fed by what happens."""

from __future__ import annotations

import platform
import sqlite3
from contextlib import closing
from typing import Any

import pytest
import trio
import trio.testing

from tests.helpers import QUEUE, World, contract, on_files, only_where
from tests.metrics.scraping import Scrape, scrape
from tests.processes.crew import until
from trioqueue import (
    Job,
    NewMessage,
    Store,
    StoreUnavailableError,
    Worker,
    open_services,
    open_store,
)
from trioqueue.metrics import catalogue as names
from trioqueue.services import ReclaimService, SchedulerService
from trioqueue.store.operations.core import (
    Context,
    Execute,
    Fetch,
    Operation,
    OvertakenError,
)
from trioqueue.store.sqlite import inline

on_postgres = only_where(lambda place: place.kind.is_postgres)
really_on_postgres = only_where(lambda p: p.kind.is_postgres and not p.virtual)
really_on_files = only_where(lambda p: p.kind.is_file and not p.virtual)


async def fed(store: Store, name: str, least: float = 1, **labels: str) -> Scrape:
    """Wait until a counter is there."""
    await until(lambda: scrape(store).value(name, **labels) >= least)
    return scrape(store)


@contract
async def test_operations_are_counted_by_name(world: World) -> None:
    await world.make_queue()
    before = scrape(world.store)
    await world.store.complete(await world.running())
    await world.store.get_queue(QUEUE)
    await world.store.post_many(QUEUE, [])
    await world.store.pause_queue(QUEUE)
    found = scrape(world.store)
    grown = {
        name: value - before.value(names.OPERATIONS, operation=name)
        for name in ("post", "claim", "end", "get_queue", "pause_queue")
        if (value := found.value(names.OPERATIONS, operation=name))
    }
    expected = {"post": 1, "claim": 1, "end": 1, "get_queue": 1, "pause_queue": 1}
    assert grown == expected
    assert found.value(names.OPERATIONS, operation="create_queue") == 1


@contract
async def test_transactions_are_timed_by_kind_with_the_size_of_their_group(
    world: World,
) -> None:
    await world.make_queue()
    before = scrape(world.store)
    count = f"{names.TRANSACTIONS}_count"
    job = await world.running()
    await world.store.get_message(QUEUE, job.message_id)
    await world.store.heartbeat(job)
    found = scrape(world.store)
    alone = world.url == "sqlite://:memory:" and not world.virtual
    own_lane = world.kind.is_postgres and not world.virtual
    grown = {
        kind: found.value(count, kind=kind) - before.value(count, kind=kind)
        for kind in ("write", "read", "relaxed")
    }
    assert grown["relaxed"] == own_lane
    assert grown["write"] == 3 - own_lane + alone
    if not own_lane:  # there others look, too
        assert grown["read"] == 1 - alone
    assert found.value(f"{names.TRANSACTIONS}_sum", kind="write") > 0
    sizes = found.value(f"{names.GROUP_SIZES}_count")
    assert sizes == found.value(count, kind="write") + grown["relaxed"]


@only_where(lambda place: not place.virtual)
@contract
async def test_callers_at_once_are_seen_in_the_size_of_groups(world: World) -> None:
    await world.make_queue()
    before = scrape(world.store)
    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(world.store.post, QUEUE, 1)
    found = scrape(world.store)
    name = names.GROUP_SIZES
    callers = found.value(f"{name}_sum") - before.value(f"{name}_sum")
    groups = found.value(f"{name}_count") - before.value(f"{name}_count")
    assert callers == 50
    assert groups < 50
    assert found.value(names.OPERATIONS, operation="post") == 50


@on_files
@contract
async def test_a_file_that_another_process_holds_is_counted_as_busy(
    world: World,
) -> None:
    await world.make_queue()
    assert scrape(world.store).get(names.BUSY) == 0
    path = world.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        if world.virtual:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(inline, "PATIENCE_SECONDS", 0.01)
                with pytest.raises(StoreUnavailableError):
                    await world.store.post(QUEUE, 1)
        else:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(world.store.post, QUEUE, 1)
                await trio.sleep(0.05)
                other.execute("ROLLBACK")
    assert scrape(world.store).value(names.BUSY) >= 1


@on_postgres
@contract
async def test_transactions_that_met_others_are_counted_as_busy(world: World) -> None:
    await world.make_queue()
    tries = 0

    def overtaken(context: Context) -> Operation[int]:
        nonlocal tries
        tries += 1
        context.effects.count(names.POSTED, QUEUE)
        yield Execute("request_abort", {"id": 0, "now": 1, "reason": None})
        if tries < 4:
            raise OvertakenError
        return tries

    assert await world.store._executor.write(overtaken) == 4
    found = scrape(world.store)
    assert found.value(names.BUSY) == 3
    assert found.value(names.POSTED, queue=QUEUE) == 1
    assert found.value(names.OPERATIONS, operation="overtaken") == 1


@really_on_postgres
@contract
async def test_connections_lost_with_work_in_them_are_counted(world: World) -> None:
    await world.make_queue()
    killed = False

    def cut(context: Context) -> Operation[None]:
        nonlocal killed
        yield Fetch("queues_by_name", {"names": [QUEUE]})
        if not killed:
            killed = True
            _cut_connections(world)
        yield Fetch("queues_by_name", {"names": [QUEUE]})

    await world.store._executor.write(cut)
    assert scrape(world.store).value(names.CONNECTIONS_LOST) == 1
    assert scrape(world.store).value(names.OPERATIONS, operation="cut") == 1


def _cut_connections(world: World) -> None:
    """End every connection that is in a transaction, as a server does that goes."""
    world.write_behind(
        "UPDATE tq_queues SET name = name WHERE 1 = ("
        " SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE state = 'idle in transaction' AND query LIKE ?)",
        f"%{_schema(world)}%",
    )


def _schema(world: World) -> str:
    return world.url.split("schema=")[1].split("&")[0]


@really_on_files
@contract
async def test_looks_at_a_file_that_has_changed_are_counted_as_polls(
    world: World,
) -> None:
    await world.make_queue()
    await world.make_queue("never")
    before = scrape(world.store).value(names.WAKEUPS, kind="poll")
    async with world.open_another() as other, trio.open_nursery() as nursery:
        nursery.start_soon(world.store.claim_wait, "never")
        await trio.testing.wait_all_tasks_blocked()
        await other.post(QUEUE, 1)
        found = await fed(world.store, names.WAKEUPS, before + 1, kind="poll")
        assert found.get(names.WAKEUPS, kind="push") == 0
        nursery.cancel_scope.cancel()


@really_on_postgres
@contract
async def test_notifications_of_other_processes_are_counted_as_pushes(
    world: World,
) -> None:
    await world.make_queue()
    assert scrape(world.store).get(names.WAKEUPS, kind="push") == 0
    async with world.open_another() as other:
        while not scrape(world.store).value(names.WAKEUPS, kind="push"):
            # It may not listen yet.
            await other.post(QUEUE, 1)
            await trio.sleep(0.1)


@really_on_postgres
@contract
async def test_looks_where_nothing_is_heard_are_counted_as_polls(
    world: World,
) -> None:
    await world.make_queue()
    async with (
        open_store(f"{world.url}&pooler=transaction") as deaf,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(deaf.claim_wait, QUEUE)
        found = await fed(deaf, names.WAKEUPS, kind="poll")
        assert found.get(names.WAKEUPS, kind="push") == 0
        nursery.cancel_scope.cancel()


@really_on_postgres
@contract
async def test_the_pool_shows_its_connections(world: World) -> None:
    found = scrape(world.store)
    assert found.value(names.POOL_SIZE) == 8
    assert found.get(names.POOL_WAITING) == 0
    seen = []

    def look() -> Operation[None]:
        seen.append(scrape(world.store))
        yield from ()

    await world.store._executor.read(look)
    assert seen[0].value(names.POOL, state="busy") >= 1
    assert seen[0].get(names.POOL, state="idle") is not None
    pool = world.store.meters.pool
    assert pool is not None
    assert pool().open >= 1


@contract
async def test_the_size_of_files_is_shown_where_there_are_any(world: World) -> None:
    found = scrape(world.store)
    if not world.kind.is_file:
        assert found.get(names.FILE_BYTES) is None
        assert found.get(names.WAL_BYTES) is None
        return
    await world.make_queue()
    await world.store.post_many(QUEUE, [NewMessage("x" * 10_000)] * 200)
    path = trio.Path(world.url.removeprefix("sqlite:///"))
    grown = scrape(world.store)
    if not world.virtual:  # there threads are not waited for
        assert grown.value(names.FILE_BYTES) == (await path.stat()).st_size
    assert grown.value(names.FILE_BYTES) >= 4096
    assert grown.value(names.WAL_BYTES) > found.value(names.WAL_BYTES)


@contract
async def test_services_tell_what_they_have_done(world: World) -> None:
    await world.make_queue()
    async with open_services(world.store) as services:
        await world.store.post(QUEUE, 1, delay_seconds=world.span(5))
        await world.store.claim_wait(QUEUE)
        await world.sleep(1)
        found = scrape(world.store, services=services)
        names_of_services = {service.name for service in services}
    for service in names_of_services:
        assert found.value(names.ITERATIONS, service=service) >= 1
        assert found.value(names.SERVICE_RUNNING, service=service) == 1
        seconds = f"{names.SERVICE_SECONDS}_count"
        assert found.value(seconds, service=service) >= 1
    assert found.value(names.ITERATIONS, service="scheduler") >= 2
    assert found.value(names.PROCESSED, service="scheduler") == 1
    assert found.value(names.PROCESSED, service="cleanup") == 0
    ended = scrape(world.store, services=services)
    assert ended.get(names.SERVICE_RUNNING, service="scheduler") == 0


@contract
async def test_cycles_that_fail_are_counted(world: World) -> None:
    service = SchedulerService(world.store, interval_seconds=0.01)
    away = StoreUnavailableError("away")

    async def fail() -> int:
        raise away

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.store, "promote_due_messages", fail)
        async with trio.open_nursery() as nursery:
            await nursery.start(service.run)
            await until(lambda: service.statistics().failures >= 2)
            service.stop()
    found = scrape(world.store)
    failures = service.statistics().failures
    assert found.value(names.FAILURES, service="scheduler") == failures
    assert found.value(names.ITERATIONS, service="scheduler") == failures


async def test_a_service_on_something_else_than_a_store_is_shown_too() -> None:
    class Backend:
        async def find_expired_messages(
            self, queue: str | None = None, limit: int = 1000
        ) -> list[Any]:
            await trio.lowlevel.checkpoint()
            return [object()] if not self.reclaimed else []

        async def reclaim_expired_message(
            self, queue: str | None, message: Any
        ) -> bool:
            await trio.lowlevel.checkpoint()
            return True

        async def reclaim_expired_messages(self, messages: Any) -> int:
            await trio.lowlevel.checkpoint()
            self.reclaimed += len(messages)
            return len(messages)

        reclaimed = 0

    service = ReclaimService(Backend())
    assert await service.run_once() == 1
    found = scrape(services=[service])
    assert found.value(names.PROCESSED, service="reclaim") == 1


@contract
async def test_workers_show_their_slots_and_what_runs(world: World) -> None:
    await world.make_queue()
    started, over = trio.Event(), trio.Event()

    async def handle(job: Job) -> None:
        started.set()
        await over.wait()

    idle = Worker(world.store, {QUEUE: handle}, concurrency=3)
    worker = Worker(world.store, {QUEUE: handle}, concurrency=7)
    assert scrape(world.store).get(names.WORKER_SLOTS) is None
    await world.store.post(QUEUE, 1)
    async with trio.open_nursery() as nursery:
        await nursery.start(worker.run)
        await started.wait()
        found = scrape(world.store, workers=[idle, worker])
        assert found.value(names.WORKER_SLOTS) == 10
        assert found.value(names.WORKER_RUNNING) == 1
        over.set()
        await worker.stop_gracefully()
    found = scrape(world.store, workers=[idle, worker])
    assert found.get(names.WORKER_RUNNING) == 0


@contract
async def test_what_runs_is_told_by_the_labels_of_an_info(world: World) -> None:
    found = scrape(world.store)
    ((labels, value),) = [
        (dict(labels), value)
        for (name, labels), value in found.series.items()
        if name == names.BUILD_INFO
    ]
    assert value == 1
    backend = "postgresql" if world.kind.is_postgres else "sqlite"
    assert labels["backend"] == backend
    assert labels["python"] == platform.python_version()
    assert labels["version"]
