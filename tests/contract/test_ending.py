"""Ending an attempt: complete, fail with its delays and records, release."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.helpers import QUEUE, World, contract, fields
from trioqueue import (
    MessageState,
    RetentionPolicy,
    RetryPolicy,
    ValidationError,
)


async def _delay_after(world: World, attempt: int) -> float:
    """Fail attempts up to this one and return its delay, in seconds."""
    name = f"m{attempt}"
    await world.store.post(QUEUE, 1, message_id=name, max_attempts=-1)
    for _ in range(attempt - 1):
        await world.store.fail(await world.claim(), "no", retry_in_seconds=0)
    job = await world.claim()
    before = world.store.now()
    state = await world.store.fail(job, "no")
    if state is MessageState.PENDING:
        await world.store.cancel(QUEUE, name)
        return 0.0
    due = (await world.store.queue_state(QUEUE)).earliest_deadline
    assert due is not None
    await world.store.cancel(QUEUE, name)
    return (due - before).total_seconds()


@pytest.mark.parametrize(
    ("retry", "delays"),
    [
        (RetryPolicy.fixed(0), [0, 0, 0, 0]),
        (RetryPolicy.fixed(70), [70, 70, 70, 70]),
        (RetryPolicy.fixed(timedelta(minutes=2)), [120, 120]),
        (RetryPolicy.linear(60), [60, 120, 180, 240]),
        (RetryPolicy.linear(60, 150), [60, 120, 150, 150]),
        (RetryPolicy.exponential(60, jitter=False), [60, 120, 240, 480]),
        (RetryPolicy.exponential(60, 3, 200, jitter=False), [60, 180, 200, 200]),
        (RetryPolicy.exponential(60, 1, jitter=False), [60, 60, 60]),
    ],
    ids=lambda value: value.kind if isinstance(value, RetryPolicy) else "",
)
@contract
async def test_the_delay_follows_the_retry_policy(
    world: World, retry: RetryPolicy, delays: list[float]
) -> None:
    """A15: a failed message waits before it comes back."""
    await world.make_queue(retry=retry)
    for attempt, delay in enumerate(delays, 1):
        assert await _delay_after(world, attempt) == pytest.approx(delay, abs=2)


@contract
async def test_jitter_draws_between_nothing_and_the_whole_delay(world: World) -> None:
    await world.make_queue(retry=RetryPolicy.exponential(100, 2, 1000))
    drawn = []
    for number in range(40):
        job = await world.running(message_id=f"j{number}")
        before = world.store.now()
        if await world.store.fail(job, "no") is MessageState.INVISIBLE:
            due = (await world.store.queue_state(QUEUE)).earliest_deadline
            assert due is not None
            drawn.append((due - before).total_seconds())
        await world.store.cancel(QUEUE, job.message_id)
    assert len(drawn) > 35
    assert all(0 <= delay < 102 for delay in drawn)
    assert min(drawn) < 40
    assert max(drawn) > 60
    assert len(set(drawn)) == len(drawn)


@contract
async def test_the_caller_may_choose_the_delay(world: World) -> None:
    await world.make_queue(retry=RetryPolicy.fixed(1000))
    for given, state in ((50, "INVISIBLE"), (timedelta(seconds=50), "INVISIBLE")):
        job = await world.running()
        before = world.store.now()
        answer = await world.store.fail(job, "no", retry_in_seconds=given)
        assert answer.name == state
        due = (await world.store.queue_state(QUEUE)).earliest_deadline
        assert due is not None
        assert (due - before).total_seconds() == pytest.approx(50, abs=2)
        await world.store.cancel(QUEUE, job.message_id)
    job = await world.running()
    answer = await world.store.fail(job, "no", retry_in_seconds=0)
    assert answer is MessageState.PENDING


@pytest.mark.parametrize("delay", [-1, float("nan"), float("inf"), "5", True])
@contract
async def test_a_delay_must_be_a_span(world: World, delay: Any) -> None:
    await world.make_queue()
    job = await world.running()
    with pytest.raises(ValidationError) as raised:
        await world.store.fail(job, "no", retry_in_seconds=delay)
    assert fields(raised) == ["retry_in_seconds"]
    with pytest.raises(ValidationError) as raised:
        await world.store.release(job, delay_seconds=delay)
    assert fields(raised) == ["delay_seconds"]
    assert await world.counts() == {"RUNNING": 1}


@contract
async def test_a_retried_message_becomes_ready_when_its_delay_is_over(
    world: World,
) -> None:
    await world.make_queue(retry=RetryPolicy.fixed(60))
    await world.store.fail(await world.running(), "no")
    await world.advance(50)
    assert await world.store.promote_due_messages() == 0
    await world.advance(10)
    assert await world.store.promote_due_messages() == 1
    assert (await world.claim()).attempt == 2


@contract
async def test_attempts_used_up_make_a_dead_letter(world: World) -> None:
    """C1: exhausted messages are kept under every retention policy."""
    await world.make_queue(max_attempts=2, retention=RetentionPolicy.delete())
    await world.store.post(QUEUE, {"a": 1}, message_id="m")
    assert await world.store.fail(await world.claim(), "1") is MessageState.PENDING
    assert await world.store.fail(await world.claim(), "2") is MessageState.ERRORED
    (letter,) = await world.store.dead_letters(QUEUE)
    assert letter.reason == "max_attempts"
    assert letter.message.payload == {"a": 1}
    assert await world.store.claim(QUEUE) == []


@contract
async def test_without_a_limit_a_message_never_dies_by_failing(world: World) -> None:
    """A6, row 24: -1 is no limit, not one that is used up."""
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="m", max_attempts=-1)
    for attempt in range(1, 31):
        job = await world.claim()
        assert (job.attempt, job.message.attempts_left) == (attempt, -1)
        if attempt % 3:
            assert await world.store.fail(job, "no") is MessageState.PENDING
        else:
            await world.advance(31)
            assert await world.reclaim() == 1
    assert await world.state("m") is MessageState.PENDING
    assert await world.store.fail(await world.claim(), "no", final=True) is (
        MessageState.ERRORED
    )


@contract
async def test_failing_for_good_does_not_wait_for_the_last_attempt(
    world: World,
) -> None:
    await world.make_queue()
    job = await world.running(message_id="m", max_attempts=5)
    await world.store.fail(job, ValueError("hopeless"), final=True)
    (letter,) = await world.store.dead_letters(QUEUE)
    assert letter.reason == "discarded"
    assert letter.message.attempt == 1


def _raise(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


class _Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@contract
async def test_errors_are_recorded_with_their_traceback(world: World) -> None:
    """C7: why, where, when and by whom an attempt failed."""
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="m")
    began = world.store.now()
    job = await world.claim(worker_id="w1")
    await world.advance(2)
    await world.store.fail(job, _raise(ValueError("first")))
    job = await world.claim(worker_id="w2")
    await world.store.fail(job, "said in words")
    job = await world.claim(worker_id="w3")
    first, second, third = (await world.store.get_message(QUEUE, "m")).attempts
    assert (first.number, first.worker_id, first.outcome) == (1, "w1", "failed")
    assert (first.error_type, first.error_message) == ("ValueError", "first")
    assert first.traceback is not None
    assert "ValueError: first" in first.traceback
    assert "in _raise" in first.traceback
    assert first.ended_at is not None
    assert began <= first.started_at < first.ended_at
    assert (second.number, second.worker_id, second.outcome) == (2, "w2", "failed")
    assert second.error_message == "said in words"
    assert second.traceback is None
    assert (third.number, third.worker_id) == (3, "w3")
    assert (third.ended_at, third.outcome, third.error_type) == (None,) * 3


@pytest.mark.parametrize(
    "error",
    [
        "x" * 100_000,
        "é\0\ud800" * 50_000,
        ValueError("x" * 100_000),
        ValueError("\ud800\0"),
        _Silent(),
        KeyboardInterrupt(),
        ExceptionGroup("many", [ValueError("y" * 500) for _ in range(100)]),
    ],
    ids=["text", "odd-text", "long", "odd", "silent", "base", "group"],
)
@contract
async def test_any_error_is_recorded_within_its_limit(
    world: World, error: BaseException | str
) -> None:
    await world.make_queue()
    job = await world.running(message_id="m")
    await world.store.fail(job, error)
    (attempt,) = (await world.store.get_message(QUEUE, "m")).attempts
    assert attempt.error_type
    assert attempt.error_message is not None
    assert "\0" not in attempt.error_message
    written = f"{attempt.error_message}{attempt.traceback or ''}"
    assert len((attempt.traceback or "").encode()) <= 16 * 1024
    assert len(written.encode()) <= 20 * 1024


@contract
async def test_what_is_no_error_is_refused(world: World) -> None:
    await world.make_queue()
    job = await world.running()
    for thing in (None, 5, ValueError):
        with pytest.raises(ValidationError) as raised:
            await world.store.fail(job, thing)  # type: ignore[arg-type]
        assert fields(raised) == ["error"]
    assert await world.counts() == {"RUNNING": 1}


@contract
async def test_release_refunds_the_attempt_but_not_the_fencing_value(
    world: World,
) -> None:
    await world.make_queue(max_attempts=1)
    await world.store.post(QUEUE, 1, message_id="m")
    last = 0
    for _ in range(5):
        job = await world.claim()
        assert job.attempt == 1
        assert job.attempt_id > last
        last = job.attempt_id
        assert await world.store.release(job) is MessageState.PENDING
    message = await world.store.get_message(QUEUE, "m")
    assert (message.attempt, message.attempts_left) == (0, 1)
    assert message.attempts == ()


@contract
async def test_release_refunds_one_attempt_only(world: World) -> None:
    """A2: attempts burnt before are not given back."""
    await world.make_queue(max_attempts=3)
    await world.store.fail(await world.running(message_id="m"), "no")
    await world.store.release(await world.claim())
    job = await world.claim()
    assert job.attempt == 2
    await world.store.fail(job, "no")
    assert await world.store.fail(await world.claim(), "no") is MessageState.ERRORED
    attempts = (await world.store.get_message(QUEUE, "m")).attempts
    assert [a.number for a in attempts] == [1, 2, 3]


@contract
async def test_release_may_keep_the_message_out_of_sight_first(world: World) -> None:
    await world.make_queue()
    job = await world.running(message_id="m")
    answer = await world.store.release(job, delay_seconds=60)
    assert answer is MessageState.INVISIBLE
    assert (await world.store.get_message(QUEUE, "m")).attempt == 0
    await world.advance(60)
    assert await world.store.promote_due_messages() == 1
    assert (await world.claim()).attempt == 1


@contract
async def test_a_completed_message_is_never_claimed_again(world: World) -> None:
    """Row 25."""
    await world.make_queue()
    await world.store.complete(await world.running())
    await world.advance(1000)
    assert await world.reclaim() == 0
    assert await world.store.promote_due_messages() == 0
    assert await world.store.claim(QUEUE) == []


@pytest.mark.parametrize(
    "result", [None, 0, False, "", [], {"deep": [2**70, "é", None]}], ids=repr
)
@contract
async def test_a_kept_message_has_its_result(world: World, result: Any) -> None:
    await world.make_queue(retention=RetentionPolicy.keep_forever())
    job = await world.running(message_id="m")
    await world.store.complete(job, result)
    message = await world.store.get_message(QUEUE, "m")
    assert message.result == result
    assert type(message.result) is type(result)


@pytest.mark.parametrize("result", [object(), float("nan"), b"bytes", "\ud800", {1: 2}])
@contract
async def test_a_result_must_be_json_and_the_job_stays_held(
    world: World, result: Any
) -> None:
    await world.make_queue()
    job = await world.running(message_id="m")
    with pytest.raises(ValidationError) as raised:
        await world.store.complete(job, result)
    assert fields(raised) == ["result"]
    assert await world.state("m") is MessageState.RUNNING
    await world.store.complete(job)


@contract
async def test_the_queue_of_the_message_decides_whoever_ends_it(world: World) -> None:
    """A11: in ChronoQueue another queue's retention may be used."""
    await world.make_queue("keeps", retention=RetentionPolicy.keep_forever())
    await world.make_queue("drops")
    for name in ("keeps", "drops"):
        await world.store.complete(await world.running(name, message_id="same"))
    assert await world.counts("keeps") == {"COMPLETED": 1}
    assert await world.counts("drops") == {}
