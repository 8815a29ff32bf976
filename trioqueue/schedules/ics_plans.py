"""What a calendar becomes in iCalendar: one event for each RRULE and time of day."""

from __future__ import annotations

from bisect import bisect_left
from datetime import date, datetime
from itertools import takewhile
from typing import TYPE_CHECKING, Final, final

import attrs

from trioqueue.model.spans import instant_to_micros, micros_to_instant
from trioqueue.schedules.compiled import CompiledCalendar
from trioqueue.schedules.exceptions import Extra
from trioqueue.schedules.monthly import Monthly
from trioqueue.schedules.raw_rules import Recurrence, end_of
from trioqueue.schedules.reading import clocks_of, instant_of, wall_in
from trioqueue.schedules.recurrence import RuleWalls
from trioqueue.schedules.rrule import NthWeekday, RecurrenceRule
from trioqueue.schedules.rule import EPOCH_ANCHOR
from trioqueue.schedules.rules import BusinessDays
from trioqueue.schedules.source import Source
from trioqueue.schedules.wall_clock import (
    DAY,
    LAST_SECOND,
    LAST_WALL,
    Zone,
    show_wall,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trioqueue.schedules.calendar import Calendar
    from trioqueue.schedules.rule import Rule, Setting

MAX_LISTED: Final = 500
"""How many runs of a rule are written out, if no RRULE says them."""
MAX_SPELLED: Final = 100
"""How many runs of a day that is left out are named one by one."""
LISTED_FROM: Final = tuple(datetime(year, 1, 1) for year in (2000, 1970, 2))
"""Where that begins: the first of these that has something."""


@final
@attrs.define(eq=False)
class Plan:
    """One event to be written; instants are in seconds since 1970.

    Attributes:
        start: Its DTSTART; naive on the calendar's wall.
        rule: Its RRULE.
        source: What the rule gives, before anything is left out.
        rdates: Further instants, ascending.
        exdates: Instants that are left out.
        exdays: Days that are left out, each with very many runs.
        moved: Instants that run at another one.
        note: What people should know.
    """

    start: datetime
    rule: RecurrenceRule | None = None
    source: Source | None = None
    rdates: list[int] = attrs.field(factory=list)
    exdates: set[int] = attrs.field(factory=set)
    exdays: list[date] = attrs.field(factory=list)
    moved: dict[int, int] = attrs.field(factory=dict)
    note: str = ""

    def has(self, instant: int) -> bool:
        """Whether something runs at an instant, unless it is left out."""
        place = bisect_left(self.rdates, instant)
        if self.rdates[place : place + 1] == [instant]:
            return True
        return self.source is not None and runs_at(self.source, instant)


def runs_at(source: Source, instant: int) -> bool:
    """Whether a source runs at an instant."""
    run = source.next_run(instant - 1)
    return run is not None and run.instant == instant


def plans_of(calendar: Calendar, after: datetime | None = None) -> list[Plan]:
    """Return the events that say what a calendar says.

    Args:
        calendar: It has no errors.
        after: Where to begin with runs that must be written out.
    """
    setting = calendar.setting()
    plans: list[Plan] = []
    for rule in calendar.rules:
        plans += _plans_of_rule(rule, setting, after)
    sources = [source for rule in calendar.rules for source in rule.compile(setting)]
    removing = [each for each in calendar.exceptions if not isinstance(each, Extra)]
    changed = CompiledCalendar(setting.zone, sources, removing)
    for skipped in changed.skipped:
        _take_out(plans, skipped.at // 1_000_000, None)
    for moved in changed.added:
        _take_out(plans, moved.nominal // 1_000_000, moved.at // 1_000_000)
    adding = [each for each in calendar.exceptions if isinstance(each, Extra)]
    more = CompiledCalendar(setting.zone, [], adding).added
    if more:
        instants = sorted({extra.at // 1_000_000 for extra in more})
        plans.append(_dates_only(instants, setting.zone))
    return plans


def _take_out(plans: list[Plan], instant: int, target: int | None) -> None:
    """Leave out a run everywhere; where it is moved to, it runs once."""
    for plan in plans:
        if plan.has(instant):
            if target is None:
                plan.exdates.add(instant)
            else:
                plan.moved[instant] = target
                target = None


def _plans_of_rule(
    rule: Rule, setting: Setting, after: datetime | None
) -> Iterator[Plan]:
    if isinstance(rule, Recurrence):
        yield from _plans_of_recurrence(rule, setting)
        return
    said = rule.recurrence(setting) or _plain_business_days(rule, setting)
    if said is None:
        yield from _listed(rule, setting, after)
        return
    recurrence, day = said
    for clock in clocks_of(rule.times):
        plan = None
        if day == 1:
            # A rule without a beginning: no need to go back to the year 1.
            since = EPOCH_ANCHOR
            if rule.valid_from is not None:
                since = min(since, wall_in(rule.valid_from, setting.zone) // DAY)
            plan = _ruled(rule, recurrence, since * DAY + clock, setting)
        plan = plan or _ruled(rule, recurrence, day * DAY + clock, setting)
        if plan is not None:
            yield plan


def _plain_business_days(
    rule: Rule, setting: Setting
) -> tuple[RecurrenceRule, int] | None:
    """Return business days as a recurrence, where there are no holidays."""
    business = setting.business_days
    if business.holidays:
        return None
    days = tuple(
        NthWeekday(0, day - 1)
        for day in range(1, 8)
        if day not in business.weekend_days
    )
    if isinstance(rule, BusinessDays) and not rule.day_offset:
        return RecurrenceRule("WEEKLY", byday=days), 1
    if isinstance(rule, Monthly) and rule.business_day is not None:
        return (
            RecurrenceRule(
                "MONTHLY",
                byday=days,
                bymonth=tuple(sorted(set(rule.months))),
                bysetpos=(1 if rule.business_day == "first" else -1,),
            ),
            1,
        )
    return None


def _ruled(
    rule: Rule, recurrence: RecurrenceRule, start: int, setting: Setting
) -> Plan | None:
    """Return the event of one RRULE; None: it never runs.

    DTSTART always is an instance for those who read it, so it is the first run.  That
    keeps the phase of INTERVAL.
    """
    zone = setting.zone
    walls = RuleWalls(recurrence, start)
    until = float("inf")
    if recurrence.until is not None:
        until = end_of(recurrence.until, zone)
    source = rule.limited(Source(zone, walls, setting.skip_gaps, until=until))
    begin = zone.to_instant(max(start, DAY)).instant - 1
    run = source.next_run(begin)
    if run is None or run.wall is None:
        return None
    last = min(source.last, source.until)
    if recurrence.count is not None:
        left = takewhile(
            lambda wall: zone.to_instant(wall).instant <= last,
            walls.walls_from(run.wall),
        )
        recurrence = attrs.evolve(recurrence, count=sum(1 for _ in left))
    elif last < LAST_SECOND:
        recurrence = attrs.evolve(recurrence, until=_moment(int(last)))
    return Plan(show_wall(run.wall), recurrence, source)


def _moment(instant: int) -> datetime:
    return micros_to_instant(instant * 1_000_000)


def _plans_of_recurrence(rule: Recurrence, setting: Setting) -> Iterator[Plan]:
    zone = setting.zone
    (source,) = rule.compile(setting)
    parsed = rule.parsed()
    plan = None
    if parsed is not None and rule.dtstart is not None:
        plan = _ruled(rule, parsed, wall_in(rule.dtstart, zone), setting)
    dates = [
        instant
        for instant in source.fixed
        if source.first <= instant <= source.last
        and instant not in source.removed
        and zone.to_wall(instant) // DAY not in source.removed_days
    ]
    if plan is None or (dates and dates[0] < instant_of(plan.start, zone)):
        if dates:
            yield _dates_only(dates, zone)
    else:
        plan.rdates = dates
    if plan is None or plan.source is None:
        return
    plan.exdates = {each for each in source.removed if runs_at(plan.source, each)}
    for day in sorted(source.removed_days):
        _leave_out_day(plan, plan.source, day)
    yield plan


def _leave_out_day(plan: Plan, source: Source, day: int) -> None:
    zone = source.zone
    end = zone.to_instant(min((day + 1) * DAY, LAST_WALL)).instant
    found: list[int] = []
    cursor = zone.to_instant(day * DAY).instant - 1
    while (run := source.next_run(cursor)) is not None and run.instant < end:
        found.append(run.instant)
        cursor = run.instant
        if len(found) > MAX_SPELLED:
            plan.exdays.append(date.fromordinal(day))
            return
    plan.exdates.update(found)


def _listed(rule: Rule, setting: Setting, after: datetime | None) -> Iterator[Plan]:
    """Write out the runs of a rule that no RRULE says, as far as that is sensible."""
    zone = setting.zone
    if after is not None:
        cursors = [instant_to_micros(after, "after") // 1_000_000]
    elif rule.valid_from is not None:
        cursors = [instant_of(rule.valid_from, zone) - 1]
    else:
        cursors = [instant_of(begin, zone) - 1 for begin in LISTED_FROM]
    (source,) = rule.compile(setting)
    found: list[int] = []
    for cursor in cursors:
        run = source.next_run(cursor)
        while run is not None and len(found) < MAX_LISTED:
            found.append(run.instant)
            run = source.next_run(run.instant)
        if found:
            break
    else:
        return
    plan = _dates_only(found, zone)
    if len(found) == MAX_LISTED:
        end = show_wall(zone.to_wall(found[-1])).isoformat(" ")
        plan.note = (
            f"No RRULE says: {rule.words()}. The next {MAX_LISTED} runs are written "
            f"out, up to {end}; export the calendar again before that."
        )
    yield plan


def _dates_only(instants: list[int], zone: Zone) -> Plan:
    start = next(
        (stamp for each in instants if (stamp := stamp_of(each, zone)).tzinfo is None),
        stamp_of(instants[0], zone),
    )
    return Plan(start, rdates=instants)


def stamp_of(instant: int, zone: Zone) -> datetime:
    """Return an instant as it is written: on the wall, or in UTC.

    UTC is for the second pass of an hour that comes twice, and for a zone that is UTC.
    """
    wall = zone.to_wall(instant)
    if zone.name != "UTC" and zone.to_instant(wall).instant == instant:
        return show_wall(wall)
    return _moment(instant)
