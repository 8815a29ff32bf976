"""Cron expressions and calendars in a store: they run when they say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
import trio
from trio.testing import MockClock

from trioqueue import (
    Calendar,
    Cron,
    Misfire,
    Schedule,
    ScheduleState,
    Store,
    TrioClock,
    ValidationError,
    open_services,
    open_store,
)
from trioqueue.schedules import (
    BusinessDays,
    Daily,
    Monthly,
    Reschedule,
    Skip,
    Weekly,
    Yearly,
)

QUEUE: Final = "jobs"
RULES: Final = {
    "every two minutes": Cron("*/2 * * * *"),
    "Monday mornings in Paris": Cron("0 9 * * 1", tz="Europe/Paris"),
    "in the gap and the overlap": Cron("30 2 * * *", tz="America/New_York"),
    "every hour through the clock changes": Cron("@hourly", tz="Europe/Berlin"),
    "once a day at a minute of its own": Cron("H H * * *"),
    "the last day of the month": Cron("0 0 L * *"),
    "every other day from creation": Calendar([Daily(interval=2)]),
    "at night in New York": Calendar([Daily(times=["02:30"])], tz="America/New_York"),
    "31st": Calendar([Monthly(day=31)]),
    "leap days": Calendar([Yearly(month=2, day=29)]),
    "business days": Calendar([BusinessDays(times=["17:00", "09:00"])]),
    "two weeks": Calendar([Weekly(days=[1, 5], interval=2)], tz="Pacific/Auckland"),
    "exceptions": Calendar(
        [Daily(times=["09:00"])],
        exceptions=[
            Skip(datetime(2000, 3, 2).date()),  # noqa: DTZ001  a day on the wall
            Reschedule(
                datetime(2000, 3, 4).date(),  # noqa: DTZ001  as above
                to=datetime(2000, 3, 6, 15),  # noqa: DTZ001  as above
            ),
        ],
    ),
}


async def finish_next(store: Store) -> str:
    (job,) = await store.claim_wait(QUEUE)
    await store.complete(job)
    return job.message_id


@pytest.mark.parametrize("name", RULES)
async def test_it_runs_when_its_preview_says(
    anywhere: str, autojump_clock: MockClock, name: str
) -> None:
    start = TrioClock(datetime(2000, 2, 28, 12, 0, 5, tzinfo=UTC))
    async with open_store(anywhere, clock=start) as store, open_services(store):
        await store.create_queue(QUEUE)
        created = await store.create_schedule(Schedule("s", QUEUE, RULES[name]))
        previewed = await store.preview_schedule("s", count=60)
        bound = created.when.preview(60, store.now())
        assert previewed == bound
        assert len(previewed) == 60
        for instant in previewed:
            await finish_next(store)
            assert store.now() == instant
        history = await store.schedule_history("s", limit=100)
        assert [run.posted_at for run in reversed(history)] == previewed
        assert {run.kind for run in history} == {"on_time"}
        kept = await store.get_schedule("s")
        assert kept.when == created.when


async def test_every_two_minutes_counts_and_goes_on(
    anywhere: str, autojump_clock: MockClock
) -> None:
    ten = datetime(2026, 1, 5, 9, 59, tzinfo=UTC)
    async with (
        open_store(anywhere, clock=TrioClock(ten)) as store,
        open_services(store),
    ):
        await store.create_queue(QUEUE)
        asked = Schedule("s", QUEUE, Cron("*/2 * * * *"), {"a": 1})
        await store.create_schedule(asked)
        await trio.sleep(5 * 60 + 1)
        messages = await store.peek(QUEUE)
        assert [m.payload for m in messages] == [{"a": 1}] * 3
        state = await store.get_schedule("s")
        assert state.run_count == 3
        assert state.last_run == ten.replace(hour=10, minute=4)
        assert state.next_run == ten.replace(hour=10, minute=6)


@pytest.mark.parametrize(
    "expression", ["0 0 31 2 *", "nonsense", "61 * * * *", "* * * *", "R * * * *"]
)
def test_an_expression_that_cannot_run_never_reaches_a_store(expression: str) -> None:
    with pytest.raises(ValidationError):
        Cron(expression)


async def test_a_calendar_with_errors_is_refused(
    anywhere: str, autojump_clock: MockClock
) -> None:
    async with open_store(anywhere) as store:
        await store.create_queue(QUEUE)
        for bad in (
            Calendar(),
            Calendar([Monthly(day=32)]),
            Calendar([Monthly(day=31, months=[2])]),
            Calendar([Daily()], tz="Mars/Olympus"),
        ):
            with pytest.raises(ValidationError):
                await store.create_schedule(Schedule("s", QUEUE, bad))
        assert await store.list_schedules() == []


async def test_schedules_with_the_same_hashed_expression_run_apart(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    async with open_store(anywhere) as store:
        await store.create_queue(QUEUE)
        rule = Cron("H H * * *")
        instants = set()
        for number in range(50):
            asked = Schedule(f"s{number}", QUEUE, rule)
            created = await store.create_schedule(asked)
            assert await store.create_schedule(asked) == created
            instants.add(created.next_run)
        assert len(instants) > 40


async def test_the_day_of_creation_stays_the_anchor_through_updates(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    async with open_store(anywhere) as store, open_services(store):
        await store.create_queue(QUEUE)
        rule = Calendar([Daily(interval=3)])
        created = await store.create_schedule(Schedule("s", QUEUE, rule))
        start = store.now()
        assert created.next_run == start + timedelta(days=3)
        await trio.sleep(86_400 * 4)
        again = Schedule("s", QUEUE, rule, "new", misfire=Misfire.skip())
        updated = await store.update_schedule(again)
        assert updated.next_run == start + timedelta(days=6)
        assert updated.state is ScheduleState.SCHEDULED
        assert await store.create_schedule(again) == updated
