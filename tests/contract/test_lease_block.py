"""`async with store.lease(...)`: the lease is the scope of the block."""

from __future__ import annotations

import pytest
import trio

from tests.helpers import QUEUE, World, contract
from trioqueue import (
    Discard,
    ExecutionLimitError,
    HandlerSignal,
    LeaseLostError,
    LeasePolicy,
    MessageState,
    QueueNotFoundError,
    RetentionPolicy,
    Retry,
    RetryPolicy,
    Snooze,
)

KEEP = RetentionPolicy.keep_forever()


@contract
async def test_leaving_the_block_completes_the_message(world: World) -> None:
    await world.make_queue(retention=KEEP)
    await world.store.post(QUEUE, {"a": 1}, message_id="m")
    async with world.store.lease(QUEUE, worker_id="w") as job:
        assert job.payload == {"a": 1}
        assert job.worker_id == "w"
        assert await world.state("m") is MessageState.RUNNING
    message = await world.store.get_message(QUEUE, "m")
    assert message.state is MessageState.COMPLETED
    assert [a.outcome for a in message.attempts] == ["completed"]


@contract
async def test_it_waits_for_a_message(world: World) -> None:
    await world.make_queue()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.store.post, QUEUE, "late")
        async with world.store.lease(QUEUE) as job:
            assert job.payload == "late"
    assert await world.counts() == {}


@contract
async def test_an_exception_fails_the_message_and_goes_on_bare(world: World) -> None:
    await world.make_queue(retry=RetryPolicy.fixed(60))
    await world.store.post(QUEUE, 1, message_id="m")
    error = ValueError("broken")
    with pytest.raises(ValueError, match="broken") as raised:
        async with world.store.lease(QUEUE):
            raise error
    assert raised.value is error
    message = await world.store.get_message(QUEUE, "m")
    assert message.state is MessageState.INVISIBLE
    (attempt,) = message.attempts
    assert (attempt.outcome, attempt.error_type) == ("failed", "ValueError")
    assert attempt.traceback is not None
    assert "raise error" in attempt.traceback


@contract
async def test_a_group_of_exceptions_goes_on_as_it_is(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="m")
    with pytest.RaisesGroup(ValueError):
        async with world.store.lease(QUEUE), trio.open_nursery():
            raise ValueError
    (attempt,) = (await world.store.get_message(QUEUE, "m")).attempts
    assert attempt.error_type == "ExceptionGroup"


@contract
async def test_the_last_failure_makes_a_dead_letter(world: World) -> None:
    await world.make_queue(max_attempts=1)
    await world.store.post(QUEUE, 1)
    with pytest.raises(ValueError, match="no"):
        async with world.store.lease(QUEUE):
            raise ValueError("no")
    (letter,) = await world.store.dead_letters(QUEUE)
    assert letter.reason == "max_attempts"


@contract
async def test_cancellation_gives_the_message_back_with_its_attempt(
    world: World,
) -> None:
    await world.make_queue(max_attempts=1)
    await world.store.post(QUEUE, 1, message_id="m")
    with trio.move_on_after(world.span(5)) as scope:
        async with world.store.lease(QUEUE):
            await trio.sleep_forever()
    assert scope.cancelled_caught
    message = await world.store.get_message(QUEUE, "m")
    assert message.state is MessageState.PENDING
    assert (message.attempt, message.attempts) == (0, ())
    assert (await world.claim()).attempt == 1


@contract
async def test_cancellation_while_it_waits_claims_nothing(world: World) -> None:
    await world.make_queue()
    with trio.move_on_after(world.span(2)) as scope:
        async with world.store.lease(QUEUE):
            pytest.fail("there is no message")
    assert scope.cancelled_caught
    await world.store.post(QUEUE, 1)
    assert await world.counts() == {"PENDING": 1}


@contract
async def test_heartbeats_keep_it_for_much_longer_than_the_base(world: World) -> None:
    await world.make_queue(
        lease=LeasePolicy(base_seconds=world.span(30), heartbeat_seconds=world.span(25))
    )
    await world.store.post(QUEUE, 1, message_id="m")
    async with world.store.lease(QUEUE) as job:
        for _ in range(3):
            await world.sleep(15)
            assert await world.reclaim() == 0
        message = await world.store.get_message(QUEUE, "m")
        assert message.lease is not None
        assert message.lease.expires_at > job.lease.expires_at
    assert await world.state("m") is None


