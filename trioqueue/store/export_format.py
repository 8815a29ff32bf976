"""Rows as the JSON lines of an export, and back: nothing is lost on the way.

Each column has a field of the same name, with these exceptions: instants are ISO 8601
in UTC to the microsecond; spans are microseconds, ``_us`` behind the name; bytes are
base64, ``_base64`` behind the name; stored JSON is JSON (or, where it would not come
back letter by letter, text, ``_text`` behind the name); numbers of rows are
``tickets``, counted from the first message of the export.  A field that is missing is
null.  Random bits that prove a lease are not exported.
"""

from __future__ import annotations

import base64
import binascii
import json
import typing
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import NoneType
from typing import Any, Final, NamedTuple

from trioqueue.model.message import MessageState
from trioqueue.model.payload import decode_json, encode_json
from trioqueue.model.schedule import ScheduleState
from trioqueue.policies.priority import claim_key, ready_at

VERSION: Final = 1
"""Of the format; the first line says it."""

Document = dict[str, Any]

_INSTANTS: Final = frozenset(
    (
        *("abort_requested_at", "created_at", "cursor", "deadline", "due_at"),
        *("end_at", "ended_at", "expires_at", "finished_at", "heartbeat_expires_at"),
        *("last_at", "lease_expires_at", "next_at", "next_nominal", "occurrence"),
        *("paused_at", "posted_at", "scheduled_at", "start_at", "started_at"),
        "updated_at",
    )
)
_SPANS: Final = frozenset(("delay", "jitter"))
_BYTES: Final = frozenset(("payload", "result"))
_TICKETS: Final = {"id": "ticket", "ready_seq": "ready_ticket"} | {
    "attempt_id": "attempt_ticket"
}
_LEFT_OUT: Final = frozenset(
    ("token", "queue_id", "schedule_row", "message_row", "run")
)
"""Drawn anew, or said by the line as a whole."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_INT_64: Final = 1 << 63


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))


def _spaced(value: Any) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)


def _as_posted(value: Any) -> str:
    return encode_json(value).decode()


_JSON: Final[dict[str, Callable[[Any], str]]] = {
    "options": _compact,
    "rule": _compact,
    "document": _compact,
    "misfire": _spaced,
    "lease": _spaced,
    "attempt_lease": _spaced,
    "metadata": _as_posted,
}
"""Columns that hold JSON, and how each is written."""


class FormatError(ValueError):
    """A line is not what this version writes."""


class _Field(NamedTuple):
    column: str
    kind: type
    nullable: bool


@lru_cache(maxsize=16)
def fields_of(record: type) -> tuple[_Field, ...]:
    """Return a record's columns, with the type of each."""
    found = []
    for column, hint in typing.get_type_hints(record).items():
        kinds = typing.get_args(hint) or (hint,)
        (kind,) = (each for each in kinds if each is not NoneType)
        found.append(_Field(column, kind, NoneType in kinds))
    return tuple(found)


