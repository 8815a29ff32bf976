"""Transactions that meet in the worst places: each operation against the others."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import psycopg
import pytest
import trio

from tests.postgres.journal import counting, keep_journal, number, rows
from tests.postgres_server import Server
from tests.processes import crew as crews
from tests.processes.crew import open_crew, until
from trioqueue import (
    ConflictError,
    DuplicateMessageError,
    IllegalStateError,
    Job,
    LeaseLostError,
    LeasePolicy,
    MessageNotFoundError,
    MessageState,
    NewMessage,
    PostOutcome,
    QueueNotFoundError,
    QueueOptions,
    RetentionPolicy,
    RetryPolicy,
    Store,
    open_store,
)

QUEUE: Final = "jobs"
ALL_KEPT: Final = QueueOptions(
    retention=RetentionPolicy.keep_forever(), retry=RetryPolicy.fixed(0)
)
NONE_KEPT: Final = QueueOptions(
    retention=RetentionPolicy.delete(), retry=RetryPolicy.fixed(0)
)

STORM: Final = (
    *("post",) * 8,
    *("claim",) * 8,
    *("create",) * 3,
    *("cancel", "requeue", "requeue_all", "resume") * 2,
    *("purge", "delete", "update", "pause", "clean_up"),
)


@pytest.fixture
def schema(postgres: Server) -> Iterator[str]:
    with postgres.schema("meet") as schema:
        yield schema


@asynccontextmanager
async def open_stores(url: str, many: int) -> AsyncIterator[list[Store]]:
    """Open stores that know nothing of each other but the database."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_store(url)) for _ in range(many)]


async def bury(store: Store, *message_ids: str, queue: str = QUEUE) -> None:
    """Make dead letters."""
    await store.post_many(queue, [NewMessage(1, message_id=m) for m in message_ids])
    for job in await store.claim(queue, limit=len(message_ids)):
        await store.fail(job, "no good", final=True)


async def test_no_claim_commits_after_a_pause_has_returned(
    postgres: Server, schema: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crews, "PROGRAM", Path(__file__).with_name("program.py"))
    url = postgres.store_url(schema)
    draw = random.Random(1)
    claims = "SELECT count(*) FROM journal WHERE what = 'changed' AND state = 2"
    asked = counting(postgres, schema, claims)
    with open_crew(tmp_path) as crew:
        async with open_store(url) as store:
            await store.create_queue(QUEUE, ALL_KEPT)
            keep_journal(postgres, schema)
            await store.post_many(QUEUE, [NewMessage(n) for n in range(200)])
            grabbers = [crew.start("grab", url) for _ in range(4)]
            for grabber in grabbers:
                await grabber.said()
            for _ in range(15):
                await store.pause_queue(QUEUE)
                committed = asked()
                heard = [len(grabber.lines()) for grabber in grabbers]
                for grabber, lines in zip(grabbers, heard, strict=True):
                    await grabber.said(lines + 2)
                assert asked() == committed
                await store.resume_queue(QUEUE)
                await until(lambda before=committed: asked() > before)  # type: ignore[misc]  # a lambda's default has no type
                await trio.sleep(draw.uniform(0, 0.1))


async def test_stopped_transactions_keep_no_other_message_from_being_taken_back(
    postgres: Server, schema: str
) -> None:
    async with open_store(postgres.store_url(schema)) as store:
        options = QueueOptions(lease=LeasePolicy(base_seconds=1))
        await store.create_queue(QUEUE, options)
        for name in ("held", "free"):
            await store.post(QUEUE, 1, message_id=name)
        await store.claim(QUEUE, limit=2)
        with (
            trio.fail_after(60),
            postgres.connect(options=f"-c search_path={schema}") as other,
            other.transaction(),
        ):
            lock = "SELECT 1 FROM tq_messages WHERE message_id = 'held' FOR UPDATE"
            other.execute(lock)
            expired = await store.find_expired_messages(limit=10)
            while len(expired) < 2:
                await trio.sleep(0.05)
                expired = await store.find_expired_messages(limit=10)
            assert await store.reclaim_expired_messages(expired) == 1
        assert await store.reclaim_expired_messages(expired) == 1


