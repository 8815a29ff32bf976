"""Where claims need not look: below the messages that were ready last.

While an old transaction is open PostgreSQL cannot remove the index entries of messages
that are gone, and every claim would walk over all of them again.  So as long as claims
are slow, each begins where the last one found something.  That is forgotten every
second, for a message may become ready behind the mark: it is found a second later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

import trio

from trioqueue.policies.priority import BAND_STARTS, band_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SLOW_SECONDS: Final = 0.01
"""A look for ready messages that takes longer turns the marks on."""
ACTIVE_SECONDS: Final = 10.0
"""How long they stay on after the last slow look."""
FORGET_SECONDS: Final = 1.0
SLACK_MICROS: Final = 200_000
"""How far below the last message claims begin: posts commit out of order."""


@final
class LowWaterMarks:
    """The marks of one database in one process; used on the Trio thread."""

    def __init__(self) -> None:
        self._marks: dict[int, list[int]] = {}
        self._active_until = self._forget_at = 0.0

    @property
    def active(self) -> bool:
        """Whether claims are slow at present."""
        return trio.current_time() < self._active_until

    def took(self, seconds: float) -> None:
        """Hear how long a look for ready messages took."""
        if seconds >= SLOW_SECONDS:
            self._active_until = trio.current_time() + ACTIVE_SECONDS

    def lows(self, queue_id: int) -> Sequence[int]:
        """Return for each priority's band the claim key to begin at."""
        now = trio.current_time()
        if now >= self._active_until or now >= self._forget_at:
            self._marks.clear()
            self._forget_at = now + FORGET_SECONDS
        return self._marks.get(queue_id, BAND_STARTS)

    def claimed(self, queue_id: int, keys: Iterable[int]) -> None:
        """Hear which messages a claim has found, in the order of claims."""
        if not self.active:
            return
        marks = self._marks.setdefault(queue_id, list(BAND_STARTS))
        seen: set[int] = set()
        for key in keys:
            band = band_of(key)
            if band not in seen:
                seen.add(band)
                marks[band] = max(BAND_STARTS[band], key - SLACK_MICROS)
