"""Messages, and what a worker holds of them."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, TypedDict, final

import attrs

from trioqueue.errors import ValidationError
from trioqueue.model.queue import UNLIMITED_ATTEMPTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from trioqueue.errors import TrioQueueError
    from trioqueue.model.lease_policy import LeasePolicy
    from trioqueue.model.spans import Seconds
    from trioqueue.store.transaction_methods import JobTransaction

JSON_TYPE: Final = "application/json"
DEFAULT_PRIORITY: Final = 2
PRIORITIES: Final = range(5)


@final
class MessageState(IntEnum):
    """Where a message is in its life; it is in exactly one state at any instant."""

    INVISIBLE = 0
    """Not due yet, or waiting out a retry delay."""
    PENDING = 1
    """Ready to be claimed."""
    RUNNING = 2
    """In a worker's hands under a lease."""
    COMPLETED = 3
    """Done."""
    CANCELED = 4
    """Withdrawn."""
    ERRORED = 5
    """A dead letter."""


LIVE_STATES: Final = (
    MessageState.PENDING,
    MessageState.RUNNING,
    MessageState.INVISIBLE,
)


@final
@attrs.frozen(slots=False)  # made often: without slots it is made twice as fast
class Lease:
    """A hold on a message, as it stands now.

    Attributes:
        expires_at: When it ends unless a heartbeat prolongs it.
        heartbeat_expires_at: By when the next heartbeat must come, if one must.
        capped: Whether a heartbeat can no longer prolong it.
        abort_requested: Whether somebody asked for the message to be canceled.
        abort_reason: Why, if a reason was given.
    """

    expires_at: datetime
    heartbeat_expires_at: datetime | None = None
    capped: bool = False
    abort_requested: bool = False
    abort_reason: str | None = None

    @property
    def deadline(self) -> datetime:
        """The earlier of its two deadlines."""
        beat = self.heartbeat_expires_at
        return self.expires_at if beat is None else min(self.expires_at, beat)


@final
@attrs.frozen
class AttemptRecord:
    """One run of a handler, as far as it got.

    Attributes:
        number: Counted from 1.
        worker_id: Who ran it.
        started_at: When it was claimed.
        ended_at: When it ended (None: it is running).
        outcome: ``completed``, ``failed``, ``lease_expired``, ``heartbeat_expired``,
            ``canceled`` or ``discarded`` (None: it is running).
        error_type: The exception's type, if it failed.
        error_message: The exception's text.
        traceback: The traceback, at most 16 KiB of it.
    """

    number: int
    worker_id: str | None
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    traceback: str | None = None


@final
@attrs.frozen(slots=False)  # made often: without slots it is made twice as fast
class Message:
    """A message as it was when it was read.

    Attributes:
        queue: Its queue.
        message_id: Its id, unique in the queue.
        payload: What it carries, decoded by its content type.
        content_type: ``application/json``, ``text/*`` (str) or anything else (bytes).
        metadata: String keys to JSON values.
        priority: 0 to 4, higher first.
        state: Where it is in its life.
        created_at: When it was posted.
        scheduled_time: When it falls (or fell) due, if it was delayed.
        attempt: The number of the running or last attempt (0: none yet).
        max_attempts: How many it may use, -1 for no limit.
        lease: The hold on it, while it runs.
        lease_policy: The lease terms it was posted with, if any.
        worker_id: Who holds it, or held it last.
        result: What the handler returned, if it is COMPLETED and kept.
        reason: Why it was canceled or died.
        finished_at: When it left RUNNING, INVISIBLE or PENDING for good.
        attempts: The history of its attempts; filled by ``get_message`` and
            ``find_messages``, by dead letters and on finished messages, empty
            elsewhere.
        schema_id: The schema it was validated against, if any.
        schema_version: Which version of it.
    """

    queue: str
    message_id: str
    payload: Any
    content_type: str = JSON_TYPE
    metadata: Mapping[str, Any] = attrs.field(factory=dict)
    priority: int = DEFAULT_PRIORITY
    state: MessageState = MessageState.PENDING
    created_at: datetime = None  # type: ignore[assignment]  # always given by the store
    scheduled_time: datetime | None = None
    attempt: int = 0
    max_attempts: int = 3
    lease: Lease | None = None
    lease_policy: LeasePolicy | None = None
    worker_id: str | None = None
    result: Any = None
    reason: str | None = None
    finished_at: datetime | None = None
    attempts: tuple[AttemptRecord, ...] = ()
    schema_id: str | None = None
    schema_version: int | None = None

    @property
    def attempts_left(self) -> int:
        """How many more attempts it may use, -1 for any number."""
        if self.max_attempts == UNLIMITED_ATTEMPTS:
            return UNLIMITED_ATTEMPTS
        return max(0, self.max_attempts - self.attempt)


