"""RFC 5545 recurrence rules in words."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from trioqueue.schedules import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioqueue.schedules.rrule import NthWeekday, RecurrenceRule

_UNITS: Final = {
    "YEARLY": "year",
    "MONTHLY": "month",
    "WEEKLY": "week",
    "DAILY": "day",
    "HOURLY": "hour",
    "MINUTELY": "minute",
    "SECONDLY": "second",
}


def describe(rule: RecurrenceRule, start: datetime | None) -> str:
    """Say a rule in words; `start` is its DTSTART."""
    parts = [words.every(rule.interval, _UNITS[rule.freq])]
    parts += _days(rule, start)
    if clock := _clock(rule, start):
        parts.append(clock)
    if rule.bysetpos:
        picked = words.listed([words.ordinal_word(n) for n in rule.bysetpos])
        parts.append(f"only the {picked} of these")
    if rule.interval > 1 and start is not None:
        parts.append(f"counted from {start.date()}")
    if rule.count is not None:
        parts.append(f"{rule.count} time{'s'[: rule.count > 1]}")
    if rule.until is not None:
        parts.append(f"until {_moment(rule)}")
    return ", ".join(parts)


def _moment(rule: RecurrenceRule) -> str:
    until = rule.until
    if isinstance(until, datetime):
        return until.isoformat(" ").replace("+00:00", " UTC")
    return str(until)


def _days(rule: RecurrenceRule, start: datetime | None) -> list[str]:
    parts = []
    if rule.bymonth:
        parts.append(f"in {words.months_words(rule.bymonth)}")
    if rule.byweekno:
        parts.append(f"in week {_numbers(rule.byweekno)} of the year")
    if rule.byyearday:
        parts.append(f"on the {_numbers(rule.byyearday)} day of the year")
    if rule.bymonthday:
        parts.append(f"on the {_numbers(rule.bymonthday)} day of the month")
    if rule.byday:
        of = ""
        if any(day.nth for day in rule.byday):
            within_year = rule.freq == "YEARLY" and not rule.bymonth
            of = " of the year" if within_year else " of the month"
        parts.append(f"on {_weekdays(rule.byday)}{of}")
    elif start is not None:
        parts += _inherited_day(rule, start)
    return parts


def _inherited_day(rule: RecurrenceRule, start: datetime) -> list[str]:
    """Say the day that a rule takes from DTSTART."""
    if rule.bymonthday or rule.byyearday:
        return []
    if rule.freq == "WEEKLY" or rule.byweekno:
        return [f"on {words.weekday_word(start.isoweekday())}"]
    if rule.freq == "MONTHLY" or (rule.freq == "YEARLY" and rule.bymonth):
        return [f"on the {words.ordinal_word(start.day)}"]
    if rule.freq == "YEARLY":
        return [f"on {start.day} {words.MONTH_NAMES[start.month - 1]}"]
    return []


def _weekdays(days: Sequence[NthWeekday]) -> str:
    if tuple((d.nth, d.weekday) for d in days) == tuple((0, n) for n in range(5)):
        return "Monday to Friday"
    return words.listed(
        [
            f"the {words.ordinal_word(day.nth)} {words.WEEKDAY_NAMES[day.weekday]}"
            if day.nth
            else words.WEEKDAY_NAMES[day.weekday]
            for day in days
        ]
    )


def _numbers(numbers: Sequence[int]) -> str:
    return words.listed([words.ordinal_word(number) for number in numbers])


def _clock(rule: RecurrenceRule, start: datetime | None) -> str:
    """Say the times of day."""
    hour, minute, second = (
        (0, 0, 0) if start is None else (start.hour, start.minute, start.second)
    )
    seconds = rule.bysecond or (second,)
    if rule.freq == "SECONDLY":
        return _limits(rule, ("hour", "minute", "second"))
    if rule.freq == "MINUTELY":
        limits = _limits(rule, ("hour", "minute"))
        at = f"at second {words.listed(list(map(str, seconds)))}"
        return ", ".join(filter(None, (limits, at if seconds != (0,) else "")))
    minutes = rule.byminute or (minute,)
    if rule.freq == "HOURLY":
        limits = _limits(rule, ("hour",))
        at = f"at minute {words.listed(list(map(str, minutes)))}"
        if seconds != (0,):
            at += f" second {words.listed(list(map(str, seconds)))}"
        return ", ".join(filter(None, (limits, at)))
    shown = [
        f"{h:02}:{m:02}:{s:02}".removesuffix(":00")
        if not s
        else f"{h:02}:{m:02}:{s:02}"
        for h in rule.byhour or (hour,)
        for m in minutes
        for s in seconds
    ]
    if len(shown) > 12:
        shown = [*shown[:11], f"{len(shown) - 11} more times"]
    return f"at {words.listed(shown)}"


def _limits(rule: RecurrenceRule, units: Sequence[str]) -> str:
    """Say which hours, minutes or seconds a finer rule keeps to."""
    parts = []
    for unit in units:
        values = getattr(rule, f"by{unit}")
        if values:
            plural = "s" if len(values) > 1 else ""
            parts.append(f"in {unit}{plural} {words.listed(list(map(str, values)))}")
    return ", ".join(parts)
