"""Random recurrence rules against the reference, and against python-dateutil."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal, final
from zoneinfo import ZoneInfo

import attrs
from dateutil.rrule import rrulestr
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from tests.schedules.rrule_reference import WEEKDAYS, Reference, exists, instant_of
from trioqueue.schedules.calendar import Calendar

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

FAR: Final = datetime(9999, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
# How many periods a case looks at: enough to see a pattern, few enough to be quick.
PERIODS: Final = {
    "YEARLY": 6,
    "MONTHLY": 30,
    "WEEKLY": 40,
    "DAILY": 150,
    "HOURLY": 400,
    "MINUTELY": 700,
    "SECONDLY": 1_000,
}
SUB_DAILY: Final = ("HOURLY", "MINUTELY", "SECONDLY")
# How far a case may look from DTSTART, so that it ends before about 2200.
FARTHEST: Final = {"YEARLY": 100, "MONTHLY": 1_200, "WEEKLY": 5_000, "DAILY": 36_000}
INTERVALS: Final = [1, 1, 1, 1, 2, 3, 4, 5, 7, 11, 12, 18, 25, 60, 90]
ODD_INTERVALS: Final = [*INTERVALS, 1_000, 1_440, 86_399, 1_000_003]
ZONES: Final = (
    "UTC",
    "America/New_York",
    "Europe/Paris",
    "Europe/Dublin",
    "Asia/Kolkata",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Atlantic/Azores",
    "Africa/Cairo",
    "Antarctica/Troll",
    "America/Sao_Paulo",
)
# Shortly before a clock change.
CHANGES: Final = tuple(
    (zone, datetime.fromisoformat(start))
    for zone, start in (
        ("America/New_York", "2024-03-09T02:30"),
        ("America/New_York", "2024-11-02T01:30"),
        ("Europe/Paris", "2026-03-28T02:00"),
        ("Europe/Dublin", "2025-10-25T01:15"),
        ("America/St_Johns", "2008-03-08T00:30"),
        ("Australia/Lord_Howe", "2024-10-05T02:15"),
        ("Australia/Lord_Howe", "2025-04-05T01:45"),
        ("Pacific/Apia", "2011-12-29T09:00"),
        ("Antarctica/Troll", "2025-03-29T01:59"),
        ("America/Sao_Paulo", "2018-11-03T00:30"),
        ("Africa/Cairo", "2024-04-25T00:00"),
        ("Atlantic/Azores", "2024-03-30T00:20"),
    )
)
STARTS: Final[st.SearchStrategy[tuple[str, datetime]]] = st.tuples(
    st.sampled_from(ZONES),
    st.integers(0, 66 * 366 * 86_400).map(
        lambda seconds: (
            datetime.fromisoformat("1971-01-01") + timedelta(seconds=seconds)
        )
    ),
)


# Where the years of weeks and of days differ.
NEW_YEARS: Final[st.SearchStrategy[tuple[str, datetime]]] = st.tuples(
    st.sampled_from(ZONES),
    st.builds(
        lambda year, days, hour: datetime(year, 12, 28, hour) + timedelta(days=days),
        st.integers(1971, 2037),
        st.integers(0, 8),
        st.integers(0, 23),
    ),
)


@final
@attrs.frozen
class Case:
    """A rule, and which of its periods to compare."""

    rule: str
    dtstart: datetime
    tz: str
    gap: Literal["shift", "skip"]
    first: int

    @property
    def reference(self) -> Reference:
        return Reference(self.rule, self.dtstart, self.tz, self.gap)

    @property
    def calendar(self) -> Calendar:
        return Calendar.from_rrule(
            self.rule, dtstart=self.dtstart, tz=self.tz, gap=self.gap
        )


def shift_near(wall: datetime, zone: ZoneInfo) -> timedelta:
    """By how much clocks change within a day of a time."""
    at = instant_of(wall, zone)
    offsets = [
        (at + timedelta(hours=hours)).astimezone(zone).utcoffset() or timedelta()
        for hours in (-26, 0, 26)
    ]
    return max(offsets) - min(offsets)


def window(case: Case) -> tuple[datetime, datetime, list[datetime]]:
    """Return two instants, and every run after the one and before the other."""
    reference = case.reference
    zone, periods = reference.zone, PERIODS[reference.parts["FREQ"]]
    first, after = reference.bounds(case.first), reference.bounds(case.first + periods)
    assume(first is not None and after is not None)
    assert first is not None
    assert after is not None
    # A gap moves runs from one side of an edge to the other: stay clear of it.
    low = instant_of(first[0], zone) + shift_near(first[0], zone)
    high = instant_of(after[0], zone) - shift_near(after[0], zone)
    if case.first == 0:
        low = instant_of(case.dtstart, zone) - timedelta(days=400)
    assume(low < high)
    runs = reference.runs(periods, case.first)
    return low, high, [run for run in runs if low < run < high]


def take(
    calendar: Calendar, low: datetime, high: datetime, most: int
) -> list[datetime]:
    """Step through a calendar from one instant to another."""
    runs: list[datetime] = []
    cursor = low
    while len(runs) < most:
        found = calendar.next_after(cursor)
        if found is None or found.astimezone(UTC) >= high:
            break
        assert found.astimezone(UTC) > cursor
        cursor = found.astimezone(UTC)
        runs.append(cursor)
    return runs


def own_values(near: datetime) -> dict[str, tuple[list[int], int, int]]:
    """For each part: what a time would need, and the range of its values."""
    return {
        "BYMONTH": ([near.month], 1, 12),
        "BYYEARDAY": ([near.timetuple().tm_yday], 1, 366),
        "BYMONTHDAY": ([near.day], 1, 31),
        "BYWEEKNO": ([near.isocalendar().week], 1, 53),
        "BYHOUR": ([near.hour, (near.hour + 1) % 24], 0, 23),
        "BYMINUTE": ([near.minute, (near.minute + 1) % 60], 0, 59),
        "BYSECOND": ([near.second], 0, 59),
    }


def allowed_parts(freq: str) -> list[str]:
    parts = ["BYDAY", "BYMONTH", "BYHOUR", "BYMINUTE", "BYSECOND"]
    if freq != "WEEKLY":
        parts.append("BYMONTHDAY")
    if freq in ("YEARLY", *SUB_DAILY):
        parts.append("BYYEARDAY")
    return [*parts, "BYWEEKNO"] if freq == "YEARLY" else parts


@st.composite
def byday(draw: DrawFn, near: datetime, numbers: int) -> str:
    """Weekdays, half of them with a number up to a limit, if there is one."""
    days = draw(st.sets(st.sampled_from(WEEKDAYS), min_size=1, max_size=5))
    if draw(st.booleans()):
        days.add(WEEKDAYS[near.weekday()])
    numbered = numbers and draw(st.integers(0, 2))
    values = []
    for day in sorted(days):
        nth = draw(st.integers(-numbers, numbers)) if numbered else 0
        values.append(f"{nth or ''}{day}")
    return ",".join(values)


@st.composite
def rules(draw: DrawFn, freq: str, near: datetime) -> str:
    """A rule without an end that gives something near a time, more often than not."""
    names = draw(st.sets(st.sampled_from(allowed_parts(freq)), max_size=4))
    values: dict[str, str] = {}
    for name, (own, low, high) in own_values(near).items():
        if name in names:
            chosen = draw(st.sets(st.integers(low, high), min_size=1, max_size=3))
            if draw(st.integers(0, 3)):
                chosen |= set(own)
            if low and name != "BYMONTH" and draw(st.booleans()):
                chosen.add(-draw(st.integers(low, high)))
            values[name] = ",".join(map(str, sorted(chosen)))
    if "BYDAY" in names:
        numbers = 53 if freq == "YEARLY" else 5 if freq == "MONTHLY" else 0
        numbers = min(numbers, 5) if "BYMONTH" in names else numbers
        numbers = 0 if "BYWEEKNO" in names else numbers
        values["BYDAY"] = draw(byday(near, numbers))
    if names and draw(st.integers(0, 3)) == 0:
        near_ends = st.integers(-4, 4).filter(bool)
        places = draw(st.sets(near_ends, min_size=1, max_size=3))
        if draw(st.integers(0, 3)) == 0:
            places.add(draw(st.integers(-366, 366).filter(bool)))
        values["BYSETPOS"] = ",".join(map(str, sorted(places)))
    if draw(st.booleans()):
        values["WKST"] = draw(st.sampled_from(WEEKDAYS))
    return "".join(f";{name}={value}" for name, value in values.items())


@st.composite
def endings(draw: DrawFn, near: datetime, *, counted: bool, walls: bool) -> str:
    """COUNT, UNTIL in one of its forms, or nothing."""
    kind = draw(st.sampled_from(["", "", "COUNT", "UNTIL"]))
    if kind == "COUNT" and counted:
        return f";COUNT={draw(st.integers(1, 30))}"
    if kind == "UNTIL":
        moment = near + timedelta(minutes=draw(st.integers(0, 60 * 24 * 400)))
        forms = (
            ["%Y%m%dT%H%M%S"]
            if walls
            else ["%Y%m%dT%H%M%S", "%Y%m%dT%H%M%SZ", "%Y%m%d"]
        )
        return f";UNTIL={moment.strftime(draw(st.sampled_from(forms)))}"
    return ""


@st.composite
def cases(draw: DrawFn, *, plain: bool = False) -> Case:
    """Random rules; plain ones are in UTC and looked at from DTSTART."""
    freq = draw(st.sampled_from(list(PERIODS)))
    changes = [] if plain else [st.sampled_from(CHANGES)]
    tz, dtstart = draw(st.one_of(STARTS, STARTS, STARTS, NEW_YEARS, *changes))
    interval = draw(st.sampled_from(ODD_INTERVALS if freq in SUB_DAILY else INTERVALS))
    head = f"FREQ={freq}" + (f";INTERVAL={interval}" if interval > 1 else "")
    farthest = FARTHEST.get(freq, 500_000) // interval
    first = 0 if plain or draw(st.booleans()) else draw(st.integers(0, farthest))
    bounds = Reference(head, dtstart).bounds(first)
    assert bounds is not None
    near = max(bounds[0], dtstart)
    assume(near.year < 2200)
    rule = head + draw(rules(freq, near))
    rule += draw(endings(near, counted=first == 0, walls=plain))
    gap: Literal["shift", "skip"] = "skip" if draw(st.integers(0, 2)) == 0 else "shift"
    return Case(rule, dtstart, "UTC" if plain else tz, gap, first)


@settings(max_examples=350)
@given(cases())
def test_any_rule_runs_when_the_definition_says(case: Case) -> None:
    low, high, expected = window(case)
    event("runs" if expected else "never runs in the window")
    if len(expected) > 40:
        high, expected = expected[40], expected[:40]
    assert take(case.calendar, low, high, 42) == expected


@settings(max_examples=80)
@given(cases(), st.lists(st.floats(0, 1, exclude_max=True), min_size=3, max_size=3))
def test_the_next_run_does_not_depend_on_where_one_asks(
    case: Case, places: list[float]
) -> None:
    low, high, expected = window(case)
    calendar = case.calendar
    asked = [low + (high - low) * place for place in places]
    if expected:
        # Just before a run, and at it.
        asked += [expected[-1] - MICROSECOND, expected[-1]]
    for after in asked:
        following = next((run for run in expected if run > after), None)
        found = calendar.next_after(after)
        if following is None:
            assert found is None or found.astimezone(UTC) >= high
        else:
            assert found is not None
            assert found.astimezone(UTC) == following
            assert found.tzinfo == ZoneInfo(case.tz)


def number_of(reference: Reference, wall: datetime) -> int:
    """The last period that begins before a time, or at it."""
    low, high = 0, 10**12
    while high - low > 1:
        middle = (low + high) // 2
        bounds = reference.bounds(middle)
        if bounds is None or bounds[0] > wall:
            high = middle
        else:
            low = middle
    return low


@settings(max_examples=120)
@given(cases(), st.integers(0, 300 * 366 * 86_400))
def test_a_run_found_far_away_is_one_and_none_comes_shortly_before(
    case: Case, seconds: int
) -> None:
    reference, zone = case.reference, ZoneInfo(case.tz)
    after = instant_of(case.dtstart, zone) + timedelta(seconds=seconds)
    found = case.calendar.next_after(after)
    event("found" if found else "none left")
    assume(found is not None)
    assert found is not None
    wall = found.replace(tzinfo=None)
    # Near a clock change other wall times give the same instant.
    assume(not shift_near(wall, zone))
    number = number_of(reference, wall)
    assert wall in (reference.period(number) or [])
    first = max(0, number - PERIODS[reference.parts["FREQ"]] // 4)
    before = [
        run for n in range(first, number + 1) for run in reference.period(n) or []
    ]
    floor = max(case.dtstart, after.astimezone(zone).replace(tzinfo=None))
    assert [run for run in before if floor < run < wall and exists(run, zone)] == []


@settings(max_examples=80)
@given(cases(), st.data())
def test_exceptions_and_extra_dates_are_set_arithmetic(
    case: Case, data: st.DataObject
) -> None:
    low, high, expected = window(case)
    if len(expected) > 40:
        high, expected = expected[40], expected[:40]
    # Whole seconds: walls have no finer ones.
    elsewhere = st.floats(0, 1, exclude_max=True).map(
        lambda place: (low + (high - low) * place).replace(microsecond=0)
    )
    dates = st.one_of(elsewhere, st.sampled_from(expected)) if expected else elsewhere
    extra = data.draw(st.lists(dates, max_size=4), label="rdates")
    dropped = data.draw(st.lists(dates, max_size=6), label="exdates")
    calendar = Calendar.from_rrule(
        case.rule,
        dtstart=case.dtstart,
        tz=case.tz,
        gap=case.gap,
        rdates=extra,
        exdates=dropped,
    )
    left = sorted({*expected, *extra} - {*dropped})
    left = [run for run in left if low < run < high]
    assert take(calendar, low, high, 50) == left


def dateutil_is_wrong(case: Case) -> str:
    """Name the fault of python-dateutil 2.9 that a case would meet, if any."""
    reference = case.reference
    parts, numbers = reference.parts, reference.numbers
    weeks = numbers.get("BYWEEKNO", [])
    numbered = [bool(nth) for nth, _ in reference.byday]
    if weeks and not {"BYDAY", "BYMONTHDAY", "BYYEARDAY"} & parts.keys():
        return "BYWEEKNO alone gives whole weeks instead of DTSTART's weekday"
    if weeks and {"INTERVAL", "BYSETPOS"} & parts.keys():
        return "BYWEEKNO counts calendar years, not the years that weeks belong to"
    if any(abs(week) > 50 for week in weeks):
        return "BYWEEKNO misplaces the week around a new year"
    begins = case.dtstart.weekday() == reference.wkst
    if parts["FREQ"] == "WEEKLY" and "BYSETPOS" in parts and not begins:
        return "BYSETPOS takes the first week to begin at DTSTART"
    if any(numbered) and not all(numbered):
        return "BYDAY with and without numbers gives what both have in common"
    return ""


@settings(max_examples=250)
@given(cases(plain=True))
def test_any_rule_runs_when_dateutil_says(case: Case) -> None:
    wrong = dateutil_is_wrong(case)
    event(wrong or "compared")
    assume(not wrong)
    low, _, expected = window(case)
    expected = expected[:40]
    try:
        other = rrulestr(case.rule, dtstart=case.dtstart)
    except ValueError:
        # It finds out by itself that a sub-daily interval never meets a BY part.
        assert not expected
        assert case.calendar.next_after(low) is None
        return
    # Not one more: it would look for the next until the year 9999.
    theirs = [run.replace(tzinfo=UTC) for run in islice(other, len(expected))]
    assert take(case.calendar, low, FAR, len(expected)) == theirs
    assert theirs == expected
