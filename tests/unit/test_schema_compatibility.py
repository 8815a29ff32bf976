"""Whether a new schema accepts all that an old one does: never wrongly said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.schema_strategies import SCHEMAS, VALUES
from trioqueue import ValidationError
from trioqueue.schema import check_compatibility
from trioqueue.schema.validating import Budget, violations

BASE = {
    "type": "object",
    "required": ["a"],
    "properties": {"a": {"type": "integer"}, "b": {"enum": ["x", "y"]}},
    "additionalProperties": False,
}


def accepts(document: Any, value: Any) -> bool:
    return not violations(json.dumps(document), value, size=1, budget=Budget())


@given(SCHEMAS, SCHEMAS, st.lists(VALUES, min_size=5, max_size=20))
def test_what_it_calls_compatible_is(old: Any, new: Any, values: list[Any]) -> None:
    try:
        found = check_compatibility(old, new)
    except ValidationError:
        return
    if found.compatible:
        for value in values:
            assert accepts(new, value) or not accepts(old, value), (old, new, value)


@given(SCHEMAS, st.data())
def test_a_schema_with_a_keyword_less_is_not_called_worse_wrongly(
    old: Any, data: st.DataObject
) -> None:
    if not isinstance(old, dict) or not old:
        return
    gone = data.draw(st.sampled_from(sorted(old)))
    new = {name: value for name, value in old.items() if name != gone}
    try:
        found = check_compatibility(old, new)
    except ValidationError:
        return
    values = data.draw(st.lists(VALUES, min_size=5, max_size=20))
    if found.compatible:
        for value in values:
            assert accepts(new, value) or not accepts(old, value), (old, new, value)


@pytest.mark.parametrize(
    ("new", "problem"),
    [
        ({**BASE, "required": ["a", "b"]}, "/: 'b' is newly required"),
        ({**BASE, "type": "array"}, "/: no longer of type object"),
        (
            {**BASE, "properties": {"a": {"type": "integer"}}},
            "/properties/b: is no longer allowed",
        ),
        (
            {**BASE, "properties": {**BASE["properties"], "b": {"enum": ["x"]}}},  # type: ignore[dict-item]  # a dict
            "/properties/b: the value 'y' is no longer accepted",
        ),
        (
            {**BASE, "properties": {**BASE["properties"], "a": {"type": "string"}}},  # type: ignore[dict-item]  # a dict
            "/properties/a: no longer of type integer",
        ),
        (False, "/: nothing is accepted any more"),
    ],
)
def test_it_says_what_is_refused(new: Any, problem: str) -> None:
    found = check_compatibility(BASE, new)
    assert found.problems == (problem,)
    assert not found.compatible


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (BASE, BASE),
        (BASE, True),
        (False, BASE),
        (BASE, {**BASE, "required": []}),
        (BASE, {**BASE, "additionalProperties": {"type": "string"}}),
        (BASE, {**BASE, "title": "with a title"}),
        ({"type": "integer"}, {"type": ["number", "null"]}),
        ({"minimum": 3}, {"exclusiveMinimum": 2}),
        ({"multipleOf": 4}, {"multipleOf": 2}),
        ({"enum": [1, 2]}, {"type": "integer", "minimum": 1}),
        ({"anyOf": [{"type": "null"}]}, {"anyOf": [{"type": "null"}, {}]}),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "null"}}}, {"type": "null"}),
        (
            {"properties": {"next": {"$ref": "#"}}, "maxProperties": 1},
            {"properties": {"next": {"$ref": "#"}}, "maxProperties": 2},
        ),
    ],
)
def test_it_knows_what_is_wider(old: Any, new: Any) -> None:
    found = check_compatibility(old, new)
    assert (found.problems, found.undecided) == ((), ())
    assert found.compatible


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, {"not": {"type": "null"}}),
        ({"pattern": "a"}, {"pattern": "a|b"}),
        ({"if": {"type": "null"}}, {"if": {"type": "string"}}),
        ({"patternProperties": {"a": {}}}, {"patternProperties": {"b": {}}}),
        ({"items": {}}, {"items": {"type": "null"}, "unevaluatedItems": False}),
    ],
)
def test_it_says_what_it_does_not_know(old: Any, new: Any) -> None:
    found = check_compatibility(old, new)
    assert found.undecided
    assert not found.compatible


def test_what_is_no_schema_is_refused() -> None:
    with pytest.raises(ValidationError):
        check_compatibility({"type": "x"}, {})
