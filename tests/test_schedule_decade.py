"""Ten years of a hundred schedules, their messages run by a worker, in a moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.schedules.shown import at
from tests.schedules.test_calendar_rules import RULES
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
YEAR = datetime(2021, 1, 1, tzinfo=UTC)
MEMORY = "sqlite://:memory:"
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


def previewed(when: When, end: datetime) -> list[datetime]:
    """List the runs before an instant, a few at a time: rare ones go far ahead."""
    moments: list[datetime] = []
    while page := when.preview(20, moments[-1] if moments else START):
        moments += page
        if page[-1] >= end:
            break
    return [moment for moment in moments if moment < end]


async def simulate(url: str, end: datetime) -> list[tuple[float, str]]:
    """Return what ran when; it must be what the previews had said."""
    ran: list[tuple[float, str]] = []

    async def handler(job: Job) -> None:
        await trio.sleep(1 + len(job.message_id) % 3)
        ran.append((trio.current_time(), job.message_id))

    said: dict[str, list[datetime]] = {}
    async with open_store(url, clock=TrioClock(START)) as store:
        await store.create_queue(
            "jobs", QueueOptions(retention=RetentionPolicy.keep(86_400))
        )
        for number in range(100):
            schedule = await store.create_schedule(
                Schedule(f"s{number}", "jobs", rule(number), misfire=Misfire.all())
            )
            said[schedule.id] = previewed(schedule.when, end)
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


CRONS = st.builds(
    lambda minute, hour, day, month, weekday, zone: Cron(
        f"{minute} {hour} {day} {month} {weekday}", tz=zone
    ),
    st.integers(0, 59),
    st.integers(0, 23),
    st.sampled_from(["3", "1,15", "28-31", "L"]),
    st.sampled_from(["*", "3", "2,11", "*/7"]),
    st.sampled_from(["*", "1", "5", "3#2"]),
    st.sampled_from(ZONES),
)
CALENDARS = st.builds(
    lambda rules, zone, gap: Calendar(
        rules, tz=zone, business_calendar=OFFICE, gap=gap
    ),
    st.lists(RULES.filter(lambda r: len(r.times) < 2), min_size=1, max_size=2),
    st.sampled_from(ZONES),
    st.sampled_from(["shift", "skip"]),
)


async def run_up_to(url: str, end: datetime, rules: list[When]) -> None:
    """Run schedules; they must post when their previews had said, and only then."""
    said: dict[str, list[datetime]] = {}
    async with open_store(url, clock=TrioClock(START)) as store:
        await store.create_queue("jobs")
        for number, when in enumerate(rules):
            created = await store.create_schedule(Schedule(f"s{number}", "jobs", when))
            said[created.id] = previewed(created.when, end)
        async with open_services(store):
            await trio.sleep((end - START).total_seconds())
        for schedule_id, moments in said.items():
            runs = await store.schedule_history(schedule_id, limit=10_000)
            posted = [run.posted_at.timestamp() for run in reversed(runs)]
            assert posted == [moment.timestamp() for moment in moments]
            assert {run.kind for run in runs} <= {"on_time"}


ANY_RULES = st.lists(CRONS | CALENDARS, min_size=2, max_size=3)


@settings(max_examples=5)
@given(ANY_RULES)
def test_ten_years_of_any_schedules_are_what_their_previews_said(
    rules: list[When],
) -> None:
    trio.run(run_up_to, MEMORY, END, rules, clock=MockClock(autojump_threshold=0))


def test_a_year_of_any_schedules_is_so_on_postgres_too(
    postgres_urls: Callable[[], str],
) -> None:
    @settings(max_examples=3)
    @given(ANY_RULES)
    def each(rules: list[When]) -> None:
        clock = MockClock(autojump_threshold=0)
        trio.run(run_up_to, postgres_urls(), YEAR, rules, clock=clock)

    each()


def test_a_decade_takes_seconds() -> None:
    began = time.process_time()
    ran = trio.run(simulate, MEMORY, END, clock=MockClock(autojump_threshold=0))
    assert len(ran) > 3500
    assert time.process_time() - began < 40


def test_history_repeats_exactly(afresh: Callable[[], str]) -> None:
    histories = []
    for _ in range(2):
        url = afresh()
        months = 12 if url == MEMORY else 3
        end = START + timedelta(days=31 * months)
        histories.append(
            trio.run(simulate, url, end, clock=MockClock(autojump_threshold=0))
        )
        assert len(histories[-1]) > 25 * months
    assert histories[0] == histories[1]


@pytest.mark.parametrize("number", [5, 13])
def test_the_rules_of_the_decade_meet_clock_changes(number: int) -> None:
    found = rule(number).next_after(at("2027-02-28 00:00"))
    assert found is not None
    assert found.timestamp() < at("2028-03-01").timestamp()
