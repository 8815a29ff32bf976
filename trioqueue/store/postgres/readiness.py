"""Waiting until a socket can be read or written, with psycopg's numbers for both."""

from __future__ import annotations

import math
import select
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

READ: Final = 1
WRITE: Final = 2


def ready_now(fd: int, wanted: int, seconds: float | None = 0.0) -> int:
    """Return what of `wanted` the socket can do, perhaps nothing.

    Given seconds (None: without end) it waits in place until there is something.
    """
    poll = select.poll()
    poll.register(
        fd,
        (select.POLLIN if wanted & READ else 0)
        | (select.POLLOUT if wanted & WRITE else 0),
    )
    ready = 0
    for _, events in poll.poll(None if seconds is None else math.ceil(seconds * 1000)):
        if events & ~select.POLLOUT:  # an error or a hang-up shows when it is read
            ready |= READ
        if events & ~select.POLLIN:
            ready |= WRITE
    return ready & wanted


async def until_ready(fd: int, wanted: int) -> int:
    """Wait until the socket can do something of `wanted`, and return what.

    Raises `trio.ClosedResourceError` if the socket is closed meanwhile.
    """
    if wanted == READ:
        await trio.lowlevel.wait_readable(fd)
        return READ
    if wanted == WRITE:
        await trio.lowlevel.wait_writable(fd)
        return WRITE
    return await _until_either(fd)


async def _until_either(fd: int) -> int:  # noqa: ASYNC910  a nursery is a checkpoint
    ready = 0

    async def watch(wait: Callable[[int], Awaitable[None]], answer: int) -> None:  # noqa: ASYNC910  a nursery is one
        nonlocal ready
        # Inside the nursery the error would come out in a group.
        with suppress(trio.ClosedResourceError):
            await wait(fd)
            ready |= answer
        nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch, trio.lowlevel.wait_readable, READ)
            nursery.start_soon(watch, trio.lowlevel.wait_writable, WRITE)
    except BaseExceptionGroup as group:
        # Whoever mends a connection looks for a plain Cancelled.
        if group.split(trio.Cancelled)[1] is not None:
            raise
        canceled: BaseException = group
        while isinstance(canceled, BaseExceptionGroup):
            canceled = canceled.exceptions[0]
        raise canceled from None  # noqa: ASYNC123  it is Trio's own, and alike in all
    if not ready:
        raise trio.ClosedResourceError("the socket was closed")
    return ready
