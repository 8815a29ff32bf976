"""How long finished messages stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioqueue.model.spans import to_micros

if TYPE_CHECKING:
    from trioqueue.model.queue import RetentionPolicy


def keeps(policy: RetentionPolicy) -> bool:
    """Say whether a finished message is kept at all."""
    return policy.kind != "delete"


def expires_at(policy: RetentionPolicy, finished_at: int) -> int | None:
    """Return the instant at which a kept message may go; None is never."""
    if policy.seconds is None:
        return None
    return finished_at + to_micros(policy.seconds)
