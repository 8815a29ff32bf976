"""Changing, pausing and resuming schedules: nothing runs twice, nothing is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs
import pytest

from tests.helpers import World, contract
from tests.scheduling import Every, at, every, go_to, posted, run_cron, schedule
from trioqueue import (
    IllegalStateError,
    Misfire,
    Schedule,
    ScheduleState,
    ValidationError,
)

pytestmark = pytest.mark.usefixtures("every")
_ = every
HOUR = timedelta(hours=1)


async def create(world: World, **settings: object) -> Schedule:
    await world.make_queue()
    return await world.store.create_schedule(schedule(3600, **settings))


@contract
async def test_an_update_replaces_the_settings_and_counts(world: World) -> None:
    created = await create(world)
    await world.advance(5)
    asked = schedule(3600, payload="new", priority=1, misfire=Misfire.skip())
    updated = await world.store.update_schedule(asked)
    assert (updated.payload, updated.priority) == ("new", 1)
    assert updated.misfire == Misfire.skip()
    assert updated.revision == 2
    assert updated.created_at == created.created_at
    assert updated.updated_at is not None
    assert updated.updated_at > (created.updated_at or updated.updated_at)
    assert updated.next_run == created.next_run
    # What depends on the schedule is bound to when it was created, not updated.
    assert updated.when == created.when
    assert await world.store.get_schedule("s") == updated
    await go_to(world, updated.next_run)
    assert await run_cron(world.store) == 1
    (message,) = await world.store.peek("jobs")
    assert message.payload == "new"


@contract
async def test_a_run_that_is_due_stays_due_when_only_its_payload_changes(
    world: World,
) -> None:
    created = await create(world)
    await go_to(world, created.next_run, 10)
    await world.store.update_schedule(schedule(3600, payload="new"))
    assert await run_cron(world.store) == 1
    (message,) = await world.store.peek("jobs")
    assert message.payload == "new"


@contract
async def test_a_run_that_is_due_stays_due_when_the_end_is_moved(world: World) -> None:
    created = await create(world, end_at=at(4e9))
    for number, end in enumerate((at(5e9), None, at(4e9)), 1):
        due = (await world.store.get_schedule("s")).next_run
        await go_to(world, due, 10)
        updated = await world.store.update_schedule(schedule(3600, end_at=end))
        assert updated.next_run == due
        assert await run_cron(world.store) == 1
        assert (await world.store.get_schedule("s")).run_count == number
    first = created.next_run
    assert first is not None
    runs = await world.store.schedule_history("s")
    assert [run.occurrence - first for run in runs] == [2 * HOUR, HOUR, 0 * HOUR]


@contract
async def test_what_a_paused_schedule_missed_stays_when_its_end_is_moved(
    world: World,
) -> None:
    created = await create(world, end_at=at(4e9), misfire=Misfire.all())
    await world.store.pause_schedule("s")
    await go_to(world, created.next_run, 2 * 3600 + 10)
    await world.store.update_schedule(schedule(3600, misfire=Misfire.all()))
    await world.store.resume_schedule("s")
    assert await run_cron(world.store) == 3


@contract
async def test_a_run_that_is_due_before_a_later_start_is_dropped(world: World) -> None:
    created = await create(world)
    await go_to(world, created.next_run, 10)
    assert created.next_run is not None
    start = created.next_run + 2 * HOUR
    updated = await world.store.update_schedule(schedule(3600, start_at=start))
    assert updated.next_run == start
    assert await run_cron(world.store) == 0


@contract
async def test_a_new_rule_holds_from_now_on_and_makes_up_for_nothing(
    world: World,
) -> None:
    created = await create(world, misfire=Misfire.all())
    await go_to(world, created.next_run, 1)
    assert await run_cron(world.store) == 1
    await world.advance(5 * 3600)
    more = schedule(1200, misfire=Misfire.all())
    updated = await world.store.update_schedule(more)
    assert updated.next_run is not None
    assert world.store.now() - HOUR / 100 < updated.next_run
    assert await run_cron(world.store) == 0
    await go_to(world, updated.next_run, 1)
    assert await run_cron(world.store) == 1
    assert len(await posted(world.store)) == 2


@contract
async def test_a_run_moved_after_it_ran_does_not_run_again(world: World) -> None:
    created = await create(world)
    first = created.next_run
    assert first is not None
    await go_to(world, first, 1)
    assert await run_cron(world.store) == 1
    later = first.timestamp() + 1800
    rule = Every(3600, moved=((first.timestamp(), later),))
    updated = await world.store.update_schedule(schedule(when=rule))
    assert updated.next_run == first + HOUR  # not the one that was moved
    await go_to(world, first + HOUR, 1)
    assert await run_cron(world.store) == 1
    history = await world.store.schedule_history("s")
    assert [run.occurrence for run in history] == [first + HOUR, first]


@contract
async def test_a_run_moved_far_ahead_after_it_ran_does_not_run_again(
    world: World,
) -> None:
    """Not even when the message that it posted is gone for long."""
    created = await create(world, misfire=Misfire.all())
    first = created.next_run
    assert first is not None
    await go_to(world, first, 1)
    assert await run_cron(world.store) == 1
    (job,) = await world.store.claim("jobs")
    await world.store.complete(job)
    later = first.timestamp() + 2.5 * 3600
    rule = Every(3600, moved=((first.timestamp(), later),))
    await world.store.update_schedule(schedule(when=rule, misfire=Misfire.all()))
    previewed = await world.store.preview_schedule("s", count=4)
    assert previewed == [first + n * HOUR for n in (1, 2, 3, 4)]
    for hours, count in ((1, 1), (2, 1), (2.5, 0), (4, 2)):
        await go_to(world, first + hours * HOUR, 1)
        assert await run_cron(world.store) == count
    history = await world.store.schedule_history("s")
    instants = [run.occurrence for run in history]
    assert instants == [first + n * HOUR for n in (4, 3, 2, 1, 0)]
    assert (await world.store.get_schedule("s")).run_count == 5


@contract
async def test_a_run_moved_after_it_ran_takes_no_missed_ones_with_it(
    world: World,
) -> None:
    created = await create(world)
    await go_to(world, created.next_run, 1)
    assert await run_cron(world.store) == 1
    assert created.next_run is not None
    ran = created.next_run.timestamp()
    moved = Every(3600, moved=((ran, ran + 2 * 3600 + 600),))
    await world.store.update_schedule(schedule(when=moved))
    await go_to(world, created.next_run, 2 * 3600 + 900)
    assert await run_cron(world.store) == 1
    run = (await world.store.schedule_history("s"))[0]
    assert (run.occurrence, run.merged) == (created.next_run + 2 * HOUR, 1)
    state = await world.store.get_schedule("s")
    assert state.next_run == created.next_run + 3 * HOUR


@contract
async def test_a_run_moved_away_and_back_runs_once(world: World) -> None:
    created = await create(world)
    first = created.next_run
    assert first is not None
    when = first.timestamp()
    rule = Every(3600, moved=((when, when + 1800),))
    moved = await world.store.update_schedule(schedule(when=rule))
    assert moved.next_run == first + HOUR / 2
    back = await world.store.update_schedule(schedule(3600))
    assert back.next_run == first
    assert back.revision == 3
    await go_to(world, first + HOUR / 2, 1)
    assert await run_cron(world.store) == 1
    assert await run_cron(world.store) == 0


@contract
async def test_an_update_that_never_runs_changes_nothing(world: World) -> None:
    created = await create(world)
    never: list[dict[str, Any]] = [
        {"when": Every(3600, until=1)},
        {"end_at": at(-1e6)},
    ]
    for bad in never:
        with pytest.raises(ValidationError, match="never runs"):
            await world.store.update_schedule(schedule(**bad))
    assert await world.store.get_schedule("s") == created


@contract
async def test_a_start_may_be_brought_forward_put_off_and_dropped(
    world: World,
) -> None:
    created = await create(world, start_at=at(3.6e9))
    assert created.next_run == at(3.6e9)
    for start in (3.7e9, 3.5e9, 3.6e9):
        moved = schedule(3600, start_at=at(start - start % 3600))
        updated = await world.store.update_schedule(moved)
        assert updated.next_run == at(start - start % 3600)
        assert await world.store.preview_schedule("s", count=1) == [updated.next_run]
    await world.store.pause_schedule("s")
    paused = await world.store.preview_schedule("s", count=1)
    assert paused == [at(3.6e9)]
    assert (await world.store.resume_schedule("s")).next_run == at(3.6e9)
    dropped = await world.store.update_schedule(schedule(3600))
    assert dropped.next_run is not None
    assert dropped.next_run < world.store.now() + HOUR * 1.01
    await go_to(world, dropped.next_run, 1)
    assert await run_cron(world.store) == 1


@contract
async def test_what_is_over_may_be_changed_and_stays_over(world: World) -> None:
    settings: dict[str, Any] = {"start_at": at(3.6e9), "end_at": at(3.6e9)}
    created = await create(world, **settings)
    await go_to(world, created.next_run, 1)
    assert await run_cron(world.store) == 1
    updated = await world.store.update_schedule(
        schedule(3600, payload="new", **settings)
    )
    assert updated.state is ScheduleState.COMPLETED
    assert (updated.payload, updated.revision) == ("new", 2)
    assert (updated.reason, updated.next_run) == ("end_at has passed", None)
    longer = schedule(3600, start_at=at(3.6e9), end_at=at(3.6e9 + 7200))
    resumed = await world.store.update_schedule(longer)
    assert resumed.state is ScheduleState.SCHEDULED
    assert resumed.next_run == at(3.6e9 + 3600)


@contract
async def test_an_update_of_a_paused_schedule_leaves_it_paused(world: World) -> None:
    created = await create(world, misfire=Misfire.all())
    await world.store.pause_schedule("s", "lunch")
    await go_to(world, created.next_run, 7200)
    updated = await world.store.update_schedule(schedule(600, misfire=Misfire.all()))
    assert updated.state is ScheduleState.PAUSED
    assert (updated.reason, updated.next_run) == ("lunch", None)
    resumed = await world.store.resume_schedule("s")
    assert resumed.next_run is not None
    assert resumed.next_run > world.store.now() - timedelta(seconds=5)
    assert await run_cron(world.store) == 0  # a new rule makes up for nothing


@contract
async def test_an_update_may_change_the_kind_of_rule(world: World) -> None:
    created = await create(world)
    updated = await world.store.update_schedule(schedule(3600, kind="calendar"))
    await go_to(world, created.next_run, 1)
    assert await run_cron(world.store) == 0
    assert await world.store.fire_due_schedules("calendar") == (1, 1)
    assert updated.when.kind == "calendar"


@contract
async def test_more_messages_than_have_run_already_complete_it(world: World) -> None:
    created = await create(world)
    await go_to(world, created.next_run, 1)
    assert await run_cron(world.store) == 1
    updated = await world.store.update_schedule(schedule(3600, max_messages=1))
    assert updated.state is ScheduleState.COMPLETED
    assert (updated.reason, updated.next_run) == ("max_messages is reached", None)
    await world.advance(7200)
    assert await run_cron(world.store) == 0
    again = await world.store.update_schedule(attrs.evolve(updated, max_messages=None))
    assert again.state is ScheduleState.SCHEDULED
    assert again.next_run is not None
    assert again.next_run > world.store.now() - timedelta(seconds=5)


@contract
async def test_a_paused_schedule_does_not_run_until_it_is_resumed(
    world: World,
) -> None:
    created = await create(world)
    paused = await world.store.pause_schedule("s", "lunch")
    assert paused.state is ScheduleState.PAUSED
    assert (paused.reason, paused.next_run) == ("lunch", None)
    again = await world.store.pause_schedule("s", "still lunch")
    assert again.reason == "still lunch"
    await go_to(world, created.next_run, -100)
    assert await run_cron(world.store) == 0
    resumed = await world.store.resume_schedule("s")
    assert (resumed.state, resumed.reason) == (ScheduleState.SCHEDULED, None)
    assert resumed.next_run == created.next_run
    assert resumed.revision == 1
    assert await world.store.resume_schedule("s") == resumed
    assert await run_cron(world.store) == 0  # nothing was missed
    await go_to(world, created.next_run, 1)
    assert await run_cron(world.store) == 1


@contract
async def test_pausing_and_resuming_does_not_run_what_ran(world: World) -> None:
    created = await create(world, misfire=Misfire.all())
    await go_to(world, created.next_run, 1)
    for expected in (1, 0, 0):
        assert await run_cron(world.store) == expected
        await world.store.pause_schedule("s")
        await world.store.resume_schedule("s")
    assert len(await posted(world.store)) == 1


@contract
async def test_a_completed_schedule_is_neither_paused_nor_resumed(
    world: World,
) -> None:
    created = await create(world, max_messages=1)
    await go_to(world, created.next_run, 1)
    assert await run_cron(world.store) == 1
    for call in (world.store.pause_schedule, world.store.resume_schedule):
        with pytest.raises(IllegalStateError, match="max_messages is reached"):
            await call("s")
    state = await world.store.get_schedule("s")
    assert state.state is ScheduleState.COMPLETED


@contract
async def test_a_schedule_whose_end_passes_while_it_is_paused_still_catches_up(
    world: World,
) -> None:
    created = await create(
        world, start_at=at(3.6e9), end_at=at(3.6e9 + 3600), misfire=Misfire.all()
    )
    await world.store.pause_schedule("s")
    await go_to(world, created.next_run, 1e6)
    await world.store.resume_schedule("s")
    assert await run_cron(world.store) == 2
    state = await world.store.get_schedule("s")
    assert state.state is ScheduleState.COMPLETED


@contract
async def test_skipping_what_was_missed_may_complete_it(world: World) -> None:
    created = await create(
        world, start_at=at(3.6e9), end_at=at(3.6e9 + 3600), misfire=Misfire.skip()
    )
    await go_to(world, created.next_run, 1e6)
    assert await run_cron(world.store) == 0
    state = await world.store.get_schedule("s")
    assert (state.state, state.run_count) == (ScheduleState.COMPLETED, 0)
    assert state.reason == "end_at has passed"


@contract
async def test_a_plan_made_before_a_change_is_not_carried_out(world: World) -> None:
    """Between the look at what is due and the transaction anything may happen."""
    created = await create(world)
    await go_to(world, created.next_run, 1)
    store = world.store
    write = store._write

    async def changes() -> None:
        await store.pause_schedule("s")
        await store.resume_schedule("s")

    async def late(operation: object, *args: object) -> object:
        store._write = write  # type: ignore[method-assign]
        await changes()
        return await write(operation, *args)  # type: ignore[arg-type]

    store._write = late  # type: ignore[method-assign, assignment]
    assert await store.fire_due_schedules("cron") == (0, 0)
    assert await posted(store) == []
    assert await store.fire_due_schedules("cron") == (1, 1)
    assert await store.fire_due_schedules("cron") is None
