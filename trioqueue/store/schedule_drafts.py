"""From what a caller hands to ``create_schedule`` to a checked, encoded draft."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trioqueue.errors import Issue, ValidationError
from trioqueue.model.message import NewMessage
from trioqueue.model.payload import EncodingProblem, encode_json
from trioqueue.model.queue import queue_name_issues
from trioqueue.model.schedule import (
    MAX_CATCHUP,
    SCHEDULE_ID,
    Misfire,
    Schedule,
)
from trioqueue.model.spans import (
    LAST_INSTANT,
    instant_to_micros,
    to_micros,
    to_seconds,
)
from trioqueue.policies.misfire import MAX_COUNTED
from trioqueue.schedules.when import When
from trioqueue.store.drafts import make_draft
from trioqueue.store.operations.schedule_plan import schedule_metadata
from trioqueue.store.operations.schedule_rows import (
    ScheduleDraft,
    encode_misfire,
    rule_errors,
)

if TYPE_CHECKING:
    import random
    from datetime import datetime

    from trioqueue.store.operations.post import Draft

RESERVED: Final = "trioqueue."
MAX_JITTER_SECONDS: Final = 366 * 86_400.0


def make_schedule_draft(
    schedule: Schedule, now_us: int, source: random.Random
) -> ScheduleDraft:
    """Check and encode a schedule.

    What depends on the queue is checked when it is stored.

    Raises:
        ValidationError: Something is wrong; every problem is named.
    """
    if not isinstance(schedule, Schedule):
        raise ValidationError.of("schedule", f"expected Schedule, got {schedule!r}")
    issues = _id_issues(schedule.id)
    sample = "x" if issues else schedule.id
    issues += queue_name_issues(schedule.queue, "queue")
    issues += _rule_issues(schedule.when)
    issues += _misfire_issues(schedule.misfire)
    jitter = _jitter(schedule, issues)
    start_at = _instant(schedule.start_at, "start_at", issues)
    end_at = _instant(schedule.end_at, "end_at", issues)
    if start_at is not None and end_at is not None and end_at < start_at:
        issues.append(Issue("end_at", "must not be before start_at"))
    limit: object = schedule.max_messages
    if limit is not None and (type(limit) is not int or limit < 1):
        issues.append(
            Issue("max_messages", f"must be a whole number from 1 on, got {limit!r}")
        )
    metadata = _metadata(schedule.metadata, issues)
    message = _message(schedule, sample, now_us, source, issues)
    if issues:
        raise ValidationError(issues)
    return ScheduleDraft(
        schedule_id=schedule.id,
        queue=schedule.queue,
        when=schedule.when,
        metadata=metadata,
        misfire=encode_misfire(schedule.misfire),
        jitter=jitter,
        priority=schedule.priority,
        max_attempts=schedule.max_attempts,
        max_messages=schedule.max_messages,
        start_at=start_at,
        end_at=end_at,
        message=message,
    )


def _id_issues(value: object) -> list[Issue]:
    if isinstance(value, str) and SCHEDULE_ID.fullmatch(value):
        return []
    return [
        Issue(
            "id", f"must be 1 to 128 characters of A-Z a-z 0-9 . _ : -, got {value!r}"
        )
    ]


def _rule_issues(when: object) -> list[Issue]:
    if not isinstance(when, When):
        return [Issue("when", f"expected Cron or Calendar, got {when!r}")]
    return rule_errors(when)


def _misfire_issues(misfire: object) -> list[Issue]:
    if not isinstance(misfire, Misfire):
        return [Issue("misfire", f"expected Misfire, got {misfire!r}")]
    if misfire.kind not in ("coalesce", "skip", "all"):
        return [Issue("misfire", f"there is no policy {misfire.kind!r}")]
    most: object = misfire.max_catchup
    if type(most) is not int or not 1 <= most <= MAX_CATCHUP:
        return [Issue("misfire.max_catchup", f"must be 1 to {MAX_CATCHUP}")]
    return []


def _jitter(schedule: Schedule, issues: list[Issue]) -> int:
    try:
        seconds = to_seconds(schedule.jitter_seconds, "jitter_seconds")
    except ValidationError as error:
        issues += error.issues
        return 0
    if not 0 <= seconds <= MAX_JITTER_SECONDS:
        issues.append(
            Issue("jitter_seconds", f"must be 0 to a year, got {seconds:g}"),
        )
        return 0
    return to_micros(seconds)


def _instant(value: datetime | None, field: str, issues: list[Issue]) -> int | None:
    if value is None:
        return None
    try:
        return instant_to_micros(value, field)
    except ValidationError as error:
        issues += error.issues
        return None


def _metadata(metadata: object, issues: list[Issue]) -> str | None:
    """Encode what the caller gave; what is wrong with it `make_draft` says."""
    if not isinstance(metadata, dict) or not metadata:
        return None
    issues += [
        Issue("metadata", f"the key {key!r} is reserved; no key may begin {RESERVED}")
        for key in metadata
        if isinstance(key, str) and key.startswith(RESERVED)
    ]
    try:
        return encode_json(metadata).decode()
    except EncodingProblem:
        return None


def _message(
    schedule: Schedule,
    schedule_id: str,
    now_us: int,
    source: random.Random,
    issues: list[Issue],
) -> Draft:
    """Make a message as it would be posted, with the longest metadata it may get."""
    metadata: object = schedule.metadata
    extra = schedule_metadata(schedule_id, LAST_INSTANT, "catch_up", MAX_COUNTED)
    if metadata is None:
        metadata = extra
    elif isinstance(metadata, dict):
        metadata = {**metadata, **extra}
    new = NewMessage(
        schedule.payload,
        content_type=schedule.content_type,
        metadata=metadata,  # type: ignore[arg-type]  # checked by make_draft
        priority=schedule.priority,
        max_attempts=schedule.max_attempts,
        lease=schedule.lease,
    )
    draft, found = make_draft(schedule.queue, new, now_us, source)
    issues += found
    return draft
