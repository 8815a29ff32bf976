"""How a handler's end is written, also while the database is away."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.working import (
    QUEUE,
    fail_while,
    nothing,
    run_one,
    store_with,
    working,
)
from trioqueue import (
    Discard,
    Job,
    MessageState,
    Retry,
    Snooze,
    StoreUnavailableError,
    Worker,
)
from trioqueue.store.operations.attempts import end, heartbeat
from trioqueue.store.operations.claim import claim

# --- how handlers end -------------------------------------------------------------


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


def dive(depth: int) -> int:
    return dive(depth + 1) + 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("no"), "ValueError"),
        (ExceptionGroup("two", [ValueError(), KeyError()]), "ExceptionGroup"),
        (ExceptionGroup("mixed", [ValueError(), Discard()]), "ExceptionGroup"),
        (SystemExit(3), "SystemExit"),
        (Unspeakable(), f"{__name__}.Unspeakable"),
        (None, "RecursionError"),
    ],
    ids=["error", "group", "mixed-group", "exit", "unspeakable", "recursion"],
)
async def test_a_handler_that_raises_has_failed_and_the_worker_goes_on(
    anywhere: str, autojump_clock: MockClock, error: BaseException | None, kind: str
) -> None:
    async def handler(job: Job) -> None:
        await trio.lowlevel.checkpoint()
        if error is None:
            dive(0)
        else:
            raise error

    async with store_with(url=anywhere) as store:
        message = await run_one(store, handler)
        assert message.state is MessageState.INVISIBLE
        assert message.attempts[0].outcome == "failed"
        assert message.attempts[0].error_type == kind
        assert message.attempts[0].traceback


async def test_a_plain_function_as_handler_fails_with_advice(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    def handler(job: Job) -> Any:
        return None

    async with store_with(url=anywhere) as store:
        message = await run_one(store, handler)
        assert message.attempts[0].error_type == "TypeError"
        assert "async" in str(message.attempts[0].error_message)


async def test_a_result_that_is_no_json_is_a_failure(
    anywhere: str, autojump_clock: MockClock
) -> None:
    async def handler(job: Job) -> object:
        await trio.lowlevel.checkpoint()
        return object()

    async with store_with(url=anywhere) as store:
        message = await run_one(store, handler)
        assert message.state is MessageState.INVISIBLE
        assert message.attempts[0].error_type == "trioqueue.errors.ValidationError"


@pytest.mark.parametrize("grouped", [False, True], ids=["bare", "grouped"])
@pytest.mark.parametrize(
    ("signal", "state", "attempt", "due"),
    [
        (Retry(in_seconds=100), MessageState.INVISIBLE, 1, 100),
        (Retry(), MessageState.INVISIBLE, 1, 7),
        (Snooze(in_seconds=50), MessageState.INVISIBLE, 0, 50),
        (Discard("bad"), MessageState.ERRORED, 1, None),
    ],
    ids=["retry-in", "retry", "snooze", "discard"],
)
async def test_a_signal_decides_how_the_attempt_ends(  # noqa: PLR0917  its parameters
    anywhere: str,
    autojump_clock: MockClock,
    signal: Exception,
    state: MessageState,
    attempt: int,
    due: float | None,
    grouped: bool,
) -> None:
    async def handler(job: Job) -> None:
        await trio.lowlevel.checkpoint()
        raise ExceptionGroup("nursery", [signal]) if grouped else signal

    async with store_with(url=anywhere) as store:
        message = await run_one(store, handler)
        assert (message.state, message.attempt) == (state, attempt)
        if due is None:
            assert message.reason == "discarded"
        else:
            instant = await store.next_due()
            assert instant is not None
            assert (instant - store.now()).total_seconds() == due


async def test_ctrl_c_in_a_handler_propagates_and_the_job_is_given_back(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    async def handler(job: Job) -> None:
        await trio.lowlevel.checkpoint()
        raise KeyboardInterrupt

    async with store_with(url=anywhere) as store:
        message = await store.post(QUEUE, 1)
        with pytest.RaisesGroup(KeyboardInterrupt, flatten_subgroups=True):
            await Worker(store, {QUEUE: handler}).run_once()
        now = await store.get_message(QUEUE, message.message_id)
        assert (now.state, now.attempt) == (MessageState.PENDING, 0)


# --- an unavailable database -----------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "least"), [(claim, 10), (heartbeat, 5)], ids=["claim", "heartbeat"]
)
async def test_the_worker_goes_on_by_itself_when_the_database_is_back(
    anywhere: str,
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
    operation: Any,
    least: int,
) -> None:
    async def handler(job: Job) -> None:
        await trio.sleep(100)

    async with store_with(url=anywhere) as store:
        tries = fail_while(monkeypatch, store, operation, 20)
        async with working(Worker(store, {QUEUE: handler})):
            message = await store.post(QUEUE, 1)
            done = await store.wait_finished(QUEUE, message.message_id)
        assert done.state is MessageState.COMPLETED
        assert done.attempt == 1
        assert len(tries) >= least


async def test_an_end_that_cannot_be_stored_is_tried_again_after_the_lease(
    anywhere: str, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_with(url=anywhere) as store:
        fail_while(monkeypatch, store, end, 20)
        async with working(Worker(store, {QUEUE: nothing})):
            message = await store.post(QUEUE, 1)
            await trio.sleep(30)
            found = await store.find_expired_messages()
            assert await store.reclaim_expired_messages(found) == 1
            await trio.sleep(7)
            await store.promote_due_messages()
            done = await store.wait_finished(QUEUE, message.message_id)
        assert (done.state, done.attempt) == (MessageState.COMPLETED, 2)


async def test_a_result_that_is_no_json_does_no_harm_when_the_lease_is_lost(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    async with store_with(url=anywhere) as store:

        async def handler(job: Job) -> object:
            # Behind the worker's back the attempt has ended, and well.
            await store.complete(job)
            return object()

        worker = Worker(store, {QUEUE: handler})
        await store.post(QUEUE, 1)
        assert await worker.run_once() == 1
        assert worker.statistics().lost == 1


async def test_a_result_that_is_no_json_does_no_harm_while_the_database_is_away(
    anywhere: str, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handler(job: Job) -> object:
        await trio.lowlevel.checkpoint()
        return object()

    async with store_with(url=anywhere) as store:
        tries = fail_while(monkeypatch, store, end, 10)
        worker = Worker(store, {QUEUE: handler})
        await store.post(QUEUE, 1)
        assert await worker.run_once() == 1
        assert tries
        counts = (await store.queue_state(QUEUE)).counts
        assert counts[MessageState.RUNNING] == 1


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "soon"])
@pytest.mark.parametrize("kind", [Retry, Snooze])
async def test_a_signal_with_a_delay_that_cannot_be_is_a_failure(
    anywhere: str, autojump_clock: MockClock, kind: Any, seconds: Any
) -> None:
    async def handler(job: Job) -> None:
        await trio.lowlevel.checkpoint()
        raise kind(in_seconds=seconds)

    async with store_with(url=anywhere) as store:
        message = await run_one(store, handler)
        assert message.state is MessageState.INVISIBLE
        assert message.attempts[0].error_type == "trioqueue.errors.ValidationError"
        assert "seconds" in str(message.attempts[0].error_message)


async def test_ctrl_c_propagates_alone_out_of_a_group(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    async def handler(job: Job) -> None:
        await trio.lowlevel.checkpoint()
        raise BaseExceptionGroup("both", [KeyboardInterrupt(), ValueError()])

    async with store_with(url=anywhere) as store:
        message = await store.post(QUEUE, 1)
        with pytest.RaisesGroup(KeyboardInterrupt, flatten_subgroups=True):
            await Worker(store, {QUEUE: handler}).run_once()
        now = await store.get_message(QUEUE, message.message_id)
        assert (now.state, now.attempt) == (MessageState.PENDING, 0)


async def test_ctrl_c_in_one_job_gives_the_others_back_too(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    async def handler(job: Job) -> None:
        await trio.sleep(1 if job.payload == "strikes" else 1000)
        raise KeyboardInterrupt

    async with store_with(url=anywhere) as store:
        for payload in ("sleeps", "strikes", "sleeps"):
            await store.post(QUEUE, payload)
        with pytest.RaisesGroup(KeyboardInterrupt, flatten_subgroups=True):
            await Worker(store, {QUEUE: handler}).run_once()
        assert trio.current_time() == 1
        given_back = await store.peek(QUEUE)
        assert [message.attempt for message in given_back] == [0, 0, 0]
        counts = (await store.queue_state(QUEUE)).counts
        assert counts[MessageState.PENDING] == 3


async def test_run_once_says_that_the_database_is_away(
    anywhere: str, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The jobs in hand are brought to their end first."""

    async def handler(job: Job) -> None:
        if job.payload == "quick":
            fail_while(monkeypatch, store, claim, 1000)
        else:
            await trio.sleep(100)

    async with store_with(url=anywhere) as store:
        await store.post(QUEUE, "quick")
        await store.post(QUEUE, "slow")
        worker = Worker(store, {QUEUE: handler})
        with pytest.raises(StoreUnavailableError, match="the disk is away"):
            await worker.run_once()
        assert trio.current_time() == 100
        assert worker.statistics().completed == 2
        await trio.sleep(900)
        assert await worker.run_once() == 0
