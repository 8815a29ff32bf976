"""Runs of schedules: each occurrence once, and what a message says of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.helpers import QUEUE, World, contract
from tests.scheduling import Every, at, every, go_to, posted, run_cron, schedule
from trioqueue import (
    LeasePolicy,
    MessageNotFoundError,
    MessageState,
    Misfire,
    Schedule,
    ScheduleRun,
    ScheduleState,
    Store,
    ValidationError,
)
from trioqueue.services import CalendarService

pytestmark = pytest.mark.usefixtures("every")
_ = every
HOUR = timedelta(hours=1)


def name_of(run: Any) -> str:
    return f"s:{run.strftime('%Y-%m-%dT%H:%M:%SZ')}"


async def create(store: Store, **settings: Any) -> Schedule:
    return await store.create_schedule(schedule(3600, **settings))


@contract
async def test_a_run_posts_one_message_that_says_which_run_it_is(
    world: World,
) -> None:
    await world.make_queue()
    created = await create(
        world.store,
        metadata={"own": 1},
        priority=3,
        lease=LeasePolicy(base_seconds=99),
    )
    assert await run_cron(world.store) == 0
    first = created.next_run
    assert first is not None
    await go_to(world, first, 1)
    assert await run_cron(world.store) == 1
    assert await run_cron(world.store) == 0
    (message,) = await world.store.peek(QUEUE)
    assert message.message_id == name_of(first)
    assert message.state is MessageState.PENDING  # at once, not by the scheduler
    assert message.payload == {"n": 1}
    assert message.priority == 3
    assert message.lease_policy == LeasePolicy(base_seconds=99)
    assert message.scheduled_time == first
    assert message.metadata == {
        "own": 1,
        "trioqueue.schedule": "s",
        "trioqueue.occurrence": name_of(first)[2:],
        "trioqueue.kind": "on_time",
        "trioqueue.merged": 0,
    }
    after = await world.store.get_schedule("s")
    assert (after.run_count, after.last_run) == (1, first)
    assert after.next_run == first + HOUR
    assert after.revision == 1
    (run,) = await world.store.schedule_history("s")
    assert run == ScheduleRun(first, name_of(first), run.posted_at, "on_time", 0)
    assert message.created_at == run.posted_at


@contract
async def test_runs_follow_each_other_from_their_instants_not_from_the_clock(
    world: World,
) -> None:
    await world.make_queue()
    created = await create(world.store)
    first = created.next_run
    assert first is not None
    for number in range(3):
        await go_to(world, first + number * HOUR, 17)
        assert await run_cron(world.store) == 1
    state = await world.store.get_schedule("s")
    assert (state.run_count, state.last_run) == (3, first + 2 * HOUR)
    assert state.next_run == first + 3 * HOUR
    assert await posted(world.store) == [name_of(first + n * HOUR) for n in range(3)]


@contract
@pytest.mark.parametrize(
    ("misfire", "runs", "merged"),
    [
        (Misfire.coalesce(), [4], 4),
        (Misfire.skip(), [], 0),
        (Misfire.all(), [0, 1, 2, 3, 4], 0),
        (Misfire.all(2), [3, 4], 3),
    ],
    ids=["coalesce", "skip", "all", "the latest two"],
)
@pytest.mark.parametrize("pause", [False, True], ids=["outage", "pause"])
async def test_five_missed_runs_are_the_policys_business(
    world: World, misfire: Misfire, runs: list[int], merged: int, pause: bool
) -> None:
    await world.make_queue()
    day = timedelta(days=1)
    created = await world.store.create_schedule(schedule(86_400, misfire=misfire))
    first = created.next_run
    assert first is not None
    if pause:
        await world.store.pause_schedule("s")
    await go_to(world, first + 4 * day, 600)
    if pause:
        assert await run_cron(world.store) == 0
        await world.store.resume_schedule("s")
    assert await run_cron(world.store) == len(runs)
    assert await posted(world.store) == [name_of(first + n * day) for n in runs]
    history = await world.store.schedule_history("s")
    assert [run.occurrence for run in history] == [first + n * day for n in runs[::-1]]
    assert [run.merged for run in history[:-1]] == [0] * len(runs[1:])
    if runs:
        assert history[-1].merged == merged
        (message, *_) = await world.store.peek(QUEUE)
        assert message.metadata["trioqueue.merged"] == merged
        assert message.metadata["trioqueue.kind"] == "catch_up"
    state = await world.store.get_schedule("s")
    assert state.next_run == first + 5 * day
    assert state.run_count == len(runs)
    # And on it goes.
    await go_to(world, first + 5 * day)
    assert await run_cron(world.store) == 1
    assert (await world.store.schedule_history("s"))[0].kind == "on_time"


@contract
async def test_a_run_is_missed_once_it_is_more_than_a_minute_late(
    world: World,
) -> None:
    await world.make_queue()
    await create(world.store, misfire=Misfire.skip())
    for late, count in ((50, 1), (70, 0)):
        state = await world.store.get_schedule("s")
        await go_to(world, state.next_run, late)
        assert await run_cron(world.store) == count


@contract
async def test_what_was_missed_and_what_is_on_time_coalesce_into_one(
    world: World,
) -> None:
    await world.make_queue()
    created = await world.store.create_schedule(schedule(60))
    await go_to(world, created.next_run, 7200)
    assert await run_cron(world.store) == 1
    (run,) = await world.store.schedule_history("s")
    assert (run.kind, run.merged) == ("catch_up", 120)


@contract
async def test_runs_of_every_second_that_are_a_little_late_run_one_by_one(
    world: World,
) -> None:
    await world.make_queue()
    created = await world.store.create_schedule(schedule(1))
    await go_to(world, created.next_run, 20)
    count = await run_cron(world.store)
    assert count >= 21
    names = await posted(world.store)
    assert len(set(names)) == len(names)
    history = await world.store.schedule_history("s", limit=1000)
    span = history[0].occurrence - history[20].occurrence
    assert span == timedelta(seconds=20)
    assert {run.kind for run in history} == {"on_time"}


@contract
async def test_a_schedule_completes_after_its_last_message(world: World) -> None:
    await world.make_queue()
    await create(world.store, max_messages=3, misfire=Misfire.all())
    state = await world.store.get_schedule("s")
    await go_to(world, state.next_run, 1)
    assert await run_cron(world.store) == 1
    await world.store.trigger_schedule("s")  # does not count
    await world.advance(10 * 3600)
    assert await run_cron(world.store) == 2
    state = await world.store.get_schedule("s")
    assert state.state is ScheduleState.COMPLETED
    assert state.reason == "max_messages is reached"
    assert (state.run_count, state.next_run) == (3, None)
    await world.advance(10 * 3600)
    assert await run_cron(world.store) == 0
    assert len(await world.store.schedule_history("s")) == 4
    more = await world.store.update_schedule(schedule(3600, max_messages=4))
    assert more.state is ScheduleState.SCHEDULED
    assert more.next_run is not None
    assert more.next_run > world.store.now() - timedelta(seconds=5)
    assert more.reason is None


@contract
async def test_a_schedule_runs_from_its_start_to_its_end_both_included(
    world: World,
) -> None:
    await world.make_queue()
    created = await create(
        world.store,
        start_at=at(3.6e9),
        end_at=at(3.6e9 + 7200),
        misfire=Misfire.all(),
    )
    first = created.next_run
    assert first is not None
    assert first == at(3.6e9)
    await go_to(world, first, -1)
    assert await run_cron(world.store) == 0
    await go_to(world, first, 1e6)
    assert await run_cron(world.store) == 3
    state = await world.store.get_schedule("s")
    assert state.state is ScheduleState.COMPLETED
    assert state.reason == "end_at has passed"
    assert state.last_run == first + 2 * HOUR


@contract
async def test_a_schedule_without_occurrences_left_is_completed(
    world: World,
) -> None:
    await world.make_queue()
    await create(world.store, when=Every(3600, until=4e9), start_at=at(0) + HOUR)
    await world.advance(4e9)
    assert await run_cron(world.store) == 1
    state = await world.store.get_schedule("s")
    assert state.state is ScheduleState.COMPLETED
    assert state.reason == "no occurrence is left"
    assert state.next_run is None


@contract
async def test_a_moved_occurrence_keeps_its_name_and_runs_at_its_new_time(
    world: World,
) -> None:
    await world.make_queue()
    nominal, later = 4e9 - 4e9 % 3600, 4e9 - 4e9 % 3600 + 5400
    rule = Every(3600, moved=((nominal, later),))
    start = at(nominal - 946_684_800 - 3600)
    created = await create(
        world.store, when=rule, start_at=start, misfire=Misfire.all()
    )
    assert created.next_run == start
    await go_to(world, start + 3 * HOUR, 1)
    assert await run_cron(world.store) == 4
    order = [run.occurrence for run in await world.store.schedule_history("s")]
    assert order == [start + 3 * HOUR, start + HOUR, start + 2 * HOUR, start]
    assert (await world.store.get_schedule("s")).run_count == 4


@contract
async def test_jitter_delays_the_message_and_not_the_run(world: World) -> None:
    await world.make_queue()
    created = await create(world.store, jitter_seconds=1800)
    first = created.next_run
    assert first is not None
    await go_to(world, first, 0)
    assert await run_cron(world.store) == 1
    (message,) = await world.store.peek(QUEUE)
    assert message.message_id == name_of(first)
    assert message.scheduled_time is not None
    wait = message.scheduled_time - first
    assert timedelta(0) <= wait < timedelta(seconds=1800)
    assert wait > timedelta(seconds=2)  # which this id and hour happen to have
    assert message.state is MessageState.INVISIBLE
    state = await world.store.get_schedule("s")
    assert (state.last_run, state.next_run) == (first, first + HOUR)
    await world.advance(1800)
    assert await world.store.promote_due_messages() == 1
    assert len(await world.store.claim(QUEUE)) == 1


@contract
async def test_a_schedule_triggered_by_hand_posts_at_once(world: World) -> None:
    await world.make_queue()
    created = await create(world.store, metadata={"own": 1}, jitter_seconds=100)
    await world.store.pause_schedule("s")
    one = await world.store.trigger_schedule("s")
    two = await world.store.trigger_schedule("s")
    assert one.message_id != two.message_id
    for message in (one, two):
        assert message.message_id.startswith("s:manual:")
        assert message.state is MessageState.PENDING
        assert message.payload == {"n": 1}
        assert message.metadata["own"] == 1
        assert message.metadata["trioqueue.kind"] == "manual"
        stored = await world.store.get_message(QUEUE, message.message_id)
        assert stored.metadata == message.metadata
    history = await world.store.schedule_history("s")
    assert [run.message_id for run in history] == [two.message_id, one.message_id]
    assert {run.kind for run in history} == {"manual"}
    assert history[0].occurrence == history[0].posted_at == two.created_at
    state = await world.store.resume_schedule("s")
    assert (state.run_count, state.last_run) == (0, None)
    assert state.next_run == created.next_run


@contract
async def test_the_history_outlives_its_messages_and_comes_in_pages(
    world: World,
) -> None:
    await world.make_queue()
    await create(world.store, misfire=Misfire.all())
    await world.advance(7 * 3600)
    count = await run_cron(world.store)
    assert count == 7
    for job in await world.store.claim(QUEUE, limit=10):
        await world.store.complete(job)
    assert await posted(world.store) == []
    whole = await world.store.schedule_history("s")
    assert len(whole) == 7
    order = [run.occurrence for run in whole]
    assert order == sorted(order, reverse=True)
    pages: list[ScheduleRun] = []
    while page := await world.store.schedule_history(
        "s", limit=3, after=pages[-1] if pages else None
    ):
        pages += page
    assert pages == whole
    by_id = await world.store.schedule_history("s", after=whole[4].message_id)
    assert by_id == whole[5:]
    with pytest.raises(MessageNotFoundError):
        await world.store.schedule_history("s", after="s:never")
    with pytest.raises(ValidationError):
        await world.store.schedule_history("s", after=5)  # type: ignore[arg-type]


@contract
async def test_a_message_already_under_that_id_counts_as_the_run(
    world: World,
) -> None:
    await world.make_queue()
    created = await create(world.store)
    first = created.next_run
    mine = await world.store.post(QUEUE, "mine", message_id=name_of(first))
    await go_to(world, first, 1)
    assert await run_cron(world.store) == 1
    (message,) = await world.store.peek(QUEUE)
    assert message == mine
    state = await world.store.get_schedule("s")
    assert (state.state, state.run_count) == (ScheduleState.SCHEDULED, 1)
    (run,) = await world.store.schedule_history("s")
    assert run.message_id == mine.message_id


@contract
async def test_each_service_runs_its_own_kind_only(world: World) -> None:
    await world.make_queue()
    await world.store.create_schedule(schedule(3600, id="c"))
    await world.store.create_schedule(schedule(3600, id="d", kind="calendar"))
    await world.advance(3600)
    assert await CalendarService(world.store).run_once() == 1
    assert (await posted(world.store))[0].startswith("d:")
    assert await run_cron(world.store) == 1
    assert len(await posted(world.store)) == 2
