"""Several processes at once on one database: all get on, and the counts are exact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from tests.processes.crew import open_crew
from trioqueue import MessageState, QueueOptions, RetentionPolicy, open_store

QUEUE: Final = "jobs"
PROCESSES: Final = {"sqlite": 8, "postgresql": 4}
"""The server needs a part of the same cores."""


async def test_processes_that_post_and_claim_at_once_all_make_progress(
    shared: str, tmp_path: Path
) -> None:
    async with open_store(shared) as store:
        await store.create_queue(
            QUEUE, QueueOptions(retention=RetentionPolicy.keep_forever())
        )
        with open_crew(tmp_path) as crew:
            traders = [
                crew.start("trade", shared, "1.5")
                for _ in range(PROCESSES[shared.partition(":")[0]])
            ]
            for trader in traders:
                await trader.said()
            for trader in traders:
                trader.tell()
            accounts = [json.loads((await one.said(2))[1]) for one in traders]
            for trader in traders:
                await trader.finish()

        posted = [account["posted"] for account in accounts]
        completed = [account["completed"] for account in accounts]
        assert min(posted) >= 0.2 * max(posted) > 0, accounts
        assert min(completed) >= 0.2 * max(completed) > 0, accounts
        counts = (await store.queue_state(QUEUE)).counts
        assert counts[MessageState.COMPLETED] == sum(completed)
        assert counts[MessageState.PENDING] == sum(posted) - sum(completed)
        assert sum(counts.values()) == sum(posted)
