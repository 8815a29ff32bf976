"""RRULE texts that are refused, each with what is wrong, and odd ones that are not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trioqueue import ValidationError
from trioqueue.schedules.calendar import Calendar

START: Final = datetime(2026, 1, 1, 9, tzinfo=UTC).replace(tzinfo=None)
BEFORE: Final = datetime(2025, 1, 1, tzinfo=UTC)


def calendar(text: str) -> Calendar:
    return Calendar.from_rrule(text, dtstart=START)


def problems(text: str) -> str:
    """What the error says about a text."""
    with pytest.raises(ValidationError) as caught:
        calendar(text)
    assert caught.value.issues
    return str(caught.value)


# The text, and the words that its error has to have.
REFUSED: Final = [
    # The text as a whole.
    ("", "FREQ"),
    (" ", "FREQ"),
    ("RRULE:", "FREQ"),
    ("DAILY", "DAILY"),
    ("INTERVAL=2", "FREQ"),
    ("BYDAY=MO", "FREQ"),
    ("FREQ=DAILY;;COUNT=2", "part"),
    ("FREQ=DAILY,COUNT=2", "FREQ"),
    ("FREQ=DAILY COUNT=2", "FREQ"),
    ("FREQ=DAILY\nFREQ=WEEKLY", "FREQ"),
    ("FREQ=DAILY;BYEASTER=0", "BYEASTER"),
    ("FREQ=DAILY;X-SHORT=1", "X-SHORT"),
    ("FREQ=DAILY;COUNT", "COUNT"),
    ("FREQ=DAILY;=3", "part"),
    ("FREQ=DAILY;DTSTART=20260101", "DTSTART"),
    # Given twice.
    ("FREQ=DAILY;FREQ=DAILY", "FREQ twice"),
    ("FREQ=DAILY;COUNT=2;count=2", "COUNT twice"),
    ("FREQ=DAILY;BYHOUR=1;BYHOUR=2", "BYHOUR twice"),
    # FREQ, INTERVAL, COUNT, UNTIL, WKST.
    ("FREQ=", "FREQ"),
    ("FREQ=FORTNIGHTLY", "FREQ FORTNIGHTLY"),
    ("FREQ=DAILY;INTERVAL=0", "INTERVAL 0"),
    ("FREQ=DAILY;INTERVAL=-1", "INTERVAL -1"),
    ("FREQ=DAILY;INTERVAL=1.5", "INTERVAL 1.5"),
    ("FREQ=DAILY;INTERVAL=", "INTERVAL"),
    ("FREQ=DAILY;INTERVAL=99999999999999999999999999", "INTERVAL"),
    ("FREQ=DAILY;COUNT=0", "COUNT 0"),
    ("FREQ=DAILY;COUNT=-3", "COUNT -3"),
    ("FREQ=DAILY;COUNT=many", "COUNT MANY"),
    ("FREQ=DAILY;COUNT=2,3", "COUNT"),
    ("FREQ=DAILY;COUNT=2;UNTIL=20260601", "COUNT UNTIL"),
    ("FREQ=DAILY;UNTIL=", "UNTIL"),
    ("FREQ=DAILY;UNTIL=tomorrow", "UNTIL TOMORROW"),
    ("FREQ=DAILY;UNTIL=2026-06-01", "UNTIL"),
    ("FREQ=DAILY;UNTIL=20260230", "UNTIL 20260230"),
    ("FREQ=DAILY;UNTIL=20260601T250000Z", "UNTIL"),
    ("FREQ=DAILY;UNTIL=20260601T0900", "UNTIL"),
    ("FREQ=DAILY;UNTIL=20260601T090000+0200", "UNTIL"),
    ("FREQ=DAILY;UNTIL=00000101", "UNTIL"),
    ("FREQ=DAILY;WKST=1", "WKST 1"),
    ("FREQ=DAILY;WKST=MONDAY", "WKST"),
    ("FREQ=DAILY;WKST=MO,TU", "WKST"),
    # Lists.
    ("FREQ=DAILY;BYHOUR=", "BYHOUR"),
    ("FREQ=DAILY;BYHOUR=9,", "BYHOUR"),
    ("FREQ=DAILY;BYHOUR=9,,10", "BYHOUR"),
    ("FREQ=DAILY;BYHOUR=9-17", "BYHOUR"),
    ("FREQ=DAILY;BYHOUR=0x9", "BYHOUR"),
    ("FREQ=DAILY;BYHOUR=1_0", "BYHOUR"),
    # Out of range.
    ("FREQ=DAILY;BYSECOND=61", "BYSECOND 61"),
    ("FREQ=DAILY;BYSECOND=-1", "BYSECOND -1"),
    ("FREQ=DAILY;BYMINUTE=60", "BYMINUTE 60"),
    ("FREQ=DAILY;BYHOUR=24", "BYHOUR 24"),
    ("FREQ=DAILY;BYHOUR=9,-1", "BYHOUR -1"),
    ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY 0"),
    ("FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY 32"),
    ("FREQ=MONTHLY;BYMONTHDAY=-32", "BYMONTHDAY -32"),
    ("FREQ=YEARLY;BYMONTH=0", "BYMONTH 0"),
    ("FREQ=YEARLY;BYMONTH=13", "BYMONTH 13"),
    ("FREQ=YEARLY;BYMONTH=-1", "BYMONTH -1"),
    ("FREQ=YEARLY;BYYEARDAY=0", "BYYEARDAY 0"),
    ("FREQ=YEARLY;BYYEARDAY=367", "BYYEARDAY 367"),
    ("FREQ=YEARLY;BYYEARDAY=-367", "BYYEARDAY -367"),
    ("FREQ=YEARLY;BYWEEKNO=0", "BYWEEKNO 0"),
    ("FREQ=YEARLY;BYWEEKNO=54", "BYWEEKNO 54"),
    ("FREQ=YEARLY;BYWEEKNO=-54", "BYWEEKNO -54"),
    ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=0", "BYSETPOS 0"),
    ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=367", "BYSETPOS 367"),
    ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=-367", "BYSETPOS -367"),
    ("FREQ=WEEKLY;BYDAY=XX", "BYDAY XX"),
    ("FREQ=WEEKLY;BYDAY=MON", "BYDAY"),
    ("FREQ=WEEKLY;BYDAY=1", "BYDAY"),
    ("FREQ=WEEKLY;BYDAY=", "BYDAY"),
    ("FREQ=MONTHLY;BYDAY=0MO", "BYDAY 0"),
    ("FREQ=MONTHLY;BYDAY=MO1", "BYDAY"),
    ("FREQ=MONTHLY;BYDAY=--1MO", "BYDAY"),
    ("FREQ=YEARLY;BYDAY=54MO", "BYDAY 54"),
    ("FREQ=YEARLY;BYDAY=-54MO", "BYDAY -54"),
    # What the RFC forbids to go together.
    *(
        (f"FREQ={freq};BYDAY=1MO", f"BYDAY 1MO {freq}")
        for freq in ("WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")
    ),
    ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=1MO", "BYDAY BYWEEKNO"),
    ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=TU,-1MO", "BYDAY BYWEEKNO"),
    *(
        (f"FREQ={freq};BYWEEKNO=20", f"BYWEEKNO {freq}")
        for freq in ("MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")
    ),
    ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY WEEKLY"),
    *(
        (f"FREQ={freq};BYYEARDAY=1", f"BYYEARDAY {freq}")
        for freq in ("MONTHLY", "WEEKLY", "DAILY")
    ),
    ("FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS"),
    ("FREQ=MONTHLY;BYSETPOS=1;INTERVAL=2;COUNT=2;WKST=SU", "BYSETPOS"),
]


@pytest.mark.parametrize(("text", "words"), REFUSED, ids=[case[0] for case in REFUSED])
def test_a_malformed_rule_is_refused_and_what_is_wrong_is_named(
    text: str, words: str
) -> None:
    said = problems(text)
    assert [word for word in words.split() if word not in said] == []


@pytest.mark.parametrize(
    "digits",
    [
        "\N{ARABIC-INDIC DIGIT TWO}",
        "\N{FULLWIDTH DIGIT TWO}",
        "\N{SUPERSCRIPT TWO}",
        "\N{DEVANAGARI DIGIT TWO}",
    ],
)
@pytest.mark.parametrize(
    ("rule", "part"),
    [
        ("FREQ=DAILY;COUNT={}", "COUNT"),
        ("FREQ=DAILY;INTERVAL={}", "INTERVAL"),
        ("FREQ=DAILY;BYHOUR=1,{}", "BYHOUR"),
        ("FREQ=MONTHLY;BYDAY={}MO", "BYDAY"),
        ("FREQ=DAILY;UNTIL=2026060{}", "UNTIL"),
    ],
)
def test_digits_of_other_scripts_are_refused(rule: str, part: str, digits: str) -> None:
    assert part in problems(rule.format(digits))


def test_letters_that_only_become_latin_when_raised_are_refused() -> None:
    # The capitals of the dotless i and of the long s are I and S.
    assert problems("FREQ=DA\N{LATIN SMALL LETTER DOTLESS I}LY")
    assert problems("FREQ=WEEKLY;BYDAY=\N{LATIN SMALL LETTER LONG S}A")


def test_every_problem_is_named_not_only_the_first() -> None:
    said = problems("FREQ=DAILY;COUNT=0;BYHOUR=24;BYEASTER=1;WKST=XX")
    for word in ("COUNT", "BYHOUR", "BYEASTER", "WKST"):
        assert word in said


def test_every_forbidden_pair_is_named() -> None:
    said = problems("FREQ=WEEKLY;COUNT=1;UNTIL=20260601;BYMONTHDAY=1;BYDAY=1MO")
    for word in ("COUNT", "UNTIL", "BYMONTHDAY", "1MO"):
        assert word in said


@pytest.mark.parametrize("length", [4_001, 1_000_000])
def test_a_text_too_long_is_refused_without_repeating_it(length: int) -> None:
    text = "FREQ=DAILY;BYHOUR=" + "9," * length
    said = problems(text[:length])
    assert "4000" in said or "4,000" in said
    assert len(said) < 500


def test_a_long_value_is_not_repeated_in_full() -> None:
    assert len(problems("FREQ=DAILY;BYHOUR=" + "x" * 3_900)) < 1_000


def test_a_text_of_4000_characters_is_read() -> None:
    text = "FREQ=DAILY;COUNT=1;BYHOUR=9"
    text += ",9" * ((4_000 - len(text)) // 2)
    assert 3_999 <= len(text) <= 4_000
    assert len(calendar(text).preview(5, BEFORE)) == 1


@pytest.mark.parametrize("text", [None, 5, b"FREQ=DAILY", ["FREQ=DAILY"], {}])
def test_what_is_no_text_is_refused(text: str) -> None:
    assert problems(text)


@pytest.mark.parametrize(
    "text",
    [
        "freq=weekly;byday=mo,fr;count=3",
        "RRULE:FREQ=WEEKLY;BYDAY=MO,FR;COUNT=3",
        "rrule:FREQ=WEEKLY;BYDAY=MO,FR;COUNT=3",
        "  FREQ=WEEKLY;BYDAY=MO,FR;COUNT=3\n",
        "COUNT=3;BYDAY=FR,MO;FREQ=WEEKLY",
        "FREQ=WEEKLY;BYDAY=FR,MO,FR;COUNT=03",
        "FREQ=WEEKLY;INTERVAL=1;WKST=MO;BYDAY=MO,FR;COUNT=3",
    ],
)
def test_the_same_rule_may_be_written_in_other_ways(text: str) -> None:
    plain = calendar("FREQ=WEEKLY;BYDAY=MO,FR;COUNT=3").preview(9, BEFORE)
    assert [run.day for run in plain] == [2, 5, 9]
    assert calendar(text).preview(9, BEFORE) == plain


def test_a_plus_sign_is_allowed_where_the_rfc_allows_it() -> None:
    text = "FREQ=MONTHLY;COUNT=2;BYDAY={}1FR"
    signed = calendar(text.format("+")).preview(9, BEFORE)
    assert signed == calendar(text.format("")).preview(9, BEFORE)
    assert [run.day for run in signed] == [2, 6]


# Fuzzing: a refusal or a calendar, nothing else.

NAMES: Final = (
    "FREQ",
    "INTERVAL",
    "COUNT",
    "UNTIL",
    "WKST",
    "BYSECOND",
    "BYMINUTE",
    "BYHOUR",
    "BYDAY",
    "BYMONTHDAY",
    "BYYEARDAY",
    "BYWEEKNO",
    "BYMONTH",
    "BYSETPOS",
    "X-A",
    "freq",
)
VALUES: Final = st.one_of(
    st.sampled_from(
        ["DAILY", "YEARLY", "SECONDLY", "MO", "-1MO,TU", "20260101T000000Z"]
    ),
    st.integers(-400, 400).map(str),
    st.lists(st.integers(-60, 60), max_size=4).map(lambda n: ",".join(map(str, n))),
    st.text(max_size=8),
)
ALMOST: Final = st.lists(
    st.tuples(
        st.sampled_from(NAMES), st.sampled_from(["=", "=", "=", "", " = "]), VALUES
    ),
    max_size=5,
).map(lambda parts: "FREQ=MONTHLY;" + ";".join(map("".join, parts)))


@settings(max_examples=400)
@given(st.one_of(st.text(), ALMOST, ALMOST.map(lambda text: text[13:])))
@example("FREQ=DAILY;UNTIL=99991231T235959Z")
@example("FREQ=DAILY;UNTIL=00010101T000000Z")
@example("FREQ=DAILY;UNTIL=00010101")
@example("FREQ=YEARLY;INTERVAL=1000000000")
@example("FREQ=SECONDLY;INTERVAL=1000000000;BYMONTH=1")
@example("FREQ=DAILY;BYHOUR=\ud800")
@example("FREQ=DAILY;\0")
def test_any_text_is_refused_or_makes_a_calendar(text: str) -> None:
    found = None
    refusal = ""
    try:
        found = calendar(text)
    except ValidationError as error:
        refusal = str(error)
    if found is None:
        assert refusal
    else:
        run = found.next_after(BEFORE)
        assert run is None or run > BEFORE
