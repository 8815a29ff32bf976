"""A client that is stopped in the middle of a request does not keep what it holds."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, final

import psycopg
import pytest
import trio
from trio.testing import MockClock

from tests.postgres.journal import number
from tests.postgres_server import Server
from tests.processes import crew as crews
from tests.processes.crew import open_crew, until
from trioqueue import Job, LeasePolicy, QueueOptions, RetryPolicy, Store, open_store
from trioqueue.model.message import ExpiredMessage
from trioqueue.services import ReclaimService

QUEUE: Final = "jobs"
OPTIONS: Final = QueueOptions(
    lease=LeasePolicy(base_seconds=1), retry=RetryPolicy.fixed(0)
)
START: Final = datetime(2000, 1, 1, tzinfo=UTC)
WAITS_WHERE: Final = {
    "unsent": "ClientRead",
    "cut": "ClientRead",
    "unread": "ClientWrite",
}


@pytest.fixture
def schema(postgres: Server) -> Iterator[str]:
    with postgres.schema("stopped") as schema:
        yield schema


@pytest.fixture
def own_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crews, "PROGRAM", Path(__file__).with_name("program.py"))


async def claim_one(store: Store) -> Job:
    await store.create_queue(QUEUE, OPTIONS)
    await store.post(QUEUE, 1)
    (job,) = await store.claim(QUEUE)
    return job


@pytest.mark.usefixtures("own_program")
@pytest.mark.parametrize("how", WAITS_WHERE)
async def test_what_a_client_stopped_inside_a_request_holds_is_taken_back(
    postgres: Server, schema: str, how: str, tmp_path: Path
) -> None:
    name = f"halt {schema}"
    with open_crew(tmp_path) as crew:
        async with open_store(postgres.store_url(schema)) as store:
            job = await claim_one(store)
            conninfo = postgres.conninfo(application_name=name)
            halted = crew.start("halt", conninfo, schema, str(job.row_id), how)
            waits = f"""
                SELECT count(*) FROM pg_stat_activity
                WHERE application_name = '{name}' AND state = 'active'
                  AND wait_event = '{WAITS_WHERE[how]}' AND backend_xid IS NOT NULL
            """
            await until(lambda: number(postgres, schema, waits) > 0)
            async with trio.open_nursery() as nursery:
                await nursery.start(ReclaimService(store).run)
                ready = "SELECT count(*) FROM tq_messages WHERE state = 1"
                await until(lambda: number(postgres, schema, ready) > 0)
                nursery.cancel_scope.cancel()
            (again,) = await store.claim(QUEUE)
            assert (again.message_id, again.attempt) == (job.message_id, 2)
            halted.send(signal.SIGCONT)
            assert await halted.said() == ["lost"]
            await store.complete(again)


@contextmanager
def in_transaction(server: Server, *statements: str) -> Iterator[psycopg.Connection]:
    """Give a connection with a transaction of its own that has a number."""
    connection = psycopg.connect(server.conninfo(), autocommit=True)
    try:
        for statement in ("BEGIN", "SELECT txid_current()", *statements):
            connection.execute(statement.encode())
        yield connection
    finally:
        connection.close()


def begin_request(connection: psycopg.Connection, statement: str) -> None:
    """Send a statement with the pipeline's end still to come."""
    pgconn = connection.pgconn
    pgconn.enter_pipeline_mode()
    pgconn.send_query_params(statement.encode(), None)
    pgconn.send_flush_request()
    while pgconn.flush():
        pass


def hold(schema: str, row_id: int) -> str:
    return f'SELECT 1 FROM "{schema}".tq_messages WHERE id = {row_id} FOR UPDATE'


def expired(job: Job) -> ExpiredMessage:
    return ExpiredMessage(QUEUE, job.message_id, 0, job.lease.expires_at, job.row_id)


async def test_only_who_is_silent_inside_a_request_is_ended(
    postgres: Server, schema: str
) -> None:
    async with open_store(postgres.store_url(schema)) as store:
        first = await claim_one(store)
        for place in range(4):
            await store.post(QUEUE, place)
        jobs = [first, *await store.claim(QUEUE, limit=4)]
        a, b, c, d, e = (hold(schema, job.row_id) for job in jobs)
        with ExitStack() as stack:

            def enter(*statements: str) -> psycopg.Connection:
                return stack.enter_context(in_transaction(postgres, *statements))

            table = f'"{schema}".tq_messages'
            at_work, idle, loading = enter(a), enter(b), enter(c)
            at_work.pgconn.send_query(b"SELECT pg_sleep(60)")
            loading.pgconn.send_query(f"COPY {table} FROM STDIN".encode())
            elsewhere = enter(f'CREATE TABLE "{schema}".own (id int)')
            begin_request(elsewhere, f'LOCK "{schema}".own IN ROW EXCLUSIVE MODE')
            # Nobody waits for what it holds, so that it is given more time.
            unwanted = enter()
            begin_request(unwanted, d)
            stopped = enter()
            begin_request(stopped, e)

            wanted = [expired(job) for place, job in enumerate(jobs) if place != 3]
            pids = {c.info.backend_pid: c for c in (idle, loading, elsewhere)}
            pids |= {c.info.backend_pid: c for c in (at_work, unwanted, stopped)}
            with trio.fail_after(crews.PATIENCE_SECONDS):
                while not (seen := await store.end_stopped_clients([], wanted)):  # noqa: ASYNC110  nothing sets an event
                    await trio.sleep(0.1)
            ((name, ended),) = seen.items()
            assert name.startswith(f"{stopped.info.backend_pid}/")
            assert not ended
            # Who was seen with another request has not been silent since.
            other = name.replace("/", "/1")
            assert await store.end_stopped_clients([other], wanted) == {name: False}
            assert await store.end_stopped_clients([name], wanted) == {name: True}
            alive = f"""
                SELECT count(*) FROM pg_stat_activity
                WHERE pid IN ({", ".join(map(str, pids))})
            """
            await until(lambda: number(postgres, schema, alive) == len(pids) - 1)
            at_work.cancel_safe()
            assert await store.end_stopped_clients([name], wanted) == {}


