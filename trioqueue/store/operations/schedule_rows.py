"""Schedules as rows, as users see them, and as drafts to be stored."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from trioqueue.errors import (
    BusinessCalendarNotFoundError,
    Issue,
    ScheduleNotFoundError,
    TrioQueueError,
    ValidationError,
    ValidationIssue,
)
from trioqueue.model.payload import EncodingProblem, decode_payload, is_json, same_json
from trioqueue.model.schedule import Misfire, Schedule, ScheduleState
from trioqueue.model.spans import micros_to_instant, optional_instant
from trioqueue.schedules import codec
from trioqueue.schedules.when import When
from trioqueue.store.operations.core import Fetch
from trioqueue.store.operations.rows import decode_lease

if TYPE_CHECKING:
    from trioqueue.schedules.when import Occurrence
    from trioqueue.store.operations.core import Operation
    from trioqueue.store.operations.post import Draft

_KNOWN: Final = 4096


class ScheduleRow(NamedTuple):
    """A schedule, whole."""

    schedule_row: int
    schedule_id: str
    queue: str
    kind: str
    rule: str
    calendar_id: str | None
    payload: bytes
    content_type: str
    metadata: str | None
    priority: int | None
    max_attempts: int | None
    lease: str | None
    misfire: str
    jitter: int
    max_messages: int | None
    start_at: int | None
    end_at: int | None
    state: int
    reason: str | None
    next_at: int | None
    next_nominal: int | None
    cursor: int
    last_at: int | None
    run_count: int
    revision: int
    version: int
    created_at: int
    updated_at: int

    def to_schedule(self) -> Schedule:
        """Show it to users."""
        try:
            payload = decode_payload(self.payload, self.content_type)
        except EncodingProblem:
            payload = self.payload
        try:
            metadata = None if self.metadata is None else json.loads(self.metadata)
        except ValueError:
            # It fails when it runs; it must still be there to look at.
            metadata = None
        span = self.jitter / 1_000_000
        running = self.state == ScheduleState.SCHEDULED
        return Schedule(
            self.schedule_id,
            self.queue,
            decode_when(self.kind, self.rule),
            payload,
            self.content_type,
            metadata,
            self.priority,
            decode_lease(self.lease),
            decode_misfire(self.misfire),
            int(span) if span.is_integer() else span,
            self.max_messages,
            optional_instant(self.start_at),
            optional_instant(self.end_at),
            max_attempts=self.max_attempts,
            state=ScheduleState(self.state),
            reason=self.reason,
            next_run=optional_instant(self.next_at) if running else None,
            last_run=optional_instant(self.last_at),
            run_count=self.run_count,
            revision=self.revision,
            created_at=micros_to_instant(self.created_at),
            updated_at=micros_to_instant(self.updated_at),
        )


class ScheduleDraft(NamedTuple):
    """A schedule to store, encoded and checked as far as the store is not needed."""

    schedule_id: str
    queue: str
    when: When
    metadata: str | None
    misfire: str
    jitter: int
    priority: int | None
    max_attempts: int | None
    max_messages: int | None
    start_at: int | None
    end_at: int | None
    message: Draft
    """A message as the schedule would post it, with the longest metadata."""


_SETTINGS: Final = (
    "queue",
    "priority",
    "max_attempts",
    "misfire",
    "max_messages",
    "start_at",
    "end_at",
)


def differences(draft: ScheduleDraft, row: ScheduleRow, rule: str) -> list[str]:
    """List the settings in which a draft, whose rule is bound, differs from a row."""
    found = [name for name in _SETTINGS if getattr(draft, name) != getattr(row, name)]
    if (draft.when.kind, rule) != (row.kind, row.rule):
        found.append("when")
    if draft.message.content_type != row.content_type:
        found.append("content_type")
    if draft.jitter != row.jitter:
        found.append("jitter_seconds")
    content = draft.message.content
    if content != row.payload and not (
        is_json(row.content_type) and same_json(content, row.payload)
    ):
        found.append("payload")
    if not same_json(draft.metadata, row.metadata):
        found.append("metadata")
    if draft.message.lease_text != row.lease:
        found.append("lease")
    return sorted(found)


@final
class UnreadableWhen(When):
    """A stored rule that this version cannot read; it never runs."""

    def __init__(self, kind: str, rule: str, problem: str) -> None:
        self.kind = kind  # type: ignore[misc]  # whatever the database says
        self.rule = rule
        self.problem = problem
        self.tz = "UTC"

    def next_occurrence(self, after: int) -> Occurrence | None:
        """Refuse.

        Raises:
            ValidationError: Always.
        """
        del after
        raise ValidationError(self.validate())

    def describe(self) -> str:
        """Say why it cannot be read."""
        return f"cannot be read: {self.problem}"

    def validate(self) -> list[ValidationIssue]:
        """Return the one problem it has."""
        return [ValidationIssue("when", self.describe())]

    def to_document(self) -> dict[str, Any]:
        """Return the stored text as it is."""
        return {"unreadable": self.rule}

    def __repr__(self) -> str:
        return f"UnreadableWhen({self.kind!r}, {self.problem!r})"


@lru_cache(maxsize=_KNOWN)
def _decode_when(kind: str, rule: str) -> When:
    return codec.when_of(kind, json.loads(rule))


def decode_when(kind: str, rule: str) -> When:
    """Read a stored rule; one that cannot be read says so when it is used."""
    try:
        return _decode_when(kind, rule)
    except Exception as error:  # noqa: BLE001  a newer version wrote who knows what
        return UnreadableWhen(kind, rule, describe_error(error))


def describe_error(error: Exception) -> str:
    """Say what went wrong in a text that can be stored."""
    if isinstance(error, TrioQueueError):
        return str(error)[:1000]
    return f"{type(error).__name__}: {error}"[:1000]


def encode_rule(when: When) -> str:
    """Write a rule as stored."""
    return json.dumps(when.to_document(), sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=_KNOWN)
def decode_misfire(text: str) -> Misfire:
    """Read a stored misfire policy."""
    return Misfire(**json.loads(text))


def encode_misfire(policy: Misfire) -> str:
    """Write a misfire policy as stored."""
    return json.dumps(policy.settings(), sort_keys=True)


def iso_instant(micros: int) -> str:
    """Write an instant as ids and metadata have it: ``2026-11-30T22:00:00Z``."""
    return micros_to_instant(micros).replace(tzinfo=None).isoformat() + "Z"


def occurrence_id(schedule_id: str, nominal: int) -> str:
    """Return the message id of an occurrence."""
    return f"{schedule_id}:{iso_instant(nominal)}"


def schedules_by_id(
    schedule_ids: list[str], *, lock: bool = False
) -> Operation[dict[str, ScheduleRow]]:
    """Fetch schedules; ids that do not exist are missing from the answer."""
    name = "lock_schedules" if lock else "schedules_by_id"
    rows = yield Fetch(name, {"schedule_ids": schedule_ids})
    return {row[1]: ScheduleRow._make(row) for row in rows}


def schedule_of(schedule_id: str, *, lock: bool = False) -> Operation[ScheduleRow]:
    """Fetch one schedule, and with `lock` keep it until the transaction ends.

    Raises:
        ScheduleNotFoundError: There is none of this id.
    """
    found = yield from schedules_by_id([schedule_id], lock=lock)
    if schedule_id not in found:
        raise ScheduleNotFoundError(schedule_id)
    return found[schedule_id]


def calendar_documents(calendar_ids: list[str]) -> Operation[dict[str, str]]:
    """Fetch stored business calendars as they are written."""
    if not calendar_ids:
        return {}
    rows = yield Fetch("business_calendars_by_id", {"calendar_ids": calendar_ids})
    return dict(rows)


def resolve(when: When) -> Operation[When]:
    """Give a rule the stored business calendar that it names.

    Raises:
        BusinessCalendarNotFoundError: There is none of this id.
        ValidationError: The rule does not go together with it.
    """
    calendar_id = when.business_calendar_id
    if calendar_id is None:
        return when
    documents = yield from calendar_documents([calendar_id])
    if calendar_id not in documents:
        raise BusinessCalendarNotFoundError(calendar_id)
    return resolve_with(when, documents[calendar_id])


def resolve_with(when: When, document: str) -> When:
    """Give a rule a stored business calendar.

    Raises:
        ValidationError: The rule does not go together with it.
    """
    resolved = when.resolve(decode_calendar(document))
    if issues := rule_errors(resolved):
        raise ValidationError(issues)
    return resolved


def rule_errors(when: When) -> list[Issue]:
    """List what forbids that a rule be stored."""
    return [issue for issue in when.validate() if issue.severity == "error"]


@lru_cache(maxsize=256)
def decode_calendar(document: str) -> Any:
    """Read a stored business calendar."""
    from trioqueue.schedules.business_days import BusinessCalendar

    return BusinessCalendar.from_document(json.loads(document))
