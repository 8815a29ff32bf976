"""Leases that end: one code path with failing, and races that hurt nobody."""

from __future__ import annotations

from collections import Counter

import pytest
import trio

from tests.helpers import QUEUE, World, contract, ids, on_shared
from trioqueue import (
    ExpiredMessage,
    Job,
    LeaseLostError,
    LeasePolicy,
    Message,
    MessageState,
    NewMessage,
    RetryPolicy,
    ValidationError,
)


async def _time_out(world: World) -> None:
    await world.claim()
    await world.advance(30)
    assert await world.reclaim() == 1


@contract
async def test_three_timeouts_make_a_dead_letter(world: World) -> None:
    """A2, row 24: a payload that kills its workers cannot loop for ever."""
    await world.make_queue(max_attempts=3)
    await world.store.post(QUEUE, 1, message_id="poison")
    for left in (2, 1):
        await _time_out(world)
        message = await world.store.get_message(QUEUE, "poison")
        assert message.state is MessageState.PENDING
        assert message.attempts_left == left
    await _time_out(world)
    (letter,) = await world.store.dead_letters(QUEUE)
    assert letter.reason == "lease_expired"
    assert [a.outcome for a in letter.attempts] == ["lease_expired"] * 3
    assert [a.number for a in letter.attempts] == [1, 2, 3]
    assert all(a.error_message for a in letter.attempts)


@contract
async def test_two_timeouts_and_a_failure_make_a_dead_letter(world: World) -> None:
    """Row 24."""
    await world.make_queue(max_attempts=3)
    await world.store.post(QUEUE, 1, message_id="m")
    await _time_out(world)
    await _time_out(world)
    assert await world.store.fail(await world.claim(), "no") is MessageState.ERRORED
    (letter,) = await world.store.dead_letters(QUEUE)
    assert letter.reason == "max_attempts"
    outcomes = [a.outcome for a in letter.attempts]
    assert outcomes == ["lease_expired", "lease_expired", "failed"]


@contract
async def test_two_failures_and_a_timeout_make_a_dead_letter(world: World) -> None:
    """A2: a timeout gives back no attempt that failures have used."""
    await world.make_queue(max_attempts=3)
    await world.store.post(QUEUE, 1, message_id="m")
    await world.store.fail(await world.claim(), "no")
    await world.store.fail(await world.claim(), "no")
    await _time_out(world)
    assert await world.state("m") is MessageState.ERRORED


@contract
async def test_a_missed_heartbeat_is_the_reason_it_dies_for(world: World) -> None:
    await world.make_queue(
        lease=LeasePolicy(base_seconds=600, heartbeat_seconds=20), max_attempts=1
    )
    await world.running()
    await world.advance(20)
    assert await world.reclaim() == 1
    (letter,) = await world.store.dead_letters(QUEUE)
    assert letter.reason == "heartbeat_expired"


@contract
async def test_a_timeout_waits_like_a_failure(world: World) -> None:
    await world.make_queue(retry=RetryPolicy.fixed(60))
    await world.running()
    await world.advance(30)
    await world.reclaim()
    assert await world.counts() == {"INVISIBLE": 1}
    await world.advance(60)
    assert await world.store.promote_due_messages() == 1
    assert (await world.claim()).attempt == 2


@contract
async def test_what_has_expired_is_found_longest_ago_first(world: World) -> None:
    await world.make_queue("a")
    await world.make_queue("b")
    for queue, name, base in (
        ("a", "second", 20),
        ("b", "first", 10),
        ("a", "third", 30),
        ("a", "lasts", 300),
    ):
        lease = LeasePolicy(base_seconds=base)
        await world.running(queue, message_id=name, lease=lease)
    await world.advance(100)
    found = await world.store.find_expired_messages()
    assert [one.message_id for one in found] == ["first", "second", "third"]
    assert [one.queue for one in found] == ["b", "a", "a"]
    assert all(one.expired_at < world.store.now() for one in found)
    only = await world.store.find_expired_messages("a", 1)
    assert [one.message_id for one in only] == ["second"]
    assert await world.store.reclaim_expired_message("a", only[0])
    assert not await world.store.reclaim_expired_message("a", only[0])
    with pytest.raises(ValidationError):
        await world.store.find_expired_messages(limit=0)


@contract
async def test_a_heartbeat_between_the_look_and_the_reclaim_wins(world: World) -> None:
    """A3, row 23: what somebody saw before the heartbeat no longer counts."""
    await world.make_queue()
    job = await world.running(message_id="m")
    await world.advance(20)
    lease = await world.store.heartbeat(job)
    seen = ExpiredMessage(QUEUE, "m", job.attempt_id, job.lease.expires_at, job.row_id)
    await world.advance(20)
    assert job.lease.expires_at < world.store.now() < lease.expires_at
    assert await world.store.reclaim_expired_messages([seen]) == 0
    assert not await world.store.reclaim_expired_message(QUEUE, seen)
    message = await world.store.get_message(QUEUE, "m")
    assert message.lease is not None
    assert message.lease.expires_at == lease.expires_at
    await world.store.complete(job)


@contract
async def test_a_claim_between_the_look_and_the_reclaim_wins(world: World) -> None:
    """A3: the lease of the next attempt is not revoked, even once it has expired."""
    await world.make_queue()
    await world.running(message_id="m")
    await world.advance(30)
    seen = await world.store.find_expired_messages()
    assert await world.store.reclaim_expired_messages(seen) == 1
    fresh = await world.claim()
    assert await world.store.reclaim_expired_messages(seen) == 0
    assert await world.state("m") is MessageState.RUNNING
    await world.advance(30)
    assert await world.store.reclaim_expired_messages(seen) == 0
    (now_seen,) = await world.store.find_expired_messages()
    assert now_seen.attempt_id == fresh.attempt_id
    assert await world.store.reclaim_expired_messages([now_seen]) == 1


