"""Cron expressions in words, and what is doubtful about them."""

from __future__ import annotations

import pytest

from trioqueue.schedules import Cron

WORDS = [
    ("0 9 * * 1-5", "at 09:00 on Monday through Friday"),
    ("0 9 * * *", "at 09:00 every day"),
    ("30 8,17 * * *", "at 08:30 and 17:30 every day"),
    ("0,30 9,10 * * *", "at 09:00, 09:30, 10:00 and 10:30 every day"),
    ("0 9 * * * 30", "at 09:00:30 every day"),
    ("@daily", "at 00:00 every day"),
    ("@hourly", "at minute 0 of every hour"),
    ("@weekly", "at 00:00 on Sunday"),
    ("@monthly", "at 00:00 on the 1st of the month"),
    ("@yearly", "at 00:00 on the 1st of January"),
    ("* * * * *", "every minute"),
    ("* * * * * *", "every second"),
    ("* * * * * */10", "every 10 seconds"),
    ("* * * * * 0", "every minute"),
    ("* * * * * 5", "at second 5 of every minute"),
    ("*/5 * * * * 30", "at second 30 of every 5th minute"),
    ("0 9 * * * *", "every second of minute 0 of hour 9"),
    ("*/5 * * * *", "every 5 minutes"),
    ("2/5 * * * *", "every 5 minutes from minute 2"),
    ("0-59/5 * * * *", "every 5 minutes"),
    ("*/7 * * * *", "every 7 minutes from minute 0 through 56 of every hour"),
    ("10-40/15 * * * *", "every 15 minutes from minute 10 through 40 of every hour"),
    ("10-12 * * * *", "every minute from minute 10 through 12 of every hour"),
    ("0,30 * * * *", "at minutes 0 and 30 of every hour"),
    (
        "5,10-12 * * * *",
        "at minute 5 and every minute from minute 10 through 12 of every hour",
    ),
    ("* 9 * * *", "every minute from 09:00 through 09:59"),
    (
        "*/15 9-17 * * 1-5",
        "every 15 minutes from 09:00 through 17:45 on Monday through Friday",
    ),
    ("*/10 8,12 * * *", "every 10 minutes of hours 8 and 12"),
    ("0 9-17 * * *", "at minute 0 of every hour from hour 9 through 17"),
    ("0 */2 * * *", "at minute 0 of every 2nd hour"),
    ("0 1/2 * * *", "at minute 0 of every 2nd hour from hour 1"),
    ("0 9-17/4 * * *", "at minute 0 of every 4th hour from hour 9 through 17"),
    ("0 0 1,15 * *", "at 00:00 on the 1st and the 15th of the month"),
    ("0 0 1-7 * *", "at 00:00 on the 1st through the 7th of the month"),
    (
        "0 0 */10 * *",
        "at 00:00 on every 10th day from the 1st through the 31st of the month",
    ),
    ("0 0 L * *", "at 00:00 on the last day of the month"),
    ("0 17 LW * *", "at 17:00 on the last day from Monday to Friday of the month"),
    ("0 0 15,L 6 *", "at 00:00 on the 15th and the last day of June"),
    ("0 0 29 2 *", "at 00:00 on the 29th of February"),
    ("0 0 1 */3 *", "at 00:00 on the 1st of January, April, July and October"),
    ("0 0 * 6-8 *", "at 00:00 every day in June through August"),
    ("* * * jan,12 *", "every minute every day in January and December"),
    ("5 4 * jan,jun sun", "at 04:05 on Sunday in January and June"),
    ("0 9 * * mon,WED,5-7", "at 09:00 on Monday, Wednesday and Friday through Sunday"),
    ("0 9 * * */2", "at 09:00 on Sunday, Tuesday, Thursday and Saturday"),
    ("0 9 * * */7", "at 09:00 on Sunday"),
    ("0 9 * * 1#2", "at 09:00 on the 2nd Monday of the month"),
    ("0 9 * 11 thu#4", "at 09:00 on the 4th Thursday of November"),
    ("0 9 * * 5L", "at 09:00 on the last Friday of the month"),
    (
        "0 9 * * 3,1#1,5L",
        "at 09:00 on Wednesday, the 1st Monday and the last Friday of the month",
    ),
    ("0 0 13 * 5", "at 00:00 on the 13th of the month or on Friday"),
    ("0 0 13 10 5", "at 00:00 on the 13th of October or on Friday in October"),
    (
        "0 0 1-7 * */7",
        "at 00:00 on the 1st through the 7th of the month if it is Sunday",
    ),
    ("0 0 ? * ?", "at 00:00 every day"),
]


