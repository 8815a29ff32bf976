"""Transactions of the user's on psycopg: synchronous, on Trio, on asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
import pytest
import trio

from tests.own_rows import connected, conninfo_of
from tests.stepping import cancel_at
from trioqueue import (
    QueueOptions,
    RetentionPolicy,
    RetryPolicy,
    Store,
    ValidationError,
    open_store,
)
from trioqueue.store.postgres.driver import TrioConnection

OPTIONS = QueueOptions(
    retention=RetentionPolicy.keep_forever(), retry=RetryPolicy.fixed(0)
)


@pytest.fixture
def url(postgres_urls: Callable[[], str]) -> str:
    return postgres_urls()


async def test_canceled_at_any_step_post_in_async_leaves_nothing(url: str) -> None:
    async with open_store(url) as store:
        await store.create_queue("jobs", OPTIONS)
        step, returned = 0, False
        while not returned:
            async with TrioConnection.opened(conninfo_of(url)[0]) as connection:
                await connection.execute("BEGIN")
                post = partial(
                    store.post_in_async, connection, "jobs", 1, message_id=f"m{step}"
                )
                returned, _ = await cancel_at(step, post)
                if not connection.closed:
                    await connection.execute("COMMIT")
            found = [m.message_id for m in await store.peek("jobs", limit=1000)]
            assert found == ([f"m{step}"] if returned else [])
            step += 1
        assert step > 6


async def test_it_works_on_asyncio(url: str) -> None:

    async def main(store: Store) -> None:
        connection = await psycopg.AsyncConnection.connect(conninfo_of(url)[0])
        async with connection:
            with pytest.raises(ValidationError, match="no transaction"):
                await store.post_in_async(connection, "jobs", 0)
            async with connection.transaction():
                await store.post_in_async(connection, "jobs", 1)
            async with connection.transaction(force_rollback=True):
                await store.post_in_async(connection, "jobs", 2)
            async with connection.transaction():
                task = asyncio.create_task(
                    store.post_in_async(connection, "jobs", 3, message_id="c")
                )
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await store.post_in_async(connection, "jobs", 4)
            with pytest.raises(ValidationError, match="asynchronous"):
                store.post_in(connection, "jobs", 5)

    async with open_store(url) as store:
        await store.create_queue("jobs", OPTIONS)
        await trio.to_thread.run_sync(asyncio.run, main(store))
        assert [m.payload for m in await store.peek("jobs")] == [1, 4]


async def test_states_of_psycopg_that_cannot_be_used_are_named(url: str) -> None:
    async with open_store(url) as store:
        await store.create_queue("jobs", OPTIONS)
        with connected(url) as connection:
            with pytest.raises(psycopg.Error):
                connection.execute("SELECT 1 / 0")
            with pytest.raises(ValidationError, match="has failed"):
                store.post_in(connection, "jobs", 1)
            connection.rollback()
            connection.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
            with pytest.raises(ValidationError, match="READ COMMITTED"):
                store.post_in(connection, "jobs", 1)
            connection.rollback()
            with connection.pipeline():
                connection.execute("SELECT 1").fetchone()
                with pytest.raises(ValidationError, match="pipeline"):
                    store.post_in(connection, "jobs", 1)
            connection.rollback()
            with pytest.raises(ValidationError, match=r"without await"):
                await store.post_in_async(connection, "jobs", 1)
            connection.execute("SET client_encoding TO LATIN1")
            with pytest.raises(ValidationError, match="UTF8"):
                store.post_in(connection, "jobs", 1)
        with connected(url, autocommit=True) as connection:
            with pytest.raises(ValidationError, match=r"connection\.transaction\(\)"):
                store.post_in(connection, "jobs", 1)
            with connection.transaction():
                store.post_in(connection, "jobs", "é\N{SNOWMAN}")
        assert [m.payload for m in await store.peek("jobs")] == ["é\N{SNOWMAN}"]


async def test_others_are_told_once_and_not_before_the_commit(
    url: str,
) -> None:
    conninfo, schema = conninfo_of(url)
    async with open_store(url) as store, TrioConnection.opened(conninfo) as ears:
        await store.create_queue("jobs", OPTIONS)
        await ears.listen(f"trioqueue_{schema}"[:63])
        with connected(url) as connection:
            connection.execute("SELECT 1")
            for number in range(50):
                delay = None if number % 2 else number + 1
                store.post_in(connection, "jobs", number, delay_seconds=delay)
                with pytest.raises(ZeroDivisionError), connection.transaction():
                    store.post_in(connection, "jobs", number)
                    raise ZeroDivisionError
            assert not await heard(ears)
            connection.commit()
        # One for the queue, and one for the scheduler.
        assert [note.payload for note in await heard(ears)] == [
            '{"s":"","d":{"scheduler":0}}',
            '{"s":"","r":["jobs"]}',
        ]


async def heard(ears: TrioConnection) -> list[psycopg.Notify]:
    """Return what was notified so far on behalf of users' transactions."""
    await ears.execute("SELECT 1")
    notes: list[psycopg.Notify] = []
    with trio.move_on_after(0.3):
        while True:
            notes += await ears.next_notifies()
    return sorted(
        (note for note in notes if '"s":""' in note.payload), key=lambda n: n.payload
    )


async def test_the_same_id_in_two_transactions_is_stored_once(url: str) -> None:
    async with open_store(url) as store:
        await store.create_queue("jobs", OPTIONS)
        for keep in (True, False):
            message_id = f"m{keep}"
            with connected(url) as one, connected(url) as other:
                for connection in (one, other):
                    connection.execute("SELECT 1")
                first = store.post_in(one, "jobs", 1, message_id=message_id)
                second: list[Any] = []

                def post(connection: Any, message_id: str, into: list[Any]) -> None:
                    into.append(
                        store.post_in(connection, "jobs", 1, message_id=message_id)
                    )
                    connection.commit()

                async with trio.open_nursery() as nursery:
                    # It waits for what becomes of the first one.
                    nursery.start_soon(
                        trio.to_thread.run_sync, post, other, message_id, second
                    )
                    await trio.sleep(0.1)
                    assert second == []
                    getattr(one, "commit" if keep else "rollback")()
                stored = await store.get_message("jobs", message_id)
                assert second == [stored]
                if keep:
                    assert stored == first
        assert len(await store.peek("jobs")) == 2
