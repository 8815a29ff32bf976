"""Services over long spans, in trouble, and at their end, in virtual time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from trioqueue import (
    ExpiredMessage,
    Job,
    LeasePolicy,
    MessageState,
    QueueOptions,
    RetentionPolicy,
    RetryPolicy,
    Store,
    StoreUnavailableError,
    Worker,
    open_services,
)
from trioqueue.services import (
    CleanupService,
    ReclaimableBackend,
    ReclaimService,
    SchedulerService,
)
from trioqueue.testing import virtual_store


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object, **__: object) -> None:
        pytest.fail("a thread was used in virtual time")

    monkeypatch.setattr(trio.to_thread, "run_sync", refuse)


async def test_a_year_of_one_delayed_message_a_day_takes_no_time(
    autojump_clock: MockClock, no_threads: None
) -> None:
    began = time.perf_counter()
    ran: list[float] = []

    async def handle(job: Job) -> None:
        ran.append(trio.current_time())

    async with virtual_store() as store:
        await store.create_queue("daily")
        for day in range(1, 366):
            await store.post("daily", day, delay_seconds=timedelta(days=day))
        async with open_services(store) as services, trio.open_nursery() as nursery:
            worker = Worker(store, {"daily": handle})
            await nursery.start(worker.run)
            await trio.sleep(366 * 86_400)
            worker.stop()
    assert ran == [day * 86_400.0 for day in range(1, 366)]
    iterations = sum(s.iterations for s in services.statistics().values())
    assert iterations < 5_000
    assert time.perf_counter() - began < 10


async def test_retries_wait_exactly_as_their_policy_says(
    autojump_clock: MockClock, no_threads: None
) -> None:
    ran: list[float] = []

    async def handle(job: Job) -> None:
        ran.append(trio.current_time())
        raise ConnectionError

    async with virtual_store() as store:
        policy = RetryPolicy.exponential(60, 4, 10_000, jitter=False)
        await store.create_queue("q", QueueOptions(max_attempts=6, retry=policy))
        await store.post("q", 1)
        async with open_services(store), trio.open_nursery() as nursery:
            worker = Worker(store, {"q": handle})
            await nursery.start(worker.run)
            await trio.sleep(86_400)
            worker.stop()
        (letter,) = await store.dead_letters("q")
    assert ran == [0, 60, 300, 1260, 5100, 15_100]
    assert letter.reason == "max_attempts"
    assert [a.error_type for a in letter.attempts] == ["ConnectionError"] * 6


class Broken:
    """Makes a store's executor refuse everything for a while."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.broken = False
        executor: Any = store._executor
        for name in ("batch", "read", "write"):
            monkeypatch.setattr(executor, name, self.wrap(getattr(executor, name)))

    def wrap(self, method: Any) -> Any:
        async def guarded(*args: Any) -> Any:
            if self.broken:
                await trio.lowlevel.checkpoint()
                message = "the database is away"
                raise StoreUnavailableError(message)
            return await method(*args)

        return guarded


