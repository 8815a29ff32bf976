"""RANGE=THISANDFUTURE: a series that changes from one instance on."""

from __future__ import annotations

import pytest

from tests.schedules.ics_text import NEW_YORK, PARIS, event, file, notes_of, runs_of
from trioqueue.errors import ValidationError
from trioqueue.schedules import Calendar

MONDAYS = event(f"DTSTART;{NEW_YORK}:20260105T090000", "RRULE:FREQ=WEEKLY;COUNT=5")
"""5, 12, 19, 26 January, 2 February 2026."""


def turn(old: str, new: str, *lines: str) -> str:
    """Return an override from an instance on."""
    return event(
        f"RECURRENCE-ID;RANGE=THISANDFUTURE;{NEW_YORK}:{old}",
        f"DTSTART;{NEW_YORK}:{new}",
        *lines,
    )


def test_later_instances_move_by_the_same_amount() -> None:
    text = file(MONDAYS, turn("20260119T090000", "20260120T103000"))
    assert runs_of(text) == [
        "2026-01-05 09:00-0500",
        "2026-01-12 09:00-0500",
        "2026-01-20 10:30-0500",
        "2026-01-27 10:30-0500",
        "2026-02-03 10:30-0500",
    ]


def test_instances_may_move_to_before_the_change() -> None:
    text = file(MONDAYS, turn("20260119T090000", "20260117T090000"))
    assert runs_of(text)[1:4] == [
        "2026-01-12 09:00-0500",
        "2026-01-17 09:00-0500",
        "2026-01-24 09:00-0500",
    ]


def test_a_change_with_its_own_rule_goes_on_by_it() -> None:
    text = file(
        MONDAYS, turn("20260119T090000", "20260121T080000", "RRULE:FREQ=DAILY;COUNT=2")
    )
    assert runs_of(text) == [
        "2026-01-05 09:00-0500",
        "2026-01-12 09:00-0500",
        "2026-01-21 08:00-0500",
        "2026-01-22 08:00-0500",
    ]


def test_a_cancelled_change_ends_the_series() -> None:
    text = file(MONDAYS, turn("20260119T090000", "20260119T090000", "STATUS:CANCELLED"))
    assert runs_of(text) == ["2026-01-05 09:00-0500", "2026-01-12 09:00-0500"]


def test_two_changes_both_count_from_the_first_series() -> None:
    text = file(
        MONDAYS,
        turn("20260126T090000", "20260126T110000"),
        turn("20260112T090000", "20260112T100000"),
    )
    assert runs_of(text) == [
        "2026-01-05 09:00-0500",
        "2026-01-12 10:00-0500",
        "2026-01-19 10:00-0500",
        "2026-01-26 11:00-0500",
        "2026-02-02 11:00-0500",
    ]


def test_single_overrides_after_a_change_name_the_first_series() -> None:
    text = file(
        MONDAYS,
        turn("20260112T090000", "20260112T100000"),
        event(
            f"RECURRENCE-ID;{NEW_YORK}:20260119T090000",
            f"DTSTART;{NEW_YORK}:20260119T230000",
        ),
        event(f"RECURRENCE-ID;{NEW_YORK}:20260126T090000", "STATUS:CANCELLED"),
    )
    assert runs_of(text) == [
        "2026-01-05 09:00-0500",
        "2026-01-12 10:00-0500",
        "2026-01-19 23:00-0500",
        "2026-02-02 10:00-0500",
    ]


def test_exdates_and_rdates_move_along() -> None:
    text = file(
        event(
            f"DTSTART;{NEW_YORK}:20260105T090000",
            "RRULE:FREQ=WEEKLY;COUNT=4",
            "EXDATE:20260126T140000Z",
            f"RDATE;{NEW_YORK}:20260121T120000,20260106T120000",
        ),
        turn("20260119T090000", "20260119T100000"),
    )
    assert runs_of(text) == [
        "2026-01-05 09:00-0500",
        "2026-01-06 12:00-0500",
        "2026-01-12 09:00-0500",
        "2026-01-19 10:00-0500",
        "2026-01-21 13:00-0500",
    ]


@pytest.mark.parametrize(
    ("rule", "old", "new", "later"),
    [
        ("DAILY;UNTIL=20260114T140000Z", "0113T09", "0114T08", ["14 08", "15 08"]),
        ("DAILY;BYHOUR=9,10;UNTIL=20260113", "0113T09", "0113T11", ["13 11", "13 12"]),
        ("HOURLY;INTERVAL=2;COUNT=3", "0105T11", "0105T12", ["05 12", "05 14"]),
        ("MONTHLY;COUNT=1", "0105T09", "0107T09", ["07 09"]),
        ("WEEKLY;BYDAY=MO,WE;COUNT=4", "0112T09", "0113T09", ["13 09", "15 09"]),
        # No RRULE says this, but it ends.
        ("MONTHLY;BYDAY=1MO,2MO;COUNT=2", "0112T09", "0113T09", ["13 09"]),
        ("HOURLY;BYHOUR=9,23;COUNT=2", "0105T23", "0106T01", ["06 01"]),
    ],
)
def test_every_kind_of_rule_moves(
    rule: str, old: str, new: str, later: list[str]
) -> None:
    text = file(
        event(f"DTSTART;{NEW_YORK}:20260105T090000", f"RRULE:FREQ={rule}"),
        turn(f"2026{old}0000", f"2026{new}0000"),
    )
    expected = [f"2026-01-{each}:00-0500" for each in later]
    assert runs_of(text)[-len(later) :] == expected


def test_days_that_are_named_move_over_midnight_with_their_runs() -> None:
    text = file(
        event(
            f"DTSTART;{NEW_YORK}:20260105T230000",
            "RRULE:FREQ=DAILY;UNTIL=20260109",
            "EXDATE;VALUE=DATE:20260107",
            "RDATE;VALUE=DATE:20260120",
        ),
        turn("20260106T230000", "20260107T010000"),
    )
    assert runs_of(text) == [
        "2026-01-05 23:00-0500",
        "2026-01-07 01:00-0500",
        "2026-01-09 01:00-0500",
        "2026-01-10 01:00-0500",
        "2026-01-21 01:00-0500",
    ]


def test_a_move_that_no_rule_says_and_never_ends_is_refused() -> None:
    text = file(
        event(f"DTSTART;{NEW_YORK}:20260130T090000", "RRULE:FREQ=MONTHLY;BYDAY=-1FR"),
        turn("20260227T090000", "20260228T090000"),
    )
    with pytest.raises(ValidationError, match="BYDAY=-1FR so that no RRULE"):
        Calendar.from_ics(text)


def test_a_change_from_no_instance_on_runs_at_its_own_time_too() -> None:
    text = file(MONDAYS, turn("20260120T090000", "20260120T100000"))
    assert runs_of(text)[2:] == [
        "2026-01-19 09:00-0500",
        "2026-01-20 10:00-0500",
        "2026-01-26 10:00-0500",
        "2026-02-02 10:00-0500",
    ]


def test_an_rrule_of_a_single_override_is_left_aside() -> None:
    text = file(
        MONDAYS,
        event(
            f"RECURRENCE-ID;{NEW_YORK}:20260112T090000",
            f"DTSTART;{PARIS}:20260112T100000",
            "RRULE:FREQ=DAILY",
        ),
    )
    assert len(runs_of(text)) == 5
    assert "only RANGE=THISANDFUTURE may" in notes_of(text)
