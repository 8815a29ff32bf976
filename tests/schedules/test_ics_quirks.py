"""Files as other programs write them, with their time zones and line ends."""

from __future__ import annotations

import pytest

from tests.schedules.ics_text import NEW_YORK, PARIS, event, file, notes_of, of, runs_of
from trioqueue.errors import ValidationError
from trioqueue.schedules import Calendar

CENTRAL_EUROPE = (
    "BEGIN:VTIMEZONE",
    "TZID:{name}",
    "BEGIN:DAYLIGHT",
    "DTSTART:19810329T020000",
    "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU",
    "TZOFFSETFROM:+0100",
    "TZOFFSETTO:+0200",
    "END:DAYLIGHT",
    "BEGIN:STANDARD",
    "DTSTART:19961027T030000",
    "RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU",
    "TZOFFSETFROM:+0200",
    "TZOFFSETTO:+0100",
    "END:STANDARD",
    "END:VTIMEZONE",
)


def zone(name: str, *extra: str) -> str:
    """Return a VTIMEZONE with the clock changes of Central Europe."""
    lines = [line.format(name=name) for line in CENTRAL_EUROPE]
    return "\r\n".join([*lines[:2], *extra, *lines[2:]])


def fixed(name: str, offset: str) -> str:
    """Return a VTIMEZONE without clock changes."""
    return "\r\n".join(
        [
            "BEGIN:VTIMEZONE",
            f"TZID:{name}",
            "BEGIN:STANDARD",
            "DTSTART:16010101T000000",
            f"TZOFFSETFROM:{offset}",
            f"TZOFFSETTO:{offset}",
            "END:STANDARD",
            "END:VTIMEZONE",
        ]
    )


def test_google_until_as_a_date_ends_a_timed_series_with_that_day() -> None:
    text = of(f"DTSTART;{NEW_YORK}:20260105T200000", "RRULE:FREQ=DAILY;UNTIL=20260106")
    assert runs_of(text) == ["2026-01-05 20:00-0500", "2026-01-06 20:00-0500"]


def test_iphone_until_without_z_is_on_the_wall() -> None:
    text = of(
        f"DTSTART;{NEW_YORK}:20260105T200000", "RRULE:FREQ=DAILY;UNTIL=20260107T200000"
    )
    assert len(runs_of(text)) == 3


def test_until_in_utc_of_an_all_day_series_names_its_day() -> None:
    text = file(
        "X-WR-TIMEZONE:America/New_York",
        event("DTSTART;VALUE=DATE:20260105", "RRULE:FREQ=DAILY;UNTIL=20260107T000000Z"),
    )
    assert len(runs_of(text)) == 3


def test_an_exdate_without_time_removes_its_day_on_the_wall() -> None:
    text = of(
        f"DTSTART;{NEW_YORK}:20260105T230000",
        "RRULE:FREQ=HOURLY;COUNT=4",
        "EXDATE;VALUE=DATE:20260106",
    )
    assert runs_of(text) == ["2026-01-05 23:00-0500"]


def test_a_recurrence_id_without_time_names_the_run_of_its_day() -> None:
    text = file(
        event(f"DTSTART;{NEW_YORK}:20260105T200000", "RRULE:FREQ=DAILY;COUNT=3"),
        event(
            "RECURRENCE-ID;VALUE=DATE:20260106", f"DTSTART;{NEW_YORK}:20260109T070000"
        ),
    )
    assert runs_of(text) == [
        "2026-01-05 20:00-0500",
        "2026-01-07 20:00-0500",
        "2026-01-09 07:00-0500",
    ]


