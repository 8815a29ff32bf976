"""Processes killed and stopped at work on PostgreSQL: nothing lost, nothing twice."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final, final

import pytest
import trio

from tests.postgres.journal import (
    Findings,
    check_journal,
    keep_journal,
    number,
    rows,
)
from tests.postgres_server import Server
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
LEASE_SECONDS: Final = 1


@pytest.fixture
def schema(postgres: Server) -> Iterator[str]:
    with postgres.schema("many") as schema:
        yield schema


def patient_url(server: Server, schema: str) -> str:
    """Return the store's URL: who is stopped in a transaction loses it after 4 s."""
    return server.store_url(schema, statement_seconds="2")


async def make_queue(store: Store, server: Server, schema: str) -> None:
    await store.create_queue(
        QUEUE,
        QueueOptions(
            lease=LeasePolicy(base_seconds=LEASE_SECONDS),
            retry=RetryPolicy.fixed(0),
            retention=RetentionPolicy.keep_forever(),
            max_attempts=50,
        ),
    )
    keep_journal(server, schema)


@final
class Feed:
    """Posts messages m0, m1 and so on; some may be tried once or twice only."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.posted = 0

    async def __call__(self, count: int = 100) -> None:
        numbers = range(self.posted, self.posted + count)
        batch = [
            NewMessage(n, message_id=f"m{n}", max_attempts=(1, 2, 50)[n % 3])
            for n in numbers
        ]
        await self._store.post_many(QUEUE, batch)
        self.posted += count

    @property
    def message_ids(self) -> set[str]:
        return {f"m{n}" for n in range(self.posted)}


async def catch(server: Server, schema: str, victim: Member, feed: Feed) -> str:
    """Stop a worker that has attempts in hand; return a list of them, for SQL."""
    query = f"""
        SELECT attempt_id FROM tq_messages
        WHERE state = 2 AND worker_id LIKE '%-{victim.process.pid}-%'
    """
    while True:
        await feed(200)
        # It takes it a moment to hear of them, and the others are not to be faster.
        await trio.sleep(random.uniform(0.01, 0.1))
        victim.send(signal.SIGSTOP)
        # What it has sent to the server may still be done.
        await trio.sleep(0.02)
        if held := rows(server, schema, query):
            return ", ".join(str(attempt_id) for (attempt_id,) in held)
        victim.send(signal.SIGCONT)
        await trio.sleep(0.1)


async def is_done(store: Store, expected: int) -> bool:
    counts = (await store.queue_state(QUEUE)).counts
    done = counts[MessageState.COMPLETED] + counts[MessageState.ERRORED]
    assert done <= expected
    return done == expected


async def assert_sound(
    store: Store, server: Server, schema: str, crew: Crew, posted: set[str]
) -> Findings:
    """Check the journal, and that the counts are the truth."""
    workers = [one for one in crew.members if one.out.name.startswith("work-")]
    accepted = [line.split() for one in workers for line in one.lines()]
    assert len({message_id for message_id, _, _ in accepted}) == len(accepted)
    with server.connect() as connection:
        findings = check_journal(connection, schema, accepted)
    known = {
        row[0] for row in rows(server, schema, "SELECT message_id FROM tq_history")
    }
    assert posted <= known
    assert number(server, schema, "SELECT count(*) FROM tq_messages") == 0
    counts = (await store.queue_state(QUEUE)).counts
    assert counts == {
        state: {
            MessageState.COMPLETED: findings.completed,
            MessageState.ERRORED: findings.dead,
        }.get(state, 0)
        for state in MessageState
    }
    assert findings.posted == findings.completed + findings.dead == len(known)
    assert len(accepted) <= findings.completed
    return findings


async def test_workers_killed_and_stopped_at_work_keep_every_promise(
    postgres: Server, schema: str, tmp_path: Path
) -> None:
    url = patient_url(postgres, schema)
    with open_crew(tmp_path) as crew:
        async with open_store(url) as store, open_services(store):
            await make_queue(store, postgres, schema)
            poster = crew.start("post", url)
            await poster.said(200)
            await poster.kill()
            there = number(postgres, schema, "SELECT count(*) FROM tq_messages")
            # What was committed, but not said before the kill.
            assert 0 <= there - len(poster.lines()) <= 5

            feed = Feed(store)
            workers = [crew.start("work", url) for _ in range(3)]
            for turn in range(3):
                victim = workers.pop(0)
                while not victim.lines():
                    assert victim.is_alive, victim.errors.read_text()
                    await feed(10)
                    await trio.sleep(0.05)
                attempts = await catch(postgres, schema, victim, feed)
                if turn != 1:
                    await victim.kill()
                    victim = crew.start("work", url)
                else:
                    left = f"""
                        SELECT count(*) FROM tq_messages
                        WHERE attempt_id IN ({attempts})
                    """
                    await until(lambda left=left: not number(postgres, schema, left))  # type: ignore[misc]  # a lambda's default has no type
                    victim.send(signal.SIGCONT)
                workers.append(victim)
            await feed(200)
            while not await is_done(store, there + feed.posted):  # noqa: ASYNC110  other processes set no events
                await trio.sleep(0.05)
            for worker in workers:
                await worker.finish()
            posted = feed.message_ids | set(poster.lines())
            findings = await assert_sound(store, postgres, schema, crew, posted)
    assert findings.expired > 0
    assert findings.dead > 0
    assert findings.claims > findings.posted


@pytest.mark.slow
async def test_eight_workers_killed_and_stopped_all_the_time_keep_every_promise(
    postgres: Server, schema: str, tmp_path: Path
) -> None:
    url = patient_url(postgres, schema)
    messages = 50_000
    killed, stopped = count(), count()
    draw = random.Random(4)
    with open_crew(tmp_path) as crew:
        async with open_store(url) as store, open_services(store):
            await make_queue(store, postgres, schema)
            feed = Feed(store)
            while feed.posted < messages:
                await feed(1000)
            workers = [crew.start("work", url) for _ in range(8)]
            began = trio.current_time()

            async def harass() -> None:
                while True:
                    place = draw.randrange(8)
                    victim = workers[place]
                    await victim.said(10)
                    if draw.random() < 0.5:
                        victim.send(signal.SIGKILL)
                        workers[place] = crew.start("work", url)
                        next(killed)
                    else:
                        victim.send(signal.SIGSTOP)
                        await trio.sleep(draw.uniform(0, 2.5 * LEASE_SECONDS))
                        victim.send(signal.SIGCONT)
                        next(stopped)
                    await trio.sleep(draw.uniform(0, 0.5))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(harass)
                while not await is_done(store, messages):  # noqa: ASYNC110  other processes set no events
                    await trio.sleep(0.2)
                nursery.cancel_scope.cancel()
            seconds = trio.current_time() - began
            for worker in workers:
                worker.send(signal.SIGCONT)
                await worker.finish()
            posted = feed.message_ids
            findings = await assert_sound(store, postgres, schema, crew, posted)
    print(f"{seconds:.0f} s, {next(killed)} kills, {next(stopped)} stops: {findings}")  # noqa: T201  figures for people
    assert findings.expired > 0
