"""Stored business calendars: schedules that name one follow it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.helpers import QUEUE, World, contract, on_shared
from tests.scheduling import go_to, posted
from trioqueue import (
    BusinessCalendarNotFoundError,
    Calendar,
    IllegalStateError,
    Misfire,
    Schedule,
    ScheduleState,
    Store,
    ValidationError,
)
from trioqueue.schedules import (
    BusinessCalendar,
    BusinessDays,
    Holiday,
)
from trioqueue.services import CalendarService

DAY = timedelta(days=1)
ALWAYS = BusinessCalendar("plant", weekend_days=())


def closed(*instants: datetime) -> BusinessCalendar:
    """Make the plant's calendar with some days closed."""
    holidays = tuple(Holiday.on(each.date(), "closed") for each in instants)
    return BusinessCalendar("plant", holidays, weekend_days=())


def plant_schedule(**settings: Any) -> Schedule:
    when = Calendar([BusinessDays(times=["09:00"])], business_calendar="plant")
    values = {"id": "s", "queue": QUEUE, "when": when, **settings}
    return Schedule(**values)


async def run_calendars(store: Store) -> int:
    return await CalendarService(store).run_once()


async def prepare(world: World, **settings: Any) -> datetime:
    """Make a schedule of the plant's and return its first run."""
    await world.make_queue()
    await world.store.put_business_calendar(ALWAYS)
    created = await world.store.create_schedule(plant_schedule(**settings))
    assert created.next_run is not None
    assert created.next_run.hour == 9
    return created.next_run


@contract
async def test_a_calendar_is_kept_replaced_listed_and_deleted(world: World) -> None:
    store = world.store
    assert await store.put_business_calendar(ALWAYS) == ALWAYS
    assert await store.get_business_calendar("plant") == ALWAYS
    changed = closed(store.now())
    assert await store.put_business_calendar(changed) == changed
    assert await store.get_business_calendar("plant") == changed
    other = BusinessCalendar("a")
    await store.put_business_calendar(other)
    assert await store.list_business_calendars() == [other, changed]
    assert await store.list_business_calendars(limit=1) == [other]
    assert await store.list_business_calendars(after="a") == [changed]
    await store.delete_business_calendar("plant")
    assert await store.list_business_calendars() == [other]
    for call in (store.get_business_calendar, store.delete_business_calendar):
        with pytest.raises(BusinessCalendarNotFoundError) as raised:
            await call("plant")
        assert raised.value.calendar_id == "plant"


@contract
async def test_a_calendar_with_errors_is_refused(world: World) -> None:
    store = world.store
    wrong: list[Any] = [
        "plant",
        None,
        BusinessCalendar("no good"),
        BusinessCalendar("c", weekend_days=(1, 2, 3, 4, 5, 6, 8)),
    ]
    for calendar in wrong:
        with pytest.raises(ValidationError):
            await store.put_business_calendar(calendar)
    assert await store.list_business_calendars() == []


@contract
async def test_a_schedule_needs_the_calendar_that_it_names(world: World) -> None:
    await world.make_queue()
    with pytest.raises(BusinessCalendarNotFoundError):
        await world.store.create_schedule(plant_schedule())
    assert await world.store.list_schedules() == []


@contract
async def test_a_schedule_runs_on_the_business_days_of_the_stored_calendar(
    world: World,
) -> None:
    first = await prepare(world)
    changed = closed(first + DAY, first + 2 * DAY)
    await world.store.put_business_calendar(changed)
    assert (await world.store.get_schedule("s")).next_run == first
    await go_to(world, first, 1)
    assert await run_calendars(world.store) == 1
    assert (await world.store.get_schedule("s")).next_run == first + 3 * DAY
    stored = (await world.store.get_schedule("s")).when
    assert stored.resolve(changed).next_after(first) == first + 3 * DAY


@contract
async def test_a_changed_calendar_moves_the_next_run_at_once(world: World) -> None:
    first = await prepare(world)
    await world.store.put_business_calendar(closed(first))
    state = await world.store.get_schedule("s")
    assert state.next_run == first + DAY
    assert state.revision == 1  # its own settings have not changed
    await go_to(world, first, 1)
    assert await run_calendars(world.store) == 0
    await world.store.put_business_calendar(ALWAYS)
    assert (await world.store.get_schedule("s")).next_run == first + DAY
    assert await run_calendars(world.store) == 0  # what is past is not made up for
    await go_to(world, first + DAY, 1)
    assert await run_calendars(world.store) == 1


