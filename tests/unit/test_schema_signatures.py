"""Schemas of tasks: what their types say of the JSON they take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, NewType, NotRequired, TypedDict

import pytest

from trioqueue import App, Job, ValidationError
from trioqueue.schema import schema_of
from trioqueue.schema.documents import check_document
from trioqueue.schema.signatures import schema_of_type
from trioqueue.schema.validating import Budget, violations

app = App()
UserId = NewType("UserId", int)


class Address(TypedDict):
    street: str
    flat: NotRequired[int]


@dataclass
class Parcel:
    weight: float


@app.task
async def send(
    job: Job, to: str, /, size: Literal["S", "L"] = "S", *, copies: int = 1
) -> None:
    del job, to, size, copies


@app.task
async def gather(first: int, *rest: float, **names: list[str] | None) -> None:
    del first, rest, names


@app.task
def deliver(address: Address, parcel: Parcel, hints: Any, *, by: UserId) -> None:
    del address, parcel, hints, by


SCHEMA = schema_of(send, gather, deliver)


def wrong(name: str, *args: Any, **kwargs: Any) -> list[str]:
    """Return the paths at which a call does not fit."""
    payload = {"task": name, "args": list(args), "kwargs": kwargs}
    text = check_document(SCHEMA)
    found = violations(text, payload, size=1, budget=Budget())
    return sorted({violation.path for violation in found})


def test_calls_that_fit_fit() -> None:
    assert wrong("send", "a@example.org") == []
    assert wrong("send", "a@example.org", "L", copies=2) == []
    assert wrong("send", "a@example.org", size="L") == []
    assert wrong("gather", 1, 2.5, 3, a=["x"], b=None) == []
    assert wrong("gather", first=1) == []
    assert wrong("deliver", {"street": "x"}, {"any": 1}, None, by=3) == []


def test_calls_that_do_not_fit_are_told_where() -> None:
    assert wrong("send") == ["/args"]
    assert wrong("send", to="a") == ["/args", "/kwargs"]
    assert wrong("send", 5, "M", copies="2") == ["/args/0", "/args/1", "/kwargs/copies"]
    assert wrong("send", "a", "S", 3) == ["/args"]
    assert wrong("gather") == [""]
    assert wrong("gather", 1, "2", a=["x", 5]) == ["/args/1", "/kwargs/a"]
    assert wrong("deliver", {"flat": "1"}, 1, 1) == [
        "/args/0",
        "/args/0/flat",
        "/kwargs",
    ]
    assert wrong("vanished") == ["/task"]


def test_what_is_no_call_does_not_fit() -> None:
    text = check_document(SCHEMA)
    assert violations(text, {"to": "a"}, size=1, budget=Budget())
    assert violations(text, 5, size=1, budget=Budget())


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (int, {"type": "integer"}),
        (bool, {"type": "boolean"}),
        (None, {"type": "null"}),
        (list, {"type": "array"}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (
            dict[str, bool],
            {"type": "object", "additionalProperties": {"type": "boolean"}},
        ),
        (dict[int, bool], True),
        (
            tuple[int, str],
            {
                "type": "array",
                "minItems": 2,
                "maxItems": 2,
                "prefixItems": [{"type": "integer"}, {"type": "string"}],
            },
        ),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (int | Any, True),
        (Literal["a", 1, True], {"enum": ["a", 1, True]}),
        (Literal[b"a"], True),
        (UserId, {"type": "integer"}),
        (set[int], True),
        (Parcel, True),
        (Any, True),
        ("not a type", True),
    ],
)
def test_types_say_what_json_they_are(hint: Any, schema: Any) -> None:
    assert schema_of_type(hint) == schema


def test_annotations_are_looked_through() -> None:
    @App().task
    async def annotated(a: Annotated[int, "how many"]) -> None:
        del a

    (call,) = schema_of(annotated)["allOf"]
    assert call["then"]["properties"]["args"]["prefixItems"] == [{"type": "integer"}]


def test_names_that_only_checkers_know_say_nothing() -> None:
    async def unknown(a: Nowhere) -> None:  # type: ignore[name-defined]  # noqa: F821  on purpose
        del a

    task = App().task(unknown)
    (call,) = schema_of(task)["allOf"]
    assert call["then"]["properties"]["args"]["prefixItems"] == [True]


def test_it_needs_tasks_each_once() -> None:
    with pytest.raises(ValidationError):
        schema_of()
    with pytest.raises(ValidationError):
        schema_of(send, send)
