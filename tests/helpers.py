"""Worlds to test a store in: which database, and how time passes.

A test of the contract is an async function that takes a `World`::

    @contract
    async def test_a_message_comes_back(world: World) -> None:
        await world.make_queue()
        ...

It runs once in each of `WORLDS`, with a fresh database.  Nothing here waits for real
time except `World.sleep`, which is for what happens by itself.
"""

from __future__ import annotations

import functools
import sqlite3
import urllib.parse
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, closing
from typing import Any, Concatenate, Final, ParamSpec, final

import attrs
import psycopg
import pytest
import trio
import trio.testing

from trioqueue import (
    Clock,
    Job,
    LeasePolicy,
    Message,
    MessageNotFoundError,
    MessageState,
    Queue,
    QueueOptions,
    RetryPolicy,
    Store,
    ValidationError,
    WallClock,
    open_store,
)

P = ParamSpec("P")

QUEUE: Final = "jobs"
AT_ONCE: Final = RetryPolicy.fixed(0)
REAL_SECONDS: Final = 0.04
"""How long a second of `World.sleep` takes where time is real."""
PATIENCE_SECONDS: Final = 30.0


@final
class SteppedClock(Clock):
    """The wall clock, which a test can put forward."""

    def __init__(self) -> None:
        self._wall = WallClock()
        self._ahead_us = 0

    def now_us(self) -> int:
        return self._wall.now_us() + self._ahead_us

    @property
    def is_virtual(self) -> bool:
        return False

    def advance(self, seconds: float) -> None:
        self._ahead_us += round(seconds * 1_000_000)


@final
@attrs.frozen
class Kind:
    """A kind of database.

    Attributes:
        name: What ids of tests call it.
        is_file: It is a SQLite file.
        is_shared: Another process can open the same data, now and later.
    """

    name: str
    is_file: bool = False
    is_shared: bool = False

    @property
    def is_postgres(self) -> bool:
        return self is POSTGRES


@final
@attrs.frozen
class Place:
    """A kind of database, and how time passes there."""

    kind: Kind
    virtual: bool

    @property
    def name(self) -> str:
        return f"{self.kind.name}-{'virtual' if self.virtual else 'real'}"


FILE: Final = Kind("file", is_file=True, is_shared=True)
MEMORY: Final = Kind("memory")
POSTGRES: Final = Kind("postgres", is_shared=True)

POSTGRES_WORLDS: Final = True
"""Whether `open_store` can open PostgreSQL already."""

KINDS: Final = (FILE, MEMORY, POSTGRES) if POSTGRES_WORLDS else (FILE, MEMORY)
WORLDS: Final = [Place(kind, virtual) for kind in KINDS for virtual in (False, True)]


def only_where(fits: Callable[[Place], bool]) -> pytest.MarkDecorator:
    """Run a test of the contract in some of the worlds."""
    places = [place for place in WORLDS if fits(place)]
    return pytest.mark.parametrize(
        "world", places, ids=lambda place: place.name, indirect=True
    )


on_files: Final = only_where(lambda place: place.kind.is_file)
"""Run a test of the contract only where the database is a file."""

on_shared: Final = only_where(lambda place: place.kind.is_shared)
"""Run a test of the contract only where a second store can open the same data."""


