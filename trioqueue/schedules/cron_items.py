"""Reads one item of a cron field: a value, range, step, place in a month or ``H``."""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple

LAST_WEEK: Final = -1
"""The n of ``5L`` among those of ``5#1`` to ``5#5``."""

_HASH: Final = re.compile(
    r"H(?:\((?P<low>\d+)-(?P<high>\d+)\))?(?:/(?P<step>\d+))?",
    re.ASCII | re.IGNORECASE,
)
_PLAIN: Final = re.compile(
    r"(?P<low>\*|\w+)(?:-(?P<high>\w+))?(?:/(?P<step>\w+))?", re.ASCII
)
_NTH: Final = re.compile(r"(?P<day>\w+)#(?P<nth>\w+)", re.ASCII)
_LAST_OF_ITS_NAME: Final = re.compile(
    r"(?:L(?P<after>\d+|[A-Z]{3})|(?P<before>\d+|[A-Z]{3})L)", re.ASCII | re.IGNORECASE
)
_RANDOM: Final = re.compile(r"R(?:\([^)]*\))?(?:/\d+)?", re.ASCII | re.IGNORECASE)


class FieldKind(NamedTuple):
    """What a field may hold."""

    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()
    """Names for its values, the first for the lowest."""

    @property
    def size(self) -> int:
        """How many different values there are."""
        return 7 if self is WEEKDAY else self.high - self.low + 1


