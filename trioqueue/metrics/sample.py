"""What a look at the whole database found."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping


@final
@attrs.frozen
class QueueSample:
    """One queue.

    Attributes:
        counts: How many messages it has in each state, by the state's number.
        oldest_ready_at: Since when its oldest PENDING message is ready, in
            microseconds since 1970; None where there is none.
        paused: Whether it is paused.
    """

    counts: Mapping[int, int]
    oldest_ready_at: int | None
    paused: bool


@final
@attrs.frozen
class Sample:
    """The whole database.

    Attributes:
        at: When it was looked at, in microseconds since 1970.
        queues: Its queues by name.
        schedules: How many schedules are in each state, by the state's name.
        next_run_at: When the next of them is due; None where none is.
        workers: How many workers have given a sign of life lately.
        oldest_transaction_us: The age of the oldest open transaction, in microseconds;
            None where databases have no such thing.
        dead_tuples: Dead rows of each table, where databases have such a thing.
    """

    at: int
    queues: Mapping[str, QueueSample]
    schedules: Mapping[str, int]
    next_run_at: int | None
    workers: int = 0
    oldest_transaction_us: int | None = None
    dead_tuples: Mapping[str, int] = attrs.field(factory=dict)
