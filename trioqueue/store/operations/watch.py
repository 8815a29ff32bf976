"""What a waiter wants to know after somebody else changed the database.

Cheap looks that take no lock; acting on them is another operation's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioqueue.store.operations.core import Fetch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioqueue.store.operations.core import Operation


def queues_with_ready(names: Sequence[str]) -> Operation[list[str]]:
    """Return which of these queues have messages that may be claimed."""
    rows = yield Fetch("queues_with_ready", {"names": list(names)})
    return [row[0] for row in rows]


def is_live(queue: str, message_id: str) -> Operation[bool]:
    """Say whether a message has not finished."""
    rows = yield Fetch("is_live", {"queue": queue, "message_id": message_id})
    return bool(rows)
