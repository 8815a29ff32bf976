"""``trioqueue schedule explain``: all about one schedule, or one rule, in words."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from trioqueue.cli.output import safe, table
from trioqueue.cli.schedule_documents import (
    issue_document,
    next_runs,
    occurrence_document,
    schedule_document,
    when_document,
)
from trioqueue.cli.schedule_failures import one_rule_given
from trioqueue.cli.schedule_times import for_people, in_zone, offset_of
from trioqueue.cli.schedule_view import (
    RUN_COLUMNS,
    issue_lines,
    jitter_words,
    limits_words,
    misfire_words,
    own_rule_rows,
    wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trioqueue.cli.documents import Document
    from trioqueue.model.schedule import Schedule
    from trioqueue.schedules.when import When

NEXT_RUNS: Final = 10
LATE: Final = timedelta(minutes=1)


def explanation(
    when: When, now: datetime, zone: str, schedule: Schedule | None = None
) -> Document:
    """Collect what there is to say.

    Args:
        when: The rule; it has no errors and needs no stored business calendar.
        now: The present instant.
        zone: In which zone to tell instants.
        schedule: The stored schedule, if it is one.
    """
    document: Document = {
        "id": None,
        "description": when.describe(),
        "when": when_document(when),
        "tz": when.tz,
        "offset": offset_of(datetime.fromisoformat(in_zone(now, when.tz))),
        "state": None,
        "status": None,
    }
    if schedule is not None:
        stored = schedule_document(schedule, zone)
        # The rule as it is stored, not with its business calendar written in.
        document |= {name: stored[name] for name in ("id", "when", "state", "queue")}
        document["status"] = status_words(schedule, now, zone)
        document["misfire"] = misfire_words(stored["misfire"])
        document["jitter"] = None
        if stored["jitter_seconds"]:
            document["jitter"] = jitter_words(stored["jitter_seconds"])
        document["limits"] = limits_words(stored)
    document["issues"] = list(map(issue_document, when.validate()))
    document["runs"] = [
        occurrence_document(found, zone)
        for found in next_runs(when, now, NEXT_RUNS, schedule)
    ]
    return document


def status_words(schedule: Schedule, now: datetime, zone: str) -> str:
    """Say whether a schedule runs, and if it does not, why and what to do."""
    reason = f": {schedule.reason}" if schedule.reason else ""
    state = f"{schedule.state.name}{reason}"
    match schedule.state.name:
        case "PAUSED":
            return f"{state}; it waits for: trioqueue schedule resume {schedule.id}"
        case "ERRORED":
            return f"{state}; mend that, then: trioqueue schedule resume {schedule.id}"
        case "COMPLETED":
            return f"{state}; it does not run any more"
    if schedule.next_run is None:
        return state
    shown = for_people(in_zone(schedule.next_run, zone))
    if now - schedule.next_run > LATE:
        return (
            f"{state}; it should have run at {shown}: no service is running, start "
            "one with: trioqueue worker"
        )
    return f"{state}, next run {shown}"


def explanation_lines(document: Document) -> Iterable[str]:
    """Write an explanation for people."""
    yield from wrapped(_rows(document))
    if document["issues"]:
        yield ""
        yield "Worth knowing:"
        one_rule = one_rule_given()
        yield from issue_lines(document["issues"], one_rule=one_rule)
    yield ""
    runs = document["runs"]
    if not runs:
        yield "It has no runs to come."
        return
    zone = runs[0]["tz"]
    waits = document["state"] not in (None, "SCHEDULED")
    were = f", were it not {document['state']}" if waits else ""
    yield f"Next runs, {zone} time{were}:"
    noted = any(run["note"] for run in runs)
    yield from table(runs, RUN_COLUMNS if noted else RUN_COLUMNS[:1])


def _rows(document: Document) -> Iterable[tuple[str, str]]:
    if document["id"] is not None:
        yield "schedule", document["id"]
    yield "when", safe(document["description"])
    yield from own_rule_rows(document["when"])
    yield "zone", f"{document['tz']}, now UTC{document['offset']}"
    if document["status"] is None:
        return
    yield "state", safe(document["status"])
    yield "queue", document["queue"]
    yield "misfire", document["misfire"]
    for name in ("jitter", "limits"):
        if document[name]:
            yield name, document[name]
