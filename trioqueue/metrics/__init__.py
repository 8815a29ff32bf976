"""Numbers for Prometheus: what is counted, sampled and shown.

- `catalogue`: every metric, once
- `meters`: counts what a store does; `sample`: what a look at the database found
- `collector`: both, for `prometheus_client`
- `exposition`: over HTTP, beside `health`; `http` is the server below them
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trioqueue._lazy import lazy_names

if TYPE_CHECKING:
    from trioqueue.metrics.collector import Metrics as Metrics
    from trioqueue.metrics.exposition import serve_metrics as serve_metrics
    from trioqueue.metrics.health import Check as Check
    from trioqueue.metrics.health import Health as Health
    from trioqueue.metrics.serving import open_metrics as open_metrics

_HOMES: Final = {
    "trioqueue.metrics.collector": ("Metrics",),
    "trioqueue.metrics.exposition": ("serve_metrics",),
    "trioqueue.metrics.health": ("Check", "Health"),
    "trioqueue.metrics.serving": ("open_metrics",),
}

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
