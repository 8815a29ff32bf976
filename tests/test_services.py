"""The services in virtual time: exact instants, no threads, stopping."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Final

import pytest
import trio
from trio.testing import MockClock

from trioqueue import LeasePolicy, MessageState, NewMessage, open_services, open_store
from trioqueue.services import SchedulerService

QUEUE: Final = "jobs"
MEMORY: Final = "sqlite://:memory:"


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        pytest.fail("virtual time needs no threads")

    monkeypatch.setattr(trio.to_thread, "run_sync", refuse)
    monkeypatch.setattr(threading.Thread, "start", refuse)


async def test_a_message_delayed_by_30_days_moves_at_its_microsecond(
    autojump_clock: MockClock,
) -> None:
    began = time.perf_counter()
    async with open_store(MEMORY) as store, open_services(store):
        await store.create_queue(QUEUE)
        due = store.now() + timedelta(days=30)
        await store.post(QUEUE, 1, scheduled_time=due)
        await store.claim_wait(QUEUE)
        assert store.now() == due
    assert time.perf_counter() - began < 5


async def test_a_lease_expires_at_its_microsecond(autojump_clock: MockClock) -> None:
    async with open_store(MEMORY) as store, open_services(store):
        await store.create_queue(QUEUE)
        await store.post(QUEUE, 1)
        (job,) = await store.claim(QUEUE, lease=LeasePolicy(base_seconds=77.5))
        await trio.sleep(77.4)
        assert (await store.peek(QUEUE))[0].state is MessageState.RUNNING
        await trio.sleep(0.2)
        message = await store.get_message(QUEUE, job.message_id)
        assert message.attempts[0].ended_at == job.lease.expires_at


async def test_10000_due_messages_are_ready_within_two_seconds(
    autojump_clock: MockClock,
) -> None:
    async with open_store(MEMORY) as store:
        await store.create_queue(QUEUE)
        await store.post_many(QUEUE, [NewMessage(1, delay_seconds=5)] * 10_000)
        await trio.sleep(5)
        began = time.perf_counter()
        assert await SchedulerService(store).run_once() == 10_000
        assert time.perf_counter() - began < 2
        counts = (await store.queue_state(QUEUE)).counts
        assert counts[MessageState.PENDING] == 10_000


async def test_a_service_stopped_before_its_start_or_twice_ends_at_once(
    autojump_clock: MockClock,
) -> None:
    async with open_store(MEMORY) as store:
        service = SchedulerService(store)
        service.stop()
        service.stop()
        await service.run()
        assert await service.stop_gracefully()
        assert not service.statistics().running


async def test_what_the_block_raises_comes_out_bare(autojump_clock: MockClock) -> None:
    async with open_store(MEMORY) as store:
        with pytest.raises(KeyError, match="mine"):
            async with open_services(store):
                raise KeyError("mine")
