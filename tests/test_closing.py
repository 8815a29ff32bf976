"""Closing a store: those who wait through it are told, and nothing is left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trioqueue import Store, StoreClosedError, open_store

QUEUE: Final = "jobs"
REAL_AND_VIRTUAL: Final = pytest.mark.parametrize(
    "virtual", [False, True], ids=["real", "virtual"]
)


def clock_of(virtual: bool) -> MockClock | None:
    return MockClock(autojump_threshold=0) if virtual else None


@REAL_AND_VIRTUAL
def test_a_closed_store_says_so_whatever_is_asked_of_it(
    everywhere: str, virtual: bool
) -> None:
    async def main() -> None:
        async with open_store(everywhere) as store:
            await store.create_queue(QUEUE)
            await store.post(QUEUE, 1)
            (job,) = await store.claim(QUEUE)
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: store.post(QUEUE, 1),
            lambda: store.claim(QUEUE),
            lambda: store.claim_wait(QUEUE),
            lambda: store.complete(job),
            lambda: store.heartbeat(job),
            lambda: store.queue_state(QUEUE),
            lambda: store.get_message(QUEUE, "m"),
            lambda: store.cancel(QUEUE, "m"),
            store.promote_due_messages,
            lambda: store.lease(QUEUE).__aenter__(),
        ]
        for call in calls:
            with pytest.raises(StoreClosedError, match="closed"):
                await call()
        assert store.now().tzinfo is not None
        assert repr(store)

    trio.run(main, clock=clock_of(virtual))


@REAL_AND_VIRTUAL
def test_tasks_that_wait_for_messages_are_told_when_the_store_closes(
    everywhere: str, virtual: bool
) -> None:
    told: list[str] = []

    async def wait(store: Store) -> None:
        with pytest.raises(StoreClosedError):
            await store.claim_wait(QUEUE)
        told.append("claim_wait")

    async def wait_for_end(store: Store) -> None:
        with pytest.raises(StoreClosedError):
            await store.wait_finished(QUEUE, "m")
        told.append("wait_finished")

    async def main() -> None:
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery, open_store(everywhere) as store:
                await store.create_queue(QUEUE)
                await store.post(QUEUE, 1, message_id="m")
                await store.claim(QUEUE)
                nursery.start_soon(wait, store)
                nursery.start_soon(wait_for_end, store)
                await wait_all_tasks_blocked()

    trio.run(main, clock=clock_of(virtual))
    assert sorted(told) == ["claim_wait", "wait_finished"]


def test_an_error_of_the_block_comes_out_of_an_open_store_as_it_was(
    everywhere: str,
) -> None:
    async def main() -> None:
        async with open_store(everywhere):
            message = "mine"
            raise KeyError(message)

    with pytest.raises(KeyError, match="mine"):
        trio.run(main)


def test_no_thread_is_left_behind(everywhere: str) -> None:
    async def main() -> None:
        async with open_store(everywhere) as store:
            await store.create_queue(QUEUE)
            await store.get_queue(QUEUE)

    trio.run(main)
    deadline = time.monotonic() + 30
    while any("trioqueue" in thread.name for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.001)
