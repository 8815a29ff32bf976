"""When a schedule runs: what cron expressions and calendars have in common.

Both are pure: immutable values that say, for any instant, which occurrence comes next.
Everything else is derived from that one question, so that a preview, a catch-up and an
execution cannot disagree.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple
from zoneinfo import ZoneInfo

from trioqueue.errors import ValidationError
from trioqueue.model.spans import instant_to_micros, micros_to_instant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from trioqueue.errors import ValidationIssue
    from trioqueue.schedules.business_days import BusinessCalendar

MAX_PREVIEW: Final = 10_000
_FIRST_STEP: Final = 1_000_000


class Occurrence(NamedTuple):
    """One instant at which a schedule runs, in microseconds since 1970."""

    at: int
    """When it runs."""
    nominal: int
    """Its name, which is the instant that the rules give before any move.  It never
    changes, so that a moved occurrence is not run a second time."""
    note: str | None = None
    """Why `at` is not what the clock on the wall would suggest, for people."""


class When(ABC):
    """A rule for the instants at which something runs."""

    kind: ClassVar[str]
    """What it is called in a database."""
    tz: str
    """The name of the time zone it is written in."""

    @abstractmethod
    def next_occurrence(self, after: int) -> Occurrence | None:
        """Return the first occurrence that runs strictly after an instant.

        Args:
            after: Microseconds since 1970.

        Raises:
            ValidationError: The rules are wrong.
        """

    @abstractmethod
    def describe(self) -> str:
        """Say it in words."""

    @abstractmethod
    def validate(self) -> list[ValidationIssue]:
        """Return everything that is wrong or doubtful; an empty list means all well."""

    @abstractmethod
    def to_document(self) -> dict[str, Any]:
        """Return it as JSON values, from which an equal one can be made."""

    @property
    def business_calendar_id(self) -> str | None:
        """The stored business calendar that `resolve` must be given, if any."""
        return None

    def bind(self, schedule_id: str, created: int) -> When:
        """Return it as one schedule's: what depends on the schedule is fixed in it.

        Args:
            schedule_id: The schedule's id.
            created: When the schedule was created, in microseconds since 1970.
        """
        del schedule_id, created
        return self

    def resolve(self, business_calendar: BusinessCalendar) -> When:
        """Return it with the stored business calendar that it names."""
        del business_calendar
        return self

    def skipped_occurrences(self) -> Sequence[Occurrence]:
        """Return the occurrences that exceptions leave out, for those who ask why."""
        return ()

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first run strictly after an instant, in the schedule's zone.

        None means that it never runs again.

        Raises:
            ValidationError: The instant has no time zone, or the rules are wrong.
        """
        found = self.next_occurrence(instant_to_micros(instant, "instant"))
        return None if found is None else self._show(found.at)

    def preview(self, count: int, after: datetime) -> list[datetime]:
        """Return the next runs strictly after an instant; fewer if it ends before.

        Args:
            count: How many, 1 to 10,000.
            after: Where to begin.

        Raises:
            ValidationError: An argument or a rule is wrong.
        """
        if type(count) is not int or not 1 <= count <= MAX_PREVIEW:
            raise ValidationError.of(
                "count",
                f"must be a whole number from 1 to {MAX_PREVIEW}, got {count!r}",
            )
        cursor = instant_to_micros(after, "after")
        runs: list[datetime] = []
        while len(runs) < count:
            found = self.next_occurrence(cursor)
            if found is None:
                break
            runs.append(self._show(found.at))
            cursor = found.at
        return runs

    def last_occurrence(self, after: int, until: int) -> Occurrence | None:
        """Return the latest occurrence that runs after `after` and not after `until`.

        It asks for the next occurrence some dozens of times, however many lie between.
        """
        best = None
        low, high, step = after, until, _FIRST_STEP
        while low < high:
            # Look near the end first, further and further back; once one is found,
            # halve what is left after it.
            middle = max(low, high - step)
            found = self.next_occurrence(middle)
            if found is None or found.at > high:
                high, step = middle, step * 2
            else:
                best, low = found, found.at
                step = max(1, (high - low) // 2)
        return best

    def _show(self, instant: int) -> datetime:
        return micros_to_instant(instant).astimezone(ZoneInfo(self.tz))
