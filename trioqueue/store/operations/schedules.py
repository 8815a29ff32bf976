"""Schedules: create, change, look at, pause, resume, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from trioqueue.errors import (
    IllegalStateError,
    ScheduleExistsError,
    ValidationError,
)
from trioqueue.model.schedule import ScheduleState
from trioqueue.store.operations.core import (
    Execute,
    Fetch,
    OvertakenError,
    calendar_lock,
    queue_lock,
)
from trioqueue.store.operations.post import more_issues
from trioqueue.store.operations.schedule_plan import (
    ENOUGH,
    NONE_LEFT,
    Following,
    following,
)
from trioqueue.store.operations.schedule_rows import (
    ScheduleRow,
    decode_when,
    differences,
    encode_rule,
    occurrence_id,
    resolve,
    schedule_of,
    schedules_by_id,
)

if TYPE_CHECKING:
    from trioqueue.model.schedule import Schedule
    from trioqueue.schedules.when import When
    from trioqueue.store.operations.core import Context, Operation
    from trioqueue.store.operations.schedule_rows import ScheduleDraft

SCHEDULED, PAUSED = ScheduleState.SCHEDULED, ScheduleState.PAUSED
COMPLETED, ERRORED = ScheduleState.COMPLETED, ScheduleState.ERRORED


def create_schedule(context: Context, draft: ScheduleDraft) -> Operation[Schedule]:
    """Store a schedule; creating it again with the same settings returns it.

    Raises:
        ScheduleExistsError: It exists with other settings.
        QueueNotFoundError: There is no such queue.
        ValidationError: The queue would not take its messages, or it would never run.
    """
    yield from _hold_surroundings(draft)
    row = (yield from schedules_by_id([draft.schedule_id])).get(draft.schedule_id)
    if row is not None:
        bound = draft.when.bind(draft.schedule_id, row.created_at)
        if found := differences(draft, row, encode_rule(bound)):
            raise ScheduleExistsError(draft.schedule_id, found)
        return row.to_schedule()
    bound = draft.when.bind(draft.schedule_id, context.now)
    yield from _check_message(draft)
    when = yield from resolve(bound)
    cursor = _dealt_with(draft, context.now)
    after = following(when, floor(cursor, draft.start_at), draft.end_at)
    if after.occurrence is None:
        raise _never(draft)
    yield Execute(
        "insert_schedule",
        {
            **_settings(draft, bound),
            "next_at": after.occurrence.at,
            "next_nominal": after.occurrence.nominal,
            "cursor": cursor,
            "now": context.now,
        },
    )
    context.effects.add_due(bound.kind, after.occurrence.at)
    return (yield from schedule_of(draft.schedule_id)).to_schedule()


def update_schedule(context: Context, draft: ScheduleDraft) -> Operation[Schedule]:
    """Replace a schedule's settings; what has run does not run again.

    A new rule holds from now on.  If the rule stays, so does a run that is due; where
    it starts and ends may move the next one.  A paused schedule stays paused, any other
    runs on, if it has runs left.

    Raises:
        ScheduleNotFoundError: There is no such schedule.
        QueueNotFoundError: There is no such queue.
        ValidationError: The queue would not take its messages, or it would never run.
    """
    yield from _hold_surroundings(draft)
    row = yield from schedule_of(draft.schedule_id, lock=True)
    bound = draft.when.bind(draft.schedule_id, row.created_at)
    yield from _check_message(draft)
    when = yield from resolve(bound)
    place, over = yield from _place_after_update(context, draft, row, bound, when)
    state = PAUSED if row.state == PAUSED else SCHEDULED
    reason = row.reason if state is PAUSED else None
    if draft.max_messages is not None and row.run_count >= draft.max_messages:
        state, reason, place = COMPLETED, ENOUGH, _Place(None, None, place.cursor)
    elif place.next_at is None and state is SCHEDULED:
        state, reason = COMPLETED, over
    yield Execute(
        "update_schedule",
        {
            **_settings(draft, bound),
            "schedule_row": row.schedule_row,
            "state": int(state),
            "reason": reason,
            **place._asdict(),
            "now": context.now,
        },
    )
    if state is SCHEDULED and place.next_at is not None:
        context.effects.add_due(bound.kind, place.next_at)
    return (yield from schedule_of(draft.schedule_id)).to_schedule()


class _Place(NamedTuple):
    """Where a schedule stands."""

    next_at: int | None
    next_nominal: int | None
    cursor: int


def _place_after_update(
    context: Context,
    draft: ScheduleDraft,
    row: ScheduleRow,
    bound: When,
    when: When,
) -> Operation[tuple[_Place, str | None]]:
    """Return where a schedule stands after an update, or why nothing follows.

    Raises:
        ValidationError: By a new rule it would never run.
    """
    same_rule = (bound.kind, encode_rule(bound)) == (row.kind, row.rule)
    same_span = (draft.start_at, draft.end_at) == (row.start_at, row.end_at)
    same = same_rule and same_span
    stays = same_span or _is_due_within(draft, row, context.now)
    if same_rule and stays and row.next_at is not None:
        return _Place(row.next_at, row.next_nominal, row.cursor), None
    cursor = max(row.cursor, _dealt_with(draft, context.now))
    start = floor(cursor, draft.start_at)
    after = yield from next_not_run(row, when, start, draft.end_at)
    if after.occurrence is None and not same:
        raise _never(draft)
    at, nominal, _ = after.occurrence or (None, None, None)
    return _Place(at, nominal, cursor), after.reason


def _is_due_within(draft: ScheduleDraft, row: ScheduleRow, now: int) -> bool:
    """Say whether a run is due that the draft's start and end allow too."""
    at = row.next_at
    return (
        at is not None
        and at <= now
        and (draft.start_at is None or draft.start_at <= at)
        and (draft.end_at is None or at <= draft.end_at)
    )


