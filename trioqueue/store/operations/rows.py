"""Rows as the queries return them, and the records that users see."""

from __future__ import annotations

import json
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from trioqueue.errors import QueueNotFoundError
from trioqueue.model.lease_policy import LeasePolicy
from trioqueue.model.message import AttemptRecord, Lease, Message, MessageState
from trioqueue.model.options_codec import decode_options
from trioqueue.model.payload import EncodingProblem, decode_json, decode_payload
from trioqueue.model.queue import Queue, QueueOptions
from trioqueue.model.spans import micros_to_instant, optional_instant
from trioqueue.store.operations.core import ExecuteMany, Fetch, OvertakenError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trioqueue.store.operations.core import Context, Operation, Row


class QueueRow(NamedTuple):
    """A queue."""

    queue_id: int
    name: str
    options_text: str
    created_at: int
    updated_at: int
    paused_at: int | None
    pause_reason: str | None
    paused_by: str | None

    @property
    def options(self) -> QueueOptions:
        """Its options, decoded (the same text gives the same object)."""
        return decode_options(self.options_text)

    def to_queue(self) -> Queue:
        """Show it to users."""
        return Queue(
            self.name,
            self.options,
            micros_to_instant(self.created_at),
            micros_to_instant(self.updated_at),
            optional_instant(self.paused_at),
            self.pause_reason,
            self.paused_by,
        )


class LiveRow(NamedTuple):
    """A live message, whole."""

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
    payload: bytes
    due_at: int | None
    attempt_id: int | None
    started_at: int | None
    lease_expires_at: int | None
    heartbeat_expires_at: int | None
    abort_requested_at: int | None
    abort_reason: str | None
    schema_id: str | None = None
    schema_version: int | None = None

    def to_message(
        self, queue: str, records: tuple[AttemptRecord, ...] = ()
    ) -> Message:
        """Show it to users."""
        lease = None
        if self.state == MessageState.RUNNING and self.lease_expires_at is not None:
            lease = Lease(
                micros_to_instant(self.lease_expires_at),
                optional_instant(self.heartbeat_expires_at),
                abort_requested=self.abort_requested_at is not None,
                abort_reason=self.abort_reason,
            )
        return _message(self, queue, lease=lease, attempts=records)

    def running_attempt(self) -> tuple[AttemptRecord, ...]:
        """Return the record of the attempt that is running, if one is."""
        if self.state != MessageState.RUNNING or self.started_at is None:
            return ()
        started = micros_to_instant(self.started_at)
        return (AttemptRecord(self.attempts, self.worker_id, started),)


class FinishedRow(NamedTuple):
    """A finished message, whole: retained or dead."""

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
    payload: bytes
    result: bytes | None
    reason: str | None
    finished_at: int
    dead_letter_name: str | None
    schema_id: str | None = None
    schema_version: int | None = None

    def to_message(
        self, queue: str, records: tuple[AttemptRecord, ...] = ()
    ) -> Message:
        """Show it to users."""
        return _message(
            self,
            queue,
            result=None if self.result is None else decode_json(self.result),
            reason=self.reason,
            finished_at=micros_to_instant(self.finished_at),
            attempts=records,
        )


def _message(row: LiveRow | FinishedRow, queue: str, **more: Any) -> Message:
    try:
        payload = decode_payload(row.payload, row.content_type)
    except EncodingProblem:
        payload = row.payload
    try:
        metadata = {} if row.metadata is None else json.loads(row.metadata)
    except ValueError:
        # Such a message dies when it is claimed; it must still be there to look at.
        metadata = {}
    return Message(
        queue=queue,
        message_id=row.message_id,
        payload=payload,
        content_type=row.content_type,
        metadata=metadata,
        priority=row.priority,
        state=MessageState(row.state),
        created_at=micros_to_instant(row.created_at),
        scheduled_time=optional_instant(row.scheduled_at),
        attempt=row.attempts,
        max_attempts=row.max_attempts,
        lease_policy=decode_lease(row.lease),
        worker_id=row.worker_id,
        schema_id=row.schema_id,
        schema_version=row.schema_version,
        **more,
    )


