"""From a stored document back to a cron expression or a calendar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trioqueue.schedules.when import When


def when_of(kind: str, document: Mapping[str, Any]) -> When:
    """Make what `When.to_document` wrote down.

    Each kind is imported when it is first met: croniter alone costs 30 ms.

    Raises:
        ValueError: There is no such kind; a newer trioqueue may know it.
        ValidationError: The document is damaged.
    """
    if kind == "cron":
        from trioqueue.schedules.cron import Cron

        return Cron.from_document(document)
    if kind == "calendar":
        from trioqueue.schedules.calendar import Calendar

        return Calendar.from_document(document)
    message = f"unknown kind of schedule {kind!r}"
    raise ValueError(message)
