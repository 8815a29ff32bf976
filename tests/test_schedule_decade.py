"""Ten years of a hundred schedules, their messages run by a worker, in a moment."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime

import pytest
import trio
from trio.testing import MockClock

from tests.schedules.shown import at
from trioqueue import (
    Calendar,
    Cron,
    Job,
    Misfire,
    QueueOptions,
    RetentionPolicy,
    Schedule,
    TrioClock,
    Worker,
    open_services,
    open_store,
)
from trioqueue.schedules import (
    BusinessCalendar,
    Custom,
    Holiday,
    Monthly,
    Recurrence,
    Reschedule,
    Skip,
    When,
    Yearly,
)

START = datetime(2020, 1, 1, tzinfo=UTC)
END = datetime(2030, 1, 1, tzinfo=UTC)
ZONES = ("America/New_York", "Europe/Paris", "Australia/Lord_Howe", "Asia/Tokyo", "UTC")
OFFICE = BusinessCalendar(
    "office", [Holiday.fixed(12, 25), Holiday.fixed(1, 1), Holiday.easter(1)]
)


def rule(number: int) -> When:
    """Make one of a hundred different rules; most of them run once a quarter."""
    zone = ZONES[number % len(ZONES)]
    hour, minute = number % 24, 7 * number % 60
    times = f"{hour:02}:{minute:02}"
    months = [number % 3 + 1, number % 3 + 4, number % 3 + 7, number % 3 + 10]
    kind = number % 8
    if kind == 0:
        return Cron(f"{minute} {hour} {number % 28 + 1} 1,4,7,10 *", tz=zone)
    if kind == 1:
        return Cron(f"H H(0-5) * */3 {number % 7}#{number % 4 + 1}", tz=zone)
    rules = {
        2: Monthly(number % 31 + 1, months=months, times=times),
        3: Monthly(business_day="last", months=months, times=times),
        4: Custom("nth_business_day", {"n": number % 20 + 1}, times=times),
        5: Yearly(2, 29, adjust_for_leap_year=True, times=["02:30", times]),
        6: Monthly(weekday=number % 7 + 1, nth=-1, months=months, times=times),
        7: Recurrence(
            "FREQ=WEEKLY;INTERVAL=9;BYDAY=SU",
            datetime(2020, 1, 5, hour, minute, tzinfo=UTC),
        ),
    }
    exceptions = [Skip(date(2025, 5, 15)), Reschedule("2026-12-31", "2026-12-30")]
    return Calendar(
        [rules[kind]], tz=zone, business_calendar=OFFICE, exceptions=exceptions
    )


async def simulate(end: datetime) -> list[tuple[float, str]]:
    """Return what ran when; it must be what the previews had said."""
    ran: list[tuple[float, str]] = []

    async def handler(job: Job) -> None:
        await trio.sleep(1 + len(job.message_id) % 3)
        ran.append((trio.current_time(), job.message_id))

    said: dict[str, list[datetime]] = {}
    async with open_store("sqlite://:memory:", clock=TrioClock(START)) as store:
        await store.create_queue(
            "jobs", QueueOptions(retention=RetentionPolicy.keep(86_400))
        )
        for number in range(100):
            schedule = await store.create_schedule(
                Schedule(f"s{number}", "jobs", rule(number), misfire=Misfire.all())
            )
            moments = schedule.when.preview(200, START)
            said[schedule.id] = [moment for moment in moments if moment < end]
        async with open_services(store), trio.open_nursery() as nursery:
            worker = Worker(store, {"jobs": handler}, concurrency=10)
            await nursery.start(worker.run)
            await trio.sleep((end - START).total_seconds())
            worker.stop()
        for schedule_id, moments in said.items():
            runs = await store.schedule_history(schedule_id, limit=1000)
            assert [run.posted_at.timestamp() for run in reversed(runs)] == [
                moment.timestamp() for moment in moments
            ]
            assert {run.kind for run in runs} <= {"on_time"}
    assert len({message_id for _, message_id in ran}) == len(ran)
    assert len(ran) == sum(map(len, said.values()))
    # Trio itself draws lots among what wakes at the same instant.
    return sorted(ran)


def test_a_decade_takes_seconds() -> None:
    began = time.process_time()
    ran = trio.run(simulate, END, clock=MockClock(autojump_threshold=0))
    assert len(ran) > 3500
    assert time.process_time() - began < 40


def test_history_repeats_exactly() -> None:
    end = START.replace(year=2021)
    one, two = (
        trio.run(simulate, end, clock=MockClock(autojump_threshold=0)) for _ in "12"
    )
    assert len(one) > 300
    assert one == two


@pytest.mark.parametrize("number", [5, 13])
def test_the_rules_of_the_decade_meet_clock_changes(number: int) -> None:
    found = rule(number).next_after(at("2027-02-28 00:00"))
    assert found is not None
    assert found.timestamp() < at("2028-03-01").timestamp()
