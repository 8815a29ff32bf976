"""A worker: what it claims, how it keeps leases, and how a handler's end is written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
import trio
from trio.testing import MockClock

from trioqueue import (
    Discard,
    Job,
    LeasePolicy,
    Message,
    MessageState,
    NewMessage,
    QueueNotFoundError,
    QueueOptions,
    RetentionPolicy,
    Retry,
    RetryPolicy,
    Snooze,
    Store,
    StoreUnavailableError,
    Worker,
)
from trioqueue.store.operations.attempts import end, heartbeat
from trioqueue.store.operations.claim import claim
from trioqueue.testing import virtual_store

Handler = Callable[[Job], Awaitable[Any]]
QUEUE: Final = "jobs"
OPTIONS: Final = QueueOptions(
    retry=RetryPolicy.fixed(7), retention=RetentionPolicy.keep_forever()
)


async def nothing(job: Job) -> None:
    await trio.lowlevel.checkpoint()


@asynccontextmanager
async def store_with(*queues: str) -> AsyncIterator[Store]:
    async with virtual_store() as store:
        for queue in queues or (QUEUE,):
            await store.create_queue(queue, OPTIONS)
        yield store


@asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(worker.run)
        yield
        worker.stop()


async def run_one(store: Store, handler: Handler, **options: Any) -> Message:
    """Run one message once, and return it as it then is."""
    message = await store.post(QUEUE, 1, **options)
    assert await Worker(store, {QUEUE: handler}).run_once() == 1
    return await store.get_message(QUEUE, message.message_id)


def fail_while(
    monkeypatch: pytest.MonkeyPatch, store: Store, operation: Any, until: float
) -> list[float]:
    """Make one operation of a store unavailable up to a Trio time; list the tries."""
    real = store._executor.batch
    tries: list[float] = []

    async def batch(which: Any, items: Any) -> Any:
        if which is operation and trio.current_time() < until:
            tries.append(trio.current_time())
            await trio.lowlevel.checkpoint()
            message = "the disk is away"
            raise StoreUnavailableError(message)
        return await real(which, items)

    monkeypatch.setattr(store._executor, "batch", batch)
    return tries


# --- claiming ---------------------------------------------------------------------


async def test_no_more_handlers_run_than_the_concurrency_allows(
    autojump_clock: MockClock,
) -> None:
    running = most = 0

    async def handler(job: Job) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await trio.sleep(1)
        running -= 1

    async with store_with() as store:
        await store.post_many(QUEUE, [NewMessage(1)] * 10)
        assert await Worker(store, {QUEUE: handler}, concurrency=3).run_once() == 10
    assert most == 3
    assert trio.current_time() == 4


async def test_only_what_free_slots_can_run_is_claimed(
    autojump_clock: MockClock,
) -> None:
    async def handler(job: Job) -> None:
        await trio.sleep(10)

    async with store_with() as store:
        await store.post_many(QUEUE, [NewMessage(1)] * 5)
        worker = Worker(store, {QUEUE: handler}, concurrency=2)
        async with working(worker):
            await trio.sleep(5)
            counts = (await store.queue_state(QUEUE)).counts
            assert counts[MessageState.RUNNING] == 2
            assert counts[MessageState.PENDING] == 3
            assert worker.statistics().claimed == worker.statistics().running == 2


async def test_several_queues_share_the_slots_and_none_is_forgotten(
    autojump_clock: MockClock,
) -> None:
    order: list[str] = []

    async def handler(job: Job) -> None:
        order.append(job.queue)
        await trio.sleep(1)

    async with store_with("a", "b") as store:
        for queue in ("a", "b"):
            await store.post_many(queue, [NewMessage(1)] * 4)
        worker = Worker(store, {"a": handler, "b": handler}, concurrency=1)
        assert await worker.run_once() == 8
    assert set(order[:3]) == {"a", "b"}
    assert sorted(order) == ["a"] * 4 + ["b"] * 4


async def test_only_the_queues_asked_for_are_worked_on(
    autojump_clock: MockClock,
) -> None:
    async with store_with("a", "b") as store:
        for queue in ("a", "b"):
            await store.post(queue, 1)
        worker = Worker(store, {"a": nothing, "b": nothing}, queues=["b", "b"])
        assert await worker.run_once() == 1
        assert (await store.queue_state("a")).counts[MessageState.PENDING] == 1


async def test_a_message_posted_while_it_waits_is_run_at_once(
    autojump_clock: MockClock,
) -> None:
    async with store_with() as store, working(Worker(store, {QUEUE: nothing})):
        await trio.sleep(100)
        message = await store.post(QUEUE, 1)
        done = await store.wait_finished(QUEUE, message.message_id)
        assert done.state is MessageState.COMPLETED
        assert trio.current_time() == 100


async def test_run_once_also_runs_what_handlers_post(autojump_clock: MockClock) -> None:
    async with store_with() as store:

        async def handler(job: Job) -> None:
            await trio.sleep(1)
            if job.payload:
                await store.post(QUEUE, job.payload - 1)

        await store.post(QUEUE, 3)
        worker = Worker(store, {QUEUE: handler})
        assert await worker.run_once() == 4
        assert await worker.run_once() == 0


async def test_a_queue_deleted_meanwhile_does_not_stop_the_others(
    autojump_clock: MockClock,
) -> None:
    async with store_with("a", "b") as store:  # noqa: SIM117
        async with working(Worker(store, {"a": nothing, "b": nothing})):
            await store.delete_queue("a")
            for queue in ("b", "a"):
                if queue == "a":
                    await store.create_queue("a", OPTIONS)
                message = await store.post(queue, 1)
                with trio.fail_after(5):
                    await store.wait_finished(queue, message.message_id)


async def test_a_queue_that_does_not_exist_is_refused_at_the_start(
    autojump_clock: MockClock,
) -> None:
    async with store_with() as store:
        with pytest.raises(QueueNotFoundError):
            await Worker(store, {"other": nothing}).run()


# --- leases -----------------------------------------------------------------------


async def test_heartbeats_keep_a_job_longer_than_its_lease(
    autojump_clock: MockClock,
) -> None:
    async def handler(job: Job) -> str:
        await trio.sleep(1000)
        return "done"

    async with store_with() as store:
        message = await run_one(store, handler)
        assert (message.state, message.result) == (MessageState.COMPLETED, "done")
        assert message.attempt == 1


@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_lost_lease_cancels_the_handler_and_writes_nothing(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, stubborn: bool
) -> None:
    ended: list[float] = []

    async def handler(job: Job) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())
            if stubborn:
                with trio.CancelScope(shield=True):
                    await trio.sleep(20)

    async with store_with() as store:
        fail_while(monkeypatch, store, heartbeat, 1000)
        worker = Worker(store, {QUEUE: handler}, concurrency=1)
        async with working(worker):
            message = await store.post(QUEUE, 1)
            await trio.sleep(31)
            worker.stop()
            found = await store.find_expired_messages()
            assert await store.reclaim_expired_messages(found) == 1
            assert (
                await store.get_message(QUEUE, message.message_id)
            ).state is MessageState.INVISIBLE
            await trio.sleep(7)
            await store.promote_due_messages()
            (job,) = await store.claim(QUEUE, worker_id="another")
        assert ended == [30]
        now = await store.get_message(QUEUE, message.message_id)
        assert (now.state, now.worker_id) == (MessageState.RUNNING, "another")
        assert [attempt.outcome for attempt in now.attempts] == ["lease_expired", None]
        assert worker.statistics().lost == 1
        await store.complete(job)


async def test_an_abort_cancels_the_handler_at_once(autojump_clock: MockClock) -> None:
    async def handler(job: Job) -> None:
        await trio.sleep_forever()

    async with store_with() as store:
        worker = Worker(store, {QUEUE: handler})
        async with working(worker):
            message = await store.post(QUEUE, 1)
            await trio.sleep(2)
            await store.cancel(QUEUE, message.message_id, reason="why", abort=True)
            done = await store.wait_finished(QUEUE, message.message_id)
        assert (done.state, done.reason) == (MessageState.CANCELED, "why")
        assert trio.current_time() == 2
        assert worker.statistics().lost == 1


async def test_a_handler_over_its_execution_limit_fails(
    autojump_clock: MockClock,
) -> None:
    async def handler(job: Job) -> None:
        await trio.sleep_forever()

    async with store_with() as store:
        lease = LeasePolicy(execution_limit_seconds=90)
        message = await run_one(store, handler, lease=lease)
        assert trio.current_time() == 90
        assert message.state is MessageState.INVISIBLE
        assert message.attempts[0].error_type == "trioqueue.errors.ExecutionLimitError"


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
    autojump_clock: MockClock, error: BaseException | None, kind: str
) -> None:
    async def handler(job: Job) -> None:
        await trio.lowlevel.checkpoint()
        if error is None:
            dive(0)
        else:
            raise error

    async with store_with() as store:
        message = await run_one(store, handler)
        assert message.state is MessageState.INVISIBLE
        assert message.attempts[0].outcome == "failed"
        assert message.attempts[0].error_type == kind
        assert message.attempts[0].traceback


async def test_a_plain_function_as_handler_fails_with_advice(
    autojump_clock: MockClock,
) -> None:
    def handler(job: Job) -> Any:
        return None

    async with store_with() as store:
        message = await run_one(store, handler)
        assert message.attempts[0].error_type == "TypeError"
        assert "async" in str(message.attempts[0].error_message)


async def test_a_result_that_is_no_json_is_a_failure(autojump_clock: MockClock) -> None:
    async def handler(job: Job) -> object:
        await trio.lowlevel.checkpoint()
        return object()

    async with store_with() as store:
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

    async with store_with() as store:
        message = await run_one(store, handler)
        assert (message.state, message.attempt) == (state, attempt)
        if due is None:
            assert message.reason == "discarded"
        else:
            instant = await store.next_due()
            assert instant is not None
            assert (instant - store.now()).total_seconds() == due


async def test_ctrl_c_in_a_handler_propagates_and_the_job_is_given_back(
    autojump_clock: MockClock,
) -> None:
    async def handler(job: Job) -> None:
        await trio.lowlevel.checkpoint()
        raise KeyboardInterrupt

    async with store_with() as store:
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
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
    operation: Any,
    least: int,
) -> None:
    async def handler(job: Job) -> None:
        await trio.sleep(100)

    async with store_with() as store:
        tries = fail_while(monkeypatch, store, operation, 20)
        async with working(Worker(store, {QUEUE: handler})):
            message = await store.post(QUEUE, 1)
            done = await store.wait_finished(QUEUE, message.message_id)
        assert done.state is MessageState.COMPLETED
        assert done.attempt == 1
        assert len(tries) >= least


async def test_an_end_that_cannot_be_stored_is_tried_again_after_the_lease(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_with() as store:
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
