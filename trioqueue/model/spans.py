"""Spans and instants: what callers write, and the integers that are stored."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from trioqueue.errors import ValidationError

Seconds: TypeAlias = float | timedelta
"""A span: int or float seconds, or a timedelta."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
FIRST_INSTANT = (datetime.min.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
"""The first instant that a datetime can show, in microseconds."""
LAST_INSTANT = (datetime.max.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
"""The last instant that a datetime can show, in microseconds."""


def to_seconds(value: Seconds, field: str) -> float:
    """Read a span as float seconds.

    Raises:
        ValidationError: It is not a number or a timedelta, or not a number (NaN).
    """
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValidationError.of(
            field, f"expected seconds (a number or a timedelta), got {value!r}"
        )
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    if math.isnan(seconds):
        raise ValidationError.of(field, "expected seconds, got NaN")
    return seconds


def to_micros(seconds: float) -> int:
    """Turn seconds into whole microseconds, the unit that is stored."""
    return round(seconds * 1_000_000)


def instant_to_micros(instant: datetime, field: str) -> int:
    """Read an aware datetime as microseconds since 1970.

    Raises:
        ValidationError: It is not a datetime, it has no time zone, or in UTC it falls
            outside the years 1 to 9999.
    """
    if not isinstance(instant, datetime):
        raise ValidationError.of(field, f"expected an aware datetime, got {instant!r}")
    if instant.tzinfo is None or instant.utcoffset() is None:
        raise ValidationError.of(
            field,
            f"{instant.isoformat()} has no time zone; write e.g. "
            "datetime(..., tzinfo=timezone.utc)",
        )
    micros = (instant - EPOCH) // MICROSECOND
    if not FIRST_INSTANT <= micros <= LAST_INSTANT:
        raise ValidationError.of(
            field, f"{instant.isoformat()} falls outside the years 1 to 9999 in UTC"
        )
    return micros


def micros_to_instant(micros: int) -> datetime:
    """Show stored microseconds as an aware UTC datetime."""
    return EPOCH + timedelta(microseconds=micros)


def optional_instant(micros: int | None) -> datetime | None:
    """Show stored microseconds, where there are any."""
    return None if micros is None else EPOCH + timedelta(microseconds=micros)
