"""Claiming: in which order, how many, by whom, and what stands in nobody's way."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import trio

from tests.helpers import QUEUE, World, contract, fields, ids
from trioqueue import Job, MessageState, NewMessage, ValidationError


@contract
async def test_an_empty_queue_gives_nothing(world: World) -> None:
    await world.make_queue()
    assert await world.store.claim(QUEUE) == []
    assert await world.store.claim(QUEUE, limit=100) == []


@contract
async def test_priorities_come_high_to_low_and_fifo_inside(world: World) -> None:
    await world.make_queue()
    order = [2, 0, 4, 1, 3, 4, 0, 2, 3, 1]
    for number, priority in enumerate(order):
        await world.store.post(QUEUE, (priority, number), priority=priority)
    claimed = [tuple((await world.claim()).payload) for _ in order]
    expected = sorted(
        ((priority, number) for number, priority in enumerate(order)),
        key=lambda pair: (-pair[0], pair[1]),
    )
    assert claimed == expected


@contract
async def test_alerts_come_before_events_and_logs(world: World) -> None:
    await world.make_queue()
    for kind, priority, count in (("log", 0, 10), ("event", 2, 5), ("alert", 4, 3)):
        await world.store.post_many(
            QUEUE, [NewMessage(kind, priority=priority) for _ in range(count)]
        )
    jobs = await world.store.claim(QUEUE, limit=8)
    assert [job.payload for job in jobs] == ["alert"] * 3 + ["event"] * 5


@contract
async def test_a_message_due_later_stands_behind_those_ready_before(
    world: World,
) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="delayed", delay_seconds=10)
    await world.store.post(QUEUE, 1, message_id="before")
    await world.advance(10)
    await world.store.promote_due_messages()
    await world.advance(1)
    await world.store.post(QUEUE, 1, message_id="after")
    jobs = await world.store.claim(QUEUE, limit=3)
    assert ids(jobs) == ["before", "delayed", "after"]


@contract
async def test_delayed_messages_come_in_the_order_they_fell_due(world: World) -> None:
    """However late the scheduler looks."""
    await world.make_queue()
    for delay in (30, 10, 20):
        await world.store.post(QUEUE, 1, message_id=f"{delay}", delay_seconds=delay)
    await world.advance(3600)
    assert await world.store.promote_due_messages() == 3
    assert ids(await world.store.claim(QUEUE, limit=3)) == ["10", "20", "30"]


@contract
async def test_a_failed_message_goes_behind_those_waiting(world: World) -> None:
    """A15: at the head again, it would starve the others."""
    await world.make_queue()
    for name in ("bad", "b", "c"):
        await world.store.post(QUEUE, 1, message_id=name)
    await world.store.fail(await world.claim(), "no")
    assert ids(await world.store.claim(QUEUE, limit=3)) == ["b", "c", "bad"]


@contract
async def test_a_released_or_expired_message_goes_behind_too(world: World) -> None:
    await world.make_queue()
    for name in ("given-back", "timed-out", "c"):
        await world.store.post(QUEUE, 1, message_id=name)
    given_back = await world.claim()
    assert (await world.claim()).message_id == "timed-out"
    await world.store.release(given_back)
    await world.advance(31)
    await world.reclaim()
    jobs = await world.store.claim(QUEUE, limit=3)
    assert ids(jobs) == ["c", "given-back", "timed-out"]


@contract
async def test_a_failed_urgent_message_still_precedes_lesser_ones(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="urgent", priority=4)
    await world.store.fail(await world.claim(), "no")
    await world.store.post(QUEUE, 1, message_id="lesser", priority=1)
    assert (await world.claim()).message_id == "urgent"


@contract
async def test_limit_is_the_most_not_the_least(world: World) -> None:
    await world.make_queue()
    await world.store.post_many(QUEUE, [NewMessage(n) for n in range(5)])
    assert len(await world.store.claim(QUEUE)) == 1
    assert len(await world.store.claim(QUEUE, limit=3)) == 3
    assert len(await world.store.claim(QUEUE, limit=3)) == 1


@pytest.mark.parametrize("limit", [0, -1, 1.0, True, None, 10_001])
@contract
async def test_limit_must_be_sensible(world: World, limit: Any) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1)
    with pytest.raises(ValidationError) as raised:
        await world.store.claim(QUEUE, limit=limit)
    assert fields(raised) == ["limit"]
    assert await world.counts() == {"PENDING": 1}


@pytest.mark.parametrize("lease", [30, {"base_seconds": 30}, "long"])
@contract
async def test_a_hint_must_be_a_lease_policy(world: World, lease: Any) -> None:
    await world.make_queue()
    with pytest.raises(ValidationError) as raised:
        await world.store.claim(QUEUE, lease=lease)
    assert fields(raised) == ["lease"]


@contract
async def test_a_job_knows_all_about_its_attempt(world: World) -> None:
    """A14: attempts left, worker and both deadlines are told at the claim."""
    await world.make_queue(max_attempts=4)
    posted = await world.store.post(
        QUEUE, {"a": 1}, message_id="m", priority=3, metadata={"trace": "x"}
    )
    before = world.store.now()
    job = await world.claim(worker_id="w1")
    assert job.payload == job.message.payload == {"a": 1}
    assert job.message.metadata == {"trace": "x"}
    assert (job.queue, job.message_id) == (QUEUE, "m")
    assert job.message.state is MessageState.RUNNING
    assert job.attempt == job.message.attempt == 1
    assert job.message.attempts_left == 3
    assert job.worker_id == job.message.worker_id == "w1"
    assert job.message.created_at == posted.created_at
    assert job.message.priority == 3
    assert job.lease == job.message.lease
    assert job.lease.heartbeat_expires_at is None
    lasts = job.lease.expires_at - before
    assert timedelta(seconds=30) <= lasts < timedelta(seconds=35)
    stored = await world.store.get_message(QUEUE, "m")
    assert stored.lease == job.lease
    assert stored.worker_id == "w1"
    assert stored.attempt == 1


@contract
async def test_a_worker_without_a_name_has_the_stores(world: World) -> None:
    await world.make_queue()
    job = await world.running()
    assert job.worker_id
    assert job.worker_id == world.store.worker_id


@contract
async def test_attempts_left_counts_down_with_each_claim(world: World) -> None:
    """A14, and a claim counts at once: a crash cannot buy a free try."""
    await world.make_queue(max_attempts=3)
    await world.store.post(QUEUE, 1, message_id="m")
    for attempt in (1, 2, 3):
        job = await world.claim()
        assert job.attempt == attempt
        assert job.message.attempts_left == 3 - attempt
        stored = await world.store.get_message(QUEUE, "m")
        assert stored.attempt == attempt
        await world.store.fail(job, "no")
    assert await world.state("m") is MessageState.ERRORED


@contract
async def test_attempt_ids_only_grow_and_tokens_differ(world: World) -> None:
    await world.make_queue(max_attempts=-1)
    await world.store.post_many(QUEUE, [NewMessage(n) for n in range(3)])
    jobs: list[Job] = []
    for _ in range(5):
        claimed = await world.store.claim(QUEUE, limit=3)
        jobs += claimed
        for job in claimed:
            await world.store.release(job)
    attempt_ids = [job.attempt_id for job in jobs]
    assert attempt_ids == sorted(set(attempt_ids))
    assert len({job.token for job in jobs}) == len(jobs)


@contract
async def test_each_message_goes_to_exactly_one_of_many_workers(world: World) -> None:
    await world.make_queue()
    await world.store.post_many(QUEUE, [NewMessage(n) for n in range(60)])
    taken: Counter[int] = Counter()

    async def work(name: str, limit: int) -> None:
        while jobs := await world.store.claim(QUEUE, limit=limit, worker_id=name):
            for job in jobs:
                taken[job.payload] += 1
                await world.store.complete(job)

    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(work, f"w{number}", 1 + number % 3)
    assert taken == Counter(range(60))
    assert await world.counts() == {}


@contract
async def test_one_message_and_many_workers_have_one_winner(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1)
    jobs: list[Job] = []

    async def work() -> None:
        jobs.extend(await world.store.claim(QUEUE))

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(work)
    assert len(jobs) == 1


@contract
async def test_a_batch_is_claimed_under_one_lease_each(world: World) -> None:
    """D8: many messages in one call."""
    await world.make_queue()
    await world.store.post_many(QUEUE, [NewMessage(n) for n in range(1000)])
    jobs = await world.store.claim(QUEUE, limit=1000)
    assert [job.payload for job in jobs] == list(range(1000))
    assert len({job.attempt_id for job in jobs}) == 1000
    assert await world.counts() == {"RUNNING": 1000}
