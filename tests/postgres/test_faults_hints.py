"""Notifications are lost: what waits finds out by looking, within its poll ceiling."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
import pytest
import trio
from trio.testing import MockClock

from tests.postgres.faulty import OPTIONS, QUEUE, Proxy, terminate, until
from tests.postgres_server import Server
from trioqueue import (
    Cron,
    Misfire,
    NewMessage,
    Schedule,
    Store,
    StoreUnavailableError,
    open_services,
    open_store,
)
from trioqueue.metrics.meters import Meters
from trioqueue.store.postgres import signals
from trioqueue.store.postgres.driver import TrioConnection
from trioqueue.store.postgres.settings import Settings
from trioqueue.store.wakeups import WakeUps

CEILING_SECONDS: Final = 30.0
"""The poll ceiling is 1 s; the rest is for a machine that is busy.

A message that nobody looks for is never found here: see `_no_probes`.
"""


@pytest.fixture(autouse=True)
def _no_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody find out that a connection has gone deaf."""
    monkeypatch.setattr(signals, "PROBE_SECONDS", math.inf)


@asynccontextmanager
async def two_stores(
    postgres: Server, schema: str, **options: str
) -> AsyncIterator[tuple[Proxy, Store, Store]]:
    """Open a store that hears through a proxy, and one that speaks without it.

    They have different addresses, so that they hear of each other by the server only.
    """
    async with (
        Proxy(postgres).running() as proxy,
        open_store(proxy.url(schema, application_name=schema, **options)) as hearing,
        open_store(postgres.store_url(schema)) as speaking,
    ):
        await speaking.create_queue(QUEUE, OPTIONS)
        yield proxy, hearing, speaking


