"""A calendar of trioqueue inside an iCalendar file, as a property of its first event.

iCalendar cannot say all that a calendar says.  The property does, but is only good as
long as the events around it are as they were written: a digest of them tells.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from trioqueue.errors import ValidationError
from trioqueue.schedules.calendar import Calendar
from trioqueue.schedules.checks import calendar_issues
from trioqueue.schedules.ics_events import GAP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trioqueue.schedules.ics_lines import Component

CALENDAR: Final = "X-TRIOQUEUE-CALENDAR"
DIGEST: Final = "DIGEST"
PART: Final = "PART"
"""The place of a property among several, as two digits."""
PIECE: Final = 30_000
"""How many characters of JSON one property holds; a longer document has several."""
_COUNTS: Final = frozenset(
    {
        "DTSTART",
        "RRULE",
        "EXRULE",
        "RDATE",
        "EXDATE",
        "RECURRENCE-ID",
        "STATUS",
        GAP,
    }
)
"""What says when an event runs."""


def check(calendar: Calendar) -> None:
    """Look for errors in a calendar.

    Raises:
        ValidationError: There are some.
    """
    issues = calendar_issues(calendar)
    if errors := [issue for issue in issues if issue.severity == "error"]:
        raise ValidationError(errors)


def digest_of(vevents: Iterable[Component]) -> str:
    """Return a digest of what events say about when they run, in any order."""
    lines = sorted(
        "\n".join(
            sorted(
                f"{entry.name};{sorted(entry.parameters.items())}:{entry.value.strip()}"
                for entry in vevent.properties
                if entry.name in _COUNTS
            )
        )
        for vevent in vevents
    )
    return hashlib.sha256("\n\n".join(lines).encode()).hexdigest()[:32]


def pieces_of(calendar: Calendar) -> list[str]:
    """Return a calendar as the values of its properties."""
    text = json.dumps(calendar.to_document(), sort_keys=True, separators=(",", ":"))
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)]


def embedded_calendar(vevents: list[Component], notes: list[str]) -> Calendar | None:
    """Return the calendar that events carry, if they are as they were written.

    Args:
        vevents: The events of one calendar.
        notes: Takes why it is not used.
    """
    for vevent in vevents:
        entries = list(vevent.all(CALENDAR))
        if entries:
            break
    else:
        return None
    wanted = digest_of(vevents)
    if any(entry.parameters.get(DIGEST) != wanted for entry in entries):
        notes.append(
            f"line {entries[0].line}: the events were changed after trioqueue wrote "
            f"them; {CALENDAR} is left aside"
        )
        return None
    entries.sort(key=lambda entry: entry.parameters.get(PART, ""))
    try:
        document = json.loads("".join(entry.text() for entry in entries))
        calendar = Calendar.from_document(document)
        check(calendar)
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        notes.append(
            f"line {entries[0].line}: {CALENDAR} cannot be used: {str(error)[:200]}"
        )
        return None
    return calendar
