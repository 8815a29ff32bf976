"""Gauges: what a look at the whole database finds, and how it ages."""

from __future__ import annotations

import psycopg
import trio
import trio.testing

from tests.helpers import QUEUE, World, contract, on_shared, only_where
from tests.metrics.scraping import scrape
from trioqueue import (
    Cron,
    MessageState,
    QueueOptions,
    RetentionPolicy,
    Schedule,
    open_store,
)
from trioqueue.metrics import catalogue as names
from trioqueue.metrics.catalogue import OTHER_QUEUES, QUEUES_SHOWN
from trioqueue.model.options_codec import encode_options
from trioqueue.store.operations.core import Context, Execute, Operation
from trioqueue.store.operations.workers import Registration


@contract
async def test_messages_are_counted_by_state(world: World) -> None:
    await world.make_queue(retention=RetentionPolicy.keep_forever())
    await world.make_queue("empty")
    assert scrape(world.store).of_queue(QUEUE) == set()
    for _ in range(2):
        await world.store.complete(await world.running())
    await world.running()
    await world.dead("d")
    for name in ("x", "y"):
        await world.store.post(QUEUE, 1, message_id=name, delay_seconds=1000)
    await world.store.cancel(QUEUE, "x")
    for _ in range(3):
        await world.store.post(QUEUE, 1)
    await world.store.measure()
    found = scrape(world.store)
    expected = {
        MessageState.INVISIBLE: 1,
        MessageState.PENDING: 3,
        MessageState.RUNNING: 1,
        MessageState.COMPLETED: 2,
        MessageState.CANCELED: 1,
        MessageState.ERRORED: 1,
    }
    assert (await world.store.queue_state(QUEUE)).counts == expected
    for state, count in expected.items():
        assert found.get(names.MESSAGES, queue=QUEUE, state=state.name) == count
        assert found.get(names.MESSAGES, queue="empty", state=state.name) == 0
    assert found.get(names.DEAD_LETTERS, queue=QUEUE) == 1
    assert found.get(names.DEAD_LETTERS, queue="empty") == 0


@contract
async def test_the_age_of_the_oldest_ready_message_grows_by_itself(
    world: World,
) -> None:
    await world.make_queue()
    await world.make_queue("empty")
    await world.store.post(QUEUE, 1, priority=1)
    await world.advance(100)
    await world.store.post(QUEUE, 1, priority=4)
    await world.store.measure()
    first = scrape(world.store).value(names.OLDEST_READY, queue=QUEUE)
    assert 100 <= first < 150
    await world.advance(1000)
    later = scrape(world.store)
    assert 1100 <= later.value(names.OLDEST_READY, queue=QUEUE) < 1200
    assert later.get(names.OLDEST_READY, queue="empty") == 0
    await world.store.claim(QUEUE, limit=2)
    await world.store.measure()
    assert scrape(world.store).get(names.OLDEST_READY, queue=QUEUE) == 0


@contract
async def test_paused_queues_are_shown(world: World) -> None:
    await world.make_queue()
    await world.store.measure()
    assert scrape(world.store).get(names.PAUSED, queue=QUEUE) == 0
    await world.store.pause_queue(QUEUE)
    await world.store.measure()
    assert scrape(world.store).get(names.PAUSED, queue=QUEUE) == 1


@contract
async def test_schedules_are_counted_by_state_with_the_next_run(world: World) -> None:
    await world.make_queue()
    await world.store.measure()
    assert scrape(world.store).get(names.NEXT_RUN) is None
    for name, rule in (("a", "0 0 1 1 *"), ("b", "* * * * *"), ("c", "* * * * *")):
        await world.store.create_schedule(Schedule(name, QUEUE, when=Cron(rule)))
    await world.store.pause_schedule("b")
    await world.store.measure()
    found = scrape(world.store)
    assert found.get(names.SCHEDULES, state="SCHEDULED") == 2
    assert found.get(names.SCHEDULES, state="PAUSED") == 1
    next_run = (await world.store.get_schedule("c")).next_run
    assert next_run is not None
    assert found.get(names.NEXT_RUN) == next_run.timestamp()


@contract
async def test_workers_that_are_alive_are_counted(world: World) -> None:
    await world.make_queue()
    await world.store.measure()
    assert scrape(world.store).get(names.WORKERS_ALIVE) == 0
    about = Registration("w", "host", 1, "1", (QUEUE,), 10, 10_000_000)
    first = await world.store.register_worker(about)
    await world.store.register_worker(about)
    await world.store.measure()
    assert scrape(world.store).get(names.WORKERS_ALIVE) == 2
    await world.advance(3600)
    await world.store.beat_worker(first, running=1)
    await world.store.measure()
    assert scrape(world.store).get(names.WORKERS_ALIVE) == 1


