"""Starting and stopping, for everything that runs until it is told to stop.

Trio has no soft cancel and needs none: what takes in work sits in an *intake* scope
that is canceled at once; work in hand sits in a *work* scope whose deadline is set to
now plus grace (the answer in trio#410).
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, final

import trio

from trioqueue.errors import ValidationError
from trioqueue.model.spans import Seconds, to_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator


@final
class Lifecycle:
    """The state of one runner: not started, running, stopping, ended."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stopping = False
        self._running = False
        self._clean = True
        self._cut_at = math.inf
        self._ended: trio.Event | None = None
        self._intake: trio.CancelScope | None = None
        self._work: trio.CancelScope | None = None

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping

    @property
    def is_running(self) -> bool:
        """Whether it runs now."""
        return self._running

    def stop(self) -> None:
        """Take no more work; what is in hand goes on to its end."""
        self._stopping = True
        if self._intake is not None:
            self._intake.cancel(reason=f"the {self._name} is stopping")

    async def stop_gracefully(self, grace_seconds: Seconds) -> bool:
        """Stop, let what is in hand finish, and cut it off after the grace.

        Returns:
            Whether it ended by itself.
        """
        grace = to_seconds(grace_seconds, "grace_seconds")
        if grace < 0:
            raise ValidationError.of(
                "grace_seconds", f"must not be negative, got {grace:g}"
            )
        self.stop()
        self._cut_at = min(self._cut_at, trio.current_time() + grace)
        if self._work is not None:
            self._work.deadline = min(self._work.deadline, self._cut_at)
        if self._running and self._ended is not None:
            await self._ended.wait()
        else:
            await trio.lowlevel.checkpoint()
        return self._clean

    @contextmanager
    def running(self) -> Iterator[None]:
        """Wrap the whole run."""
        if self._running:
            message = f"this {self._name} is running already; make another one"
            raise RuntimeError(message)
        self._running = True
        self._clean = False
        self._ended = trio.Event()
        try:
            yield
            self._clean = self._work is None or not self._work.cancelled_caught
        finally:
            self._running = False
            self._work = None
            self._ended.set()

    @contextmanager
    def intake(self) -> Iterator[None]:
        """Wrap what waits for work: it is canceled as soon as a stop is asked for."""
        with trio.CancelScope() as scope:
            self._intake = scope
            if self._stopping:
                scope.cancel(reason=f"the {self._name} is stopping")
            try:
                yield
            finally:
                self._intake = None

    def set_work_scope(self, scope: trio.CancelScope) -> None:
        """Name the scope of the work in hand: it is cut off when the grace is over."""
        self._work = scope
        scope.deadline = min(scope.deadline, self._cut_at)
