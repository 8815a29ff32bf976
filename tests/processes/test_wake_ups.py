"""What one process does wakes the others that wait for it, on the same database."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
import trio

from tests.processes.crew import PATIENCE_SECONDS, open_crew, until
from trioqueue import (
    Job,
    LeasePolicy,
    MessageState,
    QueueOptions,
    RetentionPolicy,
    RetryPolicy,
    Worker,
    open_services,
    open_store,
)
from trioqueue.services import ReclaimService, SchedulerService

QUEUE: Final = "jobs"
OPTIONS: Final = QueueOptions(
    lease=LeasePolicy(base_seconds=1),
    retry=RetryPolicy.fixed(0),
    retention=RetentionPolicy.keep_forever(),
)
NEVER: Final = 1e6
"""An interval so long that only a wake-up can end it in time."""


@pytest.mark.parametrize("delay", [0, 0.5])
async def test_a_worker_and_a_scheduler_wake_for_what_another_process_posts(
    shared: str, tmp_path: Path, delay: float
) -> None:
    seen = trio.Event()

    async def handle(job: Job) -> None:
        assert job.payload == "from afar"
        await trio.lowlevel.checkpoint()
        seen.set()

    with trio.fail_after(PATIENCE_SECONDS), open_crew(tmp_path) as crew:
        async with open_store(shared) as store, trio.open_nursery() as nursery:
            await store.create_queue(QUEUE, OPTIONS)
            poster = crew.start("post-when-told", shared, QUEUE, str(delay))
            await poster.said()
            scheduler = SchedulerService(store, interval_seconds=NEVER)
            worker = Worker(store, {QUEUE: handle})
            await nursery.start(scheduler.run)
            await nursery.start(worker.run)
            poster.tell()
            await seen.wait()
            assert scheduler.statistics().processed == (delay > 0)
            await poster.finish()
            scheduler.stop()
            await worker.stop_gracefully()


async def test_whoever_waits_for_a_result_hears_of_it_from_another_process(
    shared: str,
    tmp_path: Path,
) -> None:
    with trio.fail_after(PATIENCE_SECONDS), open_crew(tmp_path) as crew:
        async with open_store(shared) as store:
            await store.create_queue(QUEUE, OPTIONS)
            worker = crew.start("work", shared)
            for _ in range(3):
                message = await store.post(QUEUE, 1)
                done = await store.wait_finished(QUEUE, message.message_id)
                assert done.state is MessageState.COMPLETED
                assert done.result == worker.process.pid
            await worker.finish()


async def test_a_service_takes_back_what_a_killed_process_held(
    shared: str,
    tmp_path: Path,
) -> None:
    """It hears of the claim of another process, and is there when the lease ends."""
    with trio.fail_after(PATIENCE_SECONDS), open_crew(tmp_path) as crew:
        async with open_store(shared) as store, trio.open_nursery() as nursery:
            await store.create_queue(QUEUE, OPTIONS)
            service = ReclaimService(store, interval_seconds=NEVER)
            await nursery.start(service.run)
            await store.post(QUEUE, 1, message_id="m")
            holder = crew.start("hold", shared)
            assert await holder.said() == ["claimed m 1"]

            def has_heard() -> bool:
                seen = service.statistics()
                return seen.next_due is not None or seen.processed > 0

            # Who is killed before that may have told nobody.
            await until(has_heard)
            await holder.kill()
            (job,) = await store.claim_wait(QUEUE)
            assert (job.message_id, job.attempt) == ("m", 2)
            record = (await store.get_message(QUEUE, "m")).attempts[0]
            assert record.outcome == "lease_expired"
            assert record.ended_at is not None
            assert (record.ended_at - record.started_at).total_seconds() >= 1
            await store.complete(job)
            await service.stop_gracefully()


async def test_all_services_of_two_processes_at_once_move_each_message_once(
    shared: str,
    tmp_path: Path,
) -> None:
    with trio.fail_after(PATIENCE_SECONDS), open_crew(tmp_path) as crew:
        async with open_store(shared) as store:
            await store.create_queue(QUEUE, OPTIONS)
            workers = [crew.start("serve", shared) for _ in range(2)]
            for worker in workers:
                await worker.said()
            async with open_services(store):
                for number in range(200):
                    delay = 0.2 + number % 10 / 20
                    await store.post(QUEUE, number, delay_seconds=delay)
                for message in await store.peek(QUEUE, limit=1000):
                    await store.wait_finished(QUEUE, message.message_id)
            for worker in workers:
                await worker.finish()
            counts = (await store.queue_state(QUEUE)).counts
            assert counts[MessageState.COMPLETED] == 200
            lines = [line for worker in workers for line in worker.lines()[1:]]
            assert len(lines) == len(set(lines)) == 200
