"""Cron expressions where no clock changes: fields, days, seeds, records."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.schedules.shown import at, runs
from trioqueue import ValidationError
from trioqueue.model.spans import FIRST_INSTANT, LAST_INSTANT
from trioqueue.schedules import Cron
from trioqueue.schedules.codec import when_of

# The expression, and its first runs after the start of 2025, a Wednesday, in UTC.
FIELDS = [
    ("* * * * *", "01-01 00:01", "01-01 00:02"),
    ("*/15 * * * *", "01-01 00:15", "01-01 00:30"),
    ("5/20 * * * *", "01-01 00:05", "01-01 00:25", "01-01 00:45", "01-01 01:05"),
    ("10-20/5 3 * * *", "01-01 03:10", "01-01 03:15", "01-01 03:20", "01-02 03:10"),
    ("50,10,10 5 * * *", "01-01 05:10", "01-01 05:50", "01-02 05:10"),
    ("05 09 01 02 *", "02-01 09:05"),
    ("0 0 * feb-MAR *", "02-01 00:00", "02-02 00:00"),
    ("0 9 * * 1-5", "01-01 09:00", "01-02 09:00", "01-03 09:00", "01-06 09:00"),
    ("0 9 * * Mon,fri", "01-03 09:00", "01-06 09:00"),
    ("0 9 * * 0", "01-05 09:00", "01-12 09:00"),
    ("0 9 * * 7", "01-05 09:00", "01-12 09:00"),
    ("0 9 * * 6-7", "01-04 09:00", "01-05 09:00", "01-11 09:00"),
    ("0 9 * * 5-5", "01-03 09:00", "01-10 09:00"),
    ("0 9 5-5 * *", "01-05 09:00", "02-05 09:00"),
    ("0 0 ? * 1", "01-06 00:00", "01-13 00:00"),
    ("0 0 1 * ?", "02-01 00:00", "03-01 00:00"),
    ("0 0 L * *", "01-31 00:00", "02-28 00:00", "03-31 00:00", "04-30 00:00"),
    ("0 0 l,15 * *", "01-15 00:00", "01-31 00:00", "02-15 00:00", "02-28 00:00"),
    ("0 0 LW * *", "01-31 00:00", "02-28 00:00", "03-31 00:00", "04-30 00:00"),
    ("0 0 LW 5,8 *", "05-30 00:00", "08-29 00:00"),
    ("0 0 LW,15 1,8 *", "01-15 00:00", "01-31 00:00", "08-15 00:00", "08-29 00:00"),
    ("0 0 L,LW 8 *", "08-29 00:00", "08-31 00:00"),
    ("0 0 * * 5L", "01-31 00:00", "02-28 00:00", "03-28 00:00"),
    ("0 0 * * L5", "01-31 00:00", "02-28 00:00", "03-28 00:00"),
    ("0 0 * * friL", "01-31 00:00", "02-28 00:00"),
    ("0 0 * * 7L", "01-26 00:00", "02-23 00:00"),
    ("0 0 * * 2#1", "01-07 00:00", "02-04 00:00"),
    ("0 0 * * tue#1", "01-07 00:00", "02-04 00:00"),
    ("0 0 * * 7#5", "03-30 00:00", "06-29 00:00"),
    ("0 0 * * 1#1,1#3", "01-06 00:00", "01-20 00:00", "02-03 00:00"),
    ("0 0 * * 3,1#2", "01-08 00:00", "01-13 00:00", "01-15 00:00"),
    ("0 0 * * 6L,6#1", "01-04 00:00", "01-25 00:00", "02-01 00:00", "02-22 00:00"),
    ("0 9 * * * 30", "01-01 09:00:30", "01-02 09:00:30"),
    ("* * * * * */20", "01-01 00:00:20", "01-01 00:00:40", "01-01 00:01"),
    ("0 0 31 * *", "01-31 00:00", "03-31 00:00", "05-31 00:00"),
    ("@hourly", "01-01 01:00", "01-01 02:00"),
    ("@daily", "01-02 00:00", "01-03 00:00"),
    ("@midnight", "01-02 00:00", "01-03 00:00"),
    ("@Weekly", "01-05 00:00", "01-12 00:00"),
    ("@monthly", "02-01 00:00", "03-01 00:00"),
    # Steps of which only the first value is left: once per round of the field.
    ("*/60 * * * *", "01-01 01:00", "01-01 02:00"),
    ("59/15 * * * *", "01-01 00:59", "01-01 01:59"),
    ("0 */24 * * *", "01-02 00:00", "01-03 00:00"),
    ("10-12/5 1 * * *", "01-01 01:10", "01-02 01:10"),
    # Debian counts weekdays from 0 to 7, and Sunday is both.
    ("0 0 * * */7", "01-05 00:00", "01-12 00:00"),
    ("0 0 * * 1/2", "01-03 00:00", "01-05 00:00", "01-06 00:00", "01-08 00:00"),
    ("0 0 * * 0-7", "01-02 00:00", "01-03 00:00"),
    # Either day is enough where both are given ...
    ("0 0 13 * 5", "01-03 00:00", "01-10 00:00", "01-13 00:00", "01-17 00:00"),
    ("0 0 15 * 5L", "01-15 00:00", "01-31 00:00", "02-15 00:00", "02-28 00:00"),
    ("0 0 LW * 3#1", "01-31 00:00", "02-05 00:00", "02-28 00:00", "03-05 00:00"),
    ("0 0 31 2 1", "02-03 00:00", "02-10 00:00", "02-17 00:00"),
    ("0 0 1,* * 5", "01-02 00:00", "01-03 00:00", "01-04 00:00"),
    # ... and both are needed where one starts with a star.
    ("0 0 */2 * 1", "01-13 00:00", "01-27 00:00", "02-03 00:00", "02-17 00:00"),
    ("0 0 13 * */5", "04-13 00:00", "06-13 00:00", "07-13 00:00"),
    ("0 0 */100,1-7 * mon", "01-06 00:00", "02-03 00:00", "03-03 00:00"),
    ("0 0 L * */7", "08-31 00:00", "11-30 00:00"),
    ("0 0 *,1 * 5", "01-03 00:00", "01-10 00:00"),
]


@pytest.mark.parametrize("case", FIELDS, ids=lambda case: case[0])
def test_fields_mean_what_they_mean_in_debian(case: tuple[str, ...]) -> None:
    expression, *expected = case
    shown = runs(Cron(expression), "2025-01-01 00:00", len(expected))
    assert shown == [f"2025-{each}+00:00" for each in expected]


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("0 0 29 2 *", "2025-01-01", ["2028-02-29", "2032-02-29"]),
        ("0 0 29 2 *", "2096-03-01", ["2104-02-29"]),
        ("0 0 29 2 */7", "2025-01-01", ["2032-02-29", "2060-02-29", "2088-02-29"]),
        ("0 0 29 2 */7", "2088-03-01", ["2128-02-29"]),
        ("0 0 * 2 1#5", "2025-01-01", ["2044-02-29", "2072-02-29"]),
        ("@yearly", "2025-01-01", ["2026-01-01", "2027-01-01"]),
        ("@annually", "2025-01-01", ["2026-01-01", "2027-01-01"]),
        ("0 0 LW 2 *", "2025-03-01", ["2026-02-27", "2027-02-26", "2028-02-29"]),
    ],
)
def test_rare_days_are_found(expression: str, after: str, expected: list[str]) -> None:
    start = datetime.fromisoformat(after).replace(tzinfo=UTC)
    shown = Cron(expression).preview(len(expected), start)
    assert [each.date().isoformat() for each in shown] == expected


def test_the_instant_itself_is_not_after_it() -> None:
    noon = at("2025-06-01 12:00")
    daily = Cron("0 12 * * *", "America/New_York")
    assert daily.next_after(noon) == at("2025-06-02 12:00")
    just_before = int(noon.timestamp()) * 1_000_000 - 1
    found = daily.next_occurrence(just_before)
    assert found is not None
    assert found.at == found.nominal == just_before + 1
    assert found.note is None


@pytest.mark.parametrize("tz", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_it_ends_with_the_year_9999(tz: str) -> None:
    yearly = Cron("0 0 1 1 *", tz)
    last = datetime(9998, 12, 30, tzinfo=UTC)
    shown = yearly.preview(5, last)
    assert [each.year for each in shown] == [9999]
    assert yearly.next_after(datetime(9999, 1, 2, tzinfo=UTC)) is None
    minutely = Cron("* * * * *", tz)
    assert minutely.next_occurrence(LAST_INSTANT) is None
    assert minutely.next_occurrence(LAST_INSTANT - 1) is None
    assert minutely.next_occurrence(LAST_INSTANT + 1) is None
    assert len(minutely.preview(100, datetime(9999, 12, 31, 9, 50, tzinfo=UTC))) > 8


@pytest.mark.parametrize("tz", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("after", [FIRST_INSTANT, FIRST_INSTANT - 10**15])
def test_it_begins_with_the_year_1(tz: str, after: int) -> None:
    found = Cron("0 0 1 2 *", tz).next_occurrence(after)
    assert found is not None
    found_after = found.at - FIRST_INSTANT
    assert 30 * 86_400 * 10**6 <= found_after <= 32 * 86_400 * 10**6


@given(
    st.sampled_from([case[0] for case in FIELDS]),
    st.sampled_from(["UTC", "Europe/Paris", "Australia/Lord_Howe"]),
    st.integers(0, 4 * 10**15),
    st.integers(0, 10**13),
)
def test_a_later_question_never_has_an_earlier_answer(
    expression: str, tz: str, after: int, later: int
) -> None:
    cron = Cron(expression, tz)
    first, second = cron.next_occurrence(after), cron.next_occurrence(after + later)
    assert first is not None
    assert second is not None
    assert after < first.at <= second.at
    again = cron.next_occurrence(first.at - 1)
    assert again == first
    if after + later < first.at:
        assert second == first


def test_expressions_are_equal_by_what_was_written() -> None:
    cron = Cron("  0 9\t*  * 1-5 ", "Europe/Paris")
    assert cron.expression == "0 9 * * 1-5"
    assert cron == Cron("0 9 * * 1-5", tz="Europe/Paris")
    assert hash(cron) == hash(Cron("0 9 * * 1-5", tz="Europe/Paris"))
    assert cron != Cron("0 9 * * 1-5")
    assert cron != Cron("0 9 * * 1-5", "Europe/Paris", seed="a")
    assert cron != Cron("0 9 * * MON-FRI", "Europe/Paris")
    assert (cron.kind, cron.tz, cron.seed) == ("cron", "Europe/Paris", None)
    assert repr(cron) == "Cron(expression='0 9 * * 1-5', tz='Europe/Paris', seed=None)"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        cron.tz = "UTC"  # type: ignore[misc]  # that it is refused is the point


@pytest.mark.parametrize(
    "cron",
    [
        Cron("0 9 * * 1-5", "Europe/Paris"),
        Cron("@hourly"),
        Cron("H H(1-3) * * *", seed="nightly"),
    ],
)
def test_a_document_gives_an_equal_one(cron: Cron) -> None:
    document = cron.to_document()
    assert when_of("cron", document) == cron
    assert ("seed" in document) == (cron.seed is not None)
    copy = pickle.loads(pickle.dumps(cron))  # noqa: S301  our own bytes
    assert copy == cron
    now = datetime(2025, 1, 1, tzinfo=UTC)
    assert copy.preview(3, now) == cron.preview(3, now)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"expression": None},
        {"expression": "0 0 * * *", "tz": 5},
        {"expression": "0 0 * * *", "tz": "Europe/Atlantis"},
        {"expression": "0 0 * * *", "seed": 1},
        {"expression": "0 0 * * *", "second": "0"},
        [],
        None,
    ],
)
def test_a_damaged_document_is_refused(document: Any) -> None:
    with pytest.raises(ValidationError):
        Cron.from_document(document)


def test_threads_may_share_an_expression() -> None:
    cron = Cron("*/7 1-22 * * 1,3#2", "Europe/Paris")
    starts = [datetime(2025, month, 1, tzinfo=UTC) for month in range(1, 13)] * 4
    expected = [cron.preview(40, start) for start in starts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda start: cron.preview(40, start), starts)) == expected
