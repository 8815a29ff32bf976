"""All examples of RFC 5545 3.8.5.3, with the results that it prints.

Offsets are part of what is printed (EDT, EST), so they are compared too.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from tests.schedules.rrule_reference import Reference
from trioqueue.schedules.calendar import Calendar

ZONE: Final = "America/New_York"
SHOWN: Final = "%Y-%m-%d %H:%M %Z"
MONTHS: Final = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
EVERY_20_MINUTES: Final = [
    f"1997-09-0{day} {hour:02}:{minute:02} EDT"
    for day in (2, 3)
    for hour in range(9, 17)
    for minute in (0, 20, 40)
]


def wall(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%S")


def printed(*lines: str) -> list[str]:
    """Spell out "1997 EDT: Sep 2-5 9; Oct 1", all at nine in the morning."""
    runs: list[str] = []
    for line in lines:
        year, name, months = re.split(r"[ :]+", line, maxsplit=2)
        for month in months.split(";"):
            label, *days = month.split()
            for span in days:
                low, _, high = span.partition("-")
                runs += [
                    f"{year}-{MONTHS.index(label) // 4 + 1:02}-{day:02} 09:00 {name}"
                    for day in range(int(low), int(high or low) + 1)
                ]
    return runs


def ends(rule: str) -> bool:
    return "COUNT" in rule or "UNTIL" in rule


JANUARIES: Final = tuple(f"{year} EST: Jan 1-31" for year in (1998, 1999, 2000))
TEN_WEEKS: Final = (
    "1997 EDT: Sep 2 9 16 23 30; Oct 7 14 21",
    "1997 EST: Oct 28; Nov 4",
)
FIVE_WEEKS: Final = "1997 EDT: Sep 2 4 9 11 16 18 23 25 30; Oct 2"
# DTSTART, the rule, what is printed.
EXAMPLES: Final[list[tuple[str, str, list[str]]]] = [
    ("19970902", "FREQ=DAILY;COUNT=10", printed("1997 EDT: Sep 2-11")),
    (
        "19970902",
        "FREQ=DAILY;UNTIL=19971224T000000Z",
        printed(
            "1997 EDT: Sep 2-30; Oct 1-25",
            "1997 EST: Oct 26-31; Nov 1-30; Dec 1-23",
        ),
    ),
    (
        "19970902",
        "FREQ=DAILY;INTERVAL=2",
        printed(
            "1997 EDT: Sep 2 4 6 8 10 12 14 16 18 20 22 24 26 28 30; "
            "Oct 2 4 6 8 10 12 14 16 18 20 22 24",
            "1997 EST: Oct 26 28 30; "
            "Nov 1 3 5 7 9 11 13 15 17 19 21 23 25 27 29; Dec 1 3",
        ),
    ),
    (
        "19970902",
        "FREQ=DAILY;INTERVAL=10;COUNT=5",
        printed("1997 EDT: Sep 2 12 22; Oct 2 12"),
    ),
    (
        "19980101",
        "FREQ=YEARLY;UNTIL=20000131T140000Z;BYMONTH=1;BYDAY=SU,MO,TU,WE,TH,FR,SA",
        printed(*JANUARIES),
    ),
    (
        "19980101",
        "FREQ=DAILY;UNTIL=20000131T140000Z;BYMONTH=1",
        printed(*JANUARIES),
    ),
    ("19970902", "FREQ=WEEKLY;COUNT=10", printed(*TEN_WEEKS)),
    (
        "19970902",
        "FREQ=WEEKLY;UNTIL=19971224T000000Z",
        printed(
            "1997 EDT: Sep 2 9 16 23 30; Oct 7 14 21",
            "1997 EST: Oct 28; Nov 4 11 18 25; Dec 2 9 16 23",
        ),
    ),
    (
        "19970902",
        "FREQ=WEEKLY;INTERVAL=2;WKST=SU",
        printed(
            "1997 EDT: Sep 2 16 30; Oct 14",
            "1997 EST: Oct 28; Nov 11 25; Dec 9 23",
            "1998 EST: Jan 6 20; Feb 3",
        ),
    ),
    (
        "19970902",
        "FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH",
        printed(FIVE_WEEKS),
    ),
    (
        "19970902",
        "FREQ=WEEKLY;COUNT=10;WKST=SU;BYDAY=TU,TH",
        printed(FIVE_WEEKS),
    ),
    (
        "19970901",
        "FREQ=WEEKLY;INTERVAL=2;UNTIL=19971224T000000Z;WKST=SU;BYDAY=MO,WE,FR",
        printed(
            "1997 EDT: Sep 1 3 5 15 17 19 29; Oct 1 3 13 15 17",
            "1997 EST: Oct 27 29 31; Nov 10 12 14 24 26 28; Dec 8 10 12 22",
        ),
    ),
    (
        "19970902",
        "FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH",
        printed("1997 EDT: Sep 2 4 16 18 30; Oct 2 14 16"),
    ),
    (
        "19970905",
        "FREQ=MONTHLY;COUNT=10;BYDAY=1FR",
        printed(
            "1997 EDT: Sep 5; Oct 3",
            "1997 EST: Nov 7; Dec 5",
            "1998 EST: Jan 2; Feb 6; Mar 6; Apr 3",
            "1998 EDT: May 1; Jun 5",
        ),
    ),
    (
        "19970905",
        "FREQ=MONTHLY;UNTIL=19971224T000000Z;BYDAY=1FR",
        printed("1997 EDT: Sep 5; Oct 3", "1997 EST: Nov 7; Dec 5"),
    ),
    (
        "19970907",
        "FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU",
        printed(
            "1997 EDT: Sep 7 28",
            "1997 EST: Nov 2 30",
            "1998 EST: Jan 4 25; Mar 1 29",
            "1998 EDT: May 3 31",
        ),
    ),
    (
        "19970922",
        "FREQ=MONTHLY;COUNT=6;BYDAY=-2MO",
        printed(
            "1997 EDT: Sep 22; Oct 20",
            "1997 EST: Nov 17; Dec 22",
            "1998 EST: Jan 19; Feb 16",
        ),
    ),
    (
        "19970928",
        "FREQ=MONTHLY;BYMONTHDAY=-3",
        printed(
            "1997 EDT: Sep 28",
            "1997 EST: Oct 29; Nov 28; Dec 29",
            "1998 EST: Jan 29; Feb 26",
        ),
    ),
    (
        "19970902",
        "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=2,15",
        printed(
            "1997 EDT: Sep 2 15; Oct 2 15",
            "1997 EST: Nov 2 15; Dec 2 15",
            "1998 EST: Jan 2 15",
        ),
    ),
    (
        "19970930",
        "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1",
        printed(
            "1997 EDT: Sep 30; Oct 1",
            "1997 EST: Oct 31; Nov 1 30; Dec 1 31",
            "1998 EST: Jan 1 31; Feb 1",
        ),
    ),
    (
        "19970910",
        "FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15",
        printed("1997 EDT: Sep 10-15", "1999 EST: Mar 10-13"),
    ),
    (
        "19970902",
        "FREQ=MONTHLY;INTERVAL=2;BYDAY=TU",
        printed(
            "1997 EDT: Sep 2 9 16 23 30",
            "1997 EST: Nov 4 11 18 25",
            "1998 EST: Jan 6 13 20 27; Mar 3 10 17 24 31",
        ),
    ),
    (
        "19970610",
        "FREQ=YEARLY;COUNT=10;BYMONTH=6,7",
        printed(*(f"{year} EDT: Jun 10; Jul 10" for year in range(1997, 2002))),
    ),
    (
        "19970310",
        "FREQ=YEARLY;INTERVAL=2;COUNT=10;BYMONTH=1,2,3",
        printed(
            "1997 EST: Mar 10",
            *(f"{year} EST: Jan 10; Feb 10; Mar 10" for year in (1999, 2001, 2003)),
        ),
    ),
    (
        "19970101",
        "FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200",
        printed(
            "1997 EST: Jan 1",
            "1997 EDT: Apr 10; Jul 19",
            "2000 EST: Jan 1",
            "2000 EDT: Apr 9; Jul 18",
            "2003 EST: Jan 1",
            "2003 EDT: Apr 10; Jul 19",
            "2006 EST: Jan 1",
        ),
    ),
    (
        "19970519",
        "FREQ=YEARLY;BYDAY=20MO",
        printed("1997 EDT: May 19", "1998 EDT: May 18", "1999 EDT: May 17"),
    ),
    (
        "19970512",
        "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO",
        printed("1997 EDT: May 12", "1998 EDT: May 11", "1999 EDT: May 17"),
    ),
    (
        "19970313",
        "FREQ=YEARLY;BYMONTH=3;BYDAY=TH",
        printed(
            "1997 EST: Mar 13 20 27",
            "1998 EST: Mar 5 12 19 26",
            "1999 EST: Mar 4 11 18 25",
        ),
    ),
    (
        "19970605",
        "FREQ=YEARLY;BYDAY=TH;BYMONTH=6,7,8",
        printed(
            "1997 EDT: Jun 5 12 19 26; Jul 3 10 17 24 31; Aug 7 14 21 28",
            "1998 EDT: Jun 4 11 18 25; Jul 2 9 16 23 30; Aug 6 13 20 27",
            "1999 EDT: Jun 3 10 17 24; Jul 1 8 15 22 29; Aug 5 12 19 26",
        ),
    ),
    (
        "19970913",
        "FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13",
        printed(
            "1997 EDT: Sep 13; Oct 11",
            "1997 EST: Nov 8; Dec 13",
            "1998 EST: Jan 10; Feb 7; Mar 7",
            "1998 EDT: Apr 11; May 9; Jun 13",
        ),
    ),
    (
        "19961105",
        "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
        printed("1996 EST: Nov 5", "2000 EST: Nov 7", "2004 EST: Nov 2"),
    ),
    (
        "19970904",
        "FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3",
        printed("1997 EDT: Sep 4; Oct 7", "1997 EST: Nov 6"),
    ),
    (
        "19970929",
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2",
        printed(
            "1997 EDT: Sep 29",
            "1997 EST: Oct 30; Nov 27; Dec 30",
            "1998 EST: Jan 29; Feb 26; Mar 30",
        ),
    ),
    (
        # As corrected by erratum 3883: five in the afternoon there is 21:00 UTC.
        "19970902",
        "FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T210000Z",
        [f"1997-09-02 {hour:02}:00 EDT" for hour in (9, 12, 15)],
    ),
    (
        # As printed in 2009: 17:00 UTC is one in the afternoon there.
        "19970902",
        "FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T170000Z",
        [f"1997-09-02 {hour:02}:00 EDT" for hour in (9, 12)],
    ),
    (
        "19970902",
        "FREQ=MINUTELY;INTERVAL=15;COUNT=6",
        [f"1997-09-02 09:{minute} EDT" for minute in ("00", "15", "30", "45")]
        + ["1997-09-02 10:00 EDT", "1997-09-02 10:15 EDT"],
    ),
    (
        "19970902",
        "FREQ=MINUTELY;INTERVAL=90;COUNT=4",
        [f"1997-09-02 {at} EDT" for at in ("09:00", "10:30", "12:00", "13:30")],
    ),
    (
        "19970902",
        "FREQ=DAILY;BYHOUR=9,10,11,12,13,14,15,16;BYMINUTE=0,20,40",
        EVERY_20_MINUTES,
    ),
    (
        "19970902",
        "FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,10,11,12,13,14,15,16",
        EVERY_20_MINUTES,
    ),
    (
        "19970805",
        "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO",
        printed("1997 EDT: Aug 5 10 19 24"),
    ),
    (
        "19970805",
        "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU",
        printed("1997 EDT: Aug 5 17 19 31"),
    ),
    (
        "20070115",
        "FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5",
        printed("2007 EST: Jan 15 30; Feb 15", "2007 EDT: Mar 15 30"),
    ),
]
CASES = pytest.mark.parametrize(
    ("start", "rule", "expected"), EXAMPLES, ids=[case[1] for case in EXAMPLES]
)


@CASES
def test_an_example_of_the_rfc_runs_when_the_rfc_says(
    start: str, rule: str, expected: list[str]
) -> None:
    dtstart = wall(f"{start}T090000")
    calendar = Calendar.from_rrule(rule, dtstart=dtstart, tz=ZONE)
    before = dtstart.replace(tzinfo=UTC) - timedelta(days=1000)
    runs = calendar.preview(len(expected) + 1, before)
    shown = [run.strftime(SHOWN) for run in runs]
    assert shown[: len(expected)] == expected
    assert len(runs) == len(expected) + (not ends(rule))


@CASES
def test_the_reference_agrees_with_the_rfc(
    start: str, rule: str, expected: list[str]
) -> None:
    reference = Reference(rule, wall(f"{start}T090000"), ZONE)
    periods = {"YEARLY": 20, "DAILY": 800, "MINUTELY": 2_000}.get(
        reference.parts["FREQ"], 120
    )
    runs = [run.astimezone(reference.zone) for run in reference.runs(periods)]
    assert [run.strftime(SHOWN) for run in runs[: len(expected)]] == expected
    assert (len(runs) == len(expected)) is ends(rule)


def test_friday_the_13th_leaves_out_a_start_that_is_none() -> None:
    dtstart = wall("19970902T090000")
    calendar = Calendar.from_rrule(
        "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
        dtstart=dtstart,
        tz=ZONE,
        exdates=[dtstart],
    )
    runs = calendar.preview(5, datetime(1997, 1, 1, tzinfo=UTC))
    assert [run.strftime(SHOWN) for run in runs] == printed(
        "1998 EST: Feb 13; Mar 13; Nov 13", "1999 EDT: Aug 13", "2000 EDT: Oct 13"
    )