async def test_a_service_goes_on_by_itself_when_the_database_is_back(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with virtual_store() as store:
        await store.create_queue("q")
        await store.post("q", 1, delay_seconds=5)
        trouble = Broken(store, monkeypatch)
        service = SchedulerService(store)
        async with trio.open_nursery() as nursery:
            await nursery.start(service.run)
            await trio.sleep(4)
            trouble.broken = True
            await trio.sleep(20)
            failed = service.statistics()
            assert failed.failures >= 3
            assert failed.last_error == "the database is away"
            trouble.broken = False
            await trio.sleep(5)
            state = await store.queue_state("q")
            assert state.counts[MessageState.PENDING] == 1
            service.stop()


async def test_a_bug_in_a_service_ends_the_nursery(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with virtual_store() as store:
        service = SchedulerService(store)

        async def buggy() -> int:
            await trio.lowlevel.checkpoint()
            raise ZeroDivisionError

        monkeypatch.setattr(service, "_batch", buggy)
        with pytest.RaisesGroup(ZeroDivisionError):
            async with trio.open_nursery() as nursery:
                await nursery.start(service.run)
                await trio.sleep_forever()
        assert not service.statistics().running


async def test_a_batch_that_hangs_is_cut_off_after_the_grace(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with virtual_store() as store:
        service = SchedulerService(store)
        monkeypatch.setattr(service, "_batch", trio.sleep_forever)
        async with trio.open_nursery() as nursery:
            await nursery.start(service.run)
            await trio.sleep(1)
            assert not await service.stop_gracefully(grace_seconds=3)
            assert trio.current_time() == 4


async def test_cleanup_deletes_what_retention_releases_when_it_does(
    autojump_clock: MockClock,
) -> None:
    async with virtual_store() as store:
        await store.create_queue("q", QueueOptions(retention=RetentionPolicy.keep(60)))
        for number in range(1200):
            await store.post("q", number)
        jobs = await store.claim("q", limit=1200)
        await store.complete_many(jobs)
        cleanup = CleanupService(store)
        async with trio.open_nursery() as nursery:
            await nursery.start(cleanup.run)
            await trio.sleep(59)
            state = await store.queue_state("q")
            assert state.counts[MessageState.COMPLETED] == 1200
            await trio.sleep(1.001)
            state = await store.queue_state("q")
            assert state.counts[MessageState.COMPLETED] == 0
            assert cleanup.statistics().processed == 1200
            cleanup.stop()


async def test_reclaiming_asks_no_more_of_a_backend_than_its_protocol(
    autojump_clock: MockClock,
) -> None:
    async with virtual_store() as store:
        await store.create_queue(
            "q", QueueOptions(lease=LeasePolicy(1), retry=RetryPolicy.fixed(0))
        )
        await store.post("q", 1)
        await store.claim("q")

        class Backend:
            find_expired_messages = store.find_expired_messages
            reclaim_expired_message = store.reclaim_expired_message
            reclaim_expired_messages = store.reclaim_expired_messages

        backend: Any = Backend()
        assert isinstance(backend, ReclaimableBackend)
        service = ReclaimService(backend, interval_seconds=2)
        async with trio.open_nursery() as nursery:
            await nursery.start(service.run)
            (job,) = await store.claim_wait("q")
            assert job.attempt == 2
            assert trio.current_time() <= 3
            service.stop()


@attrs.define
class FakeBackend:
    """Attempts that expire at known times, and one that nobody can end."""

    expiries: dict[str, float]
    ended: list[tuple[float, str]] = attrs.field(factory=list)
    looked: int = 0

    async def find_expired_messages(
        self, queue: str | None = None, limit: int = 1000
    ) -> list[ExpiredMessage]:
        await trio.lowlevel.checkpoint()
        self.looked += 1
        now = trio.current_time()
        return [
            ExpiredMessage("q", name, 1, datetime(2000, 1, 1, tzinfo=UTC), 1)
            for name, at in self.expiries.items()
            if at <= now
        ][:limit]

    async def reclaim_expired_message(
        self, queue: str | None, message: ExpiredMessage
    ) -> bool:
        return await self.reclaim_expired_messages([message]) == 1

    async def reclaim_expired_messages(self, messages: Sequence[ExpiredMessage]) -> int:
        await trio.lowlevel.checkpoint()
        count = 0
        for message in messages:
            if message.message_id != "stubborn":
                del self.expiries[message.message_id]
                self.ended.append((trio.current_time(), message.message_id))
                count += 1
        return count


async def test_a_backend_without_foresight_is_asked_at_each_interval(
    autojump_clock: MockClock,
) -> None:
    backend = FakeBackend({"a": 1, "b": 12, "stubborn": 0})
    service = ReclaimService(backend, interval_seconds=10)
    assert await service.run_once() == 0
    async with trio.open_nursery() as nursery:
        await nursery.start(service.run)
        await trio.sleep(95)
        assert await service.stop_gracefully()
    assert backend.ended == [(10, "a"), (20, "b")]
    # Those that cannot be ended keep nobody busy.
    assert backend.looked < 30
    assert service.statistics().processed == 2


async def test_a_backend_with_foresight_is_asked_when_something_expires(
    autojump_clock: MockClock,
) -> None:
    class Foreseeing(FakeBackend):
        async def next_expiry(self) -> datetime | None:
            await trio.lowlevel.checkpoint()
            start = datetime(2000, 1, 1, tzinfo=UTC)
            return min(
                (start + timedelta(seconds=at) for at in self.expiries.values()),
                default=None,
            )

    backend = Foreseeing({"a": 1, "b": 12})
    service = ReclaimService(backend, interval_seconds=100)
    async with trio.open_nursery() as nursery:
        await nursery.start(service.run)
        await trio.sleep(50)
        assert await service.stop_gracefully()
    assert backend.ended == [(1, "a"), (12, "b")]
    assert backend.looked == 5


async def test_run_once_says_that_the_database_is_away(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with virtual_store() as store:
        trouble = Broken(store, monkeypatch)
        trouble.broken = True
        for kind in (SchedulerService, ReclaimService, CleanupService):
            with pytest.raises(StoreUnavailableError, match="away"):
                await kind(store).run_once()


async def test_a_service_backs_off_within_bounds_while_the_database_is_away(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with virtual_store() as store:
        trouble = Broken(store, monkeypatch)
        trouble.broken = True
        service = SchedulerService(store)
        async with trio.open_nursery() as nursery:
            await nursery.start(service.run)
            await trio.sleep(3600)
            assert 3600 / 3 <= service.statistics().failures <= 3600 / 1.5 + 20
            # A stop does not wait for the pause to end.
            now = trio.current_time()
            assert await service.stop_gracefully()
            assert trio.current_time() == now


async def test_two_sets_of_services_share_the_work(autojump_clock: MockClock) -> None:
    async with virtual_store() as store:
        await store.create_queue("q")
        for number in range(100):
            await store.post("q", number, delay_seconds=1 + number % 10)
        async with open_services(store) as one, open_services(store) as other:
            await trio.sleep(11)
            counts = (await store.queue_state("q")).counts
            assert counts[MessageState.PENDING] == 100
        processed = [each.scheduler.statistics().processed for each in (one, other)]
        assert sum(processed) == 100
