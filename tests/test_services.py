"""The services in virtual time: exact instants, no threads, stopping."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
import trio
from trio.testing import MockClock

from trioqueue import (
    LeasePolicy,
    MessageState,
    NewMessage,
    ValidationError,
    open_services,
    open_store,
)
from trioqueue.services import ReclaimService, SchedulerService, Service

QUEUE: Final = "jobs"


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        pytest.fail("virtual time needs no threads")

    monkeypatch.setattr(trio.to_thread, "run_sync", refuse)
    monkeypatch.setattr(threading.Thread, "start", refuse)


async def test_a_message_delayed_by_30_days_moves_at_its_microsecond(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    began = time.perf_counter()
    async with open_store(anywhere) as store, open_services(store):
        await store.create_queue(QUEUE)
        due = store.now() + timedelta(days=30)
        await store.post(QUEUE, 1, scheduled_time=due)
        await store.claim_wait(QUEUE)
        assert store.now() == due
    assert time.perf_counter() - began < 5


async def test_a_message_due_in_500_years_moves_too(
    anywhere: str, autojump_clock: MockClock
) -> None:
    """So far ahead a float of seconds is coarser than a microsecond."""
    async with open_store(anywhere) as store, open_services(store):
        await store.create_queue(QUEUE)
        for micros in range(999_990, 1_000_000):
            due = datetime(2500, 1, 1, 0, 0, 0, micros, tzinfo=UTC)
            await store.post(QUEUE, 1, scheduled_time=due)
            await store.claim_wait(QUEUE)
            assert timedelta(0) <= store.now() - due < timedelta(microseconds=5)


async def test_a_lease_expires_at_its_microsecond(
    anywhere: str, autojump_clock: MockClock
) -> None:
    async with open_store(anywhere) as store, open_services(store):
        await store.create_queue(QUEUE)
        await store.post(QUEUE, 1)
        (job,) = await store.claim(QUEUE, lease=LeasePolicy(base_seconds=77.5))
        await trio.sleep(77.4)
        assert (await store.peek(QUEUE))[0].state is MessageState.RUNNING
        await trio.sleep(0.2)
        message = await store.get_message(QUEUE, job.message_id)
        assert message.attempts[0].ended_at == job.lease.expires_at


async def test_10000_due_messages_are_ready_within_two_seconds(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    async with open_store(anywhere) as store:
        await store.create_queue(QUEUE)
        await store.post_many(QUEUE, [NewMessage(1, delay_seconds=5)] * 10_000)
        await trio.sleep(5)
        began = time.perf_counter()
        assert await SchedulerService(store).run_once() == 10_000
        assert time.perf_counter() - began < 2
        counts = (await store.queue_state(QUEUE)).counts
        assert counts[MessageState.PENDING] == 10_000


async def test_a_service_stopped_before_its_start_or_twice_ends_at_once(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    async with open_store(anywhere) as store:
        service = SchedulerService(store)
        service.stop()
        service.stop()
        await service.run()
        assert await service.stop_gracefully()
        assert not service.statistics().running


async def test_an_idle_service_stops_at_once_for_all_who_ask(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    answers: list[bool] = []

    async def stop(service: Service) -> None:
        answers.append(await service.stop_gracefully(grace_seconds=1000))
        assert not service.statistics().running

    async with open_store(anywhere) as store:
        for service in (SchedulerService(store), ReclaimService(store)):
            async with trio.open_nursery() as nursery:
                await nursery.start(service.run)
                await trio.sleep(60)
                for _ in range(3):
                    nursery.start_soon(stop, service)
            assert trio.current_time() % 60 == 0
    assert answers == [True] * 6


async def test_a_service_cannot_run_twice_at_once(
    anywhere: str, autojump_clock: MockClock
) -> None:
    async with open_store(anywhere) as store:
        service = SchedulerService(store)
        async with trio.open_nursery() as nursery:
            await nursery.start(service.run)
            with pytest.raises(RuntimeError, match="running already"):
                await service.run()
            assert await service.stop_gracefully()


@pytest.mark.parametrize("interval", [0, -1, float("inf"), float("nan"), "soon"])
async def test_an_interval_that_cannot_be_is_refused(
    anywhere: str, autojump_clock: MockClock, interval: Any
) -> None:
    async with open_store(anywhere) as store:
        with pytest.raises(ValidationError, match="interval_seconds"):
            SchedulerService(store, interval_seconds=interval)


async def test_statistics_say_what_a_service_has_done_and_what_comes_next(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    async with open_store(anywhere) as store, open_services(store) as services:
        await store.create_queue(QUEUE)
        start = store.now()
        for delay in (10, 10, 50):
            await store.post(QUEUE, 1, delay_seconds=delay)
        await trio.sleep(20)
        assert set(services.statistics()) == {
            "scheduler",
            "reclaim",
            "cron",
            "calendar",
            "cleanup",
            "metrics_reporter",
        }
        found = services.scheduler.statistics()
        assert found.running
        assert found.iterations == 2
        assert (found.processed, found.failures, found.last_error) == (2, 0, None)
        assert found.last_run == start + timedelta(seconds=10)
        assert found.next_due == start + timedelta(seconds=50)
    assert not any(s.running for s in services.statistics().values())


async def test_what_the_block_raises_comes_out_bare(
    anywhere: str, autojump_clock: MockClock
) -> None:
    async with open_store(anywhere) as store:
        with pytest.raises(KeyError, match="mine"):
            async with open_services(store):
                raise KeyError("mine")


async def test_a_bug_in_a_service_cancels_the_block_and_comes_out_in_a_group(
    anywhere: str, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def buggy(self: object) -> int:
        await trio.sleep(5)
        raise ZeroDivisionError

    monkeypatch.setattr(SchedulerService, "_batch", buggy)
    async with open_store(anywhere) as store:
        with pytest.RaisesGroup(ZeroDivisionError):
            async with open_services(store):
                await trio.sleep_forever()
    assert trio.current_time() == 5


async def test_leaving_the_block_waits_for_the_batch_in_hand(
    anywhere: str, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[float] = []

    async def slow(self: object) -> int:
        await trio.sleep(7)
        ended.append(trio.current_time())
        return 0

    monkeypatch.setattr(SchedulerService, "_batch", slow)
    async with open_store(anywhere) as store:
        async with open_services(store):
            await trio.sleep(1)
        assert ended == [7]
        with trio.move_on_after(1) as canceled:
            async with open_services(store):
                await trio.sleep_forever()
        assert canceled.cancelled_caught
        assert ended == [7]


async def test_services_do_no_harm_to_paused_and_deleted_queues(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    async with open_store(anywhere) as store, open_services(store) as services:
        for name in ("paused", "deleted", QUEUE):
            await store.create_queue(name)
            await store.post(name, 1, delay_seconds=10)
            await store.post(name, 2)
            await store.claim(name)
        await store.pause_queue("paused")
        await trio.sleep(5)
        await store.delete_queue("deleted", force=True)
        await trio.sleep(100)
        for name in ("paused", QUEUE):
            state = await store.queue_state(name)
            assert state.counts[MessageState.PENDING] == 2
            assert state.counts[MessageState.RUNNING] == 0
        assert await store.claim("paused") == []
        assert all(s.failures == 0 for s in services.statistics().values())
