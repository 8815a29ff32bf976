"""A Trio run that a synchronous test drives, one call at a time."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import trio
import trio.testing

from tests.reference import Refused
from trioqueue import TrioQueueError, open_store

T = TypeVar("T")


class VirtualRun:
    """A Trio run in a thread of its own, which works only when it is asked to.

    Its clock stands still unless a test moves it, and the store works on the Trio
    thread itself, so what happens is decided by the test alone.
    """

    def __init__(self) -> None:
        self.clock = trio.testing.MockClock()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._started.wait(30)

    def _run(self) -> None:
        trio.run(self._main, clock=self.clock)

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._over = trio.Event()
        async with (
            open_store("sqlite://:memory:") as self.store,
            open_store("sqlite://:memory:") as self.other,
        ):
            self._started.set()
            await self._over.wait()

    def call(self, function: Callable[..., Awaitable[T]], *args: Any, **kw: Any) -> T:
        async def calling() -> T:
            return await function(*args, **kw)

        return trio.from_thread.run(calling, trio_token=self._token)

    def answer(
        self, function: Callable[..., Awaitable[Any]], *a: Any, **kw: Any
    ) -> Any:
        """Call, and return an error of ours as the reference puts it."""
        try:
            return self.call(function, *a, **kw)
        except TrioQueueError as error:
            detail = getattr(error, "reason", getattr(error, "state", None))
            return Refused(type(error).__name__, detail)

    def close(self) -> None:
        self._token.run_sync_soon(self._over.set)
        self._thread.join(30)
        assert not self._thread.is_alive()
