"""Keeping an autojump clock from leaping while threads work."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio
import trio.abc
import trio.testing

if TYPE_CHECKING:
    from collections.abc import Iterator


class _ThreadGuard(trio.abc.Instrument):
    """Parks the clock while threads are active (trio#456, trio#2937)."""

    def __init__(self, clock: trio.testing.MockClock) -> None:
        self._clock = clock
        self._threshold = clock.autojump_threshold

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Look after each step: threads start and end within one."""
        busy = trio.testing.active_thread_count() > 0
        wanted = math.inf if busy else self._threshold
        if self._clock.autojump_threshold != wanted:
            self._clock.autojump_threshold = wanted

    def release(self) -> None:
        """Give the clock its threshold back."""
        self._clock.autojump_threshold = self._threshold


@contextmanager
def autojump_guard() -> Iterator[None]:
    """Hold virtual time still, in the block, while any thread of Trio's works.

    An autojump clock takes a working thread for idleness and leaps to the next
    deadline.  trioqueue itself uses no threads in virtual time; a test whose own code
    does needs this::

        with autojump_guard():
            await trio.to_thread.run_sync(work)

    Deadlines do not come while a thread runs, so a thread that never ends stops time.
    Without a mock clock this does nothing.
    """
    clock = trio.lowlevel.current_clock()
    if not isinstance(clock, trio.testing.MockClock):
        yield
        return
    guard = _ThreadGuard(clock)
    trio.lowlevel.add_instrument(guard)
    try:
        yield
    finally:
        trio.lowlevel.remove_instrument(guard)
        guard.release()
