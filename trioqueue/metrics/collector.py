"""What was counted, sampled and is shown, for `prometheus_client`."""

from __future__ import annotations

import math
import platform
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from trioqueue.metrics import catalogue as names
from trioqueue.metrics.catalogue import CATALOGUE, Metric
from trioqueue.model.message import MessageState

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric as Family

    from trioqueue.metrics.meters import Key, Meters
    from trioqueue.metrics.sample import Sample
    from trioqueue.services import Service
    from trioqueue.store import Store
    from trioqueue.worker import Worker

Values: TypeAlias = "dict[str, dict[tuple[str, ...], float]]"
"""For each metric its series: the labels' values, and the number."""

_ALWAYS: Final = (
    # Without labels, so that they can be told from the start not to have happened.
    (names.BUSY, "", ""),
    (names.CONNECTIONS_LOST, "", ""),
    (names.WAKEUPS, "", "push"),
    (names.WAKEUPS, "", "poll"),
)


_MEMORY: Final = "sqlite://:memory:"


@final
class Metrics(Collector):
    """Shows what stores, services and workers of this process know about themselves.

    It is asked by `prometheus_client`, from any thread, and touches no database: what
    is in the queues is what a `MetricsReporterService` saw last.

    Args:
        stores: A store, or several; what they counted is added up.
        services: Services to show: a `Services`, or any number of them.
        workers: Workers whose slots are shown.
        registry: Where it registers itself (None: nowhere).
    """

    def __init__(
        self,
        stores: Store | Iterable[Store],
        *,
        services: Iterable[Service] | None = None,
        workers: Iterable[Worker] = (),
        registry: CollectorRegistry | None = None,
    ) -> None:
        self._stores: Sequence[Store] = (
            tuple(stores) if isinstance(stores, Iterable) else (stores,)
        )
        self._services = tuple(services or ())
        self._workers = tuple(workers)
        self._registry = registry
        if registry is not None:
            registry.register(self)

    def unregister(self) -> None:
        """Take it out of its registry, if it is in one; harmless when repeated."""
        registry, self._registry = self._registry, None
        if registry is not None:
            registry.unregister(self)

    def describe(self) -> Iterable[Family]:
        """List the families, without values."""
        return [_family(metric) for metric in CATALOGUE.values()]

    def collect(self) -> Iterator[Family]:
        """List the families with what there is of each; may be called in any thread."""
        meters = list(
            {
                id(found): found
                for found in (
                    *(store.meters for store in self._stores),
                    *(service.meters for service in self._services),
                )
            }.values()
        )
        counts, histograms = _add_up(meters)
        values: Values = defaultdict(dict)
        for key, count in counts.items():
            _add(values, key[0], _labels(key), count)
        self._show_samples(values)
        self._show_databases(values)
        self._show_process(values)
        for metric in CATALOGUE.values():
            family = _family(metric)
            if isinstance(family, HistogramMetricFamily):
                for labels, buckets in histograms.get(metric.name, ()):
                    _add_histogram(family, metric, labels, buckets)
            else:
                for labels, value in sorted(values[metric.name].items()):
                    family.add_metric(labels, value)
            if family.samples:
                yield family

    def _show_samples(self, values: Values) -> None:
        # Stores on one database have seen the same: the latest look counts.
        latest: dict[object, tuple[Store, Sample]] = {}
        for store in self._stores:
            key = id(store) if store.url == _MEMORY else store.url
            sample = store.meters.sample
            if sample is not None and (
                key not in latest or latest[key][1].at < sample.at
            ):
                latest[key] = store, sample
        for store, sample in latest.values():
            shown = store.meters.queues
            _show_sample(values, sample, shown, store.clock.now_us())

    def _show_databases(self, values: Values) -> None:
        for store in self._stores:
            backend = "postgresql" if store.url.startswith("postgres") else "sqlite"
            labels = (_version(), backend, platform.python_version())
            values[names.BUILD_INFO][labels] = 1
        for path in {store.meters.file for store in self._stores} - {None}:
            for metric, suffix in ((names.FILE_BYTES, ""), (names.WAL_BYTES, "-wal")):
                _add(values, metric, (), _size(f"{path}{suffix}"))
        for ask in [store.meters.pool for store in self._stores]:
            if ask is None:
                continue
            pool = ask()
            _add(values, names.POOL, ("idle",), pool.idle)
            _add(values, names.POOL, ("busy",), pool.open - pool.idle)
            _add(values, names.POOL_SIZE, (), pool.size)
            _add(values, names.POOL_WAITING, (), pool.waiting)

    def _show_process(self, values: Values) -> None:
        for service in self._services:
            running = service.statistics().running
            _add(values, names.SERVICE_RUNNING, (service.name,), running)
        if self._workers:
            _add(values, names.WORKER_SLOTS, (), 0)
            _add(values, names.WORKER_RUNNING, (), 0)
        for worker in self._workers:
            _add(values, names.WORKER_SLOTS, (), worker.concurrency)
            handlers = worker.statistics().running
            _add(values, names.WORKER_RUNNING, (), handlers)


