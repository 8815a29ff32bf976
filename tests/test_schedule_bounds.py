"""The services for schedules keep within bounds: of time, of threads, of history."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any, Final

import pytest
import trio
from trio.testing import MockClock

from tests.helpers import SteppedClock
from tests.scheduling import every, schedule
from trioqueue import open_store
from trioqueue.services import CronProcessorService
from trioqueue.store.operations import schedule_fire

pytestmark = pytest.mark.usefixtures("every")
_ = every
QUEUE: Final = "jobs"
FIRE: Final[Any] = schedule_fire.fire


def fire_watched(pruned: list[int], context: Any, plans: Any) -> Any:
    """Fire, and count in the last number how many histories are cut short."""
    operation = FIRE(context, plans)
    answer = None
    while True:
        try:
            query = operation.send(answer)
        except StopIteration as stop:
            return stop.value
        pruned[-1] += getattr(query, "name", "") == "prune_schedule_runs"
        answer = yield query


async def test_schedules_that_run_in_step_do_not_forget_all_at_once(
    anywhere: str, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule_fire, "HISTORY_KEPT", 50)
    monkeypatch.setattr(schedule_fire, "PRUNE_EVERY", 10)
    pruned: list[int] = []
    async with open_store(anywhere) as store:
        await store.create_queue(QUEUE)
        for number in range(10):
            await store.create_schedule(schedule(1, id=f"s{number}"))
        monkeypatch.setattr(schedule_fire, "fire", partial(fire_watched, pruned))
        service = CronProcessorService(store)
        for _ in range(20):
            pruned.append(0)
            await trio.sleep(1)
            assert await service.run_once() == 10
    assert pruned == [1] * 20


async def test_long_counts_are_done_in_bounded_batches(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    """Nothing is posted, and a stop comes late, while a batch counts."""
    async with open_store(anywhere) as store:
        await store.create_queue(QUEUE)
        for number in range(5):
            await store.create_schedule(schedule(60, id=f"s{number}"))
        await trio.sleep(60 * 9000)
        assert await store.fire_due_schedules("cron") == (3, 3)
        assert await store.fire_due_schedules("cron") == (2, 2)
        runs = [(await store.schedule_history(f"s{n}"))[0].merged for n in range(5)]
        assert runs == [8999] * 5


async def occupy_a_thread(until: threading.Event) -> None:
    await trio.to_thread.run_sync(until.wait)


async def test_missed_runs_are_counted_while_all_of_trios_threads_are_busy(
    anywhere: str,
) -> None:
    clock = SteppedClock()
    free = threading.Event()
    async with open_store(anywhere, clock=clock) as store:
        await store.create_queue(QUEUE)
        await store.create_schedule(schedule(60))
        clock.advance(3600)
        limiter = trio.to_thread.current_default_thread_limiter()
        async with trio.open_nursery() as nursery:
            for _ in range(int(limiter.total_tokens)):
                nursery.start_soon(occupy_a_thread, free)
            await trio.testing.wait_all_tasks_blocked()
            assert limiter.available_tokens == 0
            try:
                with trio.fail_after(10):
                    assert await CronProcessorService(store).run_once() == 1
            finally:
                free.set()
