"""What the processes of `test_exactness` run: work until nothing is left, then tell."""

from __future__ import annotations

import json
import sys
from typing import Final

import trio

import trioqueue
from trioqueue.metrics import catalogue as names

QUEUE: Final = "jobs"


async def main(url: str) -> None:
    async with trioqueue.open_store(url) as store:

        async def handle(job: trioqueue.Job) -> None:
            await trio.lowlevel.checkpoint()
            if job.payload % 5 == 0:
                raise ValueError

        for place in range(10):
            # The same in every process: all but one of them are duplicates.
            await store.post(QUEUE, 1, message_id=f"same-{place}")
            await store.post(QUEUE, 1, message_id=f"same-{place}")
        worker = trioqueue.Worker(store, {QUEUE: handle}, concurrency=5)
        while await worker.run_once():
            pass
        counts, histograms = store.meters.snapshot().counts, {}
        for key, buckets in store.meters.snapshot().histograms.items():
            histograms[key] = sum(buckets[:-1])
    print(  # noqa: T201  to the test
        json.dumps(
            {
                "posted": counts.get((names.POSTED, QUEUE, ""), 0),
                "duplicate": counts.get((names.DUPLICATES, QUEUE, ""), 0),
                "claimed": counts.get((names.CLAIMED, QUEUE, ""), 0),
                "completed": counts.get((names.ATTEMPTS, QUEUE, "completed"), 0),
                "failed": counts.get((names.ATTEMPTS, QUEUE, "failed"), 0),
                "exception": counts.get((names.ERRORS, QUEUE, "exception"), 0),
                "dead": counts.get((names.DEAD_ADDED, QUEUE, "max_attempts"), 0),
                "waits": histograms.get((names.WAITS, QUEUE, ""), 0),
                "runs": histograms.get((names.RUNS, QUEUE, ""), 0),
            }
        )
    )


trio.run(main, sys.argv[1])
