"""Copies that are interrupted, overtaken or disturbed: nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.copying import Pair, everything, interrupted, populate, with_pair
from trioqueue import (
    IllegalStateError,
    QueueOptions,
    RetentionPolicy,
    Store,
    TrioQueueError,
    open_store,
)
from trioqueue.schedules.business_days import BusinessCalendar
from trioqueue.schedules.holidays import Holiday
from trioqueue.store import copying as copying_module
from trioqueue.store.copying import CopyReport, copy_store
from trioqueue.store.operations import copy_reading
from trioqueue.store.operations.copy_rows import BEING_COPIED


@pytest.mark.parametrize("at", [1, 2, 4])
def test_an_interrupted_copy_is_paused_and_the_next_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(copy_reading, "PAGE_ROWS", 3)

    @with_pair
    async def test(pair: Pair) -> None:
        await populate(pair.source, pair.clock)
        wanted = await everything(pair.source)
        await interrupted(pair, at)
        queues = await pair.target.list_queues()
        assert [q.pause_reason for q in queues] == [BEING_COPIED] * 2
        assert await pair.target.claim("jobs") == []
        assert await pair.target.fire_due_schedules("cron") is None
        report = await copy_store(pair.source, pair.target)
        assert report.undone == pair.url("source")
        assert await everything(pair.target) == wanted

    test(tmp_path)


@with_pair
async def test_schedules_of_an_unfinished_copy_do_not_run(pair: Pair) -> None:
    await populate(pair.source, pair.clock)
    original = copying_module._Copy._schedules

    async def posting(self: Any) -> Any:
        runs = await original(self)
        await pair.source.post("jobs", 1, message_id="more")
        return runs

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copying_module._Copy, "_schedules", posting)
        with pytest.raises(IllegalStateError, match="has changed while"):
            await copy_store(pair.source, pair.target)
    pair.clock.advance(3600)
    assert await pair.target.fire_due_schedules("cron") is None
    schedules = await pair.target.list_schedules()
    assert [s.reason for s in schedules] == [BEING_COPIED] * 2
    report = await copy_store(pair.source, pair.target)
    assert report.undone is not None
    assert await everything(pair.target) == await everything(pair.source)
    assert await pair.target.fire_due_schedules("cron")


async def _post(store: Store) -> None:
    await store.post("jobs", 1)


async def _cancel(store: Store) -> None:
    await store.cancel("jobs", "late")


async def _fail(store: Store) -> None:
    (job,) = await store.claim("jobs")
    await store.fail(job, "again")


async def _purge(store: Store) -> None:
    await store.purge_dead_letters("jobs")


async def _pause(store: Store) -> None:
    await store.pause_queue("paused", "longer holidays")


async def _schedule(store: Store) -> None:
    await store.resume_schedule("yearly")


async def _trigger(store: Store) -> None:
    await store.trigger_schedule("yearly")


async def _calendar(store: Store) -> None:
    await store.put_business_calendar(BusinessCalendar("fr", [Holiday.fixed(7, 14)]))


@pytest.mark.parametrize(
    "change",
    [_post, _cancel, _fail, _purge, _pause, _schedule, _trigger, _calendar],
    ids=lambda change: change.__name__[1:],
)
def test_a_source_that_changes_meanwhile_is_noticed(
    tmp_path: Path, change: Callable[[Store], Awaitable[None]]
) -> None:
    @with_pair
    async def test(pair: Pair) -> None:
        await populate(pair.source, pair.clock)
        original = copying_module._Copy._schedules

        async def changing(*args: Any) -> Any:
            await change(pair.source)
            return await original(*args)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(copying_module._Copy, "_schedules", changing)
            with pytest.raises(IllegalStateError, match="has changed while"):
                await copy_store(pair.source, pair.target)
        assert all(queue.paused for queue in await pair.target.list_queues())
        await copy_store(pair.source, pair.target)
        assert await everything(pair.target) == await everything(pair.source)

    test(tmp_path)


@with_pair
async def test_what_others_put_into_an_unfinished_copy_is_not_deleted(
    pair: Pair,
) -> None:
    await populate(pair.source, pair.clock)
    await interrupted(pair, 1)
    await pair.target.post("paused", "precious", message_id="mine")
    with pytest.raises(IllegalStateError, match=r"'paused' has been used since"):
        await copy_store(pair.source, pair.target)
    assert (await pair.target.get_message("paused", "mine")).payload == "precious"
    await copy_store(pair.source, pair.target, discard=True)
    assert await everything(pair.target) == await everything(pair.source)


@with_pair
async def test_an_unfinished_copy_that_was_resumed_is_not_deleted(pair: Pair) -> None:
    await populate(pair.source, pair.clock)
    await interrupted(pair, 1)
    await pair.target.resume_queue("jobs")
    with pytest.raises(IllegalStateError, match=r"'jobs' has been used since"):
        await copy_store(pair.source, pair.target)


@with_pair
async def test_of_two_copies_at_once_the_later_one_wins(pair: Pair) -> None:
    await populate(pair.source, pair.clock)
    other: list[CopyReport] = []
    original = copying_module._Copy._schedules
    with pytest.MonkeyPatch.context() as patch:

        async def overtaken(self: Any) -> Any:
            patch.undo()
            other.append(await copy_store(pair.source, pair.target))
            return await original(self)

        patch.setattr(copying_module._Copy, "_schedules", overtaken)
        with pytest.raises(IllegalStateError, match="another copy"):
            await copy_store(pair.source, pair.target)
    assert other
    assert await everything(pair.target) == await everything(pair.source)


@with_pair
async def test_what_is_missing_in_the_target_keeps_the_copy_unfinished(
    pair: Pair,
) -> None:
    await populate(pair.source, pair.clock)
    original = copying_module._Copy._schedules

    async def losing(self: Any) -> Any:
        await pair.target.purge_dead_letters("jobs")
        return await original(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copying_module._Copy, "_schedules", losing)
        with pytest.raises(TrioQueueError, match="the target has 10 of 11 messages"):
            await copy_store(pair.source, pair.target)
    await copy_store(pair.source, pair.target)
    assert await everything(pair.target) == await everything(pair.source)


@with_pair
async def test_what_retention_releases_meanwhile_is_not_missed(pair: Pair) -> None:
    options = QueueOptions(retention=RetentionPolicy.keep(10))
    await pair.source.create_queue("jobs", options)
    await pair.source.post("jobs", 1)
    (job,) = await pair.source.claim("jobs")
    await pair.source.complete(job)
    pair.clock.advance(20)
    original = copying_module._Copy._schedules

    async def cleaning(self: Any) -> Any:
        assert await pair.target.clean_up_batch() == 1
        return await original(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copying_module._Copy, "_schedules", cleaning)
        report = await copy_store(pair.source, pair.target)
    assert report.finished == 1


@with_pair
async def test_an_unfinished_copy_is_no_source(pair: Pair) -> None:
    await populate(pair.source, pair.clock)
    await interrupted(pair, 1)
    async with open_store(pair.url("third")) as third:
        with pytest.raises(IllegalStateError, match="itself the target of a copy"):
            await copy_store(pair.target, third)


@pytest.mark.parametrize("after_interruption", [False, True])
def test_a_transaction_whose_answer_was_lost_may_run_again(
    tmp_path: Path, after_interruption: bool
) -> None:
    @with_pair
    async def test(pair: Pair) -> None:
        await populate(pair.source, pair.clock)
        wanted = await everything(pair.source)
        if after_interruption:
            await interrupted(pair, 1)
        executor = pair.target._executor
        write = executor.write

        async def twice(operation: Any) -> Any:
            await write(operation)
            return await write(operation)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(executor, "write", twice)
            report = await copy_store(pair.source, pair.target)
        assert (report.undone is not None) is after_interruption
        assert await everything(pair.target) == wanted

    test(tmp_path)
