"""What is moved from one store to another: whole rows, and how they are renumbered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from trioqueue.model.message import MessageState
from trioqueue.model.schedule import ScheduleState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trioqueue.store.operations.core import Row

BEING_COPIED: Final = "being copied from another store"
"""Why queues and schedules of an unfinished copy are paused."""


class CopiedQueue(NamedTuple):
    """A queue, whole."""

    queue_id: int
    name: str
    options: str
    dead_letter_name: str
    created_at: int
    updated_at: int
    paused_at: int | None
    pause_reason: str | None
    paused_by: str | None


class CopiedCalendar(NamedTuple):
    """A stored business calendar, whole."""

    calendar_id: str
    document: str
    revision: int
    created_at: int
    updated_at: int


class CopiedSchema(NamedTuple):
    """A version of a schema, whole."""

    schema_id: str
    version: int
    document: str
    description: str | None
    active: int
    created_at: int


class CopiedLive(NamedTuple):
    """A live message, whole."""

    id: int
    queue_id: int
    message_id: str
    state: int
    priority: int
    claim_key: int
    ready_seq: int
    due_at: int | None
    deadline: int | None
    created_at: int
    scheduled_at: int | None
    delay: int | None
    max_attempts: int
    attempts: int
    worker_id: str | None
    lease: str | None
    content_type: str
    metadata: str | None
    attempt_id: int | None
    token: int | None
    started_at: int | None
    lease_expires_at: int | None
    heartbeat_expires_at: int | None
    renewals: int
    attempt_lease: str | None
    abort_requested_at: int | None
    abort_reason: str | None
    schema_id: str | None
    schema_version: int | None
    payload: bytes

    def moved(
        self, shift: int, queue_ids: Mapping[int, int], token: Callable[[int], int]
    ) -> Row:
        """Renumber it.

        One that runs stays under its lease, for an attempt that nobody holds: it
        expires there as if its worker had died.
        """
        attempt_id = None if self.attempt_id is None else self.attempt_id + shift
        running = self.state == MessageState.RUNNING and attempt_id is not None
        return self._replace(
            id=self.id + shift,
            queue_id=queue_ids[self.queue_id],
            ready_seq=self.ready_seq + shift,
            attempt_id=attempt_id,
            token=token(attempt_id or 0) if running else self.token,
        )


class CopiedFinished(NamedTuple):
    """A message that has finished, whole."""

    id: int
    queue_id: int
    message_id: str
    state: int
    priority: int
    created_at: int
    scheduled_at: int | None
    delay: int | None
    max_attempts: int
    attempts: int
    worker_id: str | None
    lease: str | None
    content_type: str
    metadata: str | None
    result: bytes | None
    reason: str | None
    finished_at: int
    expires_at: int | None
    dead_letter_name: str | None
    schema_id: str | None
    schema_version: int | None
    payload: bytes

    def moved(self, shift: int, queue_ids: Mapping[int, int]) -> Row:
        """Renumber it."""
        return self._replace(id=self.id + shift, queue_id=queue_ids[self.queue_id])


class CopiedAttempt(NamedTuple):
    """An attempt on record, whole."""

    message_row: int
    attempt_id: int
    number: int
    worker_id: str | None
    started_at: int
    ended_at: int
    outcome: str
    error_type: str | None
    error_message: str | None
    traceback: str | None


class CopiedSchedule(NamedTuple):
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

    def held(self) -> Row:
        """Make the row that waits, paused, until the copy is complete."""
        held = self._replace(state=int(ScheduleState.PAUSED), reason=BEING_COPIED)
        return held[1:]


class CopiedRun(NamedTuple):
    """A run of a schedule, whole."""

    run: int
    schedule_row: int
    message_id: str
    occurrence: int
    posted_at: int
    kind: str
    merged: int


def moved_attempt(row: Row, shift: int) -> Row:
    """Renumber the record of an attempt."""
    message_row, attempt_id, *rest = row
    return (message_row + shift, attempt_id + shift, *rest)
