"""What processes on PostgreSQL do for each other: wake-ups, schedules, one time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import trio

from tests.postgres.journal import number, rows
from tests.postgres_server import Server
from tests.processes import crew as crews
from tests.processes.crew import open_crew, until
from tests.processes.test_schedules import every_second
from trioqueue import (
    LeasePolicy,
    QueueOptions,
    RetryPolicy,
    Schedule,
    open_services,
    open_store,
)
from trioqueue.services import ReclaimService

QUEUE: Final = "jobs"
TEN_MINUTES: Final = 600
NOW: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8"


@pytest.fixture
def schema(postgres: Server) -> Iterator[str]:
    with postgres.schema("between") as schema:
        yield schema


@pytest.fixture(autouse=True)
def _own_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crews, "PROGRAM", Path(__file__).with_name("program.py"))


@pytest.mark.parametrize("pooler", ["none", "transaction"])
async def test_an_idle_worker_claims_what_another_process_posts(
    postgres: Server,
    schema: str,
    pooler: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = postgres.store_url(schema)
    theirs = url
    rounds = 100
    if pooler == "transaction":
        # Nothing is heard through a pooler, so that the worker looks.
        theirs, rounds = postgres.store_url(schema, pooler="transaction"), 10
    with open_crew(tmp_path) as crew:
        async with open_store(url) as store:
            await store.create_queue(QUEUE)
            worker = crew.start("echo", theirs)
            await worker.said()
            for done in range(rounds):
                # Idle again, and few enough that no hint is held back.
                await trio.sleep(0.06)
                await store.post(QUEUE, time.monotonic_ns())
                await worker.said(done + 2)
            await worker.finish()
            took = [int(line) / 1000 for line in worker.lines()[1:]]
    median = statistics.median(took)
    with capsys.disabled():
        print(f" [{pooler}: p50 {median:.1f} ms, worst {max(took):.1f} ms] ", end="")  # noqa: T201  figures for people
    assert len(took) == rounds
    assert median < 2000


async def test_services_of_three_processes_share_the_runs_of_schedules(
    postgres: Server, schema: str, tmp_path: Path
) -> None:
    url = postgres.store_url(schema)
    with open_crew(tmp_path) as crew:
        async with open_store(url) as store, open_services(store) as services:
            await store.create_queue(QUEUE)
            members = [crew.start("keep-time", url) for _ in range(2)]
            for member in members:
                await member.said()
            for place in range(20):
                await store.create_schedule(
                    Schedule(f"s{place}", QUEUE, every_second(place))
                )
            posted = "SELECT count(*) FROM tq_messages"
            await until(lambda: number(postgres, schema, posted) >= 100)
            for place in range(20):
                await store.pause_schedule(f"s{place}")
            for member in members:
                await member.finish()
            said = [int(member.lines()[-1]) for member in members]
            mine = services.calendar.statistics().processed
            mine += services.cron.statistics().processed
            # The last words may have been said before the last runs.
            assert sum(said) + mine <= number(postgres, schema, posted)
            repeated = """
                SELECT count(*) FROM (
                    SELECT schedule_row, occurrence FROM tq_schedule_runs
                    GROUP BY schedule_row, occurrence HAVING count(*) > 1
                ) AS twice
            """
            assert number(postgres, schema, repeated) == 0
            runs = number(postgres, schema, "SELECT count(*) FROM tq_schedule_runs")
            assert runs == number(postgres, schema, posted)
            skipped = """
                SELECT count(*) FROM (
                    SELECT occurrence - lag(occurrence) OVER (
                        PARTITION BY schedule_row ORDER BY occurrence
                    ) AS step FROM tq_schedule_runs
                ) AS steps WHERE step <> 1000000
            """
            assert number(postgres, schema, skipped) == 0


@pytest.mark.parametrize("wrong_by", [TEN_MINUTES, -TEN_MINUTES])
async def test_a_process_whose_clock_is_wrong_takes_back_what_is_dead_and_no_more(
    postgres: Server, schema: str, wrong_by: int, tmp_path: Path
) -> None:
    url = postgres.store_url(schema)
    options = QueueOptions(
        lease=LeasePolicy(base_seconds=300), retry=RetryPolicy.fixed(0)
    )
    short = LeasePolicy(base_seconds=1)
    with open_crew(tmp_path) as crew:
        async with open_store(url) as store:
            await store.create_queue(QUEUE, options)
            for name in ("live", "dead"):
                lease = short if name == "dead" else None
                await store.post(QUEUE, name, message_id=name, lease=lease)
            live, dead = await store.claim(QUEUE, limit=2)
            reclaimer = crew.start("skewed", url, str(wrong_by))
            await reclaimer.said()
            end = "SELECT lease_expires_at FROM tq_messages WHERE message_id = 'dead'"
            ends_at = number(postgres, schema, end)
            # Its own wait for the end of the lease is longer than it needs to be.
            await until(lambda: number(postgres, schema, NOW) > ends_at + 100_000)
            reclaimer.tell()
            assert (await reclaimer.said(2))[1] == "1"
            (again,) = await store.claim(QUEUE)
            assert (again.message_id, again.attempt) == ("dead", 2)
            assert again.attempt_id > dead.attempt_id
            reclaimer.tell()
            assert (await reclaimer.said(3))[2] == "0"
            await store.complete(live)


@pytest.mark.parametrize("wrong_by", [TEN_MINUTES, -TEN_MINUTES])
async def test_a_lease_taken_by_a_wrong_clock_ends_when_the_servers_says_so(
    postgres: Server, schema: str, wrong_by: int, tmp_path: Path
) -> None:
    url = postgres.store_url(schema)
    with open_crew(tmp_path) as crew:
        async with open_store(url) as store:
            options = QueueOptions(lease=LeasePolicy(base_seconds=60))
            await store.create_queue(QUEUE, options)
            await store.post(QUEUE, 1, message_id="m")
            began = number(postgres, schema, NOW)
            holder = crew.start("skewed-hold", url, str(wrong_by))
            assert await holder.said() == ["claimed m 1"]
            ended = number(postgres, schema, NOW)
            ((starts, ends),) = rows(
                postgres,
                schema,
                "SELECT started_at, lease_expires_at FROM tq_messages",
            )
            assert began - 100_000 <= starts <= ended + 100_000
            assert ends == starts + 60_000_000
            # Its lease is alive, so that nobody takes it and its word is accepted.
            assert await ReclaimService(store).run_once() == 0
            holder.tell()
            assert (await holder.said(2))[1] == "completed"
            await holder.finish()
