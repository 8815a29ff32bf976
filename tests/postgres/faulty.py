"""What the tests of faults share: work under load, a proxy, a hand that kills."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final, final
from urllib.parse import urlsplit

import attrs
import pytest
import trio
from psycopg import sql

from tests.postgres_server import PASSWORD, Server
from trioqueue import (
    Job,
    LeasePolicy,
    MessageState,
    QueueOptions,
    RetentionPolicy,
    RetryPolicy,
    Store,
    StoreUnavailableError,
    Worker,
    open_services,
)
from trioqueue.store.postgres.executor import PostgresExecutor
from trioqueue.store.postgres.pool import Pool

QUEUE: Final = "jobs"
OPTIONS: Final = QueueOptions(
    # What is claimed by a commit whose answer was lost waits for its lease to end.
    lease=LeasePolicy(2.0),
    max_attempts=-1,
    retry=RetryPolicy.fixed(0),
    retention=RetentionPolicy.keep_forever(),
)
RETURN_SECONDS: Final = 40.0
"""How long it may take until all goes on after the server has come back.

The target is 5 s; the rest is for a machine that is busy.
"""

_ACTIVITY: Final = "FROM pg_stat_activity WHERE application_name = %s"


def make_impatient(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let callers wait no longer for a connection."""
    lend: Any = Pool.lend
    defaults = {"patience_seconds": seconds}
    monkeypatch.setattr(lend.__wrapped__, "__kwdefaults__", defaults)


def terminate(server: Server, application: str, *, doing: str = "%") -> int:
    """Kill the server's processes of a store; return how many there were.

    Only those whose last statement is like a pattern.
    """
    with server.connect() as connection:
        killed = connection.execute(
            f"SELECT pg_terminate_backend(pid) {_ACTIVITY} AND query LIKE %s".encode(),
            [application, doing],
        )
        return killed.rowcount


def states(server: Server, application: str) -> list[str]:
    """List what the server's processes of a store do, sorted."""
    with server.connect() as connection:
        rows = connection.execute(
            f"SELECT state {_ACTIVITY} ORDER BY state".encode(), [application]
        )
        return [str(state) for (state,) in rows]


async def until(true: Callable[[], bool], seconds: float = RETURN_SECONDS) -> None:
    """Sleep until something is so."""
    with trio.fail_after(seconds):
        while not true():  # noqa: ASYNC110  it happens in the server
            await trio.sleep(0.01)


async def nobody_left(server: Server, application: str) -> None:
    """The server has no process of a store any more, or will soon have none."""
    await until(lambda: not states(server, application), 10)


async def post_surely(store: Store, message_id: str) -> None:
    """Post, again and again, until the message is known to be stored."""
    while True:
        try:
            await store.post(QUEUE, 1, message_id=message_id)
        except StoreUnavailableError:
            await trio.sleep(0.02)
        else:
            return


@final
class Load:
    """A poster and a worker, and what became of their messages."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.posted: list[str] = []
        self.runs: Counter[tuple[str, int]] = Counter()

    @property
    def handled(self) -> int:
        """How many runs of handlers there were."""
        return self.runs.total()

    async def handle(self, job: Job) -> None:
        self.runs[job.message_id, job.attempt] += 1
        await trio.lowlevel.checkpoint()

    async def _post(self) -> None:
        while True:
            name = f"m{len(self.posted)}"
            await post_surely(self.store, name)
            self.posted.append(name)
            await trio.sleep(0.002)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Post and work; once the block has ended, work all off, and check."""
        async with open_services(self.store), trio.open_nursery() as nursery:
            worker = Worker(self.store, {QUEUE: self.handle})
            await nursery.start(worker.run)
            async with trio.open_nursery() as posters:
                posters.start_soon(self._post)
                yield
                posters.cancel_scope.cancel()
            with trio.fail_after(RETURN_SECONDS):
                while await self._unfinished():  # noqa: ASYNC110  the store says it
                    await trio.sleep(0.05)
            await worker.stop_gracefully()
        await self._check()

    async def goes_on(self) -> None:
        """Sleep until a message posted after now has been handled."""
        posted, handled = len(self.posted), self.handled
        await until(
            lambda: len(self.posted) > posted + 2 and self.handled > handled + 2
        )

    async def _unfinished(self) -> int:
        counts = (await self.store.queue_state(QUEUE)).counts
        done = counts[MessageState.COMPLETED]
        return sum(counts.values()) - done

    async def _check(self) -> None:
        for name in self.posted:
            message = await self.store.get_message(QUEUE, name)
            assert message.state is MessageState.COMPLETED
            outcomes = [record.outcome for record in message.attempts]
            assert outcomes.count("completed") == 1, outcomes
            assert self.runs[name, message.attempt] == 1
        assert max(self.runs.values()) == 1, "an attempt was run twice"


