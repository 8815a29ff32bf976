"""Bulk verbs beside workers and beside one another: each message once."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.helpers import QUEUE, World, contract, on_shared
from trioqueue import BulkReport, MessageFilter, NewMessage
from trioqueue.store.operations import bulk

OURS = MessageFilter(queues=[QUEUE])


async def kill_many(world: World, count: int) -> list[str]:
    """Make so many dead letters; return their ids, oldest posted first."""
    names = [f"m{number:04}" for number in range(count)]
    await world.store.post_many(
        QUEUE, [NewMessage(name, message_id=name) for name in names]
    )
    while jobs := await world.store.claim(QUEUE, limit=500):
        for job in jobs:
            await world.store.fail(job, "no good", final=True)
    return names


@contract
async def test_every_one_is_requeued_once_while_workers_kill_them_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 20)
    await world.make_queue()
    names = await kill_many(world, 100)
    died: list[str] = []

    async def kill_again() -> None:
        while True:
            for job in await world.store.claim_wait(QUEUE, limit=10):
                await world.store.fail(job, "again", final=True)
                died.append(job.message_id)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(kill_again)
        report = await world.store.requeue_matching(OURS)
        assert report == BulkReport(100, 100)
        while len(died) < 100:  # noqa: ASYNC110  what the worker does is all there is
            await trio.sleep(0.001)
        nursery.cancel_scope.cancel()
    assert sorted(died) == names
    assert await world.counts() == {"ERRORED": 100}


@on_shared
@contract
async def test_two_at_once_share_the_work_and_do_nothing_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 10)
    await world.make_queue()
    await kill_many(world, 60)
    reports: list[BulkReport] = []
    async with world.open_another() as other, trio.open_nursery() as nursery:
        for store in (world.store, other):

            async def run(store: Any = store) -> None:
                reports.append(await store.requeue_matching(OURS))

            nursery.start_soon(run)
    assert sum(report.done for report in reports) == 60
    for report in reports:
        assert report.done + report.skipped.get("gone", 0) == report.matched
    assert await world.counts() == {"PENDING": 60}
