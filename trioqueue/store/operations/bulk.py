"""Doing one thing to many messages that were chosen before, a batch at a time.

What a verb does to one message is said where that verb is: `cancel`, `dead_letters`.
Here is what happens to those that have changed since they were chosen: they are left
alone, and counted by kind.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from trioqueue.metrics.catalogue import DEAD_REQUEUED
from trioqueue.model.message import LIVE_STATES, MessageState
from trioqueue.store.operations.cancel import ask_to_abort, withdraw
from trioqueue.store.operations.core import Fetch, queue_lock
from trioqueue.store.operations.dead_letters import (
    KeptRow,
    note_gone,
    remove,
    revive,
)
from trioqueue.store.operations.rows import (
    FinishedRow,
    HeldRow,
    find_rows,
    queue_named,
    queues_by_id,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from trioqueue.store.operations.core import Context, Operation
    from trioqueue.store.operations.rows import QueueRow

BATCH: Final = 500
"""Messages that one transaction changes."""


class Chosen(NamedTuple):
    """A batch of messages that were chosen by a filter.

    Attributes:
        ids: The numbers of their rows.
        queues: The names of their queues.
        states: In which states they must still be; None: in any that the verb takes.
    """

    ids: list[int]
    queues: tuple[str, ...]
    states: Collection[int] | None


class Outcome(NamedTuple):
    """What became of a batch."""

    done: int
    skipped: Mapping[str, int]
    aborting: int = 0


def cancel_batch(
    context: Context, chosen: Chosen, reason: str | None, *, abort: bool
) -> Operation[Outcome]:
    """Cancel those that wait; ask for running ones to be canceled, if `abort`."""
    yield queue_lock(*chosen.queues)
    rows = yield Fetch("held_messages", {"ids": chosen.ids})
    held = list(map(HeldRow._make, rows))
    queues = yield from queues_by_id({row.queue_id for row in held})
    skipped = yield from _absent(chosen, {row.id for row in held}, finished="finished")
    waiting: list[tuple[QueueRow, HeldRow]] = []
    aborting = 0
    for row in held:
        queue = queues[row.queue_id]
        if chosen.states is not None and row.state not in chosen.states:
            skipped["changed"] += 1
        elif row.state != MessageState.RUNNING:
            waiting.append((queue, row))
        elif abort:
            yield from ask_to_abort(context, queue, row, reason)
            aborting += 1
        else:
            skipped["running"] += 1
    if waiting:
        yield from withdraw(context, waiting, reason)
    return Outcome(len(waiting) + aborting, skipped, aborting)


def requeue_batch(
    context: Context, chosen: Chosen, delays: Sequence[int], target: str | None
) -> Operation[Outcome]:
    """Give dead letters a new life, each after its delay.

    Raises:
        QueueNotFoundError: There is no target queue (any more).
    """
    yield queue_lock(*chosen.queues, *(() if target is None else (target,)))
    destination = None if target is None else (yield from queue_named(target))
    rows = yield Fetch("lock_finished_rows", {"ids": chosen.ids})
    found = {row[0]: FinishedRow._make(row) for row in rows}
    skipped = yield from _absent(chosen, found.keys(), live="not_dead")
    queues = yield from queues_by_id({row.queue_id for row in found.values()})
    taken: set[str] = set()
    if destination is not None:
        foreign = [
            row.message_id
            for row in found.values()
            if row.queue_id != destination.queue_id
        ]
        taken |= (yield from find_rows(destination.queue_id, foreign)).keys()
    pairs = []
    waits = []
    for row_id, delay in zip(chosen.ids, delays, strict=True):
        row = found.get(row_id)
        if row is None:
            continue
        home = queues[row.queue_id]
        if row.state != MessageState.ERRORED:
            skipped["not_dead"] += 1
        elif (
            destination is not None
            and destination.queue_id != row.queue_id
            and row.message_id in taken
        ):
            skipped["duplicate"] += 1
        else:
            # Dead letters of several queues may share an id; the first one moves.
            taken.add(row.message_id)
            pairs.append((row, destination or home))
            waits.append(delay)
    if pairs:
        yield from revive(context, pairs, waits)
        note_gone(context, DEAD_REQUEUED, [row for row, _ in pairs], queues)
    return Outcome(len(pairs), skipped)


def delete_batch(context: Context, chosen: Chosen) -> Operation[Outcome]:
    """Delete messages that have finished, and dead letters, for good."""
    yield queue_lock(*chosen.queues)
    rows = yield Fetch("lock_kept_rows", {"ids": chosen.ids})
    kept = list(map(KeptRow._make, rows))
    skipped = yield from _absent(chosen, {row.id for row in kept}, live="live")
    if chosen.states is not None:
        fitting = [row for row in kept if row.state in chosen.states]
        skipped["changed"] += len(kept) - len(fitting)
        kept = fitting
    queues = yield from queues_by_id({row.queue_id for row in kept})
    yield from remove(context, kept, queues)
    return Outcome(len(kept), skipped)


def _absent(
    chosen: Chosen,
    present: Collection[int],
    *,
    live: str = "gone",
    finished: str = "gone",
) -> Operation[Counter[str]]:
    """Count those that the verb's table does not hold, by where they are."""
    absent = [row_id for row_id in chosen.ids if row_id not in present]
    kinds: Counter[str] = Counter()
    if absent:
        rows = yield Fetch("states_of", {"ids": absent})
        kinds["gone"] = len(absent) - len(rows)
        for _, state in rows:
            kinds[live if state in LIVE_STATES else finished] += 1
    return kinds
