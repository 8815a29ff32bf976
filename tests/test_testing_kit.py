"""The testing kit: stores on virtual time, draining, fixtures, the thread guard."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import trio
from trio.testing import MockClock

from trioqueue import App, MessageState, RetryPolicy, Store, ValidationError
from trioqueue.testing import autojump_guard, drain, virtual_store


async def test_virtual_time_begins_where_it_is_told_to(
    autojump_clock: MockClock,
) -> None:
    async with virtual_store() as store:
        assert store.now() == datetime(2000, 1, 1, tzinfo=UTC)
        assert store.clock.is_virtual
    start = datetime(2030, 6, 1, 12, tzinfo=UTC)
    async with virtual_store(start) as store:
        await trio.sleep(3600)
        assert store.now() == start + timedelta(hours=1)


async def test_a_naive_start_is_refused(autojump_clock: MockClock) -> None:
    with pytest.raises(ValidationError):
        async with virtual_store(datetime(2030, 1, 1)):  # noqa: DTZ001  on purpose
            pass


async def test_a_virtual_store_on_real_time_is_refused() -> None:
    with pytest.raises(RuntimeError, match="autojump_clock"):
        async with virtual_store():
            pass


async def test_the_store_fixture_is_a_new_store_on_virtual_time(
    autojump_clock: MockClock, tq_store: Store
) -> None:
    assert tq_store.clock.is_virtual
    assert await tq_store.list_queues() == []


async def test_the_store_fixture_is_on_real_time_without_a_clock(
    tq_store: Store,
) -> None:
    assert not tq_store.clock.is_virtual


async def test_the_app_fixture_is_open_on_the_store_fixture(
    autojump_clock: MockClock, tq_store: Store, tq_app: App
) -> None:
    assert tq_app.store is tq_store

    @tq_app.task
    async def double(number: int) -> int:
        await trio.lowlevel.checkpoint()
        return 2 * number

    handle = await double.enqueue(4)
    assert await drain(tq_app) == 1
    assert await handle.wait() == 8


@pytest.fixture
async def app_anywhere(anywhere: str) -> AsyncIterator[App]:
    """A new app that is open on any kind of store: tests need not use our fixtures."""
    app = App()
    async with app.open(anywhere):
        yield app


async def test_drain_runs_what_handlers_enqueue_but_nothing_delayed(
    autojump_clock: MockClock, app_anywhere: App
) -> None:
    @app_anywhere.task
    async def count(number: int) -> None:
        if number:
            await count.enqueue(number - 1)

    await count.enqueue(3)
    later = await count.options(delay_seconds=60).enqueue(0)
    assert await drain(app_anywhere, concurrency=1) == 4
    assert await drain(app_anywhere) == 0
    assert trio.current_time() == 0
    message = await app_anywhere.store.get_message(later.queue, later.message_id)
    assert message.state is MessageState.INVISIBLE


async def test_drain_until_goes_from_one_due_instant_to_the_next(
    autojump_clock: MockClock, app_anywhere: App
) -> None:
    seen: list[float] = []

    @app_anywhere.task(retry=RetryPolicy.fixed(100), max_attempts=3)
    async def fail() -> None:
        seen.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        raise ValueError

    await fail.enqueue()
    start = app_anywhere.store.now()
    assert await drain(app_anywhere, until=start + timedelta(seconds=150)) == 2
    assert trio.current_time() == 100
    assert await drain(app_anywhere, until=start + timedelta(days=365)) == 1
    assert seen == [0, 100, 200]
    assert await drain(app_anywhere, until=start + timedelta(days=365)) == 0


async def test_drain_takes_back_what_a_dead_worker_held(
    autojump_clock: MockClock, app_anywhere: App
) -> None:
    @app_anywhere.task(retry=RetryPolicy.fixed(0))
    async def work() -> str:
        await trio.lowlevel.checkpoint()
        return "done"

    handle = await work.enqueue()
    await app_anywhere.store.claim(handle.queue)
    until = app_anywhere.store.now() + timedelta(hours=1)
    assert await drain(app_anywhere, until=until) == 1
    assert await handle.wait() == "done"


async def test_drain_refuses_an_app_without_tasks_and_a_naive_instant(
    autojump_clock: MockClock, tq_app: App
) -> None:
    with pytest.raises(ValidationError, match="no tasks"):
        await drain(tq_app)
    tq_app.task(trio.sleep)
    with pytest.raises(ValidationError, match="until"):
        await drain(tq_app, until=datetime(2030, 1, 1))  # noqa: DTZ001  on purpose


async def test_the_guard_holds_time_still_while_a_thread_works(
    autojump_clock: MockClock,
) -> None:
    with autojump_guard(), trio.fail_after(60):
        await trio.to_thread.run_sync(time.sleep, 0.05)
        assert trio.current_time() == 0
        await trio.sleep(10)
        assert trio.current_time() == 10
    assert autojump_clock.autojump_threshold == 0


async def test_the_guard_gives_the_clock_back_also_after_an_error(
    autojump_clock: MockClock,
) -> None:
    with pytest.raises(ZeroDivisionError), autojump_guard():
        await trio.to_thread.run_sync(lambda: 1 // 0)
    assert autojump_clock.autojump_threshold == 0
    await trio.sleep(1000)


async def test_the_guard_does_nothing_on_real_time() -> None:
    with autojump_guard():
        await trio.lowlevel.checkpoint()
