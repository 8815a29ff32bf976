"""From a stored document back to a cron expression or a calendar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trioqueue.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trioqueue.schedules.when import When


def when_of(kind: str, document: Mapping[str, Any]) -> When:
    """Make what `When.to_document` wrote down.

    Each kind is imported when it is first met: croniter alone costs 30 ms.

    Raises:
        ValidationError: There is no such kind, or the document is damaged; a newer
            trioqueue may know better.
    """
    if kind == "cron":
        from trioqueue.schedules.cron import Cron

        return Cron.from_document(document)
    if kind == "calendar":
        from trioqueue.schedules.calendar import Calendar

        return Calendar.from_document(document)
    raise ValidationError.of("kind", f"there is no kind of schedule {kind!r}")