def line_of(document: Document) -> bytes:
    """Write one line."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.encode() + b"\n"


def document_of(kind: str, row: Any, base: int, **more: Any) -> Document:
    """Make a row's document.

    Args:
        kind: The first field, the line's type; none if it is empty.
        row: One of the records of `copy_rows`.
        base: What is taken from tickets.
        more: Fields that come next.
    """
    document: Document = {"type": kind, **more} if kind else dict(more)
    for column, value in zip(row._fields, row, strict=True):
        if value is None or column in _LEFT_OUT:
            continue
        if column in _INSTANTS:
            document[column] = iso_of(value)
        elif column in _BYTES:
            document[f"{column}_base64"] = base64.b64encode(value).decode()
        elif column in _JSON:
            _put_json(document, column, value)
        elif column in _TICKETS:
            document[_TICKETS[column]] = value - base
        elif column == "state":
            states = ScheduleState if kind == "schedule" else MessageState
            document[column] = states(value).name
        elif column == "claim_key":
            _put_key(document, value, row.priority)
        else:
            document[f"{column}_us" if column in _SPANS else column] = value
    return document


def _put_json(document: Document, column: str, text: str) -> None:
    value = _if_exact(column, text)
    if value is None:
        document[f"{column}_text"] = text
    else:
        document[column] = value


def _if_exact(column: str, text: str) -> dict[str, Any] | None:
    """Read stored JSON; None unless it is an object that is written the same again."""
    try:
        value = decode_json(text)
        if isinstance(value, dict) and _JSON[column](value) == text:
            return value
    except ValueError:  # of which EncodingProblem is one
        pass
    return None


def _put_key(document: Document, key: int, priority: int) -> None:
    ready = ready_at(key)
    if claim_key(priority, ready) == key:
        document["ready_at"] = iso_of(ready)
    else:
        document["claim_key"] = key


def iso_of(micros: int) -> str | int:
    """Write an instant; microseconds since 1970 where the calendar ends."""
    try:
        instant = _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return micros
    return f"{instant.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


class Reader:
    """Reads the fields of one document, and refuses what is left over."""

    def __init__(self, document: Document) -> None:
        self._rest = dict(document)

    def take(self, name: str, kind: type, *, nullable: bool = False) -> Any:
        """Return a field's value.

        Raises:
            FormatError: It is missing, or of another type.
        """
        value = self._rest.pop(name, None)
        if value is None:
            if nullable:
                return None
            raise FormatError(f"the field {name!r} is missing")
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise FormatError(f"{name!r} is no {kind.__name__}: {value!r:.80}")
        found: Any = value
        if kind is int and not -_INT_64 <= found < _INT_64:
            raise FormatError(f"{name!r} is out of range")
        if kind is str and "\0" in found:
            raise FormatError(f"{name!r} holds a NUL")
        return found

    def row(self, record: Any, kind: str, base: int, **known: Any) -> Any:
        """Return the row that `document_of` made a document of.

        Args:
            record: Which of the records of `copy_rows`.
            kind: The document's kind.
            base: What is added to tickets.
            known: Columns that the line as a whole says.

        Raises:
            FormatError: Something is missing or wrong.
        """
        values: dict[str, Any] = dict(known)
        for column, type_, nullable in fields_of(record):
            if column not in values:
                values[column] = self._column(
                    column, type_, kind, base, nullable=nullable
                )
        if "claim_key" in values and values["claim_key"] is None:
            ready = micros_of(self._rest.pop("ready_at", None), "ready_at")
            values["claim_key"] = claim_key(values["priority"], ready)
        self.finish()
        return record(**values)

    def finish(self) -> None:
        """Check that every field was read.

        Raises:
            FormatError: There is one more.
        """
        if self._rest:
            raise FormatError(f"unknown field {next(iter(self._rest))!r}")

    def _column(  # noqa: PLR0911  one for each kind of column
        self, column: str, type_: type, kind: str, base: int, *, nullable: bool
    ) -> Any:
        if column == "token":
            return None
        if column in _INSTANTS:
            value = self._rest.pop(column, None)
            return None if value is None and nullable else micros_of(value, column)
        if column in _BYTES:
            return self._bytes(f"{column}_base64", nullable=nullable)
        if column in _JSON:
            return self._json(column, nullable=nullable)
        if column in _TICKETS:
            value = self.take(_TICKETS[column], int, nullable=nullable)
            return None if value is None else value + base
        if column == "state":
            return self._state(kind)
        if column == "claim_key":
            return self.take(column, int, nullable=True)
        name = f"{column}_us" if column in _SPANS else column
        return self.take(name, type_, nullable=nullable)

    def _bytes(self, name: str, *, nullable: bool) -> bytes | None:
        text = self.take(name, str, nullable=nullable)
        if text is None:
            return None
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise FormatError(f"{name!r} is no base64: {error}") from None

    def _json(self, column: str, *, nullable: bool) -> str | None:
        if f"{column}_text" in self._rest:
            text: str = self.take(f"{column}_text", str)
            return text
        value = self.take(column, dict, nullable=nullable)
        if value is None:
            return None
        try:
            return _JSON[column](value)
        except ValueError as error:
            raise FormatError(f"{column!r}: {error}") from None

    def _state(self, kind: str) -> int:
        states: Any = ScheduleState if kind == "schedule" else MessageState
        name = self.take("state", str)
        try:
            return int(states[name])
        except KeyError:
            raise FormatError(f"there is no state {name!r}") from None


def micros_of(value: Any, name: str) -> int:
    """Read an instant that `iso_of` wrote.

    Raises:
        FormatError: It is no instant.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if -_INT_64 <= value < _INT_64:
            return value
    elif isinstance(value, str):
        try:
            instant = datetime.fromisoformat(value)
            return (instant - _EPOCH) // _MICROSECOND
        except (ValueError, TypeError, OverflowError):
            pass
    raise FormatError(f"{name!r} is no instant: {value!r:.80}")
