"""An old transaction keeps every dead row alive, and claims hardly mind."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

import attrs
import pytest
import trio

from tests.postgres.faulty import OPTIONS, QUEUE
from tests.postgres.sql_scene import Plan
from tests.postgres_server import DATABASE, OwnServer, Server
from trioqueue import NewMessage, RetentionPolicy, Store, open_services, open_store
from trioqueue.policies.priority import BAND_STARTS, ready_at
from trioqueue.store import low_water
from trioqueue.store.low_water import SLACK_MICROS, LowWaterMarks
from trioqueue.store.postgres.compiling import compile_statement

CLEAN: Final = "clean"
BATCH: Final = 20
TASKS: Final = 4
PINNED_SECONDS: Final = 60
KEEPS_NOTHING: Final = attrs.evolve(OPTIONS, retention=RetentionPolicy.delete())


@contextmanager
def pinned(server: Server) -> Iterator[None]:
    """Have a transaction with a number open, so that no row that dies is removed."""
    with server.connect(application_name="pin") as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT pg_current_xact_id()")
        yield
        connection.execute("ROLLBACK")


async def cycle(store: Store, size: int = BATCH) -> int:
    """Post, claim and complete a batch; return how many messages went through."""
    await store.post_many(QUEUE, [NewMessage(1)] * size)
    jobs = await store.claim(QUEUE, limit=size)
    await store.complete_many(jobs)
    return len(jobs)


def explain(server: Server, schema: str, lows: Sequence[int]) -> Plan:
    """Run what a claim looks with, beginning at these keys."""
    compiled = compile_statement("ready_messages", schema)
    values = {"queue_id": 1, "limit": 1}
    values |= {f"low_{band}": low for band, low in enumerate(lows)}
    with server.connect() as connection, connection.transaction():
        connection.execute(b"PREPARE claim AS " + compiled.sql)
        connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        arguments = ", ".join(str(values[name]) for name in compiled.names)
        options = "ANALYZE, BUFFERS, FORMAT JSON"
        row = connection.execute(
            f"EXPLAIN ({options}) EXECUTE claim({arguments})".encode()
        ).fetchone()
        connection.execute("DEALLOCATE claim")
        assert row is not None
        return Plan("ready_messages", row[0][0]["Plan"])


def pages(plan: Plan) -> int:
    """Return how many pages were looked at."""
    return int(plan.root["Shared Hit Blocks"] + plan.root["Shared Read Blocks"])


def test_a_claim_begins_behind_the_dead_that_a_transaction_keeps(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every look counts as a slow one: how long one takes here is no matter.
    monkeypatch.setattr(low_water, "SLOW_SECONDS", 0.0)
    given: list[Sequence[int]] = []
    lows = LowWaterMarks.lows

    def note(marks: LowWaterMarks, queue_id: int) -> Sequence[int]:
        given.append(tuple(lows(marks, queue_id)))
        return given[-1]

    monkeypatch.setattr(LowWaterMarks, "lows", note)

    async def main(schema: str) -> None:
        async with open_store(postgres.store_url(schema)) as store:
            await store.create_queue(QUEUE, KEEPS_NOTHING)
            with pinned(postgres):
                for _ in range(4):
                    assert await cycle(store, 1000) == 1000
                over = store.now().timestamp() * 1e6
                await trio.sleep(SLACK_MICROS / 1e6 * 1.5)
                with trio.fail_after(10):
                    # The marks are forgotten each second, and set by the next claim.
                    while max(ready_at(low) for low in given[-1]) < over:
                        assert await cycle(store) == BATCH
                await store.post(QUEUE, 1)
                behind = explain(postgres, schema, given[-1])
                before = explain(postgres, schema, BAND_STARTS)
                for plan in (behind, before):
                    assert plan.root["Actual Rows"] == 1, plan
                assert pages(before) > 500, before
                assert pages(behind) < 100, behind

    with postgres.schema() as schema:
        trio.run(main, schema)


def test_what_becomes_ready_below_the_mark_is_claimed_all_the_same(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that another process posted, but committed late."""
    monkeypatch.setattr(low_water, "SLOW_SECONDS", 0.0)

    async def main(schema: str) -> None:
        async with open_store(postgres.store_url(schema)) as store:
            await store.create_queue(QUEUE, KEEPS_NOTHING)
            with pinned(postgres):
                await store.post(QUEUE, 1, message_id="late")
                with postgres.connect() as connection:
                    connection.execute(
                        f"UPDATE {schema}.tq_messages SET claim_key = claim_key"
                        " - 60000000, state = 5".encode()
                    )
                    assert await cycle(store) == BATCH
                    connection.execute(
                        f"UPDATE {schema}.tq_messages SET state = 1".encode()
                    )
                with trio.fail_after(8):
                    (job,) = await store.claim_wait(QUEUE)
                assert job.message_id == "late"

    with postgres.schema() as schema:
        trio.run(main, schema)


