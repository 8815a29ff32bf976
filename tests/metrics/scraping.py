"""What Prometheus would see: rendered as text, and parsed again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from trioqueue import Store, Worker
from trioqueue.metrics import Metrics
from trioqueue.services import Service

PARTS: Final = ("_bucket", "_count", "_sum")


@final
class Scrape:
    """All that is exposed at one moment."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.kinds: dict[str, str] = {}
        """The type of each metric, counters under their full name."""
        self.labels: dict[str, set[frozenset[str]]] = {}
        """Which labels the series of each metric have."""
        self.series: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for family in text_string_to_metric_families(text):
            name = family.name + ("_total" if family.type == "counter" else "")
            self.kinds[name] = family.type
            for sample in family.samples:
                names = frozenset(sample.labels) - {"le"}
                self.labels.setdefault(name, set()).add(names)
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in self.series
                self.series[key] = sample.value

    def get(self, name: str, **labels: str) -> float | None:
        """Return one series' value; None where there is no such series."""
        return self.series.get((name, frozenset(labels.items())))

    def value(self, name: str, **labels: str) -> float:
        """Return one series' value, 0 where it has not begun."""
        return self.get(name, **labels) or 0.0

    def total(self, name: str) -> float:
        """Add up all series of a counter, or the counts of a histogram."""
        names = (name, f"{name}_count")
        return sum(v for (found, _), v in self.series.items() if found in names)

    def of_queue(self, queue: str) -> set[str]:
        """List the metrics that have series of a queue."""
        return {name for name, labels in self.series if ("queue", queue) in labels}


def scrape(
    *stores: Store, services: Iterable[Service] = (), workers: Iterable[Worker] = ()
) -> Scrape:
    """Render what some stores have to say, and read it."""
    registry = CollectorRegistry()
    Metrics(stores, services=services, workers=workers, registry=registry)
    return Scrape(generate_latest(registry).decode())
