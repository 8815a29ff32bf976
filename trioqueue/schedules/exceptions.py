"""Exceptions to a calendar's rules, by date on its wall clock."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias, final

import attrs

from trioqueue.schedules.reading import (
    date_problem,
    moment_problem,
    read_date,
    read_day_or_moment,
    read_times,
    times_problems,
    write,
)
from trioqueue.schedules.rule import Problem

MAX_EXCEPTIONS: Final = 10_000


def _named_problem(value: object) -> str | None:
    return moment_problem(value) if isinstance(value, datetime) else _day_problem(value)


def _day_problem(value: object) -> str | None:
    return "a date is missing" if value is None else date_problem(value)


@final
@attrs.frozen
class Skip:
    """Leave out the runs of one day, or one run.

    Args:
        date: The day on the calendar's wall clock.  A datetime means just the run at
            that moment (naive: on the wall clock).  A run that another exception names
            by its moment is not one of its day's any more.
    """

    date: dt.date = attrs.field(converter=read_day_or_moment)

    def problems(self) -> Iterator[Problem]:
        """Name what is wrong with it."""
        if problem := _named_problem(self.date):
            yield Problem("date", problem)

    def words(self) -> str:
        """Say it in words."""
        return f"not on {show(self.date)}"


@final
@attrs.frozen
class Reschedule:
    """Move the runs of one day, or one run.

    What is moved keeps its identity, so that it never runs twice.

    Args:
        date: The day on the calendar's wall clock, or the moment of just one run.
        to: Another day, at the same times, or a moment.  Naive moments are on the
            calendar's wall clock.
    """

    date: dt.date = attrs.field(converter=read_day_or_moment)
    to: dt.date = attrs.field(converter=read_day_or_moment)

    def problems(self) -> Iterator[Problem]:
        """Name what is wrong with it."""
        if problem := _named_problem(self.date):
            yield Problem("date", problem)
        if problem := _named_problem(self.to):
            yield Problem("to", problem)

    def words(self) -> str:
        """Say it in words."""
        return f"on {show(self.to)} instead of {show(self.date)}"


@final
@attrs.frozen
class Extra:
    """Run at further times on one day, whether or not it has runs.

    Args:
        date: The day on the calendar's wall clock.
        times: The times of day.
    """

    date: dt.date = attrs.field(converter=read_date)
    times: tuple[dt.time, ...] = attrs.field(converter=read_times)

    def problems(self) -> Iterator[Problem]:
        """Name what is wrong with it."""
        if problem := _day_problem(self.date):
            yield Problem("date", problem, "put the time in times")
        for problem in times_problems(self.times):
            yield Problem("times", problem)
        if self.times == ():
            yield Problem("times", "is empty", "give at least one time of day")

    def words(self) -> str:
        """Say it in words."""
        times = ", ".join(
            f"{moment:%H:%M:%S}".removesuffix(":00") for moment in sorted(self.times)
        )
        return f"also on {show(self.date)} at {times}"


CalendarException: TypeAlias = Skip | Reschedule | Extra
_KINDS: Final[dict[str, type[CalendarException]]] = {
    "skip": Skip,
    "reschedule": Reschedule,
    "extra": Extra,
}


def show(moment: dt.date) -> str:
    """Return a date or a moment for people."""
    if isinstance(moment, datetime):
        whole = moment.second == moment.microsecond == 0
        return moment.isoformat(" ", timespec="minutes" if whole else "auto")
    return moment.isoformat()


def exception_document(exception: CalendarException) -> dict[str, Any]:
    """Return an exception as JSON values."""
    document: dict[str, Any] = {"exception": type(exception).__name__.lower()}
    for field in attrs.fields(type(exception)):
        document[field.name] = write(getattr(exception, field.name))
    return document


def exception_of(document: Mapping[str, Any]) -> CalendarException:
    """Make an exception from what `exception_document` returned."""
    kind = _KINDS[document["exception"]]
    return kind(**{key: v for key, v in document.items() if key != "exception"})


def problems_of(exceptions: tuple[object, ...]) -> Iterator[tuple[int, Problem]]:
    """Name what is wrong with exceptions, one by one and taken together."""
    seen: dict[object, int] = {}
    for index, exception in enumerate(exceptions):
        if not isinstance(exception, (Skip, Reschedule, Extra)):
            yield (
                index,
                Problem("", f"{exception!r} is no Skip, Reschedule or Extra"),
            )
            continue
        yield from ((index, problem) for problem in exception.problems())
        named: object = exception.date
        if isinstance(exception, Extra) or not isinstance(named, dt.date):
            continue
        if named in seen:
            yield (
                index,
                Problem(
                    "date",
                    f"exceptions[{seen[named]}] is about {show(named)} already",
                    "keep one",
                ),
            )
        seen.setdefault(named, index)
