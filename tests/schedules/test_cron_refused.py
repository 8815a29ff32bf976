"""Cron expressions that are refused: why, where, and what to write instead."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trioqueue import ValidationError
from trioqueue.errors import ValidationIssue
from trioqueue.schedules import Cron

FIELDS = (
    ("minute", "0", "59"),
    ("hour", "0", "23"),
    ("day-of-month", "1", "31"),
    ("month", "1", "12"),
    ("day-of-week", "0", "7"),
    ("second", "0", "59"),
)


def refused(expression: Any, tz: Any = "UTC", **more: Any) -> list[ValidationIssue]:
    with pytest.raises(ValidationError) as caught:
        Cron(expression, tz, **more)
    issues = [each for each in caught.value.issues if isinstance(each, ValidationIssue)]
    assert len(issues) == len(caught.value.issues)
    assert {each.severity for each in issues} == {"error"}
    return issues


# The expression, what the one message says, and the suggestion.
REFUSED = [
    ("", "is empty", "five fields"),
    ("   ", "is empty", "five fields"),
    ("* * * *", "has 4 of the 5 or 6 fields", "minute hour"),
    ("*", "has 1 of the 5 or 6 fields", "minute hour"),
    ("0 0 1 1 * 0 2025", "has 7 of the 5 or 6 fields", "no year field"),
    ("61 * * * *", 'minute field "61": 61 is not in 0-59', "the order is minute"),
    ("* 24 * * *", 'hour field "24": 24 is not in 0-23', "from 0 to 23"),
    ("* * 0 * *", 'day-of-month field "0": 0 is not in 1-31', "from 1 to 31"),
    ("* * * 13 *", 'month field "13": 13 is not in 1-12', "JAN to DEC"),
    ("* * * * 8", 'day-of-week field "8": 8 is not in 0-7', "SUN to SAT"),
    ("* * * * * 60", 'second field "60": 60 is not in 0-59', "from 0 to 59"),
    ("0,61 * * * *", 'minute field "0,61": "61" 61 is not in', "the order"),
    ("0-61 * * * *", "61 is not in 0-59", "the order"),
    ("5-1 * * * *", 'the range "5-1" runs backwards', "5-59,0-1"),
    ("* 22-2 * * *", 'the range "22-2" runs backwards', "22-23,0-2"),
    ("* * * nov-feb *", 'the range "nov-feb" runs backwards', "nov-12,1-feb"),
    ("* * * * sat-sun", 'the range "sat-sun" runs backwards', "sat-7"),
    ("* * * * fri-mon", 'the range "fri-mon" runs backwards', "fri-7,0-mon"),
    ("R * * * *", '"R" is random', 'use "H"'),
    ("R(0-9) * * * *", '"R" is random', 'use "H"'),
    ("r/5 * * * *", '"R" is random', 'use "H"'),
    ("*/0 * * * *", "a step of 0 goes nowhere", "at least 1"),
    ("H/0 * * * *", "a step of 0 goes nowhere", "at least 1"),
    ("*/90 * * * *", "a step of 90 is longer than the 60 values", "name the values"),
    ("0 */25 * * *", "a step of 25 is longer than the 24 values", "name the values"),
    ("0 0 1/40 * *", "a step of 40 is longer than the 31 values", "name the values"),
    ("*/x * * * *", 'the step "x" is no number', ""),
    ("*/ * * * *", "is no value, range, list or step", "from 0 to 59"),
    ("1,,2 * * * *", "has an empty item in its list", "comma"),
    (", * * * *", "has an empty item in its list", "comma"),
    ("-5 * * * *", "is no value, range, list or step", "from 0 to 59"),
    ("5- * * * *", "is no value, range, list or step", "from 0 to 59"),
    ("1-2-3 * * * *", "is no value, range, list or step", "from 0 to 59"),
    ("1/2/3 * * * *", "is no value, range, list or step", "from 0 to 59"),
    ("** * * * *", "is no value, range, list or step", "from 0 to 59"),
    ("*-5 * * * *", '"*" cannot begin a range', "from 0 to 59"),
    ("1.5 * * * *", "is no value, range, list or step", "from 0 to 59"),
    ("jan * * * *", '"jan" means nothing here', "from 0 to 59"),
    ("* * * mon *", '"mon" means nothing here', "JAN to DEC"),
    ("* * * january *", '"january" means nothing here', "JAN to DEC"),
    ("? * * * *", '"?" stands for itself in a day field only', 'use "*"'),
    ("* * 1,? * *", '"?" stands for itself in a day field only', 'use "*"'),
    ("* * 15W * *", '"15W" means nothing here', 'only "LW" is known'),
    ("* * L-3 * *", '"L" means nothing here', "from 1 to 31"),
    ("L * * * *", '"L" means nothing here', "from 0 to 59"),
    ("* * 5L * *", '"5L" means nothing here', "from 1 to 31"),
    ("* * * * L", '"L" needs a weekday here', '"5L" is the last Friday'),
    ("* * * * 8L", "8 is not in 0-7", "SUN to SAT"),
    ("* * * * 1#6", "no month has a weekday number 6", "1 to 5"),
    ("* * * * 1#0", "no month has a weekday number 0", "1 to 5"),
    ("* * * * 1-5#2", "is no value, range, list or step", "SUN to SAT"),
    ("* * 1#2 * *", "is no value, range, list or step", "from 1 to 31"),
    ("H(9-5) * * * *", 'the range "9-5" runs backwards', ""),
    ("H(0-99) * * * *", "99 is not in 0-59", "the order"),
    ("H(0-9)/20 * * * *", "a step of 20 is longer than the 10 values", "name"),
    ("H-5 * * * *", '"H" means nothing here', "from 0 to 59"),
    ("@reboot", "@reboot names no time", "when the program starts"),
    ("@every 5m", "there is no '@every 5m'", "@hourly"),
    ("@daily 5", "there is no '@daily 5'", "@hourly"),
    ("@", "there is no '@'", "@hourly"),
    ("CRON_TZ=Europe/Paris 0 9 * * *", "does not belong", "tz='Europe/Paris'"),
    ("TZ=UTC 0 9 * * *", "does not belong into", "tz='UTC'"),
    ("0 0 * * *\n", "'\\n' has no meaning in cron", "plain ASCII"),
    ("0 0\u00a0* * *", "'\\xa0' has no meaning in cron", "plain ASCII"),
    ("\u0665 * * * *", "'\u0665' has no meaning in cron", "plain ASCII"),
    ("\uff15 * * * *", "'\uff15' has no meaning in cron", "plain ASCII"),
    ("0 0 * * *\0", "'\\x00' has no meaning in cron", "plain ASCII"),
    ("1," * 501 + "1 * * * *", "has 1011 characters; 1000 are the most", ""),
    ("9" * 900 + " * * * *", "is not in 0-59", "the order"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: repr(case[0])[:40])
def test_it_is_refused_with_a_reason(case: tuple[str, str, str]) -> None:
    expression, reason, suggestion = case
    (issue,) = refused(expression)
    assert issue.field == "expression"
    assert reason in issue.message
    assert suggestion in issue.suggestion
    assert bool(suggestion) == bool(issue.suggestion)
    assert len(issue.message) < 300


NEVER = [
    "0 0 31 2 *",
    "0 0 30 2 *",
    "0 0 30,31 2 *",
    "0 0 31 4,6,9,11 *",
    "0 0 31 feb ?",
    "0 0 */30 2 1#5",
    "0 0 */31 * 1#5",
    "0 0 */100,1-7 * 5L",
    "0 0 LW * */7",
    "30 4 31 6 * 15",
    "* * 31 2 *",
]


@pytest.mark.parametrize("expression", NEVER)
def test_dates_that_never_come_are_refused(expression: str) -> None:
    (issue,) = refused(expression)
    assert issue.field == "expression"
    assert "no date ever matches day-of-month" in issue.message
    assert issue.suggestion


@pytest.mark.parametrize(
    "expression",
    ["0 0 29 2 *", "0 0 29 2 */7", "0 0 * 2 1#5", "0 0 31 2 1", "0 0 30,28 2 *"],
)
def test_dates_that_seldom_come_are_not(expression: str) -> None:
    assert Cron(expression).next_after(datetime(2025, 1, 1, tzinfo=UTC)) is not None


def test_times_that_always_fall_into_gaps_are_refused() -> None:
    expression = "*/30 2 25-31 3 */7"
    (issue,) = refused(expression, "Europe/Paris")
    assert "the clocks of Europe/Paris are put forward" in issue.message
    assert Cron(expression, "UTC").next_after(datetime(2025, 1, 1, tzinfo=UTC))
    # At fixed times it is made up for.
    fixed = Cron("0,30 2 25-31 3 */7", "Europe/Paris")
    assert fixed.next_after(datetime(2025, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("expression", [None, 5, b"* * * * *", ["*"] * 5, True, 1.5])
def test_it_must_be_a_text(expression: Any) -> None:
    (issue,) = refused(expression)
    assert "must be a text" in issue.message
    assert type(expression).__name__ in issue.message


@pytest.mark.parametrize(
    "tz", ["Europe/Atlantis", "", "../etc/passwd", "/etc/localtime", None, 5, "x" * 999]
)
def test_unknown_zones_are_refused(tz: Any) -> None:
    (issue,) = refused("0 0 * * *", tz)
    assert issue.field == "tz"
    assert "there is no time zone" in issue.message
    assert "Europe/Paris" in issue.suggestion


def test_a_seed_must_be_a_text() -> None:
    (issue,) = refused("H * * * *", seed=5)
    assert (issue.field, issue.message) == ("seed", "must be a text, got 5")


def test_all_problems_are_reported_at_once() -> None:
    issues = refused("60,x 24 32 13 8 60", "Mars/Olympus", seed=b"")
    fields = [each.field for each in issues]
    assert fields == ["expression"] * 7 + ["tz", "seed"]
    messages = [each.message for each in issues]
    for name, _, _ in FIELDS:
        assert any(message.startswith(f"{name} field") for message in messages)
    assert sum(message.startswith("minute field") for message in messages) == 2


@pytest.mark.parametrize(("position", "field"), list(enumerate(FIELDS)))
def test_each_field_has_its_bounds(position: int, field: tuple[str, str, str]) -> None:
    name, low, high = field
    for value in (low, high, f"{low}-{high}", f"{low}-{high}/2", f"{high},{low}"):
        texts = ["*"] * 6
        texts[position] = value
        assert Cron(" ".join(texts)).expression == " ".join(texts)
    for value in (str(int(high) + 1), f"{low}-{int(high) + 1}", "-1"):
        texts = ["*"] * 6
        texts[position] = value
        (issue,) = refused(" ".join(texts))
        assert issue.message.startswith(f'{name} field "{value}": ')


cron_like = st.text("0123456789*/-,#?LWHR@() \tJANMONsunfebé\n", max_size=40)
items = st.text("0123456789*/-,#LWH()", min_size=1, max_size=6)
almost = st.lists(items, min_size=5, max_size=6).map(" ".join)


@given(st.one_of(st.text(max_size=60), cron_like, almost), st.text(max_size=5))
@example("@@", "")
@example("0 0 29 2 1-1/7", "")
@example("* * */9 2 */6,5#5", "")
def test_any_text_is_read_or_refused_soon(expression: str, seed: str) -> None:
    started = time.process_time()
    try:
        cron = Cron(expression, "Europe/Paris", seed=seed)
    except ValidationError as error:
        fields = {each.field for each in error.issues}
    else:
        fields = {"expression"}
        start = datetime(2025, 1, 1, tzinfo=UTC)
        found = cron.next_after(start)
        assert found is not None
        assert found > start
        assert cron.describe().endswith("Europe/Paris time")
        assert all(each.severity != "error" for each in cron.validate())
        assert Cron.from_document(cron.to_document()) == cron
    assert fields == {"expression"}
    assert time.process_time() - started < 2
