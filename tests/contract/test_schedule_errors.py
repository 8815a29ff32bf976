"""Schedules that cannot run: each says why, harms no other, and can be mended."""

from __future__ import annotations

import attrs
import pytest

from tests.helpers import QUEUE, World, contract, on_shared
from tests.scheduling import every, posted, run_cron, schedule
from trioqueue import (
    Misfire,
    QueueNotFoundError,
    QueueOptions,
    Schedule,
    ScheduleState,
    Store,
    ValidationError,
)

pytestmark = pytest.mark.usefixtures("every")
_ = every


async def create(store: Store, **settings: object) -> Schedule:
    return await store.create_schedule(schedule(3600, **settings))


@contract
async def test_a_trigger_that_the_queue_refuses_raises(world: World) -> None:
    await world.make_queue()
    await create(world.store)
    await world.store.update_queue(QUEUE, QueueOptions(max_payload_bytes=2))
    with pytest.raises(ValidationError, match="payload"):
        await world.store.trigger_schedule("s")
    await world.store.delete_queue(QUEUE, force=True)
    with pytest.raises(QueueNotFoundError):
        await world.store.trigger_schedule("s")
    assert await world.store.schedule_history("s") == []


@contract
async def test_a_lost_queue_ends_in_an_error_that_resuming_mends(
    world: World,
) -> None:
    await world.make_queue()
    await create(world.store)
    neighbour = schedule(3600, id="t", queue="other")
    await world.make_queue("other")
    await world.store.create_schedule(neighbour)
    await world.store.delete_queue(QUEUE, force=True)
    await world.advance(3600)
    assert await run_cron(world.store) == 1
    state = await world.store.get_schedule("s")
    assert state.state is ScheduleState.ERRORED
    assert state.reason is not None
    assert "queue 'jobs' does not exist" in state.reason
    assert (state.next_run, state.run_count) == (None, 0)
    assert len(await posted(world.store, "other")) == 1
    await world.advance(3600)
    assert await run_cron(world.store) == 1  # the neighbour
    await world.make_queue()
    resumed = await world.store.resume_schedule("s")
    assert (resumed.state, resumed.reason) == (ScheduleState.SCHEDULED, None)
    assert await run_cron(world.store) == 1
    (run,) = await world.store.schedule_history("s")
    assert (run.kind, run.merged) == ("catch_up", 1)


@contract
async def test_a_message_that_no_longer_fits_ends_in_an_error(world: World) -> None:
    await world.make_queue()
    await create(world.store, payload="x" * 50, misfire=Misfire.all())
    await world.store.update_queue(QUEUE, QueueOptions(max_payload_bytes=20))
    await world.advance(3 * 3600)
    assert await run_cron(world.store) == 0
    state = await world.store.get_schedule("s")
    assert state.state is ScheduleState.ERRORED
    assert state.reason is not None
    assert "payload" in state.reason
    mended = attrs.evolve(state, payload="x")
    updated = await world.store.update_schedule(mended)
    assert updated.state is ScheduleState.SCHEDULED
    assert await run_cron(world.store) == 3


@on_shared
@contract
async def test_a_rule_that_cannot_be_read_stops_its_own_schedule_only(
    world: World,
) -> None:
    await world.make_queue()
    for name in ("a", "b", "c", "d"):
        await world.store.create_schedule(schedule(3600, id=name))
    update = "UPDATE tq_schedules SET rule = ? WHERE schedule_id = ?"
    world.write_behind(update, "no JSON", "b")
    world.write_behind(update, '{"from": "the future"}', "c")
    await world.advance(3600)
    assert await run_cron(world.store) == 2
    listed = await world.store.list_schedules()
    assert [each.state.name for each in listed] == [
        "SCHEDULED",
        "ERRORED",
        "ERRORED",
        "SCHEDULED",
    ]
    assert listed[1].reason is not None
    assert "cannot be read" in listed[1].reason
    assert "cannot be read" in listed[1].when.describe()
    with pytest.raises(ValidationError):
        listed[1].when.next_after(world.store.now())
    with pytest.raises(ValidationError, match="cannot be read"):
        await world.store.resume_schedule("b")
    state = await world.store.update_schedule(schedule(3600, id="b"))
    assert state.state is ScheduleState.SCHEDULED


@on_shared
@contract
async def test_damaged_metadata_stops_its_own_schedule_only(world: World) -> None:
    await world.make_queue()
    for name in ("a", "b"):
        await create(world.store, id=name, metadata={"own": 1})
    update = "UPDATE tq_schedules SET metadata = ? WHERE schedule_id = ?"
    world.write_behind(update, "no JSON", "a")
    await world.advance(3600)
    assert await run_cron(world.store) == 1
    damaged, sound = await world.store.list_schedules()
    assert (damaged.state, damaged.metadata) == (ScheduleState.ERRORED, None)
    assert (sound.state, sound.run_count) == (ScheduleState.SCHEDULED, 1)


@on_shared
@contract
async def test_a_kind_of_a_newer_version_is_left_alone(world: World) -> None:
    await world.make_queue()
    await create(world.store)
    world.write_behind("UPDATE tq_schedules SET kind = 'solar', rule = '{}'")
    await world.advance(3600)
    assert await run_cron(world.store) == 0
    state = await world.store.get_schedule("s")
    assert state.state is ScheduleState.SCHEDULED
    assert state.when.kind == "solar"
    assert "there is no kind of schedule 'solar'" in state.when.describe()
    assert state.when.to_document() == {"unreadable": "{}"}
    with pytest.raises(ValidationError, match="cannot be read"):
        await world.store.update_schedule(state)


@contract
async def test_an_errored_schedule_can_be_paused_triggered_and_deleted(
    world: World,
) -> None:
    await world.make_queue()
    await create(world.store)
    await world.store.delete_queue(QUEUE, force=True)
    await world.advance(3600)
    assert await run_cron(world.store) == 0
    await world.make_queue()
    await world.store.trigger_schedule("s")
    paused = await world.store.pause_schedule("s")
    assert (paused.state, paused.reason) == (ScheduleState.PAUSED, None)
    await world.store.resume_schedule("s")
    assert await run_cron(world.store) == 1
    await world.store.delete_schedule("s")
    assert len(await posted(world.store)) == 2
