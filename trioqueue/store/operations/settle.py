"""The one place where an attempt's end is written.

Completing, failing, giving back, a lease that expires, a heartbeat that is missed and
a payload that cannot be decoded all come here.  `policies.ending.verdict` decides what
each message becomes; `settle` writes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from trioqueue.metrics.catalogue import ATTEMPTS, CANCELED, DEAD_ADDED, ERRORS, RUNS
from trioqueue.model.message import MessageState
from trioqueue.model.queue import dead_letter_name
from trioqueue.policies import retention
from trioqueue.policies.ending import Ending, Verdict, verdict
from trioqueue.policies.priority import claim_key
from trioqueue.store.operations.core import CLEANUP, SCHEDULER, ExecuteMany, tickets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trioqueue.store.operations.core import Context, Operation, Row
    from trioqueue.store.operations.rows import HeldRow, QueueRow

_EXECUTION_LIMIT: Final = "trioqueue.errors.ExecutionLimitError"
MAX_RECORDS: Final = 100
"""Attempts kept of one message; a message without an attempt limit must not grow."""

Settlement: TypeAlias = "tuple[HeldRow, Ending]"


def settle(
    context: Context,
    endings: Sequence[Settlement],
    queues: Mapping[int, QueueRow],
) -> Operation[list[Verdict]]:
    """End attempts: decide what each message becomes, and write it.

    The caller has checked, in this transaction, that each row is the attempt's.
    """
    now = context.now
    verdicts = []
    ready = []
    delayed = []
    finished = []
    records = []
    gone = []
    for row, ending in endings:
        outcome = verdict(
            ending,
            attempts=row.attempts,
            max_attempts=row.max_attempts,
            aborted=row.abort_requested_at is not None,
            abort_reason=row.abort_reason,
            now=now,
        )
        verdicts.append(outcome)
        queue = queues[row.queue_id]
        kept = True
        if outcome.state is MessageState.PENDING:
            ready.append((row, outcome))
            context.effects.ready.add(queue.name)
        elif outcome.state is MessageState.INVISIBLE and outcome.due_at is not None:
            key = claim_key(row.priority, outcome.due_at)
            delayed.append((outcome.attempts, outcome.due_at, key, row.id))
            context.effects.add_due(SCHEDULER, outcome.due_at)
        else:
            done = outcome.state is MessageState.COMPLETED
            result = ending.result if done else None
            final = finishing(context, queue, row.id, outcome, result)
            gone.append((row.id,))
            context.effects.finished.append((queue.name, row.message_id))
            if final is not None:
                finished.append(final)
            kept = final is not None
        if kept and (ending.charged or outcome.outcome == "canceled"):
            records.append(_record(row, ending, outcome, now))
        elif not kept and row.attempts > 1:
            # A message deleted at once leaves nothing behind.
            records.append((row.id,))
    _note(context, endings, verdicts, queues)
    yield from _write(ready, delayed, finished, records, gone, now)
    return verdicts


def _note(
    context: Context,
    endings: Sequence[Settlement],
    verdicts: Sequence[Verdict],
    queues: Mapping[int, QueueRow],
) -> None:
    """Tell the metrics how attempts ended, and how long they ran."""
    now, effects = context.now, context.effects
    # Most have completed: those are put together here, and counted at once.
    runs: dict[int, list[int]] = {queue_id: [] for queue_id in queues}
    completed = dict.fromkeys(queues, 0)
    for (row, ending), outcome in zip(endings, verdicts, strict=True):
        if ending.outcome != "undecodable":
            runs[row.queue_id].append(now - (row.started_at or now))
        if outcome.outcome == "completed":
            completed[row.queue_id] += 1
            continue
        queue = queues[row.queue_id].name
        effects.count(ATTEMPTS, queue, outcome.outcome)
        if outcome.state is MessageState.CANCELED:
            effects.count(CANCELED, queue)
        elif ending.error is not None:
            effects.count(ERRORS, queue, error_kind(ending))
            if outcome.state is MessageState.ERRORED:
                effects.count(DEAD_ADDED, queue, outcome.reason or "")
    for queue_id, count in completed.items():
        if count:
            effects.count(ATTEMPTS, queues[queue_id].name, "completed", count)
        if runs[queue_id]:
            effects.observe(RUNS, runs[queue_id], queues[queue_id].name)


def error_kind(ending: Ending) -> str:
    """Say in one word of few what went wrong in an attempt."""
    if ending.outcome != "failed":
        return ending.outcome
    kind = "" if ending.error is None else ending.error.type
    return "execution_limit" if kind == _EXECUTION_LIMIT else "exception"


def finishing(
    context: Context,
    queue: QueueRow,
    row_id: int,
    outcome: Verdict,
    result: bytes | None = None,
) -> Row | None:
    """Return the parameters that move a message to the history; None deletes it."""
    dead = outcome.state is MessageState.ERRORED
    options = queue.options
    policy = options.dead_letter_retention if dead else options.retention
    if not retention.keeps(policy):
        return None
    expires_at = retention.expires_at(policy, context.now)
    if expires_at is not None:
        context.effects.add_due(CLEANUP, expires_at)
    return (
        int(outcome.state),
        outcome.attempts,
        result,
        outcome.reason,
        context.now,
        expires_at,
        dead_letter_name(queue.name, options) if dead else None,
        row_id,
    )


def _record(row: HeldRow, ending: Ending, outcome: Verdict, now: int) -> Row:
    error = ending.error
    return (
        row.id,
        row.attempt_id,
        row.attempts,
        row.worker_id,
        row.started_at,
        now,
        outcome.outcome,
        None if error is None else error.type,
        None if error is None else error.message,
        None if error is None else error.traceback,
    )


def _write(  # noqa: PLR0917  one list for each statement
    ready: list[tuple[HeldRow, Verdict]],
    delayed: list[Row],
    finished: list[Row],
    records: list[Row],
    gone: list[Row],
    now: int,
) -> Operation[None]:
    if ready:
        numbers = yield from tickets(len(ready))
        rows = [
            (outcome.attempts, claim_key(row.priority, now), number, row.id)
            for number, (row, outcome) in zip(numbers, ready, strict=True)
        ]
        yield ExecuteMany("make_ready", rows)
    if delayed:
        yield ExecuteMany("make_invisible", delayed)
    new = [record for record in records if len(record) > 1]
    if new:
        yield ExecuteMany("insert_attempts", new)
        old = [(r[0], r[2] - MAX_RECORDS) for r in new if r[2] > MAX_RECORDS]
        if old:
            yield ExecuteMany("trim_attempts", old)
    dropped = [record for record in records if len(record) == 1]
    if dropped:
        yield ExecuteMany("delete_attempts", dropped)
    if finished:
        yield ExecuteMany("copy_to_history", finished)
    if gone:
        yield ExecuteMany("delete_messages", gone)
