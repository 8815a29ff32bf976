"""Stopping a worker: gracefully, at once, before the start, and by a bug of its own."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.stepping import AtStep
from tests.working import OPTIONS, QUEUE, tq_store
from trioqueue import (
    App,
    Job,
    MessageState,
    NewMessage,
    Store,
    ValidationError,
    Worker,
    open_store,
)

_ = tq_store


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


async def test_a_worker_that_runs_cannot_be_run_again_meanwhile(
    autojump_clock: MockClock, tq_store: Store
) -> None:
    async with trio.open_nursery() as nursery:
        worker = await start(tq_store, nursery, 10)
        for run in (worker.run, worker.run_once):
            with pytest.raises(RuntimeError, match="running already"):
                await run()
        assert await worker.stop_gracefully()


async def test_a_handler_may_stop_the_worker_that_runs_it(
    autojump_clock: MockClock, tq_store: Store
) -> None:
    async def handler(job: Job) -> str:
        worker.stop()
        await trio.sleep(5)
        return "last"

    await tq_store.create_queue(QUEUE, OPTIONS)
    for name in ("m", "n"):
        await tq_store.post(QUEUE, 1, message_id=name)
    worker = Worker(tq_store, {QUEUE: handler}, concurrency=1)
    await worker.run()
    assert trio.current_time() == 5
    done = await tq_store.get_message(QUEUE, "m")
    assert (done.state, done.result) == (MessageState.COMPLETED, "last")
    left = await tq_store.get_message(QUEUE, "n")
    assert (left.state, left.attempt) == (MessageState.PENDING, 0)


async def test_a_handler_that_waits_for_its_own_stop_is_cut_off(
    autojump_clock: MockClock, tq_store: Store
) -> None:
    async def handler(job: Job) -> None:
        await worker.stop_gracefully(grace_seconds=5)

    await tq_store.create_queue(QUEUE)
    await tq_store.post(QUEUE, 1, message_id="m")
    worker = Worker(tq_store, {QUEUE: handler})
    await worker.run()
    assert trio.current_time() == 5
    await assert_given_back(tq_store)


async def test_what_a_handler_raises_while_it_is_cut_off_is_its_failure(
    autojump_clock: MockClock, tq_store: Store
) -> None:
    async def handler(job: Job) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("in its cleanup")

    await tq_store.create_queue(QUEUE, OPTIONS)
    await tq_store.post(QUEUE, 1, message_id="m")
    async with trio.open_nursery() as nursery:
        worker = Worker(tq_store, {QUEUE: handler})
        await nursery.start(worker.run)
        await trio.sleep(1)
        await worker.stop_gracefully(grace_seconds=2)
    message = await tq_store.get_message(QUEUE, "m")
    assert message.state is MessageState.INVISIBLE
    assert message.attempts[0].error_message == "in its cleanup"


@pytest.mark.parametrize("how", ["cancel", "stop", "cut off"])
def test_a_worker_ended_at_any_step_leaves_nothing_in_its_hands(
    afresh: Callable[[], str], how: str
) -> None:
    """Each message is done, or as if it had never been claimed."""
    ends: set[str] = set()

    async def run(step: int, url: str) -> bool:
        async with open_store(url) as store:
            await store.create_queue(QUEUE, OPTIONS)
            await store.post_many(QUEUE, [NewMessage(n) for n in range(4)])
            worker = Worker(store, {QUEUE: sleeping(0)}, concurrency=2)
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:

                    def end() -> None:
                        if how == "cancel":
                            scope.cancel()
                        elif how == "stop":
                            worker.stop()
                        else:
                            nursery.start_soon(
                                partial(worker.stop_gracefully, grace_seconds=0)
                            )

                    await nursery.start(worker.run)
                    instrument = AtStep(step, end)
                    trio.lowlevel.add_instrument(instrument)
                    await trio.sleep(100)
                    trio.lowlevel.remove_instrument(instrument)
                    nursery.cancel_scope.cancel()
            if instrument.left > 0:
                return True
            counts = (await store.queue_state(QUEUE)).counts
            assert counts[MessageState.RUNNING] == 0
            waiting = await store.peek(QUEUE)
            assert all(message.attempt == 0 for message in waiting)
            assert len(waiting) + counts[MessageState.COMPLETED] == 4
            ends.add(f"{len(waiting)} left")
            return False

    for step in range(1, 1000):
        if trio.run(run, step, afresh(), clock=MockClock(autojump_threshold=0)):
            break
    else:
        pytest.fail("the messages were never done")
    # Which ends there are depends on the order in which Trio ran the tasks.
    assert len(ends) > 1, ends


async def test_a_thread_that_does_not_end_holds_up_no_stop(anywhere: str) -> None:
    app = App()
    begun, go_on = threading.Event(), threading.Event()

    @app.task(queue=QUEUE)
    def block() -> None:
        begun.set()
        go_on.wait(60)

    with trio.fail_after(30):
        async with (
            app.open(anywhere) as store,
            trio.open_nursery() as nursery,
        ):
            await block.options(message_id="m").enqueue()
            worker = Worker(store, app)
            await nursery.start(worker.run)
            await trio.to_thread.run_sync(begun.wait)
            try:
                assert not await worker.stop_gracefully(grace_seconds=0)
                await assert_given_back(store)
            finally:
                go_on.set()


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