async def test_what_nobody_asks_for_is_freed_once_no_client_would_wait_any_longer(
    postgres: Server, schema: str
) -> None:
    async with open_store(postgres.store_url(schema)) as store:
        await store.create_queue(QUEUE)
        await store.post(QUEUE, 1)
        row_id = number(postgres, schema, "SELECT id FROM tq_messages")
        hasty = postgres.store_url(schema, statement_seconds="1")
        with in_transaction(postgres) as stopped:
            begin_request(stopped, hold(schema, row_id))
            locked = "SELECT count(*) FROM tq_messages WHERE xmax <> 0"
            await until(lambda: number(postgres, schema, locked) > 0)
            assert await store.claim(QUEUE) == []
            async with open_store(hasty) as other, trio.open_nursery() as nursery:
                await nursery.start(ReclaimService(other, interval_seconds=1).run)
                with trio.fail_after(crews.PATIENCE_SECONDS):
                    job = await store.claim_wait(QUEUE)
                nursery.cancel_scope.cancel()
        await store.complete(job[0])


@final
class Beset:
    """A backend with a client that falls silent, and perhaps holds what expires then.

    Args:
        since: When that is, in seconds.
        holds: Whether it holds something.
    """

    def __init__(self, since: float, *, holds: bool) -> None:
        self._since = since
        self._holds = holds
        self._ended = False
        self.reclaimed_at = -1.0
        self.looks: list[tuple[float, list[str], int]] = []

    async def find_expired_messages(
        self, queue: str | None = None, limit: int = 1000
    ) -> list[ExpiredMessage]:
        await trio.lowlevel.checkpoint()
        assert (queue, limit) == (None, 500)
        late = self._holds and trio.current_time() >= self._since
        return [ExpiredMessage(QUEUE, "m", 1, START, 1)] if late else []

    async def reclaim_expired_message(
        self, queue: str | None, message: ExpiredMessage
    ) -> bool:
        raise NotImplementedError

    async def reclaim_expired_messages(self, messages: Sequence[ExpiredMessage]) -> int:
        await trio.lowlevel.checkpoint()
        if not self._ended:
            return 0
        self._holds = False
        self.reclaimed_at = trio.current_time()
        return len(messages)

    async def next_expiry(self) -> datetime | None:
        await trio.lowlevel.checkpoint()
        return START + timedelta(seconds=self._since) if self._holds else None

    async def end_stopped_clients(
        self, seen: Sequence[str], messages: Sequence[ExpiredMessage]
    ) -> dict[str, bool]:
        await trio.lowlevel.checkpoint()
        self.looks.append((trio.current_time(), list(seen), len(messages)))
        if self._ended or trio.current_time() < self._since:
            return {}
        self._ended = seen == ["client"]
        return {"client": self._ended}


async def run_for(seconds: float, backend: Beset) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(ReclaimService(backend, interval_seconds=5).run)
        await trio.sleep(seconds)
        nursery.cancel_scope.cancel()


async def test_a_client_is_ended_when_it_is_silent_a_second_after_it_was_suspected(
    autojump_clock: MockClock,
) -> None:
    backend = Beset(0, holds=False)
    await run_for(7, backend)
    assert backend.looks == [(0, [], 0), (1, ["client"], 0), (6, [], 0)]


async def test_the_service_looks_for_stopped_clients_at_once_when_messages_are_held(
    autojump_clock: MockClock,
) -> None:
    backend = Beset(2, holds=True)
    await run_for(4, backend)
    assert backend.looks[:2] == [(0, [], 0), (2, [], 1)]
    (third,) = backend.looks[2:]
    assert third[1:] == (["client"], 1)
    assert 3 <= third[0] < 3.3
    assert third[0] < backend.reclaimed_at < third[0] + 0.3


async def test_a_service_whose_store_sees_every_change_looks_for_nobody(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store("sqlite://:memory:") as store:
        monkeypatch.setattr(Store, "end_stopped_clients", None)
        service = ReclaimService(store)
        async with trio.open_nursery() as nursery:
            await nursery.start(service.run)
            await trio.sleep(60)
            nursery.cancel_scope.cancel()
        assert service.statistics().iterations > 0
