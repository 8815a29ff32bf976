"""Callers canceled at every checkpoint: a call happens wholly or not at all."""

from __future__ import annotations

from functools import partial

import pytest
import trio

from tests.postgres.faulty import states
from tests.postgres_server import Server
from tests.test_cancellation import (
    CALLS,
    QUEUE,
    Call,
    Scene,
    cancel_at,
    check,
    claim,
    claim_wait,
    clear_up,
    make_queues,
)
from trioqueue import Job, Store, open_store


async def look(store: Store) -> None:
    await store.queue_state(QUEUE)
    await store.peek(QUEUE)


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


async def idle_again(server: Server, application: str) -> None:
    """No transaction is open, and there are no more connections than allowed."""
    seen: list[str] = []
    for _ in range(100):
        seen = await trio.to_thread.run_sync(states, server, application)
        if set(seen) == {"idle"}:
            break
        await trio.sleep(0.02)
    assert set(seen) == {"idle"}
    assert len(seen) <= 9
