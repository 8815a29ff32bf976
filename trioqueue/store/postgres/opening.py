"""Opening a store's database on PostgreSQL."""

from __future__ import annotations

import os
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

import psycopg
import trio
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from trioqueue._background import open_background
from trioqueue.clock import choose_clock
from trioqueue.errors import StoreUnavailableError, TrioQueueError, ValidationError
from trioqueue.metrics.meters import Meters
from trioqueue.store.database import (
    Chance,
    Database,
    context_maker,
    local_announcer,
)
from trioqueue.store.low_water import LowWaterMarks
from trioqueue.store.postgres.borrowed import identity_query
from trioqueue.store.postgres.compiling import quote_schema
from trioqueue.store.postgres.driver import TrioConnection
from trioqueue.store.postgres.executor import PostgresExecutor
from trioqueue.store.postgres.faults import translate
from trioqueue.store.postgres.inline import InlinePostgresExecutor
from trioqueue.store.postgres.migrations import prepare
from trioqueue.store.postgres.pool import Pool
from trioqueue.store.postgres.server_clock import QUESTION, DatabaseClock
from trioqueue.store.postgres.session import Session
from trioqueue.store.postgres.settings import Settings
from trioqueue.store.postgres.signals import FAREWELL_SECONDS, Ears, Mouth
from trioqueue.store.postgres.transactions import PostgresTransactions
from trioqueue.store.wakeups import join_hub, leave_hub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from trioqueue.clock import Clock
    from trioqueue.store.operations.core import Effects
    from trioqueue.store.url import StoreURL
    from trioqueue.store.wakeups import WakeUps

CONNECT_SECONDS: Final = 10
"""How long an address may take to let us in, if the URL says nothing else."""
CLOCK_SECONDS: Final = 10.0
"""How often the server is asked for its time."""
PREPARE_SECONDS: Final = 600.0
"""How long bringing the tables up to date may take."""
_TIME: Final = QUESTION.encode()


@asynccontextmanager
async def open_postgres(
    address: StoreURL,
    *,
    clock: Clock | None,
    durability: Literal["full", "relaxed"],
    migrate: bool,
) -> AsyncIterator[Database]:
    """Open a database for the length of a block.

    Raises:
        StoreUnavailableError: It cannot be reached or used; the text says why.
        SchemaVersionError: It was made by a newer trioqueue, or must be migrated.
    """
    settings = Settings(
        conninfo=_complete(address.conninfo),
        schema=address.schema,
        pool_size=address.pool_size,
        pooled=address.pooled,
        relaxed=durability == "relaxed",
        statement_seconds=address.statement_seconds,
    )
    chosen = choose_clock() if clock is None else clock
    if chosen.is_virtual:
        opened = _open_virtual(settings, chosen, migrate=migrate)
    else:
        opened = _open_real(settings, clock, migrate=migrate)
    async with opened as database:
        yield database


def _complete(conninfo: str) -> str:
    """Add what we rely on to a connection string.

    Raises:
        StoreUnavailableError: It is not one; the text repeats nothing of it.
        ValidationError: One of its options cannot be used.
    """
    try:
        known = conninfo_to_dict(conninfo)
        if not re.fullmatch(r"-?\d+", str(known.get("connect_timeout", 0)).strip()):
            raise ValidationError.of("url", "connect_timeout: write a whole number")
        if "PGCONNECT_TIMEOUT" not in os.environ:
            known.setdefault("connect_timeout", CONNECT_SECONDS)
        known.setdefault("fallback_application_name", "trioqueue")
        return make_conninfo("", **known | {"client_encoding": "utf8"})
    except psycopg.Error as error:
        problem = translate(error, "PostgreSQL")
    # Not from the error: its text may repeat the password.
    raise problem


async def _prepare(settings: Settings, *, migrate: bool, blocking: bool) -> None:
    """Bring the tables up to date.

    Raises:
        StoreUnavailableError, SchemaVersionError: They cannot be used.
    """
    try:
        async with TrioConnection.opened(
            settings.conninfo, blocking=blocking
        ) as connection:
            await prepare(connection, settings.schema, migrate=migrate)
    except psycopg.Error as error:
        raise translate(error, "PostgreSQL") from error


async def _session(
    settings: Settings, *, blocking: bool = False, marks: LowWaterMarks | None = None
) -> Session:
    try:
        return await Session.open(settings, blocking=blocking, marks=marks)
    except psycopg.Error as error:
        raise translate(error, "PostgreSQL", changes=False) from error


