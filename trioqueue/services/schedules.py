"""What the services for both kinds of schedules share."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from trioqueue.services.base import StoreService

if TYPE_CHECKING:
    from datetime import datetime

    from trioqueue.model.spans import Seconds
    from trioqueue.store import Store


class ScheduleService(StoreService):
    """Posts what is due on schedules of one kind.

    Args:
        store: The store.
        interval_seconds: The most it sleeps, in seconds (1).
    """

    kind: ClassVar[str]
    """Which schedules are its own."""

    def __init__(self, store: Store, *, interval_seconds: Seconds = 1.0) -> None:
        super().__init__(store, interval_seconds)
        self._next: datetime | None = None

    async def _batch(self) -> int:
        # An idle look is this one question, answered by an index.
        self._next = await self._store.next_schedule_run(self.kind)
        while self._next is not None and self._next <= self._clock.now():
            fired = await self._store.fire_due_schedules(self.kind)
            if fired is not None and fired.posted:
                return fired.posted
            # Runs were skipped, or somebody else was faster: there may be more.
            self._next = await self._store.next_schedule_run(self.kind)
        return 0

    async def _find_next_due(self) -> datetime | None:
        return self._next  # noqa: ASYNC910  the batch before was a checkpoint
