"""Files for Prometheus and Grafana; ``trioqueue metrics export`` prints them."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

FILES: Final = {
    "grafana": "trioqueue-dashboard.json",
    "alerts": "trioqueue-alerts.yml",
    "scrape": "trioqueue-scrape.yml",
}
"""What there is, and its usual name."""


def read(kind: str) -> str:
    """Return the text of one of `FILES`."""
    return files(__name__).joinpath(FILES[kind]).read_text(encoding="utf-8")