@contract
async def test_an_end_between_the_look_and_the_reclaim_wins(world: World) -> None:
    """A3: ChronoQueue revives messages that completed meanwhile."""
    await world.make_queue()
    await world.running(message_id="m")
    await world.advance(30)
    seen = await world.store.find_expired_messages()
    assert len(seen) == 1
    assert await world.reclaim() == 1
    await world.store.complete(await world.claim())
    assert await world.store.reclaim_expired_messages(seen) == 0
    assert await world.counts() == {}


@contract
async def test_two_reclaimers_make_one_transition(world: World) -> None:
    """A3, row 23: the message moves once, and loses one attempt."""
    await world.make_queue(max_attempts=5)
    await world.store.post_many(QUEUE, [NewMessage(n) for n in range(20)])
    await world.store.claim(QUEUE, limit=20)
    await world.advance(30)
    scans = [await world.store.find_expired_messages() for _ in range(4)]
    ended: list[int] = []

    async def reclaim(scan: int) -> None:
        ended.append(await world.store.reclaim_expired_messages(scans[scan]))

    async with trio.open_nursery() as nursery:
        for scan in range(4):
            nursery.start_soon(reclaim, scan)
    assert sum(ended) == 20
    again = await world.store.claim(QUEUE, limit=100)
    assert len(again) == 20
    assert {job.attempt for job in again} == {2}
    assert {len(m.attempts) for m in await _messages(world, again)} == {2}


async def _messages(world: World, jobs: list[Job]) -> list[Message]:
    return [await world.store.get_message(QUEUE, name) for name in ids(jobs)]


@on_shared
@contract
async def test_reclaimers_of_two_stores_share_one_transition(world: World) -> None:
    """A3, with the second reclaimer in a store of its own."""
    await world.make_queue()
    await world.running(message_id="m")
    await world.advance(30)
    async with world.open_another() as other:
        seen = await world.store.find_expired_messages()
        assert await other.find_expired_messages() == seen
        assert await other.reclaim_expired_messages(seen) == 1
        (job,) = await other.claim(QUEUE)
        assert await world.store.reclaim_expired_messages(seen) == 0
        await other.complete(job)
    assert await world.counts() == {}


@contract
async def test_heartbeats_and_reclaims_at_once_agree_who_holds_it(
    world: World,
) -> None:
    """Row 23: a fresh lease is never revoked, a lost one never revived."""
    await world.make_queue(max_attempts=-1)
    for number in range(20):
        job = await world.running(message_id=f"m{number}")
        await world.advance(29.9995 if number % 2 else 30)
        beats: list[bool] = []

        async def beat(job: Job = job, beats: list[bool] = beats) -> None:
            try:
                await world.store.heartbeat(job)
            except LeaseLostError:
                beats.append(False)
            else:
                beats.append(True)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(beat)
            nursery.start_soon(world.reclaim)
        held = await world.state(job.message_id) is MessageState.RUNNING
        if beats == [True]:
            assert held
            await world.store.complete(job)
        else:
            await world.reclaim()
            assert await world.state(job.message_id) is MessageState.PENDING
            await world.store.complete(await world.claim())


@contract
async def test_after_a_reclaim_each_message_is_claimed_once(world: World) -> None:
    """Row 19: thirty workers at once."""
    await world.make_queue()
    await world.store.post_many(QUEUE, [NewMessage(n) for n in range(30)])
    await world.store.claim(QUEUE, limit=30)
    await world.advance(30)
    assert await world.reclaim() == 30
    taken: Counter[int] = Counter()

    async def work() -> None:
        for job in await world.store.claim(QUEUE, limit=2):
            taken[job.payload] += 1

    async with trio.open_nursery() as nursery:
        for _ in range(30):
            nursery.start_soon(work)
    assert taken == Counter(range(30))


@contract
async def test_time_itself_ends_a_lease(world: World) -> None:
    """No step of the clock: the lease really runs out."""
    await world.make_queue(lease=LeasePolicy(base_seconds=world.span(10)))
    await world.running(message_id="m")
    await world.sleep(11)
    assert await world.reclaim() == 1
    assert await world.state("m") is MessageState.PENDING


@contract
async def test_ten_thousand_due_messages_become_ready(world: World) -> None:
    """D1, row 42: ChronoQueue needs a hundred seconds for them."""
    await world.make_queue()
    batch = [NewMessage(n, delay_seconds=10) for n in range(10_000)]
    await world.store.post_many(QUEUE, batch)
    await world.advance(10)
    moved = 0
    while count := await world.store.promote_due_messages():
        moved += count
    assert moved == 10_000
    assert await world.counts() == {"PENDING": 10_000}


@contract
async def test_reclaiming_is_done_in_batches_over_all_queues(world: World) -> None:
    """D2: twenty per second and queue is no way to recover from an outage."""
    for name in ("a", "b"):
        await world.make_queue(name)
        await world.store.post_many(name, [NewMessage(n) for n in range(1000)])
        await world.store.claim(name, limit=1000)
    await world.advance(30)
    assert await world.reclaim() == 1000
    assert await world.reclaim() == 1000
    assert await world.reclaim() == 0
    assert await world.counts("a") == await world.counts("b") == {"PENDING": 1000}


@contract
async def test_the_store_knows_what_comes_next(world: World) -> None:
    await world.make_queue()
    store = world.store
    assert await store.next_due() is None
    assert await store.next_expiry() is None
    assert await store.next_release() is None
    later = await store.post(QUEUE, 1, delay_seconds=60)
    assert await store.next_due() == later.scheduled_time
    job = await world.running()
    assert await store.next_expiry() == job.lease.expires_at
