"""How long a failed message waits."""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from trioqueue.model.retry_policy import MAX_DELAY_SECONDS

if TYPE_CHECKING:
    from trioqueue.model.retry_policy import RetryPolicy

_DRAWS: Final = 2**53


def delay_seconds(policy: RetryPolicy, attempt: int, draw: float) -> float:
    """Return the delay after an attempt, counted from 1, in seconds.

    Args:
        policy: The rule.
        attempt: The number of the attempt that failed.
        draw: An even draw from [0, 1), used by jitter.
    """
    if policy.kind == "callable" and policy.function is not None:
        delay = float(policy.function(attempt))
        return min(max(0.0, delay), MAX_DELAY_SECONDS) if delay == delay else 0.0  # noqa: PLR0124  NaN
    if policy.kind == "fixed":
        delay = policy.base_seconds
    elif policy.kind == "linear":
        delay = min(policy.cap_seconds, policy.base_seconds * attempt)
    else:
        delay = min(policy.cap_seconds, _power(policy, attempt))
    return delay * draw if policy.jitter else delay


def _power(policy: RetryPolicy, attempt: int) -> float:
    try:
        return policy.base_seconds * policy.factor ** (attempt - 1)
    except OverflowError:
        return math.inf if policy.base_seconds else 0.0


def draw_for(message_id: str, attempt: int, salt: bytes) -> float:
    """Draw evenly from [0, 1) for one attempt of one message.

    The draw depends on its arguments alone, not on the order in which messages fail,
    so that a simulated run repeats exactly.
    """
    digest = blake2b(f"{message_id}\0{attempt}".encode(), key=salt, digest_size=8)
    return (int.from_bytes(digest.digest(), "big") >> 11) / _DRAWS
