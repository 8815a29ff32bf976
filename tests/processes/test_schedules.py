"""Schedules kept by several processes that are killed again and again."""

from __future__ import annotations

import signal
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
import trio

from tests.helpers import assert_sound
from tests.processes.crew import PATIENCE_SECONDS, Crew, open_crew
from trioqueue import (
    Calendar,
    Cron,
    Misfire,
    Schedule,
    ScheduleState,
    Store,
    open_services,
    open_store,
)
from trioqueue.services import CalendarService, CronProcessorService

QUEUE: Final = "jobs"
SECOND: Final = timedelta(seconds=1)
NEVER: Final = 1e6
"""An interval so long that only a wake-up can end it in time."""


def every_second(number: int) -> Cron | Calendar:
    if number % 2:
        return Cron("* * * * * *", tz="Asia/Tokyo")
    return Calendar.from_rrule("FREQ=SECONDLY", dtstart=datetime(2020, 1, 1))  # noqa: DTZ001  a time on the wall


async def kill_in_turn(crew: Crew, url: str, kills: int) -> None:
    """Run three services, killing one after the other."""
    members = [crew.start("keep-time", url) for _ in range(3)]
    await members[0].said()
    for _ in range(kills):
        victim = members.pop(0)
        # Long enough for a busy machine: somebody has to come to work at all.
        with trio.move_on_after(10):
            await victim.said(2)
        await victim.kill()
        assert victim.process.returncode == -signal.SIGKILL
        members.append(crew.start("keep-time", url))
        await trio.sleep(0.2)
    # For a while nobody is left at all.
    for member in members:
        await member.kill()


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.slow)])
async def test_killed_services_run_every_second_exactly_once(
    shared: str, tmp_path: Path, kills: int
) -> None:
    policies = (Misfire.coalesce(), Misfire.skip(), Misfire.all())
    with trio.fail_after(PATIENCE_SECONDS + 5 * kills), open_crew(tmp_path) as crew:
        async with open_store(shared) as store:
            await store.create_queue(QUEUE)
            for number in range(30):
                name, misfire = f"s{number}", policies[number % 3]
                rule = every_second(number)
                await store.create_schedule(
                    Schedule(name, QUEUE, rule, number, misfire=misfire)
                )
            await kill_in_turn(crew, shared, kills)
            await trio.sleep(1)
            for service in (CalendarService(store), CronProcessorService(store)):
                assert await service.run_once() >= 15
            await assert_each_once(store, 30, least=2)
    assert_sound(shared)


async def assert_each_once(store: Store, schedules: int, least: int) -> None:
    """Each has run every second since its first, up to now or its pause."""
    messages = await store.peek(QUEUE, limit=10_000)
    names = {message.message_id for message in messages}
    assert len(names) == len(messages)
    expected = set()
    for number in range(schedules):
        state = await store.get_schedule(f"s{number}")
        runs = await store.schedule_history(f"s{number}", limit=10_000)
        assert state.created_at is not None
        first = state.created_at.replace(microsecond=0) + SECOND
        instants = [first + n * SECOND for n in range(len(runs))]
        assert [run.occurrence for run in reversed(runs)] == instants
        assert {run.kind for run in runs} == {"on_time"}
        assert state.run_count == len(runs) >= least
        assert state.last_run == instants[-1]
        if state.state is ScheduleState.SCHEDULED:
            assert state.next_run == instants[-1] + SECOND
        expected |= {run.message_id for run in runs}
    assert names == expected


async def test_a_service_wakes_for_a_schedule_that_another_process_creates(
    shared: str,
    tmp_path: Path,
) -> None:
    with trio.fail_after(PATIENCE_SECONDS), open_crew(tmp_path) as crew:
        async with open_store(shared) as store, trio.open_nursery() as nursery:
            await store.create_queue(QUEUE)
            maker = crew.start("schedule-when-told", shared, "2")
            await maker.said()
            service = CalendarService(store, interval_seconds=NEVER)
            await nursery.start(service.run)
            maker.tell()
            (job,) = await store.claim_wait(QUEUE)
            assert job.message_id.startswith("s:")
            assert service.statistics().processed == 1
            await maker.finish()
            await service.stop_gracefully()


async def test_all_services_of_several_processes_share_the_runs(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    with trio.fail_after(PATIENCE_SECONDS), open_crew(tmp_path) as crew:
        async with open_store(url) as store, open_services(store) as services:
            await store.create_queue(QUEUE)
            members = [crew.start("keep-time", url) for _ in range(2)]
            for member in members:
                await member.said()
            for number in range(20):
                rule = every_second(number)
                await store.create_schedule(Schedule(f"s{number}", QUEUE, rule))
            await trio.sleep(2.5)
            for number in range(20):
                await store.pause_schedule(f"s{number}")
            for member in members:
                await member.finish()
            posted = [int(member.lines()[-1]) for member in members]
            posted += [
                services.calendar.statistics().processed,
                services.cron.statistics().processed,
            ]
            await assert_each_once(store, 20, least=2)
            assert sum(posted) <= len(await store.peek(QUEUE, limit=10_000))
