"""A worker: what it claims, and how it keeps the leases of its jobs."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.working import (
    OPTIONS,
    QUEUE,
    count_calls,
    fail_while,
    nothing,
    run_one,
    store_with,
    working,
)
from trioqueue import (
    Job,
    LeasePolicy,
    MessageState,
    NewMessage,
    QueueNotFoundError,
    Worker,
    open_services,
)
from trioqueue.store.operations.attempts import heartbeat
from trioqueue.store.operations.claim import claim

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


async def test_heartbeats_of_many_jobs_go_out_together(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handler(job: Job) -> None:
        await trio.sleep(95)

    async with store_with() as store:
        beats = count_calls(monkeypatch, store, heartbeat)
        await store.post_many(QUEUE, [NewMessage(1)] * 50)
        worker = Worker(store, {QUEUE: handler})
        assert await worker.run_once() == 50
    assert worker.statistics().heartbeats == 50 * len(beats)
    # The lease is 30 s, so there is one every 10 s.
    assert beats == [10, 20, 30, 40, 50, 60, 70, 80, 90]


async def test_many_ready_messages_are_claimed_at_once(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_with() as store:
        claims = count_calls(monkeypatch, store, claim)
        await store.post_many(QUEUE, [NewMessage(1)] * 300)
        assert await Worker(store, {QUEUE: nothing}).run_once() == 300
    assert len(claims) < 20


async def test_an_idle_worker_asks_nothing_of_the_database(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_with() as store:
        claims = count_calls(monkeypatch, store, claim)
        async with working(Worker(store, {QUEUE: nothing})):
            await trio.sleep(86_400)
    assert claims == [0]


async def test_a_gap_allowed_between_heartbeats_is_kept_to(
    autojump_clock: MockClock,
) -> None:
    async def handler(job: Job) -> None:
        await trio.sleep(200)

    async with store_with() as store, open_services(store):
        lease = LeasePolicy(base_seconds=1000, heartbeat_seconds=6)
        message = await run_one(store, handler, lease=lease)
        assert (message.state, message.attempt) == (MessageState.COMPLETED, 1)


async def test_a_job_may_not_live_past_the_cap_of_its_lease(
    autojump_clock: MockClock,
) -> None:
    ended: list[float] = []

    async def handler(job: Job) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())

    async with store_with() as store, open_services(store):
        lease = LeasePolicy(base_seconds=30, max_extension_seconds=45)
        message = await run_one(store, handler, lease=lease, max_attempts=1)
        if message.state is MessageState.RUNNING:
            # The worker has let go at the very instant at which it is reclaimed.
            message = await store.wait_finished(QUEUE, message.message_id)
        assert ended == [75]
        assert (message.state, message.reason) == (
            MessageState.ERRORED,
            "lease_expired",
        )


async def test_a_message_released_by_hand_may_be_taken_again(
    autojump_clock: MockClock,
) -> None:
    """A handler may end its attempt itself: its end is written once."""
    async with store_with() as store:

        async def handler(job: Job) -> str:
            if job.payload == "again" and not seen:
                seen.append(job)
                await store.release(job)
            else:
                await store.complete(job, "by hand")
            return "by hand"

        seen: list[Job] = []
        message = await store.post(QUEUE, "again")
        worker = Worker(store, {QUEUE: handler})
        assert await worker.run_once() == 2
        done = await store.get_message(QUEUE, message.message_id)
        assert (done.state, done.result) == (MessageState.COMPLETED, "by hand")
        assert (worker.statistics().lost, worker.statistics().completed) == (1, 1)
