"""Posting: every message gets its own answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from trioqueue.errors import (
    DuplicateMessageError,
    Issue,
    QueueNotFoundError,
    ValidationError,
)
from trioqueue.model.message import Message, MessageState, PostOutcome, PostResult
from trioqueue.model.payload import is_json, same_json
from trioqueue.model.spans import (
    instant_to_micros,
    micros_to_instant,
    optional_instant,
)
from trioqueue.policies.priority import claim_key
from trioqueue.store.operations.core import SCHEDULER, queue_lock, tickets
from trioqueue.store.operations.rows import (
    find_rows,
    insert_messages,
    queues_by_name,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trioqueue.model.lease_policy import LeasePolicy
    from trioqueue.model.queue import QueueOptions
    from trioqueue.store.operations.core import Context, Failure, Operation
    from trioqueue.store.operations.rows import AnyRow, QueueRow

MAX_BATCH: Final = 10_000


class Draft(NamedTuple):
    """A message to post, encoded and checked as far as its queue need not be known."""

    queue: str
    message_id: str
    generated: bool
    """Whether the id was made here, so that nobody can have used it before."""
    content: bytes
    content_type: str
    metadata_text: str | None
    priority: int
    delay: int | None
    scheduled_at: int | None
    max_attempts: int | None
    lease_text: str | None
    payload: Any
    metadata: Mapping[str, Any]
    lease: LeasePolicy | None


def limit_issues(draft: Draft, options: QueueOptions) -> list[Issue]:
    """List what a queue's own limits say against a message."""
    issues = []
    if len(draft.content) > options.max_payload_bytes:
        issues.append(
            Issue(
                "payload",
                f"is {len(draft.content)} bytes, the queue takes at most "
                f"{options.max_payload_bytes}; store it elsewhere and post a reference",
            )
        )
    text = draft.metadata_text
    if text is not None and (size := len(text.encode())) > options.max_metadata_bytes:
        issues.append(
            Issue(
                "metadata",
                f"is {size} bytes, the queue takes at most "
                f"{options.max_metadata_bytes}",
            )
        )
    allowed = options.content_types
    if allowed is not None and draft.content_type not in allowed:
        issues.append(
            Issue(
                "content_type",
                f"{draft.content_type!r} is not accepted by the queue; "
                f"use one of {', '.join(allowed)}",
            )
        )
    return issues


def post(
    context: Context, drafts: Sequence[Draft]
) -> Operation[list[PostResult | Failure]]:
    """Store messages; each gets its own outcome, in order.

    The same id with the same content is a duplicate and returns what is stored; with
    other content it is a conflict.
    """
    names = {draft.queue for draft in drafts}
    yield queue_lock(*names)
    queues = yield from queues_by_name(names)
    answers: list[PostResult | None] = [None] * len(drafts)
    accepted: list[int] = []
    for index, draft in enumerate(drafts):
        queue = queues.get(draft.queue)
        error: QueueNotFoundError | ValidationError
        if queue is None:
            error = QueueNotFoundError(draft.queue)
        elif issues := limit_issues(draft, queue.options):
            error = ValidationError(issues)
        else:
            accepted.append(index)
            continue
        answers[index] = PostResult(PostOutcome.INVALID, None, error)
    twins = yield from _answer_known(drafts, accepted, queues, answers)
    fresh = [index for index in accepted if answers[index] is None]
    if fresh:
        yield from _insert(context, drafts, fresh, queues, answers)
    for index, first in twins:
        answers[index] = _answer_twin(drafts[index], drafts[first], answers[first])
    return answers  # type: ignore[return-value]  # every index has its answer now


def _answer_known(
    drafts: Sequence[Draft],
    accepted: list[int],
    queues: Mapping[str, QueueRow],
    answers: list[PostResult | None],
) -> Operation[list[tuple[int, int]]]:
    """Answer drafts whose id the store knows; return those that repeat in the batch.

    A pair (index, first) says that the draft at `index` has the id of an earlier one,
    and must be answered after it; it is taken out of `accepted`.
    """
    named: dict[tuple[str, str], int] = {}
    twins = []
    for index in accepted:
        draft = drafts[index]
        if draft.generated:
            continue
        first = named.setdefault((draft.queue, draft.message_id), index)
        if first != index:
            twins.append((index, first))
    if not named:
        return twins
    by_queue: dict[str, list[str]] = {}
    for queue_name, message_id in named:
        by_queue.setdefault(queue_name, []).append(message_id)
    stored: dict[int, AnyRow] = {}
    for queue_name, message_ids in by_queue.items():
        found = yield from find_rows(queues[queue_name].queue_id, message_ids)
        for message_id, row in found.items():
            index = named[queue_name, message_id]
            stored[index] = row
            answers[index] = _answer_stored(drafts[index], row)
    for index, first in twins:
        if first in stored:
            answers[index] = _answer_stored(drafts[index], stored[first])
    unanswered = [pair for pair in twins if answers[pair[0]] is None]
    repeated = {index for index, _ in unanswered}
    accepted[:] = [index for index in accepted if index not in repeated]
    return unanswered


