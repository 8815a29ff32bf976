"""Everything at a glance: queues, workers, the next runs of schedules."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.helpers import QUEUE, World, contract, fields
from trioqueue import (
    Calendar,
    Cron,
    MessageState,
    RetentionPolicy,
    Schedule,
    ValidationError,
)
from trioqueue.schedules import Daily
from trioqueue.store.operations.workers import Registration


@contract
async def test_an_empty_store_has_nothing_to_show(world: World) -> None:
    seen = await world.store.overview()
    assert (seen.queues, seen.workers, seen.schedules) == ((), (), ())


@contract
async def test_queues_are_shown_with_exact_counts(world: World) -> None:
    await world.make_queue("b", retention=RetentionPolicy.keep_forever())
    await world.make_queue("a")
    await world.store.pause_queue("a")
    await world.store.complete(await world.running("b"))
    await world.dead("d", "b")
    await world.running("b")
    await world.store.post("b", 1)
    await world.advance(10)
    await world.store.post("b", 1)
    await world.store.post("b", 1, delay_seconds=100)
    seen = await world.store.overview()
    first, second = seen.queues
    assert (first.name, first.paused, first.keeps_finished) == ("a", True, False)
    assert set(first.counts) == set(MessageState)
    assert first.oldest_ready_seconds is None
    assert not any(first.counts.values())
    assert (second.name, second.paused, second.keeps_finished) == ("b", False, True)
    assert second.counts == (await world.store.queue_state("b")).counts
    assert second.counts[MessageState.PENDING] == 2
    assert second.counts[MessageState.ERRORED] == 1
    assert second.oldest_ready_seconds is not None
    assert 10 <= second.oldest_ready_seconds < 60
    assert seen.at <= world.store.now()


@contract
async def test_workers_that_are_alive_are_shown(world: World) -> None:
    about = Registration("old", "box", 7, "1.2", (QUEUE,), 5, 10_000_000)
    await world.store.register_worker(about)
    await world.advance(60)
    await world.store.register_worker(about._replace(worker_id="new"))
    seen = await world.store.overview()
    assert list(seen.workers) == await world.store.list_workers()
    assert [worker.worker_id for worker in seen.workers] == ["new"]


@contract
async def test_the_next_runs_come_in_order_and_are_bounded(world: World) -> None:
    await world.make_queue()
    soon = world.store.now() + timedelta(hours=1)
    for hours, name, when in (
        (3, "third", Cron("* * * * *")),
        (1, "first", Cron("* * * * *")),
        (2, "second", Calendar([Daily()])),
        (4, "paused", Cron("* * * * *")),
    ):
        start = soon + timedelta(days=hours)
        await world.store.create_schedule(Schedule(name, QUEUE, when, start_at=start))
    await world.store.pause_schedule("paused")
    seen = (await world.store.overview()).schedules
    assert [run.schedule_id for run in seen] == ["first", "second", "third"]
    assert seen[0].queue == QUEUE
    assert [run.next_run for run in seen] == [
        (await world.store.get_schedule(run.schedule_id)).next_run for run in seen
    ]
    few = (await world.store.overview(runs=2)).schedules
    assert few == seen[:2]
    with pytest.raises(ValidationError) as raised:
        await world.store.overview(runs=0)
    assert fields(raised) == ["runs"]
