"""Calendar schedules: rules, a business calendar and exceptions in one time zone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from functools import cached_property
from itertools import count, islice
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, final

import attrs

from trioqueue.errors import ValidationError, ValidationIssue
from trioqueue.model.spans import FIRST_INSTANT
from trioqueue.schedules.business_days import BusinessCalendar
from trioqueue.schedules.checks import calendar_issues
from trioqueue.schedules.compiled import CompiledCalendar
from trioqueue.schedules.exceptions import (
    CalendarException,
    exception_document,
    exception_of,
)
from trioqueue.schedules.holidays import check_keys
from trioqueue.schedules.monthly import Monthly
from trioqueue.schedules.raw_rules import Custom, Recurrence
from trioqueue.schedules.reading import read_date, read_list
from trioqueue.schedules.rule import EPOCH_ANCHOR, Rule, Setting
from trioqueue.schedules.rules import BusinessDays, Daily, Weekly, Yearly
from trioqueue.schedules.wall_clock import DAY, find_zone, zone_of
from trioqueue.schedules.when import Occurrence, When
from trioqueue.schedules.words import times_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST_NEVER: Final = 3
"""So many rules that never run are named."""
PLAIN_WEEK: Final = BusinessCalendar("monday-to-friday")
"""The business days of a calendar that does not say otherwise."""
_RULES: Final[dict[str, type[Rule]]] = {
    rule.tag: rule
    for rule in (Daily, Weekly, Monthly, Yearly, BusinessDays, Recurrence, Custom)
}


@final
@attrs.frozen(slots=False)
class Calendar(When):
    """Runs by the union of some rules on one wall clock; an instant counts once.

    Args:
        rules: What runs: `Daily`, `Weekly`, `Monthly`, `Yearly`, `BusinessDays`,
            `Recurrence`, `Custom`.
        tz: The zone of the wall clock, a name of the IANA database.
        business_calendar: Which days are business days: a `BusinessCalendar`, or the
            id of one that is kept in the store (default: Monday to Friday).
        exceptions: `Skip`, `Reschedule`, `Extra`.
        gap: What a time that a clock change skips becomes: ``"shift"``: as much later
            as the clocks go forward (02:30 becomes 03:30); ``"skip"``: no run.  A time
            that comes twice runs at its first coming.
        anchor: The day that intervals without a start of their own are counted from; a
            store sets it to the day the schedule was created.

    A calendar is made without looking at its values, so that `validate` can name
    everything that is wrong; one with errors cannot be stored or asked for runs.
    """

    kind: ClassVar[str] = "calendar"

    rules: tuple[Rule, ...] = attrs.field(default=(), converter=read_list)
    tz: str = "UTC"
    business_calendar: BusinessCalendar | str | None = None
    exceptions: tuple[CalendarException, ...] = attrs.field(
        default=(), converter=read_list
    )
    gap: Literal["shift", "skip"] = "shift"
    anchor: date | None = attrs.field(default=None, converter=read_date)

    @classmethod
    def from_rrule(
        cls,
        rrule: str,
        *,
        dtstart: datetime,
        tz: str = "UTC",
        rdates: Iterable[date] = (),
        exdates: Iterable[date] = (),
        gap: Literal["shift", "skip"] = "shift",
    ) -> Calendar:
        """Make a calendar of one RFC 5545 recurrence; see `Recurrence`.

        Raises:
            ValidationError: The RRULE or a date is malformed; every problem is named.
        """
        # Recurrence reads any lists of dates, and names those that are none.
        dates: tuple[Any, Any] = rdates, exdates
        rule = Recurrence(rrule, dtstart, *dates)
        calendar = cls(rules=(rule,), tz=tz, gap=gap)
        calendar._check()
        return calendar

    @classmethod
    def from_ics(cls, text: str, uid: str | None = None) -> Calendar:
        """Read one event of an iCalendar file (RFC 5545).

        Args:
            text: The file.
            uid: Which event, where the file has several.

        Raises:
            ValidationError: The text is malformed, or has no such event.
        """
        from trioqueue.schedules.ics_reading import calendar_from_ics

        return calendar_from_ics(text, uid)

    def to_ics(
        self,
        *,
        uid: str | None = None,
        summary: str | None = None,
        after: datetime | None = None,
    ) -> str:
        """Return it as an iCalendar file, from which `from_ics` makes an equal one.

        Args:
            uid: The event's UID (default: one that follows from the rules).
            summary: Its title (default: the description).
            after: Runs that iCalendar has no rule for, such as business days with
                holidays, are written out from this instant on, 500 of them.

        Raises:
            ValidationError: The calendar has errors, or is too large for a file.
        """
        from trioqueue.schedules.ics_writing import calendar_to_ics

        return calendar_to_ics(self, uid, summary, after=after)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: what was given, without what was made of it."""
        return {name: v for name, v in vars(self).items() if name != "compiled"}

    def next_occurrence(self, after: int) -> Occurrence | None:
        """Return the first occurrence strictly after an instant (in microseconds).

        Raises:
            ValidationError: The calendar has errors.
        """
        return self.compiled.next_occurrence(after)

    def skipped_occurrences(self) -> Sequence[Occurrence]:
        """Return the occurrences that exceptions leave out, for those who ask why."""
        return self.compiled.skipped

    @cached_property
    def compiled(self) -> CompiledCalendar:
        """The calendar made ready to run.

        Raises:
            ValidationError: It has errors, or names a business calendar of a store.
        """
        self._check()
        setting = self.setting()
        sources = [source for rule in self.rules for source in rule.compile(setting)]
        return CompiledCalendar(setting.zone, sources, self.exceptions)

    def setting(self) -> Setting:
        """Return what its rules need to know of it; it must have no errors."""
        if isinstance(self.business_calendar, str):
            raise ValidationError.of(
                "business_calendar",
                f"{self.business_calendar!r} is kept in a store; ask the schedule "
                "there, or resolve() the calendar first",
            )
        return Setting(
            zone_of(self.tz),
            self.business_calendar or PLAIN_WEEK,
            self.gap == "skip",
            EPOCH_ANCHOR if self.anchor is None else self.anchor.toordinal(),
        )

    @property
    def business_calendar_id(self) -> str | None:
        """The id of the stored business calendar that it needs, if it names one."""
        named = self.business_calendar
        return named if isinstance(named, str) else None

    def resolve(self, business_calendar: BusinessCalendar) -> Calendar:
        """Return it with a business calendar in place of its id."""
        return attrs.evolve(self, business_calendar=business_calendar)

    def bind(self, schedule_id: str, created: int) -> Calendar:
        """Fix the day that intervals are counted from, where a rule leaves it open.

        Args:
            schedule_id: The schedule that it belongs to.
            created: When that was created, in microseconds since 1970.
        """
        zone = find_zone(self.tz)
        open_ends = any(
            rule.counts_from_creation for rule in self.rules if isinstance(rule, Rule)
        )
        if self.anchor is not None or zone is None or not open_ends:
            return self
        day = date.fromordinal(zone.to_wall(created // 1_000_000) // DAY)
        return attrs.evolve(self, anchor=day)

    def validate(self) -> list[ValidationIssue]:
        """Return everything that is wrong or doubtful; an empty list means all well."""
        issues = list(calendar_issues(self))
        if any(issue.severity == "error" for issue in issues):
            return issues
        if self.business_calendar_id is not None:
            return issues
        setting = self.setting()
        # To find that out may take half a second each; a few are enough.
        never = [
            ValidationIssue(
                "rule",
                f"{self.rules[index].words()!r} never runs",
                rule_index=index,
                suggestion="look at its dates",
            )
            for index in islice(
                (
                    index
                    for index, rule in enumerate(self.rules)
                    if not rule.runs_at_all(setting)
                ),
                MOST_NEVER,
            )
        ]
        if never:
            return [*issues, *never]
        compiled = self.compiled
        if compiled.next_occurrence(FIRST_INSTANT) is None:
            issues.append(
                ValidationIssue(
                    "rules",
                    "never run: their limits and exceptions leave nothing",
                    suggestion="look at dates",
                )
            )
        idle = set(map(id, compiled.idle))
        issues += (
            ValidationIssue(
                f"exceptions[{index}]",
                f"{exception.words()!r} changes nothing: there is no run (left) for it",
                "warning",
                suggestion="look at its date",
            )
            for index, exception in enumerate(self.exceptions)
            if id(exception) in idle
        )
        return issues

    def _check(self) -> None:
        errors = [each for each in calendar_issues(self) if each.severity == "error"]
        if errors:
            raise ValidationError(errors)

    def describe(self) -> str:
        """Say it in words.

        Raises:
            ValidationError: The calendar has errors.
        """
        self._check()
        rules = [self._describe_rule(rule) for rule in self.rules]
        text = "; ".join([*rules, *(each.words() for each in self.exceptions)])
        extras = [f"{self.tz} time"]
        if isinstance(self.business_calendar, BusinessCalendar):
            extras.append(f"business days of {self.business_calendar.id}")
        elif self.business_calendar is not None:
            extras.append(f"business days of {self.business_calendar}")
        return ", ".join([text, *extras])

    def _describe_rule(self, rule: Rule) -> str:
        if isinstance(rule, Recurrence):
            text = rule.on_wall(zone_of(self.tz)).words()
        else:
            text = rule.words()
            text += f" {times_words(rule.times)}"
        if rule.valid_from is not None:
            text += f", from {rule.valid_from.isoformat(' ')}"
        if rule.valid_until is not None:
            text += f", until {rule.valid_until.isoformat(' ')}"
        return text

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON values, from which `from_document` makes an equal one."""
        document: dict[str, Any] = {
            "tz": self.tz,
            "rules": [rule.to_document() for rule in self.rules],
        }
        if isinstance(self.business_calendar, BusinessCalendar):
            document["business_calendar"] = self.business_calendar.to_document()
        elif self.business_calendar is not None:
            document["business_calendar"] = self.business_calendar
        if self.exceptions:
            document["exceptions"] = [exception_document(e) for e in self.exceptions]
        if self.gap != "shift":
            document["gap"] = self.gap
        if self.anchor is not None:
            document["anchor"] = self.anchor.isoformat()
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Calendar:
        """Make a calendar of what `to_document` returned.

        Raises:
            ValidationError: The document is damaged, or a newer trioqueue wrote it.
        """
        try:
            return cls._of_document(document)
        except ValidationError:
            raise
        except KeyError as error:
            message = f"cannot be read: {error} is missing, or unknown"
        except (AttributeError, TypeError, ValueError) as error:
            message = f"cannot be read: {error}"
        raise ValidationError.of("calendar", message)

    @classmethod
    def _of_document(cls, document: Mapping[str, Any]) -> Calendar:
        check_keys("calendar", document, attrs.fields_dict(cls), ("rules", "tz"))
        named = document.get("business_calendar")
        if isinstance(named, Mapping):
            named = BusinessCalendar.from_document(named)
        return cls(
            rules=tuple(map(_rule_of, document["rules"], count())),
            tz=document["tz"],
            business_calendar=named,
            exceptions=tuple(map(exception_of, document.get("exceptions", ()))),
            gap=document.get("gap", "shift"),
            anchor=document.get("anchor"),
        )


def _rule_of(document: object, index: int) -> Rule:
    """Make a rule of what its `to_document` returned."""
    where = f"rules[{index}]"
    tag = document.get("rule") if isinstance(document, Mapping) else None
    kind = _RULES.get(tag) if isinstance(tag, str) else None
    if kind is None or not isinstance(document, Mapping):
        known = ", ".join(_RULES)
        raise ValidationError.of(
            where, f"needs a 'rule' that is one of {known}; got {document!r:.100}"
        )
    needed = [
        field.name for field in attrs.fields(kind) if field.default is attrs.NOTHING
    ]
    fields = {"rule": None, **attrs.fields_dict(kind)}
    check_keys(where, document, fields, tuple(needed))
    return kind.of_document(document)
