"""Reading an export: every line checked before anything is stored."""

from __future__ import annotations

import json
from array import array
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, final

from trioqueue.errors import Issue, TrioQueueError, ValidationError
from trioqueue.model.message import PRIORITIES, MessageState
from trioqueue.model.options_codec import decode_options
from trioqueue.model.payload import content_type_problem
from trioqueue.model.queue import queue_name_issues
from trioqueue.schema.documents import check_document_text
from trioqueue.store.export_format import VERSION, FormatError, Reader
from trioqueue.store.operations import schedule_rows
from trioqueue.store.operations.copy_reading import Survey
from trioqueue.store.operations.copy_rows import (
    CopiedAttempt,
    CopiedCalendar,
    CopiedFinished,
    CopiedLive,
    CopiedQueue,
    CopiedRun,
    CopiedSchedule,
    CopiedSchema,
)
from trioqueue.store.operations.rows import decode_lease

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trioqueue.store.operations.core import Row

LONGEST_HEADER: Final = 4096
HIGHEST_TICKET: Final = 1 << 48
"""So many are reserved in the target at most, which has 2**63 of them."""
ORDER: Final = ("queue", "schema", "calendar", "schedule", "message", "run", "end")
"""Kinds of lines, in the order in which they come."""
COUNTED: Final = ("queues", "calendars", "schedules", "messages", "attempts", "runs")


class Line(NamedTuple):
    """One line, read.

    Attributes:
        number: Counted from 1.
        kind: What it is.
        row: A record of `copy_rows`; None for the last line.
        attempts: A message's attempts on record.
    """

    number: int
    kind: str
    row: Any
    attempts: list[CopiedAttempt]


