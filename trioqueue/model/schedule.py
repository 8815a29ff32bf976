"""Schedules: what posts messages at the instants that a rule gives."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, final

import attrs

from trioqueue.errors import ValidationError
from trioqueue.model.message import JSON_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from trioqueue.model.lease_policy import LeasePolicy
    from trioqueue.model.spans import Seconds
    from trioqueue.schedules.when import When

SCHEDULE_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
DEFAULT_CATCHUP: Final = 100
MAX_CATCHUP: Final = 1000

RunKind: TypeAlias = Literal["on_time", "catch_up", "manual"]


@final
class ScheduleState(IntEnum):
    """Where a schedule is in its life."""

    SCHEDULED = 0
    """It runs."""
    PAUSED = 1
    """It waits until it is resumed."""
    COMPLETED = 2
    """It has no runs left."""
    ERRORED = 3
    """A run could not be posted; see its reason, mend it, and resume it."""


@final
@attrs.frozen
class Misfire:
    """What becomes of runs missed while nobody could post them.

    Make one with the class methods.  A run is missed when it is more than a minute
    late; all policies post a run that is less late than that.
    """

    kind: Literal["coalesce", "skip", "all"]
    max_catchup: int = DEFAULT_CATCHUP

    @classmethod
    def coalesce(cls) -> Misfire:
        """Run once, for the latest of them, saying how many others it stands for."""
        return cls("coalesce")

    @classmethod
    def skip(cls) -> Misfire:
        """Run none of them."""
        return cls("skip")

    @classmethod
    def all(cls, max_catchup: int = DEFAULT_CATCHUP) -> Misfire:
        """Run them all in order; where they are too many, the latest ones.

        Args:
            max_catchup: How many at most, 1 to 1000 (100).
        """
        if type(max_catchup) is not int or not 1 <= max_catchup <= MAX_CATCHUP:
            raise ValidationError.of(
                "misfire.max_catchup",
                f"must be a whole number from 1 to {MAX_CATCHUP}, got {max_catchup!r}",
            )
        return cls("all", max_catchup)

    def settings(self) -> dict[str, Any]:
        """Return what is stored with a schedule."""
        return {"kind": self.kind, "max_catchup": self.max_catchup}


@final
@attrs.frozen
class Schedule:
    """What posts a message to a queue whenever a rule says so.

    Give one to ``create_schedule``; what comes back also has the fields from `state`
    on, which are read only.

    Attributes:
        id: 1 to 128 characters of ``A-Z a-z 0-9 . _ : -``.
        queue: Where it posts.
        when: When it runs: a `Cron` or a `Calendar`.
        payload: What its messages carry.
        content_type: How to read the payload.
        metadata: String keys to JSON values, kept beside the payload.
        priority: 0 to 4, higher first (None: the default).
        lease: Lease terms of its messages.
        misfire: What becomes of missed runs.
        jitter_seconds: Each message waits up to so long; how long depends on the
            schedule and the run alone.
        max_messages: After so many runs it is COMPLETED (None: no limit).
        start_at: The first instant at which it may run (None: at once).
        end_at: The last instant at which it may run (None: no end).
        max_attempts: How often each message may be tried (None: as the queue says).
        state: Where it is in its life.
        reason: Why it is PAUSED, COMPLETED or ERRORED.
        next_run: When it runs next, if it is SCHEDULED.
        last_run: The instant of its last run (manual ones do not count).
        run_count: How often it has run (manual runs do not count).
        revision: Counts its updates, from 1.
        created_at: When it was created.
        updated_at: When its settings last changed.
    """

    id: str
    queue: str
    when: When
    payload: Any = None
    content_type: str = JSON_TYPE
    metadata: Mapping[str, Any] | None = None
    priority: int | None = None
    lease: LeasePolicy | None = None
    misfire: Misfire = Misfire.coalesce()
    jitter_seconds: Seconds = 0
    max_messages: int | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    max_attempts: int | None = attrs.field(default=None, kw_only=True)
    state: ScheduleState = attrs.field(default=ScheduleState.SCHEDULED, kw_only=True)
    reason: str | None = attrs.field(default=None, kw_only=True)
    next_run: datetime | None = attrs.field(default=None, kw_only=True)
    last_run: datetime | None = attrs.field(default=None, kw_only=True)
    run_count: int = attrs.field(default=0, kw_only=True)
    revision: int = attrs.field(default=0, kw_only=True)
    created_at: datetime | None = attrs.field(default=None, kw_only=True)
    updated_at: datetime | None = attrs.field(default=None, kw_only=True)


@final
@attrs.frozen
class ScheduleRun:
    """One run of a schedule, kept longer than the message it posted.

    Attributes:
        occurrence: Which run: the instant that the rules give, before any move; of a
            manual one, when it was asked for.
        message_id: The message in the schedule's queue.
        posted_at: When it was posted.
        kind: ``on_time``, ``catch_up`` (it had been missed) or ``manual``.
        merged: How many other missed runs it stands for.
    """

    occurrence: datetime
    message_id: str
    posted_at: datetime
    kind: RunKind
    merged: int = 0
