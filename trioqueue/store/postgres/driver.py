"""A psycopg connection that waits the Trio way.

psycopg's protocol code is generators that say what they wait for; this drives them.
No other module touches what psycopg keeps private (a test names each such thing).

A connection is never left half used.  Cancellation stops the query on the server and
reads on until the server is done with it, in a shielded scope with a deadline; if that
fails the connection is killed.  A `trio.Cancelled` therefore says nothing about whether
the statement took effect, but says that it is over.

With ``blocking=True`` each wait happens in place: a clock that jumps when all tasks
sleep must not take a query for sleep.  Nothing is a checkpoint then.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

import psycopg
import trio
from psycopg import generators, pq, sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import tuple_row

from trioqueue.store.postgres.addresses import (
    connect_seconds,
    find_attempts,
    look_up_in_place,
    look_up_name,
    read_conninfo,
)
from trioqueue.store.postgres.driving import (
    BAD,
    Turns,
    answers,
    drained,
    drive,
    drive_apart,
    drive_in_place,
)
from trioqueue.store.postgres.endings import (
    GRACE_SECONDS,
    TrioPipeline,
    TrioTransaction,
    grace,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from types import TracebackType

    from psycopg.abc import PQGen
    from psycopg.pq.abc import PGconn, PGresult

T = TypeVar("T")

logger: Final = logging.getLogger("trioqueue.postgres")

ADDRESS_SECONDS: Final = 10.0
"""How long one address may take if there are others to try, or no caller to cancel."""
_ACTIVE: Final = int(pq.TransactionStatus.ACTIVE)
_INTERRUPTED: Final = (trio.Cancelled, KeyboardInterrupt, SystemExit)


@final
class TrioConnection(psycopg.AsyncConnection[tuple[Any, ...]]):
    """A connection for Trio tasks; autocommit is on, transactions are explicit.

    Everything a `psycopg.AsyncConnection` offers works, and waits as this does.
    """

    blocking: bool = False
    """Whether each wait happens in place, and holds up the whole Trio loop."""

    def __init__(self, pgconn: PGconn) -> None:
        super().__init__(pgconn, tuple_row)
        self.lock: Turns = Turns()  # type: ignore[assignment]  # asyncio's otherwise
        self._autocommit = True
        self._in_rows = False
        self.add_notice_handler(_log_notice)

    @classmethod
    async def connect(cls, *_: Any, **__: Any) -> TrioConnection:
        """Refuse: psycopg's own way to connect needs asyncio."""
        raise psycopg.NotSupportedError("use TrioConnection.open")

    @classmethod
    async def open(cls, conninfo: str, *, blocking: bool = False) -> TrioConnection:
        """Connect to the first of the addresses that lets us in.

        Without ``connect_timeout``, an address that does not answer is given up after
        10 s if there are others (always when blocking); else the caller's scope
        decides.  Raises `psycopg.OperationalError`, or `psycopg.ProgrammingError` for
        a malformed connection string.
        """
        parameters = read_conninfo(conninfo)
        seconds = connect_seconds(parameters)
        if not blocking:
            await trio.lowlevel.checkpoint()
        look_up = look_up_in_place if blocking else look_up_name
        attempts = await find_attempts(parameters, look_up)
        if seconds is None and (blocking or len(attempts) > 1):
            seconds = ADDRESS_SECONDS
        failures: list[psycopg.Error] = []
        for attempt in attempts:
            gen = cls._connect_gen(make_conninfo("", **attempt))
            try:
                connection = await drive_apart(gen, seconds, blocking=blocking)
            except TimeoutError:
                place = attempt.get("host") or attempt.get("hostaddr")
                failures.append(
                    psycopg.errors.ConnectionTimeout(
                        f"no answer from {place!r} in time"
                    )
                )
            except psycopg.Error as error:
                failures.append(error)
            else:
                connection.blocking = blocking
                return connection
        if len(failures) == 1:
            raise failures[0].with_traceback(None)
        lines = "\n".join(f"- {failure}" for failure in failures)
        raise type(failures[-1])(f"no host let us in:\n{lines}")

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, conninfo: str, *, blocking: bool = False
    ) -> AsyncIterator[TrioConnection]:
        """Open a connection for a block; it is closed however that ends."""
        connection = await cls.open(conninfo, blocking=blocking)
        try:
            yield connection
        finally:
            try:
                with trio.move_on_after(GRACE_SECONDS, shield=True):
                    await connection.close()
            finally:
                connection.kill()

    async def wait(
        self,
        gen: PQGen[T],
        interval: float = 0.0,
        timeout: float | None = None,  # noqa: ASYNC109  psycopg's own cursors pass it
    ) -> T:
        """Run a generator of psycopg's to its end; the caller has the lock.

        Canceled, it stops the query on the server and reads on until that is done.
        """
        started = self.blocking
        self._in_rows = True
        try:
            if self.blocking:
                return drive_in_place(self.pgconn, gen, timeout)  # noqa: ASYNC910  none in place, or it has nothing to do
            await trio.lowlevel.checkpoint_if_cancelled()
            started = True
            if timeout is None:
                return await drive(self.pgconn, gen)
            with trio.move_on_after(timeout):
                return await drive(self.pgconn, gen)
        except _INTERRUPTED:
            if self._pipeline is None:
                gen.close()
                await self._mend(drained(self.pgconn))  # noqa: ASYNC120  it is shielded, with a deadline
            elif started:
                # Its books are right only if the generator comes to its own end.
                await self._mend(gen)  # noqa: ASYNC120  it is shielded, with a deadline
            raise
        except TimeoutError:
            pass
        raise psycopg.errors._WaitTimeout("wait timeout expired")  # noqa: SLF001  theirs

    async def _mend(self, gen: PQGen[Any]) -> None:
        """Stop what the server does for us and run on to its end, or kill."""
        pgconn = self.pgconn
        if self.closed or pgconn.transaction_status != _ACTIVE:
            return  # noqa: ASYNC910  none in place, or it has nothing to do
        with grace(self):
            await self.stop_query()
            try:
                if self.blocking:
                    drive_in_place(pgconn, gen, GRACE_SECONDS)
                else:
                    await drive(pgconn, gen)
            except psycopg.Error as error:  # as a rule that it was canceled
                logger.debug("a canceled query ended: %s", error)
            except TimeoutError:
                self.kill()
        if not self.in_pipeline and pgconn.transaction_status == _ACTIVE:
            self.kill()

    async def stop_query(self) -> None:  # noqa: ASYNC910  none in place, or it has nothing to do
        """Ask the server to stop, if it does something for this connection."""
        if not self.closed and self.pgconn.transaction_status == _ACTIVE:
            await self._try_cancel(timeout=GRACE_SECONDS)

    @property
    def in_pipeline(self) -> bool:
        """Whether psycopg's pipeline mode is open."""
        return self._pipeline is not None

    async def exchange(self, commands: Sequence[Callable[[], None]]) -> list[PGresult]:
        """Send requests in one go, each queued by a command; return their results.

        A command queues exactly one request on `pgconn`; a sync is added.  Results of
        failed and of skipped requests are returned like others.  Raises
        `psycopg.OperationalError` if the connection is lost.  Canceled, it stops the
        server and reads up to the sync; the connection can be used again.
        """
        if not self.blocking:
            await trio.lowlevel.checkpoint_if_cancelled()
        async with self.lock:
            if self._pipeline is not None:
                raise psycopg.ProgrammingError("a pipeline() is open")
            pgconn = self.pgconn
            try:
                pgconn.enter_pipeline_mode()
                syncs = 1
                if self._in_rows:
                    # After a stream() libpq would go on to answer row by row, until
                    # the first thing in a pipeline is over.
                    pgconn.pipeline_sync()
                    syncs = 2
                for command in commands:
                    command()
                pgconn.pipeline_sync()
            except BaseException:
                self.kill()  # before the sync: the server does nothing of it
                raise
            self._in_rows = False
            gen = answers(pgconn, len(commands), syncs)
            try:
                if self.blocking:
                    results = drive_in_place(pgconn, gen)
                else:
                    results = await drive(pgconn, gen)
            except _INTERRUPTED:
                await self._mend_exchange(gen)  # noqa: ASYNC120  it is shielded, with a deadline
                raise
            except BaseException:
                self.kill()
                raise
            pgconn.exit_pipeline_mode()
            return results

    async def _mend_exchange(self, gen: PQGen[Any]) -> None:
        await self._mend(gen)
        with suppress(psycopg.Error):
            self.pgconn.exit_pipeline_mode()
        if self.pgconn.pipeline_status != pq.PipelineStatus.OFF:
            self.kill()

    async def listen(self, channel: str) -> None:
        """Have the server send what is notified on a channel from now on."""
        await self.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))

    async def next_notifies(self) -> list[psycopg.Notify]:
        """Wait until there are notifications, and return them all.

        Nobody else can use the connection meanwhile.  Canceled, it has taken none.
        """
        async with self.lock:
            heard = self._notifies_backlog
            if heard is None:
                raise psycopg.ProgrammingError("notifies() is running")
            if heard and not self.blocking:
                await trio.lowlevel.checkpoint()
            while not heard:
                await self.wait(generators.notifies(self.pgconn))
            taken = list(heard)
            heard.clear()
            return taken

    @asynccontextmanager
    async def transaction(
        self,
        savepoint_name: str | None = None,
        force_rollback: bool = False,  # noqa: FBT001, FBT002  psycopg's signature
    ) -> AsyncIterator[TrioTransaction]:
        """Open a transaction, or a savepoint in one, that ends with the block.

        Canceled at any point, it has been rolled back, or the connection is killed.
        """
        transaction = TrioTransaction(self, savepoint_name, force=force_rollback)
        if self._pipeline:
            async with self.pipeline(), transaction, self.pipeline():
                yield transaction
        else:
            async with transaction:
                yield transaction

    @asynccontextmanager
    async def pipeline(self) -> AsyncIterator[psycopg.AsyncPipeline]:
        """Open psycopg's pipeline mode for cursors."""
        async with self.lock:
            self._check_connection_ok()
            pipeline = self._pipeline
            if pipeline is None:
                pipeline = self._pipeline = TrioPipeline(self)
        try:
            async with pipeline:
                yield pipeline
        finally:
            if pipeline.level == 0:
                self._pipeline = None

    @asynccontextmanager
    async def _pipeline_nolock(self) -> AsyncIterator[psycopg.AsyncPipeline]:
        pipeline = self._pipeline = TrioPipeline(self, _no_lock=True)
        try:
            async with pipeline:
                yield pipeline
        finally:
            self._pipeline = None

    async def cancel_safe(
        self,
        *,
        timeout: float = GRACE_SECONDS,  # noqa: ASYNC109  psycopg's signature
    ) -> None:
        """Ask the server to stop what it does for this connection."""
        if not self._should_cancel():
            return  # noqa: ASYNC910  none in place, or it has nothing to do
        try:
            await self._cancellation()(timeout)
        except (TimeoutError, trio.TooSlowError):
            raise psycopg.errors.CancellationTimeout(
                "the server did not take the cancellation in time"
            ) from None

    def _cancellation(self) -> Callable[[float], Awaitable[None]]:
        """Prepare to stop the query, also if the connection is closed meanwhile."""
        blocking = self.blocking
        if psycopg.capabilities.has_cancel_safe():
            gen = self._cancel_gen()
            next(gen)
            return lambda seconds: drive_apart(gen, seconds, blocking=blocking)
        cancel = self.pgconn.get_cancel().cancel

        async def cancel_apart(seconds: float) -> None:
            if blocking:
                cancel()
                return  # noqa: ASYNC910  none in place, or it has nothing to do
            with trio.fail_after(seconds):
                await trio.to_thread.run_sync(cancel, abandon_on_cancel=True)

        return cancel_apart

    async def _try_cancel(self, *, timeout: float = GRACE_SECONDS) -> None:  # noqa: ASYNC109  see above
        # psycopg calls this to clean up, also where its caller is canceled already.
        with trio.CancelScope(shield=True):
            await super()._try_cancel(timeout=min(timeout, GRACE_SECONDS))

    def kill(self) -> None:
        """Close the connection at once; whoever waits on it gets an OperationalError.

        What the server is doing for it, it may finish first.  Does nothing again.
        """
        pgconn = self.pgconn
        self._closed = True
        if pgconn.status != BAD and trio.lowlevel.in_trio_run():
            trio.lowlevel.notify_closing(pgconn.socket)
        pgconn.finish()

    async def close(self) -> None:  # noqa: ASYNC910  none in place, or it has nothing to do
        """Close the connection, even when canceled; a query that runs is stopped."""
        stop: Callable[[float], Awaitable[None]] | None = None
        if not self.closed and self.pgconn.transaction_status == _ACTIVE:
            with suppress(psycopg.Error):
                stop = self._cancellation()
        self.kill()
        if stop is not None:
            with trio.CancelScope(shield=True):  # noqa: ASYNC912  each way to stop waits, with a deadline
                try:
                    await stop(GRACE_SECONDS)
                except (psycopg.Error, TimeoutError, trio.TooSlowError) as error:
                    logger.debug("a query outlives its connection: %r", error)
        if not self.blocking:
            await trio.lowlevel.checkpoint()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Commit or roll back, and close, as psycopg does; it closes when canceled."""
        try:
            await super().__aexit__(exc_type, exc_val, exc_tb)  # noqa: ASYNC102  killed whatever happens
        finally:
            self.kill()


def _log_notice(notice: psycopg.errors.Diagnostic) -> None:
    logger.debug("%s: %s", notice.severity, notice.message_primary)
