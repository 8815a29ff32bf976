"""Schedules run through virtual time, without any passing, and with the reasons."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
import trio

from tests.schedules.shown import at
from trioqueue import (
    App,
    Misfire,
    Schedule,
    Store,
    ValidationError,
    open_store,
)
from trioqueue.schedules import (
    BusinessCalendar,
    BusinessDays,
    Calendar,
    Cron,
    Daily,
    Holiday,
    Monthly,
    Reschedule,
    Skip,
)
from trioqueue.testing import Simulation, simulate

NEW_YORK = "America/New_York"


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def shown(simulation: Simulation) -> list[str]:
    return [
        " ".join(
            [
                run.schedule_id,
                f"{run.at:%m-%d %H:%M}",
                run.kind,
                *([f"+{run.merged}"] if run.merged else []),
                *(f"({note})" for note in run.notes),
            ]
        )
        for run in simulation.runs
    ]


async def store_with(store: Store, *schedules: Schedule) -> Store:
    await store.create_queue("jobs")
    for schedule in schedules:
        await store.create_schedule(schedule)
    return store


async def test_it_lists_what_would_run_when_and_why(anywhere: str) -> None:
    odd = Calendar(
        [Daily(times="02:30")],
        tz=NEW_YORK,
        exceptions=[
            Skip("2026-03-07"),
            Reschedule("2026-03-10", datetime(2026, 3, 10, 12)),
        ],
    )
    async with open_store(anywhere) as store:
        await store_with(
            store,
            Schedule("cron", "jobs", Cron("0 12 * * 1")),
            Schedule("odd", "jobs", odd, {"n": 1}),
        )
        found = await simulate(store, day("2026-03-07"), day("2026-03-11"))
        assert await store.schedule_history("odd") == []
    assert shown(found) == [
        "odd 03-07 07:30 skipped (skipped by an exception)",
        (
            "odd 03-08 07:30 on_time (2026-03-08 02:30 does not exist: the clocks go "
            "forward)"
        ),
        "odd 03-09 06:30 on_time",
        "cron 03-09 12:00 on_time",
        "odd 03-10 16:00 on_time (rescheduled from 2026-03-10 02:30)",
    ]
    assert found.complete
    assert found.runs[-1].occurrence == day("2026-03-10T06:30")


@pytest.mark.parametrize(
    ("misfire", "after_the_outage"),
    [
        (
            Misfire.coalesce(),
            ["s 03-06 10:00 catch_up +4 (coalesced with 4 other missed runs)"],
        ),
        (Misfire.skip(), []),
        (Misfire.all(), ["s 03-06 10:00 catch_up"] * 5),
    ],
    ids=["coalesce", "skip", "all"],
)
async def test_an_outage_shows_what_the_misfire_policy_does(
    anywhere: str, misfire: Misfire, after_the_outage: list[str]
) -> None:
    daily = Calendar([Daily(times="09:00")])
    async with open_store(anywhere) as store:
        await store_with(store, Schedule("s", "jobs", daily, misfire=misfire))
        found = await simulate(
            store,
            day("2026-03-01"),
            day("2026-03-08"),
            outages=[(day("2026-03-02"), day("2026-03-06T10:00"))],
        )
    assert shown(found) == [
        "s 03-01 09:00 on_time",
        *after_the_outage,
        "s 03-07 09:00 on_time",
    ]


async def test_the_days_of_an_app_are_counted_from_the_start() -> None:
    app = App()

    @app.schedule(Calendar([Daily(3, times="09:00")]))
    @app.task
    async def report() -> None: ...

    found = await simulate(app, day("2026-03-01"), day("2026-03-08"))
    assert [f"{run.at:%m-%d}" for run in found.runs] == ["03-01", "03-04", "03-07"]


async def test_stored_business_calendars_and_jitter_count(anywhere: str) -> None:
    us = BusinessCalendar("us", [Holiday.fixed(7, 3, name="day off")])
    async with open_store(anywhere) as store:
        await store.put_business_calendar(us)
        await store_with(
            store,
            Schedule(
                "s",
                "jobs",
                Calendar([BusinessDays()], business_calendar="us"),
                jitter_seconds=60,
            ),
        )
        found = await simulate(store, day("2026-07-01"), day("2026-07-07"))
    assert [run.at.day for run in found.runs] == [1, 2, 6, 7]
    assert all(0 <= run.jitter_seconds < 60 for run in found.runs)
    assert len({run.jitter_seconds for run in found.runs}) > 1


async def test_schedules_that_would_not_run_are_named_with_the_reason(
    anywhere: str,
) -> None:
    gone = Calendar([Daily(valid_until=datetime(2100, 1, 1))])
    async with open_store(anywhere) as store:
        await store_with(
            store,
            Schedule("paused", "jobs", Cron("@daily")),
            Schedule("gone", "jobs", gone),
            Schedule("other", "jobs", Cron("@daily")),
        )
        await store.pause_schedule("paused", "for the summer")
        found = await simulate(
            store,
            day("2101-03-01"),
            day("2101-03-02T12:00"),
            schedule_ids={"paused", "gone"},
        )
    assert found.runs == ()
    assert found.idle["paused"] == "PAUSED: for the summer"
    assert "when" in found.idle["gone"]


async def test_it_stops_after_so_many_runs(anywhere: str) -> None:
    async with open_store(anywhere) as store:
        await store_with(store, Schedule("s", "jobs", Cron("* * * * *")))
        found = await simulate(store, day("2026-01-01"), day("2027-01-01"), limit=50)
    assert not found.complete
    assert 50 <= len(found.runs) < 2000


async def test_what_a_schedule_has_left_of_its_messages_counts(anywhere: str) -> None:
    async with open_store(anywhere) as store:
        await store_with(store, Schedule("s", "jobs", Cron("@daily"), max_messages=3))
        found = await simulate(store, day("2030-01-01"), day("2031-01-01"))
    assert [run.at for run in found.runs] == [
        day("2030-01-01"),
        day("2030-01-02"),
        day("2030-01-03"),
    ]


async def test_the_schedules_of_an_app_need_no_store() -> None:
    app = App()

    @app.schedule(Calendar([Monthly(business_day="last", times="17:00")], tz=NEW_YORK))
    @app.task(queue="reports")
    async def report() -> None:
        """Never called here."""

    found = await simulate(app, day("2026-01-01"), day("2026-04-01"))
    assert [run.at for run in found.runs] == [
        at("2026-01-30 17:00"),
        at("2026-02-27 17:00"),
        at("2026-03-31 17:00"),
    ]


async def test_a_year_of_many_schedules_takes_seconds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    app = App()

    @app.task(queue="jobs")
    async def job() -> None:
        """Never called here."""

    for hour in range(8):
        app.schedule(Cron(f"{hour} {hour} * * *"), id=f"s{hour}")(job)
    began, virtual = time.process_time(), trio.current_time()
    one = await simulate(app, day("2026-01-01"), day("2026-12-31T23:59"))
    assert time.process_time() - began < 30
    assert trio.current_time() == virtual
    assert len(one.runs) == 365 * 8
    again = await simulate(app, day("2026-01-01"), day("2026-01-31T23:59"))
    assert again.runs == one.runs[: 31 * 8]


async def test_contradictions_are_refused() -> None:
    start, end = day("2026-01-02"), day("2026-01-01")
    with pytest.raises(ValidationError, match=r"^until: .* is before start"):
        await simulate(App(), start, end)
    with pytest.raises(ValidationError, match=r"^outages\[1\]: ends at .* before"):
        await simulate(App(), end, start, outages=[(end, start), (start, end)])
    with pytest.raises(ValidationError, match=r"^start: .* has no time zone"):
        await simulate(App(), datetime(2026, 1, 1), start)