@final
@attrs.frozen(slots=False)  # made often: without slots it is made twice as fast
class NewMessage:
    """A message to post; the fields are the keyword arguments of ``post``."""

    payload: Any
    message_id: str | None = attrs.field(default=None, kw_only=True)
    priority: int | None = attrs.field(default=None, kw_only=True)
    delay_seconds: Seconds | None = attrs.field(default=None, kw_only=True)
    scheduled_time: datetime | None = attrs.field(default=None, kw_only=True)
    max_attempts: int | None = attrs.field(default=None, kw_only=True)
    lease: LeasePolicy | None = attrs.field(default=None, kw_only=True)
    content_type: str = attrs.field(default=JSON_TYPE, kw_only=True)
    metadata: Mapping[str, Any] | None = attrs.field(default=None, kw_only=True)
    schema_id: str | None = attrs.field(default=None, kw_only=True)
    schema_version: int | None = attrs.field(default=None, kw_only=True)
    exclusivity_key: str | None = attrs.field(default=None, kw_only=True)


class PostOptions(TypedDict, total=False):
    """The keyword arguments of ``post``, besides the payload; see `NewMessage`."""

    message_id: str | None
    priority: int | None
    delay_seconds: Seconds | None
    scheduled_time: datetime | None
    max_attempts: int | None
    lease: LeasePolicy | None
    content_type: str
    metadata: Mapping[str, Any] | None
    schema_id: str | None
    schema_version: int | None
    exclusivity_key: str | None


@final
class BulkMode(StrEnum):
    """What ``post_many`` does when one of the messages is wrong."""

    ALL_OR_NOTHING = "all_or_nothing"
    """Store nothing and raise."""
    BEST_EFFORT = "best_effort"
    """Store the others; each message gets its own outcome."""


@final
class PostOutcome(StrEnum):
    """What became of one message of ``post_many``."""

    POSTED = "posted"
    DUPLICATE = "duplicate"
    INVALID = "invalid"
    CONFLICT = "conflict"


@final
@attrs.frozen(slots=False)  # made often: without slots it is made twice as fast
class PostResult:
    """The answer to one message of ``post_many``.

    Attributes:
        outcome: What became of it.
        message: The stored message, if it is stored.
        error: Why it is not, if it is not.
    """

    outcome: PostOutcome
    message: Message | None = None
    error: TrioQueueError | None = None


class JobHome(Protocol):
    """Where a job was claimed: a store."""

    def transaction(self, job: Job) -> AbstractAsyncContextManager[JobTransaction]:
        """Begin a transaction that completes a job."""
        ...


