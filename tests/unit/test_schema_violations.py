"""Violations: as the library finds them, at a bounded cost."""

from __future__ import annotations

import builtins
import json
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from tests.unit.schema_strategies import SCHEMAS, VALUES
from trioqueue import Issue, ValidationError, Violation
from trioqueue.schema.documents import MAX_BYTES, check_document
from trioqueue.schema.formats import FORMATS
from trioqueue.schema.validating import (
    MAX_VIOLATIONS,
    Budget,
    TooCostlyError,
    judge_fully,
    library,
    pointer,
    violations,
)


def found(document: Any, value: Any) -> list[Violation]:
    text = json.dumps(document)
    return violations(text, value, size=100, budget=Budget())


def codes(document: Any, value: Any) -> list[tuple[str, str]]:
    return [(each.path, each.code) for each in found(document, value)]


@given(SCHEMAS, VALUES)
def test_it_finds_what_the_library_finds(document: Any, value: Any) -> None:
    try:
        check_document(document)
    except ValidationError:
        return
    own = Draft202012Validator(document)
    wanted = {(pointer(e.absolute_path), e.validator) for e in own.iter_errors(value)}
    told = {
        (each.path, None if each.code == "false" else each.code)
        for each in found(document, value)
    }
    assert told == wanted


def test_paths_are_pointers() -> None:
    document = {"additionalProperties": {"items": {"type": "null"}}}
    (violation,) = found(document, {"a/b~c": [None, 1]})
    assert violation.path == "/a~1b~0c/1"
    assert violation.field == "payload/a~1b~0c/1"
    assert violation.message == "1 is not of type 'null'"


def test_a_violation_of_one_of_many_has_its_path() -> None:
    assert Violation("messages[3].payload/a", "is wrong", code="type").path == "/a"
    assert str(Violation("payload", "is wrong")) == "payload: is wrong"
    assert isinstance(Violation("payload", "is wrong"), Issue)


def test_numbers_that_are_equal_are_not_unique() -> None:
    unique = {"uniqueItems": True}
    for same in ([1, 1.0], [{"a": 1}, {"a": 1.0}], [[1], [1]], ["a", "b", "a"]):
        assert codes(unique, same) == [("", "uniqueItems")]
    lists: list[list[Any]] = [[1, True], [0, False], ["1", 1], [[], {}], [None, 0]]
    for different in lists:
        assert codes(unique, different) == []


def test_patterns_of_properties_count() -> None:
    document = {
        "properties": {"known": {}},
        "patternProperties": {"^x-": {"type": "string"}},
        "additionalProperties": False,
    }
    assert codes(document, {"known": 1, "x-a": "b"}) == []
    assert codes(document, {"x-a": 1}) == [("/x-a", "type")]
    assert codes(document, {"y": 1}) == [("", "additionalProperties")]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date", "2028-02-29", "2026-02-29"),
        ("date", "2026-01-01", "20260101"),
        ("time", "23:59:59.123456789Z", "23:59:59"),
        ("date-time", "2026-01-01T00:00:00+01:00", "2026-01-01"),
        ("date-time", "2026-01-01t00:00:00.5z", "2026-13-01T00:00:00Z"),
        ("email", "a@example.org", "a example.org"),
        ("ipv4", "127.0.0.1", "127.0.0.256"),
        ("ipv6", "::1", "::1%eth0"),
        ("uuid", "12345678-1234-1234-1234-123456789ABC", "12345678"),
    ],
)
def test_formats_are_checked(name: str, good: str, bad: str) -> None:
    assert name in FORMATS
    assert codes({"format": name}, good) == []
    assert codes({"format": name}, bad) == [("", "format")]
    assert codes({"format": name}, 5) == []


def test_other_formats_say_nothing() -> None:
    assert codes({"format": "hostname"}, "?") == []


def test_no_more_are_listed_than_anybody_reads() -> None:
    assert len(found({"items": {"type": "null"}}, [1] * 1000)) == MAX_VIOLATIONS


def test_long_values_are_cut_in_messages() -> None:
    (violation,) = found({"type": "null"}, "x" * 10_000)
    assert len(violation.message) < 400


def test_costs_are_bounded() -> None:
    text = json.dumps({"items": {"type": "null"}})
    with pytest.raises(TooCostlyError):
        violations(text, [None] * 1000, size=1, budget=Budget(500))
    budget = Budget(2000)
    violations(text, [None] * 1000, size=1, budget=budget)
    with pytest.raises(TooCostlyError):
        violations(text, [None] * 1000, size=1, budget=budget)


def test_nesting_is_bounded() -> None:
    document = {"items": {"$ref": "#"}}
    value: Any = None
    for _ in range(199):
        value = [value]
    (violation,) = found(document, value)
    assert violation.code == "depth"


def test_a_document_that_nobody_checked_refuses_everything() -> None:
    (violation,) = judge_fully(json.dumps({"type": "objekt"}), b"1")
    assert violation.code == "schema"


@pytest.mark.parametrize(
    ("document", "where"),
    [
        (5, "document"),
        ([{}], "document"),
        ({"type": "objekt"}, "document/type"),
        ({"properties": {"a": {"minLength": -1}}}, "document/properties/a/minLength"),
        ({"$schema": "https://example.org/"}, "document/$schema"),
        ({"$ref": "https://example.org/a"}, "document/$ref"),
        ({"$ref": "#/$defs/a"}, "document/$ref"),
        ({"$ref": "#/a", "a": {"type": "objekt"}}, "document/a/type"),
        ({"$ref": "#/a", "a": {"$ref": "b.json"}}, "document/a/$ref"),
        ({"$ref": "#"}, "document"),
        ({"allOf": [{"$ref": "#"}]}, "document"),
        ({"pattern": "(?=a)"}, "document/pattern"),
        ({"patternProperties": {"(": {}}}, "document/patternProperties"),
        ({"description": "x" * MAX_BYTES}, "document"),
        ({"default": float("nan")}, "document"),
        ({"default": {1: 2}}, "document"),
        ({"unevaluatedProperties": False, "patternProperties": {"a": {}}}, "document"),
    ],
)
def test_what_is_no_schema_is_refused(document: Any, where: str) -> None:
    with pytest.raises(ValidationError) as raised:
        check_document(document)
    assert [i.field.startswith(where) for i in raised.value.issues] == [True]


def test_a_deep_document_is_refused() -> None:
    document: Any = {}
    for _ in range(70):
        document = {"not": document}
    with pytest.raises(ValidationError, match="nested"):
        check_document(document)


def test_older_drafts_are_schemas_too() -> None:
    old = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"a": {"type": "string"}},
        "items": [{"$ref": "#/definitions/a"}],
        "additionalItems": False,
    }
    check_document(old)
    assert codes(old, ["a"]) == []
    assert codes(old, [1, 2]) == [("", "additionalItems"), ("/0", "type")]


def test_references_inside_are_followed() -> None:
    tree = {
        "$id": "https://example.org/tree",
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"children": {"items": {"$ref": "tree#/$defs/node"}}},
            }
        },
    }
    check_document(tree)
    assert codes(tree, {"children": [{}, {"children": [1]}]}) == [
        ("/children/1/children/0", "type")
    ]


def test_without_the_library_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("jsonschema"):
            message = "No module named 'jsonschema'"
            raise ImportError(message)
        return real(name, *args, **kwargs)

    assert library().Draft202012Validator is Draft202012Validator
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValidationError, match=r"pip install 'trioqueue\[schema\]'"):
        library()
