"""The store's message methods: post, look, cancel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import trio

from trioqueue.errors import (
    Issue,
    MessageNotFoundError,
    NotFoundError,
    ValidationError,
)
from trioqueue.model.message import (
    JSON_TYPE,
    LIVE_STATES,
    PRIORITIES,
    BulkMode,
    MessageState,
    NewMessage,
    PostOutcome,
    PostResult,
)
from trioqueue.store.base import (
    POLL_SECONDS,
    StoreBase,
    check_count,
    check_message_id,
    check_queue_name,
    check_text,
)
from trioqueue.store.deciding import (
    ManyUndecidedError,
    decide,
    together,
    undecided_in,
)
from trioqueue.store.drafts import make_draft
from trioqueue.store.operations.cancel import cancel
from trioqueue.store.operations.core import unwrap
from trioqueue.store.operations.post import MAX_BATCH, more_issues, post
from trioqueue.store.operations.read import get_message, peek
from trioqueue.store.operations.rows import queue_named
from trioqueue.store.post_answers import error_of, numbered, post_all
from trioqueue.tracing import sending, tracing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from trioqueue.model.lease_policy import LeasePolicy
    from trioqueue.model.message import Message
    from trioqueue.model.spans import Seconds
    from trioqueue.store.operations.post import Draft


class MessageMethods(StoreBase):
    """Post messages, look at them, withdraw them."""

    async def post(
        self,
        queue: str,
        payload: Any,
        *,
        message_id: str | None = None,
        priority: int | None = None,
        delay_seconds: Seconds | None = None,
        scheduled_time: datetime | None = None,
        max_attempts: int | None = None,
        lease: LeasePolicy | None = None,
        content_type: str = JSON_TYPE,
        metadata: Mapping[str, Any] | None = None,
        schema_id: str | None = None,
        schema_version: int | None = None,
        exclusivity_key: str | None = None,
    ) -> Message:
        """Store a message; when this returns it survives a power cut.

        Posting the same id with the same content again returns what is stored, so a
        post whose answer was lost may be repeated.

        Args:
            queue: The queue's name.
            payload: Any JSON value; for ``text/*`` a str, for other types bytes.
            message_id: 1 to 256 characters of ``A-Z a-z 0-9 . _ : -``, unique in the
                queue (default: a UUID that sorts by time).
            priority: 0 to 4, higher first (2).
            delay_seconds: How long it stays INVISIBLE, in seconds.
            scheduled_time: Until when it stays INVISIBLE, an aware datetime.
            max_attempts: How often it may be tried, -1 for no limit (the queue's).
            lease: Lease terms of its own; fields left unset are the queue's.
            content_type: How to read the payload.
            metadata: String keys to JSON values, kept beside the payload.
            schema_id: The schema that its payload must fit (the queue's).
            schema_version: Which version of it (the latest that is active).
            exclusivity_key: Not available yet.

        Raises:
            ValidationError: Something is wrong; every problem is named, nothing stored.
            QueueNotFoundError: There is no such queue.
            DuplicateMessageError: The id is taken by other content.

        Cancellation before the message's transaction begins leaves nothing behind;
        after that, this returns the stored message.
        """
        new = NewMessage(
            payload,
            message_id=message_id,
            priority=priority,
            delay_seconds=delay_seconds,
            scheduled_time=scheduled_time,
            max_attempts=max_attempts,
            lease=lease,
            content_type=content_type,
            metadata=metadata,
            schema_id=schema_id,
            schema_version=schema_version,
            exclusivity_key=exclusivity_key,
        )
        if type(queue) is not str:
            check_queue_name(queue)
        if (api := tracing()) is not None:
            with sending(api, queue):
                return await self._post_one(queue, new)
        return await self._post_one(queue, new)

    async def _post_one(self, queue: str, new: NewMessage) -> Message:
        draft, issues = make_draft(
            queue,
            new,
            self._clock.now_us(),
            self._source,
            elsewhere=self._has_threads,
        )
        if issues:
            (more,) = await self._read(more_issues, check_queue_name(queue), [draft])
            raise ValidationError(together(issues, more))
        (answer,) = await self._executor.batch(post, [draft])
        while (undecided := undecided_in([answer])) is not None:
            (draft,) = await decide([draft], undecided, self._planners)
            (answer,) = await self._executor.batch(post, [draft])
        result = unwrap(answer)
        if result.message is None:
            raise error_of(result, draft)
        return result.message

    @property
    def _has_threads(self) -> bool:
        """Whether work may go to a thread: in virtual time that would look idle."""
        return not self._clock.is_virtual

    async def post_many(
        self,
        queue: str,
        messages: Iterable[NewMessage],
        *,
        mode: BulkMode = BulkMode.ALL_OR_NOTHING,
    ) -> list[PostResult]:
        """Store up to 10,000 messages in one transaction; results in request order.

        Args:
            queue: The queue's name.
            messages: What to post.
            mode: ``ALL_OR_NOTHING``: if any message is wrong, nothing is stored and
                this raises.  ``BEST_EFFORT``: the others are stored, and each result
                says ``posted``, ``duplicate``, ``invalid`` or ``conflict``.

        Raises:
            ValidationError: Too many messages; or, all or nothing, an invalid one, each
                problem named like ``messages[3].priority``.
            QueueNotFoundError: There is no such queue.
            DuplicateMessageError: All or nothing: an id is taken by other content.
        """
        check_queue_name(queue)
        batch = list(messages)
        self._check_batch(batch, mode)
        if (api := tracing()) is not None:
            with sending(api, queue, len(batch)):
                return await self._post_batch(queue, batch, mode)
        return await self._post_batch(queue, batch, mode)

    async def _post_batch(
        self, queue: str, batch: list[NewMessage], mode: BulkMode
    ) -> list[PostResult]:
        drafts: list[Draft] = []
        issues: dict[int, list[Issue]] = {}
        now = self._clock.now_us()
        for index, new in enumerate(batch):
            draft, problems = make_draft(
                queue, new, now, self._source, elsewhere=self._has_threads
            )
            drafts.append(draft)
            if problems:
                issues[index] = problems
        if issues:
            # All or nothing names what is wrong with any of them.
            every = mode is BulkMode.ALL_OR_NOTHING
            wanted = range(len(drafts)) if every else list(issues)
            found = await self._read(more_issues, queue, [drafts[i] for i in wanted])
            for index, more in zip(wanted, found, strict=True):
                if problems := together(issues.get(index, []), more):
                    issues[index] = problems
            if every:
                raise numbered(dict(sorted(issues.items())))
        good = [draft for index, draft in enumerate(drafts) if index not in issues]
        answers = iter(await self._post_drafts(queue, good, mode))
        return [
            PostResult(PostOutcome.INVALID, None, ValidationError(issues[index]))
            if index in issues
            else next(answers)
            for index in range(len(drafts))
        ]

    @staticmethod
    def _check_batch(batch: Sequence[object], mode: object) -> None:
        if len(batch) > MAX_BATCH:
            raise ValidationError.of(
                "messages", f"at most {MAX_BATCH} at once, got {len(batch)}; split them"
            )
        if not isinstance(mode, BulkMode):
            raise ValidationError.of("mode", f"expected BulkMode, got {mode!r}")
        wrong = [i for i, new in enumerate(batch) if not isinstance(new, NewMessage)]
        if wrong:
            raise ValidationError(
                Issue(f"messages[{i}]", f"expected NewMessage, got {batch[i]!r}")
                for i in wrong
            )

    async def _post_drafts(
        self, queue: str, drafts: list[Draft], mode: BulkMode
    ) -> list[PostResult]:
        if not drafts:
            await self._read(queue_named, check_queue_name(queue))
            return []
        if mode is BulkMode.ALL_OR_NOTHING:
            while True:
                try:
                    return await self._write(post_all, drafts)
                except ManyUndecidedError as error:
                    undecided = error.documents
                drafts = await decide(drafts, undecided, self._planners)
        answers = list(await self._executor.batch(post, drafts))
        while (documents := undecided_in(answers)) is not None:
            drafts = await decide(drafts, documents, self._planners)
            left = list(documents)
            again = await self._executor.batch(post, [drafts[i] for i in left])
            for index, answer in zip(left, again, strict=True):
                answers[index] = answer
        results = [unwrap(answer) for answer in answers]
        for result in results:
            if isinstance(result.error, NotFoundError):
                raise result.error
        return results

    async def get_message(self, queue: str, message_id: str) -> Message:
        """Return a message, live, retained or dead, with its attempts.

        Raises:
            QueueNotFoundError: There is no such queue.
            MessageNotFoundError: There is no such message (any more).
        """
        return await self._read(
            get_message, check_queue_name(queue), check_message_id(message_id)
        )

    async def wait_finished(self, queue: str, message_id: str) -> Message:
        """Wait until a message has finished; return it as it ended.

        Bound the wait with a cancel scope; the message itself is not affected.

        Raises:
            QueueNotFoundError: There is no such queue.
            MessageNotFoundError: There is no such message; or it has finished and its
                queue keeps nothing, see ``QueueOptions.retention``.
        """
        key = (check_queue_name(queue), check_message_id(message_id))
        found = False
        while True:
            with self._hub.listen_for_end(key) as ended:
                try:
                    message = await self._read(get_message, *key)
                except MessageNotFoundError:
                    if not found:
                        raise
                    hint = (
                        "it has finished and its queue keeps nothing; give the queue "
                        "retention=RetentionPolicy.keep(seconds) to have its result"
                    )
                    raise MessageNotFoundError(*key, hint) from None
                if message.state not in LIVE_STATES:
                    return message
                found = True
                with trio.move_on_after(
                    math.inf if self.sees_every_change else POLL_SECONDS
                ):
                    await ended.wait()

    async def peek(
        self,
        queue: str,
        *,
        limit: int = 10,
        states: Iterable[MessageState] | None = None,
        priority_range: tuple[int, int] | None = None,
        after: str | None = None,
    ) -> list[Message]:
        """List messages without touching them.

        PENDING ones come in the order in which they will be claimed, then RUNNING by
        deadline, INVISIBLE by due time, and finished ones newest first.

        Args:
            queue: The queue's name.
            limit: At most so many.
            states: Only these (default: those that have not finished).
            priority_range: Only priorities from the first to the second, inclusive.
            after: Go on after this message id: the last one of the page before.

        Raises:
            QueueNotFoundError: There is no such queue.
            MessageNotFoundError: `after` is not there any more.
        """
        chosen = None if states is None else _check_states(states)
        return await self._read(
            peek,
            check_queue_name(queue),
            limit=check_count(limit, "limit"),
            states=chosen,
            priorities=_check_range(priority_range),
            after=None if after is None else check_message_id(after, "after"),
        )

    async def cancel(
        self,
        queue: str,
        message_id: str,
        *,
        reason: str | None = None,
        abort: bool = False,
    ) -> Message:
        """Withdraw a message.

        One that waits ends CANCELED at once.  For a running one, `abort` asks its
        worker to cancel the handler, which happens at the next heartbeat at the latest;
        the message then ends CANCELED, however its attempt ends.

        Returns:
            The message, CANCELED, or RUNNING with an abort requested.

        Raises:
            QueueNotFoundError: There is no such queue.
            MessageNotFoundError: There is no such message.
            IllegalStateError: It runs and `abort` is false, or it has finished.
        """
        return await self._write(
            cancel,
            check_queue_name(queue),
            check_message_id(message_id),
            check_text(reason, "reason"),
            abort=abort,
        )


def _check_states(states: Iterable[MessageState]) -> list[MessageState]:
    chosen = list(states)
    for state in chosen:
        if not isinstance(state, MessageState):
            raise ValidationError.of("states", f"expected MessageState, got {state!r}")
    return chosen


def _check_range(value: tuple[int, int] | None) -> tuple[int, int]:
    if value is None:
        return (PRIORITIES[0], PRIORITIES[-1])
    try:
        low, high = value
    except (TypeError, ValueError):
        low, high = -1, -1
    if low not in PRIORITIES or high not in PRIORITIES or low > high:
        raise ValidationError.of(
            "priority_range", f"must be (lowest, highest) from 0 to 4, got {value!r}"
        )
    return low, high
