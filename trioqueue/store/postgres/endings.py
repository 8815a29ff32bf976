"""Transactions and pipelines that come to an end when their block is canceled.

psycopg's own would be canceled in the middle of their clearing up.  Where they have
nothing to clear up they are left alone: a COMMIT may take as long as it takes.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self, final

import psycopg
import trio
from psycopg import pq

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from trioqueue.store.postgres.driver import TrioConnection

GRACE_SECONDS: Final = 2.0
"""How long a canceled caller may be kept, to leave the connection in order."""

_OK: Final = pq.ConnStatus.OK


@contextmanager
def grace(connection: TrioConnection) -> Iterator[None]:
    """Let a block clear up though canceled; kill the connection if it cannot."""
    scope = trio.CancelScope(shield=True)
    scope.relative_deadline = GRACE_SECONDS
    try:
        with scope:
            yield
    except psycopg.Error:
        raise
    except BaseException:
        connection.kill()
        raise
    if scope.cancelled_caught:
        connection.kill()


@final
class TrioTransaction(psycopg.AsyncTransaction):
    """A transaction, or a savepoint, that is rolled back when it is canceled."""

    def __init__(
        self, connection: TrioConnection, savepoint_name: str | None, *, force: bool
    ) -> None:
        super().__init__(connection, savepoint_name, force)
        self._owner = connection

    async def __aenter__(self) -> Self:
        try:
            return await super().__aenter__()
        except BaseException as error:
            await self._undo(error)  # noqa: ASYNC102  `grace` shields it, or it can be canceled
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool:
        if exc_val is not None:
            return await self._undo(exc_val)  # noqa: ASYNC102  `grace` shields it, or it can be canceled
        try:
            return await super().__aexit__(None, None, None)  # noqa: ASYNC102  `grace` shields it, or it can be canceled
        except BaseException as error:
            await self._undo(error)  # noqa: ASYNC102  `grace` shields it, or it can be canceled
            raise

    async def _undo(self, error: BaseException) -> bool:
        """Roll back, unless it is over already; return whether to swallow the error."""
        swallow = False
        if self.status is self.Status.ACTIVE:
            with grace(self._owner):
                swallow = await super().__aexit__(type(error), error, None)
        status = self.pgconn.transaction_status
        if isinstance(error, trio.Cancelled) and (
            # A RELEASE was canceled half-way, or a ROLLBACK did not get through.
            status == pq.TransactionStatus.INERROR and not self._owner.in_pipeline
        ):
            self._owner.kill()
        return swallow  # noqa: ASYNC910  nothing to do


@final
class TrioPipeline(psycopg.AsyncPipeline):
    """Pipeline mode that is left in order when its block is canceled."""

    def __init__(self, connection: TrioConnection, **options: Any) -> None:
        super().__init__(connection, **options)
        self._owner = connection

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if exc_val is not None:
            await self._leave(exc_val)  # noqa: ASYNC102  `grace` shields it, or it can be canceled
            return
        try:
            await self.sync()  # leaving will find nothing left to wait for  # noqa: ASYNC102  `grace` shields it, or it can be canceled
        except BaseException as error:
            await self._leave(error)  # noqa: ASYNC102  `grace` shields it, or it can be canceled
            raise
        await self._leave(None)  # noqa: ASYNC102  `grace` shields it, or it can be canceled

    async def _leave(self, error: BaseException | None) -> None:
        connection = self._owner
        try:
            with grace(connection):
                if isinstance(error, trio.Cancelled):
                    await connection.stop_query()
                await super().__aexit__(type(error) if error else None, error, None)
        finally:
            # Also where the server's answer to what was canceled came in between.
            if (
                self.level == 0
                and self.pgconn.status == _OK
                and self.pgconn.pipeline_status != pq.PipelineStatus.OFF
            ):
                connection.kill()
