"""Damaged and hostile iCalendar files: refused with the reason, at once."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest

from tests.schedules.ics_text import event, file, of, runs_of
from trioqueue.errors import ValidationError
from trioqueue.schedules import Calendar
from trioqueue.schedules.ics_lines import MAX_ENTRIES, MAX_LINE, MAX_TEXT
from trioqueue.schedules.ics_reading import events_in

START = "DTSTART:20260105T090000Z"
PATIENCE = 5.0
"""Seconds, many times what it takes."""


def problem(text: Any) -> str:
    """Return why a file is refused, which does not take long."""
    began = process_time()
    with pytest.raises(ValidationError) as caught:
        Calendar.from_ics(text)
    assert process_time() - began < PATIENCE
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "ics: there is no VCALENDAR in it"),
        ("hello", "ics: line 1: 'hello' is no property: NAME:VALUE"),
        ("X:1", "ics: line 1: 'X:1' stands outside of a VCALENDAR"),
        ("END:VCALENDAR", "ics: line 1: 'END:VCALENDAR' stands outside of a VCALE"),
        ("BEGIN:VEVENT", "ics: line 1: BEGIN:VEVENT where BEGIN:VCALENDAR was exp"),
        ("BEGIN:VCALENDAR", "ics: line 1: BEGIN:VCALENDAR has no END"),
        ("BEGIN:VCALENDAR\nEND:VEVENT", "ics: line 2: 'END:VEVENT' does not end BE"),
        (file(), "ics: there is no VEVENT in it"),
        (of(), "ics: line 4: the VEVENT has no DTSTART"),
        (of("DTSTART"), "ics: line 6: 'DTSTART' is no property"),
        (of("DTSTART:"), "ics: line 6: DTSTART: '' is no date or time; write 2026"),
        (of("DTSTART:20260230T090000Z"), "ics: line 6: DTSTART: '20260230T090000Z'"),
        (of("DTSTART;TZID:20260105T09"), "ics: line 6: DTSTART: a parameter is malf"),
        (of('DTSTART;TZID="x:20260105'), "ics: line 6: DTSTART: a parameter is malf"),
        (of(START, START), "ics: line 7: a second DTSTART in one VEVENT"),
        (of(START, "RDATE:1"), "ics: line 7: RDATE: '1' is no date or time"),
        (of(START, "EXDATE:20260101,"), "ics: line 7: EXDATE: '' is no date or ti"),
        (of(START, "RRULE:FREQ=OFTEN"), "ics: line 7: RRULE: FREQ: 'OFTEN' is unk"),
        (of(START, "RRULE:FREQ=DAILY;COUNT=1;UNTIL=20270101"), "COUNT and UNTIL exc"),
        (of(START, "EXRULE:FREQ=DAILY"), "ics: line 7: EXRULE is not supported"),
        (
            of(START, "RECURRENCE-ID;RANGE=THISANDPRIOR:20260105T090000Z"),
            "ics: line 7: RANGE=THISANDPRIOR is unknown; use THISANDFUTURE",
        ),
        (
            of("RECURRENCE-ID:20260105T090000Z", "STATUS:CANCELLED"),
            "ics: line 4: nothing is left of the event to run",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, reason: str) -> None:
    assert reason in problem(text)


def test_every_problem_of_an_rrule_is_named() -> None:
    found = problem(of(START, "RRULE:FREQ=DAILY;COUNT=0;BYDAY=XX"))
    assert "COUNT: 0" in found
    assert "BYDAY: 'XX'" in found


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"BEGIN:VCALENDAR", "expected a str, got bytes; decode it as UTF-8 first"),
        (None, "expected a str, got NoneType"),
        ("BEGIN:VCALENDAR\0", "holds a NUL character"),
        ("BEGIN:VCALENDAR\ud800", "holds half of a surrogate pair"),
        ("x" * (MAX_TEXT + 1), "1048577 characters long, the most is 1048576"),
    ],
)
def test_what_is_no_text_is_refused_before_it_is_read(value: Any, reason: str) -> None:
    assert reason in problem(value)
    with pytest.raises(ValidationError, match=reason):
        events_in(value)


def test_too_many_lines_are_refused() -> None:
    text = of(START, *["X-A:1"] * MAX_ENTRIES)
    assert "more than 10000 lines" in problem(text)


def test_a_line_too_long_is_refused_however_it_is_folded() -> None:
    assert "longer than 65536" in problem(of(START, "X-A:" + "1" * MAX_LINE))
    assert "longer than 65536" in problem(of(START, "X-A:" + "\r\n 1" * MAX_LINE))
    assert runs_of(of(START, "X-A:" + "1" * (MAX_LINE - 4)))


def test_components_nested_too_deep_are_refused() -> None:
    found = problem("BEGIN:VCALENDAR\n" + "BEGIN:VEVENT\n" * 5_000)
    assert "line 9: components are nested deeper than 8" in found


@pytest.mark.parametrize(
    "line",
    [
        "X" + " " * 60_000,
        " " * 60_000 + "X",
        'DTSTART;A="' + '"' * 60_000,
        "DTSTART" + ";A=b" * 15_000,
        "DTSTART;A=" + '"a' * 30_000,
        "DTSTART:" + "2" * 60_000,
        "DTSTART;TZID=" + "/a" * 30_000 + ":20260105T090000",
        START + "\nRRULE:FREQ=DAILY;BYHOUR=" + "1," * 30_000,
        START + "\nEXDATE:" + "," * 60_000,
        START + "\nSEQUENCE:1\nRRULE:" + "FREQ=DAILY;" * 5_000,
    ],
)
def test_lines_made_to_be_slow_are_not(line: str) -> None:
    assert problem(of(line)).startswith("ics: ")


def test_more_rules_than_people_need_are_refused() -> None:
    rules = [f"RRULE:FREQ=DAILY;INTERVAL={n}" for n in range(1, 30)]
    assert "more than 8 RRULEs" in problem(of(START, *rules))


def test_more_changes_than_people_need_are_refused() -> None:
    day = [f"2026{1 + n // 28:02}{1 + n % 28:02}T090000Z" for n in range(60)]
    turns = [
        event(f"RECURRENCE-ID;RANGE=THISANDFUTURE:{each}", f"DTSTART:{each}")
        for each in day
    ]
    text = file(event("DTSTART:20260101T090000Z", "RRULE:FREQ=DAILY"), *turns)
    assert "more than 50 RANGE=THISANDFUTURE" in problem(text)


def test_zones_made_to_be_slow_are_refused() -> None:
    part = (
        "BEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:+0100\n"
        "TZOFFSETTO:+0100\nRRULE:FREQ={freq};BYMONTH=2;BYMONTHDAY=30\nEND:STANDARD\n"
    )
    zones = [
        f"BEGIN:VTIMEZONE\nTZID:Z{n}\n{part.format(freq=freq) * 40}END:VTIMEZONE"
        for n, freq in enumerate(["YEARLY", "MONTHLY"] * 2)
    ]
    used = [f"RDATE;TZID=Z{n}:20260105T090000" for n in range(4)]
    found = problem(file(*zones, event("DTSTART;TZID=Z0:20260105T090000", *used)))
    assert "time zones have unknown names" in found


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SECONDLY",
        "FREQ=SECONDLY;COUNT=100000",
        "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;INTERVAL=7;BYDAY=TU",
    ],
)
def test_a_series_is_not_counted_out_to_be_read(rule: str) -> None:
    began = process_time()
    calendar = Calendar.from_ics(of(START, f"RRULE:{rule}"))
    assert process_time() - began < 1.5
    assert calendar.rules


def test_many_dates_and_overrides_are_read_in_no_time() -> None:
    dates = [
        f"2026{1 + n % 12:02}{1 + n % 28:02}T{n % 24:02}{n % 60:02}{n // 60 % 60:02}Z"
        for n in range(30_000)
    ]
    lines = [
        "EXDATE:" + ",".join(dates[at : at + 3_000]) for at in range(0, 30_000, 3_000)
    ]
    moved = [
        event(
            f"RECURRENCE-ID:2026{1 + n // 28:02}{1 + n % 28:02}T100000Z",
            "DTSTART:20270101T000000Z",
        )
        for n in range(330)
    ]
    rules = [
        f"RRULE:FREQ=SECONDLY;INTERVAL=604800;BYDAY=FR;BYHOUR={n}" for n in range(6)
    ]
    began = process_time()
    calendar = Calendar.from_ics(file(event(START, *rules, *lines), *moved))
    assert process_time() - began < PATIENCE
    assert len(calendar.rules) == 7


def described(*lines: str) -> str:
    """Return a file whose event is in a zone that only the file knows."""
    zone = "\r\n".join(["BEGIN:VTIMEZONE", "TZID:Z", *lines, "END:VTIMEZONE"])
    return file(zone, event("DTSTART;TZID=Z:20260105T090000"))


STANDARD = ("BEGIN:STANDARD", "DTSTART:19700101T000000")
OFFSETS = ("TZOFFSETFROM:+0100", "TZOFFSETTO:+0100")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ((), "ics: line 9: TZID 'Z' is no zone of the IANA database"),
        ((*STANDARD, "END:STANDARD"), "line 6: STANDARD lacks DTSTART, TZOFFSETFROM"),
        (
            (*STANDARD, "TZOFFSETFROM:1", "TZOFFSETTO:+0100", "END:STANDARD"),
            "no offset",
        ),
        (("BEGIN:X", "DTSTART:20260101", *OFFSETS, "END:X"), "no date with a time"),
        ((*STANDARD, *OFFSETS, "RRULE:FREQ=X", "END:STANDARD"), "line 10: RRULE: FREQ"),
        (
            (*STANDARD, *OFFSETS, "RRULE:FREQ=SECONDLY", "END:STANDARD"),
            "line 10: RRULE: no clock change repeats like that",
        ),
        (["BEGIN:X", "END:X"] * 51, "ics: line 4: a VTIMEZONE has too many parts"),
    ],
)
def test_a_damaged_zone_is_refused_where_it_is_needed(
    lines: list[str], reason: str
) -> None:
    assert reason in problem(described(*lines))


def test_moments_beyond_the_years_of_a_calendar_are_refused() -> None:
    text = of("DTSTART:20260105T090000Z", "RDATE;TZID=Etc/GMT+5:99991231T233000")
    assert "outside the years 1 to 9999" in problem(text)


def test_more_dates_than_a_calendar_holds_are_refused() -> None:
    lines = [
        "EXDATE:"
        + ",".join(
            f"{year:04}{month:02}{day:02}"
            for year in range(first, first + 20)
            for month in range(1, 13)
            for day in range(1, 26)
        )
        for first in range(1, 381, 20)
    ]
    text = of(START, "RRULE:FREQ=DAILY", *lines)
    assert "more than 100000 EXDATE values" in problem(text)
    rules = [f"RRULE:FREQ=DAILY;INTERVAL={n}" for n in range(1, 6)]
    assert "too many EXDATEs" in problem(of(START, *rules, *lines[:10]))
    turn = event("RECURRENCE-ID;RANGE=THISANDFUTURE:20260106T090000Z", START)
    moved = file(
        event(START, *rules[:3], *lines[:10]), turn, turn.replace("06T", "07T")
    )
    assert "too many RDATEs and EXDATEs for so many changes" in problem(moved)


def test_more_changes_that_no_rule_says_than_people_need_are_refused() -> None:
    turns = [
        event(
            f"RECURRENCE-ID;RANGE=THISANDFUTURE:202601{day:02}T090000Z",
            f"DTSTART:202601{day:02}T100000Z",
        )
        for day in range(6, 20)
    ]
    rule = "RRULE:FREQ=MINUTELY;BYHOUR=9;BYMINUTE=0;COUNT=30"
    assert "too many changes of rules" in problem(file(event(START, rule), *turns))


def test_parts_of_one_calendar_must_have_one_zone() -> None:
    part = "X-TRIOQUEUE-PART:1"
    rule = "RRULE:FREQ=DAILY"
    text = file(
        event(START, part, rule),
        event("DTSTART;TZID=Asia/Tokyo:20260101T090000", part, rule, uid="2"),
    )
    assert "different zones: UTC and Asia/Tokyo" in problem(text)
    alone = text.replace(f"{part}\r\n{rule}", part, 1)
    assert Calendar.from_ics(alone).tz == "Asia/Tokyo"
