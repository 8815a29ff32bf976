"""Why a message is not running: every reason that holds, the most important first.

One rule for each reason: a function of the facts that returns a reason or nothing.
What else may one day hold a message back (a key that another one holds) is one more
function, and a place in the order of `_RULES`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

import attrs

from trioqueue.model.explanation import Explanation, Reason, ReasonKind
from trioqueue.model.message import MessageState
from trioqueue.policies.explaining_words import (
    error_of,
    how_ended,
    of_most,
    span,
    there_are,
    when,
    who,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from trioqueue.model.message import AttemptRecord, Message
    from trioqueue.model.queue import Queue
    from trioqueue.model.worker_info import WorkerInfo

MOST_AHEAD: Final = 10_000
"""No more than so many messages ahead are counted."""
RECENTLY_SECONDS: Final = 60
"""A worker that was alive so short a time ago is worth a word."""
_START: Final = "start one: trioqueue worker MODULE:APP"
_SERVICES: Final = (
    "its services do that: is a 'trioqueue worker' running, or open_services?"
)


@final
@attrs.frozen
class Facts:
    """What was found, in one snapshot of the database.

    Attributes:
        now: The instant.
        message: The message, its attempts included.
        queue: Its queue.
        workers: Workers of its queue, those that are stale too.
        holder: The worker that holds it, if that one has registered.
        due_at: When it is due, if it is INVISIBLE.
        delay_seconds: The delay it was posted with, if it was.
        ready_at: Since when it is ready, if it is PENDING.
        ahead: How many are before it then, counted up to `MOST_AHEAD` and one.
    """

    now: datetime
    message: Message
    queue: Queue
    workers: tuple[WorkerInfo, ...] = ()
    holder: WorkerInfo | None = None
    due_at: datetime | None = None
    delay_seconds: float | None = None
    ready_at: datetime | None = None
    ahead: int = 0

    @property
    def alive(self) -> list[WorkerInfo]:
        """The workers of its queue that are alive."""
        return [worker for worker in self.workers if not worker.stale]

    @property
    def claiming(self) -> list[WorkerInfo]:
        """Those of them that claim messages."""
        return [each for each in self.alive if not (each.quiet or each.stopping)]

    @property
    def last_ended(self) -> AttemptRecord | None:
        """The last attempt that has ended."""
        ended = [each for each in self.message.attempts if each.ended_at is not None]
        return ended[-1] if ended else None


def explain(facts: Facts) -> Explanation:
    """Name all that keeps a message from running."""
    message = facts.message
    found = (rule(facts) for rule in _RULES[message.state])
    return Explanation(
        queue=message.queue,
        message_id=message.message_id,
        state=message.state,
        at=facts.now,
        attempt=message.attempt,
        max_attempts=message.max_attempts,
        reasons=tuple(reason for reason in found if reason is not None),
        attempts=message.attempts,
    )


def _not_due(facts: Facts) -> Reason | None:
    due = facts.due_at
    if due is None or due <= facts.now or facts.last_ended is not None:
        return None
    message = facts.message
    scheduled = due == message.scheduled_time
    if scheduled and facts.delay_seconds is not None:
        why = f"it was posted with a delay of {span(facts.delay_seconds)}"
    elif scheduled:
        why = "it was posted for then"
    else:
        why = "its handler snoozed, or it was requeued to be due then"
    return Reason(
        ReasonKind.NOT_DUE,
        f"it is not due until {when(due, facts.now)}: {why}",
        until=due,
        facts={"due_at": due, "delay_seconds": facts.delay_seconds},
    )


def _retry(facts: Facts) -> Reason | None:
    due, last = facts.due_at, facts.last_ended
    if due is None or due <= facts.now or last is None:
        return None
    message = facts.message
    next_one = f"attempt {message.attempt + 1}{of_most(message.max_attempts)}"
    return Reason(
        ReasonKind.RETRY,
        f"{next_one} waits until {when(due, facts.now)}; {how_ended(last)}",
        until=due,
        facts={
            "due_at": due,
            "attempt": message.attempt + 1,
            "outcome": last.outcome,
            "error": error_of(last),
        },
    )


def _not_promoted(facts: Facts) -> Reason | None:
    due = facts.due_at
    if due is None or due > facts.now:
        return None
    return Reason(
        ReasonKind.NOT_PROMOTED,
        f"it fell due at {when(due, facts.now)}, and no scheduler service has made "
        "it ready yet",
        _SERVICES,
        facts={"due_at": due},
    )


def _paused(facts: Facts) -> Reason | None:
    queue = facts.queue
    if queue.paused_at is None:
        return None
    by = f" by {queue.paused_by}" if queue.paused_by else ""
    why = f": {queue.pause_reason}" if queue.pause_reason else ", no reason given"
    return Reason(
        ReasonKind.QUEUE_PAUSED,
        f"queue {queue.name!r} is paused since {when(queue.paused_at, facts.now)}"
        f"{by}{why}",
        f"let it go on: trioqueue queue resume {queue.name}",
        facts={
            "paused_at": queue.paused_at,
            "paused_by": queue.paused_by,
            "reason": queue.pause_reason,
        },
    )


def _no_worker(facts: Facts) -> Reason | None:
    if facts.alive:
        return None
    text = f"no worker for queue {facts.queue.name!r} was seen in the last minute"
    last = max(facts.workers, key=lambda each: each.last_beat, default=None)
    seen = None if last is None else last.last_beat
    if last is not None and seen is not None:
        ago = (facts.now - seen).total_seconds()
        one = f"the last one, {who(last)}, was seen {span(ago)} ago"
        if ago <= RECENTLY_SECONDS:
            text = f"no worker for queue {facts.queue.name!r} is alive; {one}"
        else:
            text += f"; {one}"
    return Reason(
        ReasonKind.NO_WORKER,
        text,
        f"{_START} (programs that claim by themselves are not seen)",
        facts={"last_seen_at": seen},
    )


def _quiet(facts: Facts) -> Reason | None:
    alive = facts.alive
    if not alive or facts.claiming:
        return None
    quiet = [each for each in alive if each.quiet and not each.stopping]
    advice = _START
    if quiet:
        advice = f"trioqueue worker quiet {quiet[0].worker_id} --resume, or {_START}"
    return Reason(
        ReasonKind.WORKERS_QUIET,
        f"{there_are(len(alive))} for queue {facts.queue.name!r}, and none claims: "
        f"{len(quiet)} quiet, {len(alive) - len(quiet)} stopping",
        advice,
        facts={"quiet": len(quiet), "stopping": len(alive) - len(quiet)},
    )


def _busy(facts: Facts) -> Reason | None:
    claiming = facts.claiming
    if not claiming or any(each.running < each.concurrency for each in claiming):
        return None
    running = sum(each.running for each in claiming)
    return Reason(
        ReasonKind.WORKERS_BUSY,
        f"{there_are(len(claiming))} for queue {facts.queue.name!r}, and all are busy: "
        f"{running} running, which is the most they run at once",
        f"wait, raise --concurrency, or {_START}",
        facts={"workers": len(claiming), "running": running},
    )


def _its_turn(facts: Facts) -> Reason | None:
    ahead, more = facts.ahead, facts.ahead > MOST_AHEAD
    count = f"{MOST_AHEAD:,}+" if more else f"{ahead:,}"
    others = "other" if ahead == 1 else "others"
    claiming = [] if facts.queue.paused else facts.claiming
    free = any(each.running < each.concurrency for each in claiming)
    where = f"behind {count} {others}" if ahead else "the first in line"
    since = (
        "" if facts.ready_at is None else f" since {when(facts.ready_at, facts.now)}"
    )
    return Reason(
        ReasonKind.ITS_TURN,
        f"it is ready{since}, {where} (higher priorities go first, then the order in "
        "which they became ready)",
        ""
        if ahead or not free
        else "a worker takes it within moments; if this stays "
        "so, look at what the workers log",
        facts={
            "ahead": min(ahead, MOST_AHEAD),
            "ahead_is_more": more,
            "ready_at": facts.ready_at,
        },
    )


def _aborting(facts: Facts) -> Reason | None:
    lease = facts.message.lease
    if lease is None or not lease.abort_requested:
        return None
    why = f": {lease.abort_reason}" if lease.abort_reason else ", no reason given"
    return Reason(
        ReasonKind.ABORTING,
        f"somebody canceled it while it runs{why}; its worker stops the handler with "
        "the next heartbeat, or it ends with its lease, "
        f"{when(lease.deadline, facts.now)}",
        until=lease.deadline,
        facts={"reason": lease.abort_reason},
    )


def _lease_ended(facts: Facts) -> Reason | None:
    lease = facts.message.lease
    if lease is None or lease.deadline > facts.now:
        return None
    beat = lease.heartbeat_expires_at == lease.deadline
    what = "no heartbeat came before" if beat else "its lease ended at"
    return Reason(
        ReasonKind.LEASE_ENDED,
        f"{what} {when(lease.deadline, facts.now)}, and no reclaim service has taken "
        "it back yet",
        _SERVICES,
        facts={"deadline": lease.deadline},
    )


def _gone(facts: Facts) -> Reason | None:
    lease, holder = facts.message.lease, facts.holder
    if lease is None or holder is None or not holder.stale:
        return None
    return Reason(
        ReasonKind.WORKER_GONE,
        f"the worker that holds it, {who(holder)}, was last seen at "
        f"{when(holder.last_beat, facts.now)}: killed, cut off or suspended",
        "its message comes back when the lease ends",
        until=lease.deadline,
        facts={"worker_id": holder.worker_id, "last_beat": holder.last_beat},
    )


def _running(facts: Facts) -> Reason | None:
    message, lease, holder = facts.message, facts.message.lease, facts.holder
    if lease is None:
        return None
    last = message.attempts[-1] if message.attempts else None
    started = None if last is None else last.started_at
    since = "" if started is None else f" since {when(started, facts.now)}"
    one = f"worker {message.worker_id!r}" if message.worker_id else "an unnamed worker"
    seen = " (which has not registered)"
    if holder is not None:
        beat = (facts.now - holder.last_beat).total_seconds()
        one, seen = who(holder), f" (last seen {span(beat)} ago)"
    until = f"its lease lasts until {when(lease.expires_at, facts.now)}"
    if lease.heartbeat_expires_at is not None:
        due = when(lease.heartbeat_expires_at, facts.now)
        until += f", its next heartbeat is due by {due}"
    return Reason(
        ReasonKind.RUNNING,
        f"attempt {message.attempt}{of_most(message.max_attempts)} runs{since} on {one}"
        f"{seen}; {until}",
        f"to stop it: trioqueue message cancel {message.queue} {message.message_id} "
        "--abort",
        until=lease.deadline,
        facts={
            "worker_id": message.worker_id,
            "host": None if holder is None else holder.host,
            "pid": None if holder is None else holder.pid,
            "last_beat": None if holder is None else holder.last_beat,
            "started_at": started,
            "lease_expires_at": lease.expires_at,
            "heartbeat_expires_at": lease.heartbeat_expires_at,
        },
    )


def _completed(facts: Facts) -> Reason:
    return Reason(
        ReasonKind.COMPLETED,
        f"it has completed{_at(facts)}",
        "to run it again, post it under another id",
        facts={"finished_at": facts.message.finished_at},
    )


def _canceled(facts: Facts) -> Reason:
    message = facts.message
    why = f": {message.reason}" if message.reason else ", no reason given"
    return Reason(
        ReasonKind.CANCELED,
        f"it was canceled{_at(facts)}{why}",
        "to run it after all, post it under another id",
        facts={"finished_at": message.finished_at, "reason": message.reason},
    )


def _dead(facts: Facts) -> Reason:
    message, last = facts.message, facts.last_ended
    error = f"; {how_ended(last)}" if last is not None else ""
    return Reason(
        ReasonKind.DEAD,
        f"it is a dead letter{_at(facts)}, reason {message.reason}{error}",
        f"mend the cause, then: trioqueue dlq requeue {message.queue} "
        f"{message.message_id}",
        facts={
            "finished_at": message.finished_at,
            "reason": message.reason,
            "error": None if last is None else error_of(last),
        },
    )


_BLOCKED: Final = (_paused, _no_worker, _quiet)
_RULES: Final[Mapping[MessageState, Iterable[Callable[[Facts], Reason | None]]]] = {
    MessageState.INVISIBLE: (_retry, _not_due, _not_promoted, *_BLOCKED),
    MessageState.PENDING: (*_BLOCKED, _busy, _its_turn),
    MessageState.RUNNING: (_lease_ended, _aborting, _gone, _running),
    MessageState.COMPLETED: (_completed,),
    MessageState.CANCELED: (_canceled,),
    MessageState.ERRORED: (_dead,),
}
"""For each state what may hold, the most important first."""


def _at(facts: Facts) -> str:
    finished = facts.message.finished_at
    return "" if finished is None else f" since {when(finished, facts.now)}"