@contract
async def test_a_run_that_is_due_stays_due_when_its_day_is_closed(
    world: World,
) -> None:
    first = await prepare(world, misfire=Misfire.skip())
    await go_to(world, first, 30)
    await world.store.put_business_calendar(closed(first, first + DAY))
    assert await run_calendars(world.store) == 1
    assert len(await posted(world.store)) == 1
    assert (await world.store.get_schedule("s")).next_run == first + 2 * DAY


@contract
async def test_a_change_does_not_run_again_what_has_run(world: World) -> None:
    first = await prepare(world)
    await go_to(world, first, 1)
    assert await run_calendars(world.store) == 1
    for calendar in (closed(first), ALWAYS, closed(first + DAY), ALWAYS):
        await world.store.put_business_calendar(calendar)
        assert await run_calendars(world.store) == 0
    assert (await world.store.get_schedule("s")).next_run == first + DAY


@contract
async def test_a_paused_schedule_follows_the_calendar_and_stays_paused(
    world: World,
) -> None:
    first = await prepare(world)
    await world.store.pause_schedule("s")
    await world.store.put_business_calendar(closed(first))
    assert (await world.store.get_schedule("s")).state is ScheduleState.PAUSED
    resumed = await world.store.resume_schedule("s")
    assert resumed.next_run == first + DAY


@contract
async def test_a_calendar_that_leaves_no_run_completes_the_schedule(
    world: World,
) -> None:
    first = await prepare(world)
    state = await world.store.get_schedule("s")
    await world.store.update_schedule(plant_schedule(end_at=first))
    await world.store.put_business_calendar(closed(first))
    state = await world.store.get_schedule("s")
    assert state.state is ScheduleState.COMPLETED
    assert (state.reason, state.next_run) == ("end_at has passed", None)


@contract
async def test_a_calendar_put_right_gives_back_the_runs_that_it_took(
    world: World,
) -> None:
    first = await prepare(world)
    store = world.store
    await store.update_schedule(plant_schedule(end_at=first))
    await store.create_schedule(plant_schedule(id="enough", max_messages=1))
    for calendar in (closed(first), closed(first), ALWAYS):
        await store.put_business_calendar(calendar)
    state = await store.get_schedule("s")
    assert (state.state, state.reason) == (ScheduleState.SCHEDULED, None)
    assert state.next_run == first
    await go_to(world, first, 1)
    assert await run_calendars(store) == 2
    for calendar in (closed(first + DAY), ALWAYS):
        await store.put_business_calendar(calendar)
        states = [each.state for each in await store.list_schedules()]
        assert states == [ScheduleState.COMPLETED] * 2
    assert await run_calendars(store) == 0


@contract
async def test_a_calendar_in_use_is_not_deleted(world: World) -> None:
    await prepare(world)
    with pytest.raises(IllegalStateError, match="'s'"):
        await world.store.delete_business_calendar("plant")
    weekly = Calendar([BusinessDays(times=["09:00"])])
    await world.store.update_schedule(plant_schedule(when=weekly))
    await world.store.delete_business_calendar("plant")


@on_shared
@contract
async def test_a_calendar_that_is_lost_or_damaged_stops_its_schedules_only(
    world: World,
) -> None:
    first = await prepare(world)
    own = Calendar([BusinessDays(times=["09:00"])], business_calendar=ALWAYS)
    await world.store.create_schedule(plant_schedule(id="t", when=own))
    world.write_behind("UPDATE tq_business_calendars SET document = '{}'")
    await go_to(world, first, 1)
    assert await run_calendars(world.store) == 1
    state = await world.store.get_schedule("s")
    assert state.state is ScheduleState.ERRORED
    assert (await world.store.get_schedule("t")).run_count == 1
    await world.store.put_business_calendar(ALWAYS)
    await world.store.resume_schedule("s")
    assert await run_calendars(world.store) == 1


@on_shared
@contract
async def test_a_schedule_without_its_calendar_ends_in_an_error(world: World) -> None:
    first = await prepare(world)
    world.write_behind("DELETE FROM tq_business_calendars")
    await go_to(world, first, 1)
    assert await run_calendars(world.store) == 0
    state = await world.store.get_schedule("s")
    assert state.state is ScheduleState.ERRORED
    assert state.reason is not None
    assert "plant" in state.reason
    with pytest.raises(BusinessCalendarNotFoundError):
        await world.store.resume_schedule("s")
