"""A worker makes itself seen: it registers, beats, and says when it leaves.

A beat is one UPDATE of one small row, and its answer says whether the worker was told
to be quiet.  A worker that is killed leaves its row behind; nobody believes it for
longer than three beats.
"""

from __future__ import annotations

import functools
import logging
import math
import os
import socket
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final, final

import trio

from trioqueue.errors import StoreClosedError, StoreUnavailableError, ValidationError
from trioqueue.model.spans import Seconds, to_micros, to_seconds
from trioqueue.store.operations.workers import WORKERS, Registration
from trioqueue.store.wakeups import Alarm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trioqueue.store import Store

logger: Final = logging.getLogger("trioqueue.worker")

BEAT_SECONDS: Final = 10.0
FAREWELL_SECONDS: Final = 2.0
"""How long a worker that ends may take to say so."""


def _never() -> bool:
    return False


@final
class Presence:
    """The registration of one worker, and its beats.

    ::

        await nursery.start(presence.run)

    A database that is away is no reason to end: the next beat is tried all the same,
    and a registration that was lost meanwhile is made anew.  In virtual time nobody
    wakes for a beat: it beats when it begins, when it ends and when it is told to be
    quiet.

    Args:
        store: The store.
        worker_id: The worker's name.
        queues: The queues it works on.
        concurrency: The most jobs it runs at once.
        running: Says how many it runs now.
        on_quiet: Called when it is told to be quiet (True), or to claim again (False).
        stopping: Says whether it is on its way out.
        beat_seconds: How often it beats, in seconds (10).

    Raises:
        ValidationError: The span is not greater than 0.
    """

    def __init__(
        self,
        store: Store,
        *,
        worker_id: str,
        queues: Iterable[str],
        concurrency: int,
        running: Callable[[], int],
        on_quiet: Callable[[bool], None],
        stopping: Callable[[], bool] = _never,
        beat_seconds: Seconds = BEAT_SECONDS,
    ) -> None:
        self._store = store
        self._seconds = check_beat(beat_seconds)
        virtual = store.clock.is_virtual
        self._about = Registration(
            worker_id=worker_id,
            host=socket.gethostname()[:256],
            pid=os.getpid(),
            version=our_version(),
            queues=tuple(sorted(queues)),
            concurrency=concurrency,
            interval=None if virtual else to_micros(self._seconds),
        )
        self._pause = math.inf if virtual else self._seconds
        self._running = running
        self._on_quiet = on_quiet
        self._stopping = stopping
        self._registration: int | None = None
        self._quiet = False
        self._away = False

    @property
    def quiet(self) -> bool:
        """Whether the worker was told to claim nothing more."""
        return self._quiet

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Be seen until canceled; start it with ``nursery.start``.

        Canceling this takes the registration back, for which it has two seconds.
        """
        alarm = Alarm(WORKERS)
        alarms = self._store.wakeups.alarms
        alarms.add(alarm)
        try:
            await self._say()
            task_status.started()
            while True:
                with trio.move_on_after(self._pause):
                    await alarm.wait()
                # Before the beat, for what is announced during it is another matter.
                alarm.clear()
                await self._say()
        except StoreClosedError:
            # Whoever works on the store meets it too, and says so.
            await trio.lowlevel.checkpoint()
        finally:
            alarms.discard(alarm)
            with trio.move_on_after(FAREWELL_SECONDS, shield=True):
                await self._leave()

    async def _say(self) -> None:  # noqa: ASYNC910  a call of the store is one
        """Register or beat once; a database that is away hears it the next time."""
        try:
            await self._beat()
        except StoreUnavailableError as error:
            level = logging.DEBUG if self._away else logging.WARNING
            self._log(level, f"cannot show that it is alive: {error}")
            self._away = True
        else:
            self._away = False

    async def _beat(self) -> None:
        if self._registration is not None:
            quiet = await self._store.beat_worker(
                self._registration, running=self._running(), stopping=self._stopping()
            )
            if quiet is not None:
                self._set_quiet(quiet)
                return
            # Whoever cleaned up took it for dead: it was suspended for long, perhaps.
            self._registration = None
        self._registration = await self._store.register_worker(
            self._about, quiet=self._quiet
        )

    def _set_quiet(self, quiet: bool) -> None:  # noqa: FBT001  as the callback has it
        if quiet != self._quiet:
            self._quiet = quiet
            what = "claim nothing more" if quiet else "claim again"
            self._log(logging.INFO, f"was told to {what}")
            self._on_quiet(quiet)

    async def _leave(self) -> None:  # noqa: ASYNC910  as above
        if self._registration is None:
            await trio.lowlevel.checkpoint()
            return
        try:
            await self._store.deregister_worker(self._registration)
        except (StoreUnavailableError, StoreClosedError) as error:
            self._log(logging.DEBUG, f"could not say that it ends: {error}")

    def _log(self, level: int, what: str) -> None:
        name = self._about.worker_id
        logger.log(level, "worker %s %s", name, what, extra={"worker": name})

    def __repr__(self) -> str:
        state = "seen" if self._registration is not None else "not seen"
        return f"<Presence of {self._about.worker_id}, {state}>"


def check_beat(seconds: Seconds) -> float:
    """Return the span between beats.

    Raises:
        ValidationError: It is not greater than 0, or no number.
    """
    span = to_seconds(seconds, "beat_seconds")
    if not 0 < span < 1e9:
        raise ValidationError.of(
            "beat_seconds", f"must be greater than 0, got {span:g}"
        )
    return span


@functools.cache
def our_version() -> str:
    """Return the version of trioqueue that runs here."""
    try:
        return version("trioqueue")
    except PackageNotFoundError:
        return "unknown"
