"""Going step by step: a run driven from outside, and what strikes at any step.

A test that tries every step counts them up from 0, each in a run of its own, until one
run comes to its end untouched.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, final

import trio
import trio.testing

from tests.reference import Refused
from trioqueue import TrioQueueError, open_store

T = TypeVar("T")


@final
class AtStep(trio.abc.Instrument):
    """Does something once, just before the n-th step of a task from now on.

    Without a task the steps of all tasks count.
    """

    def __init__(
        self,
        step: int,
        act: Callable[[], object],
        task: trio.lowlevel.Task | None = None,
    ) -> None:
        self.left = step
        self._act = act
        self._task = task

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self._task is None or task is self._task:
            self.left -= 1
            if self.left == 0:
                self._act()


async def cancel_at(step: int, call: Callable[[], Awaitable[Any]]) -> tuple[bool, bool]:
    """Run a call, canceled at a step of this task, or before it begins (0).

    Returns:
        Whether it returned, and whether it was canceled.
    """
    returned = False
    with trio.CancelScope() as scope:
        if step == 0:
            scope.cancel()
        instrument = AtStep(step, scope.cancel, trio.lowlevel.current_task())
        trio.lowlevel.add_instrument(instrument)
        try:
            await call()
            returned = True
        finally:
            trio.lowlevel.remove_instrument(instrument)
    return returned, scope.cancel_called


class VirtualRun:
    """A Trio run in a thread of its own, which works only when it is asked to.

    Its clock stands still unless a test moves it, and the store works on the Trio
    thread itself, so what happens is decided by the test alone.
    """

    def __init__(self, url: str = "sqlite://:memory:") -> None:
        """Start it, with a store at that URL and another one elsewhere."""
        self.clock = trio.testing.MockClock()
        self._url = url
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
            open_store(self._url) as self.store,
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
