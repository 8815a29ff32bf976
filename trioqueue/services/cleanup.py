"""Deletes what retention has released."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from trioqueue.services.base import StoreService
from trioqueue.store.operations.core import CLEANUP

if TYPE_CHECKING:
    from datetime import datetime

    from trioqueue.model.spans import Seconds
    from trioqueue.store import Store


@final
class CleanupService(StoreService):
    """Deletes finished messages whose time is over, in bounded batches, also at start.

    Args:
        store: The store.
        interval_seconds: The most it sleeps, in seconds (3600).
    """

    name: ClassVar[str] = "cleanup"
    topic: ClassVar[str] = CLEANUP

    def __init__(self, store: Store, *, interval_seconds: Seconds = 3600.0) -> None:
        super().__init__(store, interval_seconds)

    async def _batch(self) -> int:
        deleted = await self._store.clean_up_batch()
        if not deleted:
            # Old answers are no messages: they are forgotten beside, not counted.
            while await self._store.prune_receipts_batch():
                pass
        return deleted

    async def _find_next_due(self) -> datetime | None:
        return await self._store.next_release()
