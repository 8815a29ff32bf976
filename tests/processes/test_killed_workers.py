"""Workers and posters killed or stopped: nothing is lost, nothing done twice."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from typing import Final

import pytest
import trio

from tests.helpers import assert_sound
from tests.processes.crew import Crew, Member, open_crew, until
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


async def work_through_kills(
    store: Store, crew: Crew, url: str, messages: int, kills: int
) -> None:
    """Kill some workers at work, one after the other; the others do the rest."""
    workers = [crew.start("work", url) for _ in range(WORKERS)]
    await workers[0].said()
    for _ in range(kills):
        victim = workers.pop(0)
        # Wait for a word of it, unless the others have left nothing for it to do.
        with trio.move_on_after(5):
            await victim.said()
        await kill_at_work(store, victim, messages)
        workers.append(crew.start("work", url))
        await trio.sleep(0.3)
    while await completed(store) < messages:  # noqa: ASYNC110  others do the work
        await trio.sleep(0.05)
    for worker in workers:
        await worker.finish()


async def kill_at_work(store: Store, victim: Member, messages: int) -> None:
    """Kill a worker that has messages in hand, unless all are done."""
    while await completed(store) < messages:
        victim.send(signal.SIGSTOP)
        # What it has sent to a server may still be done.
        await trio.sleep(0.02)
        running = await store.peek(QUEUE, states=[MessageState.RUNNING], limit=1000)
        if any(f"-{victim.process.pid}-" in str(m.worker_id) for m in running):
            break
        victim.send(signal.SIGCONT)
        await trio.sleep(0.02)
    await victim.kill()


@pytest.mark.parametrize(
    ("messages", "kills"),
    [(6_000, 5), pytest.param(100_000, 50, marks=pytest.mark.slow)],
)
async def test_killed_workers_lose_nothing_and_complete_nothing_twice(
    shared: str, tmp_path: Path, messages: int, kills: int
) -> None:
    with trio.fail_after(100 + messages / 500), open_crew(tmp_path) as crew:
        async with open_store(shared) as store, open_services(store):
            await make_queue(store)
            for start in range(0, messages, 10_000):
                batch = range(start, min(start + 10_000, messages))
                await store.post_many(
                    QUEUE, [NewMessage(n, message_id=f"m{n}") for n in batch]
                )
            await work_through_kills(store, crew, shared, messages, kills)

            ledger = [line.split() for one in crew.members for line in one.lines()]
            accepted = Counter(message_id for message_id, _, _ in ledger)
            assert [found for found in accepted.items() if found[1] > 1] == []
            # A worker killed between the commit and its line leaves no line.
            lost_lines = messages - len(accepted)
            assert 0 <= lost_lines <= kills * 100
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
    assert_sound(shared)


async def test_a_worker_stopped_past_its_lease_cannot_complete_what_another_did(
    shared: str,
    tmp_path: Path,
) -> None:
    with open_crew(tmp_path) as crew:
        async with open_store(shared) as store, open_services(store):
            await make_queue(store)
            await store.post(QUEUE, "work", message_id="m")
            zombie = crew.start("hold", shared)
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
    shared: str,
    tmp_path: Path,
) -> None:
    async with open_store(shared) as store:
        await make_queue(store)
    with open_crew(tmp_path) as crew:
        for kill in range(1, 4):
            poster = crew.start("post", shared)
            await until(lambda poster=poster: len(poster.lines()) > 50)  # type: ignore[misc]
            await poster.kill()
            assert poster.process.returncode == -signal.SIGKILL
            said = [line for one in crew.members for line in one.lines()]
            async with open_store(shared) as store:
                for message_id in said:
                    message = await store.get_message(QUEUE, message_id)
                    assert message.state is MessageState.PENDING
                    assert message.payload == "kept"
                counts = (await store.queue_state(QUEUE)).counts
                # Each of its five tasks may have posted without having said so.
                assert len(said) <= counts[MessageState.PENDING] <= len(said) + 5 * kill
    assert_sound(shared)
