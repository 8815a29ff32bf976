"""The store: the public face of a durable queue, and how it is opened."""

from __future__ import annotations

import os
import random
import socket
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Literal, final

import trio

from trioqueue._background import open_background
from trioqueue.clock import choose_clock
from trioqueue.errors import ValidationError
from trioqueue.store.calendar_methods import CalendarMethods
from trioqueue.store.dead_letter_methods import DeadLetterMethods
from trioqueue.store.job_methods import JobMethods
from trioqueue.store.message_methods import MessageMethods
from trioqueue.store.operations.core import Context
from trioqueue.store.queue_methods import QueueMethods
from trioqueue.store.schedule_methods import ScheduleMethods
from trioqueue.store.service_methods import ServiceMethods
from trioqueue.store.sqlite.connection import (
    MEMORY,
    Connection,
    open_connection,
    prepare_database,
)
from trioqueue.store.sqlite.inline import InlineExecutor
from trioqueue.store.sqlite.threaded import ThreadedExecutor
from trioqueue.store.sqlite.watcher import Watcher
from trioqueue.store.url import parse_url
from trioqueue.store.wakeups import join_hub, leave_hub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from trioqueue.clock import Clock
    from trioqueue.store.executor import Executor

_TOKEN_BITS: Final = 63
_opened: Final[trio.lowlevel.RunVar[int]] = trio.lowlevel.RunVar("trioqueue_opened")


@final
class Store(
    QueueMethods,
    MessageMethods,
    JobMethods,
    DeadLetterMethods,
    ScheduleMethods,
    CalendarMethods,
    ServiceMethods,
):
    """A durable queue in one database; made by `open_store`.

    Every async method is a checkpoint.  Cancellation leaves no half-done work: a call
    that raises ``Cancelled`` has done nothing.  Only `requeue_all` and
    `purge_dead_letters` work in batches, and batches already done stay done.
    """


@asynccontextmanager
async def open_store(
    url: str,
    *,
    clock: Clock | None = None,
    durability: Literal["full", "relaxed"] = "full",
    migrate: bool = True,
) -> AsyncIterator[Store]:
    """Open a store for the length of an ``async with`` block.

    Args:
        url: ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or
            ``sqlite://:memory:``.
        clock: Where time comes from (default: the wall clock, or, when the Trio run
            uses a ``MockClock``, virtual time).
        durability: ``"full"``: what returned survives a power cut.  ``"relaxed"``: the
            last moments before a power cut may be lost, never anything at the crash of
            a process; faster where disks are slow.
        migrate: Create or upgrade the tables if need be.

    Raises:
        ValidationError: The URL or an option is wrong.
        StoreUnavailableError: The database cannot be opened; the text says why.
        SchemaVersionError: It was made by a newer trioqueue, or must be migrated.
    """
    address = parse_url(url)
    if durability not in ("full", "relaxed"):
        raise ValidationError.of(
            "durability", f"must be 'full' or 'relaxed', got {durability!r}"
        )
    clock = choose_clock() if clock is None else clock
    virtual = clock.is_virtual

    def pause(seconds: float) -> None:
        """Wait, in the thread, while another process holds the file."""
        if not virtual:
            trio.from_thread.check_cancelled()
        time.sleep(seconds)

    def connect() -> tuple[Connection, str | None]:
        connection = _connect(address.path, durability, migrate=migrate, pause=pause)
        key = None if address.path == MEMORY else os.path.realpath(address.path)
        return connection, key

    if virtual:
        await trio.lowlevel.checkpoint()
        connection, key = connect()
    else:
        connection, key = await trio.to_thread.run_sync(connect)
    hub = join_hub(key)
    try:
        # In virtual time a run repeats exactly, ids and tokens included; all the same
        # its stores must differ, also two of them on one file.
        seed = f"{_last_ticket(connection)} {_place_in_run()}" if virtual else None
        source = random.Random(seed)
        salt = b"" if virtual else os.urandom(16)
        maker = _context_maker(clock, salt, source)
        executor: Executor
        if virtual:
            executor = InlineExecutor(connection, maker, hub.announce)
        else:
            executor = ThreadedExecutor(connection, durability, maker, hub.announce)
        store = Store(
            url=address.shown,
            clock=clock,
            executor=executor,
            hub=hub,
            source=source,
            salt=salt,
            worker_id="worker" if virtual else _worker_id(source),
        )
        try:
            if executor.sees_every_change:
                yield store
            else:
                eyes = open_connection(address.path, durability, reader=True)
                try:
                    async with open_background("the store is closing") as nursery:
                        await nursery.start(Watcher(eyes, hub).run)
                        yield store
                finally:
                    eyes.close()
        finally:
            await executor.aclose()
            hub.announce_closing()
    finally:
        leave_hub(key)


def _connect(
    path: str,
    durability: Literal["full", "relaxed"],
    *,
    migrate: bool,
    pause: Callable[[float], None],
) -> Connection:
    connection = open_connection(path, durability)
    try:
        prepare_database(connection, migrate=migrate, pause=pause)
    except BaseException:
        connection.close()
        raise
    return connection


def _last_ticket(connection: Connection) -> int:
    """Return what sets this run apart from earlier ones on the same database."""
    rows = connection.statement("SELECT value FROM tq_counters WHERE name = 'ticket'")
    ticket: int = rows[0][0]
    return ticket


def _place_in_run() -> int:
    """Return how many stores this Trio run has opened before."""
    place = _opened.get(0)
    _opened.set(place + 1)
    return place


def _context_maker(
    clock: Clock, salt: bytes, source: random.Random
) -> Callable[[], Context]:
    def token(_: int) -> int:
        return source.getrandbits(_TOKEN_BITS)

    def make() -> Context:
        return Context(clock.now_us(), token, salt)

    return make


def _worker_id(source: random.Random) -> str:
    return f"{socket.gethostname()[:200]}-{os.getpid()}-{source.getrandbits(24):06x}"
