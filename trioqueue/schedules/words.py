"""Words for days, months and times, shared by all descriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import time

WEEKDAY_NAMES: Final = (
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
)
MONTH_NAMES: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def listed(items: Sequence[str], last: str = "and") -> str:
    """Join texts as people do: ``a, b and c``."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def ordinal_word(number: int) -> str:
    """Return ``1st``, ``2nd``, ``last``, ``2nd to last``."""
    if number == -1:
        return "last"
    if number < 0:
        return f"{ordinal_word(-number)} to last"
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def weekday_word(number: int) -> str:
    """Return the name of an ISO weekday, 1 for Monday."""
    return WEEKDAY_NAMES[number - 1]


def months_words(months: Iterable[int]) -> str:
    """Return the names of months, 1 for January."""
    return listed([MONTH_NAMES[month - 1] for month in months])


def every(interval: int, unit: str) -> str:
    """Return ``every day`` or ``every 3 days``."""
    return f"every {unit}" if interval == 1 else f"every {interval} {unit}s"


def time_word(moment: time) -> str:
    """Return ``17:00``, with seconds only where there are any."""
    return f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"


def times_words(times: Iterable[time]) -> str:
    """Return ``at 08:15 and 17:00``; no times mean midnight."""
    shown = [time_word(moment) for moment in sorted(set(times))]
    return f"at {listed(shown) or '00:00'}"
