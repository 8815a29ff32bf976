"""What a due schedule is to post, worked out before the transaction that posts it.

Pure: from a row and the present instant to a plan.  Compiled rules are kept: the same
text gives the same object, so that an old one cannot be used for a new revision.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from trioqueue.model.message import DEFAULT_PRIORITY
from trioqueue.model.payload import decode_json, encode_json
from trioqueue.model.spans import LAST_INSTANT
from trioqueue.policies.jitter import jitter
from trioqueue.policies.misfire import Run, choose_runs
from trioqueue.schedules.when import Occurrence
from trioqueue.store.operations.post import Draft
from trioqueue.store.operations.schedule_rows import (
    decode_misfire,
    decode_when,
    describe_error,
    iso_instant,
    occurrence_id,
    resolve_with,
)

if TYPE_CHECKING:
    from trioqueue.schedules.when import When
    from trioqueue.store.operations.schedule_rows import ScheduleRow

COMPILED: Final = 16_384
"""How many rules are kept ready to be asked."""

NONE_LEFT: Final = "no occurrence is left"
END_PASSED: Final = "end_at has passed"
ENOUGH: Final = "max_messages is reached"

KEY_SCHEDULE: Final = "trioqueue.schedule"
KEY_OCCURRENCE: Final = "trioqueue.occurrence"
KEY_KIND: Final = "trioqueue.kind"
KEY_MERGED: Final = "trioqueue.merged"


class Plan(NamedTuple):
    """What one due schedule does now; it holds for this version of its row only."""

    row: ScheduleRow
    runs: list[Run]
    messages: list[Draft]
    """One for each run."""
    cursor: int
    following: Occurrence | None
    reason: str | None
    """Why nothing follows, or with `failed` what is wrong."""
    failed: bool = False
    spare: tuple[Run, Draft] | None = None
    """What to post if the only run turns out to have run before."""


class Following(NamedTuple):
    """What comes next, or why nothing does."""

    occurrence: Occurrence | None
    reason: str | None


def following(when: When, after: int, end_at: int | None) -> Following:
    """Return the next occurrence after an instant.

    Raises:
        ValidationError: The rule is wrong.
    """
    found = when.next_occurrence(after)
    if found is None:
        return Following(None, NONE_LEFT)
    if end_at is not None and found.at > end_at:
        return Following(None, END_PASSED)
    return Following(found, None)


@lru_cache(maxsize=COMPILED)
def _compiled(kind: str, rule: str, calendar: str | None) -> When:
    when = decode_when(kind, rule)
    return when if calendar is None else resolve_with(when, calendar)


def make_plan(row: ScheduleRow, calendar: str | None, now: int) -> Plan:
    """Plan what a schedule that is due posts; what goes wrong is in the plan."""
    try:
        return _plan(row, calendar, now)
    except Exception as error:  # noqa: BLE001  one bad schedule must not stop others
        reason = describe_error(error)
        return Plan(row, [], [], row.cursor, None, reason, failed=True)


def _plan(row: ScheduleRow, calendar: str | None, now: int) -> Plan:
    assert row.next_at is not None  # the row is due  # noqa: S101
    assert row.next_nominal is not None  # as above  # noqa: S101
    when = _compiled(row.kind, row.rule, calendar)
    first = Occurrence(row.next_at, row.next_nominal)
    most = None if row.max_messages is None else row.max_messages - row.run_count
    policy = decode_misfire(row.misfire)
    chosen = choose_runs(when, first, now, policy, most=most, end_at=row.end_at)
    cursor = max(chosen.dealt_with, row.cursor)
    after, reason = following(when, cursor, row.end_at)
    messages = [_message_of(row, run) for run in chosen.runs]
    spare = None
    if chosen.spare is not None:
        spare = (chosen.spare, _message_of(row, chosen.spare))
    return Plan(row, chosen.runs, messages, cursor, after, reason, spare=spare)


def _message_of(row: ScheduleRow, run: Run) -> Draft:
    at, nominal, _ = run.occurrence
    due = at + jitter(row.schedule_id, nominal, row.jitter)
    return make_message(
        row,
        occurrence_id(row.schedule_id, nominal),
        min(due, LAST_INSTANT),
        schedule_metadata(row.schedule_id, nominal, run.kind, run.merged),
    )


def make_message(
    row: ScheduleRow,
    message_id: str,
    scheduled_at: int | None,
    extra: dict[str, str | int],
) -> Draft:
    """Make a message of a schedule's; its content is copied, not decoded."""
    own = {} if row.metadata is None else decode_json(row.metadata)
    metadata = {**own, **extra}
    return Draft(
        queue=row.queue,
        message_id=message_id,
        generated=False,
        content=row.payload,
        content_type=row.content_type,
        metadata_text=encode_json(metadata).decode(),
        priority=DEFAULT_PRIORITY if row.priority is None else row.priority,
        delay=None,
        scheduled_at=scheduled_at,
        max_attempts=row.max_attempts,
        lease_text=row.lease,
        payload=None,
        metadata=metadata,
        lease=None,
    )


def schedule_metadata(
    schedule_id: str, nominal: int, kind: str, merged: int
) -> dict[str, str | int]:
    """Return what a message says of the run that posted it."""
    return {
        KEY_SCHEDULE: schedule_id,
        KEY_OCCURRENCE: iso_instant(nominal),
        KEY_KIND: kind,
        KEY_MERGED: merged,
    }
