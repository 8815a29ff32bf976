"""The store: the public face of a durable queue, and how it is opened."""

from __future__ import annotations

import os
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal, final

from trioqueue.errors import ValidationError
from trioqueue.store.bulk_methods import BulkMethods
from trioqueue.store.calendar_methods import CalendarMethods
from trioqueue.store.dead_letter_methods import DeadLetterMethods
from trioqueue.store.job_methods import JobMethods
from trioqueue.store.message_methods import MessageMethods
from trioqueue.store.queue_methods import QueueMethods
from trioqueue.store.schedule_methods import ScheduleMethods
from trioqueue.store.schema_methods import SchemaMethods
from trioqueue.store.service_methods import ServiceMethods
from trioqueue.store.transaction_methods import TransactionMethods
from trioqueue.store.url import parse_url
from trioqueue.store.worker_methods import WorkerMethods

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from trioqueue.clock import Clock
    from trioqueue.store.database import Database
    from trioqueue.store.url import StoreURL


@final
class Store(
    QueueMethods,
    MessageMethods,
    JobMethods,
    DeadLetterMethods,
    ScheduleMethods,
    CalendarMethods,
    SchemaMethods,
    ServiceMethods,
    WorkerMethods,
    BulkMethods,
    TransactionMethods,
):
    """A durable queue in one database; made by `open_store`.

    Every async method is a checkpoint.  Cancellation leaves no half-done work: a call
    that raises ``Cancelled`` has done nothing.  Only `requeue_all`,
    `purge_dead_letters`, `cancel_matching`, `requeue_matching` and `delete_matching`
    work in batches, and batches already done stay done.
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
        url: ``sqlite:///relative.db``, ``sqlite:////absolute.db``,
            ``sqlite://:memory:``, or ``postgresql://user:password@host:port/database``
            with libpq's options and these: ``schema`` (default ``trioqueue``),
            ``pool_size`` (8), ``statement_seconds`` (30), ``pooler=transaction`` where
            a pooler such as PgBouncer stands between.
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
    async with _opened(address, clock, durability, migrate=migrate) as database:
        source = database.chance.source
        virtual = database.clock.is_virtual
        yield Store(
            url=address.shown,
            clock=database.clock,
            executor=database.executor,
            hub=database.hub,
            source=source,
            salt=database.chance.salt,
            worker_id="worker" if virtual else _worker_id(source),
            meters=database.meters,
            transactions=database.transactions,
        )


def _opened(
    address: StoreURL,
    clock: Clock | None,
    durability: Literal["full", "relaxed"],
    *,
    migrate: bool,
) -> AbstractAsyncContextManager[Database]:
    # Imported only here: the other kind's driver may be missing, and takes its time.
    if address.kind == "postgresql":
        try:
            from trioqueue.store.postgres.opening import open_postgres
        except ImportError as error:
            raise ValidationError.of(
                "url",
                f"PostgreSQL needs psycopg, which cannot be imported ({error}); "
                "run: pip install 'trioqueue[postgres]'",
            ) from error
        return open_postgres(
            address, clock=clock, durability=durability, migrate=migrate
        )
    from trioqueue.store.sqlite.opening import open_sqlite

    return open_sqlite(
        address.path, clock=clock, durability=durability, migrate=migrate
    )


def _worker_id(source: random.Random) -> str:
    return f"{socket.gethostname()[:200]}-{os.getpid()}-{source.getrandbits(24):06x}"
