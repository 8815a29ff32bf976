"""Queues: their options, their record, their state."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal, final

import attrs

from trioqueue.errors import Issue, ValidationError
from trioqueue.model.lease_policy import LeasePolicy
from trioqueue.model.retry_policy import RetryPolicy
from trioqueue.model.spans import Seconds, to_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from trioqueue.model.message import MessageState

QUEUE_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
UNLIMITED_ATTEMPTS: Final = -1
MAX_PAYLOAD_BYTES: Final = 64 * 1024 * 1024


@final
class QueueType(StrEnum):
    """How many messages of a queue may run at once."""

    SIMPLE = "simple"
    """Any number."""
    EXCLUSIVE = "exclusive"
    """One, or one per exclusivity key."""


@final
@attrs.frozen
class RetentionPolicy:
    """What becomes of a finished message: make one with the class methods."""

    kind: Literal["delete", "keep", "keep_forever"]
    seconds: float | None = None

    @classmethod
    def delete(cls) -> RetentionPolicy:
        """Leave nothing behind, attempts included."""
        return cls("delete")

    @classmethod
    def keep(cls, seconds: Seconds) -> RetentionPolicy:
        """Keep it readable for this long after it finished."""
        span = to_seconds(seconds, "retention.seconds")
        if not 0 < span < 1e11:
            raise ValidationError.of(
                "retention.seconds", f"must be greater than 0, got {span:g}"
            )
        return cls("keep", span)

    @classmethod
    def keep_forever(cls) -> RetentionPolicy:
        """Keep it until somebody deletes it."""
        return cls("keep_forever")

    def settings(self) -> dict[str, Any]:
        """Return what is stored with a queue."""
        return {"kind": self.kind, "seconds": self.seconds}


@final
@attrs.frozen
class Fairness:
    """How a queue shares claims between priorities: make one with the class methods.

    Only `strict` runs so far; a queue with another policy is refused.
    """

    kind: Literal["strict", "weighted", "aging", "hybrid"]
    weights: tuple[tuple[int, int], ...] = ()
    age_boost_seconds: float | None = None

    @classmethod
    def strict(cls) -> Fairness:
        """Take the highest priority first."""
        return cls("strict")

    @classmethod
    def weighted(cls, weights: Mapping[int, int] | None = None) -> Fairness:
        """Give each waiting priority its share of the claims."""
        return cls("weighted", _weights(weights))

    @classmethod
    def aging(cls, age_boost_seconds: Seconds = 1800) -> Fairness:
        """Raise a message by one priority for each such span it has waited."""
        return cls("aging", (), to_seconds(age_boost_seconds, "fairness"))

    @classmethod
    def hybrid(
        cls,
        weights: Mapping[int, int] | None = None,
        age_boost_seconds: Seconds = 1800,
    ) -> Fairness:
        """Share by weight, and take over-aged messages first."""
        return cls(
            "hybrid", _weights(weights), to_seconds(age_boost_seconds, "fairness")
        )

    def settings(self) -> dict[str, Any]:
        """Return what is stored with a queue."""
        return {
            "kind": self.kind,
            "weights": [list(pair) for pair in self.weights],
            "age_boost_seconds": self.age_boost_seconds,
        }


def _weights(weights: Mapping[int, int] | None) -> tuple[tuple[int, int], ...]:
    return tuple(sorted((weights or {4: 60, 3: 30, 2: 20, 1: 10, 0: 5}).items()))


def _names(value: Any) -> Any:
    """Take any collection; what is no collection of names is refused later."""
    if isinstance(value, (list, tuple, set, frozenset)):
        return tuple(value)
    return value


@final
@attrs.frozen(kw_only=True)
class QueueOptions:
    """What a queue does with its messages; given to ``create_queue``.

    Attributes:
        max_attempts: How often a message may be tried, -1 for no limit (3).
        lease: The terms under which workers hold messages.
        retry: How long a failed message waits.
        retention: What becomes of COMPLETED and CANCELED messages (deleted at once).
        dead_letter_queue: The name under which dead letters are kept
            (``<queue>-dlq``); several queues may share one.
        dead_letter_retention: What becomes of dead letters (kept for ever).
        type: SIMPLE; EXCLUSIVE is not available yet.
        fairness: Strict; the other policies are not available yet.
        max_payload_bytes: The largest encoded payload accepted (256 KiB).
        max_metadata_bytes: The largest encoded metadata accepted (16 KiB).
        content_types: The content types accepted (None: all).
        schema_id: The schema of messages that name none themselves; the latest active
            version counts (None: they have none).
        schema_required: Refuse messages without a schema, and those that are not JSON.
        deduplication_seconds: Not available yet.
        required_metadata: Keys that every message's metadata must have.
        validators: Names of the functions, registered with ``@trioqueue.validator``,
            that every message must pass.
    """

    max_attempts: int = 3
    lease: LeasePolicy = LeasePolicy()
    retry: RetryPolicy = RetryPolicy.exponential()
    retention: RetentionPolicy = RetentionPolicy.delete()
    dead_letter_queue: str | None = None
    dead_letter_retention: RetentionPolicy = RetentionPolicy.keep_forever()
    type: QueueType = QueueType.SIMPLE
    fairness: Fairness = Fairness.strict()
    max_payload_bytes: int = 262_144
    max_metadata_bytes: int = 16_384
    content_types: tuple[str, ...] | None = attrs.field(default=None, converter=_names)
    schema_id: str | None = None
    schema_required: bool = False
    deduplication_seconds: float = 0
    required_metadata: tuple[str, ...] = attrs.field(default=(), converter=_names)
    validators: tuple[str, ...] = attrs.field(default=(), converter=_names)


@final
@attrs.frozen
class Queue:
    """A queue as it is stored.

    Attributes:
        name: Its name.
        options: Its options.
        created_at: When it was created.
        updated_at: When its options last changed.
        paused: Whether claims are refused.
        paused_at: Since when, if paused.
        pause_reason: Why, if a reason was given.
        paused_by: By whom, if they said so.
    """

    name: str
    options: QueueOptions
    created_at: datetime
    updated_at: datetime
    paused_at: datetime | None = None
    pause_reason: str | None = None
    paused_by: str | None = None

    @property
    def paused(self) -> bool:
        """Whether claims on the queue are refused."""
        return self.paused_at is not None

    @property
    def dead_letter_queue(self) -> str:
        """The name under which its dead letters are kept."""
        return dead_letter_name(self.name, self.options)


@final
@attrs.frozen
class QueueState:
    """How a queue stands, in one consistent snapshot.

    Attributes:
        counts: Messages in each of the six states, retained ones included.
        earliest_deadline: The next instant at which a running message's lease ends
            or a delayed message falls due, if any.
        oldest_ready_seconds: How long the message waiting longest has been PENDING,
            in seconds (None: none is).
        paused: Whether claims are refused.
        dead_letters: How many dead letters of this queue are kept.
    """

    counts: Mapping[MessageState, int]
    earliest_deadline: datetime | None
    oldest_ready_seconds: float | None
    paused: bool
    dead_letters: int


def dead_letter_name(queue: str, options: QueueOptions) -> str:
    """Return the name under which a queue's dead letters are kept."""
    return options.dead_letter_queue or f"{queue}-dlq"


def queue_name_issues(name: object, field: str = "queue") -> list[Issue]:
    """Say what is wrong with a queue's name, if anything."""
    if isinstance(name, str) and QUEUE_NAME.fullmatch(name):
        return []
    return [
        Issue(field, f"must be 1 to 128 characters of A-Z a-z 0-9 . _ -, got {name!r}")
    ]
