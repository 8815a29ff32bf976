"""Payloads: bytes out equal bytes in, and what cannot be stored exactly is refused."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioqueue.model.payload import (
    MAX_DEPTH,
    EncodingProblem,
    content_type_problem,
    decode_json,
    decode_payload,
    encode_json,
    encode_payload,
)

JSON = "application/json"
TEXTS = st.text(st.characters(codec="utf-8"))
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=30,
)


def nested(depth: int, *, brackets: bool = True) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if brackets else {"k": value}
    return value


def alike(one: Any, other: Any) -> Any:
    """Compare values and their types, so that 1, 1.0 and True differ."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(alike(one[k], other[k]) for k in one)
    if isinstance(one, float):
        return one.hex() == other.hex()
    return bool(one == other)


@given(VALUES)
def test_any_json_value_comes_back_exactly(value: Any) -> None:
    assert alike(decode_payload(encode_payload(value, JSON), JSON), value)


@given(TEXTS, st.sampled_from(["text/plain", "text/html; charset=utf-8"]))
def test_any_text_comes_back_exactly(text: str, kind: str) -> None:
    assert decode_payload(encode_payload(text, kind), kind) == text


@given(st.binary(), st.sampled_from([bytes, bytearray, memoryview]))
def test_any_bytes_come_back_exactly(data: bytes, make: Any) -> None:
    kind = "application/octet-stream"
    assert decode_payload(encode_payload(make(data), kind), kind) == data


@pytest.mark.parametrize(
    "number", [0, -0.0, 2**53 + 1, -(10**400), 5e-324, 1.7976931348623157e308, 0.1]
)
def test_numbers_are_exact(number: float) -> None:
    assert alike(decode_json(encode_json(number)), number)


class _Odd:
    pass


_LOOP: list[Any] = []
_LOOP.append(_LOOP)


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        [-math.inf],
        {"a": math.nan},
        {1: "number as key"},
        {None: 1},
        {True: 1},
        [{"deep": [{2.5: 1}]}],
        ({"in a tuple": {3: 4}},),
        _Odd(),
        {1, 2},
        b"bytes",
        1 + 2j,
        "lone \ud800 surrogate",
        {"\udfff": 1},
        _LOOP,
        10**5000,
        nested(100_000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_cannot_say_exactly_is_refused(value: Any) -> None:
    with pytest.raises(EncodingProblem):
        encode_json(value)


@pytest.mark.parametrize("brackets", [True, False])
def test_nesting_is_bounded_well_before_a_reader_runs_out_of_stack(
    brackets: bool,
) -> None:
    deepest = nested(MAX_DEPTH, brackets=brackets)

    def at_depth(frames: int) -> Any:
        if frames:
            return at_depth(frames - 1)
        return decode_json(encode_json(deepest))

    assert at_depth(300) == deepest
    with pytest.raises(EncodingProblem, match=str(MAX_DEPTH)):
        encode_json(nested(MAX_DEPTH + 1, brackets=brackets))


def test_a_long_value_is_not_a_deep_one() -> None:
    value = [[n] for n in range(MAX_DEPTH * 5)]
    assert decode_json(encode_json(value)) == value


def test_tuples_are_stored_as_lists() -> None:
    assert decode_json(encode_json((1, (2, 3)))) == [1, [2, 3]]


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b"bytes", "text/plain"),
        (1, "text/plain"),
        (None, "text/plain"),
        ("lone \ud800", "text/plain"),
        ("text", "application/octet-stream"),
        (None, "image/png"),
        ([1], "application/xml"),
    ],
)
def test_a_payload_of_the_wrong_kind_is_refused(payload: Any, kind: str) -> None:
    with pytest.raises(EncodingProblem):
        encode_payload(payload, kind)


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"{", JSON), (b"", JSON), (b"\xff", JSON), (b"\xff", "text/plain")],
)
def test_bytes_of_the_wrong_kind_cannot_be_decoded(data: bytes, kind: str) -> None:
    with pytest.raises(EncodingProblem):
        decode_payload(data, kind)


@given(st.binary())
def test_decoding_garbage_raises_nothing_else(data: bytes) -> None:
    for kind in (JSON, "text/plain"):
        with suppress(EncodingProblem):
            decode_payload(data, kind)


@pytest.mark.parametrize(
    "kind", [JSON, "text/plain", "text/plain; charset=utf-8", "image/svg+xml", "a/b"]
)
def test_a_content_type_may_be(kind: str) -> None:
    assert content_type_problem(kind) is None


@pytest.mark.parametrize(
    "kind", ["", "json", "a/", "/b", "a/b\n", "a b/c", "a/b;\0", "a/" + "b" * 255, None]
)
def test_a_content_type_may_not_be(kind: object) -> None:
    assert content_type_problem(kind)
