"""In which order messages are claimed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from trioqueue.model.message import PRIORITIES

_BAND: Final = 1 << 58
"""Room for a ready instant in microseconds: 2**58 is past the year 9999."""


def claim_key(priority: int, ready_at: int) -> int:
    """Return the key that claims are ordered by, fixed when a message becomes ready.

    STRICT: priority high first, then the instant at which it became ready.  Ties are
    broken by a ticket, drawn when the message became ready, so that a retried message
    stands behind those already waiting.
    """
    return (PRIORITIES[-1] - priority) * _BAND + ready_at


BAND_STARTS: Final = tuple(band * _BAND for band in range(len(PRIORITIES)))
"""The lowest key of each band: of priority 4, which is claimed first, down to 0."""


def band_of(key: int) -> int:
    """Return which band a claim key is in, counted from the highest priority."""
    return key // _BAND


def waits(keys: Iterable[int], now: int) -> list[int]:
    """Return how long those with these claim keys have been ready."""
    return [now - key % _BAND for key in keys]


def ready_at(key: int) -> int:
    """Return the ready instant that a claim key holds."""
    return key % _BAND
