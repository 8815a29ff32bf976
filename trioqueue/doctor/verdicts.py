"""What a check answers."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, final

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable

SECOND: Final = 1_000_000
"""A second, in the microseconds of all instants."""
LATE_SECONDS: Final = 60.0
"""A service that is later than this does not run."""


@final
class Level(enum.Enum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@final
@attrs.frozen
class Verdict:
    """What one check found.

    Attributes:
        check: What was looked at, in a word or two.
        level: How bad it is.
        text: What was found, and what it means.
        advice: What to do; "" where there is nothing to do.
    """

    check: str
    level: Level
    text: str
    advice: str = ""


def ok(check: str, text: str) -> Verdict:
    """Say that all is well."""
    return Verdict(check, Level.OK, text)


def warning(check: str, text: str, advice: str) -> Verdict:
    """Say that something may hurt."""
    return Verdict(check, Level.WARNING, text, advice)


def problem(check: str, text: str, advice: str) -> Verdict:
    """Say that something does not work."""
    return Verdict(check, Level.PROBLEM, text, advice)


def worst(verdicts: Iterable[Verdict]) -> Level:
    """Return the worst level there is; OK for none."""
    levels = list(Level)
    return max((each.level for each in verdicts), key=levels.index, default=Level.OK)


def show_bytes(count: float) -> str:
    """Write a number of bytes for people: ``1.5 GiB``."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def show_span(seconds: float) -> str:
    """Write a span for people, in its largest unit: ``3 h``."""
    if seconds < 0.001:
        return "less than 1 ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
