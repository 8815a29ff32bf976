"""Posting what is due: message, history and the next run in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from trioqueue.metrics.catalogue import SCHEDULE_LAG, SCHEDULE_RUNS
from trioqueue.model.message import PostOutcome
from trioqueue.model.schedule import ScheduleState
from trioqueue.store.operations.core import Execute, ExecuteMany, Fetch, unwrap
from trioqueue.store.operations.post import post
from trioqueue.store.operations.schedule_plan import ENOUGH
from trioqueue.store.operations.schedule_rows import (
    ScheduleRow,
    calendar_documents,
    describe_error,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioqueue.model.message import PostResult
    from trioqueue.policies.misfire import Run
    from trioqueue.store.operations.core import Context, Operation, Row
    from trioqueue.store.operations.post import Draft
    from trioqueue.store.operations.schedule_plan import Plan


HISTORY_KEPT: Final = 10_000
"""So many runs of a schedule are remembered at least."""
PRUNE_EVERY: Final = 1000
"""After so many runs, those beyond are forgotten."""


class DueSchedules(NamedTuple):
    """Schedules that are due, and the business calendars they use."""

    rows: list[ScheduleRow]
    calendars: dict[str, str]


class Fired(NamedTuple):
    """What a batch of plans has done."""

    moved: int
    """Schedules that went on; the others had been changed meanwhile."""
    posted: int


def next_schedule(kind: str) -> Operation[int | None]:
    """Return when the next schedule of a kind runs."""
    rows = yield Fetch("next_schedule", {"kind": kind})
    instant: int | None = rows[0][0]
    return instant


def due_schedules(kind: str, now: int, limit: int) -> Operation[DueSchedules]:
    """Fetch schedules of a kind that are due, the longest overdue first."""
    found = yield Fetch("due_schedules", {"kind": kind, "now": now, "limit": limit})
    rows = [ScheduleRow._make(row) for row in found]
    wanted = {row.calendar_id for row in rows if row.calendar_id is not None}
    return DueSchedules(rows, (yield from calendar_documents(sorted(wanted))))


def fire(context: Context, plans: Sequence[Plan]) -> Operation[Fired]:
    """Do what plans say, each only if its schedule has not changed since."""
    rows = [plan.row.schedule_row for plan in plans]
    found = yield Fetch("schedule_versions", {"schedule_rows": rows})
    versions = dict(found)
    plans = [p for p in plans if versions.get(p.row.schedule_row) == p.row.version]
    answers = yield from _post(context, plans)
    history: list[Row] = []
    advances = []
    full: list[int] = []
    lags: list[int] = []
    for plan in plans:
        row = plan.row
        error: Exception | None = None
        posted = []
        for run, draft in _choices(plan):
            answer = answers.get((row.schedule_row, draft.message_id))
            if answer is None:
                continue  # it has run before, or is a spare one
            if answer.outcome is PostOutcome.INVALID:
                error = answer.error
                break
            posted.append(run)
            context.effects.count(SCHEDULE_RUNS, "", run.kind)
            lags.append(max(0, context.now - run.occurrence.at))
            history.append(
                (
                    row.schedule_row,
                    draft.message_id,
                    run.occurrence.nominal,
                    context.now,
                    run.kind,
                    run.merged,
                )
            )
        last_at = posted[-1].occurrence.at if posted else row.last_at
        advances.append(_advance(context, plan, len(posted), last_at, error))
        # Counted from the row number on, so that schedules that run in step do not all
        # forget at once: a transaction would take seconds.
        count = row.run_count + row.schedule_row
        if count // PRUNE_EVERY != (count + len(posted)) // PRUNE_EVERY:
            full.append(row.schedule_row)
    if history:
        context.effects.observe(SCHEDULE_LAG, lags)
        yield ExecuteMany("insert_schedule_runs", history)
    if advances:
        yield ExecuteMany("advance_schedules", advances)
    for schedule_row in full:
        parameters = {"schedule_row": schedule_row, "kept": HISTORY_KEPT}
        yield Execute("prune_schedule_runs", parameters)
    return Fired(len(advances), len(history))


def _choices(plan: Plan) -> list[tuple[Run, Draft]]:
    """List what a plan would post; with a spare one, the first that has not run."""
    choices = list(zip(plan.runs, plan.messages, strict=True))
    return choices if plan.spare is None else [*choices, plan.spare]


def _post(
    context: Context, plans: Sequence[Plan]
) -> Operation[dict[tuple[int, str], PostResult]]:
    """Post what has not run before; what has is missing from the answer."""
    message_ids = [draft.message_id for p in plans for _, draft in _choices(p)]
    if not message_ids:
        return {}
    rows = yield Fetch("known_runs", {"message_ids": message_ids})
    known = {tuple(row) for row in rows}
    named = {}
    for plan in plans:
        for _, draft in _choices(plan):
            key = (plan.row.schedule_row, draft.message_id)
            if key not in known:
                named[key] = draft
                if plan.spare is not None:
                    break
    answers = yield from post(context, list(named.values()))
    return {key: unwrap(a) for key, a in zip(named, answers, strict=True)}


def _advance(
    context: Context,
    plan: Plan,
    posted: int,
    last_at: int | None,
    error: Exception | None,
) -> Row:
    """Return a schedule's new position as a parameter row."""
    row, after, reason = plan.row, plan.following, plan.reason
    state, cursor = ScheduleState.SCHEDULED, plan.cursor
    at, nominal = (None, None) if after is None else (after.at, after.nominal)
    run_count = row.run_count + posted
    if plan.failed or error is not None:
        # Its place is kept: the run is tried again when the schedule is resumed.
        state = ScheduleState.ERRORED
        at, nominal, cursor = row.next_at, row.next_nominal, row.cursor
        reason = reason if error is None else describe_error(error)
    elif row.max_messages is not None and run_count >= row.max_messages:
        state, reason, at, nominal = ScheduleState.COMPLETED, ENOUGH, None, None
    elif after is None:
        state = ScheduleState.COMPLETED
    if state is ScheduleState.SCHEDULED and at is not None:
        context.effects.add_due(row.kind, at)
    return (
        int(state),
        reason,
        at,
        nominal,
        cursor,
        last_at,
        run_count,
        row.schedule_row,
    )
