"""Copying a store: all of it arrives, in order, under new numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from tests.copying import KEPT, TABLES, Pair, everything, populate, with_pair
from trioqueue import (
    ConflictError,
    Cron,
    IllegalStateError,
    MessageState,
    Schedule,
    TrioQueueError,
    ValidationError,
    open_store,
)
from trioqueue.schedules.business_days import BusinessCalendar
from trioqueue.store.copying import copy_store, plan_copy
from trioqueue.store.operations import copy_reading


@with_pair
async def test_a_copy_is_what_the_source_was(pair: Pair) -> None:
    await populate(pair.source, pair.clock)
    wanted = await everything(pair.source)
    report = await copy_store(pair.source, pair.target)
    assert await everything(pair.target) == wanted
    assert await everything(pair.source) == wanted
    assert (report.live, report.finished, report.attempts) == (8, 3, 3)
    assert (report.schedules, report.runs, report.calendars) == (2, 2, 1)
    assert {q.name: q.paused for q in report.queues} == {"jobs": False, "paused": True}
    assert report.undone is None
    assert pair.rows("target", "SELECT * FROM tq_meta WHERE key LIKE 'copy%'") == []


@with_pair
async def test_copies_are_claimed_in_the_same_order(pair: Pair) -> None:
    await populate(pair.source, pair.clock)
    await copy_store(pair.source, pair.target)
    orders = [
        [job.message_id for job in await store.claim("jobs", limit=100)]
        for store in (pair.source, pair.target)
    ]
    assert orders[0] == orders[1]
    assert orders[0][:3] == ["high", "m3", "m0"]


@with_pair
async def test_numbers_are_new_and_later_ones_lie_above_them(pair: Pair) -> None:
    await pair.target.create_queue("other", KEPT)
    await pair.target.post("other", 1, message_id="mine")
    (held,) = await pair.target.claim("other")
    await populate(pair.source, pair.clock)
    await copy_store(pair.source, pair.target)
    numbers = pair.rows(
        "target",
        "SELECT id, ready_seq FROM tq_messages WHERE message_id <> 'mine'"
        " UNION ALL SELECT id, id FROM tq_history"
        " UNION ALL SELECT message_row, attempt_id FROM tq_attempts",
    )
    assert min(map(min, numbers)) > held.attempt_id
    await pair.target.post("other", 2, message_id="next")
    (job,) = await pair.target.claim("other")
    assert job.message_id == "next"
    assert job.attempt_id > max(map(max, numbers))
    assert held.attempt_id < job.attempt_id


@with_pair
async def test_a_running_message_is_refused_with_what_to_do(pair: Pair) -> None:
    await pair.source.create_queue("jobs", KEPT)
    await pair.source.post("jobs", 1)
    await pair.source.claim("jobs")
    for work in (copy_store, plan_copy):
        with pytest.raises(IllegalStateError, match=r"1 message is running.*expire"):
            await work(pair.source, pair.target)
    assert await pair.target.list_queues() == []


@with_pair
async def test_a_running_message_expires_in_the_target_if_told_so(pair: Pair) -> None:
    await pair.source.create_queue("jobs", KEPT)
    await pair.source.post("jobs", 1, message_id="m")
    await pair.source.post("jobs", 1, message_id="last", max_attempts=1)
    old = await pair.source.claim("jobs", limit=2)
    report = await copy_store(pair.source, pair.target, running="expire")
    assert report.running == 2
    assert await pair.target.claim("jobs") == []
    pair.clock.advance(3600)
    found = await pair.target.find_expired_messages()
    assert await pair.target.reclaim_expired_messages(found) == 2
    (job,) = await pair.target.claim("jobs")
    assert (job.message_id, job.attempt) == ("m", 2)
    (letter,) = await pair.target.dead_letters("jobs")
    assert letter.message.message_id == "last"
    with pytest.raises(TrioQueueError):
        await pair.target.complete(old[0])


@with_pair
async def test_a_lease_of_the_source_does_not_hold_in_the_target(pair: Pair) -> None:
    await pair.source.create_queue("jobs", KEPT)
    await pair.source.post("jobs", 1)
    (job,) = await pair.source.claim("jobs")
    await copy_store(pair.source, pair.target, running="expire")
    tokens = [
        pair.rows(name, "SELECT token FROM tq_messages")
        for name in ("source", "target")
    ]
    assert tokens[0] != tokens[1]
    with pytest.raises(TrioQueueError):
        await pair.target.complete(job)
    await pair.source.complete(job)


@with_pair
async def test_names_that_are_taken_are_listed_and_nothing_is_copied(
    pair: Pair,
) -> None:
    await populate(pair.source, pair.clock)
    await pair.target.create_queue("jobs", KEPT)
    await pair.target.create_schedule(Schedule("yearly", "jobs", Cron("@daily"), 1))
    calendar = BusinessCalendar("de")
    await pair.target.put_business_calendar(calendar)
    before = await everything(pair.target)
    for work in (copy_store, plan_copy):
        with pytest.raises(ConflictError) as raised:
            await work(pair.source, pair.target)
        assert "queue 'jobs'; schedule 'yearly'; business calendar 'de'" in str(
            raised.value
        )
    assert await everything(pair.target) == before
    assert pair.rows("target", "SELECT * FROM tq_meta WHERE key LIKE 'copy%'") == []


@with_pair
async def test_a_copy_goes_beside_what_has_other_names(pair: Pair) -> None:
    await pair.target.create_queue("other", KEPT)
    await pair.target.post("other", 1, message_id="mine")
    await populate(pair.source, pair.clock)
    await copy_store(pair.source, pair.target)
    assert (await pair.target.get_message("other", "mine")).payload == 1
    assert len(await pair.target.list_queues()) == 3


@with_pair
async def test_a_plan_writes_nothing(pair: Pair) -> None:
    await populate(pair.source, pair.clock)
    report = await plan_copy(pair.source)
    assert report.target == ""
    again = await plan_copy(pair.source, pair.target)
    assert attrs.evolve(again, target="") == report
    assert await pair.target.list_queues() == []
    counts = {each.name: each.counts for each in report.queues}
    assert counts["jobs"][MessageState.INVISIBLE] == 2
    assert counts["jobs"][MessageState.ERRORED] == 1


@with_pair
async def test_an_empty_store_is_copied_too(pair: Pair) -> None:
    report = await copy_store(pair.source, pair.target)
    assert (report.queues, report.live, report.undone) == ((), 0, None)


@with_pair
async def test_copying_again_and_again_does_not_use_up_the_numbers(pair: Pair) -> None:
    await populate(pair.source, pair.clock)
    await copy_store(pair.source, pair.target)
    for turn in range(4):
        before = pair.url(f"turn{turn - 1}" if turn else "target")
        async with (
            open_store(before) as source,
            open_store(pair.url(f"turn{turn}")) as target,
        ):
            await copy_store(source, target)
    sql = "SELECT value FROM tq_counters"
    assert pair.rows("turn3", sql) <= pair.rows("source", sql)


@with_pair
async def test_a_wrong_word_for_running_messages_is_refused(pair: Pair) -> None:
    wrong: Any = "steal"
    with pytest.raises(ValidationError, match="running"):
        await copy_store(pair.source, pair.target, running=wrong)


@with_pair
async def test_large_messages_go_in_small_pages(pair: Pair) -> None:
    await pair.source.create_queue("jobs", KEPT)
    for _ in range(5):
        await pair.source.post("jobs", "x" * 1000)
    steps: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copy_reading, "PAGE_BYTES", 2500)
        await copy_store(
            pair.source, pair.target, progress=lambda done, _: steps.append(done)
        )
    assert steps == [2, 4, 5]
    assert len(await pair.target.peek("jobs")) == 5


@pytest.mark.parametrize("table", TABLES)
def test_every_column_of_a_table_is_copied(tmp_path: Path, table: str) -> None:
    pair = Pair(tmp_path)

    async def main() -> None:
        async with open_store(pair.url("source")):
            pass

    trio.run(main)
    found = pair.rows("source", f"PRAGMA table_info({table})")
    assert {row[1] for row in found} == set(TABLES[table]._fields)


def test_a_store_in_memory_can_be_copied(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            open_store("sqlite://:memory:") as source,
            open_store(f"sqlite:///{tmp_path}/jobs.db") as target,
        ):
            await source.create_queue("jobs", KEPT)
            await source.post("jobs", 1, message_id="m")
            await copy_store(source, target)
            assert (await target.get_message("jobs", "m")).payload == 1

    trio.run(main)


def test_times_are_those_of_the_source(tmp_path: Path) -> None:
    @with_pair
    async def test(pair: Pair) -> None:
        await pair.source.create_queue("jobs", KEPT)
        due = datetime.now(UTC) + timedelta(hours=5)
        await pair.source.post("jobs", 1, message_id="m", scheduled_time=due)
        pair.clock.advance(1000)
        await copy_store(pair.source, pair.target)
        message = await pair.target.get_message("jobs", "m")
        assert message == await pair.source.get_message("jobs", "m")
        assert message.scheduled_time == due

    test(tmp_path)