@pytest.mark.parametrize(
    ("tzid", "name"),
    [
        ("Europe/Paris", "Europe/Paris"),
        ('"Europe/Paris"', "Europe/Paris"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ('"Eastern Standard Time"', "America/New_York"),
        ("/freeassociation.sourceforge.net/Europe/Paris", "Europe/Paris"),
        ("/mozilla.org/20070129_1/America/Indiana/Knox", "America/Indiana/Knox"),
        ("/example.org/UTC", "UTC"),
    ],
)
def test_a_known_name_of_a_zone_needs_no_description(tzid: str, name: str) -> None:
    calendar = Calendar.from_ics(of(f"DTSTART;TZID={tzid}:20260105T090000"))
    assert calendar.tz == name


def test_a_known_name_wins_over_a_wrong_description() -> None:
    text = file(
        fixed("Europe/Paris", "-0900"), event(f"DTSTART;{PARIS}:20260105T090000")
    )
    assert runs_of(text) == ["2026-01-05 09:00+0100"]


def test_an_unknown_zone_is_the_one_with_the_same_clock_changes() -> None:
    text = file(
        zone("Customized Time Zone"),
        event(
            "DTSTART;TZID=Customized Time Zone:20260327T090000",
            "RRULE:FREQ=DAILY;COUNT=3",
        ),
    )
    assert runs_of(text) == [
        "2026-03-27 09:00+0100",
        "2026-03-28 09:00+0100",
        "2026-03-29 09:00+0200",
    ]
    assert "'Customized Time Zone' is taken as Europe/" in notes_of(text)


def test_a_zone_may_say_where_it_is() -> None:
    text = file(
        zone("Strange", "X-LIC-LOCATION:Europe/Zurich"),
        event("DTSTART;TZID=Strange:20260327T090000"),
    )
    assert Calendar.from_ics(text).tz == "Europe/Zurich"


def test_an_outlook_zone_with_a_colon_in_its_name_is_matched() -> None:
    name = "(UTC+05:30) Chennai, Kolkata"
    text = file(fixed(name, "+0530"), event(f'DTSTART;TZID="{name}":20260105T090000'))
    assert runs_of(text) == ["2026-01-05 09:00+0530"]


def test_a_zone_of_a_fixed_offset_is_matched() -> None:
    text = file(fixed("Mine", "-0500"), event("DTSTART;TZID=Mine:20260705T090000"))
    assert runs_of(text) == ["2026-07-05 09:00-0500"]
    assert Calendar.from_ics(text).tz == "Etc/GMT+5"


def test_a_zone_that_ends_and_begins_like_no_other_is_refused_by_name() -> None:
    text = file(fixed("Odd", "+0017"), event("DTSTART;TZID=Odd:20260105T090000"))
    with pytest.raises(ValidationError, match="'Odd' is no zone of the IANA database"):
        Calendar.from_ics(text)


def test_a_zone_that_nothing_describes_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match=r"line 6: TZID 'Mars/Olympus' is unknow"):
        Calendar.from_ics(of("DTSTART;TZID=Mars/Olympus:20260105T090000"))


def test_floating_times_are_in_the_zone_of_the_file() -> None:
    floating = event("DTSTART:20260705T090000")
    assert runs_of(file(floating)) == ["2026-07-05 09:00+0000"]
    text = file("X-WR-TIMEZONE:Europe/Paris", floating)
    assert runs_of(text) == ["2026-07-05 09:00+0200"]


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\r\r\n"])
def test_any_line_end_is_understood(end: str) -> None:
    text = of("DTSTART:20260105T090000Z", "RRULE:FREQ=DAILY;COUNT=2")
    assert len(runs_of(text.replace("\r\n", end))) == 2


@pytest.mark.parametrize("fold", ["\r\n ", "\n\t", "\r "])
def test_folded_lines_are_put_together_wherever_they_break(fold: str) -> None:
    text = of(
        f"DTST{fold}ART;TZID=Amer{fold}{fold}ica/New_York:2026{fold}0105T090000",
        f"RRULE:FREQ=DAILY;CO{fold}UNT=2",
    )
    assert runs_of(text) == ["2026-01-05 09:00-0500", "2026-01-06 09:00-0500"]


def test_small_letters_a_byte_order_mark_and_blank_lines_are_understood() -> None:
    text = of(
        "dtstart;tzid=Europe/Paris:20260105t090000", "", "rrule:freq=daily;count=2"
    )
    assert runs_of("\ufeff" + text.replace("BEGIN", "begin"))[1:] == [
        "2026-01-06 09:00+0100"
    ]


def test_alarms_and_other_components_are_left_aside() -> None:
    todo = "BEGIN:VTODO\r\nUID:2\r\nDTSTART:nonsense\r\nEND:VTODO"
    alarm = "BEGIN:VALARM\r\nTRIGGER:-PT5M\r\nDTSTART:nonsense\r\nEND:VALARM"
    text = file(todo, event("DTSTART:20260105T090000Z", alarm))
    assert runs_of(text) == ["2026-01-05 09:00+0000"]


def test_an_event_without_uid_is_named_after_its_place() -> None:
    text = file(
        "BEGIN:VEVENT", "DTSTART:20260105T090000Z", "END:VEVENT",
        "BEGIN:VEVENT", "DTSTART:20260106T090000Z", "END:VEVENT",
    )  # fmt: skip
    assert runs_of(text, uid="#2") == ["2026-01-06 09:00+0000"]


def test_two_calendars_in_one_file_keep_their_own_zones() -> None:
    first = file("X-WR-TIMEZONE:Europe/Paris", event("DTSTART:20260105T090000"))
    second = file(event("DTSTART:20260105T090000", uid="2"))
    assert runs_of(first + second, uid="1") == ["2026-01-05 09:00+0100"]
    assert runs_of(first + second, uid="2") == ["2026-01-05 09:00+0000"]


def test_a_leap_second_is_the_second_before() -> None:
    (rule,) = Calendar.from_ics(of("DTSTART:20161231T235960Z")).rules
    assert "2016, 12, 31, 23, 59, 59" in repr(rule)
