"""The server goes and comes back: nothing is lost, and all goes on by itself."""

from __future__ import annotations

import random
import time

import pytest
import trio

from tests.postgres.faulty import (
    OPTIONS,
    QUEUE,
    Load,
    made_role,
    make_impatient,
    post_surely,
    terminate,
)
from tests.postgres_server import OwnServer, Server
from trioqueue import Store, StoreUnavailableError, open_store


def restart_after(server: OwnServer, how: str) -> None:
    if how == "killed":
        server.kill()
        while True:  # its children notice, and its port gets free
            try:
                server.stop("immediate")
                server.start()
            except Exception:  # noqa: BLE001  pg_ctl fails as long as they live
                time.sleep(0.1)
            else:
                return
    server.restart("fast" if how == "fast" else "immediate")


@pytest.mark.parametrize("how", ["fast", "immediate", "killed"])
def test_a_restart_under_load_loses_and_doubles_nothing(
    own_postgres: OwnServer, how: str
) -> None:
    async def main() -> None:
        async with open_store(own_postgres.store_url("load")) as store:
            await store.create_queue(QUEUE, OPTIONS)
            load = Load(store)
            async with load.running():
                await load.goes_on()
                await trio.to_thread.run_sync(restart_after, own_postgres, how)
                await load.goes_on()

    trio.run(main)


@pytest.mark.slow
def test_many_restarts_under_load_lose_and_double_nothing(
    own_postgres: OwnServer,
) -> None:
    source = random.Random(4)

    async def main() -> None:
        async with open_store(own_postgres.store_url("load")) as store:
            await store.create_queue(QUEUE, OPTIONS)
            load = Load(store)
            async with load.running():
                for _ in range(20):
                    await load.goes_on()
                    await trio.sleep(source.uniform(0, 0.5))
                    how = source.choice(["fast", "immediate", "killed"])
                    await trio.to_thread.run_sync(restart_after, own_postgres, how)
                await load.goes_on()

    trio.run(main)


def test_killing_backends_many_times_a_second_loses_and_doubles_nothing(
    postgres: Server,
) -> None:
    async def main(schema: str) -> None:
        url = postgres.store_url(schema, application_name=schema)
        async with open_store(url) as store:
            await store.create_queue(QUEUE, OPTIONS)
            load = Load(store)
            killed = 0
            async with load.running():
                for _ in range(15):
                    killed += await trio.to_thread.run_sync(terminate, postgres, schema)
                    await trio.sleep(0.05)
                await load.goes_on()
            assert killed > 15

    with postgres.schema() as schema:
        trio.run(main, schema)


async def post_in_vain(store: Store) -> float:
    """Return how long it took until the post was refused."""
    began = trio.current_time()
    with pytest.raises(StoreUnavailableError):
        await store.post(QUEUE, 1)
    return trio.current_time() - began


def test_a_post_while_the_server_is_away_fails_after_its_patience(
    own_postgres: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_impatient(monkeypatch, 0.5)

    async def main() -> None:
        async with open_store(own_postgres.store_url("away")) as store:
            await store.create_queue(QUEUE, OPTIONS)
            await trio.to_thread.run_sync(own_postgres.stop)
            began = trio.current_time()
            with pytest.raises(StoreUnavailableError) as raised:
                await store.post(QUEUE, 1, message_id="m")
            assert trio.current_time() - began >= 0.4
            assert "\n" not in str(raised.value)
            with pytest.raises(StoreUnavailableError):
                await store.queue_state(QUEUE)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(post_in_vain, store)
                await trio.sleep(0.3)
                # Who comes later is not refused with who came first.
                assert await post_in_vain(store) >= 0.4
            await trio.to_thread.run_sync(own_postgres.start)
            await post_surely(store, "m")
            (job,) = await store.claim(QUEUE)
            await store.complete(job)

    trio.run(main)


def test_a_post_waits_for_a_server_that_comes_back(own_postgres: OwnServer) -> None:
    async def main() -> None:
        async with open_store(own_postgres.store_url("away")) as store:
            await store.create_queue(QUEUE, OPTIONS)
            await trio.to_thread.run_sync(own_postgres.stop)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(post_surely, store, "m")
                await trio.sleep(0.3)
                await trio.to_thread.run_sync(own_postgres.start)
            assert [m.message_id for m in await store.peek(QUEUE)] == ["m"]

    trio.run(main)


def test_a_full_server_is_named_and_serves_again(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_impatient(monkeypatch, 0.4)

    def limit(role: str, count: int) -> None:
        with postgres.connect() as connection:
            connection.execute(f"ALTER ROLE {role} CONNECTION LIMIT {count}".encode())

    async def main(schema: str, role: str) -> None:
        url = postgres.store_url(schema, user=role, application_name=schema)
        async with open_store(url) as store:
            await store.create_queue(QUEUE, OPTIONS)
            await trio.to_thread.run_sync(limit, role, 0)
            await store.post(QUEUE, 1, message_id="with-what-is-open")
            await trio.to_thread.run_sync(terminate, postgres, schema)
            with pytest.raises(StoreUnavailableError, match="max_connections"):
                await store.post(QUEUE, 1)
            await trio.to_thread.run_sync(limit, role, -1)
            await post_surely(store, "later")

    with postgres.schema() as schema, made_role(postgres, schema) as role:
        trio.run(main, schema, role)
