"""The verbs of a job: every one fenced by its attempt.

`end` carries complete, fail and release; `heartbeat` prolongs; `expire` is what
reclaiming does.  A verb that comes from an attempt that is over changes nothing.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from trioqueue.errors import LeaseLostError
from trioqueue.metrics.catalogue import EXPIRED, LOST, RENEWED
from trioqueue.model.message import ExpiredMessage, Lease, MessageState
from trioqueue.model.spans import micros_to_instant, optional_instant, to_micros
from trioqueue.policies import lease as lease_rules
from trioqueue.policies.ending import Ending, Error, Verdict
from trioqueue.policies.retry import delay_seconds, draw_for
from trioqueue.store.operations.core import (
    RECLAIM,
    ExecuteMany,
    Failure,
    Fetch,
    queue_lock,
)
from trioqueue.store.operations.rows import (
    HeldRow,
    decode_lease,
    queue_named,
    queues_by_id,
)
from trioqueue.store.operations.settle import settle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioqueue.store.operations.core import Context, Operation
    from trioqueue.store.operations.rows import QueueRow

Verb: TypeAlias = Literal["complete", "fail", "release"]

RECEIPT_MICROS: Final = 120_000_000
"""How long an ended attempt's answer is remembered, for a verb that is repeated."""
_PRUNE_EVERY: Final = 1024


class JobKey(NamedTuple):
    """What fences a verb: the message's row, the attempt's id and its random bits."""

    queue: str
    message_id: str
    row_id: int
    attempt_id: int
    token: int


class EndRequest(NamedTuple):
    """A verb that ends an attempt."""

    key: JobKey
    verb: Verb
    result: bytes | None = None
    error: Error | None = None
    delay: int | None = None
    """Microseconds until the next attempt; None leaves it to the queue's policy."""
    final: bool = False

    @property
    def digest(self) -> int:
        """A check sum of what was said, so that only the same word is repeated."""
        return 0 if self.result is None else zlib.crc32(self.result) + 1


def end(
    context: Context, requests: Sequence[EndRequest]
) -> Operation[list[MessageState | Failure]]:
    """End attempts; each answer is the state the message is in afterwards."""
    yield queue_lock(*{request.key.queue for request in requests})
    held = yield from _held([request.key for request in requests])
    answers: list[MessageState | Failure | None] = [None] * len(requests)
    endings: list[tuple[HeldRow, Ending]] = []
    ended: list[int] = []
    absent: list[int] = []
    claimed: set[int] = set()
    queues = yield from queues_by_id({row.queue_id for row in held.values()})
    for index, request in enumerate(requests):
        key = request.key
        row = held.get(key.row_id)
        if row is None or not _is_current(row, key):
            absent.append(index)
        elif reason := lost_by_time(row, context.now):
            answers[index] = _lost(key, reason)
        elif key.row_id in claimed:
            # The same attempt twice in one group: answered from its receipt below.
            absent.append(index)
        else:
            claimed.add(key.row_id)
            ended.append(index)
            endings.append((row, _ending(context, request, row, queues[row.queue_id])))
    if endings:
        verdicts = yield from settle(context, endings, queues)
        receipts = []
        for index, outcome in zip(ended, verdicts, strict=True):
            request = requests[index]
            answers[index] = _answer(request, outcome.state)
            receipts.append(_receipt(request, outcome, context.now))
        yield ExecuteMany("insert_receipts", receipts)
        if any(receipt[0] % _PRUNE_EVERY == 0 for receipt in receipts):
            yield Fetch("prune_receipts", {"before": context.now - RECEIPT_MICROS})
    if absent:
        yield from _answer_from_receipts(requests, absent, answers)
    _note_lost(context, answers)
    return answers  # type: ignore[return-value]  # every index has its answer now


def _receipt(
    request: EndRequest, outcome: Verdict, now: int
) -> tuple[int, int, str, int, int, int]:
    key = request.key
    return (
        key.attempt_id,
        key.token,
        request.verb,
        request.digest,
        int(outcome.state),
        now,
    )


def _answer(request: EndRequest, state: MessageState) -> MessageState | Failure:
    if state is MessageState.CANCELED and request.verb == "complete":
        return _lost(request.key, "aborted")
    return state


def _answer_from_receipts(
    requests: Sequence[EndRequest],
    absent: list[int],
    answers: list[MessageState | Failure | None],
) -> Operation[None]:
    """Answer attempts that are over: the same word again gets the same answer."""
    ids = [requests[index].key.attempt_id for index in absent]
    rows = yield Fetch("receipts", {"attempt_ids": ids})
    receipts = {row[0]: row for row in rows}
    for index in absent:
        request = requests[index]
        receipt = receipts.get(request.key.attempt_id)
        if receipt is None or receipt[1] != request.key.token:
            answers[index] = _lost(request.key, "superseded")
        elif receipt[2:4] != (request.verb, request.digest):
            answers[index] = _lost(request.key, "finished")
        else:
            answers[index] = _answer(request, MessageState(receipt[4]))


def _held(keys: Sequence[JobKey]) -> Operation[dict[int, HeldRow]]:
    rows = yield Fetch("held_messages", {"ids": [key.row_id for key in keys]})
    return {row[0]: HeldRow._make(row) for row in rows}


def _is_current(row: HeldRow, key: JobKey) -> bool:
    return (
        row.state == MessageState.RUNNING
        and row.attempt_id == key.attempt_id
        and row.token == key.token
    )


