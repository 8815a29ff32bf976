"""Waiting for messages: woken at once, and nothing is taken by who gives up."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.helpers import QUEUE, World, contract, ids, on_shared
from trioqueue import Job, NewMessage, QueueNotFoundError

SOON = 5.0
"""Far below what a deadlock would take, far above what a wake-up takes."""


async def _wait_into(world: World, jobs: list[Job]) -> None:
    jobs += await world.store.claim_wait(QUEUE)


async def _settle(world: World) -> None:
    """Let the waiters begin to wait."""
    if world.virtual:
        await trio.testing.wait_all_tasks_blocked()
    else:
        await trio.sleep(0.02)


@contract
async def test_what_is_ready_is_taken_without_waiting(world: World) -> None:
    await world.make_queue()
    await world.store.post_many(QUEUE, [NewMessage(n) for n in range(5)])
    with trio.fail_after(SOON):
        jobs = await world.store.claim_wait(QUEUE, limit=3, worker_id="w")
    assert [job.payload for job in jobs] == [0, 1, 2]
    assert {job.worker_id for job in jobs} == {"w"}


@contract
async def test_a_post_wakes_a_waiter_at_once(world: World) -> None:
    """D8: no polling."""
    await world.make_queue()
    jobs: list[Job] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_wait_into, world, jobs)
        await _settle(world)
        assert jobs == []
        began = trio.current_time()
        await world.store.post(QUEUE, 1, message_id="m")
    assert ids(jobs) == ["m"]
    if world.virtual:
        assert trio.current_time() == began


@contract
async def test_each_of_many_waiters_gets_one_of_many_posts(world: World) -> None:
    await world.make_queue()
    jobs: list[Job] = []
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(_wait_into, world, jobs)
        await _settle(world)
        await world.store.post_many(QUEUE, [NewMessage(n) for n in range(10)])
    assert sorted(job.payload for job in jobs) == list(range(10))


@contract
async def test_resume_wakes_a_waiter_at_once(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="m")
    await world.store.pause_queue(QUEUE)
    jobs: list[Job] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_wait_into, world, jobs)
        await _settle(world)
        assert jobs == []
        await world.store.resume_queue(QUEUE)
    assert ids(jobs) == ["m"]


@contract
async def test_all_that_makes_a_message_ready_wakes_a_waiter(world: World) -> None:
    await world.make_queue(max_attempts=-1)
    store = world.store
    job = await world.running(message_id="m")

    async def fail() -> None:
        await store.fail(job, "no")

    async def release() -> None:
        await store.release(job)

    async def reclaim() -> None:
        await world.advance(31)
        assert await world.reclaim() == 1

    async def promote() -> None:
        await store.fail(job, "no", retry_in_seconds=60)
        await world.advance(60)
        assert await store.promote_due_messages() == 1

    async def requeue() -> None:
        await store.fail(job, "no", final=True)
        await store.requeue(QUEUE, "m")

    async def requeue_all() -> None:
        await store.fail(job, "no", final=True)
        assert await store.requeue_all(QUEUE) == 1

    for make_ready in (fail, release, reclaim, promote, requeue, requeue_all):
        jobs: list[Job] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_wait_into, world, jobs)
            await _settle(world)
            await make_ready()
        (job,) = jobs


@contract
async def test_a_delayed_post_does_not_end_the_wait(world: World) -> None:
    await world.make_queue()
    with trio.move_on_after(world.span(10)) as patience:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.store.claim_wait, QUEUE)
            await world.store.post(QUEUE, 1, delay_seconds=1000)
    assert patience.cancelled_caught
    assert await world.counts() == {"INVISIBLE": 1}


@contract
async def test_giving_up_claims_nothing(world: World) -> None:
    await world.make_queue()
    with trio.move_on_after(world.span(3)) as patience:
        await world.store.claim_wait(QUEUE)
    assert patience.cancelled_caught
    await world.store.post(QUEUE, 1, message_id="m")
    assert await world.counts() == {"PENDING": 1}
    job = await world.claim()
    assert job.attempt == 1


@contract
async def test_giving_up_while_messages_come_loses_none(world: World) -> None:
    """Whatever was not handed over is still PENDING, its attempts untouched."""
    await world.make_queue()
    jobs: list[Job] = []
    for number in range(10):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(_wait_into, world, jobs)
            await trio.lowlevel.checkpoint()
            nursery.start_soon(world.store.post, QUEUE, number)
            for _ in range(number):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
    counts = await world.counts()
    assert counts.get("RUNNING", 0) == len(jobs)
    rest = await world.store.claim(QUEUE, limit=100)
    assert len(rest) == counts.get("PENDING", 0)
    assert {job.attempt for job in rest} <= {1}
    assert len(set(ids(jobs + rest))) == len(jobs) + len(rest)


@contract
async def test_a_call_already_canceled_does_nothing(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="m")
    with trio.CancelScope() as scope:
        scope.cancel()
        await world.store.claim(QUEUE)
    assert scope.cancelled_caught
    assert await world.counts() == {"PENDING": 1}
    job = await world.claim()
    for verb in (world.store.complete, world.store.release, world.store.heartbeat):
        with trio.CancelScope() as scope:
            scope.cancel()
            await verb(job)
        assert scope.cancelled_caught
    with trio.CancelScope() as scope:
        scope.cancel()
        await world.store.post(QUEUE, 2)
    assert await world.counts() == {"RUNNING": 1}


@contract
async def test_a_queue_deleted_under_a_waiter_is_not_found(world: World) -> None:
    await world.make_queue()
    with pytest.RaisesGroup(QueueNotFoundError):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.store.claim_wait, QUEUE)
            await _settle(world)
            await world.store.delete_queue(QUEUE)


@on_shared
@contract
async def test_a_post_through_another_store_wakes_a_waiter(world: World) -> None:
    await world.make_queue()
    jobs: list[Job] = []
    async with world.open_another() as other, trio.open_nursery() as nursery:
        nursery.start_soon(_wait_into, world, jobs)
        await _settle(world)
        await other.post(QUEUE, 1, message_id="m")
    assert ids(jobs) == ["m"]
