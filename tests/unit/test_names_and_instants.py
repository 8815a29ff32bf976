"""Spans, instants, ids and addresses: what callers write, and what is made of it."""

from __future__ import annotations

import math
import random
import uuid
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trioqueue import ValidationError
from trioqueue.model.spans import (
    LAST_INSTANT,
    instant_to_micros,
    micros_to_instant,
    optional_instant,
    to_micros,
    to_seconds,
)
from trioqueue.store.ids import MESSAGE_ID, uuid7
from trioqueue.store.url import hide_password, parse_url

INSTANTS = st.integers(0, LAST_INSTANT)
NOW = 1_700_000_000_123_456
NAIVE = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)


@given(st.timedeltas(timedelta(0), timedelta(days=3650)))
def test_a_timedelta_keeps_its_microseconds(span: timedelta) -> None:
    assert to_micros(to_seconds(span, "x")) == span // timedelta(microseconds=1)


@pytest.mark.parametrize("value", ["1", None, True, math.nan, [1], 1 + 0j])
def test_a_span_is_a_number_or_a_timedelta(value: float) -> None:
    with pytest.raises(ValidationError, match=r"^field: "):
        to_seconds(value, "field")


def test_a_span_too_large_for_a_float_counts_as_infinite() -> None:
    assert to_seconds(10**400, "x") == math.inf


@given(
    st.datetimes(
        NAIVE.replace(year=2), NAIVE.replace(year=9998), timezones=st.timezones()
    )
)
def test_an_instant_comes_back_as_the_same_moment_in_utc(instant: datetime) -> None:
    shown = micros_to_instant(instant_to_micros(instant, "x"))
    assert shown == instant.astimezone(UTC)
    assert shown.tzinfo is UTC


def test_the_two_passes_of_an_autumn_hour_are_different_instants() -> None:
    first = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Paris"))
    second = first.replace(fold=1)
    apart = instant_to_micros(second, "x") - instant_to_micros(first, "x")
    assert apart == 3_600_000_000


@pytest.mark.parametrize("instant", [NAIVE, "2026-01-01", None, 5.0])
def test_an_instant_needs_a_time_zone(instant: datetime) -> None:
    with pytest.raises(ValidationError, match=r"^when: "):
        instant_to_micros(instant, "when")


def test_the_first_and_last_instants_can_be_shown_and_none_beyond_them() -> None:
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    for instant in (first, last):
        assert micros_to_instant(instant_to_micros(instant, "x")) == instant
    east, west = timezone(timedelta(hours=12)), timezone(timedelta(hours=-12))
    for beyond in (first.replace(tzinfo=east), last.replace(tzinfo=west)):
        with pytest.raises(ValidationError, match="years 1 to 9999"):
            instant_to_micros(beyond, "x")
    assert optional_instant(None) is None
    assert optional_instant(0) == datetime(1970, 1, 1, tzinfo=UTC)


@given(st.lists(INSTANTS, min_size=2, unique=True), st.integers())
def test_made_ids_sort_by_time(instants: list[int], seed: int) -> None:
    source = random.Random(seed)
    made = {now: uuid7(now, source) for now in sorted(instants)}
    ordered = sorted(made.values())
    for place, now in enumerate(sorted(instants)):
        assert ordered[place] == made[now]


@given(INSTANTS, st.integers())
def test_a_made_id_has_the_fields_of_rfc_9562(now: int, seed: int) -> None:
    text = uuid7(now, random.Random(seed))
    number = uuid.UUID(text)
    assert str(number) == text
    assert number.version == 7
    assert number.variant == uuid.RFC_4122
    assert number.int >> 80 == now // 1000
    # Method 3: the fraction of the millisecond in the 12 bits after the version.
    fraction = number.int >> 64 & 0xFFF
    assert fraction == now % 1000 * 4096 // 1000
    assert MESSAGE_ID.fullmatch(text)


def test_made_ids_of_one_instant_differ() -> None:
    source = random.Random(1)
    assert len({uuid7(NOW, source) for _ in range(10_000)}) == 10_000


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///jobs.db", "jobs.db"),
        ("sqlite:///data/jobs.db", "data/jobs.db"),
        ("sqlite:////var/jobs.db", "/var/jobs.db"),
        ("sqlite:///with%20space%3F.db", "with space?.db"),
        ("sqlite://:memory:", ":memory:"),
        ("sqlite:///:memory:", ":memory:"),
    ],
)
def test_an_address_names_a_file_or_memory(url: str, path: str) -> None:
    assert parse_url(url).path == path


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("jobs.db", "is no URL"),
        ("", "is no URL"),
        ("//[", "is no URL"),
        ("sqlite:jobs.db", "is no URL"),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite://jobs.db", "names no file"),
        ("sqlite:///a%00b", "names no file"),
        ("sqlite:///jobs.db?mode=ro", "no ?options"),
        ("sqlite:///jobs.db#x", "no ?options"),
        ("mysql://host/db", "unknown kind"),
        ("redis://host/db", "postgresql://"),
        (None, "expected a str"),
        (Path("jobs.db"), "expected a str"),
    ],
)
def test_an_address_that_cannot_be_opened_is_refused_with_help(
    url: str, hint: str
) -> None:
    with pytest.raises(ValidationError) as raised:
        parse_url(url)
    assert hint in str(raised.value)
    assert "sqlite:///relative.db" in str(raised.value)


@given(st.text() | st.text().map("sqlite://{}".format))
@example("//[")
@example("sqlite:///[::1")
def test_any_text_is_an_address_or_refused_as_one(url: str) -> None:
    try:
        address = parse_url(url)
    except ValidationError:
        return
    assert address.path
    assert "\0" not in address.path


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
        ("postgresql://:secret@host:5/db?x=1", "postgresql://:***@host:5/db?x=1"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("postgresql://me:se@cret@host/db", "postgresql://me:***@host/db"),
        ("sqlite:///jobs.db", "sqlite:///jobs.db"),
    ],
)
def test_a_shown_address_has_no_password(url: str, shown: str) -> None:
    assert hide_password(url) == shown


@pytest.mark.parametrize(
    "url",
    ["sqlite://me:secret@host", "mysql://me:secret@host/x", "//me:secret@[host"],
)
def test_a_refusal_repeats_no_password(url: str) -> None:
    with pytest.raises(ValidationError) as raised:
        parse_url(url)
    assert "secret" not in str(raised.value)
