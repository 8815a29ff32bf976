"""A nursery for what runs beside the body of an ``async with`` block."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def open_background(reason: str) -> AsyncIterator[trio.Nursery]:
    """Open a nursery whose tasks end with the block.

    What the block raises reaches the caller as it was raised, not in a group: that
    there is a nursery is no concern of whoever wrote the block.  What a background task
    raises cancels the block and comes out in an `ExceptionGroup`.

    Args:
        reason: Why the tasks are canceled in the end.
    """
    raised: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            except BaseException as error:  # noqa: BLE001, ASYNC103  raised below
                raised = error
            nursery.cancel_scope.cancel(reason=reason)
    except BaseException as error:  # noqa: ASYNC103  or what says more is raised
        # Cancellation from outside strikes the tasks too; what the block raised says
        # more.
        if raised is None or not only_canceled(error):
            raise
    if raised is not None:
        raise raised


def only_canceled(error: BaseException) -> bool:
    """Say whether an exception is nothing but cancellation."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(trio.Cancelled)[1] is None
    return isinstance(error, trio.Cancelled)
