"""Canceling: at once what waits, by request what runs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers import QUEUE, World, contract, fields, ids
from trioqueue import (
    IllegalStateError,
    Lease,
    LeaseLostError,
    LeasePolicy,
    MessageNotFoundError,
    MessageState,
    NewMessage,
    RetentionPolicy,
    ValidationError,
)

KEEP = RetentionPolicy.keep_forever()


@contract
async def test_canceled_messages_are_never_delivered(world: World) -> None:
    """Row 26: also those whose time comes later."""
    await world.make_queue()
    for number in range(20):
        delay = 60 if number % 2 else None
        await world.store.post(
            QUEUE, number, message_id=f"m{number:02}", delay_seconds=delay
        )
    for number in range(10, 20):
        await world.store.cancel(QUEUE, f"m{number}")
    await world.advance(60)
    assert await world.store.promote_due_messages() == 5
    jobs = await world.store.claim(QUEUE, limit=100)
    assert sorted(ids(jobs)) == [f"m0{number}" for number in range(10)]


@contract
async def test_the_reason_and_the_time_are_kept(world: World) -> None:
    await world.make_queue(retention=KEEP)
    await world.store.post(QUEUE, {"a": 1}, message_id="m")
    before = world.store.now()
    canceled = await world.store.cancel(QUEUE, "m", reason="no longer wanted")
    assert canceled.state is MessageState.CANCELED
    assert canceled.reason == "no longer wanted"
    assert canceled.payload == {"a": 1}
    assert canceled.finished_at is not None
    assert before <= canceled.finished_at <= world.store.now()
    assert await world.store.get_message(QUEUE, "m") == canceled


@contract
async def test_a_canceled_message_is_gone_if_nothing_keeps_it(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="m")
    canceled = await world.store.cancel(QUEUE, "m", reason="why")
    assert (canceled.state, canceled.reason) == (MessageState.CANCELED, "why")
    with pytest.raises(MessageNotFoundError):
        await world.store.get_message(QUEUE, "m")
    with pytest.raises(MessageNotFoundError):
        await world.store.cancel(QUEUE, "m")


@contract
async def test_an_unknown_message_is_not_found(world: World) -> None:
    await world.make_queue("other")
    await world.make_queue()
    await world.store.post("other", 1, message_id="m")
    with pytest.raises(MessageNotFoundError):
        await world.store.cancel(QUEUE, "m")
    assert await world.counts("other") == {"PENDING": 1}


@contract
async def test_a_message_that_waits_for_its_retry_keeps_its_attempts(
    world: World,
) -> None:
    await world.make_queue(retention=KEEP)
    job = await world.running(message_id="m")
    await world.store.fail(job, "no", retry_in_seconds=60)
    canceled = await world.store.cancel(QUEUE, "m")
    assert [a.outcome for a in canceled.attempts] == ["failed"]
    assert await world.store.get_message(QUEUE, "m") == canceled


@contract
async def test_a_running_message_is_not_canceled_unasked(world: World) -> None:
    """Row 26: the error names RUNNING."""
    await world.make_queue()
    job = await world.running(message_id="m")
    with pytest.raises(IllegalStateError, match="RUNNING") as raised:
        await world.store.cancel(QUEUE, "m")
    assert raised.value.state is MessageState.RUNNING
    assert not (await world.store.heartbeat(job)).abort_requested
    await world.store.complete(job)


@contract
async def test_an_abort_is_seen_at_the_next_heartbeat(world: World) -> None:
    await world.make_queue()
    job = await world.running(message_id="m")
    running = await world.store.cancel(QUEUE, "m", abort=True, reason="stop")
    assert running.state is MessageState.RUNNING
    assert running.lease is not None
    assert running.lease.abort_requested
    assert running.lease.abort_reason == "stop"
    lease = await world.store.heartbeat(job)
    assert lease.abort_requested
    assert lease.abort_reason == "stop"
    (again,) = await world.store.heartbeat_many([job])
    assert isinstance(again, Lease)
    assert again.abort_requested


@pytest.mark.parametrize("ending", ["complete", "fail", "final", "release", "expire"])
@contract
async def test_an_aborted_message_ends_canceled_whatever_ends_it(
    world: World, ending: str
) -> None:
    await world.make_queue(retention=KEEP)
    job = await world.running(message_id="m")
    await world.store.cancel(QUEUE, "m", abort=True, reason="stop")
    if ending == "complete":
        with pytest.raises(LeaseLostError) as raised:
            await world.store.complete(job, 1)
        assert raised.value.reason == "aborted"
    elif ending == "expire":
        await world.advance(30)
        assert await world.reclaim() == 1
    elif ending == "release":
        assert await world.store.release(job) is MessageState.CANCELED
    else:
        state = await world.store.fail(job, "no", final=ending == "final")
        assert state is MessageState.CANCELED
    message = await world.store.get_message(QUEUE, "m")
    assert message.state is MessageState.CANCELED
    assert message.reason == "stop"
    assert message.result is None
    assert [a.outcome for a in message.attempts] == ["canceled"]
    assert await world.store.claim(QUEUE) == []
    assert await world.store.dead_letters(QUEUE) == []


@contract
async def test_the_first_reason_for_an_abort_stays(world: World) -> None:
    await world.make_queue(retention=KEEP)
    job = await world.running(message_id="m")
    await world.store.cancel(QUEUE, "m", abort=True, reason="first")
    await world.store.cancel(QUEUE, "m", abort=True, reason="second")
    await world.store.release(job)
    assert (await world.store.get_message(QUEUE, "m")).reason == "first"


@contract
async def test_an_abort_of_what_waits_cancels_it_at_once(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="m")
    canceled = await world.store.cancel(QUEUE, "m", abort=True)
    assert canceled.state is MessageState.CANCELED


@contract
async def test_many_cancels_leave_the_rest(world: World) -> None:
    await world.make_queue()
    batch = [NewMessage(n, message_id=f"m{n}") for n in range(10)]
    await world.store.post_many(QUEUE, batch)
    for number in range(0, 10, 2):
        await world.store.cancel(QUEUE, f"m{number}")
    jobs = await world.store.claim(QUEUE, limit=10)
    assert [job.payload for job in jobs] == [1, 3, 5, 7, 9]


@pytest.mark.parametrize("reason", [5, "x" * 1001, "nul \0", "\ud800"])
@contract
async def test_a_reason_must_be_text(world: World, reason: Any) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="m")
    with pytest.raises(ValidationError) as raised:
        await world.store.cancel(QUEUE, "m", reason=reason)
    assert fields(raised) == ["reason"]
    assert await world.counts() == {"PENDING": 1}


@contract
async def test_a_requeued_message_is_not_aborted_again(world: World) -> None:
    await world.make_queue(lease=LeasePolicy(base_seconds=30), max_attempts=1)
    job = await world.running(message_id="m")
    await world.store.fail(job, "no")
    await world.store.requeue(QUEUE, "m")
    again = await world.claim()
    assert not (await world.store.heartbeat(again)).abort_requested
