"""Requeuing: a dead letter gets a new life, all of it new."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.helpers import QUEUE, World, contract, fields, ids
from trioqueue import (
    DuplicateMessageError,
    LeasePolicy,
    MessageNotFoundError,
    MessageState,
    NewMessage,
    QueueNotFoundError,
    RetentionPolicy,
    ValidationError,
)


async def _many_dead(world: World, count: int, queue: str = QUEUE) -> None:
    batch = [NewMessage(n, message_id=f"m{n:04}") for n in range(count)]
    await world.store.post_many(queue, batch)
    jobs = await world.store.claim(queue, limit=count)
    await world.store.fail_many(jobs, "no", final=True)


@contract
async def test_a_requeued_message_starts_afresh(world: World) -> None:
    """C2, row 30: attempts reset, nothing of its death left."""
    await world.make_queue(
        max_attempts=2, dead_letter_retention=RetentionPolicy.keep(60)
    )
    await world.store.post(
        QUEUE,
        {"a": 1},
        message_id="m",
        priority=4,
        metadata={"t": 1},
        lease=LeasePolicy(base_seconds=99),
    )
    for _ in range(2):
        await world.store.fail(await world.claim(), "no")
    message = await world.store.requeue(QUEUE, "m")
    assert message.state is MessageState.PENDING
    assert (message.reason, message.finished_at, message.worker_id) == (None,) * 3
    assert (message.attempt, message.attempts_left) == (0, 2)
    assert message.attempts == ()
    assert message.payload == {"a": 1}
    assert message.metadata == {"t": 1}
    assert message.priority == 4
    assert message.lease_policy == LeasePolicy(base_seconds=99)
    assert await world.store.get_message(QUEUE, "m") == message
    assert await world.store.dead_letters(QUEUE) == []
    await world.advance(1000)
    assert await world.store.clean_up_batch() == 0
    job = await world.claim()
    assert job.attempt == 1
    await world.store.fail(job, "no")
    await world.store.fail(await world.claim(), "no")
    (letter,) = await world.store.dead_letters(QUEUE)
    assert len(letter.attempts) == 2


@contract
async def test_it_goes_behind_those_waiting(world: World) -> None:
    await world.make_queue()
    await world.dead("dead")
    await world.store.post(QUEUE, 1, message_id="waiting")
    await world.store.requeue(QUEUE, "dead")
    jobs = await world.store.claim(QUEUE, limit=2)
    assert ids(jobs) == ["waiting", "dead"]


@contract
async def test_it_may_be_asked_for_by_the_dead_letter_name(world: World) -> None:
    await world.make_queue()
    await world.dead("m")
    message = await world.store.requeue("jobs-dlq", "m")
    assert (message.queue, message.message_id) == (QUEUE, "m")


@contract
async def test_it_may_go_to_another_queue(world: World) -> None:
    """C7, row 30: the target is honoured."""
    await world.make_queue()
    await world.make_queue("elsewhere")
    await world.dead("m")
    message = await world.store.requeue(QUEUE, "m", target="elsewhere")
    assert message.queue == "elsewhere"
    assert await world.state("m") is None
    assert (await world.claim("elsewhere")).message_id == "m"


@contract
async def test_it_never_takes_the_place_of_another_message(world: World) -> None:
    await world.make_queue()
    await world.make_queue("elsewhere")
    await world.dead("m")
    await world.store.post("elsewhere", "other", message_id="m")
    with pytest.raises(DuplicateMessageError):
        await world.store.requeue(QUEUE, "m", target="elsewhere")
    with pytest.raises(DuplicateMessageError):
        await world.store.requeue_all(QUEUE, target="elsewhere")
    assert await world.state("m") is MessageState.ERRORED
    assert (await world.claim("elsewhere")).payload == "other"


@contract
async def test_an_unknown_target_or_letter_is_not_found(world: World) -> None:
    await world.make_queue()
    await world.dead("m")
    with pytest.raises(QueueNotFoundError):
        await world.store.requeue(QUEUE, "m", target="nowhere")
    with pytest.raises(QueueNotFoundError):
        await world.store.requeue_all(QUEUE, target="nowhere")
    with pytest.raises(MessageNotFoundError):
        await world.store.requeue(QUEUE, "never")
    assert await world.counts() == {"ERRORED": 1}


@contract
async def test_all_of_them_come_back_oldest_first(world: World) -> None:
    """C8: more than one batch, each message once, and it ends."""
    await world.make_queue()
    await _many_dead(world, 1100)
    assert await world.store.requeue_all("jobs-dlq") == 1100
    assert await world.counts() == {"PENDING": 1100}
    jobs = await world.store.claim(QUEUE, limit=1100)
    assert ids(jobs) == sorted(ids(jobs))
    assert await world.store.requeue_all(QUEUE) == 0


@contract
async def test_all_of_a_shared_name_go_home(world: World) -> None:
    for queue in ("a", "b"):
        await world.make_queue(queue, dead_letter_queue="graveyard")
        await world.dead("same", queue)
    assert await world.store.requeue_all("graveyard") == 2
    assert await world.counts("a") == await world.counts("b") == {"PENDING": 1}


@contract
async def test_all_of_one_queue_leave_the_others_of_a_shared_name(
    world: World,
) -> None:
    for queue in ("a", "b"):
        await world.make_queue(queue, dead_letter_queue="graveyard")
        await world.dead("same", queue)
    assert await world.store.requeue_all("a") == 1
    assert await world.counts("b") == {"ERRORED": 1}


@contract
async def test_all_of_one_reason_leave_the_others(world: World) -> None:
    await world.make_queue(max_attempts=1)
    await world.dead("discarded")
    await world.store.fail(await world.running(message_id="failed"), "no")
    assert await world.store.requeue_all(QUEUE, reason="max_attempts") == 1
    assert await world.state("failed") is MessageState.PENDING
    assert await world.state("discarded") is MessageState.ERRORED


@contract
async def test_all_of_them_may_go_to_another_queue(world: World) -> None:
    await world.make_queue()
    await world.make_queue("elsewhere")
    await _many_dead(world, 5)
    assert await world.store.requeue_all(QUEUE, target="elsewhere") == 5
    assert await world.counts() == {}
    assert await world.counts("elsewhere") == {"PENDING": 5}


@pytest.mark.parametrize("span", [100, timedelta(seconds=100)], ids=str)
@contract
async def test_they_may_be_spread_over_a_span(world: World, span: Any) -> None:
    await world.make_queue()
    await _many_dead(world, 10)
    assert await world.store.requeue_all(QUEUE, spread_seconds=span) == 10
    assert await world.counts() == {"PENDING": 1, "INVISIBLE": 9}
    arrived = [len(await world.store.claim(QUEUE, limit=10))]
    for _ in range(10):
        await world.advance(10.5)
        await world.store.promote_due_messages()
        arrived.append(len(await world.store.claim(QUEUE, limit=10)))
    assert arrived == [1] * 10 + [0]


@contract
async def test_those_of_one_reason_are_spread_over_the_whole_span(
    world: World,
) -> None:
    await world.make_queue(max_attempts=1)
    await _many_dead(world, 30)
    await world.store.post_many(QUEUE, [NewMessage(n) for n in range(4)])
    await world.store.fail_many(await world.store.claim(QUEUE, limit=4), "no")
    before = world.store.now()
    moved = await world.store.requeue_all(
        QUEUE, reason="max_attempts", spread_seconds=400
    )
    assert moved == 4
    due = await world.store.next_due()
    assert due is not None
    assert (due - before).total_seconds() == pytest.approx(100, abs=2)


@pytest.mark.parametrize("span", [-1, float("nan"), float("inf"), "5", True])
@contract
async def test_the_span_must_be_one(world: World, span: Any) -> None:
    await world.make_queue()
    await world.dead("m")
    with pytest.raises(ValidationError) as raised:
        await world.store.requeue_all(QUEUE, spread_seconds=span)
    assert fields(raised) == ["spread_seconds"]
    assert await world.counts() == {"ERRORED": 1}


@contract
async def test_one_that_dies_again_meanwhile_is_not_taken_twice(world: World) -> None:
    """C8: a loop over a moving list need not end."""
    await world.make_queue(max_attempts=1)
    await _many_dead(world, 20)
    assert await world.store.requeue_all(QUEUE) == 20
    await world.store.fail_many(await world.store.claim(QUEUE, limit=20), "again")
    assert await world.counts() == {"ERRORED": 20}
    assert await world.store.requeue_all(QUEUE) == 20
