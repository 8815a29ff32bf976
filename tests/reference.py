"""What a queue is supposed to do, as plainly as Python can say it.

No tables, no transactions, no leases as objects: one list of entries and the rules of
the design, so that the store can be compared with it step by step.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import attrs

from trioqueue import MessageState

INVISIBLE, PENDING, RUNNING, COMPLETED, CANCELED, ERRORED = MessageState
SECOND: Final = 1_000_000


@attrs.define(eq=False)
class Entry:
    """A message, live or finished."""

    message_id: str
    content: tuple[Any, int, float | None]
    priority: int
    max_attempts: int
    row: int
    state: MessageState = PENDING
    ready_at: int = 0
    ready_seq: int = 0
    due_at: int = 0
    attempts: int = 0
    attempt_id: int | None = None
    lease_at: int = 0
    beat_at: int | None = None
    abort: bool = False
    abort_reason: str | None = None
    reason: str | None = None
    finished_at: int = 0
    released_at: int | None = None
    outcomes: list[str] = attrs.field(factory=list)

    @property
    def deadline(self) -> int:
        return (
            self.lease_at if self.beat_at is None else min(self.lease_at, self.beat_at)
        )

    def lost_at(self, now: int) -> str | None:
        if self.deadline > now:
            return None
        return (
            "lease_expired" if self.deadline == self.lease_at else "heartbeat_expired"
        )


@attrs.define
class Refused:
    """The answer that a call must raise."""

    kind: str
    detail: Any = None


@attrs.define
class Reference:
    """One queue, on a clock that the test moves."""

    retry: int
    """Microseconds between attempts."""
    lease: int
    beat: int | None
    max_attempts: int
    keep: int | None
    """Microseconds that finished messages stay: 0 not at all, None for ever."""
    entries: dict[str, Entry] = attrs.field(factory=dict)
    receipts: dict[int, tuple[str, Any, MessageState]] = attrs.field(factory=dict)
    paused: bool = False
    now: int = 0
    _drawn: int = 0

    def draw(self) -> int:
        self._drawn += 1
        return self._drawn

    def among(self, *states: MessageState) -> list[Entry]:
        return [entry for entry in self.entries.values() if entry.state in states]

    def counts(self) -> dict[MessageState, int]:
        return {state: len(self.among(state)) for state in MessageState}

    def ready(self) -> list[Entry]:
        """List what waits, in the order of claims."""
        return sorted(
            self.among(PENDING), key=lambda e: (-e.priority, e.ready_at, e.ready_seq)
        )

    def oldest_ready_seconds(self) -> float | None:
        instants = [entry.ready_at for entry in self.among(PENDING)]
        return (self.now - min(instants)) / SECOND if instants else None

    def earliest_deadline(self) -> int | None:
        running = [entry.deadline for entry in self.among(RUNNING)]
        delayed = [entry.due_at for entry in self.among(INVISIBLE)]
        return min(running + delayed, default=None)

    def dead(self) -> list[Entry]:
        """List dead letters, newest first."""
        dead = self.among(ERRORED)
        return sorted(dead, key=lambda e: (e.finished_at, e.row), reverse=True)

    def post(
        self,
        message_id: str,
        payload: Any,
        priority: int,
        delay: float | None,
        max_attempts: int | None,
    ) -> Entry | Refused:
        content = (payload, priority, delay)
        known = self.entries.get(message_id)
        if known is not None:
            same = max_attempts in (None, known.max_attempts)
            if known.content == content and same:
                return known
            return Refused("DuplicateMessageError")
        entry = Entry(
            message_id,
            content,
            priority,
            self.max_attempts if max_attempts is None else max_attempts,
            self.draw(),
        )
        self.entries[message_id] = entry
        self.wait(entry, round((delay or 0) * SECOND))
        return entry

    def wait(self, entry: Entry, delay: int) -> None:
        entry.attempt_id = None
        if delay:
            entry.state, entry.due_at = INVISIBLE, self.now + delay
        else:
            self.make_ready(entry, self.now)

    def make_ready(self, entry: Entry, ready_at: int) -> None:
        entry.state, entry.ready_at, entry.ready_seq = PENDING, ready_at, self.draw()

    def finish(self, entry: Entry, state: MessageState, reason: str | None) -> None:
        entry.state, entry.reason, entry.attempt_id = state, reason, None
        entry.finished_at = self.now
        if state is ERRORED:
            return
        if self.keep == 0:
            del self.entries[entry.message_id]
        elif self.keep is not None:
            entry.released_at = self.now + self.keep

    def claim(self, limit: int) -> list[Entry]:
        taken = [] if self.paused else self.ready()[:limit]
        for entry in taken:
            entry.state = RUNNING
            entry.attempts += 1
            entry.lease_at = self.now + self.lease
            entry.beat_at = None if self.beat is None else self.now + self.beat
        return taken

    def held(self, attempt_id: int) -> Entry | None:
        running = self.among(RUNNING)
        return next((e for e in running if e.attempt_id == attempt_id), None)

    def end(
        self,
        attempt_id: int,
        verb: str,
        *,
        result: Any = None,
        delay: float | None = None,
        final: bool = False,
    ) -> MessageState | Refused:
        entry = self.held(attempt_id)
        if entry is None:
            return self.repeat(attempt_id, verb, result)
        if reason := entry.lost_at(self.now):
            return Refused("LeaseLostError", reason)
        wait = self.retry if delay is None else round(delay * SECOND)
        if verb == "release":
            wait = round((delay or 0) * SECOND)
        outcome = {"complete": "completed", "fail": "failed"}.get(verb, "released")
        state = self.settle(entry, outcome, wait, final=final)
        self.receipts[attempt_id] = (verb, result, state)
        return self.repeat(attempt_id, verb, result)

    def repeat(self, attempt_id: int, verb: str, result: Any) -> MessageState | Refused:
        """The same word from the same attempt gets the same answer."""
        receipt = self.receipts.get(attempt_id)
        if receipt is None:
            return Refused("LeaseLostError", "superseded")
        if receipt[:2] != (verb, result):
            return Refused("LeaseLostError", "finished")
        if verb == "complete" and receipt[2] is CANCELED:
            return Refused("LeaseLostError", "aborted")
        return receipt[2]

    def settle(
        self, entry: Entry, outcome: str, wait: int, *, final: bool = False
    ) -> MessageState:
        """One rule for every way in which an attempt ends."""
        charged = outcome != "released"
        if entry.abort:
            entry.outcomes.append("canceled")
            self.finish(entry, CANCELED, entry.abort_reason)
            return CANCELED
        if charged:
            entry.outcomes.append(outcome)
        else:
            entry.attempts -= 1
        if outcome == "completed":
            self.finish(entry, COMPLETED, None)
        elif charged and (final or entry.attempts == entry.max_attempts):
            reason = outcome
            if outcome == "failed":
                reason = "discarded" if final else "max_attempts"
            self.finish(entry, ERRORED, reason)
        else:
            self.wait(entry, wait)
        return entry.state

    def heartbeat(self, attempt_id: int) -> int | Refused:
        entry = self.held(attempt_id)
        if entry is None:
            return Refused("LeaseLostError", "superseded")
        if reason := entry.lost_at(self.now):
            return Refused("LeaseLostError", reason)
        entry.lease_at = max(entry.lease_at, self.now + self.lease)
        entry.beat_at = None if self.beat is None else self.now + self.beat
        return entry.lease_at

    def cancel(
        self, message_id: str, reason: str | None, *, abort: bool
    ) -> MessageState | Refused:
        entry = self.entries.get(message_id)
        if entry is None:
            return Refused("MessageNotFoundError")
        if entry.state in (PENDING, INVISIBLE):
            self.finish(entry, CANCELED, reason)
            return CANCELED
        if entry.state is not RUNNING or not abort:
            return Refused("IllegalStateError", entry.state)
        if not entry.abort:
            entry.abort, entry.abort_reason = True, reason
        return RUNNING

    def promote(self) -> int:
        due = [e for e in self.among(INVISIBLE) if e.due_at <= self.now]
        for entry in sorted(due, key=lambda e: (e.due_at, e.row)):
            self.make_ready(entry, entry.due_at)
        return len(due)

    def reclaim(self) -> int:
        expired = [e for e in self.among(RUNNING) if e.deadline <= self.now]
        for entry in sorted(expired, key=lambda e: (e.deadline, e.row)):
            self.settle(entry, entry.lost_at(self.now) or "", self.retry)
        return len(expired)

    def clean_up(self) -> int:
        return self.drop(
            e
            for e in self.among(COMPLETED, CANCELED)
            if e.released_at is not None and e.released_at <= self.now
        )

    def drop(self, entries: Iterable[Entry]) -> int:
        doomed = list(entries)
        for entry in doomed:
            del self.entries[entry.message_id]
        return len(doomed)

    def revive(self, message_id: str) -> MessageState | Refused:
        entry = self.entries.get(message_id)
        if entry is None or entry.state is not ERRORED:
            return Refused("MessageNotFoundError")
        self.start_again(entry, 0)
        return PENDING

    def start_again(self, entry: Entry, delay: int) -> None:
        entry.row = self.draw()
        entry.attempts, entry.outcomes, entry.reason = 0, [], None
        entry.abort, entry.abort_reason = False, None
        self.wait(entry, delay)

    def revive_all(self, reason: str | None, spread: int) -> int:
        """Give dead letters a new life, oldest first, evenly over the spread."""
        chosen = [e for e in reversed(self.dead()) if reason in (None, e.reason)]
        step = spread * SECOND / max(1, len(chosen))
        for place, entry in enumerate(chosen):
            self.start_again(entry, round(step * place))
        return len(chosen)

    def delete_dead(self, message_id: str) -> Refused | None:
        entry = self.entries.get(message_id)
        if entry is None or entry.state is not ERRORED:
            return Refused("MessageNotFoundError")
        del self.entries[message_id]
        return None
