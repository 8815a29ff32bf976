"""The services for schedules in virtual time: exact instants, once each."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import trio
from trio.testing import MockClock

from tests.helpers import SteppedClock
from tests.scheduling import Every, at, every, posted, schedule
from trioqueue import (
    Clock,
    Misfire,
    ScheduleState,
    Store,
    StoreUnavailableError,
    open_services,
    open_store,
)
from trioqueue.services import CalendarService, CronProcessorService, Service
from trioqueue.store.operations import schedule_fire

pytestmark = pytest.mark.usefixtures("every")
_ = every
QUEUE: Final = "jobs"

MEMORY: Final = "sqlite://:memory:"


async def test_a_year_of_daily_runs_comes_at_its_instants(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    async with open_store(anywhere) as store, open_services(store) as services:
        await store.create_queue(QUEUE)
        when = Every(86_400, moved=((946_684_800 + 86_400 * 5, 946_684_800 + 5e5),))
        asked = schedule(when=when, end_at=at(86_400 * 365))
        created = await store.create_schedule(asked)
        preview = created.when.preview(365, store.now())
        for instant in preview:
            (job,) = await store.claim_wait(QUEUE)
            assert store.now() == instant
            await store.complete(job)
        await trio.sleep(86_400 * 10)
        state = await store.get_schedule("s")
        assert state.state is ScheduleState.COMPLETED
        history = await store.schedule_history("s", limit=1000)
        assert [run.posted_at for run in reversed(history)] == preview
        assert {run.kind for run in history} == {"on_time"}
        assert services.cron.statistics().processed == 365
        # It slept from run to run: no more than a wake-up for each and a few more.
        assert services.cron.statistics().iterations <= 365 + 5
        assert services.calendar.statistics().iterations <= 3


async def finish_next(store: Store) -> None:
    (job,) = await store.claim_wait(QUEUE)
    await store.complete(job)


@pytest.mark.parametrize("kind", ["cron", "calendar"])
async def test_a_sleeping_service_wakes_for_what_is_new_earlier_or_resumed(
    anywhere: str, autojump_clock: MockClock, kind: str
) -> None:
    async with open_store(anywhere) as store, open_services(store):
        await store.create_queue(QUEUE)
        await trio.sleep(1.5)
        await store.create_schedule(schedule(86_400, kind=kind, id="far"))
        await trio.sleep(10)
        created = await store.create_schedule(schedule(60, kind=kind))
        assert created.next_run == at(60)
        await finish_next(store)
        assert store.now() == at(60)
        updated = await store.update_schedule(schedule(7, kind=kind))
        await finish_next(store)
        assert store.now() == updated.next_run
        await store.pause_schedule("s")
        await trio.sleep(1000)
        assert await store.claim(QUEUE) == []
        resumed = await store.resume_schedule("s")
        assert resumed.next_run is not None
        began = trio.current_time()
        await finish_next(store)
        assert trio.current_time() == began  # at once: some were missed


async def test_a_schedule_that_starts_now_runs_now(
    anywhere: str, autojump_clock: MockClock
) -> None:
    async with open_store(anywhere) as store, open_services(store):
        await store.create_queue(QUEUE)
        await store.create_schedule(schedule(3600, start_at=store.now()))
        await finish_next(store)
        assert store.now() == at(0)
        again = schedule(3600, start_at=store.now(), payload="new")
        assert (await store.update_schedule(again)).next_run == at(3600)
        await store.create_schedule(schedule(3600, id="late"))
        await finish_next(store)
        assert store.now() == at(3600)


async def test_two_services_on_one_database_post_each_occurrence_once(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    async with (
        open_store(url) as one,
        open_store(url) as two,
        open_services(one) as first,
        open_services(two) as second,
    ):
        await one.create_queue(QUEUE)
        for number in range(20):
            await one.create_schedule(schedule(10 + number, id=f"s{number}"))
        await trio.sleep(600.5)
        names = await posted(one)
        history = 0
        for number in range(20):
            period = 10 + number
            runs = await one.schedule_history(f"s{number}", limit=1000)
            start = 946_684_800
            expected = (start + 600) // period - start // period
            assert len(runs) == expected
            history += expected
        assert len(names) == len(set(names)) == history
        processed = [s.cron.statistics().processed for s in (first, second)]
        assert sum(processed) == history


async def test_10000_schedules_due_at_once_take_a_few_transactions(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(MEMORY) as store:
        await store.create_queue(QUEUE)
        async with trio.open_nursery() as nursery:
            for number in range(10_000):
                asked = schedule(3600, id=f"s{number:05}", payload=number)
                nursery.start_soon(store.create_schedule, asked)
        await trio.sleep(3600)
        before = store.statistics().transactions
        statements = 0
        run = type(store._executor._connection)._run  # type: ignore[attr-defined]

        def counting(self: Any, query: Any) -> Any:
            nonlocal statements
            statements += 1
            return run(self, query)

        connection = type(store._executor._connection)  # type: ignore[attr-defined]
        monkeypatch.setattr(connection, "_run", counting)
        service = CronProcessorService(store)
        assert await service.run_once() == 10_000
        assert store.statistics().transactions - before == 10
        assert statements < 200
        statements = 0
        assert await service.run_once() == 0
        assert statements == 1  # an idle look is one question
        names = await posted(store)
        assert len(names) == 10_000
        last = await store.get_schedule("s09999")
        assert (last.run_count, last.next_run) == (1, at(7200))


async def test_catching_up_is_done_in_bounded_batches(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    async with open_store(anywhere) as store:
        await store.create_queue(QUEUE)
        for number in range(100):
            asked = schedule(3600, id=f"s{number}", misfire=Misfire.all(100))
            await store.create_schedule(asked)
        await trio.sleep(3600 * 200)
        fired = await store.fire_due_schedules("cron")
        assert fired == (20, 2000)
        assert await CronProcessorService(store).run_once() == 8000
        runs = await store.schedule_history("s7", limit=1000)
        assert len(runs) == 100
        assert [run.merged for run in runs] == [0] * 99 + [100]


async def test_more_runs_than_a_batch_takes_lose_none(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    async with open_store(anywhere) as store:
        await store.create_queue(QUEUE)
        await store.create_schedule(schedule(0.01, misfire=Misfire.skip()))
        await trio.sleep(30)
        assert await store.fire_due_schedules("cron") == (1, 1000)
        assert await CronProcessorService(store).run_once() == 2000
        state = await store.get_schedule("s")
        assert (state.last_run, state.next_run) == (at(30), at(30.01))
        assert len(set(await posted(store))) == 3000


async def test_the_latest_runs_are_remembered_and_the_oldest_forgotten(
    anywhere: str, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule_fire, "HISTORY_KEPT", 50)
    monkeypatch.setattr(schedule_fire, "PRUNE_EVERY", 10)
    async with open_store(anywhere) as store:
        await store.create_queue(QUEUE)
        service = CronProcessorService(store)
        for name in ("s", "t"):
            await store.create_schedule(schedule(1, id=name))
        kept = []
        for _ in range(20):
            await trio.sleep(7)
            assert await service.run_once() == 14
            history = await store.schedule_history("s", limit=1000)
            kept.append(len(history))
            instants = [run.occurrence for run in history]
            last = (await store.get_schedule("s")).last_run
            assert last is not None
            expected = [last - timedelta(seconds=n) for n in range(len(instants))]
            assert instants == expected
        assert max(kept) < 60
        assert kept[-1] >= 50
        assert len(set(await posted(store))) == 280


async def test_a_long_count_does_not_hold_up_the_loop(anywhere: str) -> None:
    clock = SteppedClock()
    async with open_store(anywhere, clock=clock) as store:
        await store.create_queue(QUEUE)
        for number in range(15):
            await store.create_schedule(schedule(60, id=f"s{number}"))
        clock.advance(60 * 9000)
        longest = 0.0

        async def watch() -> None:
            nonlocal longest
            while True:
                before = trio.current_time()
                await trio.sleep(0.001)
                longest = max(longest, trio.current_time() - before)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            began = trio.current_time()
            assert await CronProcessorService(store).run_once() == 15
            took = trio.current_time() - began
            nursery.cancel_scope.cancel()
        # The threads took turns with the loop, however slow the machine is.
        assert longest < took / 2


class HandClock(Clock):
    """A clock that a test sets, forward and back; the store works inline."""

    def __init__(self) -> None:
        self.now_is = 946_684_800_000_000

    def now_us(self) -> int:
        return self.now_is

    @property
    def is_virtual(self) -> bool:
        return True

    def step(self, seconds: float) -> None:
        self.now_is += round(seconds * 1_000_000)


@pytest.mark.parametrize(
    "misfire", [Misfire.coalesce(), Misfire.skip(), Misfire.all()], ids=lambda m: m.kind
)
async def test_a_clock_put_back_runs_nothing_again(
    anywhere: str, misfire: Misfire
) -> None:
    clock = HandClock()
    async with open_store(anywhere, clock=clock) as store:
        service = CronProcessorService(store)
        await store.create_queue(QUEUE)
        await store.create_schedule(schedule(3600, misfire=misfire))
        clock.step(3601)
        assert await service.run_once() == 1
        for back in (30, 3000, 86_400):
            clock.step(-back)
            assert await service.run_once() == 0
            for change in (store.pause_schedule, store.resume_schedule):
                await change("s")
            assert await service.run_once() == 0
            updated = await store.update_schedule(schedule(3600, misfire=misfire))
            assert updated.next_run == at(7200)
            new = schedule(1800, misfire=misfire)
            assert (await store.update_schedule(new)).next_run == at(5400)
            await store.update_schedule(schedule(3600, misfire=misfire))
            assert await service.run_once() == 0
            clock.step(back)
            assert await service.run_once() == 0
        clock.step(3600)
        assert await service.run_once() == 1
        assert len(await posted(store)) == 2


async def test_a_database_that_cannot_be_used_changes_no_state(
    anywhere: str, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(anywhere) as store, trio.open_nursery() as nursery:
        await store.create_queue(QUEUE)
        await store.create_schedule(schedule(60))
        service = CronProcessorService(store)
        original = schedule_fire.fire

        def failing(context: Any, plans: Any) -> Any:
            yield from original(context, plans)
            raise StoreUnavailableError("the disk is full")

        monkeypatch.setattr(schedule_fire, "fire", failing)
        await nursery.start(service.run)
        await trio.sleep(90)
        assert service.statistics().failures > 3
        state = await store.get_schedule("s")
        assert (state.state, state.run_count) == (ScheduleState.SCHEDULED, 0)
        assert state.reason is None
        monkeypatch.setattr(schedule_fire, "fire", original)
        (job,) = await store.claim_wait(QUEUE)
        assert job.message_id == "s:2000-01-01T00:01:00Z"
        assert await service.stop_gracefully()


async def test_jittered_messages_come_within_the_window_each_at_its_own_time(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    async with open_store(anywhere) as store, open_services(store):
        await store.create_queue(QUEUE)
        for number in range(100):
            asked = schedule(3600, id=f"s{number}", jitter_seconds=600)
            await store.create_schedule(asked)
        instants = []
        for _ in range(100):
            await finish_next(store)
            instants.append(store.now())
        assert at(3600) <= instants[0] <= at(3630)
        assert at(4170) <= instants[-1] < at(4200)
        assert len(set(instants)) == 100


@pytest.mark.parametrize("kind", [CronProcessorService, CalendarService])
async def test_a_service_for_schedules_stops_like_any_other(
    anywhere: str, autojump_clock: MockClock, kind: type[Service]
) -> None:
    async with open_store(anywhere) as store, trio.open_nursery() as nursery:
        service = kind(store)  # type: ignore[call-arg, arg-type]
        await nursery.start(service.run)
        await trio.sleep(10)
        assert service.statistics().iterations == 1
        assert await service.stop_gracefully()
        assert not service.statistics().running


async def test_two_schedules_alike_share_no_runs(
    anywhere: str, autojump_clock: MockClock
) -> None:
    async with open_store(anywhere) as store, open_services(store):
        await store.create_queue(QUEUE)
        for name in ("a", "b"):
            await store.create_schedule(schedule(60, id=name))
        await trio.sleep(61)
        assert sorted(n[0] for n in await posted(store)) == ["a", "b"]
        await store.update_schedule(schedule(60, id="a", max_messages=1))
        await trio.sleep(timedelta(seconds=60).total_seconds())
        assert sorted(n[0] for n in await posted(store)) == ["a", "b", "b"]
