"""Why a message is not running, as a record."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, final

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from trioqueue.model.message import AttemptRecord, MessageState


@final
class ReasonKind(StrEnum):
    """What keeps a message from running; the words that programs may rely on."""

    NOT_DUE = "not_due"
    """It was scheduled or delayed, or its handler asked for a pause."""
    RETRY = "retry"
    """An attempt failed, and the next one waits."""
    NOT_PROMOTED = "not_promoted"
    """It is due, and no scheduler service has made it ready yet."""
    QUEUE_PAUSED = "queue_paused"
    """Nobody may claim from its queue."""
    NO_WORKER = "no_worker"
    """No worker for its queue is alive."""
    WORKERS_QUIET = "workers_quiet"
    """Those that are alive claim nothing more, being quiet or stopping."""
    WORKERS_BUSY = "workers_busy"
    """Those that claim have no free slot."""
    ITS_TURN = "its_turn"
    """It is ready; others may be before it."""
    RUNNING = "running"
    """It runs, under a lease."""
    WORKER_GONE = "worker_gone"
    """The worker that holds it no longer says that it is alive."""
    LEASE_ENDED = "lease_ended"
    """Its lease is over, and no reclaim service has taken it back yet."""
    ABORTING = "aborting"
    """Somebody canceled it while it runs."""
    COMPLETED = "completed"
    """It has run."""
    CANCELED = "canceled"
    """It was withdrawn."""
    DEAD = "dead"
    """It is a dead letter."""


@final
@attrs.frozen
class Reason:
    """One thing that keeps a message from running.

    Attributes:
        kind: Which; the only part that programs should look at.
        text: What is so, for people; instants are in UTC.
        advice: What to do about it, for people ("": nothing, or wait).
        until: When it ends by itself, if that is known.
        facts: What the text speaks of, by name: numbers, texts, instants.
    """

    kind: ReasonKind
    text: str
    advice: str = ""
    until: datetime | None = None
    facts: Mapping[str, Any] = attrs.field(factory=dict)


@final
@attrs.frozen
class Explanation:
    """Why a message is not running, or what it does instead.

    Attributes:
        queue: Its queue.
        message_id: Its id.
        state: Where it is in its life.
        at: The instant of which this is true.
        attempt: The number of the running or last attempt (0: none yet).
        max_attempts: How many it may use, -1 for no limit.
        reasons: All that hold, the most important first; never empty.
        attempts: What became of its attempts, oldest first.
    """

    queue: str
    message_id: str
    state: MessageState
    at: datetime
    attempt: int
    max_attempts: int
    reasons: tuple[Reason, ...]
    attempts: tuple[AttemptRecord, ...] = ()

    @property
    def reason(self) -> Reason:
        """The most important one."""
        return self.reasons[0]
