"""Whole iCalendar files as RFC 5545 has them."""

from __future__ import annotations

import pytest

from tests.schedules.ics_text import NEW_YORK, PARIS, event, file, notes_of, of, runs_of
from trioqueue.errors import ValidationError
from trioqueue.schedules import Calendar, Reschedule, Skip

WEEKLY = (f"DTSTART;{NEW_YORK}:20260105T090000", "RRULE:FREQ=WEEKLY;COUNT=4")
"""Mondays: 5, 12, 19, 26 January 2026."""


def test_a_single_event_runs_once() -> None:
    assert runs_of(of(f"DTSTART;{PARIS}:20260701T120000")) == ["2026-07-01 12:00+0200"]


def test_a_period_runs_at_its_start() -> None:
    text = of(
        "DTSTART:20260101T090000Z",
        "RDATE;VALUE=PERIOD:20260103T090000Z/PT1H,20260102T080000Z/20260102T100000Z",
    )
    assert runs_of(text) == [
        "2026-01-01 09:00+0000",
        "2026-01-02 08:00+0000",
        "2026-01-03 09:00+0000",
    ]


def test_a_date_as_rdate_runs_at_the_time_of_dtstart() -> None:
    text = of(f"DTSTART;{PARIS}:20260101T090000", "RDATE;VALUE=DATE:20260704")
    assert runs_of(text) == ["2026-01-01 09:00+0100", "2026-07-04 09:00+0200"]


def test_an_exdate_removes_an_instant_whatever_its_zone() -> None:
    text = of(
        *WEEKLY,
        "EXDATE:20260112T140000Z",
        f"EXDATE;{PARIS}:20260119T150000,20260126T160000",
    )
    # 16:00 in Paris is 10:00 in New York, where nothing runs.
    assert runs_of(text) == ["2026-01-05 09:00-0500", "2026-01-26 09:00-0500"]


def test_an_exdate_may_remove_dtstart_and_count_is_not_made_up_for() -> None:
    text = of(*WEEKLY, f"EXDATE;{NEW_YORK}:20260105T090000")
    assert runs_of(text) == [
        "2026-01-12 09:00-0500",
        "2026-01-19 09:00-0500",
        "2026-01-26 09:00-0500",
    ]


def test_an_exdate_beats_an_rdate() -> None:
    text = of(
        "DTSTART:20260101T090000Z",
        "RDATE:20260102T090000Z,20260103T090000Z",
        "EXDATE:20260102T090000Z",
    )
    assert runs_of(text) == ["2026-01-01 09:00+0000", "2026-01-03 09:00+0000"]


def test_an_override_moves_one_instance_and_keeps_its_name() -> None:
    text = file(
        event(*WEEKLY),
        event(
            f"RECURRENCE-ID;{NEW_YORK}:20260112T090000",
            f"DTSTART;{NEW_YORK}:20260113T170000",
        ),
    )
    assert runs_of(text, 3) == [
        "2026-01-05 09:00-0500",
        "2026-01-13 17:00-0500",
        "2026-01-19 09:00-0500",
    ]
    (exception,) = Calendar.from_ics(text).exceptions
    assert isinstance(exception, Reschedule)
    assert exception.date.isoformat() == "2026-01-12T09:00:00"


def test_an_override_is_found_by_its_instant_in_any_zone() -> None:
    text = file(
        event(f"RECURRENCE-ID;{PARIS}:20260112T150000", "DTSTART:20260112T180000Z"),
        event(*WEEKLY),
    )
    assert runs_of(text, 2) == ["2026-01-05 09:00-0500", "2026-01-12 13:00-0500"]


def test_an_override_that_only_renames_changes_nothing() -> None:
    moment = f"{NEW_YORK}:20260112T090000"
    text = file(
        event(*WEEKLY),
        event(f"RECURRENCE-ID;{moment}", f"DTSTART;{moment}", "SUMMARY:Other"),
    )
    assert runs_of(text) == runs_of(of(*WEEKLY))
    assert Calendar.from_ics(text).exceptions == ()


def test_a_cancelled_override_removes_its_instance() -> None:
    text = file(
        event(*WEEKLY),
        event(f"RECURRENCE-ID;{NEW_YORK}:20260119T090000", "STATUS:CANCELLED"),
    )
    assert runs_of(text) == [
        "2026-01-05 09:00-0500",
        "2026-01-12 09:00-0500",
        "2026-01-26 09:00-0500",
    ]
    (exception,) = Calendar.from_ics(text).exceptions
    assert isinstance(exception, Skip)


def test_a_cancelled_event_is_refused() -> None:
    with pytest.raises(ValidationError, match="event '1' is cancelled"):
        Calendar.from_ics(of(*WEEKLY, "STATUS:CANCELLED"))
    with pytest.raises(ValidationError, match="event '1' is cancelled"):
        Calendar.from_ics(file("METHOD:CANCEL", event(*WEEKLY)))


@pytest.mark.parametrize("turned", [False, True])
def test_the_highest_sequence_wins_wherever_it_stands(turned: bool) -> None:
    events = [
        event("SEQUENCE:2", "DTSTART:20260301T100000Z"),
        event("SEQUENCE:10", "DTSTART:20260401T110000Z", "RRULE:FREQ=DAILY;COUNT=2"),
        event(
            "SEQUENCE:1", "RECURRENCE-ID:20260402T110000Z", "DTSTART:20260402T120000Z"
        ),
        event(
            "SEQUENCE:0", "RECURRENCE-ID:20260402T110000Z", "DTSTART:20260402T130000Z"
        ),
    ]
    text = file(*(reversed(events) if turned else events))
    assert runs_of(text) == ["2026-04-01 11:00+0000", "2026-04-02 12:00+0000"]


