"""The server is away for long: services, schedules and workers go on by themselves."""

from __future__ import annotations

from collections import Counter

import pytest
import trio

from tests.postgres.faulty import OPTIONS, QUEUE, RETURN_SECONDS, Load, Proxy, until
from tests.postgres.journal import number, rows
from tests.postgres_server import OwnServer
from trioqueue import Cron, Job, Misfire, Schedule, Worker, open_store

IDLE, TICKS = "idle", "ticks"
TARGET_SECONDS = 5.0
"""All is to go on so soon after the server's return."""
_RUNS = "SELECT count(*) FROM tq_schedule_runs"
_UNFINISHED = """
    SELECT count(*) FROM tq_messages JOIN tq_queues USING (queue_id)
    WHERE name IN ('idle', 'ticks')
"""
_REPEATED = """
    SELECT occurrence FROM tq_schedule_runs GROUP BY occurrence HAVING count(*) > 1
"""
_SKIPPED = """
    SELECT occurrence FROM (
        SELECT occurrence, occurrence - lag(occurrence) OVER (ORDER BY occurrence)
            AS step FROM tq_schedule_runs
    ) AS steps WHERE step <> 1000000
"""


class Seen:
    """What handlers were given."""

    def __init__(self) -> None:
        self.messages: set[str] = set()
        self.attempts: Counter[tuple[str, int]] = Counter()

    async def handle(self, job: Job) -> None:
        self.messages.add(job.message_id)
        self.attempts[job.message_id, job.attempt] += 1
        await trio.lowlevel.checkpoint()


@pytest.mark.parametrize(
    "seconds", [2.0, pytest.param(10.0, marks=pytest.mark.slow)], ids=["short", "long"]
)
def test_all_goes_on_by_itself_after_the_server_was_away(
    own_postgres: OwnServer, seconds: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """Work, a schedule of each second, and a worker that has nothing to do."""
    took: dict[str, float] = {}

    async def main() -> None:
        server, idle, ticks = own_postgres, Seen(), Seen()
        async with (
            Proxy(server).running() as proxy,
            open_store(server.store_url("away")) as store,
            # What it is told, it is told by the server: it has another address.
            open_store(proxy.url("away")) as apart,
        ):
            for queue in (QUEUE, IDLE, TICKS):
                await store.create_queue(queue, OPTIONS)
            await store.create_schedule(
                Schedule("tick", TICKS, Cron("* * * * * *"), misfire=Misfire.all())
            )
            load = Load(store)
            async with load.running(), trio.open_nursery() as nursery:
                nursery.start_soon(Worker(apart, {IDLE: idle.handle}).run)
                nursery.start_soon(Worker(store, {TICKS: ticks.handle}).run)
                await load.goes_on()
                await until(lambda: bool(ticks.messages))
                await trio.to_thread.run_sync(server.stop)
                await trio.sleep(seconds)
                ticked = len(ticks.messages)
                await trio.to_thread.run_sync(server.start)
                back = trio.current_time()

                async def time_of(what: str) -> None:
                    if what == "load":
                        await load.goes_on()
                    elif what == "ticks":
                        # Those of the time away, too.
                        await until(lambda: len(ticks.messages) > ticked + seconds - 1)
                    else:
                        await store.post(IDLE, 1, message_id="late")
                        await until(lambda: "late" in idle.messages)
                    took[what] = trio.current_time() - back

                async with trio.open_nursery() as timers:
                    for what in ("load", "ticks", "idle"):
                        timers.start_soon(time_of, what)
                await store.pause_schedule("tick")
                await until(lambda: not number(server, "away", _UNFINISHED))
                nursery.cancel_scope.cancel()
            for seen in (idle, ticks):
                assert max(seen.attempts.values()) == 1
            assert number(server, "away", _RUNS) == len(ticks.messages)
        assert rows(server, "away", _REPEATED) == []
        assert rows(server, "away", _SKIPPED) == []

    trio.run(main)
    with capsys.disabled():
        figures = ", ".join(f"{what} {span:.2f} s" for what, span in took.items())
        print(f" [away {seconds:g} s; back: {figures}] ", end="")  # noqa: T201  figures for people
    assert max(took.values()) < (TARGET_SECONDS if seconds > 5 else RETURN_SECONDS)
