"""How a run of an app ends: drained, limited, stopped, cut off, aborted."""

from __future__ import annotations

import signal
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trioqueue import App, MessageState, RunEnd, ValidationError, Worker, open_store
from trioqueue.running import HowEnded


class Run:
    """An app that runs, and how its run ended."""

    def __init__(self, app: App, url: str, **options: Any) -> None:
        self._app, self._url, self._options = app, url, options
        self.end: RunEnd | None = None

    async def __call__(  # noqa: ASYNC128  the app reports
        self, *, task_status: trio.TaskStatus[Worker] = trio.TASK_STATUS_IGNORED
    ) -> None:
        self.end = await self._app.run(
            self._url, task_status=task_status, **self._options
        )


def app_that_sleeps(seconds: float) -> tuple[App, Any]:
    app = App()

    @app.task
    async def work() -> None:
        await trio.sleep(seconds)

    return app, work


async def test_draining_runs_all_that_is_ready_and_what_it_brings(
    shared: str, autojump_clock: MockClock
) -> None:
    app = App()
    ran: list[int] = []

    @app.task
    async def count(down: int) -> None:
        ran.append(down)
        if down:
            await count.enqueue(down - 1)

    async with app.open(shared):
        await count.enqueue(3)
        later = await count.options(delay_seconds=60).enqueue(0)
    end = await app.run(shared, drain=True)
    assert end == RunEnd(HowEnded.DRAINED)
    assert ran == [3, 2, 1, 0]
    async with open_store(shared) as store:
        message = await store.get_message("default", later.message_id)
        assert message.state is MessageState.INVISIBLE


async def test_draining_takes_what_is_due_already(
    shared: str, autojump_clock: MockClock
) -> None:
    app, work = app_that_sleeps(0)
    async with app.open(shared):
        await work.options(delay_seconds=60).enqueue()
    await trio.sleep(61)
    end = await app.run(shared, drain=True)
    assert end.how is HowEnded.DRAINED
    async with open_store(shared) as store:
        assert sum((await store.queue_state("default")).counts.values()) == 1
        assert (await store.queue_state("default")).counts[MessageState.COMPLETED] == 1


async def test_draining_nothing_ends_at_once(
    anywhere: str, autojump_clock: MockClock
) -> None:
    app, _ = app_that_sleeps(0)
    assert (await app.run(anywhere, drain=True)).how is HowEnded.DRAINED


@pytest.mark.parametrize("drain", [False, True])
async def test_a_worker_with_a_limit_claims_no_more_than_that(
    shared: str, autojump_clock: MockClock, drain: bool
) -> None:
    app, work = app_that_sleeps(1)
    async with app.open(shared):
        for _ in range(7):
            await work.enqueue()
    end = await app.run(shared, max_jobs=5, concurrency=3, drain=drain)
    assert end == RunEnd(HowEnded.LIMITED)
    async with open_store(shared) as store:
        counts = (await store.queue_state("default")).counts
        assert counts[MessageState.PENDING] == 2
        assert counts[MessageState.RUNNING] == 0


@pytest.mark.parametrize("limit", [0, -1, 1.5, "3", True])
async def test_a_limit_is_a_positive_whole_number(
    shared: str, autojump_clock: MockClock, limit: Any
) -> None:
    app, _ = app_that_sleeps(0)
    with pytest.raises(ValidationError, match="max_jobs"):
        await app.run(shared, max_jobs=limit)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_lets_jobs_finish(
    anywhere: str, autojump_clock: MockClock, number: signal.Signals
) -> None:
    app, work = app_that_sleeps(10)
    run = Run(app, anywhere, grace_seconds=20)
    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        await work.enqueue()
        await trio.sleep(1)
        signal.raise_signal(number)
    assert run.end == RunEnd(HowEnded.STOPPED, number)
    assert trio.current_time() == 10


async def test_jobs_that_outlast_the_grace_are_cut_off_and_go_back(
    shared: str, autojump_clock: MockClock
) -> None:
    app, work = app_that_sleeps(100)
    run = Run(app, shared, grace_seconds=20)
    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        handle = await work.enqueue()
        await trio.sleep(1)
        signal.raise_signal(signal.SIGTERM)
    assert run.end == RunEnd(HowEnded.CUT_OFF, signal.SIGTERM, handed_back=1)
    assert trio.current_time() == 21
    async with open_store(shared) as store:
        message = await store.get_message("default", handle.message_id)
        assert (message.state, message.attempt) == (MessageState.PENDING, 0)


async def test_a_second_signal_cuts_jobs_off_at_once(
    anywhere: str, autojump_clock: MockClock
) -> None:
    app, work = app_that_sleeps(100)
    run = Run(app, anywhere, grace_seconds=20)
    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        await work.enqueue()
        await trio.sleep(1)
        signal.raise_signal(signal.SIGTERM)
        await trio.sleep(1)
        signal.raise_signal(signal.SIGINT)
    assert run.end == RunEnd(HowEnded.ABORTED, signal.SIGINT, handed_back=1)
    assert trio.current_time() == 2


async def test_signals_while_draining_stop_it_too(
    shared: str, autojump_clock: MockClock
) -> None:
    app, work = app_that_sleeps(10)
    run = Run(app, shared, drain=True, concurrency=1)
    async with app.open(shared):
        for _ in range(3):
            await work.enqueue()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await trio.sleep(15)
        signal.raise_signal(signal.SIGTERM)
    assert run.end == RunEnd(HowEnded.STOPPED, signal.SIGTERM)
    assert trio.current_time() == 20


async def test_signal_handlers_are_put_back(
    anywhere: str, autojump_clock: MockClock
) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    app, _ = app_that_sleeps(0)
    async with trio.open_nursery() as nursery:
        worker = await nursery.start(partial(app.run, anywhere))
        await worker.stop_gracefully()
    after = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert after == before
