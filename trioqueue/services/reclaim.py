"""Takes messages back from workers that died or fell silent."""

from __future__ import annotations

import logging
import math
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, final, runtime_checkable

import trio

from trioqueue.clock import choose_clock
from trioqueue.services.base import Service
from trioqueue.store.operations.core import RECLAIM
from trioqueue.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from trioqueue.model.message import ExpiredMessage
    from trioqueue.model.spans import Seconds

logger: Final = logging.getLogger("trioqueue.services")

BATCH: Final = 500
IN_VAIN: Final = timedelta(seconds=0.2)
"""How long it waits for those that somebody else is busy with."""
LOOK_SECONDS: Final = 1.0
"""How long after it was suspected a client is taken for stopped."""


@runtime_checkable
class ReclaimableBackend(Protocol):
    """What the reclaim service needs; a `Store` is one."""

    async def find_expired_messages(
        self, queue: str | None = None, limit: int = 1000
    ) -> list[ExpiredMessage]:
        """List running messages past a deadline, of one queue or (None) of all."""
        ...

    async def reclaim_expired_message(
        self, queue: str | None, message: ExpiredMessage
    ) -> bool:
        """End one expired attempt; False if it was prolonged or ended meanwhile."""
        ...

    async def reclaim_expired_messages(self, messages: Sequence[ExpiredMessage]) -> int:
        """End many expired attempts; return how many were."""
        ...


@runtime_checkable
class ForeseeingBackend(Protocol):
    """A backend that also knows when to look next; without it the interval says so."""

    async def next_expiry(self) -> datetime | None:
        """Return the earliest deadline of any running message."""
        ...


@runtime_checkable
class FreeingBackend(Protocol):
    """A backend that can take from stopped clients what they hold in a transaction."""

    async def end_stopped_clients(
        self, seen: Sequence[str], messages: Sequence[ExpiredMessage]
    ) -> dict[str, bool]:
        """End those seen before that still are silent; return all that are."""
        ...


@final
class ReclaimService(Service):
    """Ends RUNNING messages past a deadline: they are retried or become dead letters.

    Where a client that has been stopped holds messages in the middle of a transaction,
    so that nobody can take them, it ends that transaction.

    Args:
        backend: The store, or anything else with its three methods.
        interval_seconds: The most it sleeps, in seconds (5).
    """

    name: ClassVar[str] = "reclaim"
    topic: ClassVar[str] = RECLAIM

    def __init__(
        self, backend: ReclaimableBackend, *, interval_seconds: Seconds = 5.0
    ) -> None:
        store = backend if isinstance(backend, Store) else None
        super().__init__(
            clock=choose_clock() if store is None else store.clock,
            wakeups=None if store is None else store.wakeups,
            interval_seconds=interval_seconds,
            sees_every_change=store is not None and store.sees_every_change,
            meters=None if store is None else store.meters,
        )
        self._backend = backend
        self._in_vain = False
        self._held: Sequence[ExpiredMessage] = ()
        self._silent: list[str] = []
        self._looked = -math.inf

    async def _batch(self) -> int:
        expired = await self._backend.find_expired_messages(None, BATCH)
        self._in_vain = bool(expired)
        self._held = expired
        if not expired:
            return 0
        # Those found but not reclaimed were prolonged or ended meanwhile, or somebody
        # who has been stopped still holds them.
        count = await self._backend.reclaim_expired_messages(expired)
        self._in_vain = not count
        return count

    async def _find_next_due(self) -> datetime | None:
        await self._end_stopped_clients()
        due: datetime | None = None
        if isinstance(self._backend, ForeseeingBackend):
            if self._in_vain:
                return self._clock.now() + IN_VAIN
            due = await self._backend.next_expiry()
        if self._silent:
            again = self._clock.now() + timedelta(seconds=LOOK_SECONDS)
            due = again if due is None else min(due, again)
        return due

    async def _end_stopped_clients(self) -> None:
        """Look for them, more often while there are some, or messages are held."""
        await trio.lowlevel.checkpoint()
        backend, now = self._backend, trio.current_time()
        pressing = self._in_vain or self._silent
        pause = LOOK_SECONDS if pressing else self._interval
        if self._relies_on_wakeups or now < self._looked + pause:
            return
        if isinstance(backend, FreeingBackend):
            self._looked = now
            held = self._held if self._in_vain else ()
            silent = await backend.end_stopped_clients(self._silent, held)
            self._silent = [name for name, ended in silent.items() if not ended]
            if count := len(silent) - len(self._silent):
                message = "%s: ended the transactions of %d clients that were stopped"
                facts = {"service": self.name}
                logger.warning(message, self.name, count, extra=facts)
