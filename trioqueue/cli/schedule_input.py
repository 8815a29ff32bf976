"""What the rules of schedules are read from: words for days, and files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from trioqueue.cli.output import standard_input

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import time

    from trioqueue.schedules.rule import Rule

LONGEST_MONTH: Final = 31
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAYS_HELP: Final = (
    "write day, business-day, first-business-day, last-business-day, last-day, a day "
    "of the month from 1 to 31, or weekdays such as mon,thu"
)


def named_days(text: str, times: tuple[time, ...]) -> Rule:
    """Make the rule of ``--on``: days in words.

    Raises:
        BadParameter: There is no such kind of day.
    """
    from trioqueue.schedules import BusinessDays, Daily, Monthly, Weekly

    kinds: dict[str, Callable[[], Rule]] = {
        "day": lambda: Daily(times=times),
        "business-day": lambda: BusinessDays(times=times),
        "first-business-day": lambda: Monthly(business_day="first", times=times),
        "last-business-day": lambda: Monthly(business_day="last", times=times),
        "last-day": lambda: Monthly(last_day=True, times=times),
    }
    name = text.strip().lower()
    if name in kinds:
        return kinds[name]()
    if name.isascii() and name.isdigit() and 1 <= int(name[:9]) <= LONGEST_MONTH:
        return Monthly(day=int(name[:9]), times=times)
    days = [part.strip() for part in name.split(",")]
    if all(day in _WEEKDAYS for day in days):
        numbers = tuple(_WEEKDAYS.index(day) + 1 for day in days)
        return Weekly(numbers, times=times)
    raise click.BadParameter(
        f"{text!r} is no kind of day; {_DAYS_HELP}", param_hint="'--on'"
    )


def read_text(name: str, hint: str) -> str:
    """Read a file of text, or standard input for ``-``."""
    try:
        data = standard_input().read() if name == "-" else Path(name).read_bytes()
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"{name!r} is not UTF-8: {error}"
    except (OSError, ValueError) as error:
        problem = f"cannot read {name!r}: {getattr(error, 'strerror', None) or error}"
    raise click.BadParameter(problem, param_hint=hint)


def read_json(name: str, hint: str) -> Mapping[str, Any]:
    """Read a file that holds one JSON object."""
    try:
        document = json.loads(read_text(name, hint))
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(
            f"{name!r} is not JSON: {error}", param_hint=hint
        ) from None
    if not isinstance(document, Mapping):
        raise click.BadParameter(
            f"{name!r} holds no JSON object: {{...}}", param_hint=hint
        )
    return document
