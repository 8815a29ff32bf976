"""Other processes see a worker, tell it to be quiet, and notice when it was killed."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import trio

from tests.processes.crew import open_crew, until
from trioqueue import Store, WorkerInfo, open_store

QUEUE = "jobs"


async def until_seen(store: Store, count: int, **facts: Any) -> list[WorkerInfo]:
    """Wait until so many workers are listed, all of them with these facts."""
    with trio.fail_after(60):
        while True:
            found = await store.list_workers()
            if len(found) == count and all(
                getattr(worker, name) == value
                for worker in found
                for name, value in facts.items()
            ):
                return found
            await trio.sleep(0.02)


async def test_a_killed_worker_vanishes_and_one_that_stops_does_so_at_once(
    shared: str, tmp_path: Path
) -> None:
    with open_crew(tmp_path) as crew:
        async with open_store(shared) as store:
            await store.create_queue(QUEUE)
            # Patience that a busy machine does not use up, and none for the other.
            patient = crew.start("be-seen", shared, "60")
            victim = crew.start("be-seen", shared, "0.5")
            await patient.said()
            await victim.said()
            found = await until_seen(store, 2, queues=(QUEUE,))
            pids = {member.process.pid for member in (patient, victim)}
            assert {worker.pid for worker in found} == pids
            await victim.kill()
            (left,) = await until_seen(store, 1)
            assert left.pid == patient.process.pid
            stale = await store.list_workers(include_stale=True)
            (gone,) = [worker for worker in stale if worker.stale]
            assert gone.pid == victim.process.pid
            assert (store.now() - gone.last_beat).total_seconds() > 1.5
            patient.send(signal.SIGTERM)
            await until(lambda: not patient.is_alive)
            await until_seen(store, 0)


async def test_a_quiet_worker_finishes_its_job_and_claims_nothing_more(
    shared: str, tmp_path: Path
) -> None:
    with open_crew(tmp_path) as crew:
        async with open_store(shared) as store:
            await store.create_queue(QUEUE)
            worker = crew.start("be-seen", shared, "1")
            await worker.said()
            await store.post(QUEUE, 1, message_id="first")
            assert (await worker.said(2))[1] == "begun first"
            (seen,) = await until_seen(store, 1, running=1)
            await store.quiet_worker(seen.worker_id)
            # By its next beat it has heard of it.
            (told,) = await until_seen(store, 1, quiet=True)
            with trio.fail_after(60):
                while (await until_seen(store, 1))[0].last_beat <= told.last_beat:  # noqa: ASYNC110  in another process
                    await trio.sleep(0.02)
            await store.post(QUEUE, 2, message_id="second")
            worker.tell()
            assert (await worker.said(3))[2] == "done first"
            await until_seen(store, 1, running=0, quiet=True)
            await trio.sleep(0.3)
            assert (await store.get_message(QUEUE, "second")).attempt == 0
            await store.quiet_worker(seen.worker_id, quiet=False)
            assert (await worker.said(4))[3] == "begun second"
