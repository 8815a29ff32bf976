"""The store itself: closed, opened again, and several of them on one database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
import trio

from tests.helpers import QUEUE, World, contract, on_shared
from trioqueue import (
    Job,
    LeaseLostError,
    NewMessage,
    QueueOptions,
    RetentionPolicy,
    Store,
    StoreClosedError,
)


@contract
async def test_the_clock_of_the_store_gives_every_instant(world: World) -> None:
    """A16: one clock per store; no instant comes from anywhere else."""
    await world.make_queue(retention=RetentionPolicy.keep_forever())
    await world.advance(1e6)
    before = world.store.now()
    assert before.utcoffset() == timedelta(0)
    job = await world.running(message_id="m")
    await world.store.complete(job)
    message = await world.store.get_message(QUEUE, "m")
    (attempt,) = message.attempts
    assert message.finished_at is not None
    assert attempt.ended_at is not None
    instants = [
        message.created_at,
        attempt.started_at,
        attempt.ended_at,
        message.finished_at,
    ]
    assert instants == sorted(instants)
    assert before <= instants[0]
    assert instants[-1] <= world.store.now()


_CALLS: dict[str, Callable[[Store], Awaitable[object]]] = {
    "get_queue": lambda store: store.get_queue(QUEUE),
    "create_queue": lambda store: store.create_queue("new"),
    "post": lambda store: store.post(QUEUE, 1),
    "claim": lambda store: store.claim(QUEUE),
    "claim_wait": lambda store: store.claim_wait(QUEUE),
    "peek": lambda store: store.peek(QUEUE),
    "dead_letters": lambda store: store.dead_letters(QUEUE),
    "promote": lambda store: store.promote_due_messages(),
}


@pytest.mark.parametrize("call", _CALLS.values(), ids=_CALLS.keys())
@contract
async def test_a_closed_store_says_so(
    world: World, call: Callable[[Store], Awaitable[object]]
) -> None:
    async with world.open_another() as store:
        await store.create_queue(QUEUE)
    with pytest.raises(StoreClosedError):
        await call(store)


@contract
async def test_closing_a_store_ends_the_wait_of_those_who_use_it(world: World) -> None:
    ended: list[BaseException] = []

    async def wait(store: Store) -> None:
        try:
            await store.claim_wait(QUEUE)
        except StoreClosedError as error:
            ended.append(error)

    async with trio.open_nursery() as nursery, world.open_another() as store:
        await store.create_queue(QUEUE)
        nursery.start_soon(wait, store)  # noqa: ASYNC111  what is tested
        for _ in range(5):
            await trio.lowlevel.checkpoint()
    assert len(ended) == 1


@on_shared
@contract
async def test_everything_is_there_when_it_is_opened_again(world: World) -> None:
    options = QueueOptions(retention=RetentionPolicy.keep_forever())
    async with world.open_another() as store:
        await store.create_queue(QUEUE, options)
        batch = [NewMessage(n, message_id=f"m{n}") for n in range(4)]
        await store.post_many(QUEUE, batch)
        done, dead, held = await store.claim(QUEUE, limit=3)
        await store.complete(done, "result")
        await store.fail(dead, "no", final=True)
        await store.pause_queue(QUEUE, "closing")
    async with world.open_another() as store:
        counts = (await store.queue_state(QUEUE)).counts
        assert [counts[state] for state in sorted(counts)] == [0, 1, 1, 1, 0, 1]
        queue = await store.get_queue(QUEUE)
        assert queue.options == options
        assert queue.pause_reason == "closing"
        assert (await store.get_message(QUEUE, "m0")).result == "result"
        # The attempt goes on: a lease belongs to the job, not to the connection.
        await store.heartbeat(held)
        await store.complete(held)
        await store.complete(held)


@on_shared
@contract
async def test_attempt_ids_go_on_growing_when_it_is_opened_again(
    world: World,
) -> None:
    await world.make_queue(max_attempts=-1)
    await world.store.post(QUEUE, 1)
    seen: list[Job] = []
    for _ in range(4):
        async with world.open_another() as store:
            (job,) = await store.claim(QUEUE)
            await store.release(job)
            seen.append(job)
    attempt_ids = [job.attempt_id for job in seen]
    assert attempt_ids == sorted(set(attempt_ids))
    assert len({job.token for job in seen}) == 4


@on_shared
@contract
async def test_what_a_vanished_worker_held_comes_back(world: World) -> None:
    """The holder's process is gone; its lease still runs, and then ends."""
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="m")
    async with world.open_another() as store:
        (lost,) = await store.claim(QUEUE)
    await world.advance(30)
    assert await world.reclaim() == 1
    job = await world.claim()
    assert job.attempt == 2
    with pytest.raises(LeaseLostError):
        await world.store.complete(lost)
    await world.store.complete(job)


@on_shared
@contract
async def test_workers_of_two_stores_share_the_work(world: World) -> None:
    """Row 12, with every other worker on a connection of its own."""
    await world.make_queue()
    await world.store.post_many(QUEUE, [NewMessage(n) for n in range(60)])
    taken: Counter[int] = Counter()

    async def work(store: Store) -> None:
        while jobs := await store.claim(QUEUE, limit=3):
            for job in jobs:
                taken[job.payload] += 1
                await store.complete(job)

    async with world.open_another() as other, trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(work, other if number % 2 else world.store)
    assert taken == Counter(range(60))
    assert await world.counts() == {}


@on_shared
@contract
async def test_a_pause_through_one_store_holds_for_the_other(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1)
    async with world.open_another() as other:
        await other.pause_queue(QUEUE)
        assert await world.store.claim(QUEUE) == []
        await other.resume_queue(QUEUE)
        assert len(await world.store.claim(QUEUE)) == 1
