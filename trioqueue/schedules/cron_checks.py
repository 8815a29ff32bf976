"""What is doubtful in a cron expression, though it may be meant."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from trioqueue.errors import ValidationIssue
from trioqueue.schedules.cron_items import DAY, WEEKDAY
from trioqueue.schedules.cron_search import (
    LONGEST_MADE_UP,
    SOME_INSTANT,
    Change,
    CronSearch,
)
from trioqueue.schedules.wall_clock import DAY as DAY_SECONDS
from trioqueue.schedules.wall_clock import show_wall, zone_of

if TYPE_CHECKING:
    from trioqueue.schedules.cron_fields import Field, Fields
    from trioqueue.schedules.wall_clock import Zone

_YEARS: Final = 8


def doubts(fields: Fields, search: CronSearch, zone: Zone) -> list[ValidationIssue]:
    """Return warnings and infos about an expression that runs."""
    return [
        *_day_doubts(fields),
        *(issue for field in fields.all for issue in _step_doubts(field)),
        *_change_doubts(fields, search, zone),
    ]


def _note(
    message: str, suggestion: str = "", severity: Literal["warning", "info"] = "info"
) -> ValidationIssue:
    return ValidationIssue("expression", message, severity, suggestion=suggestion)


def _day_doubts(fields: Fields) -> Iterator[ValidationIssue]:
    day, weekday = fields.day, fields.weekday
    if not day.full and not weekday.full:
        if fields.either_day:
            yield _note("day-of-month and day-of-week are both given: either is enough")
        else:
            yield _note(
                "day-of-month and day-of-week are both given and one starts with "
                '"*": both must match'
            )
    if day.values and not day.full and day.values[0] > 28 and not day.last_day:
        yield _note(
            f"months without a day {day.values[0]} are left out",
            'use "L" for the last day of every month',
        )


def _step_doubts(field: Field) -> Iterator[ValidationIssue]:
    for span in field.spans:
        if span.step == 1:
            continue
        values = list(span.values)
        where = f'{field.kind.name} field "{field.text}"'
        if len(values) == 1:
            yield _note(
                f"{where}: a step of {span.step} leaves only {values[0]}",
                severity="warning",
            )
            continue
        whole = span.low == field.kind.low and span.high == field.kind.high
        if not whole or field.kind in (DAY, WEEKDAY):
            continue
        rest = field.kind.size % span.step
        if rest:
            yield _note(
                f"{where}: the step starts again at {values[0]} after {values[-1]}, "
                f"{rest} instead of {span.step} {field.kind.name}s later"
            )


def _change_doubts(
    fields: Fields, search: CronSearch, zone: Zone
) -> Iterator[ValidationIssue]:
    """Show the first change of each kind that meets a run."""
    if fields.wildcard and fields.hour.full:
        return  # nobody misses one hour's runs, or is surprised by those of two
    seen: set[bool] = set()
    for change in _changes(zone.name):
        forward = change.after > change.before
        low, high = sorted((change.before, change.after))
        wall = None if forward in seen else search.next_wall(low - 1)
        if wall is None or wall >= high:
            continue
        seen.add(forward)
        moment = show_wall(wall)
        when = f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"
        verb = "does not exist" if forward else "comes twice"
        yield _note(
            f"{when} {verb} on {moment.date().isoformat()}: {_outcome(fields, change)}"
        )


def _outcome(fields: Fields, change: Change) -> str:
    if change.after < change.before:
        return "runs both times" if fields.wildcard else "runs the first time only"
    if fields.wildcard or change.after - change.before > LONGEST_MADE_UP:
        return "does not run"
    return "runs when the clocks have gone forward"


@lru_cache(maxsize=256)
def _changes(name: str) -> tuple[Change, ...]:
    zone = zone_of(name)
    search = CronSearch((), zone, wildcard=False)
    found: list[Change] = []
    start = SOME_INSTANT
    offset = zone.offset_at(start)
    for _ in range(_YEARS * 366):
        end = start + DAY_SECONDS
        after = zone.offset_at(end)
        if after != offset:
            found.append(search.change_between(start, end))
        start, offset = end, after
    return tuple(found)
