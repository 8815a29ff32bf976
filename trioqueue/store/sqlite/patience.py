"""Waiting for a lock that another process holds: the one way we do it.

SQLite's own busy handler starves some processes for seconds, so it is switched off; we
ask again after short, jittered pauses.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def retry_pause(waited: float) -> float:
    """Return how long to wait, in seconds, before asking for a busy lock again.

    Short and jittered, so that processes share the lock fairly; a little longer once a
    foreign process clearly keeps it.
    """
    spread = random.uniform(0.5, 1.5)
    return spread * (0.001 if waited < 0.1 else 0.004)


def try_until(
    attempt: Callable[[], bool],
    *,
    patience: float,
    pause: Callable[[float], None] = time.sleep,
) -> bool:
    """Try something until it succeeds; False if patience ends before that.

    Args:
        attempt: Returns whether it succeeded.
        patience: How long to go on trying, in real seconds.
        pause: How to wait between two tries; what it raises ends the waiting.
    """
    waited = 0.0
    while not attempt():
        if waited > patience:
            return False
        pause(step := retry_pause(waited))
        waited += step
    return True
