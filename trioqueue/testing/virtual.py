"""A store in memory, on virtual time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio
import trio.testing

from trioqueue.clock import DEFAULT_VIRTUAL_START, TrioClock
from trioqueue.store import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from trioqueue.store import Store


@asynccontextmanager
async def virtual_store(
    start: datetime = DEFAULT_VIRTUAL_START,
) -> AsyncIterator[Store]:
    """Open a new store in memory whose time is Trio's mock clock's.

    Args:
        start: The wall time at Trio time 0, aware (2000-01-01T00:00Z).

    Raises:
        RuntimeError: The run does not use a mock clock, so time would be real.
    """
    if not isinstance(trio.lowlevel.current_clock(), trio.testing.MockClock):
        message = (
            "virtual_store needs virtual time: run under "
            "trio.testing.MockClock(autojump_threshold=0), which in pytest-trio is the "
            "autojump_clock fixture, as an argument of the test itself"
        )
        raise RuntimeError(message)  # noqa: TRY004  the run is wrong, not an argument
    async with open_store("sqlite://:memory:", clock=TrioClock(start)) as store:
        yield store
