"""What can be wrong with a calendar, named before anything is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from trioqueue.errors import ValidationIssue
from trioqueue.schedules.business_days import ID, BusinessCalendar
from trioqueue.schedules.exceptions import MAX_EXCEPTIONS, problems_of
from trioqueue.schedules.reading import date_problem
from trioqueue.schedules.rule import Rule
from trioqueue.schedules.wall_clock import find_zone, zone_issues

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trioqueue.schedules.calendar import Calendar

MAX_RULES: Final = 1_000


def calendar_issues(calendar: Calendar) -> Iterator[ValidationIssue]:
    """Name what is wrong or doubtful about each part of a calendar."""
    yield from zone_issues(calendar.tz)
    if calendar.gap not in ("shift", "skip"):
        yield ValidationIssue("gap", f"must be 'shift' or 'skip', got {calendar.gap!r}")
    if problem := date_problem(calendar.anchor):
        yield ValidationIssue("anchor", problem)
    yield from _business_issues(calendar.business_calendar)
    yield from _rule_issues(calendar)
    if len(calendar.exceptions) > MAX_EXCEPTIONS:
        yield ValidationIssue("exceptions", f"are more than {MAX_EXCEPTIONS}")
    for index, (field, message, suggestion, _) in problems_of(calendar.exceptions):
        name = f"exceptions[{index}].{field}".rstrip(".")
        yield ValidationIssue(name, message, suggestion=suggestion)


def _business_issues(named: object) -> Iterator[ValidationIssue]:
    if isinstance(named, BusinessCalendar):
        for issue in named.validate():
            yield attrs.evolve(issue, field=f"business_calendar.{issue.field}")
    elif named is not None and not (isinstance(named, str) and ID.fullmatch(named)):
        yield ValidationIssue(
            "business_calendar",
            f"expected a BusinessCalendar or the id of one, got {named!r}",
            suggestion="ids are 1 to 128 characters A-Z a-z 0-9 . _ -",
        )


def _rule_issues(calendar: Calendar) -> Iterator[ValidationIssue]:
    if not calendar.rules and not calendar.exceptions:
        yield ValidationIssue(
            "rules", "there are none", suggestion="give at least one rule"
        )
    if len(calendar.rules) > MAX_RULES:
        yield ValidationIssue("rules", f"are more than {MAX_RULES}")
    zone = find_zone(calendar.tz)
    rules: Sequence[object] = calendar.rules
    for index, rule in enumerate(rules):
        if not isinstance(rule, Rule):
            yield ValidationIssue(
                "rules", f"{rule!r} is no rule", "error", index, "e.g. Daily()"
            )
            continue
        for field, message, suggestion, severity in rule.problems(zone):
            yield ValidationIssue(field, message, severity, index, suggestion)
