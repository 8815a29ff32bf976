"""Counters count what was committed: no more, no less, in however many processes."""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
import trio

from tests.helpers import QUEUE, World, contract, only_where
from tests.metrics.scraping import scrape
from tests.postgres_server import Server
from trioqueue import (
    BulkMode,
    NewMessage,
    QueueOptions,
    RetentionPolicy,
    RetryPolicy,
    ValidationError,
    open_store,
)
from trioqueue.metrics import catalogue as names
from trioqueue.store.operations.core import Context, Execute, Operation

PROGRAM: Final = Path(__file__).with_name("program.py")


@contract
async def test_a_batch_that_was_rolled_back_is_not_counted(world: World) -> None:
    await world.make_queue(max_payload_bytes=100)
    batch = [NewMessage(1), NewMessage("x" * 1000), NewMessage(2)]
    with pytest.raises(ValidationError):
        await world.store.post_many(QUEUE, batch, mode=BulkMode.ALL_OR_NOTHING)
    assert scrape(world.store).get(names.POSTED, queue=QUEUE) is None
    await world.store.post_many(QUEUE, batch, mode=BulkMode.BEST_EFFORT)
    assert scrape(world.store).value(names.POSTED, queue=QUEUE) == 2


@contract
async def test_an_operation_that_fails_after_it_has_counted_is_not_counted(
    world: World,
) -> None:
    await world.make_queue()

    def fail(context: Context) -> Operation[None]:
        context.effects.count(names.POSTED, QUEUE, n=100)
        context.effects.observe(names.WAITS, [1], QUEUE)
        context.effects.delete_queue(QUEUE)
        yield Execute("request_abort", {"id": 0, "now": 1, "reason": None})
        raise ZeroDivisionError

    async def refused() -> None:
        with pytest.raises(ZeroDivisionError):
            await world.store._executor.write(fail)

    # Beside others, so that where there are groups it spoils one.
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(world.store.post, QUEUE, 1)
        for _ in range(3):
            nursery.start_soon(refused)
        for _ in range(20):
            nursery.start_soon(world.store.post, QUEUE, 1)
    found = scrape(world.store)
    assert found.value(names.POSTED, queue=QUEUE) == 40
    assert found.get(f"{names.WAITS}_count", queue=QUEUE) is None
    assert found.get(names.OPERATIONS, operation="fail") is None
    assert found.value(names.OPERATIONS, operation="post") == 40


@only_where(lambda place: not place.virtual)
@contract
async def test_counters_agree_with_the_database_whatever_is_canceled(
    world: World,
) -> None:
    await world.make_queue()
    posted = 0

    async def post(seconds: float) -> None:
        nonlocal posted
        with trio.move_on_after(seconds):
            await world.store.post(QUEUE, 1)
            posted += 1

    async with trio.open_nursery() as nursery:
        for place in range(200):
            nursery.start_soon(post, place * 0.0002)
    there = sum((await world.counts()).values())
    assert there >= posted
    assert scrape(world.store).value(names.POSTED, queue=QUEUE) == there


@pytest.mark.parametrize("kind", ["file", "postgres"])
async def test_the_counters_of_three_processes_add_up_to_the_truth(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    jobs = 300
    options = QueueOptions(
        retry=RetryPolicy.fixed(0),
        max_attempts=2,
        # So that an id is known for ever.
        retention=RetentionPolicy.keep_forever(),
    )
    with ExitStack() as stack:
        url = f"sqlite:///{tmp_path}/jobs.db"
        if kind == "postgres":
            server: Server = request.getfixturevalue("postgres")
            url = server.store_url(stack.enter_context(server.schema("metrics")))
        total, left = await _run_three(url, options, jobs)
    posted = jobs + 10
    dead = sum(1 for place in range(jobs) if place % 5 == 0)
    assert left == {"COMPLETED": posted - dead, "ERRORED": dead}
    assert total == {
        "posted": 10,
        "duplicate": 3 * 20 - 10,
        "claimed": posted + dead,
        "completed": posted - dead,
        "failed": 2 * dead,
        "exception": 2 * dead,
        "dead": dead,
        "waits": posted + dead,
        "runs": posted + dead,
    }


async def _run_three(
    url: str, options: QueueOptions, jobs: int
) -> tuple[Counter[str], dict[str, int]]:
    """Return what three processes have counted together, and what they left."""
    async with open_store(url) as store:
        await store.create_queue(QUEUE, options)
        await store.post_many(QUEUE, [NewMessage(place) for place in range(jobs)])
        said: list[bytes] = []

        async def work() -> None:
            done = await trio.run_process(
                [sys.executable, str(PROGRAM), url], capture_stdout=True
            )
            said.append(done.stdout)

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(work)
        counts = (await store.queue_state(QUEUE)).counts
    total: Counter[str] = Counter()
    for out in said:
        total.update(json.loads(out))
    return total, {state.name: count for state, count in counts.items() if count}
