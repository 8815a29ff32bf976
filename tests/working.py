"""What tests of workers share: a store with queues, a worker, a sick database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
import trio

from trioqueue import (
    Job,
    Message,
    QueueOptions,
    RetentionPolicy,
    RetryPolicy,
    Store,
    StoreUnavailableError,
    Worker,
    open_store,
)

Handler = Callable[[Job], Awaitable[Any]]
QUEUE: Final = "jobs"
OPTIONS: Final = QueueOptions(
    retry=RetryPolicy.fixed(7), retention=RetentionPolicy.keep_forever()
)


async def nothing(job: Job) -> None:
    await trio.lowlevel.checkpoint()


@pytest.fixture
async def tq_store(anywhere: str) -> AsyncIterator[Store]:
    """Stand in for the fixture of the testing kit, wherever a store can be."""
    async with open_store(anywhere) as store:
        yield store


@asynccontextmanager
async def store_with(
    *queues: str, url: str = "sqlite://:memory:"
) -> AsyncIterator[Store]:
    """Open a store on virtual time, with these queues, or with `QUEUE`."""
    async with open_store(url) as store:
        assert store.clock.is_virtual
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

    async def batch(which: Any, items: Any, **how: Any) -> Any:
        if which is operation and trio.current_time() < until:
            tries.append(trio.current_time())
            await trio.lowlevel.checkpoint()
            message = "the disk is away"
            raise StoreUnavailableError(message)
        return await real(which, items, **how)

    monkeypatch.setattr(store._executor, "batch", batch)
    return tries


def count_calls(
    monkeypatch: pytest.MonkeyPatch, store: Store, operation: Any
) -> list[float]:
    """List the Trio times at which a store runs one operation, from now on."""
    real = store._executor.batch
    calls: list[float] = []

    async def batch(which: Any, items: Any, **how: Any) -> Any:
        if which is operation:
            calls.append(trio.current_time())
        return await real(which, items, **how)

    monkeypatch.setattr(store._executor, "batch", batch)
    return calls