def lost_by_time(row: HeldRow, now: int) -> str | None:
    """Say which deadline of a running message has passed, if one has."""
    if row.lease_expires_at is None:
        return "superseded"
    deadlines = lease_rules.Deadlines(row.lease_expires_at, row.heartbeat_expires_at)
    return lease_rules.expired(deadlines, now)


def _lost(key: JobKey, reason: str) -> Failure:
    return Failure(LeaseLostError(key.queue, key.message_id, reason))


def _note_lost(context: Context, answers: Sequence[object]) -> None:
    """Tell the metrics of words that did not count."""
    for answer in answers:
        if isinstance(answer, Failure) and isinstance(answer.error, LeaseLostError):
            context.effects.count(LOST, answer.error.queue)


def _ending(
    context: Context, request: EndRequest, row: HeldRow, queue: QueueRow
) -> Ending:
    if request.verb == "complete":
        return Ending("completed", result=request.result)
    if request.verb == "release":
        return Ending("released", delay=request.delay or 0, charged=False)
    delay = request.delay
    if delay is None:
        delay = retry_delay(context, row, queue)
    return Ending("failed", delay=delay, final=request.final, error=request.error)


def retry_delay(context: Context, row: HeldRow, queue: QueueRow) -> int:
    """Return the wait after a failed attempt, by the queue's policy."""
    policy = queue.options.retry
    draw = (
        draw_for(row.message_id, row.attempts, context.salt) if policy.jitter else 0.0
    )
    return to_micros(delay_seconds(policy, row.attempts, draw))


def heartbeat(
    context: Context, keys: Sequence[JobKey]
) -> Operation[list[Lease | Failure]]:
    """Prolong leases; each answer is the lease as it stands then."""
    held = yield from _held(keys)
    queues = yield from queues_by_id({row.queue_id for row in held.values()})
    answers: list[Lease | Failure] = []
    updates = []
    for key in keys:
        row = held.get(key.row_id)
        if row is None or not _is_current(row, key):
            answers.append(_lost(key, "superseded"))
            continue
        if reason := lost_by_time(row, context.now):
            answers.append(_lost(key, reason))
            continue
        policy = decode_lease(row.attempt_lease) or queues[row.queue_id].options.lease
        renewal = lease_rules.at_heartbeat(
            lease_rules.terms_of(policy),
            lease_rules.Deadlines(row.lease_expires_at or 0, row.heartbeat_expires_at),
            started=row.started_at or 0,
            renewals=row.renewals,
            now=context.now,
        )
        ends = renewal.deadlines
        updates.append(
            (ends.lease, ends.heartbeat, ends.first, renewal.renewals, row.id)
        )
        context.effects.add_due(RECLAIM, ends.first)
        answers.append(
            Lease(
                micros_to_instant(ends.lease),
                optional_instant(ends.heartbeat),
                renewal.capped,
                row.abort_requested_at is not None,
                row.abort_reason,
            )
        )
        context.effects.count(RENEWED, queues[row.queue_id].name)
    if updates:
        yield ExecuteMany("renew_leases", updates)
    _note_lost(context, answers)
    return answers


def find_expired(
    now: int, queue: str | None, limit: int
) -> Operation[list[ExpiredMessage]]:
    """List running messages past a deadline, those waiting longest first.

    Raises:
        QueueNotFoundError: There is no such queue.
    """
    if queue is not None:
        yield from queue_named(queue)
    rows = yield Fetch("expired_messages", {"now": now, "queue": queue, "limit": limit})
    return [
        ExpiredMessage(name, message_id, attempt_id, micros_to_instant(at), row_id)
        for row_id, name, message_id, attempt_id, at in rows
    ]


def expire(
    context: Context, messages: Sequence[ExpiredMessage]
) -> Operation[list[bool | Failure]]:
    """End attempts whose deadline has passed, as failures with that reason.

    Each answer is whether the attempt was ended here: a heartbeat, an end or another
    reclaimer in between wins, also one that has not committed yet.
    """
    yield queue_lock(*{message.queue for message in messages})
    rows = yield Fetch("held_and_free", {"ids": [m.row_id for m in messages]})
    held = {row[0]: HeldRow._make(row) for row in rows}
    queues = yield from queues_by_id({row.queue_id for row in held.values()})
    answers: list[bool | Failure] = []
    endings = []
    for message in messages:
        row = held.pop(message.row_id, None)
        reason = None
        if (
            row is not None
            and row.state == MessageState.RUNNING
            and row.attempt_id == message.attempt_id
        ):
            reason = lost_by_time(row, context.now)
        answers.append(reason is not None)
        if row is not None and reason is not None:
            delay = retry_delay(context, row, queues[row.queue_id])
            error = Error("LeaseExpired", _EXPIRED[reason])
            context.effects.count(EXPIRED, queues[row.queue_id].name)
            endings.append((row, Ending(reason, delay=delay, error=error)))
    if endings:
        yield from settle(context, endings, queues)
    return answers


_EXPIRED: Final = {
    "lease_expired": "the worker did not end the attempt or prolong its lease in time",
    "heartbeat_expired": "the worker sent no heartbeat in time",
    "superseded": "the lease had no deadline",
}


def next_expiry() -> Operation[int | None]:
    """Return the earliest deadline of any running message."""
    rows = yield Fetch("next_expiry")
    instant: int | None = rows[0][0]
    return instant