class _Content(NamedTuple):
    """What makes two messages the same, as a row would hold it."""

    payload: bytes
    content_type: str
    metadata: str | None
    priority: int
    lease: str | None
    delay: int | None
    scheduled_at: int | None
    max_attempts: int


def _differences(draft: Draft, row: AnyRow | _Content) -> list[str]:
    return [
        name
        for name, same in (
            ("payload", _same_payload(draft, row.payload)),
            ("content_type", draft.content_type == row.content_type),
            ("metadata", same_json(draft.metadata_text, row.metadata)),
            ("priority", draft.priority == row.priority),
            ("lease", draft.lease_text == row.lease),
            ("delay_seconds", draft.delay == row.delay),
            # A delay fixes the instant when it is first posted, so only an instant
            # that the caller named can differ.
            (
                "scheduled_time",
                draft.delay is not None or draft.scheduled_at == row.scheduled_at,
            ),
            ("max_attempts", draft.max_attempts in (None, row.max_attempts)),
        )
        if not same
    ]


def _same_payload(draft: Draft, stored: bytes) -> bool:
    if draft.content == stored:
        return True
    return is_json(draft.content_type) and same_json(draft.content, stored)


def _answer_stored(draft: Draft, row: AnyRow) -> PostResult:
    differences = _differences(draft, row)
    if differences:
        error = DuplicateMessageError(draft.queue, draft.message_id, differences)
        return PostResult(PostOutcome.CONFLICT, None, error)
    return PostResult(PostOutcome.DUPLICATE, row.to_message(draft.queue))


def _answer_twin(draft: Draft, first: Draft, answer: PostResult | None) -> PostResult:
    """Answer a draft whose id was first posted earlier in the same batch."""
    message = None if answer is None else answer.message
    if message is None:
        error = DuplicateMessageError(draft.queue, draft.message_id)
        return PostResult(PostOutcome.CONFLICT, None, error)
    due = message.scheduled_time
    content = _Content(
        first.content,
        first.content_type,
        first.metadata_text,
        first.priority,
        first.lease_text,
        first.delay,
        None if due is None else instant_to_micros(due, "scheduled_time"),
        message.max_attempts,
    )
    if differences := _differences(draft, content):
        error = DuplicateMessageError(draft.queue, draft.message_id, differences)
        return PostResult(PostOutcome.CONFLICT, None, error)
    return PostResult(PostOutcome.DUPLICATE, message)


def _insert(
    context: Context,
    drafts: Sequence[Draft],
    fresh: list[int],
    queues: Mapping[str, QueueRow],
    answers: list[PostResult | None],
) -> Operation[None]:
    numbers = yield from tickets(len(fresh))
    now, effects = context.now, context.effects
    created_at = micros_to_instant(now)
    posted, invisible = PostOutcome.POSTED, MessageState.INVISIBLE
    rows = []
    for index, ticket in zip(fresh, numbers, strict=True):
        draft = drafts[index]
        queue = queues[draft.queue]
        maximum = draft.max_attempts
        if maximum is None:
            maximum = queue.options.max_attempts
        scheduled = draft.scheduled_at
        if draft.delay is not None:
            scheduled = now + draft.delay
        if scheduled is not None and scheduled > now:
            state, due, ready = invisible, scheduled, scheduled
            effects.add_due(SCHEDULER, scheduled)
        else:
            state, due, ready = MessageState.PENDING, None, now
            effects.ready.add(draft.queue)
        rows.append(
            (
                ticket,
                queue.queue_id,
                draft.message_id,
                int(state),
                draft.priority,
                claim_key(draft.priority, ready),
                ticket,
                due,
                now,
                scheduled,
                draft.delay,
                maximum,
                draft.lease_text,
                draft.content_type,
                draft.metadata_text,
                draft.content,
            )
        )
        answers[index] = PostResult(
            posted,
            Message(
                draft.queue,
                draft.message_id,
                draft.payload,
                draft.content_type,
                draft.metadata,
                draft.priority,
                state,
                created_at,
                optional_instant(scheduled),
                0,
                maximum,
                None,
                draft.lease,
            ),
        )
    named = [
        (queues[drafts[index].queue].queue_id, drafts[index].message_id)
        for index in fresh
        if not drafts[index].generated
    ]
    yield from insert_messages(context, rows, named)
