"""Callers canceled at every checkpoint: a call happens wholly or not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio

from tests.postgres.faulty import executor_of, nobody_left, states
from tests.postgres_server import Server
from tests.stepping import AtStep, cancel_at
from tests.test_cancellation import (
    CALLS,
    QUEUE,
    Call,
    Scene,
    check,
    claim,
    claim_wait,
    clear_up,
    make_queues,
)
from trioqueue import Job, Store, open_store
from trioqueue.store.postgres import pool as pools
from trioqueue.store.postgres.pool import Pool
from trioqueue.store.postgres.session import Session
from trioqueue.store.postgres.settings import Settings


async def look(store: Store) -> None:
    await store.queue_state(QUEUE)
    await store.peek(QUEUE)


async def work(store: Store) -> None:
    await store.post(QUEUE, 1)
    for job in await store.claim(QUEUE):
        await store.complete(job)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_a_call_canceled_at_any_checkpoint_has_happened_or_has_not(
    postgres: Server, call: Call
) -> None:
    steps: list[tuple[bool, bool]] = []

    async def main(schema: str) -> None:
        url = postgres.store_url(schema, application_name=schema)
        async with open_store(url) as store:
            await make_queues(store)
            for step in range(100):
                scene = Scene()
                await scene.prepare(store, f"-{step}")
                jobs: list[Job] = []

                async def do(scene: Scene = scene, jobs: list[Job] = jobs) -> None:
                    answer = await call(store, scene)
                    if call in (claim, claim_wait):
                        jobs += answer

                returned, canceled = await cancel_at(step, do)
                assert returned or canceled
                await check(store, call, scene, returned=returned)
                for job in jobs:
                    await store.complete(job)
                await clear_up(store, call, scene)
                steps.append((returned, canceled))
                if steps[-1] == (True, False):
                    break
            await idle_again(postgres, schema)

    with postgres.schema() as schema:
        trio.run(main, schema)
    assert steps[0] == (False, True)
    assert steps[-1] == (True, False)
    assert len(steps) > 2


def test_a_read_canceled_at_any_checkpoint_gives_its_connection_back(
    postgres: Server,
) -> None:
    async def main(schema: str) -> None:
        url = postgres.store_url(schema, application_name=schema, pool_size="2")
        async with open_store(url) as store:
            await make_queues(store)
            for step in range(100):
                result = await cancel_at(step, partial(look, store))
                if result == (True, False):
                    break
            else:
                pytest.fail("the read never came to its end")
            assert step > 4
            for _ in range(3):
                await look(store)
            await idle_again(postgres, schema)

    with postgres.schema() as schema:
        trio.run(main, schema)


async def idle_again(server: Server, application: str, most: int = 9) -> None:
    """No transaction is open, and there are no more connections than allowed."""
    seen: list[str] = []
    for _ in range(100):
        seen = await trio.to_thread.run_sync(states, server, application)
        if set(seen) == {"idle"} and len(seen) <= most:
            break
        await trio.sleep(0.02)
    assert set(seen) == {"idle"}
    assert len(seen) <= most


def pool_of(server: Server, schema: str, size: int) -> Pool[Session]:
    conninfo = server.conninfo(application_name=schema)
    return Pool(lambda: Session.open(Settings(conninfo, schema)), size=size)


@pytest.mark.parametrize("known", ["new", "idle", "doubtful"])
def test_a_borrower_canceled_at_any_checkpoint_has_taken_no_connection(
    postgres: Server, known: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is to be made, at hand, or to be checked first."""
    if known == "doubtful":
        monkeypatch.setattr(pools, "TRUST_SECONDS", -1.0)

    async def main(schema: str) -> None:
        for step in range(100):
            pool = pool_of(postgres, schema, 1)

            async def borrow(pool: Pool[Session] = pool) -> None:
                async with pool.lend() as session:
                    session.begin()
                    await session.query(b"SELECT 1")
                    await session.rollback()

            try:
                if known != "new":
                    await borrow()
                result = await cancel_at(step, borrow)
                now = pool.statistics()
                assert now.waiting == 0
                assert now.open == now.idle
                await borrow()  # the only place is free
                assert pool.statistics().open == 1
                await idle_again(postgres, schema, most=1)
            finally:
                await pool.aclose()
            await nobody_left(postgres, schema)
            if result == (True, False):
                break
        else:
            pytest.fail("it never came to its end")
        assert step > {"new": 5, "idle": 2, "doubtful": 3}[known]

    with postgres.schema() as schema:
        trio.run(main, schema)


@pytest.mark.parametrize("call", [look, work], ids=["read", "write"])
def test_a_call_canceled_while_its_connection_is_made_leaves_none(
    postgres: Server, call: Callable[[Store], Awaitable[None]]
) -> None:
    async def main(schema: str) -> None:
        url = postgres.store_url(schema, application_name=schema, pool_size="2")
        async with open_store(url) as store:
            await make_queues(store)
            for step in range(100):
                executor_of(store)._pool.discard_idle()
                if await cancel_at(step, partial(call, store)) == (True, False):
                    break
            else:
                pytest.fail("the call never came to its end")
            assert step > 2
            await look(store)
            await idle_again(postgres, schema, most=3)
        await nobody_left(postgres, schema)

    with postgres.schema() as schema:
        trio.run(main, schema)


@pytest.mark.parametrize(
    "stride", [17, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_a_program_canceled_at_any_step_of_any_task_leaves_nothing(
    postgres: Server, stride: int
) -> None:
    """Also in the executor's own tasks, in opening and in closing."""
    ends: list[bool] = []

    async def program(url: str, scope: trio.CancelScope, step: int) -> None:
        instrument = AtStep(step, scope.cancel)
        trio.lowlevel.add_instrument(instrument)
        try:
            with scope:
                async with open_store(url) as store, trio.open_nursery() as nursery:
                    for _ in range(3):
                        nursery.start_soon(work, store)
                        nursery.start_soon(look, store)
        finally:
            trio.lowlevel.remove_instrument(instrument)
        ends.append(scope.cancel_called)

    async def main(schema: str) -> None:
        url = postgres.store_url(schema, application_name=schema)
        async with open_store(url) as store:
            await make_queues(store)
        for step in range(1, 10_000, stride):
            with trio.fail_after(30):
                await program(url, trio.CancelScope(), step)
            await nobody_left(postgres, schema)
            if not ends[-1]:
                break
        assert ends.count(False) == 1
        assert len(ends) > 5

    with postgres.schema() as schema:
        trio.run(main, schema)
