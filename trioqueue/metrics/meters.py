"""What one store has done, as plain numbers.

Nothing here knows Prometheus or takes a lock: operations note facts beside their
effects, which are folded in here once they are committed, on the Trio thread.  Other
threads see them through `snapshot`.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final, TypeAlias, final

import attrs

from trioqueue.metrics.catalogue import (
    CATALOGUE,
    GROUP_SIZES,
    OPERATIONS,
    OTHER_QUEUES,
    QUEUES_SHOWN,
    TRANSACTIONS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from trioqueue.metrics.sample import Sample
    from trioqueue.store.operations.core import Effects
    from trioqueue.store.postgres.pool_parts import PoolStatistics

Key: TypeAlias = tuple[str, str, str]
"""The name of a metric, a queue or "", and the value of its other label or ""."""

_BOUNDS: Final = {
    metric.name: tuple(round(bound * metric.scale) for bound in metric.bounds)
    for metric in CATALOGUE.values()
    if metric.kind == "histogram"
}


_SIZE: Final = (GROUP_SIZES, "", "")


@final
@attrs.frozen
class Snapshot:
    """What was counted, at one moment.

    Attributes:
        counts: The counters.
        histograms: For each histogram how many values fell into each bucket, the one
            above all bounds included, and then their sum.
    """

    counts: Mapping[Key, int]
    histograms: Mapping[Key, Sequence[int]]


@final
class Meters:
    """Counts what a store does; filled on the Trio thread."""

    def __init__(self) -> None:
        self._counts: dict[Key, int] = {}
        self._histograms: dict[Key, list[int]] = {}
        # The series without a queue are under "".
        self._queues: set[str] = {""}
        self._sample: Sample | None = None
        self.pool: Callable[[], PoolStatistics] | None = None
        """How the pool of connections is doing, if there is one."""
        self.file: str | None = None
        """The database file, if there is one."""

    def count(self, metric: str, label: str = "", n: int = 1) -> None:
        """Add to a counter that has no queue."""
        key = (metric, "", label)
        self._counts[key] = self._counts.get(key, 0) + n

    def observe(self, metric: str, label: str, value: int) -> None:
        """Note a value of a histogram that has no queue, in microseconds or things."""
        self._put((metric, "", label), (value,))

    def read(self, operation: str, micros: int) -> None:
        """Note an operation that only reads."""
        self.count(OPERATIONS, operation)
        self.observe(TRANSACTIONS, "read", micros)

    def wrote(self, effects: Effects, kind: str, micros: int, size: int) -> None:
        """Note a transaction that wrote, and what it has noted itself.

        Args:
            effects: What it changed and noted.
            kind: ``write`` or ``relaxed``.
            micros: How long it took, in microseconds.
            size: How many callers it served.
        """
        self._put((TRANSACTIONS, "", kind), (micros,))
        self._put(_SIZE, (size,))
        self.fold(effects)

    def fold(self, effects: Effects) -> None:
        """Add what a committed transaction has noted, and take it from there."""
        if effects.deleted:
            self.forget(effects.deleted)
            effects.deleted = []
        queues, counts = self._queues, self._counts
        for key, n in effects.counts.items():
            place = key if key[1] in queues else self._admit(key)
            counts[place] = counts.get(place, 0) + n
        effects.counts = {}
        if effects.observed:
            for key, values in effects.observed:
                self._put(key if key[1] in queues else self._admit(key), values)
            effects.observed = []

    def _put(self, key: Key, values: Sequence[int]) -> None:
        bounds = _BOUNDS[key[0]]
        try:
            buckets = self._histograms[key]
        except KeyError:
            buckets = self._histograms[key] = [0] * (len(bounds) + 2)
        for value in values:
            buckets[bisect_left(bounds, value)] += 1
        buckets[-1] += sum(values)

    def _admit(self, key: Key) -> Key:
        """Give a queue series of its own, as long as there are not too many."""
        metric, queue, label = key
        if len(self._queues) > QUEUES_SHOWN:
            return metric, OTHER_QUEUES, label
        self._queues.add(queue)
        return key

    @property
    def queues(self) -> frozenset[str]:
        """The queues that have series of their own."""
        return frozenset(self._queues) - {""}

    @property
    def sample(self) -> Sample | None:
        """What a `MetricsReporterService` saw last, whole."""
        return self._sample

    def see(self, sample: Sample, known: Collection[str]) -> None:
        """Take over what a look at the database has found.

        Args:
            sample: What it found.
            known: The queues that had series before: those which are not there any
                more lose them.
        """
        self._sample = sample
        self.forget([queue for queue in known if queue not in sample.queues])
        room = 1 + QUEUES_SHOWN - len(self._queues)
        new = sorted(sample.queues.keys() - self._queues)
        self._queues.update(new[: max(0, room)])

    def forget(self, queues: Collection[str]) -> None:
        """Drop the series of queues that have been deleted."""
        gone = self._queues.intersection(queues) - {""}
        if not gone:
            return
        self._queues -= gone
        if self._sample is not None:
            left = {q: s for q, s in self._sample.queues.items() if q not in gone}
            self._sample = attrs.evolve(self._sample, queues=left)
        for series in (self._counts, self._histograms):
            for key in [key for key in series if key[1] in gone]:
                del series[key]

    def snapshot(self) -> Snapshot:
        """Copy everything; may be called from any thread."""
        # Each copy is one step that the interpreter does not interrupt.
        counts, histograms = self._counts.copy(), self._histograms.copy()
        return Snapshot(
            counts, {key: buckets.copy() for key, buckets in histograms.items()}
        )
