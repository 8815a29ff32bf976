"""Messages that are stored with the user's own rows, or not at all."""

from __future__ import annotations

import copy
import pickle
import sqlite3
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlite_utils
import trio
from psycopg.rows import dict_row
from psycopg.types.string import ByteaLoader, BytesDumper, TextLoader

from tests.helpers import QUEUE, World, contract, fields, ids, on_shared
from tests.own_rows import connect, connected, insert, own_rows, rows, table
from trioqueue import (
    DuplicateMessageError,
    MessageState,
    QueueNotFoundError,
    QueueOptions,
    RetentionPolicy,
    ValidationError,
    open_store,
)

KEPT = RetentionPolicy.keep(3600)


@pytest.fixture
def mine(world: World) -> Iterator[World]:
    with own_rows_after_opening(world):
        yield world


def own_rows_after_opening(world: World) -> Any:
    async def nothing() -> None:
        await trio.lowlevel.checkpoint()

    world.run(nothing)
    return own_rows(world.url)


def begin(connection: Any, url: str, number: int = 1) -> None:
    """Write a row, which begins a transaction."""
    connection.execute(insert(url), [number])


@on_shared
@pytest.mark.usefixtures("mine")
@contract
async def test_a_message_is_there_when_the_users_rows_are(world: World) -> None:
    await world.make_queue()
    with connected(world.url) as connection:
        begin(connection, world.url)
        message = world.store.post_in(connection, QUEUE, {"n": 1}, priority=4)
        assert (message.state, message.priority) == (MessageState.PENDING, 4)
        assert await world.counts() == {}
        connection.commit()
    assert ids(await world.store.peek(QUEUE)) == [message.message_id]
    assert await world.store.get_message(QUEUE, message.message_id) == message
    assert rows(world.url) == [1]


@on_shared
@pytest.mark.usefixtures("mine")
@contract
async def test_a_message_never_was_when_the_users_rows_are_undone(
    world: World,
) -> None:
    await world.make_queue()
    with connected(world.url) as connection:
        begin(connection, world.url)
        world.store.post_in(connection, QUEUE, 1, message_id="m")
        connection.rollback()
        assert await world.counts() == {}
        begin(connection, world.url)
        world.store.post_in(connection, QUEUE, 2, message_id="m")
        connection.commit()
    assert (await world.store.get_message(QUEUE, "m")).payload == 2
    assert rows(world.url) == [1]


@on_shared
@pytest.mark.usefixtures("mine")
@contract
async def test_an_error_undoes_nothing_but_the_message(world: World) -> None:
    await world.make_queue(max_payload_bytes=10)
    await world.store.post(QUEUE, 1, message_id="taken")
    refused: list[tuple[type[Exception], str, Any, dict[str, Any]]] = [
        (DuplicateMessageError, QUEUE, 2, {"message_id": "taken"}),
        (QueueNotFoundError, "nowhere", 1, {}),
        (ValidationError, QUEUE, "x" * 20, {}),
        (ValidationError, QUEUE, "x" * 20, {"priority": 9}),
        (ValidationError, "no queue's name", 1, {}),
    ]
    with connected(world.url) as connection:
        begin(connection, world.url, 1)
        for kind, queue, payload, options in refused:
            with pytest.raises(kind):
                world.store.post_in(connection, queue, payload, **options)
        with pytest.raises(ValidationError) as raised:
            world.store.post_in(connection, QUEUE, "x" * 20, priority=9)
        assert fields(raised) == ["payload", "priority"]
        begin(connection, world.url, 2)
        same = world.store.post_in(connection, QUEUE, 1, message_id="taken")
        world.store.post_in(connection, QUEUE, 3, message_id="new")
        connection.commit()
    assert same.message_id == "taken"
    assert rows(world.url) == [1, 2]
    assert ids(await world.store.peek(QUEUE)) == ["taken", "new"]