async def time_to_claim(
    hearing: Store, act: Callable[[], Awaitable[Any]], count: int = 1
) -> float:
    """Return the seconds until a waiter has claimed what is posted meanwhile."""
    claimed = 0

    async def wait() -> None:
        nonlocal claimed
        while claimed < count:
            for job in await hearing.claim_wait(QUEUE):
                await hearing.complete(job)
                claimed += 1

    with trio.fail_after(CEILING_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.sleep(0.05)  # the waiter has looked, and sleeps
            began = trio.current_time()
            await act()
    return trio.current_time() - began


def report(capsys: pytest.CaptureFixture[str], took: list[float]) -> None:
    with capsys.disabled():
        print(f" [worst {max(took):.2f} s of {len(took)}] ", end="")  # noqa: T201  figures for people


def test_a_message_whose_notification_is_swallowed_is_claimed_by_looking(
    postgres: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    took: list[float] = []

    async def main(schema: str) -> None:
        async with two_stores(postgres, schema) as (proxy, hearing, speaking):
            await until(lambda: proxy.heard > 0)  # so it relies on notifications
            proxy.deaf = True
            for turn in range(2):
                seconds = await time_to_claim(
                    hearing, lambda: speaking.post(QUEUE, 1, priority=2)
                )
                took.append(seconds)
                await until(lambda turn=turn: proxy.unheard > turn)  # type: ignore[misc]  # a default binds it

    with postgres.schema() as schema:
        trio.run(main, schema)
    assert max(took) < CEILING_SECONDS
    report(capsys, took)


def test_a_message_whose_notification_goes_with_its_connection_is_claimed(
    postgres: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    took: list[float] = []

    async def main(schema: str) -> None:
        async with two_stores(postgres, schema) as (proxy, hearing, speaking):
            for turn in range(8):
                await until(lambda turn=turn: proxy.heard > turn)  # type: ignore[misc]  # a default binds it
                proxy.cuts_ears = True
                took.append(
                    await time_to_claim(hearing, lambda: speaking.post(QUEUE, 1))
                )
                await until(lambda turn=turn: proxy.unheard > turn)  # type: ignore[misc]  # a default binds it
                proxy.cuts_ears = False

    with postgres.schema() as schema:
        trio.run(main, schema)
    assert max(took) < CEILING_SECONDS
    report(capsys, took)


@pytest.mark.parametrize("moments", [20, pytest.param(300, marks=pytest.mark.slow)])
def test_a_message_is_claimed_though_listening_is_cut_at_any_moment(
    postgres: Server, moments: int, capsys: pytest.CaptureFixture[str]
) -> None:
    took: list[float] = []
    killed = 0

    def cut(schema: str) -> None:
        nonlocal killed
        killed += terminate(postgres, schema, doing="LISTEN%")

    async def main(schema: str) -> None:
        heard = 0
        async with two_stores(postgres, schema) as (proxy, hearing, speaking):
            for moment in range(moments):
                if moment % 2 == 0:  # else it may not yet listen again
                    await until(lambda heard=heard: proxy.heard > heard)  # type: ignore[misc]  # a default binds it
                heard = proxy.heard

                async def act(moment: int = moment) -> None:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(speaking.post, QUEUE, 1)
                        await trio.sleep(moment % 20 * 0.001)
                        await trio.to_thread.run_sync(cut, schema)

                took.append(await time_to_claim(hearing, act))

    with postgres.schema() as schema:
        trio.run(main, schema)
    assert killed >= moments // 2
    assert max(took) < CEILING_SECONDS
    report(capsys, took)


def listeners(server: Server, schema: str) -> list[int]:
    """Return the server's processes that a store listens with."""
    with server.connect() as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity "
            "WHERE application_name = %s AND query LIKE 'LISTEN%%'",
            [schema],
        )
        return [pid for (pid,) in rows.fetchall()]


def test_a_connection_that_went_deaf_without_a_word_is_replaced(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "PROBE_SECONDS", 0.3)

    async def main(schema: str) -> None:
        async with two_stores(postgres, schema) as (proxy, _, _):
            await until(lambda: proxy.heard > 0)
            monkeypatch.setattr(signals, "ECHO_SECONDS", 0.2)
            first = listeners(postgres, schema)
            assert len(first) == 1
            proxy.deaf = True
            await until(lambda: proxy.unheard > 0)
            await until(lambda: not {*first} & {*listeners(postgres, schema)})
            proxy.deaf, heard = False, proxy.heard
            await until(lambda: proxy.heard > heard)

    with postgres.schema() as schema:
        trio.run(main, schema)


def test_listening_is_taken_up_again_however_often_it_was_cut(postgres: Server) -> None:
    async def main(schema: str) -> None:
        async with two_stores(postgres, schema) as (proxy, _, _):
            for turn in range(4):
                await until(lambda: len(listeners(postgres, schema)) == 1)
                await until(lambda turn=turn: proxy.heard > turn)  # type: ignore[misc]  # a default binds it
                await trio.to_thread.run_sync(terminate, postgres, schema)
        async with two_stores(postgres, schema, pooler="transaction"):
            await trio.sleep(0.1)
            assert listeners(postgres, schema) == []

    with postgres.schema() as schema:
        trio.run(main, schema)


def test_what_is_wrong_with_listening_is_told_once_and_blames_no_change(
    postgres: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(signals, "ECHO_SECONDS", 0.2)

    async def main(schema: str) -> None:
        async with Proxy(postgres).running() as proxy:
            proxy.deaf = True
            url = proxy.url(schema, application_name=schema)
            async with open_store(url):
                await until(lambda: proxy.unheard > 1)
                proxy.deaf = False
                await until(lambda: proxy.heard > 0)
                terminate(postgres, schema, doing="LISTEN%")
                await until(lambda: proxy.heard > 1)

    with postgres.schema() as schema, caplog.at_level("WARNING"):
        trio.run(main, schema)
    told = [r.getMessage() for r in caplog.records if r.name == "trioqueue.postgres"]
    deaf, lost = (text.partition("instead: ")[2] for text in told)
    assert deaf == "notifications do not arrive; is there a pooler in between?"
    assert "the connection was lost" in lost
    assert "stored" not in lost


@pytest.mark.parametrize("there_is_one", [False, True])
def test_who_listens_takes_no_connection_before_those_who_work_have_one(
    monkeypatch: pytest.MonkeyPatch, there_is_one: bool
) -> None:
    tried: list[float] = []

    def opened(_: str) -> Any:
        tried.append(trio.current_time())
        raise psycopg.OperationalError

    monkeypatch.setattr(TrioConnection, "opened", opened)

    async def say(*words: str) -> None:
        assert words == ()
        await trio.lowlevel.checkpoint()
        if not there_is_one:
            message = "max_connections"
            raise StoreUnavailableError(message)

    async def main() -> None:
        executor: Any = None  # nobody waits, so nothing is looked for
        ears = signals.Ears(
            Settings("host=h"), WakeUps(), executor, "me", say, meters=Meters()
        )
        with trio.move_on_after(60):
            await ears.run()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert bool(tried) is there_is_one


def test_every_message_of_a_burst_is_claimed_though_no_notification_arrives(
    postgres: Server,
) -> None:
    async def main(schema: str) -> None:
        async with two_stores(postgres, schema) as (proxy, hearing, speaking):
            await until(lambda: proxy.heard > 0)
            proxy.deaf = True
            burst = [NewMessage(n, message_id=f"m{n}") for n in range(50)]
            seconds = await time_to_claim(
                hearing, lambda: speaking.post_many(QUEUE, burst), count=50
            )
            assert seconds < CEILING_SECONDS
            assert await hearing.peek(QUEUE) == []

    with postgres.schema() as schema:
        trio.run(main, schema)


def test_services_find_what_is_due_though_no_notification_arrives(
    postgres: Server,
) -> None:
    """A delayed message, and a schedule, that another process has made."""

    async def main(schema: str) -> None:
        async with (
            two_stores(postgres, schema) as (proxy, hearing, speaking),
            open_services(hearing),
        ):
            await until(lambda: proxy.heard > 0)
            await trio.sleep(0.1)  # the services have looked, and sleep
            proxy.deaf = True
            await speaking.post(QUEUE, 1, message_id="late", delay_seconds=0.2)
            rule = Cron("* * * * * *")
            schedule = Schedule("s", QUEUE, rule, misfire=Misfire.skip())
            await speaking.create_schedule(schedule)
            found: set[str] = set()
            with trio.fail_after(CEILING_SECONDS):
                while len(found) < 2:
                    (job,) = await hearing.claim_wait(QUEUE)
                    found.add("late" if job.message_id == "late" else "run")
                    await hearing.complete(job)

    with postgres.schema() as schema:
        trio.run(main, schema)
