"""Retention: what stays of a finished message, and for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.helpers import QUEUE, World, contract, fields, ids
from trioqueue import (
    MessageNotFoundError,
    MessageState,
    NewMessage,
    RetentionPolicy,
    ValidationError,
)

DONE = [MessageState.COMPLETED, MessageState.CANCELED]


async def _finish_some(world: World) -> None:
    """Complete one message after a failure, and cancel another."""
    first = await world.running(message_id="done")
    await world.store.fail(first, "once")
    await world.store.complete(await world.claim(), {"answer": 42})
    await world.store.post(QUEUE, 1, message_id="withdrawn")
    await world.store.cancel(QUEUE, "withdrawn", reason="why")


@contract
async def test_by_default_nothing_stays(world: World) -> None:
    """Row 27; attempts included."""
    await world.store.create_queue(QUEUE)
    await world.store.complete(await world.running(message_id="m"))
    with pytest.raises(MessageNotFoundError):
        await world.store.get_message(QUEUE, "m")
    assert await world.store.peek(QUEUE, states=MessageState) == []
    assert await world.counts() == {}


@contract
async def test_an_id_used_again_has_no_attempts_of_the_old_message(
    world: World,
) -> None:
    await world.make_queue()
    await _finish_some(world)
    await world.store.post(QUEUE, "new", message_id="done")
    message = await world.store.get_message(QUEUE, "done")
    assert message.attempts == ()
    assert message.attempt == 0


@pytest.mark.parametrize(
    "retention",
    [RetentionPolicy.keep_forever(), RetentionPolicy.keep(timedelta(hours=1))],
    ids=["forever", "an-hour"],
)
@contract
async def test_what_is_kept_stays_readable(
    world: World, retention: RetentionPolicy
) -> None:
    """Row 27: not claimable, not among the live, but there."""
    await world.make_queue(retention=retention)
    await _finish_some(world)
    assert await world.store.peek(QUEUE) == []
    assert await world.store.claim(QUEUE) == []
    assert await world.counts() == {"COMPLETED": 1, "CANCELED": 1}
    done = await world.store.get_message(QUEUE, "done")
    assert done.payload == "work"
    assert done.result == {"answer": 42}
    assert done.state is MessageState.COMPLETED
    assert done.finished_at is not None
    assert [a.outcome for a in done.attempts] == ["failed", "completed"]
    withdrawn = await world.store.get_message(QUEUE, "withdrawn")
    assert withdrawn.reason == "why"
    assert withdrawn.attempts == ()
    assert ids(await world.store.peek(QUEUE, states=DONE)) == ["done", "withdrawn"]


@contract
async def test_kept_for_a_while_is_gone_after_that_while(world: World) -> None:
    """Row 28."""
    await world.make_queue(retention=RetentionPolicy.keep(60))
    await _finish_some(world)
    await world.advance(50)
    assert await world.store.clean_up_batch() == 0
    assert await world.counts() == {"COMPLETED": 1, "CANCELED": 1}
    await world.advance(10)
    assert await world.store.clean_up_batch() == 2
    assert await world.counts() == {}
    with pytest.raises(MessageNotFoundError):
        await world.store.get_message(QUEUE, "done")
    assert await world.store.clean_up_batch() == 0


@contract
async def test_kept_for_ever_is_never_cleaned_up(world: World) -> None:
    await world.make_queue(retention=RetentionPolicy.keep_forever())
    await _finish_some(world)
    assert await world.store.next_release() is None
    await world.advance(100 * 365 * 86_400)
    assert await world.store.clean_up_batch() == 0
    assert await world.counts() == {"COMPLETED": 1, "CANCELED": 1}


@contract
async def test_dead_letters_have_a_retention_of_their_own(world: World) -> None:
    """C1, C3, row 28: the queue's own policy does not touch them."""
    await world.make_queue(retention=RetentionPolicy.keep(10))
    await world.dead("m")
    await world.advance(1e8)
    assert await world.store.clean_up_batch() == 0
    assert await world.state("m") is MessageState.ERRORED


@contract
async def test_dead_letters_may_be_kept_for_a_while_only(world: World) -> None:
    """C3: also those that died of a timeout."""
    await world.make_queue(
        dead_letter_retention=RetentionPolicy.keep(60),
        retention=RetentionPolicy.keep_forever(),
    )
    await world.running(max_attempts=1)
    await world.advance(30)
    await world.reclaim()
    await world.dead("b")
    await world.store.complete(await world.running())
    await world.advance(60)
    assert await world.store.clean_up_batch() == 2
    assert await world.counts() == {"COMPLETED": 1}


@contract
async def test_dead_letters_may_not_be_kept_at_all(world: World) -> None:
    await world.make_queue(dead_letter_retention=RetentionPolicy.delete())
    job = await world.running(message_id="m")
    assert await world.store.fail(job, "no", final=True) is MessageState.ERRORED
    assert await world.counts() == {}
    assert await world.store.dead_letters(QUEUE) == []


@contract
async def test_cleaning_up_goes_in_bounded_batches(world: World) -> None:
    """C9: no single unbounded delete."""
    await world.make_queue(retention=RetentionPolicy.keep(10))
    await world.store.post_many(QUEUE, [NewMessage(n) for n in range(1200)])
    jobs = await world.store.claim(QUEUE, limit=1200)
    await world.store.complete_many(jobs)
    await world.advance(10)
    batches = []
    while count := await world.store.clean_up_batch():
        batches.append(count)
    assert sum(batches) == 1200
    assert max(batches) < 1200
    assert await world.counts() == {}


@contract
async def test_only_what_is_released_is_deleted(world: World) -> None:
    await world.make_queue("short", retention=RetentionPolicy.keep(10))
    await world.make_queue("long", retention=RetentionPolicy.keep(1000))
    for queue in ("short", "long"):
        await world.store.complete(await world.running(queue, message_id="m"))
    await world.advance(100)
    assert await world.store.clean_up_batch() == 1
    assert await world.counts("short") == {}
    assert await world.counts("long") == {"COMPLETED": 1}


@contract
async def test_a_message_without_a_limit_does_not_gather_attempts_for_ever(
    world: World,
) -> None:
    await world.make_queue(max_attempts=-1)
    await world.store.post(QUEUE, 1, message_id="m")
    for _ in range(130):
        await world.store.fail(await world.claim(), "no")
    message = await world.store.get_message(QUEUE, "m")
    assert message.attempt == 130
    numbers = [a.number for a in message.attempts]
    assert numbers == list(range(31, 131))


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "60", True])
def test_a_span_to_keep_must_be_positive(seconds: Any) -> None:
    with pytest.raises(ValidationError) as raised:
        RetentionPolicy.keep(seconds)
    assert fields(raised) == ["retention.seconds"]
