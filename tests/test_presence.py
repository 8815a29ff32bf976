"""What a worker says of itself while it works, and how it is told to be quiet."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.helpers import SteppedClock
from tests.working import QUEUE, count_calls, fail_while, nothing, store_with, working
from trioqueue import (
    Job,
    Store,
    StoreUnavailableError,
    ValidationError,
    Worker,
    open_services,
    open_store,
)
from trioqueue.presence import Presence
from trioqueue.store.operations import workers as operations
from trioqueue.store.operations.core import Lock

BEAT = 0.02


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(20):
        while not condition():  # noqa: ASYNC110  what changes is in a database
            await trio.sleep(0.005)


async def until_listed(store: Store, **facts: Any) -> None:
    """Wait until exactly one worker is listed, with these facts."""
    with trio.fail_after(20):
        while True:
            found = await store.list_workers()
            if len(found) == 1 and all(
                getattr(found[0], name) == value for name, value in facts.items()
            ):
                return
            await trio.sleep(0.005)


class Watched:
    """A presence, and what it was told."""

    def __init__(self, store: Store, **options: Any) -> None:
        self.told: list[bool] = []
        self.presence = Presence(
            store,
            worker_id="w",
            queues=[QUEUE],
            concurrency=3,
            running=lambda: 2,
            on_quiet=self.told.append,
            **options,
        )


async def test_a_worker_is_seen_from_start_to_end(
    autojump_clock: MockClock, anywhere: str
) -> None:
    async with store_with("a", "b", url=anywhere) as store:
        worker = Worker(store, {"b": nothing, "a": nothing}, concurrency=4)
        async with working(worker):
            (seen,) = await store.list_workers()
            assert (seen.worker_id, seen.queues) == (store.worker_id, ("a", "b"))
            assert (seen.concurrency, seen.quiet, seen.stopping) == (4, False, False)
            assert seen.pid > 0
            assert seen.host
            assert seen.version
        assert await store.list_workers(include_stale=True) == []


async def test_a_worker_that_is_canceled_or_fails_is_not_left_behind(
    autojump_clock: MockClock, anywhere: str
) -> None:
    async with store_with(url=anywhere) as store:
        async with trio.open_nursery() as nursery:
            await nursery.start(Worker(store, {QUEUE: nothing}).run)
            assert len(await store.list_workers()) == 1
            nursery.cancel_scope.cancel()
        assert await store.list_workers(include_stale=True) == []


async def test_a_worker_that_runs_once_does_not_register(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_with() as store:
        registered: list[int] = []

        async def handle(job: Job) -> None:
            registered.append(len(await store.list_workers(include_stale=True)))

        await store.post(QUEUE, 1)
        assert await Worker(store, {QUEUE: handle}).run_once() == 1
        assert registered == [0]


async def test_nobody_wakes_for_a_beat_in_virtual_time(
    autojump_clock: MockClock, anywhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_with(url=anywhere) as store:
        beats = count_calls(monkeypatch, store, operations.beat)
        async with working(Worker(store, {QUEUE: nothing})):
            await trio.sleep(365 * 24 * 3600)
            assert len(await store.list_workers()) == 1
        assert beats == []


async def test_a_quiet_worker_finishes_its_job_and_claims_nothing_more(
    autojump_clock: MockClock, anywhere: str
) -> None:
    async with store_with(url=anywhere) as store:
        done: list[int] = []

        async def handle(job: Job) -> None:
            await trio.sleep(5)
            done.append(job.payload)

        worker = Worker(store, {QUEUE: handle}, concurrency=2)
        async with working(worker):
            await store.post(QUEUE, 1)
            await trio.sleep(1)
            assert (await store.quiet_worker(store.worker_id)).quiet
            await trio.sleep(1)
            await store.post(QUEUE, 2)
            await trio.sleep(100)
            assert done == [1]
            (seen,) = await store.list_workers()
            assert (seen.quiet, seen.running) == (True, 1)  # as it was at that beat
            assert not (await store.quiet_worker(store.worker_id, quiet=False)).quiet
            await trio.sleep(6)
            assert done == [1, 2]


async def test_an_idle_worker_that_is_quiet_leaves_what_is_posted(
    autojump_clock: MockClock, anywhere: str
) -> None:
    async with store_with(url=anywhere) as store:
        worker = Worker(store, {QUEUE: nothing})
        async with working(worker):
            await trio.sleep(1)
            await store.quiet_worker(store.worker_id)
            await trio.sleep(1)
            await store.post(QUEUE, 1)
            await trio.sleep(60)
            assert worker.statistics().claimed == 0
            await store.quiet_worker(store.worker_id, quiet=False)
            await trio.sleep(1)
            assert worker.statistics().completed == 1


async def test_a_quiet_worker_stops_when_it_is_told_to(
    autojump_clock: MockClock,
) -> None:
    async with store_with() as store, trio.open_nursery() as nursery:
        worker = Worker(store, {QUEUE: nothing})
        await nursery.start(worker.run)
        await store.quiet_worker(store.worker_id)
        await trio.sleep(1)
        assert await worker.stop_gracefully(grace_seconds=5)


async def test_beats_tell_what_is_going_on(shared: str) -> None:
    async with open_store(shared) as store:
        await store.create_queue(QUEUE)
        go_on = trio.Event()

        async def handle(job: Job) -> None:
            await go_on.wait()

        worker = Worker(store, {QUEUE: handle}, worker_id="w", beat_seconds=BEAT)
        async with trio.open_nursery() as nursery:
            await nursery.start(worker.run)
            await until_listed(store, worker_id="w", running=0)
            await store.post(QUEUE, 1)
            await until_listed(store, running=1, stopping=False)
            worker.stop()
            await until_listed(store, running=1, stopping=True)
            go_on.set()
        assert await store.list_workers(include_stale=True) == []


async def test_a_beat_is_one_statement(
    anywhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(anywhere) as store:
        statements: list[str] = []
        real = operations.beat

        def watched(context: Any, beats: Any) -> Any:
            inner = real(context, beats)
            answer = None
            while True:
                try:
                    query = inner.send(answer)
                except StopIteration as stop:
                    return stop.value
                assert not isinstance(query, Lock)
                statements.append(query.name)
                answer = yield query

        number = await store.register_worker(
            operations.Registration("w", "h", 1, "1", (QUEUE,), 1, None)
        )
        monkeypatch.setattr(operations, "beat", watched)
        for _ in range(3):
            assert await store.beat_worker(number, running=1) is False
        assert statements == ["beat_worker"] * 3


async def test_it_goes_on_when_the_database_was_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_store("sqlite://:memory:") as store:
        watched = Watched(store, beat_seconds=BEAT)
        async with trio.open_nursery() as nursery:
            await nursery.start(watched.presence.run)
            away = trio.current_time() + 0.2
            tries = fail_while(monkeypatch, store, operations.beat, until=away)
            beats = count_calls(monkeypatch, store, operations.beat)
            await until(lambda: len(beats) >= len(tries) + 3 and bool(tries))
            await until_listed(store, running=2)
            nursery.cancel_scope.cancel()
        said = [r for r in caplog.records if "worker w cannot show" in r.message]
        assert [r.levelname for r in said] == ["WARNING"]
        assert await store.list_workers(include_stale=True) == []


async def test_it_may_start_while_the_database_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_store("sqlite://:memory:") as store:
        real, calls = store.register_worker, itertools.count()

        async def register(*args: Any, **options: Any) -> int:
            if next(calls) < 3:
                await trio.lowlevel.checkpoint()
                raise StoreUnavailableError("the disk is away")
            return await real(*args, **options)

        monkeypatch.setattr(type(store), "register_worker", staticmethod(register))
        watched = Watched(store, beat_seconds=BEAT)
        async with trio.open_nursery() as nursery:
            await nursery.start(watched.presence.run)
            assert await store.list_workers() == []
            await until_listed(store, worker_id="w")
            nursery.cancel_scope.cancel()


async def test_who_was_forgotten_registers_again_as_quiet_as_it_was() -> None:
    clock = SteppedClock()
    async with open_store("sqlite://:memory:", clock=clock) as store:
        watched = Watched(store, beat_seconds=0.3)
        async with trio.open_nursery() as nursery:
            await nursery.start(watched.presence.run)
            await store.quiet_worker("w")
            await until(lambda: watched.told == [True])
            # As if the machine had slept for two days, and another had cleaned up.
            clock.advance(2 * 24 * 3600)
            async with open_services(store):
                pass
            await store.prune_receipts_batch()
            await until_listed(store, quiet=True)
            assert watched.told == [True]
            assert watched.presence.quiet
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), "soon", True])
async def test_a_beat_needs_a_span(seconds: Any) -> None:
    async with open_store("sqlite://:memory:") as store:
        with pytest.raises(ValidationError, match="beat_seconds"):
            Worker(store, {QUEUE: nothing}, beat_seconds=seconds)
        with pytest.raises(ValidationError, match="beat_seconds"):
            Watched(store, beat_seconds=seconds)


async def test_it_says_what_it_is() -> None:
    async with open_store("sqlite://:memory:") as store:
        watched = Watched(store)
        assert repr(watched.presence) == "<Presence of w, not seen>"
        async with trio.open_nursery() as nursery:
            await nursery.start(watched.presence.run)
            assert repr(watched.presence) == "<Presence of w, seen>"
            nursery.cancel_scope.cancel()


async def test_what_it_is_told_during_a_beat_is_not_missed(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_with() as store:
        watched = Watched(store)
        real, calls = store.beat_worker, itertools.count()

        async def beat(*args: Any, **options: Any) -> bool | None:
            answer = await real(*args, **options)
            if next(calls) == 0:
                # Told otherwise while the answer is on its way.
                await store.quiet_worker("w", quiet=False)
            return answer

        async with trio.open_nursery() as nursery:
            await nursery.start(watched.presence.run)
            monkeypatch.setattr(type(store), "beat_worker", staticmethod(beat))
            await store.quiet_worker("w")
            await trio.sleep(1)
            assert watched.told == [True, False]
            nursery.cancel_scope.cancel()


async def test_it_ends_in_peace_when_its_store_is_closed() -> None:
    async with trio.open_nursery() as nursery:
        async with open_store("sqlite://:memory:") as store:
            watched = Watched(store, beat_seconds=BEAT)
            await nursery.start(watched.presence.run)
        # The worker that it belongs to tells of it.
        with trio.fail_after(20):
            while nursery.child_tasks:  # noqa: ASYNC110  a task's end sets no event
                await trio.sleep(0.005)


async def test_it_ends_also_while_the_database_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def away(*args: Any, **options: Any) -> None:
        await trio.lowlevel.checkpoint()
        raise StoreUnavailableError("the disk is away")

    async with open_store("sqlite://:memory:") as store:
        for method in ("deregister_worker", "register_worker"):
            monkeypatch.setattr(type(store), method, staticmethod(away))
            watched = Watched(store)
            async with trio.open_nursery() as nursery:
                await nursery.start(watched.presence.run)
                nursery.cancel_scope.cancel()
        # The first could not say that it ended; the second never registered.
        assert len(await store.list_workers()) == 1


async def test_leaving_takes_no_longer_than_it_may(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*args: Any) -> None:
        await trio.sleep_forever()

    async with store_with() as store:
        monkeypatch.setattr(type(store), "deregister_worker", staticmethod(hang))
        async with trio.open_nursery() as nursery:
            await nursery.start(Watched(store).presence.run)
            began = trio.current_time()
            nursery.cancel_scope.cancel()
        assert trio.current_time() - began == pytest.approx(2)