@on_shared
@pytest.mark.usefixtures("mine")
@contract
async def test_savepoints_of_the_users_hold_messages_too(world: World) -> None:
    await world.make_queue()
    with connected(world.url) as connection:
        begin(connection, world.url)
        # The name that ours has, on purpose.
        connection.execute("SAVEPOINT trioqueue_inside")
        world.store.post_in(connection, QUEUE, 1, message_id="undone")
        connection.execute("ROLLBACK TO SAVEPOINT trioqueue_inside")
        world.store.post_in(connection, QUEUE, 2, message_id="kept")
        connection.commit()
    assert ids(await world.store.peek(QUEUE)) == ["kept"]


def _odd(world: World) -> Any:
    """Open a connection on which everything is set that can be."""
    if world.kind.is_postgres:
        connection = connect(
            world.url,
            row_factory=dict_row,
            cursor_factory=psycopg.ClientCursor,
            prepare_threshold=0,
        )
        connection.adapters.register_loader("int8", TextLoader)
        connection.adapters.register_loader("text", ByteaLoader)
        connection.adapters.register_dumper(str, BytesDumper)
        return connection
    connection = connect(world.url)
    connection.row_factory = sqlite3.Row
    connection.text_factory = bytes
    return connection


@on_shared
@pytest.mark.usefixtures("mine")
@contract
async def test_what_is_set_on_a_connection_does_not_matter_and_stays(
    world: World,
) -> None:
    await world.make_queue()
    connection = _odd(world)
    try:
        connection.execute("INSERT INTO mine VALUES (7)")
        world.store.post_in(connection, QUEUE, "payload", message_id="m")
        world.store.post_in(connection, QUEUE, "payload", message_id="m")
        row = connection.execute("SELECT number FROM mine").fetchone()
        assert row["number"] == 7
        if not world.kind.is_postgres:
            assert connection.text_factory is bytes
        connection.commit()
    finally:
        connection.close()
    assert (await world.store.get_message(QUEUE, "m")).payload == "payload"


@on_shared
@pytest.mark.usefixtures("mine")
@contract
async def test_a_connection_without_a_transaction_is_refused(world: World) -> None:
    await world.make_queue()
    with connected(world.url) as connection:
        with pytest.raises(ValidationError, match="no transaction") as raised:
            world.store.post_in(connection, QUEUE, 1)
        assert fields(raised) == ["connection"]
        connection.close()
        with pytest.raises(ValidationError, match="is closed"):
            world.store.post_in(connection, QUEUE, 1)
    for other in (None, "jobs.db", object()):
        with pytest.raises(ValidationError, match=r"expected a"):
            world.store.post_in(other, QUEUE, 1)
    assert await world.counts() == {}


@on_shared
@contract
async def test_a_connection_to_another_database_is_refused(world: World) -> None:
    await world.make_queue()
    connection: Any
    if world.kind.is_postgres:
        connection = sqlite3.connect(":memory:")
        match = "on PostgreSQL"
    else:
        connection = sqlite3.connect(":memory:")
        match = "not connected to the store's own"
    connection.execute("BEGIN")
    with pytest.raises(ValidationError, match=match):
        world.store.post_in(connection, QUEUE, 1)
    connection.close()


@contract
async def test_a_store_in_memory_says_that_nobody_can_share_it(world: World) -> None:
    if world.kind.is_shared:
        await world.make_queue()
        return
    await world.make_queue()
    connection = sqlite3.connect(":memory:")
    connection.execute("BEGIN")
    with pytest.raises(ValidationError, match="in memory"):
        world.store.post_in(connection, QUEUE, 1)
    connection.close()
    job = await world.running()
    with pytest.raises(ValidationError, match="in memory"):
        async with job.transaction():
            raise AssertionError
    await world.store.complete(job)