@final
@attrs.define(eq=False)
class _Line:
    """One connection through the proxy."""

    scope: trio.CancelScope
    words: list[bytes] = attrs.field(factory=list)
    cut: bool = False
    listens: bool = False
    rest: bytes = b""

    @contextmanager
    def whole(self) -> Iterator[None]:
        """End both directions when one ends."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            yield
        self.scope.cancel()


@final
class Proxy:
    """A way to the server that can be blocked and cut."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._target = urlsplit(server.url)
        self._clear = trio.Event()
        self._clear.set()
        self.cut_at: tuple[bytes, ...] = ()
        """Cut the connection that has said all these in turn, once that is answered."""
        self.cuts = 0
        self.deaf = False
        """Swallow notifications, and let everything else through."""
        self.cuts_ears = False
        """Cut the connection that a notification is to go through, in its place."""
        self.heard = self.unheard = 0
        """How many notifications went through, and how many did not."""
        self.port = 0

    def url(self, schema: str, **options: str) -> str:
        """Return the URL of a store behind the proxy."""
        plain = self._server.store_url(schema, **options)
        return plain.replace(f":{self._target.port}/", f":{self.port}/")

    def block(self) -> None:
        """Let nothing through."""
        self._clear = trio.Event()

    def unblock(self) -> None:
        """Let all through again, and what was held up."""
        self._clear.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            self.port = listener.socket.getsockname()[1]
            await nursery.start(trio.serve_listeners, self._serve, [listener])
            yield self
            nursery.cancel_scope.cancel()

    async def _serve(self, client: trio.SocketStream) -> None:
        host, port = self._target.hostname, self._target.port
        assert host is not None
        assert port is not None
        async with client:
            try:
                server = await trio.open_tcp_stream(host, port)
            except OSError:
                return  # it is not there, so the client is sent away
            await self._connect(client, server)

    async def _connect(
        self, client: trio.SocketStream, server: trio.SocketStream
    ) -> None:
        async with server, trio.open_nursery() as nursery:
            line = _Line(nursery.cancel_scope)
            nursery.start_soon(self._carry_forth, client, server, line)
            nursery.start_soon(self._carry_back, server, client, line)

    async def _carry_forth(
        self, client: trio.SocketStream, server: trio.SocketStream, line: _Line
    ) -> None:
        with line.whole():
            while data := await client.receive_some(65536):
                await self._clear.wait()
                line.listens = line.listens or b"LISTEN" in data
                if self._is_said(line.words, data):
                    self.cut_at = ()
                    self.cuts += 1
                    line.cut = True
                await server.send_all(data)

    async def _carry_back(
        self, server: trio.SocketStream, client: trio.SocketStream, line: _Line
    ) -> None:
        with line.whole():
            while data := await server.receive_some(65536):
                await self._clear.wait()
                if line.listens:
                    data = self._sift(line, data)
                if line.cut:
                    break
                await client.send_all(data)

    def _sift(self, line: _Line, data: bytes) -> bytes:
        """Take notifications out of what the server says; it comes in messages."""
        line.rest += data
        passed = b""
        while len(line.rest) > 4:
            size = 1 + int.from_bytes(line.rest[1:5])
            if len(line.rest) < size:
                break
            message, line.rest = line.rest[:size], line.rest[size:]
            if message[:1] != b"A":
                passed += message
            elif self.deaf or self.cuts_ears:
                self.unheard += 1
                line.cut = line.cut or self.cuts_ears
            else:
                self.heard += 1
                passed += message
        return passed

    def _is_said(self, words: list[bytes], data: bytes) -> bool:
        """Add to the words that a connection has said; tell whether that is all."""
        for word in self.cut_at[len(words) :]:
            if word not in data:
                return False
            words.append(word)
        return bool(self.cut_at) and tuple(words) == self.cut_at


def executor_of(store: Store) -> PostgresExecutor:
    """Return what runs the operations of a store."""
    executor = store._executor
    assert isinstance(executor, PostgresExecutor)
    return executor


def chain(error: BaseException | None) -> list[BaseException]:
    """List an error with all its causes and contexts."""
    if error is None:
        return []
    return [error, *chain(error.__cause__), *chain(error.__context__)]


async def quickly(call: Callable[[], Awaitable[Any]], seconds: float) -> Any:
    """Await something that must not hang."""
    assert seconds < math.inf
    with trio.fail_after(seconds):
        return await call()


@contextmanager
def made_role(server: Server, schema: str) -> Iterator[str]:
    """Make a role with the usual password that owns a schema; gone afterwards."""
    role = sql.Identifier(schema)
    make = "CREATE ROLE {} LOGIN PASSWORD {}; CREATE SCHEMA {} AUTHORIZATION {}"
    with server.connect() as connection:
        connection.execute(
            sql.SQL(make).format(role, sql.Literal(PASSWORD), role, role)
        )
    try:
        yield schema
    finally:
        with server.connect() as connection:
            connection.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(role))
            connection.execute(sql.SQL("DROP ROLE {}").format(role))
