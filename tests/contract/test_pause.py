"""Pausing a queue stops claims, and nothing else."""

from __future__ import annotations

import pytest
import trio

from tests.helpers import QUEUE, World, contract, fields, ids
from trioqueue import Job, MessageState, NewMessage, ValidationError


@contract
async def test_a_paused_queue_says_why_and_since_when(world: World) -> None:
    await world.make_queue()
    before = world.store.now()
    await world.store.pause_queue(QUEUE, "deploying")
    queue = await world.store.get_queue(QUEUE)
    assert queue.paused
    assert queue.pause_reason == "deploying"
    assert queue.paused_at is not None
    assert before <= queue.paused_at <= world.store.now()
    assert (await world.store.queue_state(QUEUE)).paused


@contract
async def test_pausing_again_changes_the_reason_only(world: World) -> None:
    await world.make_queue()
    await world.store.pause_queue(QUEUE, "first")
    first = await world.store.get_queue(QUEUE)
    await world.advance(10)
    await world.store.pause_queue(QUEUE, "second")
    second = await world.store.get_queue(QUEUE)
    assert second.pause_reason == "second"
    assert second.paused_at == first.paused_at


@contract
async def test_resuming_forgets_the_pause_and_may_be_repeated(world: World) -> None:
    await world.make_queue()
    await world.store.pause_queue(QUEUE, "why")
    for _ in range(2):
        await world.store.resume_queue(QUEUE)
        queue = await world.store.get_queue(QUEUE)
        assert not queue.paused
        assert queue.paused_at is None
        assert queue.pause_reason is None


@contract
async def test_nothing_is_claimed_while_paused(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="m")
    await world.store.pause_queue(QUEUE)
    assert await world.store.claim(QUEUE) == []
    await world.store.post(QUEUE, 2)
    assert await world.store.claim(QUEUE) == []
    assert await world.counts() == {"PENDING": 2}
    await world.store.resume_queue(QUEUE)
    assert (await world.claim()).message_id == "m"


@contract
async def test_a_pause_holds_for_its_own_queue_only(world: World) -> None:
    await world.make_queue("a")
    await world.make_queue("b")
    await world.store.pause_queue("a")
    await world.store.post("b", 1)
    assert (await world.claim("b")).payload == 1


@contract
async def test_work_in_hand_goes_on_while_paused(world: World) -> None:
    await world.make_queue()
    done = await world.running(message_id="done")
    failed = await world.running(message_id="failed")
    await world.store.pause_queue(QUEUE)
    await world.store.heartbeat(done)
    await world.store.complete(done)
    assert await world.store.fail(failed, "no") is MessageState.PENDING
    assert await world.store.claim(QUEUE) == []


@contract
async def test_no_claim_commits_after_pause_has_returned(world: World) -> None:
    await world.make_queue()
    await world.store.post_many(QUEUE, [NewMessage(n) for n in range(200)])
    claimed: list[Job] = []
    paused = False
    late: list[Job] = []

    async def claim_all() -> None:
        while True:
            was_paused = paused
            jobs = await world.store.claim(QUEUE)
            claimed.extend(jobs)
            if was_paused:
                late.extend(jobs)
            if not jobs:
                return

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(claim_all)
        while len(claimed) < 20:
            await trio.lowlevel.checkpoint()
            await world.store.get_queue(QUEUE)
        await world.store.pause_queue(QUEUE)
        paused = True
        running = (await world.counts())["RUNNING"]
    assert not late
    assert (await world.counts())["RUNNING"] == running == len(set(ids(claimed)))


@contract
async def test_a_reason_must_be_text(world: World) -> None:
    await world.make_queue()
    for reason in (5, "x" * 1001, "a\0b", "\ud800"):
        with pytest.raises(ValidationError) as raised:
            await world.store.pause_queue(QUEUE, reason)  # type: ignore[arg-type]
        assert fields(raised) == ["reason"]
    assert not (await world.store.get_queue(QUEUE)).paused
