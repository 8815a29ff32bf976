"""Workers register, beat, are told to be quiet, go stale and are forgotten."""

from __future__ import annotations

import pytest

from tests.helpers import QUEUE, World, contract, fields, on_shared
from trioqueue import ValidationError, WorkerInfo, WorkerNotFoundError
from trioqueue.store.operations.workers import Registration

SECOND = 1_000_000
DAY = 24 * 3600


def about(worker_id: str = "w1", *, interval: int | None = 10 * SECOND) -> Registration:
    return Registration(worker_id, "box", 7, "1.2", ("b", "a"), 5, interval)


async def names(world: World) -> list[str]:
    return [worker.worker_id for worker in await world.store.list_workers()]


@contract
async def test_a_worker_that_registers_is_seen(world: World) -> None:
    assert await world.store.list_workers() == []
    before = world.store.now()
    await world.store.register_worker(about())
    (seen,) = await world.store.list_workers()
    assert before <= seen.started_at <= world.store.now()
    assert seen == WorkerInfo(
        worker_id="w1",
        host="box",
        pid=7,
        version="1.2",
        queues=("a", "b"),
        concurrency=5,
        running=0,
        started_at=seen.started_at,
        last_beat=seen.started_at,
    )


@contract
async def test_a_beat_says_what_it_does_and_hears_what_it_is_told(world: World) -> None:
    number = await world.store.register_worker(about())
    await world.advance(5)
    assert await world.store.beat_worker(number, running=3) is False
    (seen,) = await world.store.list_workers()
    assert (seen.running, seen.stopping) == (3, False)
    assert (seen.last_beat - seen.started_at).total_seconds() >= 5
    await world.store.quiet_worker("w1")
    assert await world.store.beat_worker(number, running=2, stopping=True) is True
    (seen,) = await world.store.list_workers()
    assert (seen.running, seen.stopping, seen.quiet) == (2, True, True)
    await world.store.quiet_worker("w1", quiet=False)
    assert await world.store.beat_worker(number, running=0) is False


@contract
async def test_workers_are_listed_by_name_and_go_when_they_say_so(world: World) -> None:
    numbers = {
        name: await world.store.register_worker(about(name)) for name in ("z", "a", "m")
    }
    assert await names(world) == ["a", "m", "z"]
    await world.store.deregister_worker(numbers["m"])
    assert await names(world) == ["a", "z"]
    assert await world.store.beat_worker(numbers["m"], running=0) is None
    assert await names(world) == ["a", "z"]


@contract
async def test_a_worker_that_misses_three_beats_is_stale(world: World) -> None:
    number = await world.store.register_worker(about())
    await world.store.register_worker(about("slow", interval=100 * SECOND))
    await world.advance(29)
    assert await names(world) == ["slow", "w1"]
    await world.advance(2)
    assert await names(world) == ["slow"]
    everyone = await world.store.list_workers(include_stale=True)
    assert [(w.worker_id, w.stale) for w in everyone] == [("slow", False), ("w1", True)]
    with pytest.raises(WorkerNotFoundError, match="no worker 'w1' is alive"):
        await world.store.quiet_worker("w1")
    # It was only suspended.
    assert await world.store.beat_worker(number, running=1) is False
    assert await names(world) == ["slow", "w1"]


@contract
async def test_who_does_not_beat_is_alive_in_virtual_time_only(world: World) -> None:
    await world.store.register_worker(about(interval=None))
    await world.advance(40)
    assert await names(world) == (["w1"] if world.virtual else [])


@contract
async def test_two_of_one_name_are_two_and_are_told_together(world: World) -> None:
    first = await world.store.register_worker(about())
    second = await world.store.register_worker(about())
    assert first != second
    assert await names(world) == ["w1", "w1"]
    told = await world.store.quiet_worker("w1")
    assert told.quiet
    for number in (first, second):
        assert await world.store.beat_worker(number, running=0) is True


@contract
async def test_a_worker_may_register_as_quiet(world: World) -> None:
    number = await world.store.register_worker(about(), quiet=True)
    assert await world.store.beat_worker(number, running=0) is True
    assert (await world.store.list_workers())[0].quiet


@contract
async def test_an_unknown_worker_is_a_not_found_error(world: World) -> None:
    with pytest.raises(WorkerNotFoundError) as raised:
        await world.store.quiet_worker("nobody")
    assert raised.value.worker_id == "nobody"
    with pytest.raises(ValidationError) as wrong:
        await world.store.quiet_worker(5)  # type: ignore[arg-type]  # on purpose
    assert fields(wrong) == ["worker_id"]


@contract
async def test_what_a_killed_worker_left_is_deleted_after_a_day(world: World) -> None:
    await world.store.register_worker(about("killed"))
    await world.advance(DAY)
    number = await world.store.register_worker(about("alive"))
    await world.store.prune_receipts_batch()
    everyone = await world.store.list_workers(include_stale=True)
    assert [w.worker_id for w in everyone] == ["alive", "killed"]
    await world.advance(40)
    await world.store.beat_worker(number, running=0)
    await world.store.prune_receipts_batch()
    everyone = await world.store.list_workers(include_stale=True)
    assert [w.worker_id for w in everyone] == ["alive"]


@on_shared
@contract
async def test_another_store_sees_them_and_tells_them(world: World) -> None:
    number = await world.store.register_worker(about())
    async with world.open_another() as other:
        assert len(await other.list_workers()) == 1
        await other.quiet_worker("w1")
    assert await world.store.beat_worker(number, running=0) is True


@contract
async def test_a_paused_queue_says_by_whom(world: World) -> None:
    await world.make_queue()
    paused = await world.store.pause_queue(QUEUE, "deploying", by="ada@box")
    assert paused.paused_by == "ada@box"
    assert await world.store.get_queue(QUEUE) == paused
    again = await world.store.pause_queue(QUEUE, "still", by="bob")
    assert (again.paused_by, again.paused_at) == ("bob", paused.paused_at)
    assert (await world.store.pause_queue(QUEUE)).paused_by is None
    await world.store.pause_queue(QUEUE, by="ada")
    assert (await world.store.resume_queue(QUEUE)).paused_by is None
    with pytest.raises(ValidationError) as raised:
        await world.store.pause_queue(QUEUE, by="x" * 257)
    assert fields(raised) == ["by"]
