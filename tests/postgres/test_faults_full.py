"""Other programs use up the server's connections: ours say so, wait, and go on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Final, final

import psycopg
import pytest
import trio

from tests.postgres.faulty import (
    OPTIONS,
    QUEUE,
    Load,
    chain,
    make_impatient,
    post_surely,
)
from tests.postgres_server import PASSWORD, OwnServer, Room
from trioqueue import StoreUnavailableError, open_store

SLOTS: Final = 14
OURS: Final = "ours"
_END: Final = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s
"""


@pytest.fixture
def small(postgres_room: Room) -> Iterator[OwnServer]:
    """A server with few connections, of which none is kept for administrators."""
    server = OwnServer(
        postgres_room,
        max_connections=str(SLOTS),
        superuser_reserved_connections="0",
    )
    server.start()
    yield server
    server.remove()


@final
class Crowd:
    """Foreign sessions, which do nothing but be there."""

    def __init__(self, server: OwnServer) -> None:
        self._server = server
        self._sessions: list[psycopg.Connection] = []

    def fill(self) -> None:
        """Take every connection that is free."""
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                self._sessions.append(
                    psycopg.connect(self._server.conninfo(), autocommit=True)
                )

    def push_out(self) -> None:
        """Kill the sessions of ours, and take their places."""
        self.fill()
        while len(self._sessions) < SLOTS:
            self._sessions[0].execute(_END, [OURS])
            time.sleep(0.01)
            self.fill()

    def leave(self, count: int = SLOTS) -> None:
        """Give some of the connections back, or all."""
        going, self._sessions = self._sessions[:count], self._sessions[count:]
        for session in going:
            session.close()


@pytest.fixture
def crowd(small: OwnServer) -> Iterator[Crowd]:
    crowd = Crowd(small)
    yield crowd
    crowd.leave()


def test_a_store_on_a_full_server_says_so_and_opens_once_there_is_room(
    small: OwnServer, crowd: Crowd
) -> None:
    async def main() -> None:
        url = small.store_url("full", application_name=OURS)
        async with open_store(url):
            pass
        await trio.to_thread.run_sync(crowd.fill)
        with pytest.raises(StoreUnavailableError, match="max_connections") as raised:
            async with open_store(url):
                pass
        assert "\n" not in str(raised.value)
        assert not any(PASSWORD in str(error) for error in chain(raised.value))
        crowd.leave(2)
        with trio.fail_after(10):
            while True:
                # What has gone is still there for a moment.
                with contextlib.suppress(StoreUnavailableError):
                    async with open_store(url) as store:
                        await store.create_queue(QUEUE, OPTIONS)
                        await store.post(QUEUE, 1)
                    return

    trio.run(main)


def test_work_that_was_pushed_out_of_the_server_goes_on_once_there_is_room(
    small: OwnServer, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_impatient(monkeypatch, 0.4)

    async def main() -> None:
        url = small.store_url("full", application_name=OURS)
        async with open_store(url) as store:
            await store.create_queue(QUEUE, OPTIONS)
            load = Load(store)
            async with load.running():
                await load.goes_on()
                await trio.to_thread.run_sync(crowd.push_out)
                for _ in range(2):
                    with pytest.raises(StoreUnavailableError, match="max_connections"):
                        await store.queue_state(QUEUE)
                crowd.leave()
                await load.goes_on()

    trio.run(main)


def test_a_call_waits_until_others_leave_the_server(
    small: OwnServer, crowd: Crowd
) -> None:
    async def main() -> None:
        url = small.store_url("full", application_name=OURS)
        async with open_store(url) as store:
            await store.create_queue(QUEUE, OPTIONS)
            await trio.to_thread.run_sync(crowd.push_out)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.post, QUEUE, 1)
                await trio.sleep(0.3)
                crowd.leave()
            assert len(await store.peek(QUEUE)) == 1

    trio.run(main)


def test_work_goes_on_with_the_one_connection_that_others_leave(
    small: OwnServer, crowd: Crowd
) -> None:
    """The one that would listen must not keep it from those that work."""

    async def main() -> None:
        url = small.store_url("full", application_name=OURS)
        async with open_store(url) as store:
            await store.create_queue(QUEUE, OPTIONS)
            load = Load(store)
            async with load.running():
                await load.goes_on()
                for _ in range(3):
                    await trio.to_thread.run_sync(crowd.push_out)
                    crowd.leave(1)
                    await post_surely(store, "by-the-way")
                    await load.goes_on()
                crowd.leave()
                await load.goes_on()

    trio.run(main)
