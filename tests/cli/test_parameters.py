from __future__ import annotations

import math

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioqueue.cli import parameters


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("2h", 7200),
        ("1d", 86400),
        ("2w", 1209600),
        ("250ms", 0.25),
        ("1.5", 1.5),
        ("0", 0),
        (".5h", 1800),
        ("1h30m", 5400),
        (" 1D2H ", 93600),
    ],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parameters.duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "-5s", "5x", "1h30", "nan", "inf", "1 h", "٣s"]
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter, match="1h30m"):
        parameters.duration(text)


@given(st.integers(0, 10**11))
def test_durations_are_written_as_they_are_read(milliseconds: int) -> None:
    text = parameters.show_duration(milliseconds / 1000)
    assert round(parameters.duration(text) * 1000) == milliseconds


def test_an_endless_duration_has_a_word() -> None:
    assert parameters.show_duration(math.inf) == "no limit"
    assert parameters.show_duration(0) == "0s"


@pytest.mark.parametrize(
    "text", ["2030-01-31T09:00:00Z", "2030-01-31 10:00+01:00", "20300131T090000Z"]
)
def test_instants_are_read_with_their_zone(text: str) -> None:
    assert parameters.instant(text).timestamp() == 1896080400


@pytest.mark.parametrize("text", ["2030-01-31", "2030-01-31T09:00", "noon", ""])
def test_instants_without_a_zone_are_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        parameters.instant(text)