def test_of_equal_sequences_the_one_written_last_wins() -> None:
    text = file(
        event("DTSTAMP:20260202T000000Z", "DTSTART:20260301T100000Z"),
        event("DTSTAMP:20260101T000000Z", "DTSTART:20260401T100000Z"),
    )
    assert runs_of(text) == ["2026-03-01 10:00+0000"]


def test_an_override_outside_of_the_series_runs_and_is_noted() -> None:
    text = file(
        event(*WEEKLY),
        event("RECURRENCE-ID:20260301T000000Z", "DTSTART:20260302T140000Z"),
        event("RECURRENCE-ID:20260401T000000Z", "STATUS:CANCELLED"),
    )
    assert runs_of(text)[3:] == ["2026-01-26 09:00-0500", "2026-03-02 09:00-0500"]
    assert "no instance of the series; it runs nevertheless" in notes_of(text)
    assert "cancels an instance that the series does not have" in notes_of(text)


def test_overrides_without_their_series_run_by_themselves() -> None:
    text = of("RECURRENCE-ID:20260301T000000Z", "DTSTART:20260302T140000Z")
    assert runs_of(text) == ["2026-03-02 14:00+0000"]
    assert "not the series" in notes_of(text)


def test_two_rules_are_united_and_common_instances_run_once() -> None:
    text = of(
        "DTSTART:20260101T090000Z",
        "RRULE:FREQ=DAILY;INTERVAL=2;COUNT=3",
        "RRULE:FREQ=DAILY;INTERVAL=4;COUNT=3",
        "EXDATE:20260105T090000Z",
    )
    # 1, 3, 5 and 1, 5, 9; the 5th is left out of both.
    assert runs_of(text) == [
        "2026-01-01 09:00+0000",
        "2026-01-03 09:00+0000",
        "2026-01-09 09:00+0000",
    ]


def test_dtstart_runs_and_uses_up_one_of_count_though_the_rule_lacks_it() -> None:
    # A Thursday; the rule gives Mondays.
    text = of("DTSTART:20260101T090000Z", "RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=3")
    assert runs_of(text) == [
        "2026-01-01 09:00+0000",
        "2026-01-05 09:00+0000",
        "2026-01-12 09:00+0000",
    ]
    assert "does not yield DTSTART" in notes_of(text)


def test_a_count_of_one_is_used_up_by_dtstart() -> None:
    text = of("DTSTART:20260101T090000Z", "RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=1")
    assert runs_of(text) == ["2026-01-01 09:00+0000"]


def test_dtstart_runs_even_after_until() -> None:
    text = of("DTSTART:20260110T090000Z", "RRULE:FREQ=DAILY;UNTIL=20260105T090000Z")
    assert runs_of(text) == ["2026-01-10 09:00+0000"]


@pytest.mark.parametrize(
    ("until", "count"), [("20260119T140000Z", 3), ("20260119T135959Z", 2)]
)
def test_until_is_included_to_the_second(until: str, count: int) -> None:
    text = of(WEEKLY[0], f"RRULE:FREQ=WEEKLY;UNTIL={until}")
    assert len(runs_of(text)) == count


def test_a_series_keeps_its_wall_time_across_clock_changes() -> None:
    text = of(f"DTSTART;{NEW_YORK}:20260306T023000", "RRULE:FREQ=DAILY;COUNT=4")
    assert runs_of(text) == [
        "2026-03-06 02:30-0500",
        "2026-03-07 02:30-0500",
        "2026-03-08 03:30-0400",
        "2026-03-09 02:30-0400",
    ]


def test_a_series_in_utc_stays_in_utc() -> None:
    text = of("DTSTART:20260307T140000Z", "RRULE:FREQ=DAILY;COUNT=2")
    assert runs_of(text) == ["2026-03-07 14:00+0000", "2026-03-08 14:00+0000"]


def test_an_all_day_series_runs_at_midnight_in_the_zone_of_the_file() -> None:
    text = file(
        "X-WR-TIMEZONE:Europe/Paris",
        event(
            "DTSTART;VALUE=DATE:20260328",
            "RRULE:FREQ=DAILY;COUNT=4",
            "EXDATE;VALUE=DATE:20260330",
        ),
        event("RECURRENCE-ID;VALUE=DATE:20260331", "DTSTART;VALUE=DATE:20260402"),
    )
    assert runs_of(text) == [
        "2026-03-28 00:00+0100",
        "2026-03-29 00:00+0100",
        "2026-04-02 00:00+0200",
    ]


def test_one_of_several_events_is_chosen_by_uid() -> None:
    events = [
        event(f"DTSTART:202601{day:02}T090000Z", uid=f"event-{day}")
        for day in range(1, 13)
    ]
    assert runs_of(file(*events), uid="event-7") == ["2026-01-07 09:00+0000"]
    with pytest.raises(ValidationError, match=r"'event-1', .*'event-10' and 2 more"):
        Calendar.from_ics(file(*events))
    with pytest.raises(ValidationError, match="no event 'other'; there is 'event-1'"):
        Calendar.from_ics(file(*events), "other")
