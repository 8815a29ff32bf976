"""A schedule's runs: by hand, and what has run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioqueue.errors import MessageNotFoundError
from trioqueue.metrics.catalogue import SCHEDULE_RUNS
from trioqueue.model.payload import EncodingProblem, decode_payload
from trioqueue.model.schedule import ScheduleRun, ScheduleState
from trioqueue.model.spans import micros_to_instant
from trioqueue.store.operations.core import ExecuteMany, Fetch, tickets, unwrap
from trioqueue.store.operations.post import post
from trioqueue.store.operations.rows import decode_lease
from trioqueue.store.operations.schedule_plan import make_message, schedule_metadata
from trioqueue.store.operations.schedule_rows import (
    decode_when,
    iso_instant,
    resolve,
    schedule_of,
)
from trioqueue.store.operations.schedules import floor, next_not_run

if TYPE_CHECKING:
    from datetime import datetime

    from trioqueue.model.message import Message
    from trioqueue.schedules.when import When
    from trioqueue.store.operations.core import Context, Operation
    from trioqueue.store.operations.schedule_rows import ScheduleRow


def trigger_schedule(context: Context, schedule_id: str) -> Operation[Message]:
    """Post a schedule's message now, whatever its state.

    Raises:
        ScheduleNotFoundError: There is no such schedule.
        QueueNotFoundError: Its queue is gone.
        ValidationError: The queue does not take its message.
        DuplicateMessageError: Somebody has posted another message under its id.
    """
    row = yield from schedule_of(schedule_id, lock=True)
    (number,) = yield from tickets(1)
    message_id = f"{schedule_id}:manual:{iso_instant(context.now)}-{number}"
    metadata = schedule_metadata(schedule_id, context.now, "manual", 0)
    try:
        payload = decode_payload(row.payload, row.content_type)
    except EncodingProblem:
        payload = row.payload
    draft = make_message(row, message_id, None, metadata)._replace(
        payload=payload, lease=decode_lease(row.lease)
    )
    result = unwrap((yield from post(context, [draft]))[0])
    if result.message is None:
        assert result.error is not None  # noqa: S101  no message, so an error
        raise result.error
    run = (row.schedule_row, message_id, context.now, context.now, "manual", 0)
    context.effects.count(SCHEDULE_RUNS, "", "manual")
    yield ExecuteMany("insert_schedule_runs", [run])
    return result.message


def preview_schedule(
    schedule_id: str, count: int, now: int
) -> Operation[list[datetime]]:
    """List a schedule's next runs, found in the way in which they are run.

    Raises:
        ScheduleNotFoundError: There is no such schedule.
        ValidationError: Its rule cannot be used.
        BusinessCalendarNotFoundError: Its business calendar is gone.
    """
    row = yield from schedule_of(schedule_id)
    if row.state == ScheduleState.COMPLETED:
        return []
    if row.max_messages is not None:
        count = min(count, row.max_messages - row.run_count)
    when = yield from resolve(decode_when(row.kind, row.rule))
    at = row.next_at
    if at is None or row.state != ScheduleState.SCHEDULED:
        start = floor(max(row.cursor, now), row.start_at)
        at = yield from _at_after(row, when, start)
    instants: list[datetime] = []
    while at is not None and len(instants) < count:
        instants.append(micros_to_instant(at))
        at = yield from _at_after(row, when, at)
    return instants


def _at_after(row: ScheduleRow, when: When, after: int) -> Operation[int | None]:
    found = (yield from next_not_run(row, when, after, row.end_at)).occurrence
    return None if found is None else found.at


def schedule_history(
    schedule_id: str, limit: int, after: str | None
) -> Operation[list[ScheduleRun]]:
    """List what a schedule has posted, newest first, a page at a time.

    Raises:
        ScheduleNotFoundError: There is no such schedule.
        MessageNotFoundError: `after` is no run of it.
    """
    row = yield from schedule_of(schedule_id)
    before = None
    if after is not None:
        place = {"schedule_row": row.schedule_row, "message_id": after}
        rows = yield Fetch("schedule_run_position", place)
        if not rows:
            hint = "the page cannot go on after it: the schedule has no such run"
            raise MessageNotFoundError(row.queue, after, hint)
        before = rows[0][0]
    rows = yield Fetch(
        "schedule_history",
        {"schedule_row": row.schedule_row, "before": before, "limit": limit},
    )
    return [
        ScheduleRun(
            micros_to_instant(occurrence),
            message_id,
            micros_to_instant(posted_at),
            kind,
            merged,
        )
        for occurrence, message_id, posted_at, kind, merged in rows
    ]
