"""The store's methods for services: what is due, what has expired, what may go.

Together with `find_expired_messages` and `reclaim_expired_message` a store is a
`trioqueue.services.ReclaimableBackend`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import trio

from trioqueue.model.message import ExpiredMessage
from trioqueue.model.spans import optional_instant
from trioqueue.store.base import StoreBase, check_count, check_queue_name
from trioqueue.store.operations import attempts, health, measure, stopped, upkeep
from trioqueue.store.operations.core import unwrap

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from trioqueue.metrics.sample import Sample

T = TypeVar("T")


class ServiceMethods(StoreBase):
    """Set-based upkeep, a batch at a time; safe from any number of processes."""

    async def check_schema(self) -> None:
        """See that the database answers, and has the tables that this code knows.

        Raises:
            StoreUnavailableError: It does not answer now.
            SchemaVersionError: Another trioqueue has migrated it meanwhile.
        """
        await self._read(health.check_schema)

    async def promote_due_messages(self) -> int:
        """Make a batch of due messages PENDING; return how many, 0 when none is due."""
        return await self._write(upkeep.promote_due)

    async def next_due(self) -> datetime | None:
        """Return when the next delayed message falls due."""
        return optional_instant(await self._read(upkeep.next_due))

    async def find_expired_messages(
        self, queue: str | None = None, limit: int = 1000
    ) -> list[ExpiredMessage]:
        """List running messages past a deadline.

        Args:
            queue: Only of this queue (None: of all).
            limit: At most so many, those past it longest first.

        Raises:
            QueueNotFoundError: There is no such queue.
        """
        if queue is not None:
            check_queue_name(queue)
        check_count(limit, "limit")
        now = self._clock.now_us()
        return await self._read(attempts.find_expired, now, queue, limit)

    async def reclaim_expired_message(
        self, queue: str | None, message: ExpiredMessage
    ) -> bool:
        """End one expired attempt: the message is retried or becomes a dead letter.

        Returns:
            Whether it was ended here; False if it was prolonged or ended meanwhile.
        """
        if queue is not None:
            check_queue_name(queue)
        return await self.reclaim_expired_messages([message]) == 1

    async def reclaim_expired_messages(self, messages: Sequence[ExpiredMessage]) -> int:
        """End many expired attempts in one transaction; return how many were."""
        if not messages:
            await trio.lowlevel.checkpoint()
            return 0
        answers = await self._executor.batch(attempts.expire, messages)
        return sum(unwrap(answer) for answer in answers)

    async def next_expiry(self) -> datetime | None:
        """Return the earliest deadline of any running message."""
        return optional_instant(await self._read(attempts.next_expiry))

    async def end_stopped_clients(
        self, seen: Sequence[str], messages: Sequence[ExpiredMessage]
    ) -> dict[str, bool]:
        """End transactions of clients that stopped in the middle of a request.

        Only a PostgreSQL server has any, for clients of the same role.

        Args:
            seen: Those that an earlier look, a second ago or more, has returned.
            messages: Expired ones that somebody holds: who does is given 2 s, and
                otherwise 4 s more than this store would wait for an answer.

        Returns:
            Whether each was ended now; the others may be by the next look.
        """
        row_ids = [message.row_id for message in messages]
        return await self._read(stopped.end_stopped, seen, row_ids)

    async def clean_up_batch(self) -> int:
        """Delete a batch of finished messages that retention has released."""
        return await self._write(upkeep.clean_up)

    async def prune_receipts_batch(self) -> int:
        """Forget a batch of answers to attempts that ended minutes ago.

        Once there are none left, also workers that have been stale for a day.
        """
        virtual = self._clock.is_virtual
        return await self._write(upkeep.prune_receipts, virtual=virtual)

    async def measure(self) -> Sample:
        """Look at the whole database for metrics; `meters` shows what was found.

        The series of queues that are gone are dropped.
        """
        known = self._meters.queues
        now = self._clock.now_us()
        virtual = self._clock.is_virtual
        sample = await self._read(measure.measure, now, virtual=virtual)
        self._meters.see(sample, known)
        return sample

    async def next_release(self) -> datetime | None:
        """Return when retention releases the next finished message."""
        return optional_instant(await self._read(upkeep.next_release))