@pytest.mark.parametrize(("expression", "words"), WORDS)
def test_it_is_said_in_words(expression: str, words: str) -> None:
    assert Cron(expression).describe() == f"{words}, UTC time"


def test_the_zone_is_named() -> None:
    cron = Cron("0 9 * * 1-5", "Europe/Paris")
    words = "at 09:00 on Monday through Friday, Europe/Paris time"
    assert cron.describe() == words


def test_seeded_values_are_said_as_they_are() -> None:
    cron = Cron("H H * * *")
    loose = "at 05:19 every day, UTC time (H differs from schedule to schedule)"
    assert cron.describe() == loose
    assert cron.with_seed("report").describe() == "at 08:21 every day, UTC time"


GAP_AT_HALF_PAST_TWO = (
    "02:30 does not exist on 2026-03-29: runs when the clocks have gone forward"
)


def doubts(expression: str, tz: str = "UTC") -> list[tuple[str, str]]:
    return [(each.severity, each.message) for each in Cron(expression, tz).validate()]


@pytest.mark.parametrize(
    "expression",
    ["0 9 * * 1-5", "* * * * *", "@monthly", "*/15 * * * *", "0 0 L * *", "H H * * *"],
)
def test_most_expressions_are_beyond_doubt(expression: str) -> None:
    assert doubts(expression) == []
    assert doubts(expression, "Asia/Kathmandu") == []


@pytest.mark.parametrize(
    ("expression", "severity", "part"),
    [
        ("0 0 13 * 5", "info", "both given: either is enough"),
        ("0 0 */2 * 5", "info", 'one starts with "*": both must match'),
        ("0 0 29 2 *", "info", "months without a day 29 are left out"),
        ("0 0 31 * *", "info", "months without a day 31 are left out"),
        ("59/15 * * * *", "warning", '"59/15": a step of 15 leaves only 59'),
        ("*/60 * * * *", "warning", '"*/60": a step of 60 leaves only 0'),
        ("10-12/5 1 * * *", "warning", '"10-12/5": a step of 5 leaves only 10'),
        ("*/7 * * * *", "info", "starts again at 0 after 56, 4 instead of 7 minutes"),
        ("0 */5 * * *", "info", "starts again at 0 after 20, 4 instead of 5 hours"),
    ],
)
def test_what_may_surprise_is_said(expression: str, severity: str, part: str) -> None:
    ((found, message),) = doubts(expression)
    assert found == severity
    assert part in message


@pytest.mark.parametrize(
    ("expression", "tz", "expected"),
    [
        (
            "30 2 * * *",
            "Europe/Paris",
            [
                GAP_AT_HALF_PAST_TWO,
                "02:30 comes twice on 2026-10-25: runs the first time only",
            ],
        ),
        (
            "*/30 2 * * * 15",
            "Europe/Paris",
            [
                "02:00:15 does not exist on 2026-03-29: does not run",
                "02:00:15 comes twice on 2026-10-25: runs both times",
            ],
        ),
        (
            "45 1 * * *",
            "Australia/Lord_Howe",
            ["01:45 comes twice on 2026-04-05: runs the first time only"],
        ),
        ("30 2 1 * *", "America/New_York", []),
        (
            "30 1 1 11 *",
            "America/New_York",
            ["01:30 comes twice on 2026-11-01: runs the first time only"],
        ),
        ("30 4 * * *", "Europe/Paris", []),
    ],
)
def test_runs_that_meet_clock_changes_are_shown(
    expression: str, tz: str, expected: list[str]
) -> None:
    assert doubts(expression, tz) == [("info", each) for each in expected]