@contract
async def test_the_instant_of_the_last_look_is_shown(world: World) -> None:
    assert scrape(world.store).get(names.LAST_REPORTED) is None
    await world.store.measure()
    shown = scrape(world.store).value(names.LAST_REPORTED)
    assert abs(shown - world.store.now().timestamp()) < 60
    await world.advance(500)
    assert scrape(world.store).get(names.LAST_REPORTED) == shown
    await world.store.measure()
    assert scrape(world.store).value(names.LAST_REPORTED) >= shown + 500


@only_where(lambda place: place.kind.is_postgres)
@contract
async def test_an_open_transaction_and_dead_tuples_are_shown(world: World) -> None:
    await world.make_queue()
    plain = world.url.split("?")[0]
    with psycopg.connect(plain) as connection:
        connection.execute("SELECT pg_sleep(0.05)")
        await world.store.measure()
        assert scrape(world.store).value(names.OLDEST_TRANSACTION) >= 0.05
    for _ in range(3):
        await world.store.complete(await world.running())
    found: dict[str, float | None] = {}
    with psycopg.connect(plain, autocommit=True) as connection:
        while not found.get("tq_messages"):
            # The server tells of them when it likes.
            connection.execute("SELECT pg_stat_force_next_flush()")
            await world.store.complete(await world.running())
            await world.store.measure()
            shown = scrape(world.store)
            found = {
                table: shown.get(names.DEAD_TUPLES, table=table)
                for table in ("tq_messages", "tq_history", "tq_attempts", "tq_receipts")
            }
            if not world.virtual:
                await trio.sleep(0.05)
    assert None not in found.values()


@contract
async def test_queues_beyond_a_limit_are_counted_together(world: World) -> None:
    text = encode_options(QueueOptions())

    def add(context: Context) -> Operation[None]:
        for place in range(QUEUES_SHOWN + 20):
            name = f"q{place:04}"
            yield Execute(
                "insert_queue",
                {"name": name, "options": text, "dead_letter_name": name, "now": 1},
            )

    await world.store._write(add)
    for name in ("q0519", "q0001", "q0518"):
        await world.store.post(name, 1)
    await world.store.measure()
    await world.store.post("q0517", 1)
    found = scrape(world.store)
    assert found.get(names.MESSAGES, queue="q0519", state="PENDING") == 1
    assert found.get(names.MESSAGES, queue="q0517", state="PENDING") is None
    assert found.get(names.POSTED, queue="q0519") == 1
    assert found.get(names.POSTED, queue="q0517") is None
    assert found.get(names.POSTED, queue=OTHER_QUEUES) == 1
    shown = {
        dict(labels)["queue"] for (name, labels) in found.series if name == names.PAUSED
    }
    assert len(shown) == QUEUES_SHOWN + 1
    await world.store.delete_queue("q0001", force=True)
    await world.store.measure()
    later = scrape(world.store)
    assert later.get(names.PAUSED, queue="q0001") is None
    assert world.store.meters.queues >= {"q0519", "q0518"}
    assert len(world.store.meters.queues) == QUEUES_SHOWN


@on_shared
@contract
async def test_stores_on_one_database_show_its_messages_once(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1)
    await world.store.measure()
    async with world.open_another() as other:
        await world.advance(1)
        await other.post(QUEUE, 1)
        await other.measure()
        found = scrape(world.store, other)
    assert found.get(names.MESSAGES, queue=QUEUE, state="PENDING") == 2
    assert found.get(names.POSTED, queue=QUEUE) == 2


async def test_stores_on_different_databases_are_added_up() -> None:
    async with (
        open_store("sqlite://:memory:") as first,
        open_store("sqlite://:memory:") as second,
    ):
        for store, count in ((first, 1), (second, 2)):
            await store.create_queue(QUEUE, QueueOptions())
            for _ in range(count):
                await store.post(QUEUE, 1)
            await store.measure()
        await first.pause_queue(QUEUE)
        await first.measure()
        found = scrape(first, second)
    assert found.get(names.MESSAGES, queue=QUEUE, state="PENDING") == 3
    assert found.get(names.PAUSED, queue=QUEUE) == 1
    assert found.get(names.POSTED, queue=QUEUE) == 3
    assert found.get(f"{names.GROUP_SIZES}_count") == 9


async def test_another_thread_sees_them_grow_in_virtual_time_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with open_store("sqlite://:memory:") as store:
        await store.create_queue(QUEUE)
        await store.post(QUEUE, 1)
        await trio.sleep(10)
        await store.measure()
        await trio.sleep(10)
        there = await trio.to_thread.run_sync(scrape, store)
        # The clock leaps on, too, while the thread is busy.
        assert there.value(names.OLDEST_READY, queue=QUEUE) >= 20
