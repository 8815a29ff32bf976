"""Writing everything of a store as JSON lines: a backup that people can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

import attrs
import trio
from outcome import Error, Outcome, Value

from trioqueue.errors import (
    IllegalStateError,
    QueueNotFoundError,
    StoreUnavailableError,
)
from trioqueue.model.options_codec import decode_options
from trioqueue.store.copying import read_from
from trioqueue.store.export_format import VERSION, document_of, line_of
from trioqueue.store.operations import copy_reading
from trioqueue.store.operations.copy_rows import CopiedAttempt

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from trioqueue.store.operations.copy_reading import Page, Survey
    from trioqueue.store.operations.copy_rows import CopiedQueue, CopiedSchedule
    from trioqueue.store.operations.core import Operation
    from trioqueue.store.store import Store

HEADER: Final = {"trioqueue": VERSION, "content": "export"}


@final
@attrs.frozen
class ExportReport:
    """What was written.

    Attributes:
        queues: Queues.
        calendars: Business calendars.
        schedules: Schedules.
        messages: Messages: live, retained and dead.
        attempts: Attempts on record.
        runs: Runs of schedules on record.
        running: How many of the messages were under a lease.
        schemas: Versions of schemas.
    """

    queues: int = 0
    calendars: int = 0
    schedules: int = 0
    messages: int = 0
    attempts: int = 0
    runs: int = 0
    running: int = 0
    schemas: int = 0


async def export_store(
    store: Store,
    write: Callable[[bytes], object],
    *,
    queues: Collection[str] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> ExportReport:
    """Write queues, messages, dead letters, schedules and calendars as JSON lines.

    Everything is of one instant, whoever works on the store meanwhile.  The first line
    says which version of the format this is, the last one how much there was.  Memory
    is bounded; with SQLite the write-ahead log grows while it lasts.

    Cancellation ends it within a page of messages; what was written is incomplete, and
    no import takes it.

    Args:
        store: What to export; it is only read.
        write: Takes lines, each ended by a newline; perhaps called in a thread.
        queues: Only these, the schedules that post to them, and the business calendars
            and schemas that those use (default: everything).
        progress: Is told how many messages are done, and how many there are at most;
            perhaps in a thread.

    Raises:
        QueueNotFoundError: There is no queue of such a name.
        IllegalStateError: The store is itself the target of an unfinished copy.
        StoreUnavailableError: The connection was lost on the way.
    """
    export = _Export(write, queues, progress)

    outcome: Outcome[ExportReport] | None = None

    async def watch() -> None:  # noqa: ASYNC910  only cancellation ends it
        # Cancellation cannot reach into a thread, but a flag can.
        try:
            await trio.sleep_forever()
        finally:
            export.stopped = True

    async def read() -> None:  # noqa: ASYNC910  reading is one
        nonlocal outcome
        try:
            outcome = Value(await read_from(store, export.operation))
        except _StoppedError:
            return  # noqa: ASYNC910  what canceled the nursery comes out of it
        except Exception as error:  # noqa: BLE001  raised below, in no group
            outcome = Error(error)
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        nursery.start_soon(read)
    if outcome is None:
        await trio.lowlevel.checkpoint()  # raises: nothing but cancellation stops it
    assert outcome is not None  # noqa: S101  see above
    return outcome.unwrap()


class _StoppedError(Exception):
    """The export was canceled."""


class _Export:
    """One export on its way."""

    def __init__(
        self,
        write: Callable[[bytes], object],
        queues: Collection[str] | None,
        progress: Callable[[int, int], object] | None,
    ) -> None:
        self.stopped = False
        self._write = write
        self._only = queues
        self._progress = progress
        self._begun = False
        self._names: dict[int, str] = {}
        self._base = 0
        self._counts = dict.fromkeys(attrs.fields_dict(ExportReport), 0)

    def operation(self) -> Operation[ExportReport]:
        """Read all, in one transaction."""
        if self._begun:
            message = "the connection was lost during the export; export again"
            raise StoreUnavailableError(message)
        self._begun = True
        if (yield from copy_reading.unfinished()):
            message = "the store is the target of a copy that is unfinished"
            raise IllegalStateError(message)
        found = yield from copy_reading.survey()
        queues = self._chosen(found)
        self._names = {queue.queue_id: queue.name for queue in queues}
        first = yield from self._first(found)
        self._base = first - 1
        self._put([line_of(HEADER)])
        self._put(line_of(document_of("queue", q, 0)) for q in queues)
        self._counts["queues"] = len(queues)
        yield from self._schemas(found, queues)
        numbers = yield from self._schedules(found)
        total = found.live + found.finished
        for read in (copy_reading.live_page, copy_reading.finished_page):
            after = first - 1
            while (page := (yield from read(after))) is not None:
                after = page.last
                self._messages(page, total)
        yield from self._runs(numbers)
        report = ExportReport(**self._counts)
        end = {k: n for k, n in self._counts.items() if k != "running"}
        if not end["schemas"]:  # as it was before there were any
            del end["schemas"]
        self._put([line_of({"type": "end", **end})])
        return report

    def _chosen(self, found: Survey) -> list[CopiedQueue]:
        if self._only is None:
            return list(found.queues)
        known = {queue.name for queue in found.queues}
        for name in self._only:
            if name not in known:
                raise QueueNotFoundError(name)
        return [queue for queue in found.queues if queue.name in self._only]

    def _first(self, found: Survey) -> Operation[int]:
        """Find the first message's number: tickets count from there."""
        if self._only is None:
            return found.first_id
        lowest: list[int] = []
        for queue_id in self._names:
            lowest += yield from copy_reading.first_of_queue(queue_id)
        return min(lowest, default=1)

    def _put(self, lines: Iterator[bytes] | list[bytes]) -> None:
        if self.stopped:
            raise _StoppedError
        data = b"".join(lines)
        if data:
            self._write(data)

    def _schemas(self, found: Survey, queues: list[CopiedQueue]) -> Operation[None]:
        """Write the schemas that queues name, and their messages have."""
        used: set[str | None] = {
            decode_options(queue.options).schema_id for queue in queues
        }
        if found.schemas and self._only is not None:
            for queue in queues:
                used |= yield from copy_reading.schemas_of_queue(queue.queue_id)
        everything = self._only is None
        chosen = [s for s in found.schemas if everything or s.schema_id in used]
        self._put(line_of(document_of("schema", each, 0)) for each in chosen)
        self._counts["schemas"] = len(chosen)

    def _schedules(self, found: Survey) -> Operation[dict[int, str]]:
        """Write calendars and schedules; return which schedule is in which row."""
        numbers: dict[int, str] = {}
        calendars: set[str | None] = {each.calendar_id for each in found.calendars}
        if self._only is not None:
            calendars = set()
            yield from self._each_schedule(lambda row: calendars.add(row.calendar_id))
        chosen = [each for each in found.calendars if each.calendar_id in calendars]
        self._put(line_of(document_of("calendar", each, 0)) for each in chosen)
        self._counts["calendars"] = len(chosen)

        def write(row: CopiedSchedule) -> None:
            numbers[row.schedule_row] = row.schedule_id
            self._put([line_of(document_of("schedule", row, 0))])

        yield from self._each_schedule(write)
        self._counts["schedules"] = len(numbers)
        return numbers

    def _each_schedule(
        self, use: Callable[[CopiedSchedule], object]
    ) -> Operation[None]:
        after = 0
        while rows := (yield from copy_reading.schedule_page(after)):
            for row in rows:
                if self._only is None or row.queue in self._only:
                    use(row)
            after = rows[-1].schedule_row

    def _messages(self, page: Page, total: int) -> None:
        attempts: dict[int, list[CopiedAttempt]] = {}
        for row in sorted(page.attempts):
            attempt = CopiedAttempt._make(row)
            attempts.setdefault(attempt.message_row, []).append(attempt)
        self._put(
            self._message(row, attempts.get(row[0], []))
            for row in page.rows
            if row[1] in self._names
        )
        if self._progress is not None:
            self._progress(self._counts["messages"], total)

    def _message(self, row: Any, attempts: list[CopiedAttempt]) -> bytes:
        name = self._names[row.queue_id]
        document = document_of("message", row, self._base, queue=name)
        if attempts:
            records = [document_of("", each, self._base) for each in attempts]
            document["past"] = records
        self._counts["messages"] += 1
        self._counts["attempts"] += len(attempts)
        self._counts["running"] += document["state"] == "RUNNING"
        return line_of(document)

    def _runs(self, numbers: dict[int, str]) -> Operation[None]:
        after = 0
        while rows := (yield from copy_reading.run_page(after)):
            lines = [
                line_of(document_of("run", row, 0, schedule=numbers[row.schedule_row]))
                for row in rows
                if row.schedule_row in numbers
            ]
            self._counts["runs"] += len(lines)
            self._put(lines)
            after = rows[-1].run
