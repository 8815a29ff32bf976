"""The store's dead letter methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from trioqueue.errors import ValidationError
from trioqueue.model.message import DeadLetter
from trioqueue.model.spans import to_micros
from trioqueue.store.base import (
    StoreBase,
    check_count,
    check_message_id,
    check_queue_name,
    check_spread,
    check_text,
)
from trioqueue.store.operations import dead_letters, selection

if TYPE_CHECKING:
    from trioqueue.model.message import DeadLetterStats, Message
    from trioqueue.model.message_filter import MessageFilter
    from trioqueue.model.spans import Seconds
    from trioqueue.store.operations.core import Operation


class DeadLetterMethods(StoreBase):
    """Look at dead letters, give them a new life, throw them away.

    Where a `name` is asked for, a dead letter queue's name means everything kept under
    it, and a queue's name means that queue's own dead letters.
    """

    async def dead_letters(
        self,
        name: str,
        *,
        limit: int = 100,
        after: DeadLetter | str | None = None,
        reason: str | None = None,
        wanted: MessageFilter | None = None,
    ) -> list[DeadLetter]:
        """List dead letters, newest first.

        Args:
            name: A queue's name, or a dead letter queue's.
            limit: At most so many.
            after: Go on after this one: the last of the page before, or its message id
                (which under a shared name may mean several: give the letter then).
            reason: Only those that died for this reason.
            wanted: Only those that fit this filter, too.

        Raises:
            QueueNotFoundError: There is no such name.
            MessageNotFoundError: `after` is not there any more.
        """
        check_queue_name(name, "name")
        room = check_count(limit, "limit")
        start: tuple[str, str] | str | None = None
        if isinstance(after, DeadLetter):
            start = (after.queue, after.message.message_id)
        elif after is not None:
            start = check_message_id(after, "after")
        check_text(reason, "reason")
        if wanted is not None:
            return await self._find_letters(name, room, start, reason, wanted)
        return await self._read(
            dead_letters.list_dead_letters,
            name,
            limit=room,
            after=start,
            reason=reason,
        )

    async def _find_letters(
        self,
        name: str,
        room: int,
        after: tuple[str, str] | str | None,
        reason: str | None,
        wanted: MessageFilter,
    ) -> list[DeadLetter]:
        if wanted.dead_letters_under not in (None, name):
            raise ValidationError.of("wanted.dead_letters_under", f"must be {name!r}")
        if reason is not None and wanted.reason not in (None, reason):
            raise ValidationError.of("wanted.reason", f"must be {reason!r}, as reason")
        fitting = attrs.evolve(
            wanted, dead_letters_under=name, reason=reason or wanted.reason
        )
        criteria, place = await self._read(selection.dead_start, fitting, after)
        letters: list[DeadLetter] = []
        at_end = False
        while len(letters) < room and not at_end:
            found, part = await self._read(
                selection.dead_page, criteria, place, room - len(letters)
            )
            letters += found
            place, at_end = part.before, part.at_end
        return letters

    async def requeue(
        self, queue: str, message_id: str, *, target: str | None = None
    ) -> Message:
        """Give one dead letter a new life: PENDING, its attempts reset.

        Args:
            queue: The queue it came from, or its dead letter queue.
            message_id: Its id.
            target: Another queue to put it in.

        Raises:
            QueueNotFoundError, MessageNotFoundError: There is no such thing.
            ConflictError: The target already has a message of this id.
        """
        return await self._write(
            dead_letters.requeue,
            check_queue_name(queue),
            check_message_id(message_id),
            None if target is None else check_queue_name(target, "target"),
        )

    async def requeue_all(
        self,
        name: str,
        *,
        reason: str | None = None,
        target: str | None = None,
        spread_seconds: Seconds = 0,
    ) -> int:
        """Give all dead letters under a name a new life, oldest first.

        They move in batches; each batch is one transaction.

        Args:
            name: A queue's name, or a dead letter queue's.
            reason: Only those that died for this reason.
            target: Another queue to put them in.
            spread_seconds: Make them due evenly over so many seconds.

        Returns:
            How many were moved.

        Raises:
            QueueNotFoundError: There is no such name.
            ConflictError: The target already has a message of one of the ids.
        """
        check_queue_name(name, "name")
        if target is not None:
            check_queue_name(target, "target")
        spread = check_spread(spread_seconds)
        wanted = check_text(reason, "reason")
        newest, total = await self._read(_extent, name, wanted)
        step = to_micros(spread) / max(1, total)
        moved = 0
        while moved < total:
            size = min(dead_letters.BATCH, total - moved)
            delays = [round(step * (moved + place)) for place in range(size)]
            count = await self._write(
                dead_letters.requeue_batch,
                name,
                reason=wanted,
                target=target,
                newest_id=newest,
                delays=delays,
            )
            moved += count
            if count < size:
                break
        return moved

    async def delete_dead_letter(self, queue: str, message_id: str) -> None:
        """Delete one dead letter.

        Raises:
            QueueNotFoundError, MessageNotFoundError: There is no such thing.
        """
        await self._write(
            dead_letters.delete_dead_letter,
            check_queue_name(queue),
            check_message_id(message_id),
        )

    async def purge_dead_letters(self, name: str) -> int:
        """Delete all dead letters under a name; return how many.

        Raises:
            QueueNotFoundError: There is no such name.
        """
        newest, _ = await self._read(_extent, check_queue_name(name, "name"))
        purged = 0
        while count := await self._write(dead_letters.purge_batch, name, newest):
            purged += count
        return purged

    async def dead_letter_stats(self, name: str) -> DeadLetterStats:
        """Count dead letters by reason.

        Raises:
            QueueNotFoundError: There is no such name.
        """
        return await self._read(
            dead_letters.dead_letter_stats, check_queue_name(name, "name")
        )


def _extent(name: str, reason: str | None = None) -> Operation[tuple[int, int]]:
    """Return the newest row under a name, and how many there are of a reason."""
    newest = yield from dead_letters.newest_dead_letter(name)
    stats = yield from dead_letters.dead_letter_stats(name)
    return newest, stats.count if reason is None else stats.by_reason.get(reason, 0)