def next_not_run(
    row: ScheduleRow, when: When, after: int, end_at: int | None
) -> Operation[Following]:
    """Find the next occurrence that has not run: an edit may move one that has."""
    while True:
        found = following(when, after, end_at)
        if found.occurrence is None:
            return found
        message_id = occurrence_id(row.schedule_id, found.occurrence.nominal)
        known = yield Fetch("known_runs", {"message_ids": [message_id]})
        if (row.schedule_row, message_id) not in {tuple(run) for run in known}:
            return found
        after = found.occurrence.at


def _dealt_with(draft: ScheduleDraft, now: int) -> int:
    """Return up to where a new rule has nothing to run: it never runs in the past.

    An occurrence at `start_at` itself runs, even if that is now.
    """
    return now - 1 if draft.start_at == now else now


def floor(cursor: int, start_at: int | None) -> int:
    """Return the instant after which a schedule may run."""
    return cursor if start_at is None else max(cursor, start_at - 1)


def _never(draft: ScheduleDraft) -> ValidationError:
    if draft.end_at is None:
        return ValidationError.of("when", "it never runs from now on")
    return ValidationError.of("when", "it never runs from now, or start_at, to end_at")


def _hold_surroundings(draft: ScheduleDraft) -> Operation[None]:
    """Keep the queue and the calendar that a schedule names."""
    yield queue_lock(draft.queue)
    calendar_id = draft.when.business_calendar_id
    if calendar_id is not None:
        yield calendar_lock(calendar_id)


def _check_message(draft: ScheduleDraft) -> Operation[None]:
    (issues,) = yield from more_issues(draft.queue, [draft.message])
    if issues:
        raise ValidationError(issues)


def _settings(draft: ScheduleDraft, bound: When) -> dict[str, Any]:
    return {
        "schedule_id": draft.schedule_id,
        "queue": draft.queue,
        "kind": bound.kind,
        "rule": encode_rule(bound),
        "calendar_id": bound.business_calendar_id,
        "payload": draft.message.content,
        "content_type": draft.message.content_type,
        "metadata": draft.metadata,
        "priority": draft.priority,
        "max_attempts": draft.max_attempts,
        "lease": draft.message.lease_text,
        "misfire": draft.misfire,
        "jitter": draft.jitter,
        "max_messages": draft.max_messages,
        "start_at": draft.start_at,
        "end_at": draft.end_at,
    }


def get_schedule(schedule_id: str) -> Operation[Schedule]:
    """Fetch one schedule.

    Raises:
        ScheduleNotFoundError: There is no such schedule.
    """
    return (yield from schedule_of(schedule_id)).to_schedule()