@final
@attrs.frozen(slots=False)  # made often: without slots it is made twice as fast
class Job:
    """A message in a worker's hands: the message, the attempt and its lease.

    The attempt id and the token fence every verb: once the attempt is over, nothing
    done with this record changes anything.

    Attributes:
        message: The message, RUNNING.
        attempt: Which attempt this is, counted from 1.
        attempt_id: The fencing value: never decreases, is never used again.
        lease: The lease as it was at the claim.
        lease_policy: The terms of the lease, merged.
        worker_id: Who claimed it.
        row_id: The store's own number of the message.
        token: Random bits that must match, so that an attempt id cannot be guessed.
    """

    message: Message
    attempt: int
    attempt_id: int
    lease: Lease
    lease_policy: LeasePolicy
    worker_id: str | None
    row_id: int = attrs.field(repr=False)
    token: int = attrs.field(repr=False)
    # No fields, for they are no facts: copies and pickles of a job are without them.
    _home: ClassVar[JobHome | None] = None
    _ended: ClassVar[bool] = False

    def transaction(self) -> AbstractAsyncContextManager[JobTransaction]:
        """Begin a transaction on the store's database that completes this job.

        Leaving the block commits, all at once: your rows, messages it has posted, and
        the completion, with ``transaction.result`` as the result.  If it raises or is
        canceled, or the attempt is over meanwhile, nothing of it is stored.

        ::

            async with job.transaction() as transaction:
                await transaction.execute("INSERT INTO paid VALUES (?)", [order])
                await transaction.post("receipts", {"order": order})

        On SQLite the block holds the only write lock of the file: everybody else who
        writes waits for its end, and so do heartbeats.  Keep it much shorter than the
        lease; the block itself cannot write through the store.

        Raises:
            LeaseLostError: The attempt is over; nothing is stored.
            ValidationError: The result is not a JSON value; the database is in memory;
                or this is a copy of a job: use ``store.transaction(job)``.
            IllegalStateError: The block has ended the transaction itself.
            StoreUnavailableError: The database cannot be used, or did not answer.
        """
        if self._home is None:
            message = "a copy does not know its store; use store.transaction(job)"
            raise ValidationError.of("job", message)
        return self._home.transaction(self)

    @property
    def completed(self) -> bool:
        """Whether its own `transaction` has completed it."""
        return self._ended

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied and pickled: the facts."""
        state = vars(self)
        return {key: state[key] for key in state if key not in {"_home", "_ended"}}

    @property
    def payload(self) -> Any:
        """What the message carries."""
        return self.message.payload

    @property
    def queue(self) -> str:
        """The queue it was claimed from."""
        return self.message.queue

    @property
    def message_id(self) -> str:
        """The message's id."""
        return self.message.message_id


def bring_home(jobs: Iterable[Job], home: Any) -> None:
    """Tell jobs where they were claimed."""
    for job in jobs:
        job.__dict__["_home"] = home


def mark_ended(job: Job) -> None:
    """Note that a job's own transaction has completed it."""
    vars(job)["_ended"] = True


@final
@attrs.frozen
class DeadLetter:
    """A message that used up its attempts, or was given up for good.

    Attributes:
        queue: The queue it came from.
        dead_letter_queue: The name it is kept under.
        message: The message, ERRORED.
        reason: ``max_attempts``, ``lease_expired``, ``heartbeat_expired``,
            ``discarded``, ``undecodable``, …
        attempts: Every attempt kept, with its error and worker.
        died_at: When.
    """

    queue: str
    dead_letter_queue: str
    message: Message
    reason: str
    attempts: tuple[AttemptRecord, ...]
    died_at: datetime


@final
@attrs.frozen
class DeadLetterStats:
    """Dead letters in figures.

    Attributes:
        count: How many are kept.
        oldest_at: When the oldest died.
        newest_at: When the newest died.
        by_reason: How many for each reason.
    """

    count: int
    oldest_at: datetime | None
    newest_at: datetime | None
    by_reason: Mapping[str, int]


@final
@attrs.frozen
class ExpiredMessage:
    """A running message past a deadline, as ``find_expired_messages`` saw it.

    Reclaiming it checks again: a heartbeat or an end in between wins.

    Attributes:
        queue: Its queue.
        message_id: Its id.
        attempt_id: The attempt that was running.
        expired_at: The deadline that has passed.
        row_id: The store's own number of the message.
    """

    queue: str
    message_id: str
    attempt_id: int
    expired_at: datetime
    row_id: int = attrs.field(repr=False)
