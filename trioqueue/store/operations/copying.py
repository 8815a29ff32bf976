"""Writing a copy into a store, so that an unfinished one never looks complete.

While it goes on, a mark in the database says so and names what it brings; its queues
and schedules are paused.  Every batch checks the mark, so that a copy which has been
given up by another one writes nothing any more.  The last transaction counts, opens the
queues and schedules, and takes the mark away.

Numbers are drawn at once for everything: each is the source's plus one constant, so
that their order, and what belongs together, stays as it is.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from trioqueue.errors import ConflictError, IllegalStateError, TrioQueueError
from trioqueue.store.operations.copy_reading import count_kept, names_taken
from trioqueue.store.operations.copy_rows import (
    BEING_COPIED,
    CopiedFinished,
    CopiedLive,
    moved_attempt,
)
from trioqueue.store.operations.core import (
    CALENDAR,
    CLEANUP,
    CRON,
    RECLAIM,
    SCHEDULER,
    Execute,
    ExecuteMany,
    Fetch,
    queue_lock,
)
from trioqueue.store.operations.rows import queues_by_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trioqueue.store.operations.copy_reading import Page, Survey, Taken
    from trioqueue.store.operations.copy_rows import CopiedRun, CopiedSchedule
    from trioqueue.store.operations.core import Context, Operation

UNDO_BATCH: Final = 1000
SHOWN_NAMES: Final = 5


class Begun(NamedTuple):
    """What a copy needs to know once it has begun."""

    mark: str
    shift: int
    """What is added to a number of the source."""
    first: int
    last: int
    """Its messages have numbers above `first`, up to `last`."""
    queue_ids: Mapping[int, int]
    """The source's number of a queue, and the target's."""


def begin(
    context: Context, mark: str, source: str, found: Survey
) -> Operation[Begun | None]:
    """Mark the store, and bring queues and calendars; None if a mark is there already.

    Raises:
        ConflictError: Names are taken.
    """
    yield Execute("copy_insert_mark", {"key": "copy", "value": mark})
    if (yield from _mark()) != mark:
        return None
    known = yield from _note()
    if known is not None:
        # The commit had come through, and only its answer was lost.
        return (yield from _begun(mark, found, known["first"], known["last"]))
    names = {
        "queues": [queue.name for queue in found.queues],
        "schedules": [row[1] for row in found.schedules],
        "calendars": [calendar.calendar_id for calendar in found.calendars],
        "schemas": sorted({schema.schema_id for schema in found.schemas}),
    }
    taken = yield from names_taken(*names.values())
    if taken:
        raise taken_error(taken)
    span = found.last_ticket - found.first_id + 1
    ((first,),) = yield Fetch("copy_reserve", {"span": span})
    note = {"source": source, "first": first, "last": first + span, **names}
    yield Execute("copy_insert_mark", {"key": "copy_names", "value": json.dumps(note)})
    held = [
        queue._replace(paused_at=context.now, pause_reason=BEING_COPIED)[1:]
        for queue in found.queues
    ]
    if held:
        yield ExecuteMany("copy_insert_queues", held)
    if found.calendars:
        yield ExecuteMany("copy_insert_calendars", found.calendars)
    if found.schemas:
        yield ExecuteMany("copy_insert_schemas", found.schemas)
    return (yield from _begun(mark, found, first, first + span))


def _begun(mark: str, found: Survey, first: int, last: int) -> Operation[Begun]:
    made = yield from queues_by_name([queue.name for queue in found.queues])
    queue_ids = {queue.queue_id: made[queue.name].queue_id for queue in found.queues}
    return Begun(mark, first - found.first_id + 1, first, last, queue_ids)


def taken_error(taken: Sequence[Taken]) -> ConflictError:
    """Say which names are in the way."""
    parts = [f"{each.kind} {_few(each.names)}" for each in taken]
    return ConflictError(
        f"the target already has {'; '.join(parts)}; nothing was copied: delete or "
        "rename them in one of the two stores, or copy into an empty store"
    )


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:SHOWN_NAMES]))
    more = len(names) - SHOWN_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def _mark() -> Operation[str | None]:
    rows = yield Fetch("copy_mark", {"key": "copy"})
    return rows[0][0] if rows else None


def _note() -> Operation[dict[str, Any] | None]:
    """Read what an unfinished copy has noted of itself."""
    rows = yield Fetch("copy_mark", {"key": "copy_names"})
    return json.loads(rows[0][0]) if rows else None


def _check_mark(mark: str) -> Operation[None]:
    if (yield from _mark()) != mark:
        message = (
            "another copy into the same store has begun and undone this one; nothing "
            "of this one is left there"
        )
        raise IllegalStateError(message)


def write_messages(context: Context, begun: Begun, page: Page) -> Operation[int]:
    """Bring a page of messages; return how many attempts came with them."""
    yield from _check_mark(begun.mark)
    attempts = [moved_attempt(row, begun.shift) for row in page.attempts]
    live: list[Any] = []
    finished: list[Any] = []
    for row in page.rows:
        if isinstance(row, CopiedLive):
            live.append(row.moved(begun.shift, begun.queue_ids, context.token))
        elif isinstance(row, CopiedFinished):
            finished.append(row.moved(begun.shift, begun.queue_ids))
    for name, rows in (
        ("copy_live_sizes", live),
        ("copy_finished_sizes", finished),
    ):
        if rows:
            place = {"after": rows[0][0] - 1, "limit": 1}
            found = yield Fetch(name, place)
            if found and found[0][0] == rows[0][0]:
                return len(attempts)  # only the answer to the commit was lost
    if live:
        yield ExecuteMany("copy_insert_live", live)
    if finished:
        yield ExecuteMany("copy_insert_finished", finished)
    if attempts:
        yield ExecuteMany("insert_attempts", attempts)
    return len(attempts)


def write_schedules(
    context: Context, begun: Begun, rows: Sequence[CopiedSchedule]
) -> Operation[dict[int, int]]:
    """Bring schedules, paused; return the source's row of each, and the target's."""
    del context
    yield from _check_mark(begun.mark)
    wanted = {"schedule_ids": [row.schedule_id for row in rows]}
    made = yield Fetch("schedules_by_id", wanted)
    if len(made) < len(rows):
        yield ExecuteMany("copy_insert_schedules", [row.held() for row in rows])
        made = yield Fetch("schedules_by_id", wanted)
    numbers = {row[1]: row[0] for row in made}
    return {row.schedule_row: numbers[row.schedule_id] for row in rows}


def write_runs(
    context: Context,
    begun: Begun,
    rows: Sequence[CopiedRun],
    schedule_rows: Mapping[int, int],
) -> Operation[int]:
    """Bring what schedules have run; return how many runs came.

    A run whose schedule is gone stays behind.
    """
    del context
    yield from _check_mark(begun.mark)
    moved = [
        (schedule_rows[row.schedule_row], *row[2:])
        for row in rows
        if row.schedule_row in schedule_rows
    ]
    known = yield Fetch("known_runs", {"message_ids": [row[1] for row in moved]})
    there = set(map(tuple, known))
    if fresh := [row for row in moved if row[:2] not in there]:
        yield ExecuteMany("insert_schedule_runs", fresh)
    return len(moved)


def finish(
    context: Context, begun: Begun, found: Survey, kept: int, horizon: int
) -> Operation[None]:
    """Count what has come, open queues and schedules, take the mark away.

    Raises:
        TrioQueueError: Something is missing; the copy stays unfinished.
    """
    done = yield Fetch("copy_mark_seen", {"key": "copied"})
    if done and done[0][0] == begun.mark:
        return  # only the answer to the commit was lost
    yield from _check_mark(begun.mark)
    there = yield from count_kept(begun.first, begun.last, horizon)
    if there != kept:
        raise _missing("messages", there, kept)
    ours = {row[1]: row for row in found.schedules}
    rows = yield Fetch("copy_schedule_states")
    waiting = sum(row[1] in ours and row[4] == BEING_COPIED for row in rows)
    if waiting != len(ours):
        raise _missing("schedules", waiting, len(ours))
    queues = [(each.paused_at, each.pause_reason, each.name) for each in found.queues]
    if queues:
        yield ExecuteMany("copy_open_queues", queues)
    if ours:
        states = [(row[3], row[4], row[1]) for row in found.schedules]
        yield ExecuteMany("copy_open_schedules", states)
    for key in ("copy", "copy_names"):
        yield Execute("copy_delete_mark", {"key": key})
    for query in ("copy_insert_mark", "copy_update_mark"):
        yield Execute(query, {"key": "copied", "value": begun.mark})
    yield from _tell(context, found)


def _missing(what: str, there: int, wanted: int) -> TrioQueueError:
    return TrioQueueError(
        f"the target has {there} of {wanted} {what}: somebody has changed it during "
        "the copy, which stays unfinished, its queues paused; copy again"
    )


def _tell(context: Context, found: Survey) -> Operation[None]:
    """Wake workers and services, as if all had just been posted."""
    context.effects.ready |= {q.name for q in found.queues if q.paused_at is None}
    for service, query in (
        (SCHEDULER, Fetch("next_due")),
        (RECLAIM, Fetch("next_expiry")),
        (CLEANUP, Fetch("next_release")),
        (CRON, Fetch("next_schedule", {"kind": CRON})),
        (CALENDAR, Fetch("next_schedule", {"kind": CALENDAR})),
    ):
        rows = yield query
        if rows[0][0] is not None:
            context.effects.add_due(service, rows[0][0])


class Unfinished(NamedTuple):
    """What a copy that was begun has put, or would have put, into the store."""

    source: str
    queues: tuple[str, ...]
    schedules: tuple[str, ...]
    calendars: tuple[str, ...]
    schemas: tuple[str, ...]


def take_over(context: Context, mark: str, *, discard: bool) -> Operation[Unfinished]:
    """Make an unfinished copy's mark one's own, in order to undo it.

    Raises:
        IllegalStateError: Others use its queues or schedules, and not `discard`.
    """
    del context
    note = (yield from _note()) or {}
    began = Unfinished(
        note.get("source", ""),
        *(tuple(note.get(key, ())) for key in Unfinished._fields[1:]),
    )
    if not discard:
        yield from _refuse_used(began, note.get("first", 0), note.get("last", 0))
    yield Execute("copy_insert_mark", {"key": "copy", "value": mark})
    yield Execute("copy_update_mark", {"key": "copy", "value": mark})
    return began


def _refuse_used(began: Unfinished, first: int, last: int) -> Operation[None]:
    queues = yield from queues_by_name(began.queues)
    used = [q.name for q in queues.values() if q.pause_reason != BEING_COPIED]
    for queue in queues.values():
        parameters = {"queue_id": queue.queue_id, "first": first, "last": last}
        if (yield Fetch("copy_foreign", parameters)):
            used.append(queue.name)
    ours = set(began.schedules)
    states = yield Fetch("copy_schedule_states")
    used += [row[1] for row in states if row[1] in ours and row[4] != BEING_COPIED]
    if used:
        message = (
            f"a copy into this store is unfinished, and {_few(sorted(set(used)))} has "
            "been used since: to copy again would delete what is there; if nothing of "
            "it is needed, say so (discard=True)"
        )
        raise IllegalStateError(message)


def undo_queue(context: Context, mark: str, name: str) -> Operation[bool]:
    """Delete a batch of a queue, or the queue once it is empty; False: it is gone."""
    del context
    yield from _check_mark(mark)
    yield queue_lock(name, exclusive=True)
    queue = (yield from queues_by_name([name])).get(name)
    if queue is None:
        return False
    parameters = {"queue_id": queue.queue_id, "limit": UNDO_BATCH}
    for fetch, delete in (
        ("copy_live_ids", "delete_messages"),
        ("copy_finished_ids", "delete_history"),
    ):
        rows = yield Fetch(fetch, parameters)
        if rows:
            yield ExecuteMany("delete_attempts", rows)
            yield ExecuteMany(delete, rows)
            return True
    yield Execute("delete_queue", {"queue_id": queue.queue_id})
    return False


def undo_schedules(context: Context, mark: str, names: Sequence[str]) -> Operation[int]:
    """Delete schedules and what they ran; return how many."""
    del context
    yield from _check_mark(mark)
    rows = yield Fetch("schedules_by_id", {"schedule_ids": list(names)})
    for row in rows:
        yield Execute("delete_schedule_runs", {"schedule_row": row[0]})
        yield Execute("delete_schedule", {"schedule_row": row[0]})
    return len(rows)


def undo_rest(
    context: Context, mark: str, calendars: Sequence[str], schemas: Sequence[str]
) -> Operation[None]:
    """Delete calendars, schemas and the note of what there was; the mark stays."""
    del context
    yield from _check_mark(mark)
    for calendar_id in calendars:
        yield Execute("delete_business_calendar", {"calendar_id": calendar_id})
    for schema_id in schemas:
        yield Fetch("delete_schemas", {"schema_id": schema_id, "version": None})
    yield Execute("copy_delete_mark", {"key": "copy_names"})


def forget(context: Context, mark: str) -> Operation[None]:
    """Take the mark of a copy away that was undone, and will not be tried again."""
    del context
    yield from _check_mark(mark)
    yield Execute("copy_delete_mark", {"key": "copy"})
