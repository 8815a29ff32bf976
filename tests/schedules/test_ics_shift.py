"""A rule that is moved along the wall gives every time so much later."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from trioqueue.schedules.ics_shift import shifted_rule
from trioqueue.schedules.recurrence import RuleWalls
from trioqueue.schedules.rrule import parse_rrule
from trioqueue.schedules.wall_clock import wall_of, zone_of

PARIS = zone_of("Europe/Paris")


def walls(text: str, start: datetime) -> list[int]:
    """Return the first wall times of a rule."""
    first = wall_of(start)
    return list(islice(RuleWalls(parse_rrule(text), first).walls_from(first), 60))


parts = st.lists(
    st.sampled_from(
        [
            "BYDAY=MO,TH",
            "BYDAY=1MO,-1FR",
            "BYMONTH=2,7",
            "BYMONTHDAY=1,15",
            "BYMONTHDAY=-1",
            "BYYEARDAY=40",
            "BYHOUR=9,21",
            "BYMINUTE=0,30",
            "BYSETPOS=-1",
            "WKST=WE",
            "INTERVAL=3",
            "COUNT=20",
        ]
    ),
    max_size=3,
    unique_by=lambda part: part.partition("=")[0],
)
starts = st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 31)).map(
    lambda moment: moment.replace(second=0, microsecond=0)
)
spans = st.one_of(
    st.integers(-10, 10).map(lambda days: timedelta(days=days)),
    st.integers(-60, 60).map(lambda hours: timedelta(hours=hours)),
    st.integers(-300, 300).map(lambda minutes: timedelta(minutes=minutes)),
)


@settings(max_examples=600, deadline=None)
@given(
    frequency=st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY"]),
    more=parts,
    start=starts,
    delta=spans,
)
def test_a_moved_rule_gives_the_times_moved(
    frequency: str, more: list[str], start: datetime, delta: timedelta
) -> None:
    text = ";".join([f"FREQ={frequency}", *more])
    try:
        rule = parse_rrule(text)
    except ValueError:
        event("forbidden")
        return
    moved = shifted_rule(rule, start, delta, PARIS)
    if moved is None:
        event("no rule says it")
        return
    event("moved")
    later = delta // timedelta(seconds=1)
    expected = [wall + later for wall in walls(text, start)]
    assert walls(str(moved), start + delta) == expected


@pytest.mark.parametrize(
    ("text", "delta", "expected"),
    [
        ("DAILY;UNTIL=20260401T000000", timedelta(hours=1), "UNTIL=20260401T010000"),
        # 01:00 on the wall, on the day of the clock change and the day after.
        ("DAILY;UNTIL=20260329T000000Z", timedelta(days=1), "UNTIL=20260330T010000"),
        ("DAILY;UNTIL=20260401", timedelta(days=2), "UNTIL=20260403T235959"),
        ("WEEKLY;BYDAY=SA,SU", timedelta(days=1), "BYDAY=MO,SU;WKST=TU"),
        ("MONTHLY;BYMONTHDAY=27", timedelta(days=1), "BYMONTHDAY=28"),
        ("YEARLY;BYMONTH=2;BYMONTHDAY=3", timedelta(days=-2), "BYMONTHDAY=1"),
    ],
)
def test_every_part_that_says_when_is_moved(
    text: str, delta: timedelta, expected: str
) -> None:
    rule = parse_rrule(f"FREQ={text}")
    moved = shifted_rule(rule, datetime(2026, 1, 3, 9), delta, PARIS)
    assert str(moved).endswith(expected)


@pytest.mark.parametrize(
    "text",
    [
        "MONTHLY;BYDAY=-1FR",
        "MONTHLY;BYMONTHDAY=28",
        "MONTHLY;BYMONTHDAY=-1",
        "YEARLY;BYYEARDAY=40",
        "YEARLY;BYMONTHDAY=5;BYDAY=FR",
        "DAILY;BYMONTH=1",
        "HOURLY;BYHOUR=9",
    ],
)
def test_what_no_rule_says_is_told(text: str) -> None:
    rule = parse_rrule(f"FREQ={text}")
    start = datetime(2026, 1, 3, 9)
    assert shifted_rule(rule, start, timedelta(days=1), PARIS) is None
