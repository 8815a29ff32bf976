"""How explanations word what they have found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioqueue.model.queue import UNLIMITED_ATTEMPTS

if TYPE_CHECKING:
    from datetime import datetime

    from trioqueue.model.message import AttemptRecord
    from trioqueue.model.worker_info import WorkerInfo


def of_most(most: int) -> str:
    """Say of how many attempts."""
    return "" if most == UNLIMITED_ATTEMPTS else f" of {most}"


def there_are(count: int) -> str:
    """Count workers."""
    return "there is 1 worker" if count == 1 else f"there are {count} workers"


def who(worker: WorkerInfo) -> str:
    """Name a worker, and where it is."""
    return f"worker {worker.worker_id!r} (host {worker.host}, pid {worker.pid})"


def error_of(attempt: AttemptRecord) -> str | None:
    """Write an attempt's error as Python does."""
    parts = [part for part in (attempt.error_type, attempt.error_message) if part]
    return ": ".join(parts) or None


def how_ended(attempt: AttemptRecord) -> str:
    """Say how an attempt ended, on one line."""
    error = error_of(attempt)
    how = (attempt.outcome or "ended").replace("_", " ")
    text = f"attempt {attempt.number} {how}"
    return text if error is None else f"{text}: {error.splitlines()[0]}"


def when(instant: datetime, now: datetime) -> str:
    """Write an instant, to the second, and how far away it is."""
    seconds = (instant - now).total_seconds()
    far = f"in {span(seconds)}" if seconds > 0 else f"{span(-seconds)} ago"
    return f"{instant:%Y-%m-%dT%H:%M:%S}Z ({far})"


def span(seconds: float) -> str:
    """Write a span in its two largest units."""
    if 0 < seconds < 1:
        return "less than 1s"
    rest = int(seconds)
    for unit, size, below, part in (("d", 86400, "h", 3600), ("h", 3600, "m", 60)):
        if rest >= size:
            return _two(rest // size, unit, rest % size // part, below)
    return _two(rest // 60, "m", rest % 60, "s") if rest >= 60 else f"{rest}s"


def _two(most: int, unit: str, rest: int, below: str) -> str:
    return f"{most}{unit}{rest}{below}" if rest else f"{most}{unit}"
