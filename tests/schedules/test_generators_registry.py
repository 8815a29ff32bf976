"""Generators are registered by name, and check what they are called with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import pytest

from trioqueue import ValidationError
from trioqueue.schedules import BusinessCalendar, Calendar, Custom, Period
from trioqueue.schedules.generators import (
    _GENERATORS,
    Generator,
    get_generator,
    register_generator,
)

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]  # as in real modules


@pytest.fixture(autouse=True)
def own() -> Iterator[None]:
    """Take back what a test registers."""
    before = dict(_GENERATORS)
    yield
    _GENERATORS.clear()
    _GENERATORS.update(before)


def issues(name: str, parameters: Any) -> list[tuple[str, str, str]]:
    found = get_generator(name).parameter_issues(parameters)
    assert {issue.severity for issue in found} <= {"error"}
    return [(issue.field, issue.message, issue.suggestion) for issue in found]


def paydays(period: Period, calendar: BusinessCalendar, day: int = 25) -> list[date]:
    return [calendar.previous_business_day(date(period.year, period.index, day))]


def nothing_named(period: object, calendar: object) -> list[date]:
    return []


def no_arguments() -> list[date]:
    return []


def one_argument(period: object) -> list[date]:
    return []


def three_positions(period: object, calendar: object, n: int, /) -> list[date]:
    return []


def named_calendar(period: object, *, calendar: object) -> list[date]:
    return []


def test_a_registered_function_runs_in_a_calendar() -> None:
    assert register_generator("paydays", period="month")(paydays) is paydays
    calendar = Calendar(rules=(Custom("paydays", {"day": 26}, times="09:00"),))
    assert calendar.validate() == []
    found = calendar.next_occurrence(0)
    assert found is not None
    assert found.at == (date(1970, 1, 26) - date(1970, 1, 1)).days * 86_400_000_000 + (
        9 * 3_600_000_000
    )


def test_a_taken_name_is_refused_and_the_first_stays() -> None:
    register_generator("paydays", period="month")(paydays)
    register_generator("paydays", period="month")(paydays)
    with pytest.raises(ValidationError, match="'paydays' is already the name of"):
        register_generator("paydays", period="month")(nothing_named)
    with pytest.raises(ValidationError, match="already the name"):
        register_generator("nth_business_day", period="month")(paydays)
    assert get_generator("paydays").function is paydays


@pytest.mark.parametrize(
    ("name", "period", "function", "expected"),
    [
        ("", "month", paydays, "name: must be a text"),
        (7, "month", paydays, "name: must be a text"),
        ("a\nb", "month", paydays, "name: must be a text"),
        ("x", "week", paydays, "period: must be 'month', 'quarter' or 'year'"),
        ("x", "month", 7, "function: expected a function, got 7"),
        ("x", "month", no_arguments, "must take a period, a calendar"),
        ("x", "month", one_argument, "must take a period, a calendar"),
        ("x", "month", three_positions, "must take a period, a calendar"),
        ("x", "month", named_calendar, "must take a period, a calendar"),
    ],
)
def test_what_cannot_be_a_generator_is_refused(
    name: Any, period: Any, function: Any, expected: str
) -> None:
    with pytest.raises(ValidationError, match=expected):
        register_generator(name, period=period)(function)
    assert name not in _GENERATORS


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("nth_busines_day", "did you mean 'nth_business_day'"),
        ("zzz", "import the module that registers it"),
        ([], "import the module that registers it"),
        (None, "import the module that registers it"),
    ],
)
def test_an_unknown_name_tells_the_known_ones(name: Any, suggestion: str) -> None:
    with pytest.raises(ValidationError) as caught:
        get_generator(name)
    text = str(caught.value)
    assert suggestion in text
    assert all(known in text for known in _GENERATORS)


@pytest.mark.parametrize("n", [1, 23, -1, -23])
def test_good_parameters_have_no_issues(n: int) -> None:
    assert issues("nth_business_day", {"n": n}) == []
    assert issues("last_business_day_of_month", {}) == []


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("nth_business_day", {}, [("parameters.n", "is missing", "")]),
        (
            "nth_business_day",
            {"n": "3"},
            [("parameters.n", "must be int, got '3'", "")],
        ),
        (
            "nth_business_day",
            {"n": True},
            [("parameters.n", "must be int, got True", "")],
        ),
        (
            "nth_business_day",
            {"n": 0},
            [
                (
                    "parameters",
                    "n must be 1 to 23, or -1 to -23 from the end, got 0",
                    "",
                )
            ],
        ),
        (
            "nth_business_day",
            {"n": 24},
            [
                (
                    "parameters",
                    "n must be 1 to 23, or -1 to -23 from the end, got 24",
                    "",
                )
            ],
        ),
        (
            "business_day_on_or_after",
            {"day": 32},
            [("parameters", "day must be 1 to 31, got 32", "")],
        ),
        (
            "business_day_on_or_before",
            {"dey": 3},
            [
                (
                    "parameters.dey",
                    "there is no such parameter",
                    "did you mean 'day'?",
                ),
                ("parameters.day", "is missing", ""),
            ],
        ),
        (
            "last_business_day_of_month",
            {"n": 3},
            [("parameters.n", "there is no such parameter", "it has none")],
        ),
        (
            "nth_business_day",
            {"n": 3, "period": 1},
            [("parameters.period", "there is no such parameter", "it has: n")],
        ),
        ("nth_business_day", [3], [("parameters", "expected a dict, got [3]", "")]),
        (
            "nth_business_day",
            {7: 3, "n": 1},
            [("parameters.7", "there is no such parameter", "it has: n")],
        ),
    ],
)
def test_every_wrong_parameter_is_named(
    name: str, given: Any, expected: list[tuple[str, str, str]]
) -> None:
    assert issues(name, given) == expected


class HasSize(Protocol):
    def size(self) -> int: ...


def typed(
    period: Period,
    calendar: BusinessCalendar,
    *,
    rate: float = 1.0,
    label: str | None = None,
    mode: Literal["in", "out"] = "in",
    numbers: list[int] = [],  # noqa: B006  never changed
    named: Mapping[str, int] = {},
    pair: tuple[int, int] = (1, 2),
    free: Any = None,
    sized: HasSize | None = None,
    strange: Unknown = None,
    strangest: Unknown[int] = None,
    stranger: list[Unknown] | None = None,
    noted: Annotated[int, "with a note"] = 1,
    nothing: None = None,
    switch: bool = False,
) -> Iterable[date]:
    return ()


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ({"rate": 2}, {"rate": "2"}),
        ({"rate": 2.5}, {"rate": True}),
        ({"label": None}, {"label": 3}),
        ({"mode": "out"}, {"mode": "up"}),
        ({"numbers": [1, 2]}, {"numbers": [1, "2"]}),
        ({"numbers": []}, {"numbers": "12"}),
        ({"named": {"a": 1}}, {"named": {"a": "1"}}),
        ({"pair": (3, 4)}, {"pair": 3}),
        ({"free": object}, {"label": []}),
        ({"strange": 3}, {"label": {}}),
        ({"strangest": 3}, {"label": 2}),
        ({"sized": 3}, {"label": 1.5}),
        ({"stranger": None}, {"switch": 1}),
        ({"noted": 3}, {"noted": "3"}),
        ({"nothing": None}, {"nothing": 0}),
        ({"switch": True}, {"switch": "yes"}),
    ],
)
def test_annotations_say_what_fits(good: dict[str, Any], bad: dict[str, Any]) -> None:
    generator = Generator("typed", "month", typed)
    assert generator.parameter_issues(good) == []
    (issue,) = generator.parameter_issues(bad)
    assert issue.field == f"parameters.{next(iter(bad))}"
    assert issue.message.startswith("must be ")


def test_a_function_that_takes_anything_is_given_anything() -> None:
    def anything(*args: object, **kwargs: object) -> Iterable[date]:
        return ()

    generator = Generator("anything", "month", anything)
    assert generator.parameter_issues({"x": [1], "y": None}) == []
    assert len(generator.parameter_issues({7: 1})) == 1  # type: ignore[dict-item]  # refused


def test_annotations_that_cannot_be_read_check_names_only() -> None:
    def odd(period: Period, calendar: BusinessCalendar, n: 1 / 0) -> Iterable[date]:  # type: ignore[valid-type]  # not a type
        return ()

    generator = Generator("odd", "month", odd)
    assert generator.parameter_issues({"n": "any"}) == []
    assert [issue.field for issue in generator.parameter_issues({})] == ["parameters.n"]


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        (
            "last_business_day_of_quarter",
            {},
            "the last business day of every quarter",
        ),
        ("nth_business_day", {"n": 2}, "the 2nd business day of every month"),
        ("nth_business_day", {"n": -1}, "the last business day of every month"),
        (
            "business_day_on_or_after",
            {"day": 15},
            "the first business day on or after the 15th of the month",
        ),
        (
            "business_day_on_or_before",
            {"day": 31},
            "the last business day on or before the 31st of the month",
        ),
    ],
)
def test_a_generator_is_said_in_words(
    name: str, given: dict[str, Any], expected: str
) -> None:
    assert get_generator(name).describe(given) == expected


def test_own_words_have_the_parameters_and_their_defaults() -> None:
    register_generator("a", period="month", describe="pay on the {day:nth} ({day:03})")(
        paydays
    )
    assert get_generator("a").describe({}) == "pay on the 25th (025)"
    assert get_generator("a").describe({"day": 3}) == "pay on the 3rd (003)"
    register_generator("b", period="month")(paydays)
    assert get_generator("b").describe({}) == "the days of b(day=25)"
