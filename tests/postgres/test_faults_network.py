"""The network swallows packets or cuts connections: callers are told, and it heals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import pytest
import trio

from tests.postgres.faulty import (
    OPTIONS,
    QUEUE,
    RETURN_SECONDS,
    Load,
    Proxy,
    chain,
    executor_of,
    make_impatient,
    post_surely,
    until,
)
from tests.postgres_server import Server
from trioqueue import Store, StoreUnavailableError, open_store
from trioqueue.store.operations.core import Context, ExecuteMany, Fetch, Operation
from trioqueue.store.postgres.session import Session
from trioqueue.store.postgres.settings import Settings

Program = Callable[[Proxy, Store], Awaitable[None]]


def run_behind_proxy(server: Server, program: Program, **options: str) -> None:
    """Run a program with a store that reaches the server through a proxy."""

    async def main(schema: str) -> None:
        async with (
            Proxy(server).running() as proxy,
            open_store(proxy.url(schema, **options)) as store,
        ):
            await store.create_queue(QUEUE, OPTIONS)
            await program(proxy, store)

    with server.schema() as schema:
        trio.run(main, schema)


def test_a_server_that_falls_silent_is_given_up_and_used_again(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_impatient(monkeypatch, 0.3)

    async def main(proxy: Proxy, store: Store) -> None:
        await store.post(QUEUE, 1, message_id="before")
        await trio.sleep(0.1)  # whatever comes after a post is over
        proxy.block()
        with trio.fail_after(RETURN_SECONDS):
            with pytest.raises(StoreUnavailableError):
                await store.post(QUEUE, 1, message_id="m")
            proxy.unblock()
            await post_surely(store, "m")
        found = [m.message_id for m in await store.peek(QUEUE)]
        assert found == ["before", "m"]

    run_behind_proxy(postgres, main, statement_seconds="1")


def test_a_lost_answer_to_a_commit_is_told_and_posting_again_stores_it_once(
    postgres: Server,
) -> None:
    async def main(proxy: Proxy, store: Store) -> None:
        proxy.cut_at = (b"the-message", b"COMMIT\0")
        with pytest.raises(StoreUnavailableError, match="may or may not") as raised:
            await store.post(QUEUE, 1, message_id="the-message")
        assert proxy.cuts == 1
        assert "\n" not in str(raised.value)
        assert len(chain(raised.value)) > 1
        again = await store.post(QUEUE, 1, message_id="the-message")
        assert [m.message_id for m in await store.peek(QUEUE)] == [again.message_id]

    run_behind_proxy(postgres, main)


def test_a_connection_lost_before_the_commit_is_no_concern_of_callers(
    postgres: Server,
) -> None:
    async def main(proxy: Proxy, store: Store) -> None:
        for turn in range(5):
            proxy.cut_at = (b"READ WRITE",)
            await store.post(QUEUE, 1, message_id=f"m{turn}")
        assert proxy.cuts == 5
        assert len(await store.peek(QUEUE)) == 5

    run_behind_proxy(postgres, main)


def test_what_was_answered_before_the_connection_was_lost_is_done_again(
    postgres: Server,
) -> None:
    """Two requests in one transaction: the first is done when the second finds out."""

    async def main(proxy: Proxy, store: Store) -> None:
        executor = executor_of(store)
        names = {f"m{turn}" for turn in range(10)}
        cuts = set(names)

        def cutting(_: Context, name: str) -> Operation[None]:
            if name in cuts:
                cuts.discard(name)
                proxy.cut_at = (b"queues_by_name",)
            yield Fetch("queues_by_name", {"names": [QUEUE]})

        for name in names:  # Trio runs the two in any order
            async with trio.open_nursery() as nursery:
                nursery.start_soon(post_surely, store, name)
                nursery.start_soon(executor.write, partial(cutting, name=name))
            proxy.cut_at = ()
        assert proxy.cuts == len(names)
        assert {m.message_id for m in await store.peek(QUEUE)} == names

    run_behind_proxy(postgres, main)


def test_idle_connections_go_with_one_that_work_was_lost_with(
    postgres: Server,
) -> None:
    """To find out of each that it is lost could wear out the patience of callers."""

    async def main(proxy: Proxy, store: Store) -> None:
        pool = executor_of(store)._pool
        for word, call in (
            (b"READ ONLY", partial(store.peek, QUEUE)),
            (b"READ WRITE", partial(store.post, QUEUE, 1)),
            (b"COMMIT\0", partial(store.post, QUEUE, 1)),
        ):
            async with trio.open_nursery() as nursery:
                for _ in range(4):
                    nursery.start_soon(store.peek, QUEUE)
            await until(lambda: pool.statistics().idle == pool.statistics().open)
            before = pool.statistics()
            assert before.idle > 2  # of which the last hint may be using one
            proxy.cut_at = (word,)
            with suppress(StoreUnavailableError):
                await call()
            assert pool.statistics().discarded > before.discarded + 1
        assert proxy.cuts == 3

    run_behind_proxy(postgres, main)


def test_a_lost_commit_of_what_wrote_nothing_is_no_concern_of_callers(
    postgres: Server,
) -> None:
    async def main(proxy: Proxy, store: Store) -> None:
        proxy.cut_at = (b"READ WRITE", b"COMMIT\0")
        assert await store.claim(QUEUE) == []
        assert proxy.cuts == 1

    run_behind_proxy(postgres, main)


def test_a_statement_that_was_never_sent_does_not_count_as_prepared(
    postgres: Server,
) -> None:
    def failing() -> Operation[None]:
        yield ExecuteMany("delete_messages", [(0,)])
        raise KeyError

    def working() -> Operation[None]:
        yield ExecuteMany("delete_messages", [(0,)])

    async def main(schema: str) -> None:
        async with open_store(postgres.store_url(schema)):
            pass
        session = await Session.open(Settings(postgres.conninfo(), schema))
        try:
            session.begin()
            with pytest.raises(KeyError):
                await session.drive(failing())
            await session.rollback()
            session.begin()
            await session.drive(working())
            await session.commit()
            assert session.usable
        finally:
            session.kill()

    with postgres.schema() as schema:
        trio.run(main, schema)


def test_connections_cut_at_commits_under_load_lose_and_double_nothing(
    postgres: Server,
) -> None:
    async def main(proxy: Proxy, store: Store) -> None:
        load = Load(store)
        async with load.running():
            for turn in range(20):
                proxy.cut_at = (b"COMMIT\0",) if turn % 2 else (b"READ WRITE",)
                await until(lambda turn=turn: proxy.cuts > turn)  # type: ignore[misc]  # a default binds it
            await load.goes_on()
        assert proxy.cuts == 20

    run_behind_proxy(postgres, main)
