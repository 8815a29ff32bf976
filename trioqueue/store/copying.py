"""Copying everything from one store into another, of whatever kind."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Concatenate, Final, Literal, ParamSpec, TypeVar, final

import attrs

from trioqueue.errors import IllegalStateError, ValidationError
from trioqueue.model.message import MessageState
from trioqueue.store.operations import copy_reading, copying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from trioqueue.store.operations.copy_reading import Page, Survey
    from trioqueue.store.operations.copying import Begun
    from trioqueue.store.operations.core import Context, Operation
    from trioqueue.store.store import Store

T = TypeVar("T")
P = ParamSpec("P")

HORIZON_MICROS: Final = 60_000_000
"""Clean-up of the next minute may delete what it likes, and is not missed."""
SCHEDULES_AT_ONCE: Final = 100


@final
@attrs.frozen
class CopiedCounts:
    """What of one queue was copied, or would be.

    Attributes:
        name: The queue.
        counts: How many messages of each state.
        paused: Whether it is paused in the source, and so in the target.
    """

    name: str
    counts: dict[MessageState, int]
    paused: bool


@final
@attrs.frozen
class CopyReport:
    """What a copy brought, or would bring.

    Attributes:
        source: The source's address, without passwords.
        target: The target's; "" where none was looked at.
        queues: Each queue, in the order in which they were made.
        live: Live messages.
        finished: Retained messages and dead letters.
        attempts: Attempts on record.
        schedules: Schedules.
        runs: Runs of schedules on record.
        calendars: Business calendars.
        undone: The source of an unfinished copy that was undone first, if there was
            one.
        schemas: Versions of schemas.
    """

    source: str
    target: str
    queues: tuple[CopiedCounts, ...]
    live: int
    finished: int
    attempts: int
    schedules: int
    runs: int
    calendars: int
    undone: str | None = None
    schemas: int = 0

    @property
    def running(self) -> int:
        """How many messages are under a lease."""
        return sum(each.counts[MessageState.RUNNING] for each in self.queues)


async def plan_copy(
    source: Store,
    target: Store | None = None,
    *,
    running: Literal["refuse", "expire"] = "refuse",
) -> CopyReport:
    """Say what `copy_store` would copy; nothing is written.

    Args:
        source: Where from.
        target: Where to, if it is there already.
        running: What is to become of messages under a lease.

    Raises:
        ConflictError: The target has queues, schedules, calendars or schemas of the
            same names.
        IllegalStateError: Messages are running.
    """
    found, report = await _plan(source, target, running)
    if target is not None:
        await refuse_taken(target, found)
    return report


async def copy_store(
    source: Store,
    target: Store,
    *,
    running: Literal["refuse", "expire"] = "refuse",
    discard: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> CopyReport:
    """Copy all: queues, messages, dead letters, schedules, calendars, schemas.

    Workers, services and whoever posts must be stopped: if the source changes
    meanwhile, the copy fails at its end.  The source is only read.  In the target all
    queues and schedules stay paused until everything is there and counted; what a copy
    that was interrupted has left, the next one deletes and starts again.  Numbers are
    drawn anew, so that no old lease holds in the target; instants stay as they are.

    Cancellation leaves an unfinished copy.

    Args:
        source: Where from.
        target: Where to; it has none of the same name, be it a queue, a schedule, a
            calendar or a schema.
        running: Messages under a lease: ``"refuse"`` to copy, or let them ``"expire"``
            in the target, as if their workers had died.
        discard: Undo an unfinished copy even where others have used its queues since,
            and lose what they did.
        progress: Is told how many messages are done, and how many there are.

    Raises:
        ConflictError: The target has queues, schedules, calendars or schemas of the
            same names.
        IllegalStateError: Messages are running, the source has changed, or others use
            the queues of an unfinished copy.
        TrioQueueError: Somebody deleted in the target what was copied.
    """
    found, report = await _plan(source, target, running)
    mark = secrets.token_hex(16)
    begun, undone = await begin_copy(target, mark, source.url, found, discard=discard)
    attempts, runs = await _Copy(source, target, found, begun, progress).run()
    return attrs.evolve(report, attempts=attempts, runs=runs, undone=undone)


async def refuse_taken(target: Store, found: Survey) -> None:
    """See that a store has nothing of the names that are to come.

    What an unfinished copy has left does not count: the next one undoes it.

    Raises:
        ConflictError: It has.
    """
    if await read_from(target, copy_reading.unfinished):
        return
    taken = await read_from(
        target,
        copy_reading.names_taken,
        [queue.name for queue in found.queues],
        [row[1] for row in found.schedules],
        [calendar.calendar_id for calendar in found.calendars],
        sorted({schema.schema_id for schema in found.schemas}),
    )
    if taken:
        raise copying.taken_error(taken)


async def begin_copy(
    target: Store, mark: str, name: str, found: Survey, *, discard: bool
) -> tuple[Begun, str | None]:
    """Begin to copy into a store, after undoing what an earlier copy has left.

    Args:
        target: Where to.
        mark: Tells this copy from others.
        name: Where from, for people.
        found: What is to come.
        discard: Undo even what others have used since.

    Returns:
        Where to put things, and what was undone, if something was.

    Raises:
        ConflictError: The target has some of the names.
        IllegalStateError: Others use an unfinished copy's queues, or copy now.
    """
    undone = None
    begun = await write_to(target, copying.begin, mark, name, found)
    if begun is None:
        undone = await undo_copy(target, mark, discard=discard)
        begun = await write_to(target, copying.begin, mark, name, found)
    if begun is None:
        message = "another copy into the same store has just begun; let it finish"
        raise IllegalStateError(message)
    return begun, undone


async def read_from(
    store: Store,
    operation: Callable[P, Operation[T]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run an operation that reads a store."""
    # A copy is a verb of two stores, and so a method of neither.
    return await store._read(operation, *args, **kwargs)  # noqa: SLF001  see above