@asynccontextmanager
async def _open_virtual(
    settings: Settings, clock: Clock, *, migrate: bool
) -> AsyncIterator[Database]:
    await trio.lowlevel.checkpoint()
    await _prepare(settings, migrate=migrate, blocking=True)
    session = await _session(settings, blocking=True)
    key = _hub_key(settings)
    hub = join_hub(key)
    try:
        chance = Chance.of_run(await _last_ticket(session, settings), virtual=True)
        maker = context_maker(clock, chance, shared=True)
        meters = Meters()
        announce = local_announcer(hub)
        executor = InlinePostgresExecutor(session, maker, announce, meters)
        transactions = PostgresTransactions(
            settings,
            await _identity(session, settings),
            maker,
            announce=announce,
            meters=meters,
            foreign=hub.foreign,
            virtual=True,
        )
        try:
            async with open_background("the store is closing") as nursery:
                await nursery.start(hub.foreign.run, hub.announce)
                yield Database(executor, hub, clock, chance, meters, transactions)
        finally:
            await executor.aclose()
            hub.announce_closing()
    finally:
        session.kill()
        leave_hub(key)


@asynccontextmanager
async def _open_real(
    settings: Settings, clock: Clock | None, *, migrate: bool
) -> AsyncIterator[Database]:
    with trio.move_on_after(PREPARE_SECONDS) as patience:
        await _prepare(settings, migrate=migrate, blocking=False)
    if patience.cancelled_caught:
        message = f"the tables could not be prepared within {PREPARE_SECONDS:g} s"
        raise StoreUnavailableError(message)
    marks = LowWaterMarks()
    pool = Pool(lambda: _session(settings, marks=marks), size=settings.pool_size)
    meters = Meters()
    meters.pool = pool.statistics
    chance = Chance.of_run(0, virtual=False)
    name = f"{os.getpid()}-{chance.source.getrandbits(48):012x}"
    mouth = Mouth(pool, settings.schema, name)
    key = _hub_key(settings)
    hub = join_hub(key)
    try:
        if clock is None:
            clock = server_clock = DatabaseClock()
            await _measure(server_clock, pool)
        else:
            server_clock = None
        announce = _announcer(hub, mouth)
        executor = PostgresExecutor(
            pool,
            context_maker(clock, chance, shared=True, marks=marks),
            announce,
            meters,
        )
        async with pool.lend() as session:
            identity = await _identity(session, settings)
        transactions = PostgresTransactions(
            settings,
            identity,
            context_maker(clock, chance, shared=True),
            announce=announce,
            meters=meters,
            foreign=hub.foreign,
            virtual=False,
        )

        ears = Ears(settings, hub, executor, name, mouth.say, meters=meters)
        async with open_background("the store is closing") as nursery:
            try:
                await nursery.start(pool.run)
                await nursery.start(executor.run)
                await nursery.start(mouth.run)
                await nursery.start(ears.run)
                if server_clock is not None:
                    nursery.start_soon(_keep_time, server_clock, pool)
                yield Database(executor, hub, clock, chance, meters, transactions)
            finally:
                await executor.aclose()
                with trio.move_on_after(FAREWELL_SECONDS, shield=True):
                    await mouth.say_rest()
    finally:
        await pool.aclose()
        hub.announce_closing()
        leave_hub(key)


def _announcer(hub: WakeUps, mouth: Mouth) -> Callable[[Effects], None]:
    def announce(effects: Effects) -> None:
        hub.announce(effects)
        mouth.tell(effects)

    return announce


async def _measure(clock: DatabaseClock, pool: Pool[Session]) -> None:
    """Ask the server for its time.

    Raises:
        StoreUnavailableError: It does not answer.
    """
    async with pool.lend() as session:

        async def sample() -> int:
            rows = await session.query(_TIME)
            instant: int = rows[0][0]
            return instant

        try:
            await clock.measure(sample)
        except psycopg.Error as error:
            raise translate(error, "PostgreSQL", changes=False) from error


async def _keep_time(clock: DatabaseClock, pool: Pool[Session]) -> NoReturn:
    while True:
        await trio.sleep(CLOCK_SECONDS)
        try:
            await _measure(clock, pool)
        except TrioQueueError:
            continue  # the clock goes on by itself, and the next answer will do


async def _last_ticket(session: Session, settings: Settings) -> int:
    """Return what sets this run apart from earlier ones on the same database."""
    name = f"{quote_schema(settings.schema)}.tq_tickets"
    sql = f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {name}"
    try:
        rows = await session.query(sql.encode())
    except psycopg.Error as error:
        raise translate(error, "PostgreSQL", changes=False) from error
    ticket: int = rows[0][0]
    return ticket


async def _identity(session: Session, settings: Settings) -> tuple[Any, ...]:
    """Return what tells the schema from all others."""
    try:
        rows = await session.query(identity_query(settings.schema))
    except psycopg.Error as error:
        raise translate(error, "PostgreSQL", changes=False) from error
    return tuple(rows[0])


def _hub_key(settings: Settings) -> str:
    """Name the database, so that stores of one run on it share their wake-ups."""
    known = conninfo_to_dict(settings.conninfo)
    parts = [str(known.get(part)) for part in ("host", "port", "dbname")]
    return "\0".join(["postgresql", *parts, settings.schema])
