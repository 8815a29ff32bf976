"""A hundred thousand dead letters are requeued, once each, while new ones arrive."""

from __future__ import annotations

from typing import Final

import pytest
import trio

from trioqueue import (
    BulkReport,
    MessageFilter,
    MessageState,
    NewMessage,
    QueueOptions,
    Store,
    open_store,
)
from trioqueue.metrics.catalogue import DEAD_REQUEUED

QUEUE: Final = "mail"
HANDS: Final = 500
DEAD: Final = MessageFilter(queues=[QUEUE], error="connectionerror")
MANY: Final = pytest.mark.slow


async def kill_many(store: Store, count: int) -> None:
    """Make so many dead letters."""
    for first in range(0, count, 5000):
        size = min(5000, count - first)
        names = [
            NewMessage(n, message_id=f"old-{n}") for n in range(first, first + size)
        ]
        await store.post_many(QUEUE, names)
        while jobs := await store.claim(QUEUE, limit=HANDS):
            async with trio.open_nursery() as nursery:
                for job in jobs:
                    error = ConnectionError("refused")
                    nursery.start_soon(store.fail, job, error)


async def kill_again(store: Store, died: set[str]) -> None:
    """Be a worker for whom some fail again, of the same error."""
    while True:
        for job in await store.claim_wait(QUEUE, limit=10):
            await store.fail(job, ConnectionError("again"))
            died.add(job.message_id)
        await trio.sleep(0.001)


async def keep_posting(store: Store, posted: list[str]) -> None:
    while True:
        message = await store.post(QUEUE, "new", message_id=f"new-{len(posted)}")
        posted.append(message.message_id)
        await trio.sleep(0.001)


@pytest.mark.parametrize("count", [3_000, pytest.param(100_000, marks=MANY)])
async def test_each_is_requeued_once_while_new_ones_arrive_and_some_die_again(
    shared: str, count: int
) -> None:
    died: set[str] = set()
    posted: list[str] = []
    async with open_store(shared) as store, open_store(shared) as other:
        await store.create_queue(QUEUE, QueueOptions(max_attempts=1))
        await kill_many(store, count)
        assert await store.count_messages(DEAD) == {QUEUE: count}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_posting, other, posted)
            nursery.start_soon(kill_again, other, died)
            report = await store.requeue_matching(DEAD, expect=count)
            while not (died and posted):  # noqa: ASYNC110  nothing else tells
                await trio.sleep(0.001)
            nursery.cancel_scope.cancel()
        assert report == BulkReport(count, count)
        requeued = {
            key[1:]: n
            for key, n in store.meters.snapshot().counts.items()
            if key[0] == DEAD_REQUEUED
        }
        assert requeued == {(QUEUE, "max_attempts"): count}
        everything = await store.count_messages()
        # What was posted last may be there though nobody was told.
        assert count + len(posted) <= everything[QUEUE] <= count + len(posted) + 1
        dead = await store.count_messages(MessageFilter(states=[MessageState.ERRORED]))
        assert len(died) <= dead[QUEUE] <= len(died) + 1
        again = await store.count_messages(MessageFilter(error="again"))
        assert again == dead
