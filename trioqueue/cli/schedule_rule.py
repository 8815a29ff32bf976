"""The options that say when a schedule runs, and the rule they make."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, cast

import click

from trioqueue.cli.output import say
from trioqueue.cli.schedule_failures import ONE_RULE
from trioqueue.cli.schedule_input import named_days, read_json, read_text
from trioqueue.cli.schedule_times import moment, time_of_day, zone_name

if TYPE_CHECKING:
    from datetime import datetime, time

    from trioqueue.schedules.when import When

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

SOURCES: Final = ("cron", "rrule", "on", "calendar", "ics")
_COMPANIONS: Final = {
    "dtstart": ("rrule",),
    "at": ("on",),
    "uid": ("ics",),
    "business_calendar": ("on", "calendar"),
}
"""Options that mean something beside certain others only."""

_RULE_OPTIONS: Final = (
    click.option(
        "--cron",
        metavar="EXPR",
        help="A cron expression, e.g. '0 9 * * 1-5', or a name such as @daily.",
    ),
    click.option(
        "--rrule",
        metavar="TEXT",
        help="A recurrence as RFC 5545 has it, e.g. 'FREQ=MONTHLY;BYDAY=-1FR'; it "
        "needs --dtstart.",
    ),
    click.option(
        "--dtstart",
        type=moment,
        metavar="MOMENT",
        help="Where the recurrence begins, and its time of day: 2030-01-31T09:00.",
    ),
    click.option(
        "--on",
        metavar="DAYS",
        help="Days in words: day, business-day, first-business-day, last-business-day, "
        "last-day, a day of the month such as 15, or weekdays such as mon,thu.",
    ),
    click.option(
        "--at",
        type=time_of_day,
        multiple=True,
        metavar="TIME",
        help="With --on: the time of day, e.g. 17:00 (repeat for more).  "
        "[default: midnight]",
    ),
    click.option(
        "--calendar",
        metavar="FILE",
        help="A JSON file with rules and exceptions, as `schedule show -o json` has "
        "under `when`; - for standard input.",
    ),
    click.option(
        "--ics", metavar="FILE", help="An iCalendar file; - for standard input."
    ),
    click.option(
        "--uid", metavar="UID", help="With --ics: which event, if there are several."
    ),
    click.option(
        "--business-calendar",
        metavar="ID",
        help="Which days are business days: a calendar stored with `schedule calendar "
        "put`.  [default: Monday to Friday]",
    ),
)


class RuleText(NamedTuple):
    """What the options say about when it runs."""

    cron: str | None
    rrule: str | None
    dtstart: datetime | None
    on: str | None
    at: tuple[time, ...]
    calendar: str | None
    ics: str | None
    uid: str | None
    business_calendar: str | None
    tz: str | None

    @property
    def sources(self) -> list[str]:
        """The options given that are rules."""
        return [f"--{name}" for name in SOURCES if getattr(self, name) is not None]

    @property
    def has_own_zone(self) -> bool:
        """Whether the rule comes with its zone, so that ``--tz`` is no part of it."""
        return self.calendar is not None or self.ics is not None

    def check(self) -> None:
        """Refuse options that do not go together, or the lack of any."""
        sources = self.sources
        if len(sources) > 1:
            raise click.UsageError(f"give only one of {', '.join(sources)}")
        if not sources:
            names = ", ".join(f"--{name}" for name in SOURCES[:-1])
            raise click.UsageError(
                f"say when it runs: give one of {names} or --{SOURCES[-1]}"
            )
        for name, partners in _COMPANIONS.items():
            if getattr(self, name) and not any(f"--{p}" in sources for p in partners):
                goes = " or ".join(f"--{partner}" for partner in partners)
                raise click.UsageError(f"--{name.replace('_', '-')} goes with {goes}")
        if self.rrule is not None and self.dtstart is None:
            raise click.UsageError(
                "--rrule needs --dtstart: when it begins, and at what time of day"
            )

    def check_zone(self) -> None:
        """Refuse ``--tz`` beside a rule that has its own zone."""
        if self.tz is not None and self.has_own_zone:
            raise click.UsageError(
                f"{self.sources[0]} has its own zone; --tz goes with --cron, --rrule "
                "and --on"
            )

    def when(self) -> When:
        """Make the rule; what is wrong with its values its `validate` says.

        Raises:
            ValidationError: It cannot be made at all.
        """
        self.check()
        if self.calendar is not None:
            return self._calendar(self.calendar)
        if self.ics is not None:
            return self._ics(self.ics)
        click.get_current_context().meta[ONE_RULE] = True
        zone = self.tz or "UTC"
        if self.cron is not None:
            from trioqueue.schedules import Cron

            return Cron(self.cron, tz=zone)
        from trioqueue.schedules import Calendar, Recurrence

        if self.rrule is not None:
            text = self.rrule.strip()
            if text[:6].upper() == "RRULE:":
                text = text[6:]
            return Calendar(rules=(Recurrence(text, self.dtstart),), tz=zone)
        return Calendar(
            rules=(named_days(self.on or "", self.at),),
            tz=zone,
            business_calendar=self.business_calendar,
        )

    def _calendar(self, name: str) -> When:
        import attrs

        from trioqueue.schedules import Calendar
        from trioqueue.schedules.codec import when_of

        document = dict(read_json(name, "'--calendar'"))
        kind = document.pop("kind", "calendar")
        try:
            when = when_of(kind, document)
        except ValueError as error:
            fields = {each.field for each in getattr(error, "issues", ())}
            if any(not each.startswith(("calendar", "rules[")) for each in fields):
                raise
            raise click.BadParameter(
                f"{error}; write what `schedule show -o json` has under `when`",
                param_hint="'--calendar'",
            ) from None
        if self.business_calendar is None:
            return when
        if not isinstance(when, Calendar):
            raise click.UsageError("--business-calendar goes with rules, not with cron")
        return attrs.evolve(when, business_calendar=self.business_calendar)

    def _ics(self, name: str) -> When:
        from trioqueue.schedules.ics_reading import read_ics

        found = read_ics(read_text(name, "'--ics'"), self.uid)
        for note in found.notes:
            say(f"note: {note}")
        return found.calendar


def rule_options(function: AnyFunction) -> AnyFunction:
    """Add the options of a rule; the command gets them as one argument, `rule`."""

    @functools.wraps(function)
    def command(*args: Any, **kwargs: Any) -> Any:
        values = {name: kwargs.pop(name) for name in RuleText._fields}
        return function(*args, rule=RuleText(**values), **kwargs)

    for option in reversed(_RULE_OPTIONS):
        command = option(command)
    return cast("AnyFunction", command)


def tz_option(text: str) -> Callable[[AnyFunction], AnyFunction]:
    """Make the option that names a zone.

    Args:
        text: What it means for the command.
    """
    return click.option("--tz", type=zone_name, metavar="ZONE", help=text)
