"""From what a caller hands to ``post`` to a checked, encoded draft."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trioqueue.errors import Issue, ValidationError
from trioqueue.model.lease_policy import LeasePolicy
from trioqueue.model.message import DEFAULT_PRIORITY, PRIORITIES, NewMessage
from trioqueue.model.options_codec import attempts_issues
from trioqueue.model.payload import (
    EncodingProblem,
    content_type_problem,
    encode_json,
    encode_payload,
)
from trioqueue.model.queue import queue_name_issues
from trioqueue.model.spans import (
    LAST_INSTANT,
    instant_to_micros,
    to_micros,
    to_seconds,
)
from trioqueue.store.ids import MESSAGE_ID, uuid7
from trioqueue.store.operations.post import Draft
from trioqueue.store.operations.rows import encode_lease
from trioqueue.tracing import with_trace

if TYPE_CHECKING:
    import random


def make_draft(
    queue: str,
    new: NewMessage,
    now_us: int,
    source: random.Random,
    *,
    elsewhere: bool = False,
) -> tuple[Draft, list[Issue]]:
    """Check and encode a message; the draft may only be used if there are no issues.

    What depends on the queue (its limits, its defaults) is checked when it is posted.
    With `elsewhere`, what takes long to validate is handed back then, to be validated
    outside of the transaction.
    """
    issues: list[Issue] = []
    content = _content(new, issues)
    metadata_text = None
    metadata = with_trace(new.metadata)
    if metadata is not None and metadata != {}:
        metadata_text = _metadata(metadata, issues)
    priority = DEFAULT_PRIORITY if new.priority is None else new.priority
    if type(priority) is not int or priority not in PRIORITIES:
        issues.append(
            Issue("priority", f"must be a whole number from 0 to 4, got {priority!r}")
        )
    delay, scheduled_at = None, None
    if new.delay_seconds is not None or new.scheduled_time is not None:
        delay, scheduled_at = _schedule(new, now_us, issues)
    if new.max_attempts is not None:
        issues += attempts_issues(new.max_attempts, "max_attempts")
    lease: object = new.lease
    if lease is not None and not isinstance(lease, LeasePolicy):
        issues.append(Issue("lease", f"expected LeasePolicy, got {lease!r}"))
    if new.schema_id is not None or new.schema_version is not None:
        issues += _schema_issues(new)
    if new.exclusivity_key is not None:
        message = "is not available in this version; leave it unset"
        issues.append(Issue("exclusivity_key", message))
    message_id = new.message_id
    generated = message_id is None
    if message_id is None:
        message_id = uuid7(now_us, source)
    elif not isinstance(message_id, str) or not MESSAGE_ID.fullmatch(message_id):
        issues.append(
            Issue(
                "message_id",
                f"must be 1 to 256 characters of A-Z a-z 0-9 . _ : -, "
                f"got {message_id!r}",
            )
        )
    return (
        Draft(
            queue,
            message_id,
            generated,
            content,
            new.content_type,
            metadata_text,
            priority,
            delay,
            scheduled_at,
            new.max_attempts,
            None if issues or new.lease is None else encode_lease(new.lease),
            new.payload,
            metadata or {},
            new.lease,
            new.schema_id,
            new.schema_version,
            elsewhere,
        ),
        issues,
    )


def _schema_issues(new: NewMessage) -> list[Issue]:
    issues = []
    if new.schema_id is not None:
        issues += queue_name_issues(new.schema_id, "schema_id")
    version: object = new.schema_version
    if version is not None:
        if type(version) is not int or not 1 <= version < 2**31:
            message = f"must be a whole number from 1 on, got {version!r}"
            issues.append(Issue("schema_version", message))
        if new.schema_id is None:
            issues.append(Issue("schema_version", "needs a schema_id beside it"))
    return issues


def _content(new: NewMessage, issues: list[Issue]) -> bytes:
    problem = content_type_problem(new.content_type)
    if problem is not None:
        issues.append(Issue("content_type", problem))
        return b""
    try:
        return encode_payload(new.payload, new.content_type)
    except EncodingProblem as error:
        issues.append(Issue("payload", str(error)))
        return b""


def _metadata(metadata: Any, issues: list[Issue]) -> str | None:
    if not isinstance(metadata, dict):
        issues.append(
            Issue("metadata", f"expected a dict with string keys, got {metadata!r}")
        )
        return None
    try:
        return encode_json(metadata).decode()
    except EncodingProblem as error:
        issues.append(Issue("metadata", str(error)))
        return None


def _schedule(
    new: NewMessage, now_us: int, issues: list[Issue]
) -> tuple[int | None, int | None]:
    """Read when a message is due: a delay from its posting, or an instant."""
    if new.delay_seconds is not None and new.scheduled_time is not None:
        issues.append(
            Issue("scheduled_time", "give either delay_seconds or scheduled_time")
        )
    delay = scheduled_at = None
    try:
        if new.delay_seconds is not None:
            delay = read_delay(new.delay_seconds, "delay_seconds", now_us)
        if new.scheduled_time is not None:
            scheduled_at = instant_to_micros(new.scheduled_time, "scheduled_time")
    except ValidationError as error:
        issues += error.issues
    return delay, scheduled_at


def read_delay(value: Any, field: str, now_us: int) -> int:
    """Read a delay from now in microseconds.

    Raises:
        ValidationError: It is no span, is negative, or ends after the year 9999.
    """
    seconds = to_seconds(value, field)
    if seconds < 0:
        raise ValidationError.of(field, f"must not be negative, got {seconds:g}")
    if seconds > (LAST_INSTANT - now_us) / 1e6 - 1:
        raise ValidationError.of(field, f"ends after the year 9999, got {seconds:g} s")
    return to_micros(seconds)
