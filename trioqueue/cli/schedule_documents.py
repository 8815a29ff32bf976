"""From schedules and their runs to JSON documents.

Other than elsewhere, instants are in the zone of the schedule, or in the one that was
asked for, with their offset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from trioqueue.cli.documents import Document, plain_value, record
from trioqueue.cli.schedule_times import in_zone
from trioqueue.errors import TrioQueueError, ValidationIssue
from trioqueue.model.spans import instant_to_micros, micros_to_instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from trioqueue.errors import Issue
    from trioqueue.model.schedule import Schedule, ScheduleRun
    from trioqueue.schedules.when import Occurrence, When
    from trioqueue.testing.simulation import SimulatedRun

INSTANTS = (
    "start_at",
    "end_at",
    "next_run",
    "last_run",
    "created_at",
    "updated_at",
)


def schedule_document(schedule: Schedule, zone: str | None = None) -> Document:
    """Describe a schedule; `when` holds what `create --calendar` reads.

    Args:
        schedule: The schedule.
        zone: In which zone to tell instants (default: the schedule's).
    """
    when = schedule.when
    shown = zone or when.tz
    document = record(attrs.evolve(schedule, when=None))  # type: ignore[arg-type]  # written below
    for name in INSTANTS:
        value = getattr(schedule, name)
        document[name] = None if value is None else in_zone(value, shown)
    document["when"] = when_document(when)
    document["description"] = describe(when)
    document["tz"] = when.tz
    document["misfire"] = schedule.misfire.settings()
    return document


def when_document(when: When) -> Document:
    """Describe a rule as it is stored."""
    return {"kind": when.kind, **plain_value(when.to_document())}


def describe(when: When) -> str | None:
    """Say a rule in words, if nothing is wrong with it."""
    try:
        return when.describe()
    except TrioQueueError:
        return None


def next_runs(
    when: When, after: datetime, count: int, schedule: Schedule | None = None
) -> Iterator[Occurrence]:
    """Give what comes next.

    Args:
        when: The rule; it needs no stored business calendar.
        after: Where to begin; a run at that instant is not given.
        count: How many at most.
        schedule: What else limits them: its first and last instant, and how many
            messages it may still post.
    """
    cursor = instant_to_micros(after, "after")
    end = None
    if schedule is not None:
        if schedule.start_at is not None:
            start = instant_to_micros(schedule.start_at, "start_at")
            cursor = max(cursor, start - 1)
        if schedule.end_at is not None:
            end = instant_to_micros(schedule.end_at, "end_at")
        if schedule.max_messages is not None:
            count = min(count, schedule.max_messages - schedule.run_count)
    while count > 0 and (found := when.next_occurrence(cursor)) is not None:
        if end is not None and found.at > end:
            return
        yield found
        cursor = found.at
        count -= 1


def occurrence_document(found: Occurrence, zone: str) -> Document:
    """Describe a run to come."""
    return {
        "at": in_zone(micros_to_instant(found.at), zone),
        "tz": zone,
        "occurrence": in_zone(micros_to_instant(found.nominal), zone),
        "note": found.note,
    }


def run_document(run: ScheduleRun, zone: str) -> Document:
    """Describe a run that was."""
    document = record(run)
    for name in ("occurrence", "posted_at"):
        document[name] = in_zone(getattr(run, name), zone)
    return {"message_id": document.pop("message_id"), **document, "tz": zone}


def simulated_document(run: SimulatedRun, zone: str) -> Document:
    """Describe what a schedule would do."""
    document = record(run)
    for name in ("at", "occurrence"):
        document[name] = in_zone(getattr(run, name), zone)
    return document | {"tz": zone}


def issue_document(issue: Issue) -> Document:
    """Describe something wrong or doubtful."""
    if not isinstance(issue, ValidationIssue):
        issue = ValidationIssue(issue.field, issue.message)
    return {
        "severity": issue.severity,
        "rule_index": None if issue.rule_index < 0 else issue.rule_index,
        "field": issue.field,
        "message": issue.message,
        "suggestion": issue.suggestion or None,
    }
