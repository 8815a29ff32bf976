"""Cron expressions, with the clock changes and day fields of Debian's cron."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

import attrs

from trioqueue.errors import ValidationError, ValidationIssue
from trioqueue.model.spans import FIRST_INSTANT, LAST_INSTANT
from trioqueue.schedules.cron_checks import doubts
from trioqueue.schedules.cron_days import day_rules, plain_expressions
from trioqueue.schedules.cron_fields import read_expression, split_expression
from trioqueue.schedules.cron_search import SOME_INSTANT, CronSearch
from trioqueue.schedules.cron_text import describe_fields
from trioqueue.schedules.wall_clock import show_wall, zone_issues, zone_of
from trioqueue.schedules.when import Occurrence, When

if TYPE_CHECKING:
    from trioqueue.schedules.cron_days import DayRule
    from trioqueue.schedules.cron_fields import Fields

_MICRO: Final = 1_000_000
_KEYS: Final = ("expression", "tz", "seed")


@final
@attrs.frozen
class Cron(When):
    """Runs at the times that a cron expression names on a zone's wall clock.

    The fields are minute, hour, day of month, month, day of week, and maybe second.

    Args:
        expression: Such as ``0 9 * * 1-5``, ``*/10 8-18 * * *`` or ``@daily``.
        tz: A time zone of the IANA database.
        seed: What chooses the values of ``H``; a store gives the schedule's id.

    Raises:
        ValidationError: It cannot be read, or no date ever matches.
    """

    expression: str
    tz: str = "UTC"
    seed: str | None = attrs.field(default=None, kw_only=True)
    _fields: Fields = attrs.field(init=False, eq=False, repr=False)
    _rules: list[DayRule] = attrs.field(init=False, eq=False, repr=False)

    kind: ClassVar[str] = "cron"

    def __attrs_post_init__(self) -> None:
        issues = zone_issues(self.tz)
        given: object = self.seed
        seed = given if isinstance(given, str) else ""
        if given is not None and not isinstance(given, str):
            issues.append(ValidationIssue("seed", f"must be a text, got {given!r:.60}"))
        fields, wrong = read_expression(self.expression, seed)
        rules = [] if fields is None else day_rules(fields)
        if fields is not None and not rules:
            wrong = [_never(fields)]
        if fields is None or wrong or issues:
            raise ValidationError([*wrong, *issues])
        object.__setattr__(self, "expression", split_expression(self.expression))
        object.__setattr__(self, "_fields", fields)
        object.__setattr__(self, "_rules", rules)
        if _may_be_lost(fields) and self._search.next_run(SOME_INSTANT) is None:
            raise ValidationError([_lost(self.tz)])

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Cron:
        """Make what `to_document` wrote down.

        Raises:
            ValidationError: The document is damaged.
        """
        if not isinstance(document, Mapping) or "expression" not in document:
            raise ValidationError.of("expression", "is missing from the document")
        unknown = sorted(str(key)[:60] for key in document if key not in _KEYS)
        if unknown:
            raise ValidationError.of("cron", f"knows no {', '.join(unknown)}")
        return cls(
            document["expression"],
            document.get("tz", "UTC"),
            seed=document.get("seed"),
        )

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON values, from which `from_document` makes an equal one."""
        document: dict[str, Any] = {"expression": self.expression, "tz": self.tz}
        if self.seed is not None:
            document["seed"] = self.seed
        return document

    def with_seed(self, seed: str) -> Cron:
        """Return it with another seed for ``H``."""
        return Cron(self.expression, self.tz, seed=seed)

    def bind(self, schedule_id: str, created: int) -> Cron:
        """Return it with the schedule's id as its seed, unless it needs none."""
        del created
        if self.seed is not None or not self._fields.hashed:
            return self
        return self.with_seed(schedule_id)

    def next_occurrence(self, after: int) -> Occurrence | None:
        """Return the first occurrence strictly after an instant.

        None means that there is none before the year 10000.

        Args:
            after: Microseconds since 1970.
        """
        if after >= LAST_INSTANT:
            return None
        found = self._search.next_run(max(after, FIRST_INSTANT) // _MICRO)
        if found is None or found.at * _MICRO > LAST_INSTANT:
            return None
        at = found.at * _MICRO
        if found.skipped is None:
            return Occurrence(at, at)
        return Occurrence(at, at, _note(found.skipped))

    def describe(self) -> str:
        """Say it in words."""
        text = f"{describe_fields(self._fields)}, {self.tz} time"
        if self._fields.hashed and self.seed is None:
            text += " (H differs from schedule to schedule)"
        return text

    def validate(self) -> list[ValidationIssue]:
        """Return what is doubtful: no errors, those were refused at once."""
        return doubts(self._fields, self._search, zone_of(self.tz))

    @cached_property
    def _search(self) -> CronSearch:
        return CronSearch(
            plain_expressions(self._fields, self._rules),
            zone_of(self.tz),
            wildcard=self._fields.wildcard,
        )


def _note(skipped: int) -> str:
    moment = show_wall(skipped)
    clock = f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"
    return (
        f"{clock} does not exist on {moment.date().isoformat()}; "
        "runs when the clocks have gone forward"
    )


def _may_be_lost(fields: Fields) -> bool:
    """Say whether all runs might fall into gaps: a star, few hours, not every day."""
    every_day = fields.day.full and fields.weekday.full and fields.month.full
    return fields.wildcard and len(fields.hour.values) <= 3 and not every_day


def _lost(tz: str) -> ValidationIssue:
    return ValidationIssue(
        "expression",
        f"names only times at which the clocks of {tz} are put forward",
        suggestion="name another hour, or another zone",
    )


def _never(fields: Fields) -> ValidationIssue:
    parts = [
        f'{field.kind.name} "{field.text}"'
        for field in (fields.day, fields.month, fields.weekday)
        if not field.full
    ]
    return ValidationIssue(
        "expression",
        f"no date ever matches {' and '.join(parts)}",
        suggestion="name days that these months have",
    )
