"""Opening a store's database on SQLite."""

from __future__ import annotations

import os
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal

import trio

from trioqueue._background import open_background
from trioqueue.clock import choose_clock
from trioqueue.store.database import Chance, Database, context_maker
from trioqueue.store.sqlite.connection import (
    MEMORY,
    Connection,
    open_connection,
    prepare_database,
)
from trioqueue.store.sqlite.inline import InlineExecutor
from trioqueue.store.sqlite.threaded import ThreadedExecutor
from trioqueue.store.sqlite.watcher import Watcher
from trioqueue.store.wakeups import join_hub, leave_hub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from trioqueue.clock import Clock
    from trioqueue.store.executor import Executor


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
        maker = context_maker(clock, chance)
        executor: Executor
        if virtual:
            executor = InlineExecutor(connection, maker, hub.announce)
        else:
            executor = ThreadedExecutor(connection, durability, maker, hub.announce)
        database = Database(executor, hub, clock, chance)
        try:
            if executor.sees_every_change:
                yield database
            else:
                eyes = open_connection(path, durability, reader=True)
                try:
                    async with open_background("the store is closing") as nursery:
                        await nursery.start(Watcher(eyes, hub).run)
                        yield database
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
