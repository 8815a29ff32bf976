"""How schedules, their runs and what is wrong with them look to people."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

from trioqueue.cli.output import (
    GAP,
    Column,
    compact,
    field,
    safe,
    terminal_width,
)
from trioqueue.cli.parameters import show_duration
from trioqueue.cli.schedule_failures import problem_line
from trioqueue.cli.schedule_times import brief, for_people

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trioqueue.cli.documents import Document

WIDEST: Final = 88
"""How wide running text gets where no terminal says so."""


def short_note(run: Mapping[str, Any]) -> str | None:
    """Return the note on a run, without its date where that is the run's own."""
    note: str | None = run["note"]
    return None if note is None else note.removeprefix(f"{run['at'][:10]} ")


def _notes(run: Mapping[str, Any]) -> str | None:
    notes = (short_note({**run, "note": note}) or "" for note in run["notes"])
    return "; ".join(notes) or None


SCHEDULE_COLUMNS: Final = (
    Column("ID", field("id")),
    Column("STATE", field("state")),
    Column("NEXT RUN", field("next_run"), brief),
    Column("ZONE", field("tz")),
    Column("QUEUE", field("queue")),
    Column("RUNS", field("run_count")),
    Column("WHEN", field("description"), free=True),
    Column("REASON", field("reason"), free=True),
)
RUN_COLUMNS: Final = (
    Column("AT", field("at"), for_people),
    Column("NOTE", short_note, free=True),
)
HISTORY_COLUMNS: Final = (
    Column("OCCURRENCE", field("occurrence"), brief),
    Column("KIND", field("kind")),
    Column("MERGED", field("merged")),
    Column("POSTED", field("posted_at"), brief),
    Column("MESSAGE", field("message_id"), free=True),
)
ISSUE_COLUMNS: Final = (
    Column("SEVERITY", field("severity")),
    Column("RULE", field("rule_index")),
    Column("FIELD", field("field")),
    Column("REASON", field("message")),
    Column("SUGGESTION", field("suggestion")),
)
SIMULATED_COLUMNS: Final = (
    Column("AT", field("at"), for_people),
    Column("ZONE", field("tz")),
    Column("SCHEDULE", field("schedule_id")),
    Column("KIND", field("kind")),
    Column("DELAY", field("jitter_seconds"), lambda s: show_duration(int(s))),
    Column("NOTES", _notes, free=True),
)
CALENDAR_COLUMNS: Final = (
    Column("ID", field("id")),
    Column("WEEKEND", lambda document: weekend_words(document["weekend_days"])),
    Column("HOLIDAYS", lambda document: len(document["holidays"])),
    Column("NAME", lambda document: document.get("name"), free=True),
    Column("SOURCE", lambda document: document.get("source"), free=True),
)
HOLIDAY_COLUMNS: Final = (
    Column("DATE", field("date")),
    Column("DAY", field("weekday")),
    Column("NAME", field("name")),
)


def weekend_words(days: Iterable[int]) -> str:
    """Name the days of a weekend."""
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    return ", ".join(names[day - 1] for day in days) or "none"


def misfire_words(misfire: Document) -> str:
    """Say what becomes of missed runs."""
    missed = "runs missed by more than a minute"
    match misfire["kind"]:
        case "coalesce":
            return f"coalesce: {missed} become one, for the latest of them"
        case "skip":
            return f"skip: {missed} are left out"
        case _:
            most = misfire["max_catchup"]
            return (
                f"all: {missed} are made up for in order; if there are more than "
                f"{most}, the latest {most}"
            )


def limits_words(document: Document) -> str | None:
    """Say what limits a schedule's runs."""
    parts = []
    if document["start_at"]:
        parts.append(f"from {for_people(document['start_at'])}")
    if document["end_at"]:
        parts.append(f"until {for_people(document['end_at'])}")
    if document["max_messages"] is not None:
        parts.append(f"{document['max_messages']} runs in all")
    return ", ".join(parts) or None


def schedule_rows(document: Document) -> Iterable[tuple[str, str]]:
    """Say what people want to know of a schedule, in the order in which they ask."""
    yield "id", document["id"]
    reason = document["reason"]
    yield "state", document["state"] + (f": {safe(reason)}" if reason else "")
    yield "when", document["description"] or compact(document["when"])
    yield from own_rule_rows(document["when"])
    yield "zone", document["tz"]
    yield "next run", _moment(document["next_run"])
    yield "last run", _moment(document["last_run"])
    yield "runs", str(document["run_count"])
    if limits := limits_words(document):
        yield "limits", limits
    yield "misfire", misfire_words(document["misfire"])
    if document["jitter_seconds"]:
        yield "jitter", jitter_words(document["jitter_seconds"])
    yield "queue", document["queue"]
    if document["priority"] is not None:
        yield "priority", str(document["priority"])
    if document["metadata"]:
        yield "metadata", safe(compact(document["metadata"]))
    yield "content type", document["content_type"]
    form = document.get("payload_encoding")
    yield f"payload ({form})" if form else "payload", safe(compact(document["payload"]))
    yield "created", _moment(document["created_at"])
    yield (
        "changed",
        f"{_moment(document['updated_at'])}, revision {document['revision']}",
    )


def own_rule_rows(when: Document) -> Iterable[tuple[str, str]]:
    """Show a rule as it was written, where that is one line."""
    if when["kind"] == "cron":
        yield "cron", safe(when["expression"])
        return
    for rule in when["rules"]:
        if rule["rule"] == "recurrence" and rule["rrule"]:
            yield "rrule", f"{safe(rule['rrule'])} from {rule['dtstart']}"


def jitter_words(seconds: float) -> str:
    """Say what jitter does."""
    span = show_duration(seconds)
    return f"each message waits up to {span}, always the same for the same run"


def issue_lines(issues: Iterable[Document], *, one_rule: bool) -> Iterable[str]:
    """Write what is wrong or doubtful, nothing of it cut.

    Args:
        issues: Their documents.
        one_rule: Whether options, not a list of rules, say what the rule is.
    """
    return wrapped(
        (issue["severity"], safe(problem_line(issue, one_rule=one_rule)))
        for issue in issues
    )


def lean(columns: Sequence[Column], documents: Sequence[Document]) -> list[Column]:
    """Give the columns of a table but those that tell nothing new in any row."""
    idle = {"ZONE"} if len({document["tz"] for document in documents}) < 2 else set()
    for header in ("DELAY", "NOTES", "REASON"):
        values = [c.value for c in columns if c.header == header]
        if not any(value(document) for value in values for document in documents):
            idle.add(header)
    return [column for column in columns if column.header not in idle]


def wrapped(rows: Iterable[tuple[str, str]]) -> Iterable[str]:
    """Write names and values below one another; long values go on below themselves."""
    rows = list(rows)
    longest = max(len(name) for name, _ in rows)
    indent = " " * (longest + len(GAP))
    width = max(terminal_width() or WIDEST, len(indent) + 20)
    for name, value in rows:
        yield from textwrap.wrap(
            value,
            width,
            initial_indent=f"{name:<{longest}}{GAP}",
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [name]


def _moment(iso: str | None) -> str:
    return "-" if iso is None else for_people(iso)