async def throughput(store: Store, seconds: float) -> float:
    """Return the messages a second that went through in so many seconds."""
    done = 0
    began = trio.current_time()

    async def work() -> None:
        nonlocal done
        while trio.current_time() < began + seconds:
            done += await cycle(store)

    async with trio.open_nursery() as nursery:
        for _ in range(TASKS):
            nursery.start_soon(work)
    return done / (trio.current_time() - began)


def count_dead(server: Server) -> int:
    """Return about how many dead rows there are."""
    with server.connect() as connection:
        row = connection.execute(
            "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'tq_messages'"
        ).fetchone()
    assert row is not None
    return int(row[0])


async def compare(one: Store, other: Store, seconds: float) -> list[float]:
    """Measure in turns for so long; return one's share of the other's throughput."""
    ratios = []
    over = trio.current_time() + seconds
    while trio.current_time() < over:
        mine = await throughput(one, 2)
        ratios.append(mine / await throughput(other, 0.5))
    return ratios


@pytest.mark.slow
def test_a_minute_under_an_old_transaction_costs_less_than_two_fifths(
    own_postgres: OwnServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside it works a store on another database, which the transaction spares."""
    figures: dict[str, list[float]] = {}
    dead: list[int] = []

    async def main(stack: ExitStack) -> None:
        url = own_postgres.store_url("pinned")
        clean = url.replace(f"/{DATABASE}?", f"/{CLEAN}?")
        assert clean != url
        async with (
            open_store(url) as store,
            open_store(clean) as other,
            open_services(store),
            open_services(other),
        ):
            for each in (store, other):
                await each.create_queue(QUEUE, KEEPS_NOTHING)
                await throughput(each, 1)
            figures["before"] = await compare(store, other, 8)
            stack.enter_context(pinned(own_postgres))
            figures["pinned"] = await compare(store, other, PINNED_SECONDS)
            await trio.sleep(1)  # what the server counts is told each second
            dead.append(await trio.to_thread.run_sync(count_dead, own_postgres))
            stack.close()
            await compare(store, other, 6)
            figures["after"] = await compare(store, other, 8)

    with own_postgres.connect() as connection:
        connection.execute(f"CREATE DATABASE {CLEAN}".encode())
    with ExitStack() as stack:
        trio.run(main, stack)
    medians = {when: statistics.median(each) for when, each in figures.items()}
    late = statistics.median(figures["pinned"][-8:])
    with capsys.disabled():
        told = ", ".join(f"{when} {share:.0%}" for when, share in medians.items())
        print(f" [{told}; its last third {late:.0%}; {dead[0]} dead rows] ", end="")  # noqa: T201  figures for people
    assert dead[0] > 10_000, "nothing was pinned, or nothing worked"
    assert medians["pinned"] / medians["before"] >= 0.6
    assert medians["after"] / medians["before"] >= 0.8
