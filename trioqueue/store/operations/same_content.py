"""Whether a message that is posted is the one that is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from trioqueue.errors import DuplicateMessageError
from trioqueue.model.message import PostOutcome, PostResult
from trioqueue.model.payload import is_json, same_json
from trioqueue.model.spans import instant_to_micros
from trioqueue.store.operations.core import Failure
from trioqueue.tracing import without_trace

if TYPE_CHECKING:
    from trioqueue.store.operations.post import Draft
    from trioqueue.store.operations.rows import AnyRow


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
    schema_id: str | None
    schema_version: int | None


def _differences(draft: Draft, row: AnyRow | _Content) -> list[str]:
    return [
        name
        for name, same in (
            ("payload", _same_payload(draft, row.payload)),
            ("content_type", draft.content_type == row.content_type),
            ("metadata", _same_metadata(draft.metadata_text, row.metadata)),
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
            # One that names none has had its queue's, in the version of that day.
            ("schema_id", draft.schema_id in (None, row.schema_id)),
            ("schema_version", draft.schema_version in (None, row.schema_version)),
        )
        if not same
    ]


def _same_metadata(one: str | None, other: str | None) -> bool:
    """Compare metadata; which trace a message was first posted in is not content."""
    return same_json(one, other) or same_json(without_trace(one), without_trace(other))


def _same_payload(draft: Draft, stored: bytes) -> bool:
    if draft.content == stored:
        return True
    return is_json(draft.content_type) and same_json(draft.content, stored)


def answer_stored(draft: Draft, row: AnyRow) -> PostResult:
    """Answer a draft whose id is known: a duplicate, or a conflict."""
    differences = _differences(draft, row)
    if differences:
        error = DuplicateMessageError(draft.queue, draft.message_id, differences)
        return PostResult(PostOutcome.CONFLICT, None, error)
    return PostResult(PostOutcome.DUPLICATE, row.to_message(draft.queue))


def answer_twin(
    draft: Draft, first: Draft, answer: PostResult | Failure | None
) -> PostResult | Failure:
    """Answer a draft whose id was first posted earlier in the same batch."""
    if isinstance(answer, Failure):
        return answer
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
        first.schema_id,
        first.schema_version,
    )
    if differences := _differences(draft, content):
        error = DuplicateMessageError(draft.queue, draft.message_id, differences)
        return PostResult(PostOutcome.CONFLICT, None, error)
    return PostResult(PostOutcome.DUPLICATE, message)