@final
class World:
    """One fresh database, the store on it, and time."""

    store: Store

    def __init__(self, place: Place, url: str) -> None:
        """Take the URL of a database that nothing has used."""
        self.kind = place.kind
        self.virtual = place.virtual
        self.url = url
        self.passed = False
        self._clock: SteppedClock | None = None

    def run(self, test: Callable[[], Awaitable[None]]) -> None:
        """Open the store in a Trio run of its own and call the test."""
        clock = None
        if self.virtual:
            clock = trio.testing.MockClock(autojump_threshold=0)
        else:
            self._clock = SteppedClock()

        async def main() -> None:
            # In virtual time a test that hangs leaps to the end of its patience.
            with trio.fail_after(1e12 if self.virtual else PATIENCE_SECONDS):
                async with self.open_another() as self.store:
                    await test()

        trio.run(main, clock=clock, strict_exception_groups=True)
        self.passed = True

    def open_another(self) -> AbstractAsyncContextManager[Store]:
        """Open a store at the same URL: `on_shared`, on the same data."""
        return open_store(self.url, clock=self._clock)

    async def advance(self, seconds: float) -> None:
        """Let the store's time pass, without waiting for it."""
        if self._clock is None:
            await trio.sleep(seconds)
        else:
            self._clock.advance(seconds)
            await trio.lowlevel.checkpoint()

    def span(self, seconds: float) -> float:
        """Return a span that can be waited out: shorter where time is real."""
        return seconds if self.virtual else seconds * REAL_SECONDS

    async def sleep(self, seconds: float) -> None:
        """Sleep for `span(seconds)`, for what happens by itself meanwhile."""
        await trio.sleep(self.span(seconds))

    async def make_queue(self, name: str = QUEUE, **options: Any) -> Queue:
        """Create a queue; a failed message is ready again at once."""
        options.setdefault("retry", AT_ONCE)
        return await self.store.create_queue(name, QueueOptions(**options))

    async def claim(
        self,
        queue: str = QUEUE,
        *,
        worker_id: str | None = None,
        lease: LeasePolicy | None = None,
    ) -> Job:
        """Claim the one message that must be ready."""
        (job,) = await self.store.claim(queue, worker_id=worker_id, lease=lease)
        return job

    async def running(self, queue: str = QUEUE, **options: Any) -> Job:
        """Post a message and claim it."""
        message = await self.store.post(queue, "work", **options)
        job = await self.claim(queue)
        assert job.message_id == message.message_id
        return job

    async def dead(self, message_id: str, queue: str = QUEUE) -> Job:
        """Make a dead letter, reason ``discarded``."""
        job = await self.running(queue, message_id=message_id)
        await self.store.fail(job, "no good", final=True)
        return job

    async def reclaim(self) -> int:
        """End what has expired, as the reclaim service does."""
        found = await self.store.find_expired_messages()
        return await self.store.reclaim_expired_messages(found)

    async def state(self, message_id: str, queue: str = QUEUE) -> MessageState | None:
        """Return a message's state, None if it is gone; the counts must agree."""
        counts = (await self.store.queue_state(queue)).counts
        try:
            message = await self.store.get_message(queue, message_id)
        except MessageNotFoundError:
            return None
        assert counts[message.state] > 0
        return message.state

    async def counts(self, queue: str = QUEUE) -> dict[str, int]:
        """Return how many messages are in each state that has any."""
        counts = (await self.store.queue_state(queue)).counts
        assert set(counts) == set(MessageState)
        return {state.name: count for state, count in counts.items() if count}

    def write_behind(self, statement: str, *parameters: Any) -> None:
        """Change the database behind the store's back; parameters are written `?`."""
        if self.kind.is_postgres:
            changed = _write_to_postgres(self.url, statement, parameters)
        else:
            assert self.kind.is_file
            with _opened_file(self.url) as connection, connection:
                changed = connection.execute(statement, parameters).rowcount
        assert changed > 0


def assert_sound(url: str) -> None:
    """Let SQLite check its file; PostgreSQL has nothing of the kind to ask."""
    if url.startswith("sqlite:"):
        with _opened_file(url) as connection:
            answer = connection.execute("PRAGMA integrity_check").fetchall()
        assert answer == [("ok",)]


def _opened_file(url: str) -> closing[sqlite3.Connection]:
    path = urllib.parse.unquote(url.removeprefix("sqlite:///"))
    return closing(sqlite3.connect(path, timeout=10))


def _write_to_postgres(url: str, statement: str, parameters: Iterable[Any]) -> int:
    parts = urllib.parse.urlsplit(url)
    options = dict(urllib.parse.parse_qsl(parts.query))
    schema = options.pop("schema")
    plain = parts._replace(query=urllib.parse.urlencode(options)).geturl()
    query = statement.replace("%", "%%").replace("?", "%s").encode()
    with psycopg.connect(plain, options=f"-c search_path={schema}") as connection:
        return connection.execute(query, tuple(parameters)).rowcount


def contract(
    test: Callable[Concatenate[World, P], Awaitable[None]],
) -> Callable[..., None]:
    """Run an async test inside its world."""

    @functools.wraps(test)
    def run(world: World, *args: P.args, **kwargs: P.kwargs) -> None:
        world.run(functools.partial(test, world, *args, **kwargs))

    return run


def ids(things: Iterable[Job | Message]) -> list[str]:
    """List message ids, in order."""
    return [thing.message_id for thing in things]


def fields(raised: pytest.ExceptionInfo[ValidationError]) -> list[str]:
    """List the fields that a validation error names, sorted."""
    return sorted(issue.field for issue in raised.value.issues)
