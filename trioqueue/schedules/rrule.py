"""RFC 5545 recurrence rules as values: read from text, checked, written back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, TypeAlias, final

import attrs

from trioqueue.errors import ValidationError, ValidationIssue

Frequency: TypeAlias = Literal[
    "YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"
]
FREQUENCIES: Final[tuple[Frequency, ...]] = (
    "YEARLY",
    "MONTHLY",
    "WEEKLY",
    "DAILY",
    "HOURLY",
    "MINUTELY",
    "SECONDLY",
)
WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
MAX_TEXT: Final = 4_000
MAX_COUNT: Final = 100_000
MAX_INTERVAL: Final = 10**9


class NthWeekday(NamedTuple):
    """A weekday of a BYDAY part."""

    nth: int
    """Which of them in the month or year, from the end if negative; 0: every one."""
    weekday: int
    """0 for Monday to 6 for Sunday."""

    def __str__(self) -> str:
        return f"{self.nth or ''}{WEEKDAYS[self.weekday]}"


@final
@attrs.frozen
class RecurrenceRule:
    """One RRULE (RFC 5545 3.3.10); tuples are sorted, empty where a part is absent.

    Attributes:
        until: Naive: a time on the wall, inclusive.  Aware: an instant.  A date: the
            end of that day.
        byday: Weekdays, each with its place in the month or year.
        wkst: The day on which weeks begin, 0 for Monday.
    """

    freq: Frequency
    interval: int = 1
    count: int | None = None
    until: date | None = None
    bysecond: tuple[int, ...] = ()
    byminute: tuple[int, ...] = ()
    byhour: tuple[int, ...] = ()
    byday: tuple[NthWeekday, ...] = ()
    bymonthday: tuple[int, ...] = ()
    byyearday: tuple[int, ...] = ()
    byweekno: tuple[int, ...] = ()
    bymonth: tuple[int, ...] = ()
    bysetpos: tuple[int, ...] = ()
    wkst: int = 0

    @property
    def subdaily(self) -> bool:
        """Whether it can run more than once a day by its frequency alone."""
        return FREQUENCIES.index(self.freq) > FREQUENCIES.index("DAILY")

    def __str__(self) -> str:
        """Return it as RFC 5545 writes it, without ``RRULE:``."""
        parts = [f"FREQ={self.freq}"]
        if self.until is not None:
            parts.append(f"UNTIL={write_moment(self.until)}")
        if self.count is not None:
            parts.append(f"COUNT={self.count}")
        if self.interval != 1:
            parts.append(f"INTERVAL={self.interval}")
        for name in _LISTS:
            values = getattr(self, name.lower())
            if values:
                parts.append(f"{name}={','.join(map(str, values))}")
        if self.wkst:
            parts.append(f"WKST={WEEKDAYS[self.wkst]}")
        return ";".join(parts)


def write_moment(moment: date) -> str:
    """Return a date or datetime as RFC 5545 writes it; aware ones in UTC."""
    if not isinstance(moment, datetime):
        return f"{moment:%Y%m%d}".rjust(8, "0")
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC)
    text = f"{moment.year:04}{moment:%m%dT%H%M%S}"
    return f"{text}Z" if moment.tzinfo is not None else text


def read_moment(text: str) -> date | None:
    """Read ``20261130``, ``20261130T170000`` or ``...Z``; None: it is none of them."""
    found = re.fullmatch(
        r"([0-9]{4})([0-9]{2})([0-9]{2})(?:T([0-9]{2})([0-9]{2})([0-9]{2})(Z?))?", text
    )
    if found is None:
        return None
    year, month, day, hour, minute, second, utc = found.groups()
    try:
        if hour is None:
            return date(int(year), int(month), int(day))
        return datetime(
            int(year),
            int(month),
            int(day),
            int(hour),
            int(minute),
            int(second),
            tzinfo=UTC if utc else None,
        )
    except ValueError:
        return None


class _Problem(ValueError):
    """What a part's value lacks; the text says so."""


def _number(text: str, low: int, high: int, *, negative: bool = False) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,10}", text, re.ASCII):
        message = f"{text[:40]!r} is no whole number"
        raise _Problem(message)
    value = int(text)
    size = abs(value) if negative else value
    if not low <= size <= high:
        sign = " or the same below zero" if negative else ""
        message = f"{value} is not from {low} to {high}{sign}"
        raise _Problem(message)
    return value


def _numbers(low: int, high: int, *, negative: bool = False) -> Callable[[str], Any]:
    def read(text: str) -> tuple[int, ...]:
        values = {_number(t, low, high, negative=negative) for t in text.split(",")}
        return tuple(sorted(values))

    return read


def _weekday(text: str) -> int:
    if text not in WEEKDAYS:
        message = f"{text[:40]!r} is no weekday; use {', '.join(WEEKDAYS)}"
        raise _Problem(message)
    return WEEKDAYS.index(text)


def _weekdays(text: str) -> tuple[NthWeekday, ...]:
    days = set()
    for item in text.split(","):
        number, name = item[:-2], item[-2:]
        nth = _number(number, 1, 53, negative=True) if number else 0
        days.add(NthWeekday(nth, _weekday(name)))
    return tuple(sorted(days, key=lambda day: (day.weekday, day.nth)))


def _until(text: str) -> date:
    moment = read_moment(text)
    if moment is None:
        message = (
            f"{text[:40]!r} is no date or time; write 20261231, 20261231T170000 "
            "or 20261231T170000Z"
        )
        raise _Problem(message)
    return moment


