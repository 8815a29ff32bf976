"""The network swallows every packet while a store is closed: it closes all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import trio

from tests.postgres.faulty import (
    OPTIONS,
    QUEUE,
    RETURN_SECONDS,
    Proxy,
    executor_of,
    make_impatient,
    nobody_left,
    until,
)
from tests.postgres_server import Server
from trioqueue import (
    Job,
    MessageState,
    Store,
    StoreClosedError,
    StoreUnavailableError,
    Worker,
    open_services,
    open_store,
)
from trioqueue.store.postgres import executor as executors
from trioqueue.store.postgres import pool as pools
from trioqueue.store.postgres.endings import GRACE_SECONDS
from trioqueue.store.postgres.signals import FAREWELL_SECONDS

FILES: Final = Path("/dev/fd")
OUTCOMES: Final = {"StoreClosedError", "StoreUnavailableError"}
MARGIN_SECONDS: Final = 5.0
"""What a busy machine may add."""

pytestmark = pytest.mark.skipif(not FILES.exists(), reason="no list of open files here")


def longest(statement: float, closing: float) -> float:
    """Return how long closing may take: for what runs, the last hints, farewells."""
    farewells = FAREWELL_SECONDS + pools.CLOSE_SECONDS + 2 * GRACE_SECONDS
    return min(statement, closing) + farewells + MARGIN_SECONDS


def open_files() -> int:
    return len(list(FILES.iterdir()))


@asynccontextmanager
async def counted() -> AsyncIterator[None]:
    """No file or socket that is opened in the block is open for long after it."""
    before = open_files()
    yield
    await until(lambda: open_files() <= before, RETURN_SECONDS)


async def note(answers: list[str], call: Any, *args: Any) -> None:
    """Note how a call ends; only the errors of a store are expected."""
    try:
        await call(*args)
    except (StoreClosedError, StoreUnavailableError) as error:
        answers.append(type(error).__name__)
    else:
        answers.append("done")


@pytest.mark.parametrize(
    ("statement", "closing"),
    [pytest.param(1.0, 30.0, marks=pytest.mark.slow), (30.0, 0.5)],
    ids=["statement-ends-first", "closing-ends-first"],
)
def test_a_store_with_work_in_hand_closes_though_the_network_is_silent(
    postgres: Server,
    monkeypatch: pytest.MonkeyPatch,
    statement: float,
    closing: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(executors, "CLOSE_SECONDS", closing)
    answers: list[str] = []
    took = 0.0

    async def main(schema: str) -> None:
        nonlocal took
        async with Proxy(postgres).running() as proxy, counted():
            url = proxy.url(
                schema, application_name=schema, statement_seconds=f"{statement:g}"
            )
            async with trio.open_nursery() as nursery:
                async with open_store(url) as store:
                    await store.create_queue(QUEUE, OPTIONS)
                    await store.post(QUEUE, 1)
                    await trio.sleep(0.1)  # whatever comes after a post is over
                    proxy.block()
                    for name in ("a", "b", "c"):
                        nursery.start_soon(
                            note, answers, post_named(store, name), QUEUE
                        )
                    nursery.start_soon(note, answers, store.claim, QUEUE)
                    await until(lambda: executor_of(store)._busy > 0)
                    began = trio.current_time()
                took = trio.current_time() - began
                # Nobody is left without an answer.
                await until(lambda: len(answers) == 4)
            proxy.unblock()
            await nobody_left(postgres, schema)

    with postgres.schema() as schema:
        trio.run(main, schema)
    assert set(answers) <= OUTCOMES
    assert took < longest(statement, closing)
    with capsys.disabled():
        print(f" [closed in {took:.2f} s] ", end="")  # noqa: T201  figures for people


def post_named(store: Store, name: str) -> Any:
    async def post(queue: str) -> None:
        await store.post(queue, 1, message_id=name)

    return post


def test_a_read_that_is_under_way_ends_with_the_statement_and_leaks_nothing(
    postgres: Server,
) -> None:
    answers: list[str] = []

    async def main(schema: str) -> None:
        async with Proxy(postgres).running() as proxy, counted():
            url = proxy.url(schema, application_name=schema, statement_seconds="1")
            async with trio.open_nursery() as nursery:
                async with open_store(url) as store:
                    await store.create_queue(QUEUE, OPTIONS)
                    proxy.block()
                    for _ in range(3):
                        nursery.start_soon(note, answers, store.peek, QUEUE)
                    await trio.sleep(0.1)
                    began = trio.current_time()
                assert trio.current_time() - began < longest(0, 0)
            proxy.unblock()
            await nobody_left(postgres, schema)

    with postgres.schema() as schema:
        trio.run(main, schema)
    assert len(answers) == 3
    assert set(answers) <= OUTCOMES


@pytest.mark.parametrize(
    "milliseconds",
    [
        20,
        pytest.param(0, marks=pytest.mark.slow),
        pytest.param(1500, marks=pytest.mark.slow),
    ],
)
def test_a_store_canceled_in_silence_closes_and_leaks_nothing(
    postgres: Server,
    monkeypatch: pytest.MonkeyPatch,
    milliseconds: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With services, a worker in a handler, and one who waits for a message's end.

    What has been given to the server is waited for as long as a statement may take.
    """
    make_impatient(monkeypatch, 0.5)

    async def main(schema: str) -> None:
        async with Proxy(postgres).running() as proxy, counted():
            url = proxy.url(schema, application_name=schema, statement_seconds="1")
            runs = trio.Event()

            async def handle(_: Job) -> None:
                runs.set()
                await trio.sleep_forever()

            with trio.CancelScope() as scope:
                async with (
                    open_store(url) as store,
                    open_services(store),
                    trio.open_nursery() as nursery,
                ):
                    await store.create_queue(QUEUE, OPTIONS)
                    await nursery.start(Worker(store, {QUEUE: handle}).run)
                    await store.post(QUEUE, 1, message_id="m")
                    nursery.start_soon(store.wait_finished, QUEUE, "m")
                    await runs.wait()
                    proxy.block()
                    scope.deadline = trio.current_time() + milliseconds / 1000
                    nursery.start_soon(store.post, QUEUE, 2)
                    nursery.start_soon(store.peek, QUEUE)
            assert scope.cancelled_caught
            took = trio.current_time() - scope.deadline
            assert took < longest(1, 1)
            with capsys.disabled():
                print(f" [closed in {took:.2f} s] ", end="")  # noqa: T201  figures for people
            proxy.unblock()
            await nobody_left(postgres, schema)
        async with open_store(postgres.store_url(schema)) as store:
            # What it could not give back any more comes back with its lease.
            message = await store.get_message(QUEUE, "m")
            assert message.state in {MessageState.RUNNING, MessageState.PENDING}

    with postgres.schema() as schema:
        trio.run(main, schema)


def test_an_idle_store_closes_at_once_though_the_network_is_silent(
    postgres: Server,
) -> None:
    async def main(schema: str) -> None:
        async with Proxy(postgres).running() as proxy, counted():
            url = proxy.url(schema, application_name=schema)
            async with open_store(url) as store:
                await store.create_queue(QUEUE, OPTIONS)
                await until(lambda: proxy.heard > 0)
                await trio.sleep(0.1)  # whatever comes after a call is over
                proxy.block()
                began = trio.current_time()
            # There is nothing to wait for: nobody is asked for leave.
            assert trio.current_time() - began < FAREWELL_SECONDS - 0.5
            proxy.unblock()
            await nobody_left(postgres, schema)

    with postgres.schema() as schema:
        trio.run(main, schema)