@on_shared
@pytest.mark.usefixtures("mine")
@contract
async def test_a_worker_that_waits_finds_the_message_after_the_commit(
    world: World,
) -> None:
    await world.make_queue()
    found: list[str] = []

    async def work() -> None:
        (job,) = await world.store.claim_wait(QUEUE)
        found.append(job.message_id)

    with connected(world.url) as connection:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            await trio.testing.wait_all_tasks_blocked()
            begin(connection, world.url)
            world.store.post_in(connection, QUEUE, 1, message_id="m")
            await world.sleep(2.5)
            assert found == []
            connection.commit()
            committed = trio.current_time()
    assert found == ["m"]
    if world.virtual:
        assert trio.current_time() - committed <= 1.0


@on_shared
@pytest.mark.usefixtures("mine")
@contract
async def test_a_job_is_completed_with_the_users_rows(world: World) -> None:
    await world.make_queue(retention=KEPT)
    await world.make_queue("next")
    job = await world.running(message_id="m")
    async with job.transaction() as transaction:
        await transaction.execute(insert(world.url), [1])
        await transaction.post("next", "more", message_id="after")
        transaction.result = {"answer": 42}
        assert rows(world.url) == []
    message = await world.store.get_message(QUEUE, "m")
    assert (message.state, message.result) == (MessageState.COMPLETED, {"answer": 42})
    assert rows(world.url) == [1]
    assert ids(await world.store.peek("next")) == ["after"]
    await world.store.complete(job, "the handler's own answer")
    assert (await world.store.get_message(QUEUE, "m")).result == {"answer": 42}


@on_shared
@pytest.mark.usefixtures("mine")
@contract
async def test_a_block_that_raises_stores_nothing(world: World) -> None:
    await world.make_queue()
    job = await world.running(message_id="m")
    with pytest.raises(ZeroDivisionError):
        async with job.transaction() as transaction:
            await transaction.execute(insert(world.url), [1])
            await transaction.post(QUEUE, "more")
            raise ZeroDivisionError
    assert rows(world.url) == []
    assert await world.counts() == {"RUNNING": 1}
    await world.store.complete(job)


@on_shared
@pytest.mark.usefixtures("mine")
@contract
async def test_rows_of_the_driver_and_a_refused_post_leave_the_block_usable(
    world: World,
) -> None:
    await world.make_queue()
    job = await world.running()
    async with job.transaction() as transaction:
        await transaction.execute(insert(world.url), [3])
        with pytest.raises(QueueNotFoundError):
            await transaction.post("nowhere", 1)
        found = await transaction.execute(f"SELECT number FROM {table(world.url)}")
    assert [tuple(row) for row in found] == [(3,)]
    assert rows(world.url) == [3]
    assert await world.counts() == {}


@on_shared
@contract
async def test_a_copy_of_a_job_knows_no_store(world: World) -> None:
    await world.make_queue()
    job = await world.running()
    pickled = pickle.loads(pickle.dumps(job))  # noqa: S301  made just here
    for other in (copy.copy(job), pickled):
        assert other == job
        with pytest.raises(ValidationError, match=r"use store\.transaction"):
            other.transaction()
    async with world.store.transaction(copy.copy(job)):
        pass
    assert await world.counts() == {}


@on_shared
@contract
async def test_sqlite_utils_and_schemas_of_others(world: World) -> None:
    await world.make_queue()
    if world.kind.is_postgres:
        async with open_store(world.url.replace("schema=", "schema=other_")) as other:
            await other.create_queue(QUEUE, QueueOptions())
            with connected(world.url) as connection:
                connection.execute("SELECT 1")
                other.post_in(connection, QUEUE, 1, message_id="there")
                world.store.post_in(connection, QUEUE, 1, message_id="here")
                connection.execute(
                    world.url.split("schema=")[1].join(
                        ['DROP SCHEMA "other_', '" CASCADE']
                    )
                )
                with pytest.raises(ValidationError, match="no tables of trioqueue"):
                    other.post_in(connection, QUEUE, 1)
                connection.commit()
    else:
        with connected(world.url) as connection:
            database = sqlite_utils.Database(connection)
            connection.execute("BEGIN")
            world.store.post_in(database, QUEUE, 1, message_id="here")
            connection.commit()
    assert ids(await world.store.peek(QUEUE)) == ["here"]
