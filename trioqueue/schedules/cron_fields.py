"""Reads cron expressions, strictly: what each field says, or all that is wrong.

Five fields, or six with the seconds last.  What a field may say is not left to
croniter: its versions differ on odd steps, equal ranges and backward ones.
"""

from __future__ import annotations

import re
from typing import Final, final

import attrs

from trioqueue.errors import ValidationIssue
from trioqueue.schedules.cron_items import (
    KINDS,
    WEEKDAY,
    FieldKind,
    Span,
    WrongItem,
    read_item,
    shortened,
)

MAX_LENGTH: Final = 1_000
NICKNAMES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

_SPACES: Final = re.compile(r"[ \t]+")
_ZONE: Final = re.compile(r"(?:CRON_)?TZ=(\S*)", re.IGNORECASE)


@final
@attrs.frozen
class Field:
    """What one field says.

    Attributes:
        kind: Which field.
        text: As it was written.
        spans: Its plain values, as they were written.
        values: The same, sorted; Sunday is 0.
        last_day: Whether the last day of the month is among them.
        last_workday: Whether the last day from Monday to Friday is.
        nth: Weekdays by their place in the month: the weekday, and 1 to 5 or -1.
        hashed: Whether a seed chose some values.
    """

    kind: FieldKind
    text: str
    spans: tuple[Span, ...]
    values: tuple[int, ...]
    last_day: bool = False
    last_workday: bool = False
    nth: tuple[tuple[int, int], ...] = ()
    hashed: bool = False

    @property
    def starred(self) -> bool:
        """Whether it starts with a star, which Debian's cron looks at."""
        return self.text[0] in "*?"

    @property
    def full(self) -> bool:
        """Whether it allows every value."""
        return len(self.values) == self.kind.size


@final
@attrs.frozen
class Fields:
    """What an expression says."""

    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field
    second: Field | None = None

    @property
    def all(self) -> tuple[Field, ...]:
        """All fields, in the order in which they are written."""
        five = (self.minute, self.hour, self.day, self.month, self.weekday)
        return five if self.second is None else (*five, self.second)

    @property
    def wildcard(self) -> bool:
        """Whether the job follows the clock on the wall through clock changes."""
        return self.minute.starred or self.hour.starred

    @property
    def either_day(self) -> bool:
        """Whether one of the two day fields is enough."""
        return not self.day.starred and not self.weekday.starred

    @property
    def hashed(self) -> bool:
        """Whether a seed chose some values."""
        return any(field.hashed for field in self.all)


def split_expression(text: str) -> str:
    """Return it with single spaces between its fields."""
    return " ".join(_SPACES.split(text.strip(" \t")))


def read_expression(
    expression: object, seed: str
) -> tuple[Fields | None, list[ValidationIssue]]:
    """Return what an expression says, or None and everything that is wrong with it.

    Args:
        expression: What somebody wrote.
        seed: What chooses the values of ``H``.
    """
    try:
        texts = _texts(expression)
    except WrongItem as wrong:
        return None, [_issue(*wrong.issue)]
    fields: list[Field] = []
    issues: list[ValidationIssue] = []
    for kind, text in zip(KINDS, texts, strict=False):
        field, wrongs = _read_field(kind, text, seed)
        fields.append(field)
        for reason, suggestion in wrongs:
            issues.append(
                _issue(f'{kind.name} field "{shortened(text)}": {reason}', suggestion)
            )
    return (None if issues else Fields(*fields)), issues


def _issue(reason: str, suggestion: str = "") -> ValidationIssue:
    return ValidationIssue("expression", reason, suggestion=suggestion)


def _texts(expression: object) -> list[str]:
    if not isinstance(expression, str):
        raise WrongItem(
            f"must be a text, got {type(expression).__name__}",
            'write the five fields in one text: "0 9 * * 1-5"',
        )
    if len(expression) > MAX_LENGTH:
        raise WrongItem(f"has {len(expression)} characters; {MAX_LENGTH} are the most")
    text = split_expression(expression)
    if not text:
        raise WrongItem("is empty", 'write five fields, such as "0 9 * * 1-5"')
    strange = next((c for c in text if not " " <= c <= "~"), None)
    if strange is not None:
        raise WrongItem(f"{strange!r} has no meaning in cron", "use plain ASCII only")
    if text.startswith("@"):
        return _nickname(text).split()
    zone = _ZONE.match(text)
    if zone:
        raise WrongItem(
            f'"{shortened(zone[0])}" does not belong into the expression',
            f"give the zone as tz={shortened(zone[1])!r}",
        )
    texts = text.split(" ")
    if len(texts) not in (5, 6):
        advice = "minute hour day-of-month month day-of-week, and maybe second"
        if len(texts) == 7:
            advice += "; there is no year field, use start_at and end_at"
        raise WrongItem(f"has {len(texts)} of the 5 or 6 fields", advice)
    return texts


def _nickname(text: str) -> str:
    found = NICKNAMES.get(text.lower())
    if found is not None:
        return found
    if text.lower() == "@reboot":
        raise WrongItem(
            "@reboot names no time", "post a message when the program starts"
        )
    raise WrongItem(
        f"there is no {shortened(text)!r}", f"use one of {', '.join(NICKNAMES)}"
    )


def _read_field(
    kind: FieldKind, text: str, seed: str
) -> tuple[Field, list[tuple[str, str]]]:
    spans: list[Span] = []
    nth: set[tuple[int, int]] = set()
    marks: set[str] = set()
    wrongs: list[tuple[str, str]] = []
    items = text.split(",")
    for item in items:
        try:
            found = read_item(kind, item, seed, alone=len(items) == 1)
        except WrongItem as wrong:
            reason, suggestion = wrong.issue
            if len(items) > 1 and item and f'"{item}"' not in reason:
                reason = f'"{shortened(item)}" {reason}'
            if (reason, suggestion) not in wrongs:
                wrongs.append((reason, suggestion))
            continue
        if isinstance(found, Span):
            spans.append(found)
        elif isinstance(found, tuple):
            nth.add(found)
        else:
            marks.add(found)
    hashed = any(item[:1] in ("h", "H") for item in items)
    values = {value for span in spans for value in span.values}
    if kind is WEEKDAY:
        values = {value % 7 for value in values}
    field = Field(
        kind=kind,
        text=text,
        spans=tuple(spans),
        values=tuple(sorted(values)),
        last_day="L" in marks,
        last_workday="LW" in marks,
        nth=tuple(sorted(nth)),
        hashed=hashed,
    )
    return field, wrongs
