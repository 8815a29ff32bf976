"""Two stores on one database, in real time, with everything happening at once."""

from __future__ import annotations

import random
from collections import Counter
from typing import Final

import pytest
import trio

from tests.helpers import SteppedClock
from tests.scheduling import every, posted, schedule
from trioqueue import Misfire, ScheduleState, Store, open_store
from trioqueue.services import CronProcessorService

pytestmark = pytest.mark.usefixtures("every")
_ = every
QUEUE: Final = "jobs"
SCHEDULES: Final = 10
DISTURBANCES: Final = 300
"""So many are made by each of the stores."""


async def disturb(store: Store, clock: SteppedClock, source: random.Random) -> None:
    """Pause, resume, edit and turn the clock, for a while."""
    for _ in range(DISTURBANCES):
        name = f"s{source.randrange(SCHEDULES)}"
        kind = source.randrange(4)
        if kind == 0:
            await store.pause_schedule(name)
        elif kind == 1:
            await store.resume_schedule(name)
        elif kind == 2:
            period = source.choice([20, 30, 60])
            changed = schedule(period, id=name, misfire=Misfire.all())
            await store.update_schedule(changed)
        else:
            clock.advance(source.choice([-50, -1, 20, 20, 100]))


async def test_no_occurrence_runs_twice_whatever_happens_at_once(
    shared: str,
) -> None:
    """Firing, edits, pauses and a clock that steps back and forth."""
    clock = SteppedClock()
    source = random.Random(5)
    counted: list[int] = []

    async def fire(store: Store) -> None:
        service = CronProcessorService(store)
        while disturbing:
            counted.append(await service.run_once())

    async def disturb_for_a_while(store: Store) -> None:
        await disturb(store, clock, source)
        disturbing.remove(store)

    async with (
        open_store(shared, clock=clock) as one,
        open_store(shared, clock=clock) as two,
    ):
        await one.create_queue(QUEUE)
        for number in range(SCHEDULES):
            asked = schedule(30, id=f"s{number}", misfire=Misfire.all())
            await one.create_schedule(asked)
        disturbing = [one, two]
        with trio.fail_after(100):
            async with trio.open_nursery() as nursery:
                for store in (one, two):
                    nursery.start_soon(fire, store)
                    nursery.start_soon(fire, store)
                    nursery.start_soon(disturb_for_a_while, store)
        names = await posted(one)
        assert len(names) > 50
        assert Counter(names).most_common(1)[0][1] == 1
        ran: list[str] = []
        for state in await one.list_schedules():
            assert state.state is not ScheduleState.ERRORED
            history = await one.schedule_history(state.id, limit=10_000)
            assert state.run_count == len(history)
            ran += [run.message_id for run in history]
        assert sorted(ran) == sorted(names)
        assert sum(counted) <= len(names)