def _frequency(text: str) -> str:
    if text not in FREQUENCIES:
        message = f"{text[:40]!r} is unknown; use {', '.join(FREQUENCIES)}"
        raise _Problem(message)
    return text


_LISTS: Final[Mapping[str, Callable[[str], Any]]] = MappingProxyType(
    {
        "BYMONTH": _numbers(1, 12),
        "BYWEEKNO": _numbers(1, 53, negative=True),
        "BYYEARDAY": _numbers(1, 366, negative=True),
        "BYMONTHDAY": _numbers(1, 31, negative=True),
        "BYDAY": _weekdays,
        "BYHOUR": _numbers(0, 23),
        "BYMINUTE": _numbers(0, 59),
        "BYSECOND": _numbers(0, 60),
        "BYSETPOS": _numbers(1, 366, negative=True),
    }
)
_PARTS: Final[Mapping[str, Callable[[str], Any]]] = MappingProxyType(
    {
        "FREQ": _frequency,
        "UNTIL": _until,
        "COUNT": lambda text: _number(text, 1, MAX_COUNT),
        "INTERVAL": lambda text: _number(text, 1, MAX_INTERVAL),
        **_LISTS,
        "WKST": _weekday,
    }
)


def parse_rrule(text: object, field: str = "rrule") -> RecurrenceRule:
    """Read an RRULE; ``RRULE:`` in front, spaces and small letters are allowed.

    Raises:
        ValidationError: It is malformed, or breaks a rule of RFC 5545 3.3.10; every
            problem is named.
    """
    if not isinstance(text, str):
        raise ValidationError.of(field, f"expected a str, got {text!r}")
    if len(text) > MAX_TEXT:
        raise ValidationError.of(
            field, f"is {len(text)} characters long, the most is {MAX_TEXT}"
        )
    values, issues = _read_parts(text, field)
    if "freq" not in values and not any("FREQ" in issue.message for issue in issues):
        issues.append(_issue(field, "FREQ is missing", "begin with e.g. FREQ=DAILY"))
    if issues:
        raise ValidationError(issues)
    # A leap second cannot be scheduled: no clock here shows one (RFC 5545 3.3.10).
    if values.get("bysecond"):
        values["bysecond"] = tuple(sorted({min(s, 59) for s in values["bysecond"]}))
    rule = RecurrenceRule(**values)
    if issues := list(_forbidden(rule, field)):
        raise ValidationError(issues)
    return rule


def _capitals(text: str) -> str:
    """Return a piece of a rule in capitals.

    Only ASCII letters have any here: some foreign ones would become ASCII ones.
    """
    text = text.strip()
    return text.upper() if text.isascii() else text


def _read_parts(text: str, field: str) -> tuple[dict[str, Any], list[ValidationIssue]]:
    body = text.strip()
    if body[:6].upper() == "RRULE:":
        body = body[6:].strip()
    body = body.rstrip(";")
    values: dict[str, Any] = {}
    issues: list[ValidationIssue] = []
    for part in body.split(";"):
        name, equals, value = map(_capitals, part.partition("="))
        read = _PARTS.get(name)
        if read is None or not equals:
            known = ", ".join(_PARTS)
            issues.append(
                _issue(field, f"{part[:40]!r} is no part of an RRULE", f"use {known}")
            )
        elif name.lower() in values:
            issues.append(_issue(field, f"{name} is given twice", "give it once"))
        else:
            try:
                values[name.lower()] = read(value.replace(" ", ""))
            except _Problem as problem:
                issues.append(_issue(field, f"{name}: {problem}"))
    return values, issues


def _forbidden(rule: RecurrenceRule, field: str) -> Iterable[ValidationIssue]:
    """Name what RFC 5545 3.3.10 says a rule MUST NOT have."""
    freq = rule.freq
    numeric = [day for day in rule.byday if day.nth]
    if rule.count is not None and rule.until is not None:
        yield _issue(field, "COUNT and UNTIL exclude each other", "keep one of them")
    if numeric and freq not in ("MONTHLY", "YEARLY"):
        yield _issue(
            field,
            f"BYDAY={numeric[0]} counts within a month or year, which {freq} has not",
            f"write BYDAY={WEEKDAYS[numeric[0].weekday]}, or FREQ=MONTHLY",
        )
    elif numeric and rule.byweekno:
        yield _issue(
            field,
            f"BYDAY={numeric[0]} cannot be counted within BYWEEKNO",
            f"write BYDAY={WEEKDAYS[numeric[0].weekday]}",
        )
    if rule.byweekno and freq != "YEARLY":
        yield _issue(field, f"BYWEEKNO needs FREQ=YEARLY, not {freq}")
    if rule.bymonthday and freq == "WEEKLY":
        yield _issue(
            field, "BYMONTHDAY does not go with FREQ=WEEKLY", "use FREQ=MONTHLY"
        )
    if rule.byyearday and freq in ("DAILY", "WEEKLY", "MONTHLY"):
        yield _issue(
            field, f"BYYEARDAY does not go with FREQ={freq}", "use FREQ=YEARLY"
        )
    if rule.bysetpos and not any(
        getattr(rule, name.lower()) for name in _LISTS if name != "BYSETPOS"
    ):
        yield _issue(
            field,
            "BYSETPOS picks from what another BY part gives, and there is none",
            "add e.g. BYDAY=MO,TU,WE,TH,FR",
        )


def _issue(field: str, message: str, suggestion: str = "") -> ValidationIssue:
    return ValidationIssue(field, message, suggestion=suggestion)
