"""Day generators: functions, registered by name, that say on which days to run.

A stored schedule holds the name and the parameters; the function is found in the
program that asks.  So every program that runs or previews the schedule registers it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, final

import attrs

from trioqueue.errors import ValidationError, ValidationIssue
from trioqueue.schedules.builtin_generators import REACH_DAYS, register_builtins
from trioqueue.schedules.generator_parameters import Parameters
from trioqueue.schedules.periods import PERIODS_A_YEAR, Period, PeriodKind
from trioqueue.schedules.reading import date_problem
from trioqueue.schedules.wall_clock import LAST_ORDINAL
from trioqueue.schedules.words import ordinal_word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trioqueue.schedules.business_days import BusinessCalendar

MAX_EMPTY_YEARS: Final = 400
"""After as many years without a day there will be none: the calendar repeats itself."""
MAX_DAYS_A_PERIOD: Final = 1_000
_MODERN: Final = dt.date(1970, 1, 1)
"""A search may begin in the year 1, but lists of days are of our time."""


DaysOf: TypeAlias = "Callable[..., Iterable[dt.date]]"
Function = TypeVar("Function", bound=DaysOf)
Check: TypeAlias = "Callable[..., Iterable[str]]"


@final
@attrs.frozen(eq=False)
class Generator:
    """A registered day generator.

    Attributes:
        name: The name it is registered under.
        period: What its function is asked about, one after the other.
        function: The function.
        words: A template for its days in words, with the parameters in it.
        check: Gives texts about parameters that are of the right type, yet wrong.
    """

    name: str
    period: PeriodKind
    function: DaysOf
    words: str = ""
    check: Check | None = None
    _parameters: Parameters = attrs.field(
        init=False,
        repr=False,
        default=attrs.Factory(lambda self: Parameters(self.function), takes_self=True),
    )

    def parameter_issues(self, parameters: Mapping[str, Any]) -> list[ValidationIssue]:
        """Return everything that is wrong with parameters."""
        issues = list(self._parameters.issues(parameters))
        if issues or self.check is None:
            return issues
        given = self._parameters.complete(parameters)
        try:
            texts = [str(text) for text in self.check(**given)]
        except Exception as error:  # noqa: BLE001  it may be any code
            texts = [f"the check of {self.name!r} failed: {error!r}"]
        return [ValidationIssue("parameters", text) for text in texts]

    def describe(self, parameters: Mapping[str, Any]) -> str:
        """Say its days in words."""
        given = self._parameters.complete(parameters)
        if self.words:
            try:
                return self.words.format_map({k: _word(v) for k, v in given.items()})
            except (AttributeError, LookupError, TypeError, ValueError):
                return self.words  # a template that does not fit its parameters
        shown = ", ".join(f"{key}={value!r}" for key, value in given.items())
        return f"the days of {self.name}({shown})"

    def days_from(
        self, ordinal: int, calendar: BusinessCalendar, parameters: Mapping[str, Any]
    ) -> Iterator[int]:
        """Give its days (ordinals) from a day on, ascending.

        It ends with the year 9999, or after 400 years without a day; if they ended
        before 1970, it goes on there.

        Raises:
            ValidationError: The function failed, or gave something else than dates in
                or near the period.
        """
        if ordinal > LAST_ORDINAL:
            return
        # Earlier periods cannot reach the day.
        start = max(ordinal - REACH_DAYS, 1)
        period: Period | None = Period.of(self.period, dt.date.fromordinal(start))
        waiting: set[int] = set()
        empty, most = 0, MAX_EMPTY_YEARS * PERIODS_A_YEAR[self.period]
        while period is not None and empty <= most:
            reached = period.first_day.toordinal() - REACH_DAYS
            settled = sorted(day for day in waiting if day < reached)
            yield from settled
            waiting.difference_update(settled)
            found = self._days_in(period, calendar, parameters)
            empty = 0 if found else empty + 1
            waiting.update(day for day in found if day >= ordinal)
            period = period.next()
            if empty > most and period is not None and period.year < _MODERN.year:
                period, empty = Period(self.period, _MODERN.year), 0
        yield from sorted(waiting)

    def _days_in(
        self,
        period: Period,
        calendar: BusinessCalendar,
        parameters: Mapping[str, Any],
    ) -> list[int]:
        try:
            given = self.function(period, calendar, **parameters)
            days = list(islice(given, MAX_DAYS_A_PERIOD + 1))
        except ValidationError:
            raise
        except OverflowError as error:
            # Near the first and the last day that a date can show, one step too far.
            if period.year in (dt.MINYEAR, dt.MAXYEAR):
                return []
            raise self._failed(period, f"failed: {error!r}") from error
        except Exception as error:
            raise self._failed(period, f"failed: {error!r}") from error
        if len(days) > MAX_DAYS_A_PERIOD:
            raise self._failed(period, f"gave more than {MAX_DAYS_A_PERIOD} days")
        first = period.first_day.toordinal() - REACH_DAYS
        last = period.last_day.toordinal() + REACH_DAYS
        found: list[int] = []
        for day in days:
            # date_problem lets None pass: elsewhere it means "not given".
            if not isinstance(day, dt.date) or date_problem(day):
                raise self._failed(period, f"gave {day!r}, which is no date")
            found.append(day.toordinal())
            if not first <= found[-1] <= last:
                raise self._failed(
                    period, f"gave {day}, more than {REACH_DAYS} days outside of it"
                )
        return found

    def _failed(self, period: Period, what: str) -> ValidationError:
        return ValidationError.of(
            "generator", f"{self.name!r}, asked for {period}, {what}"
        )


_GENERATORS: Final[dict[str, Generator]] = {}


def register_generator(
    name: str,
    *,
    period: PeriodKind,
    describe: str = "",
    check: Check | None = None,
) -> Callable[[Function], Function]:
    """Register a function that gives the days of a period, for `Custom` rules.

    The function is called with a `Period`, a `BusinessCalendar` and the rule's
    parameters, and returns dates, in any order, at most 31 days outside of the period.
    It must be pure: the same days for the same arguments, always.  Parameters are
    checked against its signature and annotations.  The registration is for the whole
    process.

    Args:
        name: What rules call it.
        period: ``"month"``, ``"quarter"`` or ``"year"``.
        describe: Its days in words; ``{n}`` is the parameter n, ``{n:nth}`` is 2nd.
        check: Called with the parameters once their types are right; gives a text for
            each thing that is wrong.

    Raises:
        ValidationError: The name is taken by another function, or an argument is wrong.
    """

    def register(function: Function) -> Function:
        _register(name, period, function, describe, check)
        return function

    return register


def get_generator(name: str) -> Generator:
    """Return the generator of a name.

    Raises:
        ValidationError: There is none; the known names are listed.
    """
    found = _GENERATORS.get(name) if isinstance(name, str) else None
    if found is not None:
        return found
    near = get_close_matches(str(name), _GENERATORS, 1)
    raise ValidationError(
        [
            ValidationIssue(
                "name",
                f"there is no day generator {name!r}; known are "
                f"{', '.join(sorted(_GENERATORS))}",
                suggestion=f"did you mean {near[0]!r}?"
                if near
                else "import the module that registers it",
            )
        ]
    )


def _register(
    name: object,
    period: PeriodKind,
    function: DaysOf,
    describe: str,
    check: Check | None,
) -> None:
    if not isinstance(name, str) or not name or not name.isprintable():
        raise ValidationError.of("name", f"must be a text, got {name!r}")
    if not isinstance(period, str) or period not in PERIODS_A_YEAR:
        raise ValidationError.of(
            "period", f"must be 'month', 'quarter' or 'year', got {period!r}"
        )
    if not callable(function):
        raise ValidationError.of("function", f"expected a function, got {function!r}")
    if not _takes_a_period(function):
        raise ValidationError.of(
            "function",
            f"{function!r} must take a period, a calendar and named parameters",
        )
    text: object = describe
    if not isinstance(text, str):
        raise ValidationError.of("describe", f"must be a text, got {text!r}")
    if check is not None and not callable(check):
        raise ValidationError.of("check", f"expected a function, got {check!r}")
    generator = Generator(name, period, function, describe, check)
    known = _GENERATORS.setdefault(name, generator)
    if known.function is not function:
        raise ValidationError.of(
            "name", f"{name!r} is already the name of {known.function!r}"
        )


def _takes_a_period(function: DaysOf) -> bool:
    try:
        return Parameters(function).callable
    except (TypeError, ValueError):
        return False  # it tells no signature, as some functions written in C


def _word(value: Any) -> Any:
    return _Number(value) if type(value) is int else value


@final
class _Number(int):
    """A number that ``{n:nth}`` writes as 2nd."""

    def __format__(self, spec: str) -> str:
        return ordinal_word(int(self)) if spec == "nth" else format(int(self), spec)


register_builtins(register_generator)
