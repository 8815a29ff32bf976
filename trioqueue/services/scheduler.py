"""Makes delayed messages ready when they fall due."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from trioqueue.services.base import StoreService
from trioqueue.store.operations.core import SCHEDULER

if TYPE_CHECKING:
    from datetime import datetime

    from trioqueue.model.spans import Seconds
    from trioqueue.store import Store


@final
class SchedulerService(StoreService):
    """Moves INVISIBLE messages that are due to PENDING, in the order they fell due.

    Args:
        store: The store.
        interval_seconds: The most it sleeps, in seconds (1).
    """

    name: ClassVar[str] = "scheduler"
    topic: ClassVar[str] = SCHEDULER

    def __init__(self, store: Store, *, interval_seconds: Seconds = 1.0) -> None:
        super().__init__(store, interval_seconds)

    async def _batch(self) -> int:
        return await self._store.promote_due_messages()

    async def _find_next_due(self) -> datetime | None:
        return await self._store.next_due()