def _add_up(
    meters: Iterable[Meters],
) -> tuple[dict[Key, int], dict[str, list[tuple[tuple[str, ...], list[int]]]]]:
    """Add up what several meters have counted, series by series."""
    counts: dict[Key, int] = dict.fromkeys(_ALWAYS, 0)
    merged: dict[Key, list[int]] = {}
    for found in meters:
        snapshot = found.snapshot()
        for key, count in snapshot.counts.items():
            counts[key] = counts.get(key, 0) + count
        for key, buckets in snapshot.histograms.items():
            known = merged.get(key)
            merged[key] = (
                list(buckets)
                if known is None
                else [a + b for a, b in zip(known, buckets, strict=True)]
            )
    histograms: dict[str, list[tuple[tuple[str, ...], list[int]]]] = defaultdict(list)
    for key, summed in sorted(merged.items()):
        histograms[key[0]].append((_labels(key), summed))
    return counts, histograms


def _labels(key: Key) -> tuple[str, ...]:
    """Return the values of a metric's labels; meters keep a place for each."""
    name, queue, other = key
    labels = CATALOGUE[name].labels
    if "queue" not in labels:
        # Some operations are private to their module, which concerns nobody here.
        return (other.lstrip("_"),) if labels else ()
    return (queue, other) if len(labels) > 1 else (queue,)


def _add(
    values: Values, name: str, labels: tuple[str, ...], more: float | None
) -> None:
    if more is not None:
        values[name][labels] = values[name].get(labels, 0) + more


def _family(metric: Metric) -> Any:
    make = {
        "counter": CounterMetricFamily,
        "gauge": GaugeMetricFamily,
        "histogram": HistogramMetricFamily,
    }[metric.kind]
    return make(metric.family, metric.help, labels=metric.labels)


def _add_histogram(
    family: HistogramMetricFamily,
    metric: Metric,
    labels: Sequence[str],
    buckets: Sequence[int],
) -> None:
    total = 0
    pairs = []
    for bound, count in zip((*metric.bounds, math.inf), buckets, strict=False):
        total += count
        pairs.append(("+Inf" if bound == math.inf else repr(float(bound)), total))
    family.add_metric(labels, pairs, sum_value=buckets[-1] / metric.scale)


def _show_sample(
    values: Values, sample: Sample, shown: frozenset[str], now: int
) -> None:
    for queue, seen in sample.queues.items():
        name = queue if queue in shown else names.OTHER_QUEUES
        for state in MessageState:
            count = seen.counts.get(state, 0)
            _add(values, names.MESSAGES, (name, state.name), count)
        _add(values, names.DEAD_LETTERS, (name,), seen.counts.get(5, 0))
        _raise(values, names.PAUSED, (name,), seen.paused)
        ready_at = now if seen.oldest_ready_at is None else seen.oldest_ready_at
        age = max(0, now - ready_at) / names.MICROS
        _raise(values, names.OLDEST_READY, (name,), age)
    for name, count in sample.schedules.items():
        _add(values, names.SCHEDULES, (name,), count)
    if sample.next_run_at is not None:
        known = values[names.NEXT_RUN].get((), math.inf)
        at = sample.next_run_at / names.MICROS
        values[names.NEXT_RUN][()] = min(known, at)
    _add(values, names.WORKERS_ALIVE, (), sample.workers)
    if sample.oldest_transaction_us is not None:
        open_for = sample.oldest_transaction_us / names.MICROS
        _raise(values, names.OLDEST_TRANSACTION, (), open_for)
    for table, count in sample.dead_tuples.items():
        _add(values, names.DEAD_TUPLES, (table,), count)
    _raise(values, names.LAST_REPORTED, (), sample.at / names.MICROS)


def _raise(values: Values, name: str, labels: tuple[str, ...], to: float) -> None:
    """Keep the highest of what there is to show."""
    values[name][labels] = max(values[name].get(labels, 0), to)


def _size(path: str) -> int | None:
    try:
        return Path(path).stat().st_size
    except OSError:
        return None


@cache
def _version() -> str:
    try:
        return version("trioqueue")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"
