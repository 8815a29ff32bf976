"""Public holidays of countries, from the `holidays` package, as plain dates."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from trioqueue.errors import ValidationError, ValidationIssue
from trioqueue.schedules.holidays import Holiday

if TYPE_CHECKING:
    import types

MAX_YEARS: Final = 400


class CountryHolidays(NamedTuple):
    """What the package says about a country."""

    place: str
    """``US`` or ``US-NY``."""
    holidays: tuple[Holiday, ...]
    weekend_days: tuple[int, ...]
    source: str
    """The package, its version, place and years."""


def country_holidays(
    country: str, subdivision: str | None, years: Iterable[int]
) -> CountryHolidays:
    """Return the public holidays of a country in some years.

    Raises:
        ValidationError: The package is missing, or knows no such holidays.
    """
    package = _package()
    wanted = _years(years)
    code = _country(package, country)
    if subdivision is not None and not isinstance(subdivision, str):
        raise ValidationError.of("subdivision", f"must be a text, got {subdivision!r}")
    try:
        found = package.country_holidays(
            code, subdiv=subdivision, years=wanted, expand=False
        )
    except NotImplementedError:
        known = package.list_supported_countries()[code]
        raise ValidationError(
            [
                ValidationIssue(
                    "subdivision",
                    f"the holidays package knows no {subdivision!r} in {code}",
                    suggestion=f"it knows: {', '.join(known) or 'none'}",
                )
            ]
        ) from None
    place = code if subdivision is None else f"{code}-{subdivision}"
    covered = {day.year for day in found}
    if empty := [year for year in wanted if year not in covered]:
        raise ValidationError.of(
            "years",
            f"the holidays package knows no holidays of {place} in {_shown(empty)}",
        )
    holidays = tuple(Holiday.on(day, name) for day, name in sorted(found.items()))
    weekend = tuple(sorted(day + 1 for day in found.weekend))
    source = f"holidays {package.__version__} {place} {_shown(wanted)}"
    return CountryHolidays(place, holidays, weekend, source)


def _package() -> types.ModuleType:
    try:
        import holidays
    except ImportError:
        raise ValidationError(
            [
                ValidationIssue(
                    "country",
                    "holidays of countries need the holidays package",
                    suggestion='pip install "trioqueue[holidays]"',
                )
            ]
        ) from None
    return holidays


def _country(package: types.ModuleType, country: object) -> str:
    known = package.list_supported_countries()
    if isinstance(country, str) and country.upper() in known:
        return country.upper()
    near = get_close_matches(str(country).upper(), known)
    raise ValidationError(
        [
            ValidationIssue(
                "country",
                f"the holidays package knows no {country!r}",
                suggestion=f"a code such as {', '.join(near or ['US', 'GB'])}",
            )
        ]
    )


def _years(years: Any) -> list[int]:
    listed = list(years) if isinstance(years, Iterable) else [years]
    wrong = any(
        type(year) is not int or not dt.MINYEAR <= year <= dt.MAXYEAR for year in listed
    )
    if wrong or not 1 <= len(set(listed)) <= MAX_YEARS:
        raise ValidationError.of(
            "years",
            f"must be 1 to {MAX_YEARS} years such as range(2024, 2031), got {years!r}",
        )
    return sorted(set(listed))


def _shown(years: list[int]) -> str:
    if len(years) > 1 and years[-1] - years[0] == len(years) - 1:
        return f"{years[0]}..{years[-1]}"
    return ", ".join(map(str, years))
