"""Many messages are canceled, requeued and deleted: exactly those that were chosen."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.helpers import QUEUE, World, contract, fields, ids
from trioqueue import (
    BulkReport,
    ConflictError,
    MessageFilter,
    MessageState,
    NewMessage,
    QueueNotFoundError,
    RetentionPolicy,
    ValidationError,
)
from trioqueue.metrics.catalogue import CANCELED, DEAD_PURGED, DEAD_REQUEUED
from trioqueue.store.operations import bulk

KEPT = RetentionPolicy.keep_forever()
EVERYTHING = MessageFilter()
OURS = MessageFilter(queues=[QUEUE])


async def post(world: World, *names: str, queue: str = QUEUE, **options: Any) -> None:
    """Post messages with these ids."""
    news = [NewMessage(name, message_id=name, **options) for name in names]
    await world.store.post_many(queue, news)


async def kill_many(world: World, count: int, queue: str = QUEUE) -> list[str]:
    """Make so many dead letters; return their ids, oldest posted first."""
    names = [f"m{number:04}" for number in range(count)]
    await post(world, *names, queue=queue)
    while jobs := await world.store.claim(queue, limit=500):
        for job in jobs:
            await world.store.fail(job, "no good", final=True)
    return names


@contract
async def test_cancel_withdraws_what_waits_and_skips_what_runs(world: World) -> None:
    await world.make_queue(retention=KEPT)
    await world.make_queue("other")
    await world.running(message_id="running")
    await post(world, "ready")
    await post(world, "later", delay_seconds=60)
    await world.dead("else-dead", "other")
    await post(world, "else", queue="other")
    report = await world.store.cancel_matching(OURS, reason="no more")
    assert report == BulkReport(3, 2, {"running": 1})
    page = await world.store.find_messages(OURS)
    assert [(m.state.name, m.reason) for m in page] == [
        ("RUNNING", None),
        ("CANCELED", "no more"),
        ("CANCELED", "no more"),
    ]
    ended = page[1].finished_at
    assert ended is not None
    assert ended == page[2].finished_at
    assert ended <= world.store.now()
    assert await world.counts("other") == {"PENDING": 1, "ERRORED": 1}
    report = await world.store.cancel_matching(OURS, abort=True)
    assert report == BulkReport(1, 1, aborting=1)
    lease = (await world.store.get_message(QUEUE, "running")).lease
    assert lease is not None
    assert lease.abort_requested


@contract
async def test_canceled_messages_of_a_queue_that_keeps_nothing_leave_nothing(
    world: World,
) -> None:
    await world.make_queue(max_attempts=5)
    await post(world, "a", "b")
    await world.store.fail(await world.claim(), "once")
    assert await world.store.cancel_matching(OURS) == BulkReport(2, 2)
    assert await world.counts() == {}
    # An attempt that stayed behind would turn up in a message's second life.
    await post(world, "a")
    assert (await world.store.get_message(QUEUE, "a")).attempts == ()


@contract
async def test_who_waits_for_a_message_hears_that_it_was_canceled(world: World) -> None:
    await world.make_queue(retention=KEPT)
    await post(world, "a")
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            message = await world.store.wait_finished(QUEUE, "a")
            assert message.state is MessageState.CANCELED

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        await world.store.cancel_matching(EVERYTHING)


@contract
async def test_requeue_makes_dead_letters_pending_as_if_they_were_new(
    world: World,
) -> None:
    await world.make_queue()
    names = await kill_many(world, 5)
    await post(world, "alive")
    dead = await world.store.get_message(QUEUE, names[0])
    report = await world.store.requeue_matching(OURS)
    assert report == BulkReport(5, 5)
    message = await world.store.get_message(QUEUE, names[0])
    assert message.state is MessageState.PENDING
    assert (message.attempt, message.attempts, message.reason) == (0, (), None)
    assert message.created_at == dead.created_at
    assert await world.counts() == {"PENDING": 6}
    assert ids(await world.store.claim(QUEUE, limit=10)) == ["alive", *names]
    assert await world.store.requeue_matching(OURS) == BulkReport(0, 0)


@contract
async def test_requeue_wakes_who_waits_for_work(world: World) -> None:
    await world.make_queue()
    await world.dead("m")
    claimed: list[str] = []
    async with trio.open_nursery() as nursery:

        async def work() -> None:
            claimed.extend(ids(await world.store.claim_wait(QUEUE)))

        nursery.start_soon(work)
        await trio.testing.wait_all_tasks_blocked()
        await world.store.requeue_matching(OURS)
    assert claimed == ["m"]


@contract
async def test_requeue_spreads_them_over_a_span(world: World) -> None:
    await world.make_queue()
    names = await kill_many(world, 4)
    before = world.store.now()
    await world.store.requeue_matching(OURS, spread_seconds=400)
    found = [await world.store.get_message(QUEUE, name) for name in names]
    states = [message.state.name for message in found]
    assert states == ["PENDING", "INVISIBLE", "INVISIBLE", "INVISIBLE"]
    await world.advance(301)
    assert (world.store.now() - before).total_seconds() >= 301
    assert await world.store.promote_due_messages() == 3


@contract
async def test_requeue_into_another_queue_skips_the_ids_it_has(world: World) -> None:
    await world.make_queue()
    await world.make_queue("second")
    await world.make_queue("target", retention=KEPT)
    for name in ("a", "b", "c"):
        await world.dead(name)
    await world.dead("c", "second")
    await world.dead("own", "target")
    await post(world, "a", queue="target")
    report = await world.store.requeue_matching(EVERYTHING, target="target")
    assert report == BulkReport(5, 3, {"duplicate": 2})
    assert await world.counts(QUEUE) == {"ERRORED": 1}
    assert await world.counts("second") == {"ERRORED": 1}
    found = await world.store.find_messages(MessageFilter(queues=["target"]))
    assert sorted(ids(found)) == ["a", "b", "c", "own"]
    with pytest.raises(QueueNotFoundError):
        await world.store.requeue_matching(EVERYTHING, target="nowhere")


@contract
async def test_delete_takes_finished_ones_only(world: World) -> None:
    await world.make_queue(retention=KEPT, max_attempts=3)
    await world.store.complete(await world.running(message_id="completed"))
    await world.dead("dead")
    await post(world, "canceled", "alive")
    await world.store.cancel(QUEUE, "canceled")
    dead = MessageFilter(states=[MessageState.ERRORED])
    assert await world.store.delete_matching(dead) == BulkReport(1, 1)
    assert await world.store.delete_matching(OURS) == BulkReport(2, 2)
    assert await world.counts() == {"PENDING": 1}
    await world.store.cancel(QUEUE, "alive")
    assert await world.store.delete_matching(EVERYTHING) == BulkReport(1, 1)
    await post(world, "dead")
    assert (await world.store.get_message(QUEUE, "dead")).attempts == ()


@contract
async def test_ids_that_a_verb_cannot_take_are_told_by_kind(world: World) -> None:
    await world.make_queue(retention=KEPT)
    await world.store.complete(await world.running(message_id="completed"))
    await world.dead("dead")
    await world.running(message_id="running")
    await post(world, "ready")
    every = MessageFilter(ids=["completed", "dead", "running", "ready", "x", "y"])
    store = world.store
    report = await store.requeue_matching(every)
    assert report == BulkReport(4, 1, {"not_dead": 3}, missing=2)
    report = await store.cancel_matching(every)
    assert report == BulkReport(4, 2, {"finished": 1, "running": 1}, missing=2)
    report = await store.delete_matching(every)
    assert report == BulkReport(4, 3, {"live": 1}, missing=2)
    nobody = await store.delete_matching(MessageFilter(ids=["x"]))
    assert nobody == BulkReport(0, 0, missing=1)


@contract
async def test_states_that_a_verb_cannot_take_are_refused(world: World) -> None:
    await world.make_queue()
    await post(world, "a")
    pending = MessageFilter(states=[MessageState.PENDING, MessageState.ERRORED])
    selected = await world.store.select_messages(pending)
    for wanted in (pending, selected):
        for verb in (world.store.requeue_matching, world.store.delete_matching):
            with pytest.raises(ValidationError, match="PENDING") as raised:
                await verb(wanted)
            assert fields(raised) == ["states"]
        with pytest.raises(ValidationError, match="ERRORED"):
            await world.store.cancel_matching(wanted)
    with pytest.raises(ValidationError) as raised:
        await world.store.select_messages(verb="purge")  # type: ignore[arg-type]  # wrong
    assert fields(raised) == ["verb"]
    assert await world.counts() == {"PENDING": 1}


@contract
async def test_another_number_than_expected_is_a_conflict_and_nothing_is_done(
    world: World,
) -> None:
    await world.make_queue()
    await world.dead("a")
    await world.dead("b")
    await post(world, "c")
    store = world.store
    for verb in (store.requeue_matching, store.delete_matching, store.cancel_matching):
        with pytest.raises(ConflictError, match=r"^3 messages were expected and \d"):
            await verb(OURS, expect=3)
    assert await world.counts() == {"ERRORED": 2, "PENDING": 1}
    assert await store.requeue_matching(OURS, expect=2) == BulkReport(2, 2)


@contract
async def test_what_was_selected_is_acted_on_and_nothing_that_came_later(
    world: World,
) -> None:
    await world.make_queue(retention=KEPT)
    await world.dead("requeued")
    await world.dead("purged")
    await world.dead("stays")
    selected = await world.store.select_messages(OURS, verb="requeue")
    assert (selected.total, dict(selected.counts)) == (3, {QUEUE: 3})
    await world.dead("later")
    await world.store.requeue(QUEUE, "requeued")
    await world.store.fail(await world.claim(), "again", final=True)
    await world.store.delete_dead_letter(QUEUE, "purged")
    report = await world.store.requeue_matching(selected)
    assert report == BulkReport(3, 1, {"gone": 2})
    assert await world.state("stays") is MessageState.PENDING
    assert await world.state("requeued") is MessageState.ERRORED
    assert await world.state("later") is MessageState.ERRORED


@contract
async def test_one_that_is_no_longer_in_the_state_asked_for_is_left(
    world: World,
) -> None:
    await world.make_queue(retention=KEPT)
    await post(world, "a", "b", "c")
    pending = MessageFilter(states=[MessageState.PENDING])
    selected = await world.store.select_messages(pending, verb="cancel")
    await world.claim()
    await world.store.complete(await world.claim())
    report = await world.store.cancel_matching(selected, abort=True)
    assert report == BulkReport(3, 1, {"changed": 1, "finished": 1})
    canceled = MessageFilter(states=[MessageState.CANCELED])
    assert await world.store.delete_matching(canceled) == BulkReport(1, 1)


@contract
async def test_a_queue_that_is_deleted_meanwhile_takes_its_messages_along(
    world: World,
) -> None:
    await world.make_queue()
    await world.make_queue("other")
    await world.dead("a")
    await world.dead("b", "other")
    selected = await world.store.select_messages(verb="requeue")
    await world.store.delete_queue("other", force=True)
    report = await world.store.requeue_matching(selected)
    assert report == BulkReport(2, 1, {"gone": 1})


@contract
async def test_progress_is_told_after_each_batch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 3)
    await world.make_queue(retention=KEPT)
    await kill_many(world, 7)
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))

    await world.store.requeue_matching(OURS, progress=progress)
    await world.store.cancel_matching(OURS, progress=progress)
    await world.store.delete_matching(OURS, progress=progress)
    assert told == [(3, 7), (6, 7), (7, 7)] * 3
    told.clear()
    await world.store.select_messages(progress=progress)
    assert told == []  # there is nothing to look at


@contract
async def test_canceled_between_batches_it_leaves_done_what_is_done(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 2)
    await world.make_queue(retention=KEPT)
    await kill_many(world, 7)
    for verb, left, state in (
        (world.store.requeue_matching, MessageState.ERRORED, MessageState.PENDING),
        (world.store.cancel_matching, MessageState.PENDING, MessageState.CANCELED),
    ):
        with trio.CancelScope() as scope:

            def progress(done: int, _: int) -> None:
                if done == 4:
                    scope.cancel()

            await verb(OURS, progress=progress)
        assert scope.cancelled_caught
        assert await world.counts() == {left.name: 3, state.name: 4}
        assert (await verb(OURS)).done == 3
    with trio.CancelScope() as scope:
        await world.store.delete_matching(OURS, progress=lambda *_: scope.cancel())
    assert scope.cancelled_caught
    assert await world.counts() == {"CANCELED": 5}


@contract
async def test_what_is_done_to_many_is_counted_as_if_done_to_each(
    world: World,
) -> None:
    await world.make_queue(retention=KEPT)
    await kill_many(world, 3)
    await world.store.requeue_matching(OURS)
    await world.store.cancel_matching(OURS)
    await world.dead("dead")
    await world.store.delete_matching(OURS)
    counts = world.store.meters.snapshot().counts
    for metric, label, expected in (
        (DEAD_REQUEUED, "discarded", 3),
        (CANCELED, "", 3),
        (DEAD_PURGED, "discarded", 1),
    ):
        assert counts[metric, QUEUE, label] == expected