def list_schedules(
    prefix: str, limit: int, after: str | None, state: ScheduleState | None
) -> Operation[list[Schedule]]:
    """List schedules by id, a page at a time."""
    rows = yield Fetch(
        "list_schedules",
        {
            "prefix": prefix,
            "after": after or "",
            "limit": limit,
            "state": None if state is None else int(state),
        },
    )
    return [ScheduleRow._make(row).to_schedule() for row in rows]


def delete_schedule(context: Context, schedule_id: str) -> Operation[None]:
    """Delete a schedule with its history; its messages stay."""
    del context
    row = yield from schedule_of(schedule_id, lock=True)
    for statement in ("delete_schedule_runs", "delete_schedule"):
        yield Execute(statement, {"schedule_row": row.schedule_row})


def pause_schedule(
    context: Context, schedule_id: str, reason: str | None
) -> Operation[Schedule]:
    """Stop a schedule; pausing again changes the reason only.

    Raises:
        ScheduleNotFoundError: There is no such schedule.
        IllegalStateError: It is COMPLETED.
    """
    del context
    row = yield from schedule_of(schedule_id, lock=True)
    if row.state == COMPLETED:
        message = (
            f"schedule {schedule_id!r} is COMPLETED ({row.reason}), so that there is "
            "nothing to pause"
        )
        raise IllegalStateError(message)
    yield from set_state(row, PAUSED, reason, row.next_at, row.next_nominal)
    return (yield from schedule_of(schedule_id)).to_schedule()


def resume_schedule(context: Context, schedule_id: str) -> Operation[Schedule]:
    """Let a paused or errored schedule run again; one that runs stays as it is.

    What it missed is its misfire policy's business.

    Raises:
        ScheduleNotFoundError: There is no such schedule.
        IllegalStateError: It is COMPLETED.
        ValidationError: Its rule cannot be used.
        BusinessCalendarNotFoundError: Its business calendar is gone.
    """
    calendar_id = (yield from schedule_of(schedule_id)).calendar_id
    if calendar_id is not None:
        # Whoever changes the calendar holds it before its schedules.
        yield calendar_lock(calendar_id)
    row = yield from schedule_of(schedule_id, lock=True)
    if row.calendar_id != calendar_id:
        message = "the schedule was given another calendar while it was resumed"
        raise OvertakenError(message)
    if row.state == SCHEDULED:
        return row.to_schedule()
    if row.state == COMPLETED:
        message = (
            f"schedule {schedule_id!r} is COMPLETED ({row.reason}); "
            "give it more to do with update_schedule"
        )
        raise IllegalStateError(message)
    when = yield from resolve(decode_when(row.kind, row.rule))
    # Asked even where the place is known, so that a rule that cannot be read is told.
    start = floor(row.cursor, row.start_at)
    after = yield from next_not_run(row, when, start, row.end_at)
    at, nominal = row.next_at, row.next_nominal
    if at is None and after.occurrence is not None:
        at, nominal, _ = after.occurrence
    if at is None:
        yield from set_state(row, COMPLETED, after.reason or NONE_LEFT, None, None)
    else:
        yield from set_state(row, SCHEDULED, None, at, nominal)
        context.effects.add_due(row.kind, at)
    return (yield from schedule_of(schedule_id)).to_schedule()


def set_state(
    row: ScheduleRow,
    state: ScheduleState,
    reason: str | None,
    next_at: int | None,
    next_nominal: int | None,
) -> Operation[None]:
    """Change what becomes of a schedule; plans made before no longer hold."""
    yield Execute(
        "set_schedule_state",
        {
            "schedule_row": row.schedule_row,
            "state": int(state),
            "reason": reason,
            "next_at": next_at,
            "next_nominal": next_nominal,
        },
    )


def check_queue_unused(name: str, *, force: bool) -> Operation[None]:
    """Refuse that a queue goes while schedules post to it.

    Raises:
        IllegalStateError: Some do, and not `force`.
    """
    if force:
        return
    rows = yield Fetch("queue_schedules", {"queue": name})
    if rows:
        shown = ", ".join(repr(row[0]) for row in rows[:5])
        more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
        message = (
            f"schedules post to queue {name!r}: {shown}{more}; delete them first, or "
            "pass force=True: then they fail when they next run"
        )
        raise IllegalStateError(message)
