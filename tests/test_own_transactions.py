"""Transactions of the user's: leases, cancellation, workers, asyncio, any course."""

from __future__ import annotations

import logging
import random
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.own_rows import connected, insert, own_rows, rows
from tests.stepping import cancel_at
from trioqueue import (
    IllegalStateError,
    Job,
    LeaseLostError,
    LeasePolicy,
    MessageState,
    QueueOptions,
    RetentionPolicy,
    RetryPolicy,
    Store,
    ValidationError,
    Worker,
    open_services,
    open_store,
)

OPTIONS = QueueOptions(
    retention=RetentionPolicy.keep_forever(), retry=RetryPolicy.fixed(0)
)


async def a_job(store: Store, message_id: str = "m", **options: Any) -> Job:
    await store.post("jobs", 1, message_id=message_id, **options)
    (job,) = await store.claim("jobs")
    return job


async def outlive_the_lease(url: str) -> None:
    """Work in a block for twice as long as the lease is without heartbeats."""
    async with open_store(url) as store:
        await store.create_queue("jobs", OPTIONS)
        with own_rows(url):
            policy = LeasePolicy(base_seconds=1)
            await store.post("jobs", 1, message_id="m", lease=policy)
            lost: LeaseLostError | None = None
            try:
                async with (
                    store.lease("jobs") as job,
                    job.transaction() as transaction,
                ):
                    await transaction.execute(insert(url), [1])
                    await trio.sleep(2)
            except LeaseLostError as error:
                lost = error
            message = await store.get_message("jobs", "m")
            stored = message.state is MessageState.COMPLETED
            assert rows(url) == ([1] if stored else [])
            assert stored is (lost is None)
            if lost is not None:
                raise lost


@pytest.mark.parametrize("virtual", [False, True])
def test_on_sqlite_a_block_longer_than_the_lease_stores_nothing(
    tmp_path: Path, virtual: bool
) -> None:
    clock = MockClock(autojump_threshold=0) if virtual else None
    # Its heartbeats wait for the lock that the block holds.
    with pytest.raises(LeaseLostError):
        trio.run(outlive_the_lease, f"sqlite:///{tmp_path / 'jobs.db'}", clock=clock)


def test_on_postgres_heartbeats_go_on_in_the_block(postgres_urls: Any) -> None:
    trio.run(outlive_the_lease, postgres_urls(), clock=MockClock(autojump_threshold=0))


async def test_a_stale_attempt_stores_nothing(shared: str) -> None:
    async with open_store(shared) as store:
        await store.create_queue("jobs", OPTIONS)
        with own_rows(shared):
            job = await a_job(store)
            await store.release(job)
            (again,) = await store.claim("jobs")
            with pytest.raises(LeaseLostError):
                async with job.transaction() as transaction:
                    await transaction.execute(insert(shared), [1])
                    await transaction.post("jobs", 2, message_id="more")
            assert rows(shared) == []
            assert [m.message_id for m in await store.peek("jobs")] == ["m"]
            await store.complete(again)


@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_a_block_that_ends_the_transaction_itself_is_told(
    shared: str, end: str
) -> None:
    async with open_store(shared) as store:
        await store.create_queue("jobs", OPTIONS)
        job = await a_job(store)
        with pytest.raises(IllegalStateError, match="ended inside its block"):
            async with job.transaction() as transaction:
                answer = getattr(transaction.connection, end)()
                if answer is not None:
                    await answer
        await store.complete(job)


@pytest.mark.parametrize("virtual", [False, True])
def test_on_sqlite_a_block_is_told_that_it_would_wait_for_itself(
    tmp_path: Path, virtual: bool
) -> None:
    async def main() -> None:
        async with open_store(f"sqlite:///{tmp_path / 'jobs.db'}") as store:
            await store.create_queue("jobs", OPTIONS)
            job = await a_job(store)
            async with job.transaction():
                with pytest.raises(IllegalStateError, match="would wait for ever"):
                    await store.post("jobs", 1)
                with pytest.raises(IllegalStateError, match="would wait for ever"):
                    async with job.transaction():
                        raise AssertionError
            await store.post("jobs", 2)
            assert [m.payload for m in await store.peek("jobs")] == [2]

    trio.run(main, clock=MockClock(autojump_threshold=0) if virtual else None)


async def test_a_result_that_is_no_json_stores_nothing(shared: str) -> None:
    async with open_store(shared) as store:
        await store.create_queue("jobs", OPTIONS)
        with own_rows(shared):
            job = await a_job(store)
            with pytest.raises(ValidationError, match="result"):
                async with job.transaction() as transaction:
                    await transaction.execute(insert(shared), [1])
                    transaction.result = object()
            assert rows(shared) == []
            await store.complete(job)


