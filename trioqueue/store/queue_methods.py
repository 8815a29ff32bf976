"""The store's queue methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioqueue.errors import ValidationError
from trioqueue.model.options_codec import option_issues
from trioqueue.model.queue import QueueOptions, queue_name_issues
from trioqueue.store.base import StoreBase, check_count, check_queue_name, check_text
from trioqueue.store.operations import queues
from trioqueue.store.operations.read import queue_state

if TYPE_CHECKING:
    from trioqueue.model.queue import Queue, QueueState


class QueueMethods(StoreBase):
    """Create, change, list, pause and look at queues."""

    async def create_queue(
        self, name: str, options: QueueOptions | None = None
    ) -> Queue:
        """Create a queue, or return it if it exists with the same options.

        Args:
            name: 1 to 128 characters of ``A-Z a-z 0-9 . _ -``.
            options: What it does with its messages (default: ``QueueOptions()``).

        Raises:
            ValidationError: The name or an option is wrong; every problem is named.
            QueueExistsError: It exists with other options.
        """
        options = QueueOptions() if options is None else options
        issues = queue_name_issues(name, "name") + option_issues(options)
        if issues:
            raise ValidationError(issues)
        return await self._write(queues.create_queue, name, options)

    async def update_queue(self, name: str, options: QueueOptions) -> Queue:
        """Replace a queue's options.

        What was fixed when a message was posted (its ``max_attempts``) stays.

        Raises:
            ValidationError: An option is wrong.
            QueueNotFoundError: There is no such queue.
        """
        issues = queue_name_issues(name, "name") + option_issues(options)
        if issues:
            raise ValidationError(issues)
        return await self._write(queues.update_queue, name, options)

    async def get_queue(self, name: str) -> Queue:
        """Return one queue.

        Raises:
            QueueNotFoundError: There is no such queue.
        """
        return await self._read(queues.get_queue, check_queue_name(name))

    async def list_queues(
        self, prefix: str = "", *, limit: int = 100, after: str | None = None
    ) -> list[Queue]:
        """List queues by name.

        Args:
            prefix: Only names that begin with it.
            limit: At most so many.
            after: Go on after this name: the last one of the page before.
        """
        text = check_text(prefix, "prefix") or ""
        start = check_text(after, "after")
        return await self._read(
            queues.list_queues, text, check_count(limit, "limit"), start
        )

    async def delete_queue(self, name: str, *, force: bool = False) -> None:
        """Delete a queue with everything in it.

        Raises:
            QueueNotFoundError: There is no such queue.
            IllegalStateError: It holds live messages or dead letters, or schedules post
                to it, and not `force`.
        """
        await self._write(queues.delete_queue, check_queue_name(name), force=force)

    async def pause_queue(
        self, name: str, reason: str | None = None, *, by: str | None = None
    ) -> Queue:
        """Refuse claims: once this returns, no new claim on the queue commits.

        Jobs already running go on.  Pausing a paused queue changes the reason, and who
        gave it, but not since when it is paused.

        Args:
            name: The queue's name.
            reason: Why; `Queue.pause_reason` and `explain` tell it.
            by: Who pauses it: a person, a program.

        Raises:
            QueueNotFoundError: There is no such queue.
        """
        checked = check_queue_name(name)
        why, who = check_text(reason, "reason"), check_text(by, "by", most=256)
        return await self._write(queues.pause_queue, checked, why, who)

    async def resume_queue(self, name: str) -> Queue:
        """Allow claims again; those who wait for messages are woken.

        Raises:
            QueueNotFoundError: There is no such queue.
        """
        return await self._write(queues.resume_queue, check_queue_name(name))

    async def queue_state(self, name: str) -> QueueState:
        """Count a queue's messages, exactly, in one consistent snapshot.

        Raises:
            QueueNotFoundError: There is no such queue.
        """
        now = self._clock.now_us()
        return await self._read(queue_state, check_queue_name(name), now)
