"""Workers and posters killed or stopped: nothing is lost, nothing done twice."""

from __future__ import annotations

import signal
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
import trio

from tests.processes.crew import Crew, open_crew, until
from trioqueue import (
    LeasePolicy,
    MessageState,
    NewMessage,
    QueueOptions,
    RetentionPolicy,
    RetryPolicy,
    Store,
    open_services,
    open_store,
)

QUEUE: Final = "jobs"
MAX_ATTEMPTS: Final = 50
WORKERS: Final = 4


async def make_queue(store: Store) -> None:
    await store.create_queue(
        QUEUE,
        QueueOptions(
            lease=LeasePolicy(base_seconds=1),
            retry=RetryPolicy.fixed(0),
            retention=RetentionPolicy.keep_forever(),
            max_attempts=MAX_ATTEMPTS,
        ),
    )


async def completed(store: Store) -> int:
    return (await store.queue_state(QUEUE)).counts[MessageState.COMPLETED]


def assert_sound(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def work_through_kills(store: Store, crew: Crew, url: str, messages: int) -> int:
    """Kill a worker about every half second until all is done; return how many."""
    workers = [crew.start("work", url) for _ in range(WORKERS)]
    # The first is killed at work, not at its start, however slow the machine is.
    await workers[0].said()
    killed = 0
    while await completed(store) < messages:
        victim = workers.pop(0)
        # Wait for a word of it, unless the others have left nothing for it to do.
        with trio.move_on_after(2):
            await victim.said()
        await victim.kill()
        killed += 1
        workers.append(crew.start("work", url))
        await trio.sleep(0.5)
    for worker in workers:
        await worker.finish()
    return killed


@pytest.mark.parametrize(
    "messages", [20_000, pytest.param(100_000, marks=pytest.mark.slow)]
)
async def test_killed_workers_lose_nothing_and_complete_nothing_twice(
    tmp_path: Path, messages: int
) -> None:
    path = tmp_path / "jobs.db"
    url = f"sqlite:///{path}"
    with trio.fail_after(100 + messages / 500), open_crew(tmp_path) as crew:
        async with open_store(url) as store, open_services(store):
            await make_queue(store)
            for start in range(0, messages, 10_000):
                await store.post_many(
                    QUEUE,
                    [
                        NewMessage(number, message_id=f"m{number}")
                        for number in range(start, start + 10_000)
                    ],
                )
            killed = await work_through_kills(store, crew, url, messages)
            assert killed >= 2

            ledger = [line.split() for one in crew.members for line in one.lines()]
            accepted = Counter(message_id for message_id, _, _ in ledger)
            assert [found for found in accepted.items() if found[1] > 1] == []
            # A worker killed between the commit and its line leaves no line.
            lost_lines = messages - len(accepted)
            assert 0 <= lost_lines <= killed * 100
            assert len({attempt_id for _, attempt_id, _ in ledger}) == len(ledger)
            assert max(int(attempt) for _, _, attempt in ledger) <= MAX_ATTEMPTS
            tried_again = [m for m, _, attempt in ledger if int(attempt) > 1]
            assert tried_again
            for message_id in tried_again[:500]:
                message = await store.get_message(QUEUE, message_id)
                assert message.attempt <= MAX_ATTEMPTS
                outcomes = [record.outcome for record in message.attempts]
                assert outcomes.pop() == "completed"
                assert set(outcomes) == {"lease_expired"}

            counts = (await store.queue_state(QUEUE)).counts
            assert counts == {
                state: messages if state is MessageState.COMPLETED else 0
                for state in MessageState
            }
            assert (await store.dead_letter_stats(f"{QUEUE}-dlq")).count == 0
    assert_sound(path)


async def test_a_worker_stopped_past_its_lease_cannot_complete_what_another_did(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    with open_crew(tmp_path) as crew:
        async with open_store(url) as store, open_services(store):
            await make_queue(store)
            await store.post(QUEUE, "work", message_id="m")
            zombie = crew.start("hold", url)
            assert await zombie.said() == ["claimed m 1"]
            zombie.send(signal.SIGSTOP)

            with trio.fail_after(30):
                (job,) = await store.claim_wait(QUEUE, worker_id="heir")
            assert (job.message_id, job.attempt) == ("m", 2)
            await store.complete(job, "heir")

            zombie.tell()
            zombie.send(signal.SIGCONT)
            word = (await zombie.said(2))[1]
            assert word.startswith("LeaseLostError "), word
            await zombie.finish()

            message = await store.get_message(QUEUE, "m")
            assert message.state is MessageState.COMPLETED
            assert message.result == "heir"
            assert message.worker_id == "heir"
            assert [(a.worker_id, a.outcome) for a in message.attempts] == [
                ("zombie", "lease_expired"),
                ("heir", "completed"),
            ]


async def test_every_message_said_to_be_posted_is_there_after_a_kill(
    tmp_path: Path,
) -> None:
    path = tmp_path / "jobs.db"
    url = f"sqlite:///{path}"
    async with open_store(url) as store:
        await make_queue(store)
    with open_crew(tmp_path) as crew:
        for kills in range(1, 4):
            poster = crew.start("post", url)
            await until(lambda poster=poster: len(poster.lines()) > 50)  # type: ignore[misc]
            await poster.kill()
            assert poster.process.returncode == -signal.SIGKILL
            said = [line for one in crew.members for line in one.lines()]
            async with open_store(url) as store:
                for message_id in said:
                    message = await store.get_message(QUEUE, message_id)
                    assert message.state is MessageState.PENDING
                    assert message.payload == "kept"
                counts = (await store.queue_state(QUEUE)).counts
                # Each of its five tasks may have posted without having said so.
                assert (
                    len(said) <= counts[MessageState.PENDING] <= len(said) + 5 * kills
                )
    assert_sound(path)
