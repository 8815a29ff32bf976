"""Rows as JSON lines, and back."""

from __future__ import annotations

import json
import typing
from types import NoneType
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from trioqueue.store.export_format import (
    FormatError,
    Reader,
    document_of,
    fields_of,
    iso_of,
    line_of,
    micros_of,
)
from trioqueue.store.operations import copy_rows

INT_64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10
)
STORED_JSON = (
    "{}",
    '{"a": 1, "b": [2.5, null, true]}',
    '{"a":1,"b":[2.5,null,true]}',
    '{"b":1,"a":2}',
    '{"a":1,"a":2}',
    '{"x":1E5}',
    '{"x":1e400}',
    '{"x":123456789012345678901234567890}',
    '{"g":"Grüße, 日本"}',
    r'{"g":"Gr\u00fc\u00dfe"}',
    '{"n":NaN}',
    "[1]",
    "no JSON",
    "",
    f'{{"x":{"9" * 5000}}}',
)
"""What a column of JSON may hold, well written or not."""
JSON_COLUMNS = (
    *("options", "rule", "document", "misfire", "lease", "attempt_lease", "metadata"),
)
KINDS: dict[str, Any] = {
    "queue": copy_rows.CopiedQueue,
    "calendar": copy_rows.CopiedCalendar,
    "schedule": copy_rows.CopiedSchedule,
    "live": copy_rows.CopiedLive,
    "finished": copy_rows.CopiedFinished,
    "run": copy_rows.CopiedRun,
    "attempt": copy_rows.CopiedAttempt,
}


ODD: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(JSON_COLUMNS, st.sampled_from(STORED_JSON)),
    **dict.fromkeys(("id", "ready_seq", "attempt_id"), st.integers(0, 2**62)),
    "priority": st.integers(0, 4),
    "state": st.integers(0, 3),
    "claim_key": st.integers(0, 5 * 2**58 - 1),
    "token": st.none(),
}
USUAL: dict[type, st.SearchStrategy[Any]] = {
    int: INT_64,
    bytes: st.binary(max_size=20),
    str: TEXT,
}


def columns(record: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a row's values, as wild as its columns allow."""
    found = {}
    for name, hint in typing.get_type_hints(record).items():
        kinds = typing.get_args(hint) or (hint,)
        usual = next(USUAL[kind] for kind in kinds if kind in USUAL)
        values = ODD.get(name, usual)
        found[name] = st.none() | values if NoneType in kinds else values
    return st.fixed_dictionaries(found)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=50, phases=[Phase.generate])
@given(data=st.data(), base=st.integers(0, 1000))
def test_every_row_comes_back_as_it_was(
    kind: str, data: st.DataObject, base: int
) -> None:
    record = KINDS[kind]
    row = record(**data.draw(columns(record)))
    name = "message" if kind in ("live", "finished") else kind
    line = line_of(document_of(name, row, base))
    assert line.count(b"\n") == 1
    document = json.loads(line)
    del document["type"]
    known = {
        column: getattr(row, column)
        for column in ("queue_id", "schedule_row", "message_row", "run")
        if column in row._fields
    }
    assert Reader(document).row(record, name, base, **known) == row


def test_every_column_is_said_by_a_field() -> None:
    for record in KINDS.values():
        assert [field.column for field in fields_of(record)] == list(record._fields)


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (253402300799999999, "9999-12-31T23:59:59.999999Z"),
        (253402300800000000, 253402300800000000),
        (-(2**63), -(2**63)),
    ],
)
def test_instants_are_exact_and_say_utc(micros: int, text: str | int) -> None:
    assert iso_of(micros) == text
    assert micros_of(text, "at") == micros


def test_an_instant_with_another_offset_is_the_same_instant() -> None:
    assert micros_of("1970-01-01T01:00:00+01:00", "at") == 0


@pytest.mark.parametrize(
    "value", [None, True, 1.5, "", "soon", "2030-01-01T00:00:00", 2**63, [], {}]
)
def test_what_is_no_instant_is_refused(value: Any) -> None:
    with pytest.raises(FormatError, match="'at' is no instant"):
        micros_of(value, "at")