@final
class Export:
    """What a file holds, gone through once.

    Attributes:
        name: What the file is called.
        found: What a copy needs to know of its source.
        counts: How many of each kind, by the names of the last line.
        states: For each queue, how many messages of each state.
        releases: When finished messages are let go; those that are kept are left out.
    """

    def __init__(self, file: IO[bytes], name: str = "") -> None:
        """Check a file from its beginning to its end.

        Raises:
            ValidationError: It is no export, not whole, or wrong: which line, and what.
        """
        self._file = file
        self.name = name
        self.counts: dict[str, int] = dict.fromkeys((*COUNTED, "schemas"), 0)
        self._told: dict[str, int] = {}
        self.states: dict[str, dict[MessageState, int]] = {}
        self.releases = array("q")
        self._queues: dict[str, CopiedQueue] = {}
        self._names: list[str] = []
        self._calendars: dict[str, CopiedCalendar] = {}
        self._schemas: dict[str, CopiedSchema] = {}
        self._schedules: dict[str, Row] = {}
        self._last = 0
        live = finished = 0
        for line in self.lines():
            self._note(line)
            live += isinstance(line.row, CopiedLive)
            finished += isinstance(line.row, CopiedFinished)
        self.found = Survey(
            self._last,
            (
                (live, 0, 0, 0, 0),
                (finished, self.counts["attempts"], self.counts["runs"], 0),
            ),
            tuple(self._queues.values()),
            tuple(self._calendars.values()),
            tuple(self._schedules.values()),
            1,
            tuple(self._schemas.values()),
        )

    @property
    def running(self) -> int:
        """How many messages were under a lease."""
        return sum(counts[MessageState.RUNNING] for counts in self.states.values())

    def kept(self, horizon: int) -> int:
        """Count messages that no clean-up deletes before an instant."""
        released = sum(instant <= horizon for instant in self.releases)
        return self.counts["messages"] - released

    def lines(self) -> Iterator[Line]:
        """Read the file from its beginning.

        Raises:
            ValidationError: A line is wrong: which, and what.
        """
        self._file.seek(0)
        check_header(self._file.readline(LONGEST_HEADER))
        order, number = _Order(), 1
        for number, data in enumerate(self._file, 2):
            try:
                line = self._line(number, data)
                order.check(line)
            except FormatError as error:
                refuse(number, str(error))
            yield line
        if order.kind != "end":
            refuse(
                number, "the file is cut off: the last line, with counts, is missing"
            )

    def _line(self, number: int, data: bytes) -> Line:
        if not data.endswith(b"\n"):
            raise FormatError("the file ends in the middle of a line")
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise FormatError(f"is no JSON: {error}") from None
        if not isinstance(document, dict):
            raise FormatError("is no JSON object")
        reader = Reader(document)
        kind = reader.take("type", str)
        attempts: list[CopiedAttempt] = []
        match kind:
            case "queue":
                known = self._queues.get(document.get("name", ""))
                place = known.queue_id if known else len(self._queues) + 1
                row: Any = reader.row(CopiedQueue, kind, 0, queue_id=place)
            case "calendar" | "schema":
                record = CopiedCalendar if kind == "calendar" else CopiedSchema
                row = reader.row(record, kind, 0)
            case "schedule":
                there = self._schedules.get(document.get("schedule_id", ""))
                place = there[0] if there else len(self._schedules) + 1
                row = reader.row(CopiedSchedule, kind, 0, schedule_row=place)
            case "message":
                row, attempts = self._message(reader, document)
            case "run":
                row = self._run(reader, number)
            case "end":
                row = None
                self._end(reader)
            case _:
                raise FormatError(f"unknown type {kind!r}")
        return Line(number, kind, row, attempts)

    def _message(
        self, reader: Reader, document: dict[str, Any]
    ) -> tuple[Any, list[CopiedAttempt]]:
        name = reader.take("queue", str)
        if name not in self._queues:
            raise FormatError(f"there is no queue {name!r} above")
        past = reader.take("past", list, nullable=True) or []
        finished = document.get("state") in ("COMPLETED", "CANCELED", "ERRORED")
        row = reader.row(
            CopiedFinished if finished else CopiedLive,
            "message",
            0,
            queue_id=self._queues[name].queue_id,
        )
        attempts = []
        for each in past:
            if not isinstance(each, dict):
                raise FormatError("an attempt is no JSON object")
            attempts.append(Reader(each).row(CopiedAttempt, "", 0, message_row=row.id))
        return row, attempts

    def _run(self, reader: Reader, number: int) -> Any:
        name = reader.take("schedule", str)
        if name not in self._schedules:
            raise FormatError(f"there is no schedule {name!r} above")
        place = self._schedules[name][0]
        return reader.row(CopiedRun, "run", 0, run=number, schedule_row=place)

    def _end(self, reader: Reader) -> None:
        self._told = {name: reader.take(name, int) for name in COUNTED}
        self._told["schemas"] = reader.take("schemas", int, nullable=True) or 0
        reader.finish()

    def _note(self, line: Line) -> None:
        """Check what a line says against the others, and remember it."""
        try:
            if line.kind == "end":
                self._check_counts()
                return
            self.counts[f"{line.kind}s"] += 1
            self.counts["attempts"] += len(line.attempts)
            match line.row:
                case CopiedQueue() as queue:
                    self._note_queue(queue)
                case CopiedCalendar() as calendar:
                    _once(self._calendars, calendar.calendar_id)
                    _sound("document", schedule_rows.decode_calendar, calendar.document)
                    self._calendars[calendar.calendar_id] = calendar
                case CopiedSchema() as schema:
                    self._note_schema(schema)
                case CopiedSchedule() as schedule:
                    _once(self._schedules, schedule.schedule_id)
                    _sound("misfire", schedule_rows.decode_misfire, schedule.misfire)
                    _sound("lease", decode_lease, schedule.lease)
                    self._schedules[schedule.schedule_id] = (
                        schedule.schedule_row,
                        schedule.schedule_id,
                        schedule.version,
                        schedule.state,
                        schedule.reason,
                    )
                case CopiedLive() | CopiedFinished() as message:
                    self._note_message(message, line.attempts)
        except FormatError as error:
            refuse(line.number, str(error))

    def _note_schema(self, schema: CopiedSchema) -> None:
        _once(self._schemas, f"{schema.schema_id}:{schema.version}")
        for issue in queue_name_issues(schema.schema_id, "schema_id"):
            raise FormatError(str(issue))
        if schema.version < 1 or schema.active not in (0, 1):
            raise FormatError("a version is 1 or more, and active 0 or 1")
        _sound("document", check_document_text, schema.document)
        self._schemas[f"{schema.schema_id}:{schema.version}"] = schema

    def _check_counts(self) -> None:
        for name, count in self._told.items():
            if count != self.counts[name]:
                raise FormatError(
                    f"there should be {count} {name}, and are {self.counts[name]}: "
                    "lines are missing or too many"
                )

    def _note_queue(self, queue: CopiedQueue) -> None:
        _once(self._queues, queue.name)
        for issue in queue_name_issues(queue.name, "name"):
            raise FormatError(str(issue))
        _sound("options", decode_options, queue.options)
        self._queues[queue.name] = queue
        self._names.append(queue.name)
        self.states[queue.name] = dict.fromkeys(MessageState, 0)

    def _note_message(
        self, row: CopiedLive | CopiedFinished, attempts: list[CopiedAttempt]
    ) -> None:
        if row.priority not in PRIORITIES:
            raise FormatError(f"there is no priority {row.priority}")
        if problem := content_type_problem(row.content_type):
            raise FormatError(f"content_type {problem}")
        _sound("lease", decode_lease, row.lease)
        numbers = [row.id, *(each.attempt_id for each in attempts)]
        if isinstance(row, CopiedLive):
            numbers.append(row.ready_seq)
            if row.attempt_id is not None:
                numbers.append(row.attempt_id)
            _check_live(row)
        elif row.expires_at is not None:
            self.releases.append(row.expires_at)
        if min(numbers) < 1 or max(numbers) > HIGHEST_TICKET:
            raise FormatError(f"tickets go from 1 to {HIGHEST_TICKET}")
        self._last = max(self._last, *numbers)
        self.states[self._names[row.queue_id - 1]][MessageState(row.state)] += 1


