"""How queues look in a table and on their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trioqueue.cli.output import Column, field, safe
from trioqueue.cli.parameters import show_duration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trioqueue.cli.documents import Document


def show_age(seconds: float) -> str:
    """Write how long something has waited, to the second."""
    return show_duration(int(seconds))


def user_at_host() -> str | None:
    """Name whoever runs this command, as far as the system knows."""
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None  # a number without a name, as in many containers
    return f"{user}@{socket.gethostname()}"[:256]


QUEUE_COLUMNS: Final = (
    Column("NAME", field("name")),
    Column("PENDING", field("counts.PENDING")),
    Column("RUNNING", field("counts.RUNNING")),
    Column("INVISIBLE", field("counts.INVISIBLE")),
    Column("DEAD", field("dead_letters")),
    Column("OLDEST READY", field("oldest_ready_seconds"), show_age),
    Column("PAUSED", field("paused"), lambda paused: "paused" if paused else "no"),
    Column("REASON", field("pause_reason"), free=True),
)


def queue_rows(document: Document) -> Iterable[tuple[str, str]]:
    """Say what people want to know of a queue, in the order in which they ask."""
    options = document["options"]
    yield "name", document["name"]
    paused = "no"
    if document["paused"]:
        reason = document["pause_reason"]
        who = document["paused_by"]
        paused = f"since {document['paused_at']}"
        paused += f" by {safe(who)}" if who else ""
        paused += f": {safe(reason)}" if reason else ""
    yield "paused", paused
    for state, count in document["counts"].items():
        yield state, str(count)
    oldest = document["oldest_ready_seconds"]
    yield "oldest ready", "-" if oldest is None else show_age(oldest)
    yield "next deadline", document["earliest_deadline"] or "-"
    attempts = options["max_attempts"]
    yield "max attempts", "no limit" if attempts == -1 else str(attempts)
    yield "lease", _lease(options["lease"])
    yield "retry", _retry(options["retry"])
    yield "retention", _retention(options["retention"])
    yield "dead letter queue", document["dead_letter_queue"]
    yield "dead letter retention", _retention(options["dead_letter_retention"])
    yield "max payload", f"{options['max_payload_bytes']} bytes"
    yield "max metadata", f"{options['max_metadata_bytes']} bytes"
    yield "content types", ", ".join(options["content_types"] or ["all"])
    if options["schema_id"] or options["schema_required"]:
        required = " (required)" if options["schema_required"] else ""
        yield "schema", f"{options['schema_id'] or 'of the message'}{required}"
    if options["required_metadata"]:
        keys = ", ".join(map(safe, options["required_metadata"]))
        yield "required metadata", keys
    if options["validators"]:
        yield "validators", ", ".join(map(safe, options["validators"]))
    yield "created", document["created_at"]
    yield "options changed", document["updated_at"]


def _lease(lease: Document) -> str:
    parts = []
    for name, value in lease.items():
        if value is not None:
            word = name.removesuffix("_seconds").replace("_", " ")
            shown = (
                str(value) if name == "max_renewals" else show_duration(float(value))
            )
            parts.append(f"{word} {shown}")
    return ", ".join(parts)


def _retry(retry: Document) -> str:
    span = show_duration(retry["base_seconds"])
    cap = show_duration(retry["cap_seconds"])
    match retry["kind"]:
        case "exponential":
            jitter = "on" if retry["jitter"] else "off"
            factor = f"{retry['factor']:g}"
            return f"exponential:{span},factor={factor},cap={cap},jitter={jitter}"
        case "linear":
            return f"linear:{span},cap={cap}"
        case kind:
            return f"{kind}:{span}"


def _retention(policy: Document) -> str:
    if policy["seconds"] is not None:
        return f"keep:{show_duration(policy['seconds'])}"
    return "forever" if policy["kind"] == "keep_forever" else "delete"
