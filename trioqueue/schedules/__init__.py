"""Pure schedules: when something runs, without a store, a clock or any I/O.

- `when`: what cron expressions and calendars have in common
- `cron`: cron expressions, with the clock changes of Debian's cron
- `calendar`: rules, a business calendar and exceptions in one zone; `rules`,
  `monthly` and `raw_rules` hold the rules, `exceptions` the
  exceptions, and `compiled` makes them run
- `recurrence`: RFC 5545 recurrences, from any moment on; `rrule` reads them
- `business_days`, `holidays`, `country_holidays`: which days are business days
- `generators`, `builtin_generators`, `periods`: days given by registered functions
- `wall_clock`: between what a clock on the wall shows and instants
- `ics_reading`, `ics_writing`: iCalendar files
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trioqueue._lazy import lazy_names

if TYPE_CHECKING:
    from trioqueue.errors import ValidationIssue as ValidationIssue
    from trioqueue.schedules.business_days import BusinessCalendar as BusinessCalendar
    from trioqueue.schedules.calendar import Calendar as Calendar
    from trioqueue.schedules.cron import Cron as Cron
    from trioqueue.schedules.exceptions import Extra as Extra
    from trioqueue.schedules.exceptions import Reschedule as Reschedule
    from trioqueue.schedules.exceptions import Skip as Skip
    from trioqueue.schedules.generators import register_generator as register_generator
    from trioqueue.schedules.holidays import Holiday as Holiday
    from trioqueue.schedules.monthly import Monthly as Monthly
    from trioqueue.schedules.periods import Period as Period
    from trioqueue.schedules.raw_rules import Custom as Custom
    from trioqueue.schedules.raw_rules import Recurrence as Recurrence
    from trioqueue.schedules.rules import BusinessDays as BusinessDays
    from trioqueue.schedules.rules import Daily as Daily
    from trioqueue.schedules.rules import Weekly as Weekly
    from trioqueue.schedules.rules import Yearly as Yearly
    from trioqueue.schedules.when import Occurrence as Occurrence
    from trioqueue.schedules.when import When as When

_HOMES: Final = {
    "trioqueue.errors": ("ValidationIssue",),
    "trioqueue.schedules.business_days": ("BusinessCalendar",),
    "trioqueue.schedules.calendar": ("Calendar",),
    "trioqueue.schedules.cron": ("Cron",),
    "trioqueue.schedules.exceptions": ("Extra", "Reschedule", "Skip"),
    "trioqueue.schedules.generators": ("register_generator",),
    "trioqueue.schedules.holidays": ("Holiday",),
    "trioqueue.schedules.monthly": ("Monthly",),
    "trioqueue.schedules.periods": ("Period",),
    "trioqueue.schedules.raw_rules": ("Custom", "Recurrence"),
    "trioqueue.schedules.rules": (
        "BusinessDays",
        "Daily",
        "Weekly",
        "Yearly",
    ),
    "trioqueue.schedules.when": ("Occurrence", "When"),
}

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