class HeldRow(NamedTuple):
    """What ending or prolonging an attempt needs to know of a live message."""

    id: int
    queue_id: int
    message_id: str
    state: int
    priority: int
    max_attempts: int
    attempts: int
    attempt_id: int | None
    token: int | None
    worker_id: str | None
    started_at: int | None
    lease_expires_at: int | None
    heartbeat_expires_at: int | None
    renewals: int
    attempt_lease: str | None
    abort_requested_at: int | None
    abort_reason: str | None


AnyRow: TypeAlias = LiveRow | FinishedRow


@lru_cache(maxsize=1024)
def decode_lease(text: str | None) -> LeasePolicy | None:
    """Read a stored lease policy."""
    return None if text is None else LeasePolicy.from_settings(json.loads(text))


def encode_lease(policy: LeasePolicy | None) -> str | None:
    """Write a lease policy as stored; None where nothing is set."""
    settings = None if policy is None else policy.settings()
    return json.dumps(settings, sort_keys=True) if settings else None


def attempt_record(row: Row) -> AttemptRecord:
    """Show a stored attempt to users."""
    number, worker_id, started_at, ended_at, *rest = row
    return AttemptRecord(
        number,
        worker_id,
        micros_to_instant(started_at),
        optional_instant(ended_at),
        *rest,
    )


def queues_by_name(names: Iterable[str]) -> Operation[dict[str, QueueRow]]:
    """Fetch queues; names that do not exist are missing from the answer."""
    rows = yield Fetch("queues_by_name", {"names": list(names)})
    return {row[1]: QueueRow._make(row) for row in rows}


def queues_by_id(ids: Iterable[int]) -> Operation[dict[int, QueueRow]]:
    """Fetch queues by their numbers."""
    rows = yield Fetch("queues_by_id", {"ids": list(ids)})
    return {row[0]: QueueRow._make(row) for row in rows}


def queue_named(name: str) -> Operation[QueueRow]:
    """Fetch one queue.

    Raises:
        QueueNotFoundError: There is none of this name.
    """
    found = yield from queues_by_name([name])
    if name not in found:
        raise QueueNotFoundError(name)
    return found[name]


def find_rows(
    queue_id: int, message_ids: Sequence[str], *, lock: bool = False
) -> Operation[dict[str, AnyRow]]:
    """Fetch messages of a queue by id, live or finished.

    Args:
        queue_id: Which queue.
        message_ids: Those that do not exist are missing from the answer.
        lock: Keep them as they are until the transaction ends.

    Raises:
        OvertakenError: One to be kept has begun a new life meanwhile.
    """
    parameters = {"queue_id": queue_id, "message_ids": list(message_ids)}
    live, finished = "live_by_message_id", "finished_by_message_id"
    if lock:
        live, finished = "lock_live", "lock_finished"
    found: dict[str, AnyRow] = {}
    # In this order: a message that finishes between the two is seen all the same.
    for row in (yield Fetch(live, parameters)):
        found[row[2]] = LiveRow._make(row)
    for row in (yield Fetch(finished, parameters)):
        found.setdefault(row[2], FinishedRow._make(row))
    if lock:
        # One that was requeued between the two is in neither; this looks at both.
        for message_id in message_ids:
            if message_id in found:
                continue
            place = {"queue_id": queue_id, "message_id": message_id}
            if (yield Fetch("position_of", place)):
                message = "a message was requeued while it was looked for"
                raise OvertakenError(message)
    return found


def insert_messages(
    context: Context,
    rows: Sequence[Row],
    named: Iterable[tuple[int, str]],
) -> Operation[None]:
    """Write live messages whose ids the caller has found free.

    Args:
        context: Says whether others may have written meanwhile.
        rows: What to write.
        named: The (queue id, message id) pairs that somebody else may know too.

    Raises:
        OvertakenError: One of them was posted and has finished since.
    """
    if not context.shared:
        yield ExecuteMany("insert_messages", rows)
        return
    # Two that write the same ids wait for each other, but never both at once.
    yield ExecuteMany("insert_messages", sorted(rows, key=itemgetter(1, 2)))
    by_queue: dict[int, list[str]] = {}
    for queue_id, message_id in named:
        by_queue.setdefault(queue_id, []).append(message_id)
    for queue_id, message_ids in by_queue.items():
        parameters = {"queue_id": queue_id, "message_ids": message_ids}
        if (yield Fetch("finished_by_message_id", parameters)):
            message = "a message finished while another of its id was posted"
            raise OvertakenError(message)
