"""Any text is a calendar or refused; any calendar comes back from its own file."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from trioqueue.errors import ValidationError
from trioqueue.schedules import (
    BusinessDays,
    Calendar,
    Daily,
    Extra,
    Monthly,
    Recurrence,
    Reschedule,
    Skip,
    Weekly,
    Yearly,
)
from trioqueue.schedules.ics_reading import events_in, read_ics
from trioqueue.schedules.ics_writing import calendar_to_ics

if TYPE_CHECKING:
    from collections.abc import Callable

ZONES = [
    "UTC",
    "America/New_York",
    "Europe/Paris",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Africa/Casablanca",
]
BEGIN = datetime(2021, 1, 1, tzinfo=UTC)
END = datetime(2026, 1, 1, tzinfo=UTC)


def instants(calendar: Calendar, most: int = 400) -> list[int]:
    """Return the runs of some years."""
    cursor = int(BEGIN.timestamp()) * 1_000_000
    end = int(END.timestamp()) * 1_000_000
    found: list[int] = []
    while len(found) < most:
        occurrence = calendar.next_occurrence(cursor)
        if occurrence is None or occurrence.at >= end:
            break
        cursor = occurrence.at
        found.append(cursor)
    return found


def stripped(text: str) -> str:
    """Return a file without the calendar that trioqueue has put into it."""
    return re.sub(r"X-TRIOQUEUE-CALENDAR[^\r]*\r\n(?: [^\r]*\r\n)*", "", text)


dates = st.dates(date(2021, 1, 1), date(2025, 12, 31))
clocks = st.builds(
    time, st.integers(0, 23), st.sampled_from([0, 15, 30]), st.sampled_from([0, 0, 20])
)
moments = st.builds(datetime.combine, dates, clocks)
windows = st.one_of(
    st.just({}),
    st.builds(lambda at: {"valid_from": at}, moments),
    st.builds(lambda at: {"valid_until": at}, moments),
    st.builds(
        lambda at, days: {"valid_from": at, "valid_until": at + timedelta(days)},
        moments,
        st.integers(0, 700),
    ),
)


def with_times(make: Callable[..., Any], *parts: st.SearchStrategy[Any]) -> Any:
    """Build rules with times of day and a window."""
    return st.builds(
        lambda times, window, *values: make(*values, times=times, **window),
        st.lists(clocks, max_size=2, unique=True),
        windows,
        *parts,
    )


weekdays = st.integers(1, 7)
simple_rules = st.one_of(
    with_times(Daily, st.integers(1, 4), st.booleans(), st.none() | dates),
    with_times(
        Weekly,
        st.lists(weekdays, max_size=3, unique=True),
        st.integers(1, 3),
        st.none() | dates,
    ),
    with_times(Monthly, st.integers(1, 31)),
    with_times(
        lambda weekday, nth, **rest: Monthly(weekday=weekday, nth=nth, **rest),
        weekdays,
        st.sampled_from([1, 2, 5, -1]),
    ),
    with_times(
        lambda months, **rest: Monthly(last_day=True, months=months, **rest),
        st.lists(st.integers(1, 12), max_size=3, unique=True),
    ),
    with_times(
        lambda which, **rest: Monthly(business_day=which, **rest),
        st.sampled_from(["first", "last"]),
    ),
    with_times(BusinessDays),
    with_times(
        lambda adjust, **rest: Yearly(2, 29, adjust_for_leap_year=adjust, **rest),
        st.booleans(),
    ),
    with_times(Yearly, st.integers(1, 12), st.integers(1, 28)),
)
instant_moments = moments.map(lambda moment: moment.replace(tzinfo=UTC))
recurrences = st.builds(
    lambda text, start, rdates, exdates, window: Recurrence(
        f"FREQ={text}", start, tuple(rdates), tuple(exdates), **window
    ),
    st.sampled_from(
        [
            "DAILY",
            "DAILY;COUNT=50",
            "DAILY;INTERVAL=3;UNTIL=20240310T063000Z",
            "DAILY;UNTIL=20241103",
            "WEEKLY;BYDAY=MO,SA;INTERVAL=2;WKST=SU",
            "WEEKLY;COUNT=20;BYDAY=TU,FR",
            "MONTHLY",
            "MONTHLY;BYDAY=-1FR,2MO",
            "MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1,1;BYHOUR=9,17",
            "MONTHLY;COUNT=7;BYMONTHDAY=31,-3",
            "YEARLY;BYMONTH=3,11;BYDAY=2SU,1SU;BYHOUR=1,2;BYMINUTE=30",
            "YEARLY;BYWEEKNO=1,20;INTERVAL=2",
            "YEARLY;BYYEARDAY=1,100,-1;COUNT=9",
            "HOURLY;INTERVAL=7",
            "HOURLY;INTERVAL=5;BYDAY=MO;COUNT=30",
            "MINUTELY;INTERVAL=90;BYHOUR=1,2,3",
        ]
    ),
    moments | instant_moments,
    st.lists(moments | instant_moments | dates, max_size=2),
    st.lists(moments | instant_moments | dates, max_size=2),
    windows,
)
exceptions = st.lists(
    st.one_of(
        st.builds(Skip, dates | moments),
        st.builds(Reschedule, dates | moments, dates | moments),
        st.builds(Extra, dates, st.lists(clocks, min_size=1, max_size=2, unique=True)),
    ),
    max_size=4,
    unique_by=lambda exception: (isinstance(exception, Extra), exception.date),
)
calendars = st.builds(
    lambda rules, zone, changes, gap: Calendar(
        rules, tz=zone, exceptions=changes, gap=gap
    ),
    st.lists(simple_rules | recurrences, min_size=1, max_size=2),
    st.sampled_from(ZONES),
    exceptions,
    st.sampled_from(["shift", "shift", "skip"]),
)


@settings(max_examples=150, deadline=None)
@given(calendar=calendars)
def test_a_calendar_comes_back_equal_from_its_file(calendar: Calendar) -> None:
    try:
        text = calendar_to_ics(calendar)
    except ValidationError:
        assume(not instants(calendar))
        return
    result = read_ics(text)
    assert result.calendar == calendar
    assert not result.notes
    assert calendar_to_ics(result.calendar) == text


@settings(max_examples=150, deadline=None)
@given(calendar=calendars)
def test_the_standard_parts_of_a_file_alone_give_the_same_runs(
    calendar: Calendar,
) -> None:
    try:
        text = calendar_to_ics(calendar, uid="chosen")
    except ValidationError:
        assume(not instants(calendar))
        return
    plain = stripped(text)
    assert "X-TRIOQUEUE-CALENDAR" not in plain
    again = read_ics(plain, "chosen").calendar
    assert instants(again) == instants(calendar)


EVENT = """BEGIN:VCALENDAR
BEGIN:VEVENT
UID:1
DTSTART;TZID=Europe/Paris:20260101T090000
RRULE:FREQ=DAILY;COUNT=3
EXDATE:20260102T080000Z
END:VEVENT
END:VCALENDAR
"""


def outcome(text: str) -> str | None:
    """Return what is wrong with a file; anything but a refusal is passed on."""
    try:
        calendar = read_ics(text).calendar
    except ValidationError as error:
        return "; ".join(map(str, error.issues)) or "an error without issues"
    assert calendar.rules or calendar.exceptions
    calendar.next_occurrence(0)
    return None


@settings(max_examples=300, deadline=20_000)
@given(text=st.text(max_size=300))
@example(text="")
@example(text="BEGIN:VCALENDAR")
@example(text="\ud800")
def test_any_text_that_is_no_calendar_is_refused(text: str) -> None:
    assert (outcome(text) or "").startswith("ics: ")
    with pytest.raises(ValidationError):
        events_in(text)


lines = st.sampled_from(
    [
        *EVENT.splitlines(),
        "BEGIN:VEVENT",
        "END:VEVENT",
        "UID:2",
        "STATUS:CANCELLED",
        "DTSTART:00010101T000000",
        "DTSTART:99991231T235959Z",
        "DTSTART;VALUE=DATE:20260105",
        "RECURRENCE-ID:20260102T080000Z",
        "RECURRENCE-ID;RANGE=THISANDFUTURE:20260102T080000Z",
        "RECURRENCE-ID;VALUE=DATE:20260102",
        "RDATE;VALUE=PERIOD:20260301T000000Z/PT1H,99991231T000000Z/PT1H",
        "RDATE;VALUE=DATE:20260105,00010101",
        "EXDATE;VALUE=DATE:20260103",
        "RRULE:FREQ=SECONDLY",
        "RRULE:FREQ=MONTHLY;BYDAY=-1FR",
        "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "SEQUENCE:99999999999999999999",
        "X-WR-TIMEZONE:Asia/Tokyo",
        "DTSTART;TZID=Mars/Olympus:20260101T000000",
        "BEGIN:VTIMEZONE",
        "END:VTIMEZONE",
        "TZID:Mars/Olympus",
    ]
)


@settings(max_examples=400, deadline=20_000)
@given(data=st.data())
def test_a_damaged_event_is_read_or_refused_and_nothing_else(
    data: st.DataObject,
) -> None:
    kept = [line for line in EVENT.splitlines() if data.draw(st.integers(0, 9))]
    for line in data.draw(st.lists(lines, max_size=6)):
        kept.insert(data.draw(st.integers(0, len(kept))), line)
    text = "\n".join(kept)
    if data.draw(st.booleans()) and text:
        place = data.draw(st.integers(0, len(text) - 1))
        text = text[:place] + data.draw(st.text(max_size=3)) + text[place + 1 :]
    problem = outcome(text)
    assert problem is None or "ics" in problem or "rules" in problem


@settings(max_examples=300, deadline=20_000)
@given(
    parts=st.lists(
        st.tuples(
            st.sampled_from(["DTSTART", "RDATE", "EXDATE", "RRULE", "RECURRENCE-ID"]),
            st.text(st.sampled_from('0123456789TZ,;=:/"FREQDAILYBYMO- '), max_size=40),
        ),
        max_size=5,
    )
)
def test_odd_values_are_read_or_refused_and_nothing_else(
    parts: list[tuple[str, str]],
) -> None:
    odd = "\n".join(f"{name}:{value}" for name, value in parts)
    problem = outcome(EVENT.replace("EXDATE:20260102T080000Z", odd))
    assert problem is None or "line" in problem
