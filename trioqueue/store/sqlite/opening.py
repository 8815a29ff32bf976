"""Opening a store's database on SQLite."""

from __future__ import annotations

import os
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal

import trio

from trioqueue._background import open_background
from trioqueue.clock import choose_clock
from trioqueue.metrics.meters import Meters
from trioqueue.store.database import (
    Chance,
    Database,
    context_maker,
    local_announcer,
)
from trioqueue.store.sqlite.connection import (
    MEMORY,
    Connection,
    open_connection,
    prepare_database,
)
from trioqueue.store.sqlite.inline import InlineExecutor
from trioqueue.store.sqlite.threaded import ThreadedExecutor
from trioqueue.store.sqlite.transactions import SqliteTransactions
from trioqueue.store.sqlite.watcher import Watcher
from trioqueue.store.wakeups import join_hub, leave_hub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from trioqueue.clock import Clock
    from trioqueue.store.executor import Executor
    from trioqueue.store.wakeups import WakeUps


@asynccontextmanager
async def open_sqlite(
    path: str,
    *,
    clock: Clock | None,
    durability: Literal["full", "relaxed"],
    migrate: bool,
) -> AsyncIterator[Database]:
    """Open a database file, or one in memory, for the length of a block.

    Raises:
        StoreUnavailableError: It cannot be opened; the text says why.
        SchemaVersionError: It was made by a newer trioqueue, or must be migrated.
    """
    clock = choose_clock() if clock is None else clock
    virtual = clock.is_virtual

    def pause(seconds: float) -> None:
        """Wait, in the thread, while another process holds the file."""
        if not virtual:
            trio.from_thread.check_cancelled()
        time.sleep(seconds)

    def connect() -> tuple[Connection, str | None]:
        connection = _connect(path, durability, migrate=migrate, pause=pause)
        return connection, None if path == MEMORY else os.path.realpath(path)

    if virtual:
        await trio.lowlevel.checkpoint()
        connection, key = connect()
    else:
        connection, key = await trio.to_thread.run_sync(connect)
    hub = join_hub(key)
    try:
        chance = Chance.of_run(_last_ticket(connection), virtual=virtual)
        store_id = _store_id(connection)
        maker = context_maker(clock, chance)
        meters = Meters()
        meters.file = key
        executor: Executor
        if virtual:
            announce = local_announcer(hub)
            executor = InlineExecutor(connection, maker, announce, meters, hub.foreign)
        else:
            announce = local_announcer(hub) if path == MEMORY else hub.announce
            executor = ThreadedExecutor(
                connection, durability, maker, announce, meters, foreign=hub.foreign
            )
        transactions = SqliteTransactions(
            path,
            durability,
            maker,
            announce=announce,
            meters=meters,
            foreign=hub.foreign,
            store_id=store_id,
            virtual=virtual,
        )
        database = Database(executor, hub, clock, chance, meters, transactions)
        try:
            async with _watching(path, durability, hub, meters, virtual=virtual):
                yield database
        finally:
            await executor.aclose()
            hub.announce_closing()
    finally:
        leave_hub(key)


@asynccontextmanager
async def _watching(
    path: str,
    durability: Literal["full", "relaxed"],
    hub: WakeUps,
    meters: Meters,
    *,
    virtual: bool,
) -> AsyncIterator[None]:
    """Notice, for the length of a block, what others than the store commit."""
    if path == MEMORY:
        yield
        return
    async with open_background("the store is closing") as nursery:
        if virtual:
            await nursery.start(hub.foreign.run, hub.announce)
            yield
            return
        eyes = open_connection(path, durability, reader=True)
        try:
            await nursery.start(Watcher(eyes, hub, meters).run)
            yield
        finally:
            eyes.close()


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


def _store_id(connection: Connection) -> str:
    """Return what tells the database from all others."""
    rows = connection.statement("SELECT value FROM tq_meta WHERE key = 'store_id'")
    return rows[0][0] if rows else ""
