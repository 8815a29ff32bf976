"""What a waiter wants to know after somebody else changed the database.

Cheap looks that take no lock; acting on them is another operation's business.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from trioqueue.store.operations.attempts import next_expiry
from trioqueue.store.operations.core import (
    CALENDAR,
    CLEANUP,
    CRON,
    RECLAIM,
    SCHEDULER,
    Fetch,
)
from trioqueue.store.operations.schedule_fire import next_schedule
from trioqueue.store.operations.upkeep import next_due, next_release

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from trioqueue.store.operations.core import Operation

_NEXT: Final[dict[str, Callable[[], Operation[int | None]]]] = {
    SCHEDULER: next_due,
    RECLAIM: next_expiry,
    CLEANUP: next_release,
    CRON: partial(next_schedule, CRON),
    CALENDAR: partial(next_schedule, CALENDAR),
}


class Found(NamedTuple):
    """What there is of what somebody waits for."""

    ready: list[str]
    """Queues with messages that may be claimed."""
    due: dict[str, int]
    """For each service the earliest instant at which it has work."""
    finished: list[tuple[str, str]]
    """(queue, message id) of messages that are no longer live."""


def look(
    queues: Collection[str],
    services: Collection[str],
    messages: Collection[tuple[str, str]],
) -> Operation[Found]:
    """Look for everything that somebody waits for."""
    ready = (yield from queues_with_ready(sorted(queues))) if queues else []
    due = {}
    for service in services:
        operation = _NEXT.get(service)
        instant = None if operation is None else (yield from operation())
        if instant is not None:
            due[service] = instant
    finished = []
    for key in messages:
        live = yield from is_live(*key)
        finished += [] if live else [key]
    return Found(ready, due, finished)


def queues_with_ready(names: Sequence[str]) -> Operation[list[str]]:
    """Return which of these queues have messages that may be claimed."""
    rows = yield Fetch("queues_with_ready", {"names": list(names)})
    return [row[0] for row in rows]


def is_live(queue: str, message_id: str) -> Operation[bool]:
    """Say whether a message has not finished."""
    rows = yield Fetch("is_live", {"queue": queue, "message_id": message_id})
    return bool(rows)
