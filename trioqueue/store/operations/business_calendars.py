"""Business calendars: stored under a name, shared by schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioqueue.errors import (
    BusinessCalendarNotFoundError,
    IllegalStateError,
    TrioQueueError,
)
from trioqueue.model.schedule import ScheduleState
from trioqueue.store.operations.core import Execute, Fetch, calendar_lock
from trioqueue.store.operations.schedule_plan import (
    ENOUGH,
    NONE_LEFT,
    Following,
)
from trioqueue.store.operations.schedule_rows import (
    ScheduleRow,
    calendar_documents,
    decode_calendar,
    decode_when,
    describe_error,
    resolve_with,
)
from trioqueue.store.operations.schedules import floor, next_not_run, set_state

if TYPE_CHECKING:
    from trioqueue.schedules.business_days import BusinessCalendar
    from trioqueue.store.operations.core import Context, Operation


def put_business_calendar(
    context: Context, calendar_id: str, document: str
) -> Operation[BusinessCalendar]:
    """Store a calendar, or replace it; schedules that use it follow from now on.

    A run that is due already stays due.  A schedule that does not go together with it
    becomes ERRORED.
    """
    yield calendar_lock(calendar_id, exclusive=True)
    known = yield from calendar_documents([calendar_id])
    if known.get(calendar_id) != document:
        yield Execute(
            "put_business_calendar",
            {"calendar_id": calendar_id, "document": document, "now": context.now},
        )
        rows = yield Fetch("schedules_of_calendar", {"calendar_id": calendar_id})
        for row in rows:
            yield from _follow(context, ScheduleRow._make(row), document)
    stored: BusinessCalendar = decode_calendar(document)
    return stored


def _follow(context: Context, row: ScheduleRow, document: str) -> Operation[None]:
    """Give a schedule its next run by a changed calendar.

    One that a calendar had left without runs may have some again.
    """
    over = row.state == ScheduleState.COMPLETED
    if over and row.reason == ENOUGH:
        return
    due = row.next_at is not None and row.next_at <= context.now
    state, reason = ScheduleState(row.state), row.reason
    at, nominal = row.next_at, row.next_nominal
    try:
        when = resolve_with(decode_when(row.kind, row.rule), document)
        start = floor(max(row.cursor, context.now), row.start_at)
        found = yield from next_not_run(row, when, start, row.end_at)
    except TrioQueueError as error:
        if over:
            return
        # What is wrong with one schedule must not keep the others from the change.
        state, reason, found = ScheduleState.ERRORED, describe_error(error), None
    if over:
        state, reason = ScheduleState.SCHEDULED, None
    if found is not None and not due:
        at, nominal, state, reason = _moved(found, state, reason)
    yield from set_state(row, state, reason, at, nominal)
    if state is ScheduleState.SCHEDULED and at is not None:
        context.effects.add_due(row.kind, at)


def _moved(
    found: Following, state: ScheduleState, reason: str | None
) -> tuple[int | None, int | None, ScheduleState, str | None]:
    if found.occurrence is not None:
        return found.occurrence.at, found.occurrence.nominal, state, reason
    if state is ScheduleState.SCHEDULED:
        state, reason = ScheduleState.COMPLETED, found.reason or NONE_LEFT
    return None, None, state, reason


def get_business_calendar(calendar_id: str) -> Operation[BusinessCalendar]:
    """Fetch one calendar.

    Raises:
        BusinessCalendarNotFoundError: There is no such calendar.
    """
    found = yield from calendar_documents([calendar_id])
    if calendar_id not in found:
        raise BusinessCalendarNotFoundError(calendar_id)
    stored: BusinessCalendar = decode_calendar(found[calendar_id])
    return stored


def list_business_calendars(
    limit: int, after: str | None
) -> Operation[list[BusinessCalendar]]:
    """List calendars by id, a page at a time."""
    parameters = {"after": after or "", "limit": limit}
    rows = yield Fetch("list_business_calendars", parameters)
    return [decode_calendar(document) for _, document in rows]


def delete_business_calendar(context: Context, calendar_id: str) -> Operation[None]:
    """Delete a calendar that no schedule uses.

    Raises:
        BusinessCalendarNotFoundError: There is no such calendar.
        IllegalStateError: Schedules use it.
    """
    del context
    yield calendar_lock(calendar_id, exclusive=True)
    yield from get_business_calendar(calendar_id)
    rows = yield Fetch("schedules_of_calendar", {"calendar_id": calendar_id})
    if rows:
        shown = ", ".join(repr(row[1]) for row in rows[:5])
        more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
        message = (
            f"schedules use business calendar {calendar_id!r}: {shown}{more}; "
            "delete them, or give them another calendar, first"
        )
        raise IllegalStateError(message)
    yield Execute("delete_business_calendar", {"calendar_id": calendar_id})
