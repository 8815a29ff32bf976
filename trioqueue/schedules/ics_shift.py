"""Rules moved along the wall: every time that they give, so much later."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

import attrs

from trioqueue.schedules.reading import wall_in
from trioqueue.schedules.rrule import NthWeekday, RecurrenceRule
from trioqueue.schedules.wall_clock import DAY, show_wall

if TYPE_CHECKING:
    from trioqueue.schedules.wall_clock import Zone

_DAY_PARTS: Final = ("byday", "bymonthday", "byyearday", "byweekno", "bymonth")
_TIME_PARTS: Final = ("byhour", "byminute", "bysecond")
_SHORTEST_MONTH: Final = 28
_DAYS_END: Final = time(23, 59, 59)


def shifted_moment(moment: date, delta: timedelta, zone: Zone, clock: time) -> date:
    """Return a date, a naive moment or an instant so much later on a zone's wall.

    Args:
        moment: What to move.
        delta: By how much.
        zone: Whose wall it is.
        clock: The time of day that a date stands for.
    """
    if not isinstance(moment, datetime):
        return (datetime.combine(moment, clock) + delta).date()
    return show_wall(wall_in(moment, zone)) + delta


def shifted_rule(
    rule: RecurrenceRule, start: datetime, delta: timedelta, zone: Zone
) -> RecurrenceRule | None:
    """Return the rule that, begun `delta` later, gives each time `delta` later.

    None means that no RRULE can say it.

    Args:
        rule: The rule.
        start: Its DTSTART on the wall.
        delta: By how much.
        zone: Whose wall it is.
    """
    if rule.until is not None:
        until = rule.until
        if not isinstance(until, datetime):
            until = datetime.combine(until, _DAYS_END)
        until = shifted_moment(until, delta, zone, _DAYS_END)
        rule = attrs.evolve(rule, until=until)
    if rule.subdaily:
        bare = not any(getattr(rule, name) for name in (*_DAY_PARTS, *_TIME_PARTS))
        return rule if bare and not rule.bysetpos else None
    for days in (delta.days, delta.days + 1):
        clock = delta - timedelta(days=days)
        timed = _at_another_time(rule, start, clock)
        if timed is not None and (moved := _on_another_day(timed, start, days)):
            return moved
    return None


def _at_another_time(
    rule: RecurrenceRule, start: datetime, delta: timedelta
) -> RecurrenceRule | None:
    """Return it with each time of day later, all staying on their days."""
    if (start + delta).date() != start.date():
        return None
    if not any(getattr(rule, name) for name in _TIME_PARTS):
        return rule
    seconds = delta // timedelta(seconds=1)
    hours, rest = divmod(seconds, 3600)
    moved = [hour + hours for hour in rule.byhour or (start.hour,)]
    if rest or not all(0 <= hour < DAY // 3600 for hour in moved):
        return None
    return attrs.evolve(rule, byhour=tuple(moved) if rule.byhour else ())


def _on_another_day(
    rule: RecurrenceRule, start: datetime, days: int
) -> RecurrenceRule | None:
    """Return it with each day later."""
    if not days:
        return rule
    given = {name for name in _DAY_PARTS if getattr(rule, name)}
    if rule.freq in ("DAILY", "WEEKLY"):
        if given - {"byday"}:
            return None
        byday = [NthWeekday(0, (day.weekday + days) % 7) for day in rule.byday]
        return attrs.evolve(
            rule,
            byday=tuple(sorted(byday, key=lambda day: day.weekday)),
            wkst=(rule.wkst + days) % 7 if rule.freq == "WEEKLY" else rule.wkst,
        )
    if given - {"bymonthday", "bymonth"} or (
        rule.freq == "YEARLY" and "bymonth" not in given and given
    ):
        return None
    # Within the 28 days that every month has; the start says which months count.
    new = tuple(day + days for day in rule.bymonthday)
    named = (start.day, start.day + days, *rule.bymonthday, *new)
    if not all(1 <= day <= _SHORTEST_MONTH for day in named):
        return None
    return attrs.evolve(rule, bymonthday=new)