async def write_to(
    store: Store,
    operation: Callable[Concatenate[Context, P], Operation[T]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run an operation that writes to a store."""
    return await store._write(operation, *args, **kwargs)  # noqa: SLF001  as above


def check_running(running: str) -> None:
    """See that it is known what is to become of messages under a lease.

    Raises:
        ValidationError: It is not.
    """
    if running not in ("refuse", "expire"):
        raise ValidationError.of(
            "running", f"must be 'refuse' or 'expire', got {running!r}"
        )


def report_of(
    name: str, target: Store | None, found: Survey, counts: Iterable[CopiedCounts]
) -> CopyReport:
    """Report what is to come, from where and to where."""
    return CopyReport(
        name,
        "" if target is None else target.url,
        tuple(counts),
        found.live,
        found.finished,
        found.attempts,
        len(found.schedules),
        found.runs,
        len(found.calendars),
        schemas=len(found.schemas),
    )


async def _plan(
    source: Store, target: Store | None, running: str
) -> tuple[Survey, CopyReport]:
    check_running(running)
    found, counts = await read_from(source, _look)
    report = report_of(source.url, target, found, counts)
    if report.running and running == "refuse":
        number = report.running
        message = (
            f"{number} message{' is' if number == 1 else 's are'} running in the "
            "source; stop the workers and let them finish, or let the copies expire "
            "in the target as if their workers had died (running='expire')"
        )
        raise IllegalStateError(message, MessageState.RUNNING)
    if await read_from(source, copy_reading.unfinished):
        message = (
            "the source is itself the target of a copy that is unfinished; complete "
            "that one first"
        )
        raise IllegalStateError(message)
    return found, report


def _look() -> Operation[tuple[Survey, list[CopiedCounts]]]:
    found = yield from copy_reading.survey()
    queues = []
    for queue in found.queues:
        counted = yield from copy_reading.count_queue(queue.queue_id)
        counts = {state: counted.get(int(state), 0) for state in MessageState}
        queues.append(CopiedCounts(queue.name, counts, queue.paused_at is not None))
    return found, queues


@final
class _Copy:
    """One copy on its way."""

    def __init__(
        self,
        source: Store,
        target: Store,
        found: Survey,
        begun: Begun,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._source = source
        self._target = target
        self._found = found
        self._begun = begun
        self._progress = progress
        self._done = 0

    async def run(self) -> tuple[int, int]:
        """Copy; return how many attempts and runs came along."""
        found = self._found
        attempts = await self._messages(copy_reading.live_page, found.live)
        attempts += await self._messages(copy_reading.finished_page, found.finished)
        runs = await self._schedules()
        clocks = (self._source.clock.now_us(), self._target.clock.now_us())
        horizon = max(clocks) + HORIZON_MICROS
        again, kept = await read_from(self._source, _look_again, horizon)
        if again != found:
            raise _changed()
        await write_to(self._target, copying.finish, self._begun, found, kept, horizon)
        return attempts, runs

    async def _messages(
        self, read: Callable[[int], Operation[Page | None]], wanted: int
    ) -> int:
        """Bring all messages of a kind; return how many attempts came with them."""
        attempts = count = after = 0
        while (page := await read_from(self._source, read, after)) is not None:
            attempts += await write_to(
                self._target, copying.write_messages, self._begun, page
            )
            after = page.last
            count += len(page.rows)
            self._done += len(page.rows)
            if count > wanted:
                raise _changed()
            if self._progress is not None:
                self._progress(self._done, self._found.live + self._found.finished)
        if count != wanted:
            raise _changed()
        return attempts

    async def _schedules(self) -> int:
        """Bring all schedules and what they ran; return how many runs."""
        source, target, begun = self._source, self._target, self._begun
        numbers: dict[int, int] = {}
        after = 0
        while rows := await read_from(source, copy_reading.schedule_page, after):
            for batch in batches(rows, SCHEDULES_AT_ONCE):
                numbers |= await write_to(target, copying.write_schedules, begun, batch)
            after = rows[-1].schedule_row
        count = after = 0
        while runs := await read_from(source, copy_reading.run_page, after):
            count += await write_to(target, copying.write_runs, begun, runs, numbers)
            after = runs[-1].run
        return count


def batches(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Take a list apart."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _look_again(horizon: int) -> Operation[tuple[Survey, int]]:
    found = yield from copy_reading.survey()
    kept = yield from copy_reading.count_kept(-1, copy_reading.ENDLESS, horizon)
    return found, kept


def _changed() -> IllegalStateError:
    return IllegalStateError(
        "the source has changed while it was copied, so the copy stays unfinished, "
        "its queues paused; stop workers, services and whoever posts, then copy again"
    )


async def undo_copy(target: Store, mark: str, *, discard: bool) -> str:
    """Delete what an unfinished copy has left; return where it came from.

    Args:
        target: Where it is.
        mark: Becomes the mark of whoever does this.
        discard: Even what others have done there.

    Raises:
        IllegalStateError: Others use its queues or schedules, and not `discard`.
    """
    began = await write_to(target, copying.take_over, mark, discard=discard)
    for name in began.queues:
        while await write_to(target, copying.undo_queue, mark, name):
            pass
    for batch in batches(began.schedules, SCHEDULES_AT_ONCE):
        await write_to(target, copying.undo_schedules, mark, batch)
    await write_to(target, copying.undo_rest, mark, began.calendars, began.schemas)
    return began.source
