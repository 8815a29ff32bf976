"""The months, quarters and years that day generators are asked about."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias, final

import attrs

from trioqueue.errors import ValidationError

PeriodKind: TypeAlias = Literal["month", "quarter", "year"]

PERIODS_A_YEAR: Final[dict[str, int]] = {"month": 12, "quarter": 4, "year": 1}


@final
@attrs.frozen
class Period:
    """A month, a quarter or a year.

    Attributes:
        kind: ``month``, ``quarter`` or ``year``.
        year: Its year, 1 to 9999.
        index: Which one of its year: month 1 to 12, quarter 1 to 4; 1 for a year.
    """

    kind: PeriodKind
    year: int
    index: int = 1

    def __attrs_post_init__(self) -> None:
        """Refuse what is no period: everything else is computed from these."""
        _check_kind(self.kind)
        limits = ("year", dt.MAXYEAR), ("index", PERIODS_A_YEAR[self.kind])
        for field, high in limits:
            value = getattr(self, field)
            if type(value) is not int or not 1 <= value <= high:
                raise ValidationError.of(
                    field, f"must be a whole number from 1 to {high}, got {value!r}"
                )

    @classmethod
    def of(cls, kind: PeriodKind, day: dt.date) -> Period:
        """Return the period that a day is in.

        Raises:
            ValidationError: There is no such kind, or this is no day.
        """
        _check_kind(kind)
        if not isinstance(day, dt.date):
            raise ValidationError.of("day", f"expected a date, got {day!r}")
        return cls(kind, day.year, (day.month - 1) // _months(kind) + 1)

    @property
    def first_day(self) -> dt.date:
        """Its first day."""
        return dt.date(self.year, (self.index - 1) * _months(self.kind) + 1, 1)

    @property
    def last_day(self) -> dt.date:
        """Its last day."""
        month = self.index * _months(self.kind)
        if month == 12:
            return dt.date(self.year, 12, 31)
        return dt.date(self.year, month + 1, 1) - dt.timedelta(days=1)

    def days(self) -> Iterator[dt.date]:
        """Give its days, first to last."""
        first, last = self.first_day.toordinal(), self.last_day.toordinal()
        return map(dt.date.fromordinal, range(first, last + 1))

    def next(self) -> Period | None:
        """Return the period after it; None after the year 9999."""
        if self.index < PERIODS_A_YEAR[self.kind]:
            return Period(self.kind, self.year, self.index + 1)
        if self.year == dt.MAXYEAR:
            return None
        return Period(self.kind, self.year + 1)

    def __str__(self) -> str:
        if self.kind == "month":
            return f"{self.year:04}-{self.index:02}"
        return f"{self.year:04}" + (f"-Q{self.index}" if self.kind == "quarter" else "")


def _check_kind(kind: object) -> None:
    if not isinstance(kind, str) or kind not in PERIODS_A_YEAR:
        raise ValidationError.of(
            "kind", f"must be month, quarter or year, got {kind!r}"
        )


def _months(kind: str) -> int:
    return 12 // PERIODS_A_YEAR[kind]
