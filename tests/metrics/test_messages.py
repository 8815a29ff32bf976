"""Metrics of messages, attempts, leases, dead letters are fed by what happens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import trio

from tests.helpers import QUEUE, World, contract, on_shared
from tests.metrics.scraping import scrape
from trioqueue import (
    ConflictError,
    Cron,
    Discard,
    Job,
    LeaseLostError,
    LeasePolicy,
    NewMessage,
    Retry,
    Schedule,
    Snooze,
    Worker,
)
from trioqueue.metrics import catalogue as names


def count(world: World, name: str, **labels: str) -> float:
    return scrape(world.store).value(name, queue=QUEUE, **labels)


@contract
async def test_posts_and_duplicates_are_counted(world: World) -> None:
    await world.make_queue()
    await world.make_queue("other")
    assert scrape(world.store).get(names.POSTED, queue=QUEUE) is None
    await world.store.post(QUEUE, 1, message_id="a")
    await world.store.post(QUEUE, 1)
    await world.store.post("other", 1)
    assert count(world, names.POSTED) == 2
    assert count(world, names.DUPLICATES) == 0
    await world.store.post(QUEUE, 1, message_id="a")
    with pytest.raises(ConflictError):
        await world.store.post(QUEUE, 2, message_id="a")
    batch = [NewMessage(1, message_id=name) for name in ("a", "b", "b", "c")]
    await world.store.post_many(QUEUE, batch)
    found = scrape(world.store)
    assert found.value(names.POSTED, queue=QUEUE) == 4
    assert found.value(names.DUPLICATES, queue=QUEUE) == 3
    assert found.value(names.POSTED, queue="other") == 1


@contract
async def test_claims_are_counted_with_their_wait(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, priority=4)
    await world.store.post(QUEUE, 1, priority=0)
    await world.advance(20)
    assert len(await world.store.claim(QUEUE, limit=5)) == 2
    assert await world.store.claim(QUEUE) == []
    found = scrape(world.store)
    assert found.value(names.CLAIMED, queue=QUEUE) == 2
    assert found.value(f"{names.WAITS}_count", queue=QUEUE) == 2
    assert 40 <= found.value(f"{names.WAITS}_sum", queue=QUEUE) < 100
    assert found.value(f"{names.WAITS}_bucket", queue=QUEUE, le="15.0") == 0
    assert found.value(f"{names.WAITS}_bucket", queue=QUEUE, le="60.0") == 2


@contract
async def test_the_wait_of_a_delayed_message_begins_when_it_is_due(
    world: World,
) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, delay_seconds=100)
    await world.advance(110)
    await world.store.promote_due_messages()
    await world.claim()
    assert 10 <= count(world, f"{names.WAITS}_sum") < 60


@contract
async def test_attempts_are_counted_by_their_outcome_with_their_run(
    world: World,
) -> None:
    await world.make_queue()
    job = await world.running()
    await world.advance(2)
    await world.store.complete(job)
    await world.store.complete(job)  # the same word again
    await world.store.release(await world.running())
    await world.store.fail(await world.claim(), "no")
    found = scrape(world.store)
    for outcome in ("completed", "failed", "released"):
        assert found.value(names.ATTEMPTS, queue=QUEUE, outcome=outcome) == 1
    assert found.total(names.ATTEMPTS) == 3
    assert found.value(f"{names.RUNS}_count", queue=QUEUE) == 3
    assert 2 <= found.value(f"{names.RUNS}_sum", queue=QUEUE) < 30
    assert found.value(names.ERRORS, queue=QUEUE, kind="exception") == 1
    assert found.total(names.ERRORS) == 1


@contract
async def test_canceled_messages_are_counted_waiting_and_running(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="waits")
    await world.store.cancel(QUEUE, "waits")
    assert count(world, names.CANCELED) == 1
    assert scrape(world.store).total(names.ATTEMPTS) == 0
    job = await world.running()
    await world.store.cancel(QUEUE, job.message_id, abort=True)
    assert count(world, names.CANCELED) == 1
    await world.store.fail(job, "too late")
    assert count(world, names.CANCELED) == 2
    assert count(world, names.ATTEMPTS, outcome="canceled") == 1
    assert scrape(world.store).total(names.ERRORS) == 0


@contract
async def test_leases_prolonged_and_lost_are_counted(world: World) -> None:
    await world.make_queue()
    job = await world.running()
    await world.store.heartbeat(job)
    await world.store.heartbeat_many([job])
    assert count(world, names.RENEWED) == 2
    await world.store.release(job)
    with pytest.raises(LeaseLostError):
        await world.store.heartbeat(job)
    with pytest.raises(LeaseLostError):
        await world.store.complete(job)
    assert count(world, names.LOST) == 2
    assert count(world, names.RENEWED) == 2


@contract
async def test_attempts_whose_lease_expired_are_counted(world: World) -> None:
    await world.make_queue(lease=LeasePolicy(base_seconds=20), max_attempts=2)
    await world.running()
    await world.advance(30)
    assert await world.reclaim() == 1
    assert count(world, names.EXPIRED) == 1
    assert count(world, names.ATTEMPTS, outcome="lease_expired") == 1
    assert count(world, names.ERRORS, kind="lease_expired") == 1


@contract
async def test_a_missed_heartbeat_is_an_error_of_its_own_kind(world: World) -> None:
    policy = LeasePolicy(base_seconds=60, heartbeat_seconds=5)
    await world.make_queue(lease=policy, max_attempts=1)
    await world.running()
    await world.advance(10)
    assert await world.reclaim() == 1
    assert count(world, names.EXPIRED) == 1
    assert count(world, names.ATTEMPTS, outcome="heartbeat_expired") == 1
    assert count(world, names.ERRORS, kind="heartbeat_expired") == 1
    assert count(world, names.DEAD_ADDED, reason="heartbeat_expired") == 1


@contract
async def test_what_handlers_raise_is_counted_by_kind(world: World) -> None:
    limit = LeasePolicy(execution_limit_seconds=world.span(5))
    await world.make_queue(lease=limit, max_attempts=5)
    raised: list[Any] = [
        None,
        ValueError("no"),
        Retry(in_seconds=0),
        Snooze(in_seconds=1000),
        Discard("never"),
    ]

    async def handle(job: Job) -> None:
        error = raised[job.payload]
        if error is None:
            await trio.sleep(world.span(1000))
        raise error

    for place in range(len(raised)):
        await world.store.post(QUEUE, place, max_attempts=1)
    await Worker(world.store, {QUEUE: handle}).run_once()
    assert count(world, names.ERRORS, kind="execution_limit") == 1
    assert count(world, names.ERRORS, kind="exception") == 3
    assert count(world, names.ATTEMPTS, outcome="failed") == 4
    assert count(world, names.ATTEMPTS, outcome="released") == 1
    assert count(world, names.DEAD_ADDED, reason="discarded") == 1
    assert count(world, names.DEAD_ADDED, reason="max_attempts") == 3


@contract
async def test_dead_letters_are_counted_as_they_come_and_go(world: World) -> None:
    await world.make_queue()
    await world.make_queue("other")
    for name in "abcde":
        await world.dead(name)
    assert count(world, names.DEAD_ADDED, reason="discarded") == 5
    await world.store.requeue(QUEUE, "a", target="other")
    await world.store.delete_dead_letter(QUEUE, "b")
    assert count(world, names.DEAD_REQUEUED, reason="discarded") == 1
    assert count(world, names.DEAD_PURGED, reason="discarded") == 1
    assert await world.store.requeue_all(QUEUE, target="other") == 3
    await world.dead("f")
    assert await world.store.purge_dead_letters(f"{QUEUE}-dlq") == 1
    found = scrape(world.store)
    assert found.value(names.DEAD_REQUEUED, queue=QUEUE, reason="discarded") == 4
    assert found.value(names.DEAD_PURGED, queue=QUEUE, reason="discarded") == 2
    assert found.value(names.POSTED, queue=QUEUE) == 6
    assert found.total(names.DEAD_REQUEUED) == 4


@on_shared
@contract
async def test_a_message_that_cannot_be_decoded_is_counted(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1)
    world.write_behind("UPDATE tq_messages SET payload = ?", b"{")
    assert await world.store.claim(QUEUE) == []
    assert count(world, names.CLAIMED) == 1
    assert count(world, names.ATTEMPTS, outcome="undecodable") == 1
    assert count(world, names.ERRORS, kind="undecodable") == 1
    assert count(world, names.DEAD_ADDED, reason="undecodable") == 1
    assert count(world, f"{names.RUNS}_count") == 0


@contract
async def test_the_series_of_a_deleted_queue_are_removed(world: World) -> None:
    await world.make_queue()
    await world.make_queue("stays")
    for queue in (QUEUE, "stays"):
        await world.store.complete(await world.running(queue))
    await world.store.measure()
    before = scrape(world.store).of_queue("stays")
    assert scrape(world.store).of_queue(QUEUE) == before
    assert names.MESSAGES in before
    assert names.POSTED in before
    await world.store.delete_queue(QUEUE)
    assert scrape(world.store).of_queue(QUEUE) == set()
    await world.store.measure()
    found = scrape(world.store)
    assert found.of_queue(QUEUE) == set()
    assert found.of_queue(names.OTHER_QUEUES) == set()
    assert found.of_queue("stays") == before
    await world.make_queue()
    await world.store.post(QUEUE, 1)
    assert count(world, names.POSTED) == 1


@on_shared
@contract
async def test_the_series_of_a_queue_that_somebody_else_deleted_are_removed(
    world: World,
) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1)
    async with world.open_another() as other:
        await other.delete_queue(QUEUE, force=True)
    assert count(world, names.POSTED) == 1
    await world.store.measure()
    assert scrape(world.store).of_queue(QUEUE) == set()
    assert world.store.meters.queues == set()


@contract
async def test_schedule_runs_are_counted_with_their_lag(world: World) -> None:
    await world.make_queue()
    await world.store.create_schedule(Schedule("s", QUEUE, when=Cron("* * * * *")))
    due = await world.store.next_schedule_run("cron")
    assert due is not None
    late = timedelta(seconds=3)
    await world.advance((due + late - world.store.now()).total_seconds())
    assert await world.store.fire_due_schedules("cron") is not None
    found = scrape(world.store)
    assert found.value(names.SCHEDULE_RUNS, kind="on_time") == 1
    assert 3 <= found.value(f"{names.SCHEDULE_LAG}_sum") < 60
    await world.store.trigger_schedule("s")
    found = scrape(world.store)
    assert found.value(names.SCHEDULE_RUNS, kind="manual") == 1
    assert found.value(f"{names.SCHEDULE_LAG}_count") == 1
    assert found.value(names.POSTED, queue=QUEUE) == 2
