"""The heartbeats of a worker's jobs: those due at about the same time go together."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Final, final

import trio

from trioqueue.errors import LeaseLostError, StoreUnavailableError
from trioqueue.store.lease_scope import UNAVAILABLE_PAUSE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import NoReturn

    from trioqueue.store import Store
    from trioqueue.store.lease_scope import LeaseScope

logger: Final = logging.getLogger("trioqueue.worker")

BEAT_EARLY: Final = 0.2
"""Heartbeats due within this share of their interval ride along."""


@final
class Heartbeats:
    """One loop that prolongs the leases of many jobs.

    Args:
        store: The store.
        leases: The leases that are held; whoever holds them keeps this up to date.
    """

    def __init__(self, store: Store, leases: Collection[LeaseScope]) -> None:
        self._store = store
        self._leases = leases
        self._wanted = trio.Event()
        self._next = math.inf
        self.sent = 0
        """Leases prolonged."""

    def expect(self, earliest: float) -> None:
        """Take notice of leases that have just been taken.

        Args:
            earliest: When the first of their heartbeats is to be sent.
        """
        if earliest < self._next:
            self._next = earliest
            self._wanted.set()

    async def run(self) -> NoReturn:
        """Prolong leases until canceled."""
        clock = self._store.clock
        while True:
            self._next = min(
                (lease.heartbeat_at for lease in self._leases), default=math.inf
            )
            self._wanted = trio.Event()
            deadline = math.inf
            if self._next < math.inf:
                deadline = clock.trio_deadline(int(self._next))
            with trio.move_on_at(deadline) as nap:
                await self._wanted.wait()
            if not nap.cancelled_caught:
                continue
            now = clock.now_us()
            due = [
                lease
                for lease in self._leases
                if lease.heartbeat_at - lease.interval * BEAT_EARLY <= now
            ]
            await self._beat(due)

    async def _beat(self, due: list[LeaseScope]) -> None:
        try:
            answers = await self._store.heartbeat_many(lease.job for lease in due)
        except StoreUnavailableError as error:
            # Should this last, each lease's own deadline stops its handler in time.
            logger.warning("heartbeats: %s; trying again", error)
            await trio.sleep(UNAVAILABLE_PAUSE_SECONDS)
            return
        now = self._store.clock.now_us()
        for lease, answer in zip(due, answers, strict=True):
            if isinstance(answer, LeaseLostError):
                lease.lose(answer.reason)
            else:
                lease.renew(answer, now)
                self.sent += 1