MINUTE: Final = FieldKind("minute", 0, 59)
HOUR: Final = FieldKind("hour", 0, 23)
DAY: Final = FieldKind("day-of-month", 1, 31)
MONTH: Final = FieldKind(
    "month",
    1,
    12,
    tuple("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()),  # noqa: SIM905
)
WEEKDAY: Final = FieldKind(
    "day-of-week",
    0,
    7,
    ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"),
)
SECOND: Final = FieldKind("second", 0, 59)
KINDS: Final = (MINUTE, HOUR, DAY, MONTH, WEEKDAY, SECOND)
_DAY_KINDS: Final = (DAY, WEEKDAY)


class Span(NamedTuple):
    """Plain values: one, or every so many from a first to a last."""

    low: int
    high: int
    step: int = 1

    @property
    def values(self) -> range:
        """The values."""
        return range(self.low, self.high + 1, self.step)


class WrongItem(Exception):
    """Something cannot be read: why, and what to write instead."""

    def __init__(self, reason: str, suggestion: str = "") -> None:
        self.issue = (reason, suggestion)
        super().__init__(reason)


def shortened(text: str) -> str:
    """Return a text that fits into a message."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def read_item(
    kind: FieldKind, item: str, seed: str, *, alone: bool
) -> Span | tuple[int, int] | str:
    """Return plain values, a weekday with its place in the month, ``L`` or ``LW``.

    Args:
        kind: The field that the item stands in.
        item: What is written between two commas.
        seed: What chooses the values of ``H``.
        alone: Whether the field holds nothing else.

    Raises:
        WrongItem: It cannot be read.
    """
    if not item:
        raise WrongItem("has an empty item in its list", "remove the stray comma")
    if item == "?":
        if kind not in _DAY_KINDS or not alone:
            raise WrongItem('"?" stands for itself in a day field only', 'use "*"')
        return Span(kind.low, kind.high)
    if kind is DAY and item.upper() in ("L", "LW"):
        return item.upper()
    if kind is WEEKDAY:
        placed = _read_place(item)
        if placed is not None:
            return placed
    hashed = _HASH.fullmatch(item)
    if hashed:
        return _read_hash(kind, hashed, seed)
    if _RANDOM.fullmatch(item):
        raise WrongItem(
            '"R" is random, so that no two programs would agree',
            'use "H", which spreads schedules by their ids',
        )
    return _read_plain(kind, item)


def _read_place(item: str) -> tuple[int, int] | None:
    found = _NTH.fullmatch(item)
    if found:
        day = _number(WEEKDAY, found["day"])
        if found["nth"] not in ("1", "2", "3", "4", "5"):
            raise WrongItem(
                f"no month has a weekday number {found['nth']}",
                'use 1 to 5 after the "#", or "5L" for the last Friday',
            )
        return day % 7, int(found["nth"])
    if item.upper() == "L":
        raise WrongItem(
            '"L" needs a weekday here', '"5L" is the last Friday of the month'
        )
    found = _LAST_OF_ITS_NAME.fullmatch(item)
    if found:
        return _number(WEEKDAY, found["before"] or found["after"]) % 7, LAST_WEEK
    return None


def _read_plain(kind: FieldKind, item: str) -> Span:
    found = _PLAIN.fullmatch(item)
    if not found:
        raise WrongItem("is no value, range, list or step", _advice(kind))
    low, high, step = found["low"], found["high"], found["step"]
    if low == "*":
        if high is not None:
            raise WrongItem('"*" cannot begin a range', _advice(kind))
        first, last = kind.low, kind.high
    else:
        first = _number(kind, low)
        last = first if high is None else _number(kind, high)
        if high is None and step is not None:
            last = kind.high
    if first > last:
        raise WrongItem(
            f'the range "{low}-{high}" runs backwards', _unwound(kind, item)
        )
    if step is None:
        return Span(first, last)
    starred_day = low == "*" and kind in _DAY_KINDS
    size = None if starred_day else kind.size
    return Span(first, last, _step(step, size, kind))


def _unwound(kind: FieldKind, item: str) -> str:
    low, _, high = item.partition("/")[0].partition("-")
    if kind is WEEKDAY and high.upper() in ("0", "SUN"):
        return f"Sunday is also 7: {low}-7"
    return f"write two ranges: {low}-{kind.high},{kind.low}-{high}"


def _step(text: str, size: int | None, kind: FieldKind) -> int:
    if not text.isdecimal():
        raise WrongItem(f'the step "{shortened(text)}" is no number')
    step = int(text)
    if not step:
        raise WrongItem("a step of 0 goes nowhere", "use a step of at least 1")
    if size is not None and step > size:
        raise WrongItem(
            f"a step of {step} is longer than the {size} values of the field, "
            f"so that it would not run every {step} {kind.name}s",
            "name the values that are meant",
        )
    return step


def _number(kind: FieldKind, text: str) -> int:
    if text.isdecimal():
        value = int(text)
        if kind.low <= value <= kind.high:
            return value
        raise WrongItem(
            f"{shortened(text)} is not in {kind.low}-{kind.high}", _advice(kind, text)
        )
    if text.upper() in kind.words:
        return kind.words.index(text.upper()) + kind.low
    raise WrongItem(f'"{shortened(text)}" means nothing here', _advice(kind, text))


def _advice(kind: FieldKind, text: str = "") -> str:
    if "W" in text.upper() and kind is DAY:
        return 'of the forms with W only "LW" is known'
    if kind is MINUTE and text.isdecimal():
        return "the order is minute, hour, day-of-month, month, day-of-week, second"
    names = f", or {kind.words[0]} to {kind.words[-1]}" if kind.words else ""
    return f"use numbers from {kind.low} to {kind.high}{names}"


def _read_hash(kind: FieldKind, found: re.Match[str], seed: str) -> Span:
    # A day of the month that is drawn exists in every month.
    low, high = kind.low, 28 if kind is DAY else kind.low + kind.size - 1
    if found["low"] is not None:
        low, high = _number(kind, found["low"]), _number(kind, found["high"])
        if low > high:
            raise WrongItem(f'the range "{low}-{high}" runs backwards')
    drawn = int.from_bytes(
        hashlib.blake2b(
            f"{kind.name}\n{seed}".encode("utf-8", "surrogatepass"), digest_size=8
        ).digest(),
        "big",
    )
    if found["step"] is None:
        value = low + drawn % (high - low + 1)
        return Span(value, value)
    if found["low"] is None and kind is DAY:
        high = kind.high
    step = _step(found["step"], high - low + 1, kind)
    return Span(low + drawn % step, high, step)
