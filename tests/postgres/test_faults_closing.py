"""A store is left while work is in flight: no hang, and nothing stays behind."""

from __future__ import annotations

import pytest
import trio

from tests.postgres.faulty import (
    OPTIONS,
    QUEUE,
    make_impatient,
    nobody_left,
    states,
)
from tests.postgres_server import OwnServer, Server
from trioqueue import (
    MessageState,
    Store,
    StoreClosedError,
    StoreUnavailableError,
    Worker,
    open_store,
)


async def post_on(store: Store, posted: list[str], name: str) -> None:
    for turn in range(100_000):
        try:
            await store.post(QUEUE, 1, message_id=f"{name}.{turn}")
        except StoreClosedError:
            return
        posted.append(f"{name}.{turn}")


def test_a_store_closed_in_the_midst_of_work_keeps_what_it_has_confirmed(
    postgres: Server,
) -> None:
    async def main(schema: str) -> None:
        url = postgres.store_url(schema, application_name=schema)
        posted: list[str] = []
        async with trio.open_nursery() as nursery, open_store(url) as store:
            await store.create_queue(QUEUE, OPTIONS)
            for name in range(10):
                nursery.start_soon(post_on, store, posted, str(name))
            await trio.sleep(0.2)
        await nobody_left(postgres, schema)
        assert posted
        async with open_store(url) as store:
            stored = await store.peek(QUEUE, limit=10_000)
            assert {m.message_id for m in stored} >= set(posted)
        await nobody_left(postgres, schema)

    with postgres.schema() as schema:
        trio.run(main, schema)


@pytest.mark.parametrize("milliseconds", [0, 1, 3, 10, 30, 100, 200])
def test_a_program_canceled_at_any_moment_leaves_no_connection_and_no_lie(
    postgres: Server, milliseconds: int
) -> None:
    async def main(schema: str) -> None:
        url = postgres.store_url(schema, application_name=schema)
        async with open_store(url) as store:
            await store.create_queue(QUEUE, OPTIONS)
        posted: list[str] = []
        with trio.move_on_after(5) as scope:
            async with open_store(url) as store, trio.open_nursery() as nursery:
                scope.deadline = trio.current_time() + milliseconds / 1000
                for name in range(5):
                    nursery.start_soon(post_on, store, posted, str(name))
        assert scope.cancelled_caught
        await nobody_left(postgres, schema)
        async with open_store(url) as store:
            stored = await store.peek(QUEUE, limit=10_000)
            assert {m.message_id for m in stored} >= set(posted)

    with postgres.schema() as schema:
        trio.run(main, schema)


def test_opening_canceled_at_any_moment_leaves_no_connection(postgres: Server) -> None:
    async def main(schema: str) -> None:
        url = postgres.store_url(schema, application_name=schema)
        opened = []
        for turn in range(25):
            with trio.move_on_after(turn * 0.002):
                async with open_store(url):
                    opened.append(turn)
        async with open_store(url):
            pass
        assert len(opened) < 25
        await nobody_left(postgres, schema)

    with postgres.schema() as schema:
        trio.run(main, schema)


def test_a_canceled_program_gives_back_what_its_worker_holds(postgres: Server) -> None:
    """What a handler leaves behind is given back behind a shield: the store helps."""

    async def main(schema: str) -> None:
        url = postgres.store_url(schema, application_name=schema)
        began = trio.current_time()
        with trio.CancelScope() as scope:
            async with open_store(url) as store, trio.open_nursery() as nursery:
                await store.create_queue(QUEUE, OPTIONS)
                await store.post(QUEUE, 1, message_id="m")

                async def handle(_: object) -> None:
                    scope.cancel()
                    await trio.sleep_forever()

                await nursery.start(Worker(store, {QUEUE: handle}).run)
        assert trio.current_time() - began < 4
        async with open_store(url) as store:
            message = await store.get_message(QUEUE, "m")
            assert message.state is MessageState.PENDING
            assert message.attempt == 0  # refunded
        await nobody_left(postgres, schema)

    with postgres.schema() as schema:
        trio.run(main, schema)


def test_a_store_closes_while_the_server_is_away(
    own_postgres: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_impatient(monkeypatch, 30)
    answers: list[str] = []

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            async with open_store(own_postgres.store_url("away")) as store:
                await store.create_queue(QUEUE, OPTIONS)
                await trio.to_thread.run_sync(own_postgres.stop)

                async def post() -> None:
                    try:
                        await store.post(QUEUE, 1)
                    except (StoreClosedError, StoreUnavailableError) as error:
                        answers.append(type(error).__name__)

                nursery.start_soon(post)
                await trio.sleep(0.3)
                began = trio.current_time()
            assert trio.current_time() - began < 8

    trio.run(main)
    assert answers == ["StoreClosedError"]


def test_no_transaction_stays_open_when_callers_are_canceled(postgres: Server) -> None:
    async def main(schema: str) -> None:
        url = postgres.store_url(schema, application_name=schema)
        async with open_store(url) as store:
            await store.create_queue(QUEUE, OPTIONS)
            for turn in range(60):
                with trio.move_on_after(turn % 20 * 0.0003):
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(store.post, QUEUE, turn)
                        nursery.start_soon(store.peek, QUEUE)
                        nursery.start_soon(store.claim, QUEUE)
            seen = []
            for _ in range(50):
                await trio.sleep(0.02)
                seen = await trio.to_thread.run_sync(states, postgres, schema)
                if set(seen) == {"idle"}:
                    break
            assert set(seen) == {"idle"}
            assert len(seen) <= 9

    with postgres.schema() as schema:
        trio.run(main, schema)
