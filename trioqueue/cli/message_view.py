"""How messages and dead letters look in tables and on their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trioqueue.cli.output import Column, compact, field, pairs, safe, table, to_second

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trioqueue.cli.documents import Document


def tries(document: Any) -> str:
    """Write how many attempts were used, of how many."""
    most = document["max_attempts"]
    return f"{document['attempt']}/{'∞' if most == -1 else most}"


def due(document: Any) -> str | None:
    """Return the instant that comes next for a message, if one does.

    A running one's lease ends then, unless it is prolonged; a delayed one is due.
    """
    lease = document["lease"]
    if lease is None:
        instant: str | None = document["scheduled_time"]
        return instant
    end: str = lease["expires_at"]
    beat: str | None = lease["heartbeat_expires_at"]
    return end if beat is None else min(end, beat)


def error_text(attempt: Any) -> str | None:
    """Write an attempt's error as Python does."""
    kind, text = attempt["error_type"], attempt["error_message"]
    return (f"{kind}: {text}" if kind and text else kind or text) or None


def last_error(document: Any) -> str | None:
    """Write the error of the last attempt that had one."""
    errors = [error_text(attempt) for attempt in document["attempts"]]
    return next((text for text in reversed(errors) if text), None)


MESSAGE_COLUMNS: Final = (
    Column("ID", field("message_id")),
    Column("STATE", field("state")),
    Column("TRIES", tries),
    Column("PRIORITY", field("priority")),
    Column("PAYLOAD", field("payload"), compact, free=True),
    Column("DUE", due, to_second, free=True),
    Column("WORKER", field("worker_id"), free=True),
)
LIST_COLUMNS: Final = (
    Column("ID", field("message_id")),
    Column("QUEUE", field("queue")),
    Column("STATE", field("state")),
    Column("TRIES", tries),
    Column("LAST ERROR", last_error, free=True),
    Column("POSTED", field("created_at"), to_second, free=True),
    Column("PAYLOAD", field("payload"), compact, free=True),
)
ATTEMPT_COLUMNS: Final = (
    Column("ATTEMPT", field("number")),
    Column("OUTCOME", lambda attempt: attempt["outcome"] or "running"),
    Column("ERROR", error_text, free=True),
    Column("STARTED", field("started_at"), to_second, free=True),
    Column("ENDED", field("ended_at"), to_second, free=True),
    Column("WORKER", field("worker_id"), free=True),
)
DEAD_LETTER_COLUMNS: Final = (
    Column("ID", field("message.message_id")),
    Column("QUEUE", field("queue")),
    Column("REASON", field("reason")),
    Column("TRIES", lambda document: tries(document["message"])),
    Column("LAST ERROR", last_error, free=True),
    Column("DIED", field("died_at"), to_second, free=True),
    Column("PAYLOAD", field("message.payload"), compact, free=True),
)


def message_lines(document: Document, *, tracebacks: bool) -> Iterable[str]:
    """Write all about a message, its attempts in a table below."""
    yield from pairs(_rows(document))
    if not document["attempts"]:
        return
    yield ""
    yield from table(document["attempts"], ATTEMPT_COLUMNS)
    for attempt in document["attempts"]:
        if tracebacks and attempt["traceback"]:
            yield ""
            yield f"Attempt {attempt['number']}:"
            yield from map(safe, attempt["traceback"].rstrip().splitlines())


def _rows(document: Document) -> Iterable[tuple[str, str]]:
    yield "queue", document["queue"]
    yield "id", document["message_id"]
    yield "state", document["state"]
    if document["reason"]:
        yield "reason", safe(document["reason"])
    yield "priority", str(document["priority"])
    yield "attempts", tries(document)
    for name, label in (
        ("created_at", "created"),
        ("scheduled_time", "scheduled"),
        ("finished_at", "finished"),
    ):
        if document[name]:
            yield label, document[name]
    lease = document["lease"]
    if lease:
        yield "leased until", lease["expires_at"]
        if lease["heartbeat_expires_at"]:
            yield "heartbeat due", lease["heartbeat_expires_at"]
        if lease["abort_requested"]:
            yield "abort", safe(lease["abort_reason"] or "requested")
    if document["worker_id"]:
        yield "worker", safe(document["worker_id"])
    yield "content type", document["content_type"]
    if document["metadata"]:
        yield "metadata", safe(compact(document["metadata"]))
    form = document.get("payload_encoding")
    yield f"payload ({form})" if form else "payload", safe(compact(document["payload"]))
    if document["state"] == "COMPLETED":
        yield "result", safe(compact(document["result"]))
