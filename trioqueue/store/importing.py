"""Reading what an export has written into a store, all of it or nothing."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Final, Literal, final

import attrs
import trio

from trioqueue.errors import IllegalStateError, TrioQueueError
from trioqueue.model.message import MessageState
from trioqueue.store.copying import (
    HORIZON_MICROS,
    SCHEDULES_AT_ONCE,
    CopiedCounts,
    CopyReport,
    begin_copy,
    check_running,
    refuse_taken,
    report_of,
    undo_copy,
    write_to,
)
from trioqueue.store.export_file import Export
from trioqueue.store.operations import copying
from trioqueue.store.operations.copy_reading import PAGE_BYTES, PAGE_ROWS, Page

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioqueue.store.operations.copying import Begun
    from trioqueue.store.store import Store

UNDO_SECONDS: Final = 60


async def read_export(file: IO[bytes], *, name: str = "") -> Export:
    """Go through an export, and check every line; nothing is stored.

    Args:
        file: What `export_store` has written; it must be seekable, and stay open and as
            it is until it is imported.
        name: What reports call it.

    Raises:
        ValidationError: The file is no export, not whole, or wrong: which line.
    """
    # Abandoned, the thread goes on reading, and nobody minds.
    return await trio.to_thread.run_sync(Export, file, name, abandon_on_cancel=True)


async def plan_import(
    export: Export,
    target: Store | None = None,
    *,
    running: Literal["refuse", "expire"] = "refuse",
) -> CopyReport:
    """Say what `import_store` would bring; nothing is written.

    Args:
        export: What `read_export` has read.
        target: Where to, if it is there already.
        running: What is to become of messages that were under a lease.

    Raises:
        ConflictError: The target has queues, schedules or calendars of the same names.
        IllegalStateError: Messages were running.
    """
    report = _report(export, target, running)
    if target is None:
        await trio.lowlevel.checkpoint()
    else:
        await refuse_taken(target, export.found)
    return report


async def import_store(
    export: Export,
    target: Store,
    *,
    running: Literal["refuse", "expire"] = "refuse",
    discard: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> CopyReport:
    """Bring what an export holds into a store: all of it, or nothing.

    It is as with `copy_store`: all is paused until everything is there and counted,
    numbers are drawn anew, instants stay as they are.  If it fails, what came is
    deleted; if it is canceled or killed, the next import or copy does that.

    Args:
        export: What `read_export` has read.
        target: Where to; it has no queue, schedule or calendar of the same name.
        running: Messages that were under a lease: ``"refuse"`` to import, or let them
            ``"expire"`` in the target, as if their workers had died.
        discard: Undo an unfinished import or copy even where others have used its
            queues since, and lose what they did.
        progress: Is told how many messages are done, and how many there are.

    Raises:
        ConflictError: The target has queues, schedules or calendars of the same names.
        IllegalStateError: Messages were running, or others use the queues of an
            unfinished import.
        TrioQueueError: Somebody deleted in the target what was imported.
    """
    report = _report(export, target, running)
    mark = secrets.token_hex(16)
    begun, undone = await begin_copy(
        target, mark, export.name, export.found, discard=discard
    )
    try:
        await _Import(export, target, begun, progress).run()
    except Exception:
        with (
            trio.move_on_after(UNDO_SECONDS, shield=True),
            # Where it cannot be undone now, the next import does it.
            suppress(TrioQueueError),
        ):
            await undo_copy(target, mark, discard=True)
            await write_to(target, copying.forget, mark)
        raise
    return attrs.evolve(report, undone=undone)


def _report(export: Export, target: Store | None, running: str) -> CopyReport:
    """Say what is to come.

    Raises:
        IllegalStateError: Messages were running.
    """
    check_running(running)
    counts = (
        CopiedCounts(q.name, export.states[q.name], q.paused_at is not None)
        for q in export.found.queues
    )
    report = report_of(export.name, target, export.found, counts)
    if report.running and running == "refuse":
        number = report.running
        message = (
            f"{number} message{' was' if number == 1 else 's were'} running when this "
            "was exported, and may have ended since; let the imported ones expire as "
            "if their workers had died (running='expire')"
        )
        raise IllegalStateError(message, MessageState.RUNNING)
    return report


@final
class _Import:
    """One import on its way."""

    def __init__(
        self,
        export: Export,
        target: Store,
        begun: Begun,
        progress: Callable[[int, int], object] | None,
    ) -> None:
        self._export = export
        self._target = target
        self._begun = begun
        self._progress = progress
        self._done = 0
        self._bytes = 0
        self._waiting: dict[str, list[Any]] = {"message": [], "schedule": [], "run": []}
        self._attempts: list[Any] = []
        self._numbers: dict[int, int] = {}

    async def run(self) -> None:
        """Go through the file once more, and store what is in it."""
        kind = ""
        for line in self._export.lines():
            if line.kind != kind:
                await self._flush(kind)
                kind = line.kind
            if kind not in self._waiting:
                continue
            rows = self._waiting[kind]
            rows.append(line.row)
            self._attempts += line.attempts
            if kind == "message":
                self._bytes += len(line.row.payload)
            most = SCHEDULES_AT_ONCE if kind == "schedule" else PAGE_ROWS
            if len(rows) >= most or self._bytes >= PAGE_BYTES:
                await self._flush(kind)
        horizon = self._target.clock.now_us() + HORIZON_MICROS
        kept = self._export.kept(horizon)
        found = self._export.found
        await write_to(self._target, copying.finish, self._begun, found, kept, horizon)

    async def _flush(self, kind: str) -> None:
        rows = self._waiting.get(kind)
        if not rows:
            await trio.lowlevel.checkpoint()
            return
        target, begun = self._target, self._begun
        match kind:
            case "message":
                page = Page(rows, self._attempts, rows[-1].id)
                await write_to(target, copying.write_messages, begun, page)
                self._done += len(rows)
                if self._progress is not None:
                    self._progress(self._done, self._export.counts["messages"])
            case "schedule":
                self._numbers |= await write_to(
                    target, copying.write_schedules, begun, rows
                )
            case _:
                await write_to(target, copying.write_runs, begun, rows, self._numbers)
        self._waiting[kind] = []
        self._attempts = []
        self._bytes = 0
