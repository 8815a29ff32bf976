"""From a calendar to an iCalendar file (RFC 5545) that other programs understand."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from trioqueue.errors import ValidationError
from trioqueue.schedules.ics_embedded import (
    CALENDAR,
    DIGEST,
    PART,
    check,
    digest_of,
    pieces_of,
)
from trioqueue.schedules.ics_events import FAMILY, GAP
from trioqueue.schedules.ics_lines import Component, read_components
from trioqueue.schedules.ics_plans import Plan, plans_of, stamp_of
from trioqueue.schedules.ics_vtimezone import timezone_of
from trioqueue.schedules.wall_clock import Zone, zone_of

if TYPE_CHECKING:
    import icalendar

    from trioqueue.schedules.calendar import Calendar

PRODUCT: Final = "-//trioqueue//trioqueue//EN"
NOTE: Final = "X-TRIOQUEUE-NOTE"
MAX_LABEL: Final = 255
_WRITTEN: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The same always, so that the same calendar gives the same file."""
_PER_LINE: Final = 500


def calendar_to_ics(
    calendar: Calendar,
    uid: str | None = None,
    summary: str | None = None,
    *,
    after: datetime | None = None,
) -> str:
    """Write a calendar as an iCalendar file.

    Each RRULE and time of day is an event of its own.  What no RRULE says is written
    out run by run, 500 of them.  The calendar itself is kept in a property that
    `calendar_from_ics` uses as long as the events are unchanged.

    Args:
        calendar: What to write.
        uid: The UID of the first event (default: made from the calendar's content);
            further ones are derived from it.
        summary: What the events are called (default: the calendar in words).
        after: Where to begin with runs that are written out (default: where the rule
            begins, or the year 2000).

    Raises:
        ValidationError: The calendar has errors, never runs, or is too large.
    """
    import icalendar

    check(calendar)
    for field, label in (("uid", uid), ("summary", summary)):
        if label is not None:
            _check_label(field, label)
    plans = plans_of(calendar, after)
    if not plans:
        raise ValidationError.of("rules", "these rules never run; nothing to write")
    document = json.dumps(calendar.to_document(), sort_keys=True)
    base = uid or f"{hashlib.sha256(document.encode()).hexdigest()[:32]}@trioqueue"
    title = summary or calendar.describe()[:MAX_LABEL]
    file = icalendar.Calendar()
    file.add("prodid", PRODUCT)
    file.add("version", "2.0")
    zone = zone_of(calendar.tz)
    writer = _Writer(zone, title, skip_gaps=calendar.gap == "skip")
    events: list[icalendar.Event] = []
    for number, plan in enumerate(plans, 1):
        events += writer.events(plan, base if number == 1 else f"{number}-{base}")
    if len(plans) > 1:
        for event in events:
            event.add(FAMILY, base)
    if writer.local:
        file.add_component(timezone_of(zone))
    for event in events:
        file.add_component(event)
    digest = digest_of(_events_of(_text(file)))
    for number, piece in enumerate(pieces_of(calendar), 1):
        events[0].add(CALENDAR, piece, {DIGEST: digest, PART: f"{number:02}"})
    text = _text(file)
    _events_of(text)
    return text


def _check_label(field: str, label: object) -> None:
    if not isinstance(label, str) or not label.strip() or len(label) > MAX_LABEL:
        raise ValidationError.of(
            field, f"expected a text of 1 to {MAX_LABEL} characters, got {label!r:.300}"
        )
    if not label.isprintable():
        raise ValidationError.of(field, f"{label!r} holds a control character")


def _text(file: icalendar.Calendar) -> str:
    written: bytes = file.to_ical()
    return written.decode()


def _events_of(text: str) -> list[Component]:
    """Return the events of what was written, which must be readable again."""
    try:
        (calendar,) = read_components(text)
    except ValidationError as error:
        raise ValidationError.of(
            "calendar", f"is too large for an iCalendar file: {error.issues[0].message}"
        ) from None
    return list(calendar.parts("VEVENT"))


class _Writer:
    """Writes events on one wall clock."""

    def __init__(self, zone: Zone, title: str, *, skip_gaps: bool) -> None:
        self._zone = zone
        self._title = title
        self._skip_gaps = skip_gaps
        self.local = False
        """Whether something was written in the zone's own time."""

    def events(self, plan: Plan, uid: str) -> list[icalendar.Event]:
        """Return the event of a plan, and its overrides."""
        import icalendar

        event = self._event(uid, plan.start)
        if plan.rule is not None:
            event.add("rrule", icalendar.vRecur.from_ical(str(plan.rule)))
        self._dates(event, "rdate", plan.rdates, plan.start)
        self._dates(event, "exdate", sorted(plan.exdates))
        for day in plan.exdays:
            event.add("exdate", day, {"VALUE": "DATE"})
        if self._skip_gaps:
            event.add(GAP, "skip")
        if plan.note:
            event.add(NOTE, plan.note)
        overrides = []
        for instant, target in sorted(plan.moved.items()):
            override = self._event(uid, stamp_of(target, self._zone))
            self._moment(override, "recurrence-id", stamp_of(instant, self._zone))
            overrides.append(override)
        return [event, *overrides]

    def _event(self, uid: str, start: datetime) -> icalendar.Event:
        import icalendar

        event = icalendar.Event()
        event.add("uid", uid)
        event.add("dtstamp", _WRITTEN)
        event.add("summary", self._title)
        self._moment(event, "dtstart", start)
        return event

    def _moment(self, event: icalendar.Event, name: str, moment: datetime) -> None:
        if moment.tzinfo is None and self._zone.name == "UTC":
            moment = moment.replace(tzinfo=UTC)
        event.add(name, moment, self._parameters(moment))

    def _parameters(self, moment: datetime) -> dict[str, Any]:
        if moment.tzinfo is not None:
            return {}
        self.local = True
        return {"TZID": self._zone.name}

    def _dates(
        self,
        event: icalendar.Event,
        name: str,
        instants: list[int],
        without: datetime | None = None,
    ) -> None:
        stamps = [stamp_of(instant, self._zone) for instant in instants]
        stamps = [stamp for stamp in stamps if stamp != without]
        for local in (True, False):
            chosen = [stamp for stamp in stamps if (stamp.tzinfo is None) is local]
            for at in range(0, len(chosen), _PER_LINE):
                some = chosen[at : at + _PER_LINE]
                event.add(name, some, self._parameters(some[0]))
