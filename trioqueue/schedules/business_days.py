"""Business calendars: which days people work."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

import attrs

from trioqueue.errors import ValidationError, ValidationIssue
from trioqueue.schedules.holiday_table import HolidayTable
from trioqueue.schedules.holidays import Holiday, check_keys
from trioqueue.schedules.reading import date_problem, read_list, read_numbers
from trioqueue.schedules.wall_clock import LAST_ORDINAL

if TYPE_CHECKING:
    from collections.abc import Iterator

Day: TypeAlias = dt.date | int
"""A date, or its ordinal."""

MAX_HOLIDAYS: Final = 10_000
MAX_SEARCH_DAYS: Final = 3_660
"""How long to look for a business day: ten years."""
ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")


def _read_weekend(value: Any) -> Any:
    days = read_numbers(value)
    if isinstance(days, tuple) and all(type(day) is int for day in days):
        return tuple(sorted(set(days)))
    return days


@final
@attrs.frozen(slots=False)
class BusinessCalendar:
    """Weekend days and holidays; every other day is a business day.

    Args:
        id: What schedules call it: 1 to 128 characters A-Z a-z 0-9 . _ -
        holidays: The holidays, see `Holiday`.
        weekend_days: ISO weekdays, 1 for Monday to 7 for Sunday; none is allowed.
        name: What people call it.
        description: Anything else about it.
        source: Where the holidays come from.

    Days are dates, or their ordinals (`datetime.date.toordinal`).  A calendar is made
    without looking at its values, so that `validate` can name everything that is wrong;
    one with errors cannot be stored or asked for days.
    """

    id: str
    holidays: tuple[Holiday, ...] = attrs.field(default=(), converter=read_list)
    weekend_days: tuple[int, ...] = attrs.field(default=(6, 7), converter=_read_weekend)
    name: str = ""
    description: str = ""
    source: str = ""

    @classmethod
    def for_country(
        cls,
        country: str,
        *,
        subdivision: str | None = None,
        years: Iterable[int],
        id: str | None = None,
        weekend_days: Iterable[int] | None = None,
    ) -> BusinessCalendar:
        """Make a calendar of a country's public holidays, written in as dates.

        They come from the `holidays` package (``pip install "trioqueue[holidays]"``).
        As dates they stay the same when that package changes; outside of `years` the
        calendar knows no holidays.  A weekend day that was made a working day once is
        not known either.

        Args:
            country: Its code by ISO 3166-1, such as ``US``.
            subdivision: A state or province, such as ``NY``.
            years: Which years, such as ``range(2024, 2031)``.
            id: The calendar's id (default: ``US``, ``US-NY``).
            weekend_days: ISO weekdays (default: the country's present weekend).

        Raises:
            ValidationError: The package is missing, or knows no such holidays.
        """
        from trioqueue.schedules.country_holidays import country_holidays

        found = country_holidays(country, subdivision, years)
        return cls(
            re.sub(r"[^A-Za-z0-9._-]", "-", found.place) if id is None else id,
            found.holidays,
            found.weekend_days if weekend_days is None else read_numbers(weekend_days),
            name=f"Holidays of {found.place}",
            source=found.source,
        )

    def with_holidays(self, more: Iterable[Holiday]) -> BusinessCalendar:
        """Return it with further holidays."""
        return attrs.evolve(self, holidays=(*self.holidays, *read_list(more)))

    def is_business_day(self, day: Day) -> bool:
        """Tell whether a day is neither weekend nor a holiday.

        Raises:
            ValidationError: The calendar has errors, or this is no day.
        """
        return self._table.is_business_day(
            day if type(day) is int else _ordinal_of(day)
        )

    def holidays_in(self, year: int) -> dict[dt.date, str]:
        """Return the holidays of a year with their names, in order.

        One that is observed on another day stands at both.

        Raises:
            ValidationError: The calendar has errors, or this is no year.
        """
        if type(year) is not int or not dt.MINYEAR <= year <= dt.MAXYEAR:
            raise ValidationError.of(
                "year", f"must be a whole number from 1 to 9999, got {year!r}"
            )
        names = self._table.names(year)
        return {dt.date.fromordinal(day): name for day, name in names.items()}

    def next_business_day(self, day: Day) -> dt.date:
        """Return the first business day on or after a day.

        Raises:
            ValidationError: There is none within ten years, the calendar has errors,
                or this is no day.
        """
        return dt.date.fromordinal(self._seek(_ordinal_of(day), 1))

    def previous_business_day(self, day: Day) -> dt.date:
        """Return the last business day on or before a day.

        Raises:
            ValidationError: There is none within ten years, the calendar has errors,
                or this is no day.
        """
        return dt.date.fromordinal(self._seek(_ordinal_of(day), -1))

    def add_business_days(self, day: Day, count: int) -> dt.date:
        """Return the business day that comes so many business days after a day.

        Args:
            day: Where to begin; it need not be a business day.
            count: 1 for the first business day after `day`, -1 for the last one before
                it; 0 is `day` itself, or the first business day after it.

        Raises:
            ValidationError: There is none, the calendar has errors, or an argument is
                wrong.
        """
        if type(count) is not int:
            raise ValidationError.of("count", f"must be a whole number, got {count!r}")
        ordinal = _ordinal_of(day)
        if not count:
            return dt.date.fromordinal(self._seek(ordinal, 1))
        step = 1 if count > 0 else -1
        for _ in range(abs(count)):
            ordinal = self._seek(ordinal + step, step)
        return dt.date.fromordinal(ordinal)

    def validate(self) -> list[ValidationIssue]:
        """Return everything that is wrong or doubtful; an empty list means all well."""
        return list(self._issues)

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON values, from which `from_document` makes an equal one."""
        document: dict[str, Any] = {
            "id": self.id,
            "holidays": [holiday.to_document() for holiday in self.holidays],
            "weekend_days": list(self.weekend_days),
        }
        for key in ("name", "description", "source"):
            if text := getattr(self, key):
                document[key] = text
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> BusinessCalendar:
        """Make a calendar of what `to_document` returned.

        Raises:
            ValidationError: It is no such document, or a newer trioqueue wrote it.
        """
        check_keys("business_calendar", document, attrs.fields_dict(cls), ("id",))
        given = dict(document)
        listed: object = given.get("holidays", [])
        if not isinstance(listed, list):
            raise ValidationError.of("holidays", f"expected a list, got {listed!r}")
        given["holidays"] = tuple(map(Holiday.from_document, listed))
        return cls(**given)

    @cached_property
    def _issues(self) -> tuple[ValidationIssue, ...]:
        return tuple(_issues_of(self))

    @cached_property
    def _table(self) -> HolidayTable:
        errors = [issue for issue in self._issues if issue.severity == "error"]
        if errors:
            raise ValidationError(errors)
        return HolidayTable(self.holidays, self.weekend_days)

    def _seek(self, ordinal: int, step: int) -> int:
        is_business_day = self._table.is_business_day
        for day in range(ordinal, ordinal + step * MAX_SEARCH_DAYS, step):
            if not 1 <= day <= LAST_ORDINAL:
                break
            if is_business_day(day):
                return day
        raise ValidationError.of(
            "day",
            f"calendar {self.id!r} has no business day within ten years "
            f"{'after' if step > 0 else 'before'} it, or the years 1 to 9999 end",
        )


def _ordinal_of(day: object) -> int:
    if type(day) is int and 1 <= day <= LAST_ORDINAL:
        return day
    if isinstance(day, dt.date) and not date_problem(day):
        return day.toordinal()
    raise ValidationError.of(
        "day", f"expected a date or the ordinal of one, got {day!r}"
    )


def _issues_of(calendar: BusinessCalendar) -> Iterator[ValidationIssue]:
    named: object = calendar.id
    if not isinstance(named, str) or not ID.fullmatch(named):
        yield ValidationIssue(
            "id", f"must be 1 to 128 characters A-Z a-z 0-9 . _ -, got {named!r}"
        )
    for field in ("name", "description", "source"):
        text: object = getattr(calendar, field)
        if not isinstance(text, str):
            yield ValidationIssue(field, f"must be a text, got {text!r}")
    yield from _weekend_issues(calendar.weekend_days)
    yield from _holiday_issues(calendar.holidays)


def _weekend_issues(weekend_days: object) -> Iterator[ValidationIssue]:
    if not isinstance(weekend_days, tuple):
        yield ValidationIssue(
            "weekend_days", f"expected a list of weekdays, got {weekend_days!r}"
        )
        return
    for day in weekend_days:
        if type(day) is not int or not 1 <= day <= 7:
            yield ValidationIssue(
                "weekend_days",
                f"must be whole numbers from 1 to 7, got {day!r}",
                suggestion="1 is Monday, 7 Sunday",
            )
    if all(day in weekend_days for day in range(1, 8)):
        yield ValidationIssue(
            "weekend_days",
            "are all seven days: there is no business day",
            suggestion="leave out the days on which people work",
        )


def _holiday_issues(holidays: tuple[object, ...]) -> Iterator[ValidationIssue]:
    if len(holidays) > MAX_HOLIDAYS:
        yield ValidationIssue("holidays", f"are more than {MAX_HOLIDAYS}")
    alike: dict[tuple[object, ...], list[tuple[int, Holiday]]] = {}
    for index, holiday in enumerate(holidays):
        if not isinstance(holiday, Holiday):
            yield ValidationIssue(
                f"holidays[{index}]",
                f"{holiday!r} is no Holiday",
                suggestion="e.g. Holiday.fixed(12, 25)",
            )
            continue
        problems = list(holiday.problems())
        for field, message, suggestion in problems:
            yield ValidationIssue(
                f"holidays[{index}].{field}", message, suggestion=suggestion
            )
        if not problems:
            alike.setdefault(holiday.same_rule(), []).append((index, holiday))
    for group in alike.values():
        yield from _twin_issues(group)


def _twin_issues(group: list[tuple[int, Holiday]]) -> Iterator[ValidationIssue]:
    """Name holidays of one rule whose years overlap."""
    until, twin = 0, 0
    for index, holiday in sorted(group, key=lambda item: item[1].first_year or 1):
        if (holiday.first_year or dt.MINYEAR) <= until:
            yield ValidationIssue(
                f"holidays[{max(index, twin)}]",
                f"is the same as holidays[{min(index, twin)}]",
                "warning",
                suggestion="give each day once",
            )
        if (last := holiday.last_year or dt.MAXYEAR) > until:
            until, twin = last, index
