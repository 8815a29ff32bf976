"""Calendars as iCalendar files: what other programs find in them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import pytest

from tests.schedules.ics_text import notes_of
from trioqueue.errors import ValidationError
from trioqueue.schedules import (
    BusinessCalendar,
    BusinessDays,
    Calendar,
    Custom,
    Daily,
    Extra,
    Holiday,
    Monthly,
    Recurrence,
    Reschedule,
    Skip,
    Weekly,
)
from trioqueue.schedules.ics_reading import events_in, read_ics
from trioqueue.schedules.ics_writing import NOTE, calendar_to_ics

NEW_YORK = "America/New_York"
HOLIDAYS = BusinessCalendar("company", [Holiday.fixed(1, 1)])
RICH = Calendar(
    [
        Monthly(weekday=1, nth=1, times=["17:00", "08:15"]),
        Custom("last_business_day_of_quarter", times="12:00"),
    ],
    tz=NEW_YORK,
    business_calendar=HOLIDAYS,
    exceptions=[Skip("2026-02-02"), Reschedule("2026-03-02", "2026-03-03T12:00")],
    gap="skip",
    anchor=date(2026, 1, 1),
)


def events(text: str) -> list[Any]:
    """Return the events of a file as another program reads them."""
    return icalendar.Calendar.from_ical(text).walk("VEVENT")


def value(event: Any, name: str) -> str:
    """Return one property as it is written."""
    written: bytes = event[name].to_ical()
    return written.decode()


def test_one_rule_is_one_event_that_begins_at_its_first_run() -> None:
    (event,) = events(Calendar([Weekly([5, 1], times="09:30")], tz=NEW_YORK).to_ics())
    assert value(event, "RRULE") == "FREQ=WEEKLY;BYDAY=MO,FR"
    assert value(event, "DTSTART") == "19700102T093000"
    assert event["DTSTART"].params["TZID"] == NEW_YORK
    assert value(event, "DTSTAMP") == "19700101T000000Z"


def test_a_start_keeps_the_phase_of_an_interval() -> None:
    rule = Daily(3, start_date=date(2026, 1, 2), valid_from="2026-01-09T12:00")
    (event,) = events(Calendar([rule]).to_ics())
    assert value(event, "DTSTART") == "20260111T000000Z"
    assert value(event, "RRULE") == "FREQ=DAILY;INTERVAL=3"


def test_valid_until_becomes_until_in_utc() -> None:
    rule = Daily(times="09:00", valid_until="2026-07-01T09:00")
    (event,) = events(Calendar([rule], tz=NEW_YORK).to_ics())
    assert value(event, "RRULE") == "FREQ=DAILY;UNTIL=20260701T130000Z"


def test_a_count_is_what_is_left_of_it() -> None:
    rule = Recurrence(
        "FREQ=DAILY;COUNT=10",
        datetime(2026, 1, 1),
        valid_from=datetime(2026, 1, 4),
        valid_until=datetime(2026, 1, 8),
    )
    (event,) = events(Calendar([rule]).to_ics())
    assert value(event, "RRULE") == "FREQ=DAILY;COUNT=5"
    assert value(event, "DTSTART") == "20260104T000000Z"


def test_each_time_of_day_is_an_event_with_a_uid_of_its_own() -> None:
    calendar = Calendar([Daily(times=["08:15", "17:00"])])
    text = calendar_to_ics(calendar, uid="backup@example.org", summary="Back, up")
    assert [value(event, "UID") for event in events(text)] == [
        "backup@example.org",
        "2-backup@example.org",
    ]
    assert {event["SUMMARY"] for event in events(text)} == {"Back, up"}
    # For trioqueue they are one.
    assert events_in(text) == ["backup@example.org"]
    assert read_ics(text, "backup@example.org").calendar == calendar


def test_exceptions_become_exdates_overrides_and_rdates() -> None:
    calendar = Calendar(
        [Daily(times="09:00")],
        tz=NEW_YORK,
        exceptions=[
            Skip("2026-01-05"),
            Reschedule("2026-01-06", "2026-01-07"),
            Extra("2026-01-10", ["07:00", "12:00"]),
            Skip("1999-12-31T10:00"),
        ],
    )
    event, moved, extra = events(calendar.to_ics())
    assert value(event, "EXDATE") == "20260105T090000"
    assert value(moved, "UID") == value(event, "UID")
    assert value(moved, "RECURRENCE-ID") == "20260106T090000"
    assert value(moved, "DTSTART") == "20260107T090000"
    assert value(extra, "DTSTART") == "20260110T070000"
    assert value(extra, "RDATE") == "20260110T120000"


def test_a_run_of_two_rules_is_moved_once() -> None:
    calendar = Calendar(
        [Daily(times="09:00"), Weekly([1], times="09:00")],
        exceptions=[Reschedule("2026-01-05", "2026-01-05T11:00")],
    )
    daily, moved, weekly = events(calendar.to_ics())
    assert value(moved, "UID") == value(daily, "UID")
    assert value(weekly, "EXDATE") == "20260105T090000Z"
    assert "EXDATE" not in daily


def test_business_days_without_holidays_have_an_rrule() -> None:
    rules = [BusinessDays(times="09:00"), Monthly(business_day="last")]
    week = BusinessCalendar("gulf", weekend_days=(5, 6))
    daily, monthly = events(Calendar(rules, business_calendar=week).to_ics())
    assert value(daily, "RRULE") == "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,SU"
    assert value(monthly, "RRULE").startswith("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,SU")
    assert value(monthly, "RRULE").endswith("BYSETPOS=-1")


def test_what_no_rrule_says_is_written_out_with_a_note() -> None:
    calendar = Calendar([BusinessDays(times="09:00")], business_calendar=HOLIDAYS)
    (event,) = events(calendar.to_ics())
    assert "RRULE" not in event
    assert value(event, "DTSTART") == "20000103T090000Z"
    assert len(event["RDATE"].dts) == 499
    assert "No RRULE says: every business day. The next 500 runs" in event[NOTE]
    after = datetime(2026, 12, 31, 12, tzinfo=UTC)
    (event,) = events(calendar_to_ics(calendar, after=after))
    # 1 January is a holiday, 2 and 3 a weekend.
    assert value(event, "DTSTART") == "20270104T090000Z"


def test_a_day_left_out_of_a_rule_of_minutes_is_named_as_a_day() -> None:
    rule = Recurrence("FREQ=MINUTELY", datetime(2026, 1, 1), exdates=[date(2026, 1, 2)])
    calendar = Calendar([rule])
    assert "EXDATE;VALUE=DATE:20260102" in calendar.to_ics()
    after = datetime(2026, 1, 1, 23, 59, tzinfo=UTC)
    again = read_ics(edited(calendar.to_ics())).calendar
    assert again.preview(1, after) == [datetime(2026, 1, 3, tzinfo=UTC)]


def test_the_second_pass_of_an_hour_is_written_in_utc() -> None:
    second = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    calendar = Calendar([Recurrence("", None, [second])], tz=NEW_YORK)
    (event,) = events(calendar.to_ics())
    assert value(event, "DTSTART") == "20261101T063000Z"


def test_exceptions_to_single_dates_are_written_too() -> None:
    first = datetime(2026, 1, 1, 9)
    rdates = [first + timedelta(days=n) for n in range(5)]
    calendar = Calendar(
        [Recurrence("", first, rdates)],
        tz=NEW_YORK,
        exceptions=[Skip("2026-01-02"), Reschedule("2026-01-03", "2026-02-01")],
    )
    event, moved = events(calendar.to_ics())
    assert value(event, "EXDATE") == "20260102T090000"
    assert value(moved, "RECURRENCE-ID") == "20260103T090000"
    again = read_ics(edited(calendar.to_ics())).calendar
    after = datetime(2026, 1, 1, tzinfo=UTC)
    assert again.preview(9, after) == calendar.preview(9, after)


def test_runs_are_written_out_from_where_a_rule_begins_to_be_valid() -> None:
    rules = [
        BusinessDays(3, valid_from="2026-01-05"),
        BusinessDays(3, valid_until="1999-01-01"),
    ]
    (event,) = events(Calendar(rules[:1]).to_ics())
    assert value(event, "DTSTART") == "20260105T000000Z"
    # One that ended before the year 2000 is not lost.
    (event,) = events(Calendar(rules[1:]).to_ics())
    assert value(event, "DTSTART") == "19700101T000000Z"
    after = datetime(2027, 1, 1, tzinfo=UTC)
    with pytest.raises(ValidationError, match="never run"):
        calendar_to_ics(Calendar(rules[1:]), after=after)


@pytest.mark.parametrize(
    "zone", ["Europe/Paris", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Casablanca"]
)
def test_the_zone_is_described_as_the_database_has_it(zone: str) -> None:
    text = Calendar([Daily(times="09:00")], tz=zone).to_ics()
    renamed = edited(text).replace(f"TZID:{zone}", "TZID:Z").replace(f"={zone}", "=Z")
    found = read_ics(renamed.replace("DTSTART;TZID=Z:1970", "DTSTART;TZID=Z:2010"))
    assert found.calendar.tz != "Z"
    moments = [
        datetime(2010, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(4000)
    ]
    read = ZoneInfo(found.calendar.tz)
    for moment in moments:
        wanted = moment.astimezone(ZoneInfo(zone)).utcoffset()
        assert moment.astimezone(read).utcoffset() == wanted


def edited(text: str) -> str:
    """Return a file without the calendar that trioqueue has put into it."""
    return re.sub(r"X-TRIOQUEUE-CALENDAR[^\r]*\r\n(?: [^\r]*\r\n)*", "", text)


@pytest.mark.parametrize("after", [None, datetime(2026, 1, 1, tzinfo=UTC)])
def test_everything_comes_back_from_the_file(after: datetime | None) -> None:
    text = calendar_to_ics(RICH, after=after)
    assert Calendar.from_ics(text) == RICH
    assert calendar_to_ics(RICH, after=after) == text


def test_the_same_calendar_gives_the_same_file_and_another_another() -> None:
    text = Calendar([Daily()]).to_ics()
    assert Calendar([Daily()]).to_ics() == text
    assert Calendar([Daily(2)]).to_ics() != text


def test_what_another_program_has_changed_wins() -> None:
    calendar = Calendar([Daily(times="09:00")], tz=NEW_YORK)
    text = calendar.to_ics().replace("FREQ=DAILY", "FREQ=WEEKLY")
    assert "X-TRIOQUEUE-CALENDAR is left aside" in notes_of(text)
    (rule,) = Calendar.from_ics(text).rules
    assert isinstance(rule, Recurrence)
    assert rule.rrule == "FREQ=WEEKLY"


def test_an_event_that_another_program_has_deleted_is_gone() -> None:
    text = Calendar([Daily(times=["08:00", "20:00"])]).to_ics()
    place = text.rindex("BEGIN:VEVENT")
    rest = text[:place] + "END:VCALENDAR\r\n"
    assert len(Calendar.from_ics(rest).rules) == 1


def test_an_event_that_another_program_has_cancelled_is_refused() -> None:
    text = Calendar([Daily()]).to_ics()
    with pytest.raises(ValidationError, match="is cancelled"):
        Calendar.from_ics(
            text.replace("BEGIN:VEVENT", "BEGIN:VEVENT\r\nSTATUS:CANCELLED")
        )


def test_what_another_program_adds_beside_the_times_does_no_harm() -> None:
    text = RICH.to_ics().replace(
        "BEGIN:VEVENT",
        "BEGIN:VEVENT\r\nSEQUENCE:3\r\nDESCRIPTION:Hello\r\nLAST-MODIFIED:20260101T000"
        "000Z",
    )
    assert Calendar.from_ics(text) == RICH


@pytest.mark.parametrize(
    "document",
    ["", "[]", "{}", "[" * 20_000, '{"rules": [{"rule": "daily"}], "tz": 5}', "1e999"],
)
def test_a_damaged_calendar_inside_is_left_aside(document: str) -> None:
    text = Calendar([Daily()]).to_ics()
    damaged = re.sub(r"(;PART=01):[^\r]*\r\n(?: [^\r]*\r\n)*", r"\1:%\r\n", text)
    damaged = damaged.replace("%", document.replace(",", "\\,"))
    assert "X-TRIOQUEUE-CALENDAR cannot be used" in notes_of(damaged)
    assert Calendar.from_ics(damaged).rules


def test_a_long_calendar_is_kept_in_several_properties() -> None:
    first = datetime(2026, 1, 1)
    rdates = [first + timedelta(hours=n) for n in range(3_000)]
    calendar = Calendar([Recurrence("", first, rdates)], tz=NEW_YORK)
    text = calendar.to_ics()
    assert "PART=03" in text
    assert Calendar.from_ics(text) == calendar
    turned = re.sub("PART=0([123])", lambda found: f"PART=0{4 - int(found[1])}", text)
    assert "cannot be used" in notes_of(turned)


def test_a_calendar_too_large_for_a_file_is_refused() -> None:
    first = datetime(2026, 1, 1)
    rdates = [first + timedelta(hours=n) for n in range(40_000)]
    with pytest.raises(ValidationError, match="calendar: is too large for an iCalend"):
        Calendar([Recurrence("", first, rdates)]).to_ics()


def test_a_calendar_that_never_runs_is_refused() -> None:
    rule = Recurrence("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", datetime(2026, 1, 1))
    with pytest.raises(ValidationError, match="never run; nothing to write"):
        Calendar([rule]).to_ics()


def test_a_calendar_that_ended_long_ago_is_written() -> None:
    calendar = Calendar([Daily(valid_until="1950-01-01")])
    assert Calendar.from_ics(calendar.to_ics()) == calendar


def test_a_calendar_with_errors_or_open_ends_is_refused() -> None:
    with pytest.raises(ValidationError, match="interval"):
        Calendar([Daily(0)]).to_ics()
    with pytest.raises(ValidationError, match="kept in a store"):
        Calendar([BusinessDays()], business_calendar="company").to_ics()


@pytest.mark.parametrize("label", ["", "a\nb", "\0", "x" * 256, 5])
def test_names_that_would_break_the_file_are_refused(label: Any) -> None:
    calendar = Calendar([Daily()])
    with pytest.raises(ValidationError, match="uid"):
        calendar_to_ics(calendar, uid=label)
    with pytest.raises(ValidationError, match="summary"):
        calendar_to_ics(calendar, summary=label)