@pytest.mark.parametrize("action", ["cancel", "requeue", "delete"])
async def test_a_message_that_is_requeued_meanwhile_is_not_taken_for_missing(
    postgres: Server, schema: str, action: str
) -> None:
    """The other transaction has taken it out of the history, and has not committed."""
    async with open_store(postgres.store_url(schema)) as store:
        await store.create_queue(QUEUE, ALL_KEPT)
        await bury(store, "m")
        connection = postgres.connect(options=f"-c search_path={schema}")
        with trio.fail_after(60), connection as other:
            async with trio.open_nursery() as nursery:
                with other.transaction():
                    _requeue_by_hand(other)
                    outcome: list[object] = []
                    nursery.start_soon(_record, _act(store, action), outcome)
                    waiting = """
                        SELECT count(*) FROM pg_stat_activity
                        WHERE wait_event_type = 'Lock' AND query LIKE '%tq_history%'
                    """
                    await until(
                        lambda: number(postgres, schema, waiting) == 1 or bool(outcome)
                    )
                    assert not outcome
        if action == "cancel":
            assert outcome == [MessageState.CANCELED]
        else:
            # It is there, but it is no dead letter any more.
            assert outcome == [MessageNotFoundError]
            message = await store.get_message(QUEUE, "m")
            assert message.state is MessageState.PENDING


def _requeue_by_hand(connection: psycopg.Connection) -> None:
    connection.execute(
        """
        INSERT INTO tq_messages (
            id, queue_id, message_id, state, priority, claim_key, ready_seq,
            created_at, max_attempts, content_type, payload
        ) SELECT nextval('tq_tickets'), queue_id, message_id, 1, priority,
            2 * (1::int8 << 58), id, created_at, max_attempts, content_type, payload
        FROM tq_history
        """
    )
    connection.execute("DELETE FROM tq_history")


def _act(store: Store, action: str) -> Callable[[], Awaitable[object]]:
    async def act() -> object:
        if action == "cancel":
            return (await store.cancel(QUEUE, "m")).state
        if action == "requeue":
            return (await store.requeue(QUEUE, "m")).state
        await store.delete_dead_letter(QUEUE, "m")
        return None

    return act


async def _record(act: Callable[[], Awaitable[object]], outcome: list[object]) -> None:
    try:
        outcome.append(await act())
    except MessageNotFoundError as error:
        outcome.append(type(error))


@pytest.mark.parametrize("kept", [True, False])
async def test_an_id_that_eight_stores_post_at_once_is_there_once(
    postgres: Server, schema: str, kept: bool
) -> None:
    """While it is claimed, completed, dies and is requeued again and again."""
    posted: Counter[PostOutcome] = Counter()
    requeued = 0
    async with open_stores(postgres.store_url(schema), 9) as (*posters, store):
        await store.create_queue(QUEUE, ALL_KEPT if kept else NONE_KEPT)
        keep_journal(postgres, schema)
        over = trio.Event()

        async def post(one: Store) -> None:
            while not over.is_set():
                batch = [NewMessage("same", message_id=f"m{n}") for n in range(3)]
                random.shuffle(batch)
                for result in await one.post_many(QUEUE, batch):
                    posted[result.outcome] += 1

        async def finish(job: Job, turn: int) -> None:
            nonlocal requeued
            if turn % 3:
                await store.complete(job)
                return
            await store.fail(job, "no good", final=True)
            await store.requeue(QUEUE, job.message_id)
            requeued += 1

        async with trio.open_nursery() as nursery:
            for one in posters:
                nursery.start_soon(post, one)
            for turn in range(120):
                for job in await store.claim(QUEUE, limit=1):
                    await finish(job, turn)
            over.set()
    lives = "SELECT count(*) FROM journal WHERE what = 'posted'"
    assert posted[PostOutcome.POSTED] + requeued == number(postgres, schema, lives)
    assert set(posted) <= {PostOutcome.POSTED, PostOutcome.DUPLICATE}
    assert posted[PostOutcome.DUPLICATE] > 0
    ids = rows(
        postgres,
        schema,
        "SELECT message_id FROM tq_messages"
        " UNION ALL SELECT message_id FROM tq_history",
    )
    assert len(ids) == len(set(ids)) <= 3
    if kept:
        assert len(ids) == posted[PostOutcome.POSTED] == 3
    else:
        assert posted[PostOutcome.POSTED] > 3


async def test_batches_that_post_the_same_ids_do_not_stand_in_each_others_way(
    postgres: Server, schema: str
) -> None:
    before = _deadlocks(postgres)
    async with open_stores(postgres.store_url(schema), 4) as stores:
        await stores[0].create_queue(QUEUE, ALL_KEPT)
        for turn in range(20):
            batch = [NewMessage(1, message_id=f"m{turn}-{n}") for n in range(60)]
            outcomes: Counter[PostOutcome] = Counter()

            async def post(
                store: Store,
                mixed: list[NewMessage],
                outcomes: Counter[PostOutcome] = outcomes,
            ) -> None:
                for result in await store.post_many(QUEUE, mixed):
                    outcomes[result.outcome] += 1

            async with trio.open_nursery() as nursery:
                for store in stores:
                    mixed = random.sample(batch, len(batch))
                    nursery.start_soon(post, store, mixed)
            assert outcomes == {PostOutcome.POSTED: 60, PostOutcome.DUPLICATE: 180}
    assert _deadlocks(postgres) == before


