"""Every row of the state table, and what must never move a message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.helpers import QUEUE, World, contract
from trioqueue import (
    IllegalStateError,
    LeaseLostError,
    LeasePolicy,
    MessageNotFoundError,
    MessageState,
    RetentionPolicy,
    RetryPolicy,
)

INVISIBLE, PENDING, RUNNING, COMPLETED, CANCELED, ERRORED = MessageState


@contract
async def test_a_post_without_a_delay_is_pending(world: World) -> None:
    await world.make_queue()
    message = await world.store.post(QUEUE, 1, message_id="m")
    assert message.state is PENDING
    assert await world.state("m") is PENDING


@contract
async def test_a_delayed_post_is_invisible_until_it_is_due(world: World) -> None:
    await world.make_queue()
    message = await world.store.post(QUEUE, 1, message_id="m", delay_seconds=60)
    assert message.state is INVISIBLE
    await world.advance(30)
    assert await world.store.promote_due_messages() == 0
    assert await world.store.claim(QUEUE) == []
    await world.advance(30)
    assert await world.state("m") is INVISIBLE
    assert await world.store.promote_due_messages() == 1
    assert await world.state("m") is PENDING


@contract
async def test_a_claim_makes_a_pending_message_running(world: World) -> None:
    await world.make_queue()
    await world.running(message_id="m")
    assert await world.state("m") is RUNNING
    assert await world.store.claim(QUEUE) == []


@contract
async def test_cancel_withdraws_an_invisible_message(world: World) -> None:
    await world.make_queue(retention=RetentionPolicy.keep_forever())
    await world.store.post(QUEUE, 1, message_id="m", delay_seconds=60)
    assert (await world.store.cancel(QUEUE, "m")).state is CANCELED
    assert await world.state("m") is CANCELED


@contract
async def test_cancel_withdraws_a_pending_message(world: World) -> None:
    await world.make_queue(retention=RetentionPolicy.keep_forever())
    await world.store.post(QUEUE, 1, message_id="m")
    assert (await world.store.cancel(QUEUE, "m")).state is CANCELED
    assert await world.state("m") is CANCELED


@contract
async def test_complete_makes_a_running_message_completed(world: World) -> None:
    await world.make_queue(retention=RetentionPolicy.keep_forever())
    job = await world.running(message_id="m")
    await world.store.complete(job)
    assert await world.state("m") is COMPLETED


@contract
async def test_fail_without_a_delay_makes_it_pending(world: World) -> None:
    await world.make_queue()
    job = await world.running(message_id="m")
    assert await world.store.fail(job, "no") is PENDING
    assert await world.state("m") is PENDING


@contract
async def test_fail_with_a_delay_makes_it_invisible(world: World) -> None:
    await world.make_queue(retry=RetryPolicy.fixed(5))
    job = await world.running(message_id="m")
    assert await world.store.fail(job, "no") is INVISIBLE
    assert await world.state("m") is INVISIBLE


@contract
async def test_fail_of_the_last_attempt_makes_it_errored(world: World) -> None:
    await world.make_queue()
    job = await world.running(message_id="m", max_attempts=1)
    assert await world.store.fail(job, "no") is ERRORED
    assert await world.state("m") is ERRORED


@contract
async def test_fail_for_good_makes_it_errored(world: World) -> None:
    await world.make_queue()
    job = await world.running(message_id="m")
    assert await world.store.fail(job, "no", final=True) is ERRORED
    assert await world.state("m") is ERRORED


@contract
async def test_release_makes_it_pending(world: World) -> None:
    await world.make_queue()
    job = await world.running(message_id="m")
    assert await world.store.release(job) is PENDING
    assert await world.state("m") is PENDING


@pytest.mark.parametrize(
    ("retry", "max_attempts", "expected"),
    [
        (RetryPolicy.fixed(0), 2, PENDING),
        (RetryPolicy.fixed(5), 2, INVISIBLE),
        (RetryPolicy.fixed(0), 1, ERRORED),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
@contract
async def test_the_end_of_a_lease_is_a_failure(
    world: World, retry: RetryPolicy, max_attempts: int, expected: MessageState
) -> None:
    await world.make_queue(retry=retry)
    await world.running(message_id="m", max_attempts=max_attempts)
    await world.advance(30)
    assert await world.reclaim() == 1
    assert await world.state("m") is expected


@contract
async def test_an_abort_makes_a_running_message_canceled(world: World) -> None:
    await world.make_queue(retention=RetentionPolicy.keep_forever())
    job = await world.running(message_id="m")
    message = await world.store.cancel(QUEUE, "m", abort=True)
    assert message.state is RUNNING
    assert await world.store.release(job) is CANCELED
    assert await world.state("m") is CANCELED


@contract
async def test_retention_removes_completed_and_canceled(world: World) -> None:
    await world.make_queue(retention=RetentionPolicy.keep(60))
    await world.store.complete(await world.running(message_id="done"))
    await world.store.post(QUEUE, 1, message_id="withdrawn")
    await world.store.cancel(QUEUE, "withdrawn")
    await world.advance(60)
    assert await world.store.clean_up_batch() == 2
    assert await world.state("done") is None
    assert await world.state("withdrawn") is None


@contract
async def test_requeue_makes_an_errored_message_pending(world: World) -> None:
    await world.make_queue()
    await world.dead("m")
    assert (await world.store.requeue(QUEUE, "m")).state is PENDING
    assert await world.state("m") is PENDING


@contract
async def test_deleting_or_purging_dead_letters_removes_them(world: World) -> None:
    await world.make_queue()
    await world.dead("a")
    await world.dead("b")
    await world.store.delete_dead_letter(QUEUE, "a")
    assert await world.state("a") is None
    assert await world.state("b") is ERRORED
    assert await world.store.purge_dead_letters(QUEUE) == 1
    assert await world.state("b") is None


# What must not move a message.


async def _invisible(world: World) -> None:
    await world.store.post(QUEUE, 1, message_id="m", delay_seconds=1e6)


async def _pending(world: World) -> None:
    await world.store.post(QUEUE, 1, message_id="m")


async def _completed(world: World) -> None:
    await world.store.complete(await world.running(message_id="m"))


async def _canceled(world: World) -> None:
    await _pending(world)
    await world.store.cancel(QUEUE, "m")


async def _errored(world: World) -> None:
    await world.dead("m")


@pytest.mark.parametrize("make", [_completed, _canceled, _errored])
@contract
async def test_a_finished_message_cannot_be_canceled(
    world: World, make: Callable[[World], Awaitable[None]]
) -> None:
    await world.make_queue(retention=RetentionPolicy.keep_forever())
    await make(world)
    before = await world.store.get_message(QUEUE, "m")
    for abort in (False, True):
        with pytest.raises(IllegalStateError) as raised:
            await world.store.cancel(QUEUE, "m", abort=abort)
        assert raised.value.state is before.state
        assert before.state.name in str(raised.value)
    assert await world.store.get_message(QUEUE, "m") == before


@pytest.mark.parametrize("make", [_invisible, _pending, _completed, _canceled])
@contract
async def test_only_a_dead_letter_can_be_requeued_or_deleted_as_one(
    world: World, make: Callable[[World], Awaitable[None]]
) -> None:
    await world.make_queue(retention=RetentionPolicy.keep_forever())
    await make(world)
    before = await world.store.get_message(QUEUE, "m")
    with pytest.raises(MessageNotFoundError):
        await world.store.requeue(QUEUE, "m")
    with pytest.raises(MessageNotFoundError):
        await world.store.delete_dead_letter(QUEUE, "m")
    assert await world.store.requeue_all(QUEUE) == 0
    assert await world.store.purge_dead_letters(QUEUE) == 0
    assert await world.store.get_message(QUEUE, "m") == before


@contract
async def test_a_scan_made_before_a_claim_or_a_cancel_moves_nothing(
    world: World,
) -> None:
    """A4: activation must look at the state again, or it takes a running message."""
    await world.make_queue(retention=RetentionPolicy.keep_forever())
    await world.store.post(QUEUE, 1, message_id="claimed", delay_seconds=1)
    await world.store.post(QUEUE, 1, message_id="canceled", delay_seconds=1)
    await world.advance(1)
    await world.store.cancel(QUEUE, "canceled")
    assert await world.store.promote_due_messages() == 1
    job = await world.claim()
    assert job.message_id == "claimed"
    assert await world.store.promote_due_messages() == 0
    assert await world.counts() == {"RUNNING": 1, "CANCELED": 1}
    assert await world.store.claim(QUEUE, limit=5) == []
    await world.store.complete(job)


@contract
async def test_upkeep_leaves_every_other_state_alone(world: World) -> None:
    await world.make_queue(retention=RetentionPolicy.keep_forever())
    await world.store.post(QUEUE, 1, message_id="later", delay_seconds=1e6)
    await world.store.complete(await world.running())
    await world.dead("dead")
    await world.running(lease=LeasePolicy(base_seconds=1e6))
    await world.store.post(QUEUE, 1)
    await world.advance(1000)
    before = await world.counts()
    assert before == {
        "INVISIBLE": 1,
        "PENDING": 1,
        "RUNNING": 1,
        "COMPLETED": 1,
        "ERRORED": 1,
    }
    assert await world.store.promote_due_messages() == 0
    assert await world.reclaim() == 0
    assert await world.store.clean_up_batch() == 0
    assert await world.counts() == before


@contract
async def test_a_whole_life_is_in_one_state_at_a_time(world: World) -> None:
    """D3: the counts are exact after every step, and never drift."""
    await world.make_queue(retention=RetentionPolicy.keep(10))
    store = world.store
    await store.post(QUEUE, 1, message_id="m", delay_seconds=5)
    assert await world.counts() == {"INVISIBLE": 1}
    await world.advance(5)
    await store.promote_due_messages()
    assert await world.counts() == {"PENDING": 1}
    job = await world.claim()
    assert await world.counts() == {"RUNNING": 1}
    await store.release(job)
    assert await world.counts() == {"PENDING": 1}
    await store.fail(await world.claim(), "no", final=True)
    assert await world.counts() == {"ERRORED": 1}
    assert (await store.queue_state(QUEUE)).dead_letters == 1
    await store.requeue(QUEUE, "m")
    assert await world.counts() == {"PENDING": 1}
    job = await world.claim()
    await store.complete(job)
    assert await world.counts() == {"COMPLETED": 1}
    with pytest.raises(LeaseLostError):
        await store.fail(job, "too late")
    await world.advance(10)
    await store.clean_up_batch()
    assert await world.counts() == {}
