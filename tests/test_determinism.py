"""The same program under a mock clock has the same history every time."""

from __future__ import annotations

import random

import trio
from trio.testing import MockClock

from trioqueue import Job, QueueOptions, RetryPolicy, Worker, open_services
from trioqueue.testing import virtual_store

History = list[tuple[str, str, int, int]]


def simulate() -> History:
    """Run retries with jitter, delays and a flaky handler for a day."""
    history: History = []
    flaky = random.Random(7)
    fails = {number: flaky.randrange(5) for number in range(40)}

    async def main() -> None:
        async with virtual_store() as store:

            async def handle(job: Job) -> None:
                when = store.now().isoformat()
                history.append((when, job.message_id, job.payload, job.attempt))
                await trio.sleep(job.payload / 10)
                if job.attempt <= fails[job.payload]:
                    raise ConnectionError

            policy = RetryPolicy.exponential(10, 3, 3600)
            await store.create_queue("q", QueueOptions(max_attempts=4, retry=policy))
            for number in range(40):
                await store.post("q", number, delay_seconds=number * 7 % 50)
            async with open_services(store), trio.open_nursery() as nursery:
                worker = Worker(store, {"q": handle}, concurrency=3)
                await nursery.start(worker.run)
                await trio.sleep(86_400)
                worker.stop()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    return sorted(history)


def test_ten_runs_have_one_history() -> None:
    first = simulate()
    assert len(first) > 80
    for _ in range(9):
        assert simulate() == first