@final
class _Order:
    """Checks that lines come in the order in which they are written.

    Attributes:
        kind: What the last one was.
    """

    def __init__(self) -> None:
        self.kind = ""
        self._live = self._finished = 0

    def check(self, line: Line) -> None:
        """Look at the next line.

        Raises:
            FormatError: It is out of order.
        """
        if self.kind == "end":
            raise FormatError("there is something behind the end")
        if self.kind and ORDER.index(line.kind) < ORDER.index(self.kind):
            raise FormatError(f"a {line.kind} behind a {self.kind}")
        self.kind = line.kind
        match line.row:
            case CopiedLive(id=ticket) if ticket > self._live and not self._finished:
                self._live = ticket
            case CopiedFinished(id=ticket) if ticket > self._finished:
                self._finished = ticket
            case CopiedLive() | CopiedFinished():
                raise FormatError("messages are not in the order of their tickets")


def check_header(data: bytes) -> None:
    """Check the first line.

    Raises:
        ValidationError: It is not that of an export that this version can read.
    """
    try:
        header = json.loads(data)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or "trioqueue" not in header:
        refuse(1, "this is no export of trioqueue")
    version = header["trioqueue"]
    if version != VERSION or isinstance(version, bool):
        refuse(
            1,
            f"the export has version {version!r}, this trioqueue reads {VERSION}; "
            "upgrade trioqueue",
        )
    if header != {"trioqueue": VERSION, "content": "export"}:
        refuse(1, f"this is no export, but {header.get('content')!r:.80}")


def refuse(number: int, problem: str) -> NoReturn:
    """Refuse a line.

    Raises:
        ValidationError: Always.
    """
    raise ValidationError([Issue(f"line {number}", problem)])


def _check_live(row: CopiedLive) -> None:
    running = row.state == MessageState.RUNNING
    needed = ("attempt_id", "started_at", "deadline", "lease_expires_at")
    if running and (missing := [n for n in needed if getattr(row, n) is None]):
        raise FormatError(f"it is running, and {missing[0]!r} is missing")
    if row.state == MessageState.INVISIBLE and row.due_at is None:
        raise FormatError("it is invisible, and 'due_at' is missing")


def _once(known: Any, name: str) -> None:
    if name in known:
        raise FormatError(f"{name!r} is there twice")


def _sound(name: str, decode: Any, text: str | None) -> None:
    """Check that the store can read what it is given."""
    try:
        if text is not None:
            decode(text)
    except (TrioQueueError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise FormatError(f"{name!r} cannot be read: {error}") from None
