"""Claiming: messages become jobs, each under a lease and a fencing attempt id."""

from __future__ import annotations

import json
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from trioqueue.errors import QueueNotFoundError
from trioqueue.metrics.catalogue import CLAIMED, WAITS
from trioqueue.model.message import Job, Lease, Message, MessageState
from trioqueue.model.payload import EncodingProblem, decode_payload
from trioqueue.model.spans import micros_to_instant, optional_instant
from trioqueue.policies.ending import Ending, Error
from trioqueue.policies.lease import Deadlines, at_claim, merge, terms_of
from trioqueue.policies.priority import BAND_STARTS, waits
from trioqueue.store.operations.core import (
    RECLAIM,
    ExecuteMany,
    Failure,
    Fetch,
    queue_lock,
    tickets,
)
from trioqueue.store.operations.rows import (
    HeldRow,
    decode_lease,
    encode_lease,
    queues_by_name,
)
from trioqueue.store.operations.settle import settle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioqueue.model.lease_policy import LeasePolicy
    from trioqueue.store.operations.core import Context, Operation
    from trioqueue.store.operations.rows import QueueRow


class ClaimRequest(NamedTuple):
    """Who asks for how many messages of which queue, under which terms."""

    queue: str
    limit: int
    worker_id: str | None
    hint: LeasePolicy | None


class ReadyRow(NamedTuple):
    """A message that may be claimed."""

    id: int
    message_id: str
    priority: int
    created_at: int
    scheduled_at: int | None
    max_attempts: int
    attempts: int
    lease: str | None
    content_type: str
    metadata: str | None
    payload: bytes
    schema_id: str | None
    schema_version: int | None
    claim_key: int


_CLAIM_KEY: Final = attrgetter("claim_key")


class _Hold(NamedTuple):
    """The terms under which a message is claimed, worked out once per claim."""

    policy: LeasePolicy
    deadlines: Deadlines
    lease: Lease
    text: str | None
    """What the attempt remembers; None where the queue's own policy holds."""


def claim(
    context: Context, requests: Sequence[ClaimRequest]
) -> Operation[list[list[Job] | Failure]]:
    """Take ready messages: highest priority first, then in the order they became ready.

    A paused queue gives none.  A message that cannot be decoded becomes a dead letter
    and does not stand in the way of the ones behind it.
    """
    names = {request.queue for request in requests}
    # Whoever pauses a queue waits for this transaction.
    yield queue_lock(*names)
    queues = yield from queues_by_name(names)
    answers: list[list[Job] | Failure] = []
    for request in requests:
        queue = queues.get(request.queue)
        if queue is None:
            answers.append(Failure(QueueNotFoundError(request.queue)))
        elif queue.paused_at is not None:
            answers.append([])
        else:
            answers.append((yield from _claim_from(context, queue, request)))
    return answers


def _claim_from(
    context: Context, queue: QueueRow, request: ClaimRequest
) -> Operation[list[Job]]:
    jobs: list[Job] = []
    while len(jobs) < request.limit:
        wanted = request.limit - len(jobs)
        marks = context.marks
        lows = BAND_STARTS if marks is None else marks.lows(queue.queue_id)
        parameters = {"queue_id": queue.queue_id, "limit": wanted}
        for band, low in enumerate(lows):
            parameters[f"low_{band}"] = low
        found = yield Fetch("ready_messages", parameters)
        if not found:
            break
        if marks is not None:
            marks.claimed(queue.queue_id, (row[-1] for row in found))
        taken = yield from _take(
            context, queue, request, list(map(ReadyRow._make, found))
        )
        jobs += taken
        if len(found) < wanted:
            break
    return jobs


def _take(
    context: Context, queue: QueueRow, request: ClaimRequest, rows: list[ReadyRow]
) -> Operation[list[Job]]:
    now = context.now
    attempt_ids = yield from tickets(len(rows))
    holds: dict[str | None, _Hold] = {}
    jobs = []
    updates = []
    undecodable = []
    running = MessageState.RUNNING
    for row, attempt_id in zip(rows, attempt_ids, strict=True):
        hold = holds.get(row.lease)
        if hold is None:
            hold = holds[row.lease] = _hold(context, queue, request, row.lease)
        ends = hold.deadlines
        token = context.token(attempt_id)
        updates.append(
            (
                attempt_id,
                token,
                request.worker_id,
                now,
                ends.lease,
                ends.heartbeat,
                ends.first,
                hold.text,
                row.id,
            )
        )
        try:
            payload, metadata = _decode(row)
        except EncodingProblem as problem:
            error = Error(type(problem).__name__, f"the payload {problem}")
            held = _held(queue, request, row, updates[-1])
            ending = Ending("undecodable", final=True, error=error)
            undecodable.append((held, ending))
        else:
            attempt = row.attempts + 1
            message = Message(
                queue.name,
                row.message_id,
                payload,
                row.content_type,
                metadata,
                row.priority,
                running,
                micros_to_instant(row.created_at),
                optional_instant(row.scheduled_at),
                attempt,
                row.max_attempts,
                hold.lease,
                decode_lease(row.lease),
                request.worker_id,
                schema_id=row.schema_id,
                schema_version=row.schema_version,
            )
            jobs.append(
                Job(
                    message,
                    attempt,
                    attempt_id,
                    hold.lease,
                    hold.policy,
                    request.worker_id,
                    row.id,
                    token,
                )
            )
    effects = context.effects
    effects.count(CLAIMED, queue.name, n=len(rows))
    effects.observe(WAITS, waits(map(_CLAIM_KEY, rows), now), queue.name)
    yield ExecuteMany("claim_messages", updates)
    if undecodable:
        yield from settle(context, undecodable, {queue.queue_id: queue})
    return jobs


def _decode(row: ReadyRow) -> tuple[Any, dict[str, Any]]:
    try:
        metadata = {} if row.metadata is None else json.loads(row.metadata)
    except ValueError as error:
        problem = f"metadata is not JSON: {error}"
        raise EncodingProblem(problem) from None
    return decode_payload(row.payload, row.content_type), metadata


def _hold(
    context: Context, queue: QueueRow, request: ClaimRequest, lease_text: str | None
) -> _Hold:
    own = queue.options.lease
    if lease_text is None and request.hint is None:
        policy, text = own, None
    else:
        policy = merge([decode_lease(lease_text), request.hint, own])
        text = encode_lease(policy)
    deadlines = at_claim(terms_of(policy), context.now)
    context.effects.add_due(RECLAIM, deadlines.first)
    lease = Lease(
        micros_to_instant(deadlines.lease), optional_instant(deadlines.heartbeat)
    )
    return _Hold(policy, deadlines, lease, text)


def _held(
    queue: QueueRow, request: ClaimRequest, row: ReadyRow, update: tuple[Any, ...]
) -> HeldRow:
    """Show a message as it stands once this claim has been written."""
    attempt_id, token, _, now, lease_expires_at, beat, _, text, _ = update
    return HeldRow(
        id=row.id,
        queue_id=queue.queue_id,
        message_id=row.message_id,
        state=MessageState.RUNNING,
        priority=row.priority,
        max_attempts=row.max_attempts,
        attempts=row.attempts + 1,
        attempt_id=attempt_id,
        token=token,
        worker_id=request.worker_id,
        started_at=now,
        lease_expires_at=lease_expires_at,
        heartbeat_expires_at=beat,
        renewals=0,
        attempt_lease=text,
        abort_requested_at=None,
        abort_reason=None,
    )
