"""From the store's records to JSON documents with the same field names.

Instants are ISO 8601 in UTC, states go by name, and bytes become base64 text, marked by
a second field: ``payload_encoding`` is ``base64`` beside such a ``payload``.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import attrs

from trioqueue.model import LeasePolicy, RetentionPolicy, RetryPolicy

if TYPE_CHECKING:
    from trioqueue.model import DeadLetter, Message, Queue, QueueState

Document = dict[str, Any]

LEASE_FIELDS: Final = (
    "base_seconds",
    "extend_seconds",
    "max_extension_seconds",
    "max_renewals",
    "heartbeat_seconds",
    "execution_limit_seconds",
)


def iso(instant: datetime) -> str:
    """Write an instant in UTC, to the microsecond."""
    text = instant.astimezone(UTC).isoformat(timespec="microseconds")
    return text.replace("+00:00", "Z")


def plain_value(value: Any) -> Any:  # noqa: PLR0911  one for each kind of value
    """Turn a value of a record into one that JSON has."""
    match value:
        case datetime():
            return iso(value)
        case Enum():
            return value.name
        case float() if not math.isfinite(value):
            return str(value)
        case bytes():
            return base64.b64encode(value).decode()
        case Mapping():
            return {
                key.name if isinstance(key, Enum) else key: plain_value(item)
                for key, item in value.items()
            }
        case list() | tuple():
            return [plain_value(item) for item in value]
        case LeasePolicy():
            return {name: plain_value(getattr(value, name)) for name in LEASE_FIELDS}
        case RetryPolicy() | RetentionPolicy():
            return value.settings()
        case _ if attrs.has(type(value)):
            return record(value)
        case _:
            return value


def record(value: Any) -> Document:
    """Turn a frozen record into a document, field by field."""
    document: Document = {}
    for field in attrs.fields(type(value)):
        item = getattr(value, field.name)
        document[field.name] = plain_value(item)
        if isinstance(item, bytes):
            document[f"{field.name}_encoding"] = "base64"
    return document


def queue_document(queue: Queue, state: QueueState | None = None) -> Document:
    """Describe a queue and, if given, how it stands."""
    document = record(queue)
    document["paused"] = queue.paused
    document["dead_letter_queue"] = queue.dead_letter_queue
    if state is not None:
        document |= record(state)
    return document


def message_document(message: Message) -> Document:
    """Describe a message; the attempts come last."""
    document = record(message)
    document["attempts_left"] = message.attempts_left
    document["attempts"] = document.pop("attempts")
    return document


def dead_letter_document(letter: DeadLetter) -> Document:
    """Describe a dead letter; its attempts stand beside its message, not in it too."""
    document = record(letter)
    document["message"] = message_document(letter.message)
    del document["message"]["attempts"]
    return document
