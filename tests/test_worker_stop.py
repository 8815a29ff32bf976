"""Stopping a worker: gracefully, at once, before the start, and by a bug of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trioqueue import Job, MessageState, Store, ValidationError, Worker

QUEUE = "jobs"


def sleeping(seconds: float) -> Callable[[Job], Awaitable[None]]:
    async def handler(job: Job) -> None:
        await trio.sleep(seconds)

    return handler


async def start(store: Store, nursery: trio.Nursery, seconds: float) -> Worker:
    """Start a worker with one job in hand that takes so long."""
    await store.create_queue(QUEUE)
    await store.post(QUEUE, 1, message_id="m")
    worker = Worker(store, {QUEUE: sleeping(seconds)})
    await nursery.start(worker.run)
    await trio.sleep(1)
    assert worker.statistics().running == 1
    return worker


async def assert_given_back(store: Store) -> None:
    message = await store.get_message(QUEUE, "m")
    assert (message.state, message.attempt) == (MessageState.PENDING, 0)


async def test_jobs_that_finish_within_the_grace_are_completed(
    autojump_clock: MockClock, tq_store: Store
) -> None:
    async with trio.open_nursery() as nursery:
        worker = await start(tq_store, nursery, 10)
        assert await worker.stop_gracefully(grace_seconds=30)
    assert trio.current_time() == 10
    assert worker.statistics().completed == 1
    assert await worker.stop_gracefully()


async def test_jobs_past_the_grace_are_cut_off_and_given_back(
    autojump_clock: MockClock, tq_store: Store
) -> None:
    async with trio.open_nursery() as nursery:
        worker = await start(tq_store, nursery, 1000)
        assert not await worker.stop_gracefully(grace_seconds=5)
        assert trio.current_time() == 6
    await assert_given_back(tq_store)
    assert worker.statistics().released == 1


async def test_a_second_shorter_grace_wins_for_both_who_wait(
    autojump_clock: MockClock, tq_store: Store
) -> None:
    answers: list[bool] = []

    async def stop(worker: Worker, grace: float) -> None:
        answers.append(await worker.stop_gracefully(grace_seconds=grace))

    async with trio.open_nursery() as nursery:
        worker = await start(tq_store, nursery, 1000)
        nursery.start_soon(stop, worker, 100)
        nursery.start_soon(stop, worker, 3)
    assert answers == [False, False]
    assert trio.current_time() == 4
    await assert_given_back(tq_store)


async def test_a_worker_stopped_before_its_start_ends_at_once(
    autojump_clock: MockClock, tq_store: Store
) -> None:
    await tq_store.create_queue(QUEUE)
    await tq_store.post(QUEUE, 1, message_id="m")
    worker = Worker(tq_store, {QUEUE: sleeping(1)})
    assert await worker.stop_gracefully()
    async with trio.open_nursery() as nursery:
        await nursery.start(worker.run)
    await assert_given_back(tq_store)


async def test_a_hard_cancel_gives_everything_back(
    autojump_clock: MockClock, tq_store: Store
) -> None:
    async with trio.open_nursery() as nursery:
        await start(tq_store, nursery, 1000)
        nursery.cancel_scope.cancel()
    await assert_given_back(tq_store)


async def test_a_bug_in_the_worker_itself_ends_the_nursery(
    autojump_clock: MockClock, tq_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Worker, "_count", bug)
    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            await start(tq_store, nursery, 2)


async def test_wrong_options_are_refused(
    autojump_clock: MockClock, tq_store: Store
) -> None:
    handlers = {QUEUE: sleeping(1)}
    wrong: list[dict[str, Any]] = [
        {"concurrency": 0},
        {"queues": QUEUE},
        {"queues": ["other"]},
        {"queues": []},
        {"worker_id": "x" * 300},
    ]
    for options in wrong:
        with pytest.raises(ValidationError):
            Worker(tq_store, handlers, **options)
    with pytest.raises(ValidationError):
        await Worker(tq_store, handlers).stop_gracefully(grace_seconds=-1)