async def test_canceled_at_any_step_all_or_nothing_is_stored(shared: str) -> None:
    async with open_store(shared) as store:
        await store.create_queue("jobs", OPTIONS)
        with own_rows(shared):
            step, returned = 0, False
            while not returned:
                job = await a_job(store, f"m{step}")

                async def complete(job: Job, number: int) -> None:
                    async with job.transaction() as transaction:
                        await transaction.execute(insert(shared), [number])
                        await transaction.post("jobs", 1, message_id=f"after{number}")

                returned, _ = await cancel_at(step, partial(complete, job, step))
                stored = step in rows(shared)
                state = (await store.get_message("jobs", f"m{step}")).state
                assert stored is (state is MessageState.COMPLETED)
                found = {m.message_id for m in await store.peek("jobs", limit=1000)}
                assert (f"after{step}" in found) is stored
                assert stored or not returned
                if stored:
                    await store.cancel("jobs", f"after{step}")
                await store.complete(job)  # ended by itself, or free to end
                step += 1
            assert step > 5


@pytest.mark.parametrize("virtual", [False, True])
def test_handlers_of_a_worker_complete_with_their_rows(
    shared: str, virtual: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def handle(job: Job) -> str:
        if job.attempt == 1:
            async with job.transaction() as transaction:
                await transaction.execute(insert(shared), [-job.payload])
                raise ValueError("the first attempt")
        async with job.transaction() as transaction:
            await transaction.execute(insert(shared), [job.payload])
            await transaction.post("after", job.payload)
        if job.payload == 1:
            raise ValueError("after its end")
        return "another result"

    async def main() -> None:
        async with open_store(shared) as store:
            await store.create_queue("jobs", OPTIONS)
            await store.create_queue("after", OPTIONS)
            with own_rows(shared):
                for number in range(1, 6):
                    await store.post("jobs", number)
                worker = Worker(store, {"jobs": handle}, concurrency=3)
                with trio.fail_after(1e6 if virtual else 60):
                    await worker.run_once()
                assert rows(shared) == [1, 2, 3, 4, 5]
                after = await store.peek("after")
                assert sorted(m.payload for m in after) == [1, 2, 3, 4, 5]
                told = worker.statistics()
                assert (told.completed, told.failed, told.lost) == (5, 5, 0)

    with caplog.at_level(logging.ERROR):
        trio.run(main, clock=MockClock(autojump_threshold=0) if virtual else None)
    assert "after its end" in caplog.text


def test_a_virtual_year_with_a_users_transaction_in_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    seen: list[tuple[Any, float]] = []

    async def handle(job: Job) -> None:
        seen.append((job.payload, trio.current_time()))
        await trio.lowlevel.checkpoint()

    async def main() -> None:
        async with open_store(url) as store, open_services(store):
            await store.create_queue("jobs", OPTIONS)
            worker = Worker(store, {"jobs": handle})
            with own_rows(url):
                async with trio.open_nursery() as nursery:
                    await nursery.start(worker.run)
                    await trio.sleep(365 * 86400)
                    with connected(url) as connection:
                        connection.execute(insert(url), [1])
                        store.post_in(connection, "jobs", "now")
                        store.post_in(connection, "jobs", "later", delay_seconds=100)
                        await trio.sleep(10)
                        connection.commit()
                    await trio.sleep(365 * 86400)
                    nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    year = 365 * 86400
    assert [payload for payload, _ in seen] == ["now", "later"]
    assert seen[0][1] <= year + 11
    assert year + 100 <= seen[1][1] <= year + 101


@pytest.mark.parametrize("seed", range(6))
async def test_any_course_of_savepoints_agrees_with_a_model(
    shared: str, seed: int
) -> None:
    source = random.Random(seed)
    async with open_store(shared) as store:
        await store.create_queue("jobs", OPTIONS)
        with own_rows(shared), connected(shared) as connection:
            stored: set[int] = set()
            inside: list[set[int]] = []
            for number in range(60):
                act = source.choice(["both", "both", "save", "back", "end", "undo"])
                if act == "both":
                    inside = inside or [set()]
                    connection.execute(insert(shared), [number])
                    store.post_in(connection, "jobs", number, message_id=f"m{number}")
                    inside[-1].add(number)
                elif act == "save" and inside:
                    connection.execute(f"SAVEPOINT s{len(inside)}")
                    inside.append(set())
                elif act == "back" and len(inside) > 1:
                    inside[-1] = set()
                    connection.execute(f"ROLLBACK TO SAVEPOINT s{len(inside) - 1}")
                elif act == "end" and inside:
                    connection.commit()
                    stored |= set[int]().union(*inside)
                    inside = []
                elif act == "undo" and inside and source.random() < 0.5:
                    connection.rollback()
                    inside = []
                assert set(rows(shared)) == stored
                found = await store.peek("jobs", limit=1000)
                assert {m.payload for m in found} == stored
            assert stored
