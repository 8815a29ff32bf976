"""Holidays: single dates, and rules that give one date a year."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Mapping
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, final, get_args

import attrs

from trioqueue.errors import ValidationError
from trioqueue.schedules.reading import date_problem, read_date, write
from trioqueue.schedules.words import MONTH_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

Observed: TypeAlias = Literal["nearest_weekday", "next_monday", "next_business_day"]
HolidayKind: TypeAlias = Literal["on", "fixed", "relative", "easter"]
Found: TypeAlias = tuple[str, str, str]
"""A field, what is wrong with it, and what to write instead."""

MAX_EASTER_OFFSET: Final = 366
_OBSERVED: Final = get_args(Observed)
_YEARS: Final = ("first_year", "last_year")
_OWN_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "on": ("date",),
    "fixed": ("month", "day", *_YEARS),
    "relative": ("month", "weekday", "nth", *_YEARS),
    "easter": ("offset_days", *_YEARS),
}
_ALL_FIELDS: Final = tuple(dict.fromkeys(chain(*_OWN_FIELDS.values())))
_LEAP_YEAR: Final = 2000


@lru_cache(maxsize=1024)
def easter_sunday(year: int) -> dt.date:
    """Return Western Easter Sunday of a year.

    The Gregorian calendar came in 1582; earlier years are counted as if it had always
    been in use.
    """
    # The "anonymous" algorithm: J. Meeus, Astronomical Algorithms, chapter 8.
    golden = year % 19
    century, year_of_century = divmod(year, 100)
    leap_centuries, rest = divmod(century, 4)
    moon = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leap_centuries - moon + 15) % 30
    quads, years = divmod(year_of_century, 4)
    to_sunday = (32 + 2 * rest + 2 * quads - epact - years) % 7
    late = (golden + 11 * epact + 22 * to_sunday) // 451
    month, day = divmod(epact + to_sunday - 7 * late + 114, 31)
    return dt.date(year, month, day + 1)


@final
@attrs.frozen
class Holiday:
    """One holiday; make it with `on`, `fixed`, `relative` or `easter`.

    It is made without looking at its values: the calendar's `validate` names everything
    that is wrong.
    """

    kind: HolidayKind
    name: str = ""
    date: dt.date | None = attrs.field(default=None, converter=read_date)
    month: int | None = None
    day: int | None = None
    weekday: int | None = None
    nth: int | None = None
    offset_days: int | None = None
    observed: Observed | None = None
    first_year: int | None = None
    last_year: int | None = None

    @classmethod
    def on(
        cls, date: dt.date | str, name: str = "", *, observed: Observed | None = None
    ) -> Holiday:
        """Make a holiday of one date.

        Args:
            date: The date, also as ISO 8601 writes it.
            name: What it is called.
            observed: Where it moves if it falls on the calendar's weekend; see `fixed`.
        """
        return cls("on", name, date, observed=observed)

    @classmethod
    def fixed(
        cls,
        month: int,
        day: int,
        name: str = "",
        *,
        observed: Observed | None = None,
        first_year: int | None = None,
        last_year: int | None = None,
    ) -> Holiday:
        """Make a holiday of the same date every year; 29 Feb only in leap years.

        Args:
            month: 1 to 12.
            day: 1 to 31.
            name: What it is called.
            observed: Which day is free too if it falls on the calendar's weekend:
                ``"nearest_weekday"`` (Saturday: the Friday before; Sunday: the Monday
                after), ``"next_monday"``, or ``"next_business_day"``: the next day
                that is neither weekend nor another holiday.  Default: none.
            first_year: No holiday before this year.
            last_year: No holiday after this year.
        """
        return cls(
            "fixed",
            name,
            month=month,
            day=day,
            observed=observed,
            first_year=first_year,
            last_year=last_year,
        )

    @classmethod
    def relative(
        cls,
        month: int,
        weekday: int,
        nth: int,
        name: str = "",
        *,
        observed: Observed | None = None,
        first_year: int | None = None,
        last_year: int | None = None,
    ) -> Holiday:
        """Make a holiday of the nth weekday of a month, such as the 4th Thursday.

        Args:
            month: 1 to 12.
            weekday: 1 for Monday to 7 for Sunday.
            nth: 1 to 5, or -1 for the last one; a month without a 5th has none.
            name: What it is called.
            observed: See `fixed`.
            first_year: No holiday before this year.
            last_year: No holiday after this year.
        """
        return cls(
            "relative",
            name,
            month=month,
            weekday=weekday,
            nth=nth,
            observed=observed,
            first_year=first_year,
            last_year=last_year,
        )

    @classmethod
    def easter(
        cls,
        offset_days: int = 0,
        name: str = "",
        *,
        observed: Observed | None = None,
        first_year: int | None = None,
        last_year: int | None = None,
    ) -> Holiday:
        """Make a holiday so many days from Western Easter Sunday.

        Args:
            offset_days: -2 for Good Friday, 1 for Easter Monday; -366 to 366.
            name: What it is called.
            observed: See `fixed`.
            first_year: No holiday counted from Easter of a year before this one.
            last_year: None counted from Easter of a year after this one.
        """
        return cls(
            "easter",
            name,
            offset_days=offset_days,
            observed=observed,
            first_year=first_year,
            last_year=last_year,
        )

    def ordinal_in(self, year: int) -> int | None:
        """Return its day by the rule of one year, before it is moved; or None.

        That of ``easter`` may lie in the year before or after, even beyond what a date
        can show.  The holiday must have no problems.
        """
        if not (self.first_year or 1) <= year <= (self.last_year or dt.MAXYEAR):
            return None
        if self.date is not None:
            return self.date.toordinal() if self.date.year == year else None
        if self.offset_days is not None:
            return easter_sunday(year).toordinal() + self.offset_days
        if self.month is None:
            return None
        first_weekday, length = calendar.monthrange(year, self.month)
        if self.nth is not None and self.weekday is not None:
            day = (self.weekday - 1 - first_weekday) % 7 + 1
            day += 7 * (self.nth - 1) if self.nth > 0 else (length - day) // 7 * 7
        else:
            day = self.day or 0
        if not 1 <= day <= length:
            return None
        return dt.date(year, self.month, day).toordinal()

    def same_rule(self) -> tuple[object, ...]:
        """Return what two holidays of the same days have in common."""
        own = _OWN_FIELDS.get(self.kind, ())
        values = (getattr(self, field) for field in own if field not in _YEARS)
        return self.kind, *values

    def problems(self) -> Iterator[Found]:
        """Name everything that is wrong with it."""
        kind: object = self.kind
        if not isinstance(kind, str) or kind not in _OWN_FIELDS:
            yield "kind", f"must be one of {', '.join(_OWN_FIELDS)}, got {kind!r}", ""
            return
        if kind == "on":
            if self.date is None:
                yield "date", "is missing", "write date(2026, 12, 24)"
            elif problem := date_problem(self.date):
                yield "date", problem, ""
        elif kind == "fixed":
            yield from self._date_problems()
        elif kind == "relative":
            yield from _whole("month", self.month, 1, 12)
            yield from _whole("weekday", self.weekday, 1, 7, "1 is Monday, 7 Sunday")
            yield from self._nth_problems()
        else:
            low, high = -MAX_EASTER_OFFSET, MAX_EASTER_OFFSET
            yield from _whole("offset_days", self.offset_days, low, high)
        name: object = self.name
        if not isinstance(name, str):
            yield "name", f"must be a text, got {name!r}", ""
        if self.observed is not None and self.observed not in _OBSERVED:
            yield (
                "observed",
                f"must be None or one of {', '.join(_OBSERVED)}, got {self.observed!r}",
                "",
            )
        yield from self._stray_problems()
        yield from self._year_problems()

    def _stray_problems(self) -> Iterator[Found]:
        for field in _ALL_FIELDS:
            stray = field not in _OWN_FIELDS[self.kind]
            if stray and getattr(self, field) is not None:
                yield field, f"means nothing for a holiday of kind {self.kind!r}", ""

    def _date_problems(self) -> Iterator[Found]:
        found = list(_whole("month", self.month, 1, 12))
        found += _whole("day", self.day, 1, 31)
        if not found and self.month is not None and self.day is not None:
            length = calendar.monthrange(_LEAP_YEAR, self.month)[1]
            if self.day > length:
                name = MONTH_NAMES[self.month - 1]
                yield (
                    "day",
                    f"{self.day} {name} does not exist: {name} has {length} days",
                    f"use a day from 1 to {length}",
                )
        yield from found

    def _nth_problems(self) -> Iterator[Found]:
        if type(self.nth) is not int or self.nth not in (1, 2, 3, 4, 5, -1):
            yield "nth", f"must be 1 to 5, or -1 for the last one, got {self.nth!r}", ""

    def _year_problems(self) -> Iterator[Found]:
        found: list[Found] = []
        for field in _YEARS:
            if (year := getattr(self, field)) is not None:
                found += _whole(field, year, dt.MINYEAR, dt.MAXYEAR)
        yield from found
        if found or self.first_year is None or self.last_year is None:
            return
        if self.first_year > self.last_year:
            text = f"{self.last_year} is before first_year {self.first_year}"
            yield "last_year", text, "exchange the two"

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON values; what has its default is left out."""
        document: dict[str, Any] = {"kind": self.kind}
        for field in attrs.fields(Holiday)[1:]:
            value = getattr(self, field.name)
            if value != field.default:
                document[field.name] = write(value)
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Holiday:
        """Make it from what `to_document` returned.

        Raises:
            ValidationError: It is no such document, or a newer trioqueue wrote it.
        """
        check_keys("holiday", document, attrs.fields_dict(cls), ("kind",))
        return cls(**document)


def check_keys(
    what: str, document: object, known: Mapping[str, Any], needed: tuple[str, ...]
) -> None:
    """Refuse a document with keys that mean nothing here, or without a needed one.

    Raises:
        ValidationError: Every such key is named.
    """
    if not isinstance(document, Mapping):
        raise ValidationError.of(what, f"expected a mapping, got {document!r}")
    strange = sorted(repr(key) for key in document if key not in known)
    found = [f"does not know {', '.join(strange)}"] if strange else []
    found += [f"lacks {key!r}" for key in needed if key not in document]
    if found:
        raise ValidationError.of(what, " and ".join(found))


def _whole(
    field: str, value: object, low: int, high: int, suggestion: str = ""
) -> Iterator[Found]:
    if type(value) is not int or not low <= value <= high:
        text = f"must be a whole number from {low} to {high}, got {value!r}"
        yield field, text, suggestion