@contract
async def test_a_lease_at_its_cap_ends_the_block(world: World) -> None:
    await world.make_queue(
        lease=LeasePolicy(
            base_seconds=world.span(20), max_extension_seconds=world.span(10)
        )
    )
    await world.store.post(QUEUE, 1, message_id="m")
    began = trio.current_time()
    with pytest.raises(LeaseLostError) as raised:
        async with world.store.lease(QUEUE):
            await trio.sleep_forever()
    assert raised.value.reason == "lease_expired"
    lasted = trio.current_time() - began
    assert lasted >= world.span(30) * 0.99
    if world.virtual:
        assert lasted == pytest.approx(30)
    assert await world.state("m") is MessageState.RUNNING
    assert await world.reclaim() == 1
    assert await world.state("m") is MessageState.PENDING


@contract
async def test_a_lease_lost_to_another_ends_the_block(world: World) -> None:
    """The heartbeat hears that the attempt is over, and the block is canceled."""
    await world.make_queue(lease=LeasePolicy(base_seconds=world.span(30)))
    await world.store.post(QUEUE, 1, message_id="m")
    canceled = False
    with pytest.raises(LeaseLostError) as raised:
        async with world.store.lease(QUEUE) as job:
            await world.store.release(job)
            await world.claim(lease=LeasePolicy(base_seconds=1e6))
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                canceled = True
                raise
    assert canceled
    assert raised.value.reason == "superseded"
    assert await world.state("m") is MessageState.RUNNING


@contract
async def test_an_abort_ends_the_block_at_once(world: World) -> None:
    await world.make_queue(retention=KEEP)
    await world.store.post(QUEUE, 1, message_id="m")
    began = trio.current_time()
    with pytest.raises(LeaseLostError) as raised:
        async with world.store.lease(QUEUE):
            await world.store.cancel(QUEUE, "m", abort=True, reason="stop")
            await trio.sleep_forever()
    assert raised.value.reason == "aborted"
    assert trio.current_time() - began < 9
    message = await world.store.get_message(QUEUE, "m")
    assert message.state is MessageState.CANCELED
    assert message.reason == "stop"


@contract
async def test_the_execution_limit_ends_the_block_and_fails_the_message(
    world: World,
) -> None:
    await world.make_queue(
        lease=LeasePolicy(execution_limit_seconds=world.span(5)), max_attempts=1
    )
    await world.store.post(QUEUE, 1, message_id="m")
    with pytest.raises(ExecutionLimitError):
        async with world.store.lease(QUEUE):
            await trio.sleep_forever()
    (letter,) = await world.store.dead_letters(QUEUE)
    assert letter.reason == "max_attempts"
    assert letter.attempts[0].error_type is not None
    assert "ExecutionLimitError" in letter.attempts[0].error_type


@contract
async def test_a_hint_holds_for_the_block(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1)
    hint = LeasePolicy(base_seconds=300)
    async with world.store.lease(QUEUE, lease=hint) as job:
        assert job.lease_policy.base_seconds == 300


@contract
async def test_signals_decide_how_the_attempt_ends(world: World) -> None:
    """They say what to do with the message; they are no errors to go on."""
    await world.make_queue(retry=RetryPolicy.fixed(0))
    for name in ("retry", "snooze", "discard"):
        await world.store.post(QUEUE, 1, message_id=name)

    async def run(signal: HandlerSignal) -> None:
        async with world.store.lease(QUEUE):
            raise signal

    await run(Retry(in_seconds=60))
    await run(Snooze(in_seconds=60))
    await run(Discard("hopeless"))
    get = world.store.get_message
    retried, snoozed = await get(QUEUE, "retry"), await get(QUEUE, "snooze")
    discarded = await get(QUEUE, "discard")
    assert (retried.state.name, retried.attempt) == ("INVISIBLE", 1)
    assert (snoozed.state.name, snoozed.attempt) == ("INVISIBLE", 0)
    assert (discarded.state.name, discarded.reason) == ("ERRORED", "discarded")
    assert discarded.attempts[0].error_message == "hopeless"


@contract
async def test_ending_it_by_hand_inside_the_block_is_allowed(world: World) -> None:
    """Completing twice is one word said twice."""
    await world.make_queue(retention=KEEP)
    await world.store.post(QUEUE, 1, message_id="m")
    async with world.store.lease(QUEUE) as job:
        await world.store.complete(job)
    assert await world.state("m") is MessageState.COMPLETED


@contract
async def test_many_blocks_at_once_share_the_work(world: World) -> None:
    await world.make_queue()
    seen: list[int] = []

    async def work() -> None:
        while (await world.counts()).get("PENDING"):
            with trio.move_on_after(world.span(10)):
                async with world.store.lease(QUEUE) as job:
                    seen.append(job.payload)

    for number in range(30):
        await world.store.post(QUEUE, number)
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(work)
    assert sorted(seen) == list(range(30))
    assert await world.counts() == {}


@contract
async def test_a_block_on_an_unknown_queue_is_refused(world: World) -> None:
    with pytest.raises(QueueNotFoundError):
        async with world.store.lease("nowhere"):
            pytest.fail("there is no such queue")
