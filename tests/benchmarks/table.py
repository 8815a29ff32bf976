"""Rows, what they are held against, and the table of all of them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, final

import attrs

Unit = Literal["/s", "us", "ms", "s", "MB", "%"]

_PLACES: Final[dict[Unit, int]] = {"/s": 0, "us": 1, "ms": 2, "s": 2, "MB": 1, "%": 2}


@final
@attrs.frozen
class Target:
    """What a figure, or its ratio to the reference, should reach."""

    kind: Literal["at least", "at most"]
    value: float
    of: Literal["figure", "ratio"]

    def met_by(self, value: float) -> bool:
        if self.kind == "at least":
            return value >= self.value
        return value <= self.value

    def show(self, unit: Unit) -> str:
        sign = "≥" if self.kind == "at least" else "≤"
        number = f"{self.value:,g}"
        return f"{sign} {number}{'x' if self.of == 'ratio' else unit_suffix(unit)}"


def at_least(value: float) -> Target:
    return Target("at least", value, "figure")


def at_most(value: float) -> Target:
    return Target("at most", value, "figure")


def ratio_at_least(value: float) -> Target:
    return Target("at least", value, "ratio")


def ratio_at_most(value: float) -> Target:
    return Target("at most", value, "ratio")


@final
@attrs.frozen
class Reference:
    """What was measured beside a row, in the same run."""

    name: str
    samples: Sequence[float]


@final
@attrs.frozen
class Row:
    """One line of the table.

    Attributes:
        name: What was measured.
        unit: In what.
        samples: Every measurement.
        reference: Raw SQLite, a peer, or a smaller case.
        target: What it should reach (None: for information).
        quantile: Which of the samples counts: the median, unless it says otherwise.
        note: How to read it.
    """

    name: str
    unit: Unit
    samples: Sequence[float]
    reference: Reference | None = None
    target: Target | None = None
    quantile: float = 0.5
    note: str = ""

    @property
    def figure(self) -> float:
        return quantile(self.samples, self.quantile)

    @property
    def ratio(self) -> float | None:
        """How it compares with the reference.

        Samples taken in turn are compared in pairs, so that a machine that grows slower
        meanwhile does not favour either.
        """
        if self.reference is None:
            return None
        others = self.reference.samples
        if len(others) == len(self.samples):
            pairs = zip(self.samples, others, strict=True)
            return statistics.median(ours / other for ours, other in pairs)
        return self.figure / statistics.median(others)

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        value = self.figure if self.target.of == "figure" else self.ratio
        assert value is not None, f"{self.name}: a ratio needs a reference"
        return self.target.met_by(value)

    def document(self) -> dict[str, Any]:
        """Return everything about it, for the JSON file."""
        reference = self.reference
        return {
            "name": self.name,
            "unit": self.unit,
            "figure": self.figure,
            "quantile": self.quantile,
            "samples": list(self.samples),
            "reference": None
            if reference is None
            else {"name": reference.name, "samples": list(reference.samples)},
            "ratio": self.ratio,
            "target": self.target and self.target.show(self.unit),
            "met": self.met,
            "note": self.note,
        }


def quantile(samples: Sequence[float], share: float) -> float:
    """Return the sample that so large a share of them does not exceed."""
    if share == 0.5:
        return statistics.median(samples)
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def unit_suffix(unit: Unit) -> str:
    return unit if unit == "/s" else f" {unit}"


def show(value: float, unit: Unit) -> str:
    return f"{value:,.{_PLACES[unit]}f}{unit_suffix(unit)}"


def show_spread(row: Row) -> str:
    """Write a figure with the least and the greatest sample."""
    figure = show(row.figure, row.unit)
    if len(row.samples) == 1:
        return figure
    places = _PLACES[row.unit]
    low, high = min(row.samples), max(row.samples)
    return f"{figure} ({low:,.{places}f} to {high:,.{places}f})"


_HEADINGS: Final = ("row", "measured (spread)", "beside it", "ratio", "target", "met")


def _cells(row: Row) -> tuple[str, ...]:
    beside = ratio = ""
    if row.reference is not None:
        median = show(statistics.median(row.reference.samples), row.unit)
        beside = f"{row.reference.name} {median}"
        value = row.ratio or 0
        ratio = f"{value:.2f}x" if value >= 0.1 else f"{value:.1g}x"
    target = row.target.show(row.unit) if row.target else ""
    met = {None: "", True: "yes", False: "NO"}[row.met]
    return (row.name, show_spread(row), beside, ratio, target, met)


def render(rows: Iterable[Row]) -> str:
    """Return the table as text."""
    lines = [_HEADINGS, *map(_cells, rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(6)]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "  ".join(
            cell.ljust(width) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    )
