"""A preview says what will run, and what runs is what it said."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.helpers import QUEUE, World, contract
from tests.scheduling import Every, at, every, go_to, schedule
from trioqueue import (
    Calendar,
    Misfire,
    Schedule,
    ValidationError,
)
from trioqueue.schedules import (
    BusinessCalendar,
    BusinessDays,
    Daily,
    Extra,
    Holiday,
    Reschedule,
    Skip,
)
from trioqueue.schedules.monthly import Monthly
from trioqueue.services import CalendarService, CronProcessorService

pytestmark = pytest.mark.usefixtures("every")
_ = every
HOUR = timedelta(hours=1)


async def assert_runs_as_previewed(
    world: World, asked: Schedule, count: int = 12
) -> list[datetime]:
    """Run a schedule so often, and compare."""
    store = world.store
    created = await store.create_schedule(asked)
    previewed = await store.preview_schedule(created.id, count=count)
    assert previewed == sorted(set(previewed))
    assert previewed[0] == created.next_run
    ran = []
    for instant in previewed:
        state = await store.get_schedule(created.id)
        assert state.next_run == instant
        assert (await store.preview_schedule(created.id, count=1)) == [instant]
        await go_to(world, instant, 0.001)
        done = await CronProcessorService(store).run_once()
        done += await CalendarService(store).run_once()
        assert done == 1
        last = (await store.get_schedule(created.id)).last_run
        assert last is not None
        ran.append(last)
    assert ran == previewed
    return previewed


@contract
async def test_a_rule_with_a_moved_occurrence(world: World) -> None:
    await world.make_queue()
    now = world.store.now().timestamp() // 3600 * 3600
    rule = Every(3600, moved=((now + 7200, now + 20_000), (now + 18_000, now + 3700)))
    runs = await assert_runs_as_previewed(world, schedule(when=rule))
    # One later and one earlier than its name says.
    assert {run.timestamp() - now for run in runs} >= {20_000, 3700}
    assert not {run.timestamp() - now for run in runs} & {7200, 18_000}


@contract
async def test_a_schedule_with_an_end_and_one_with_a_limit(world: World) -> None:
    await world.make_queue()
    ended = schedule(3600, id="e", start_at=at(3.6e9), end_at=at(3.6e9 + 4 * 3600))
    assert len(await assert_runs_as_previewed(world, ended)) == 5
    assert await world.store.preview_schedule("e") == []
    limited = schedule(3600, id="l", max_messages=3)
    assert len(await assert_runs_as_previewed(world, limited)) == 3
    assert await world.store.preview_schedule("l") == []


@contract
async def test_business_days_of_a_stored_calendar_and_exceptions(
    world: World,
) -> None:
    await world.make_queue()
    today = world.store.now().date()
    days = [today + timedelta(days=n) for n in range(20)]
    closed = (Holiday.on(days[4], "a"), Holiday.on(days[5], "b"))
    calendar = BusinessCalendar("c", closed, weekend_days=(7,))
    await world.store.put_business_calendar(calendar)
    open_days = [day for day in days[2:] if calendar.is_business_day(day)]
    when = Calendar(
        [BusinessDays(times=["09:00", "17:00"]), Monthly(day=28)],
        tz="Europe/Paris",
        business_calendar="c",
        exceptions=[
            Skip(open_days[0]),
            Reschedule(open_days[1], to=days[5]),
            Extra(days[4], times=["12:00"]),
        ],
    )
    runs = await assert_runs_as_previewed(world, Schedule("s", QUEUE, when), 20)
    assert len(runs) == 20


@contract
async def test_a_daily_calendar_in_a_zone(world: World) -> None:
    await world.make_queue()
    when = Calendar([Daily(interval=2, times=["02:30"])], tz="America/New_York")
    runs = await assert_runs_as_previewed(world, Schedule("s", QUEUE, when), 200)
    assert len(runs) == 200


@contract
async def test_a_preview_of_what_is_due_stopped_or_over(world: World) -> None:
    await world.make_queue()
    asked = schedule(3600, misfire=Misfire.all())
    created = await world.store.create_schedule(asked)
    first = created.next_run
    assert first is not None
    await go_to(world, first, 7201)
    due = await world.store.preview_schedule("s", count=4)
    assert due == [first + n * HOUR for n in range(4)]
    await world.store.pause_schedule("s")
    paused = await world.store.preview_schedule("s", count=2)
    assert paused == [first + n * HOUR for n in (3, 4)]
    wrong: list[Any] = [0, -1, 1.5, 10_001]
    for count in wrong:
        with pytest.raises(ValidationError):
            await world.store.preview_schedule("s", count=count)