def _deadlocks(server: Server) -> int:
    query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    return number(server, "public", query)


@pytest.mark.parametrize("rounds", [16, pytest.param(50, marks=pytest.mark.slow)])
async def test_a_storm_of_everything_at_once_ends_with_true_counts(  # noqa: C901, PLR0915  one branch per verb
    postgres: Server, schema: str, rounds: int
) -> None:
    """Whatever a caller hears is about its own call, never that others were there."""
    draw = random.Random(7)
    done: Counter[str] = Counter()
    deck: list[str] = []
    names = ("a", "b")
    dead = QueueOptions(
        retention=RetentionPolicy.keep_forever(),
        retry=RetryPolicy.fixed(0),
        dead_letter_queue="morgue",
    )

    async def turn(store: Store) -> None:  # noqa: C901, PLR0912  one branch per verb
        queue, other = draw.sample(names, 2)
        message_id = f"m{draw.randrange(20)}"
        if not deck:
            deck.extend(draw.sample(STORM, len(STORM)))
        verb = deck.pop()
        if verb == "post":
            batch = [
                NewMessage(1, message_id=f"m{n}") for n in draw.sample(range(20), 8)
            ]
            await store.post_many(queue, batch)
        elif verb == "claim":
            for job in await store.claim(queue, limit=5):
                if draw.random() < 0.7:
                    await store.fail(job, "no good", final=True)
                else:
                    await store.complete(job)
        elif verb == "cancel":
            await store.cancel(queue, message_id)
        elif verb == "requeue":
            await store.requeue(draw.choice((queue, "morgue")), message_id)
        elif verb == "requeue_all":
            target = draw.choice((None, other))
            await store.requeue_all(draw.choice((queue, "morgue")), target=target)
        elif verb == "purge":
            await store.purge_dead_letters(draw.choice((queue, "morgue")))
        elif verb == "delete":
            await store.delete_queue(queue, force=True)
        elif verb == "create":
            await store.create_queue(queue, dead)
        elif verb == "update":
            await store.update_queue(queue, dead)
        elif verb == "pause":
            await store.pause_queue(queue)
        elif verb == "resume":
            await store.resume_queue(queue)
        else:
            await store.clean_up_batch()
        done[verb] += 1

    async def storm(store: Store) -> None:
        for _ in range(rounds):
            # These are about the call itself; anything else fails the test.
            with suppress(
                ConflictError,
                DuplicateMessageError,
                IllegalStateError,
                LeaseLostError,
                MessageNotFoundError,
                QueueNotFoundError,
            ):
                await turn(store)

    async with open_stores(postgres.store_url(schema), 4) as stores:
        for name in names:
            await stores[0].create_queue(name, dead)
        async with trio.open_nursery() as nursery:
            for store in stores:
                for _ in range(3):
                    nursery.start_soon(storm, store)
        # Those for one message by its name may never have met it as it must be.
        assert done.keys() >= set(STORM) - {"cancel", "requeue"}
        for table in ("tq_messages", "tq_history"):
            orphans = f"""
                SELECT count(*) FROM {table}
                WHERE queue_id NOT IN (SELECT queue_id FROM tq_queues)
            """
            assert number(postgres, schema, orphans) == 0, table
        twice = """
            SELECT count(*) FROM tq_messages JOIN tq_history
            USING (queue_id, message_id)
        """
        assert number(postgres, schema, twice) == 0
        records = """
            SELECT count(*) FROM tq_attempts WHERE message_row NOT IN (
                SELECT id FROM tq_messages UNION ALL SELECT id FROM tq_history
            )
        """
        assert number(postgres, schema, records) == 0
        for queue in await stores[0].list_queues():
            counts = (await stores[0].queue_state(queue.name)).counts
            truth = dict(
                rows(
                    postgres,
                    schema,
                    f"""
                    SELECT state::int, count(*)::int FROM (
                        SELECT queue_id, state FROM tq_messages
                        UNION ALL SELECT queue_id, state FROM tq_history
                    ) AS m JOIN tq_queues USING (queue_id)
                    WHERE name = '{queue.name}' GROUP BY state
                    """,
                )
            )
            assert {int(s): n for s, n in counts.items() if n} == truth
