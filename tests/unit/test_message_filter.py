"""A filter says at once what is wrong with it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from trioqueue import MessageFilter, MessageState, ValidationError

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"queues": "mail"}, "queues"),
        ({"queues": 7}, "queues"),
        ({"queues": ["mail", 7]}, "queues[1]"),
        ({"queues": ["no spaces"]}, "queues[0]"),
        ({"states": MessageState.PENDING}, "states"),
        ({"states": ["PENDING"]}, "states[0]"),
        ({"states": [0]}, "states[0]"),
        ({"ids": "m1"}, "ids"),
        ({"ids": ["m1", None]}, "ids[1]"),
        ({"ids": [""]}, "ids[0]"),
        ({"ids": ["\ud800"]}, "ids[0]"),
        ({"task": ""}, "task"),
        ({"task": len}, "task"),
        ({"error": ""}, "error"),
        ({"error": ValueError}, "error"),
        ({"error": "a\0b"}, "error"),
        ({"reason": ""}, "reason"),
        ({"since": "today"}, "since"),
        ({"since": NOON.replace(tzinfo=None)}, "since"),
        ({"until": 0}, "until"),
        ({"since": NOON, "until": NOON}, "until"),
        ({"metadata": [("a", 1)]}, "metadata"),
        ({"metadata": {1: 1}}, "metadata"),
        ({"metadata": {"a": {1}}}, "metadata.a"),
        ({"metadata": {"a": float("nan")}}, "metadata.a"),
        ({"dead_letters_under": "no spaces"}, "dead_letters_under"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as raised:
        MessageFilter(**given)
    assert [issue.field for issue in raised.value.issues] == [field]


def test_every_problem_is_named() -> None:
    with pytest.raises(ValidationError) as raised:
        MessageFilter(ids=[1], task="", states="x")
    assert {issue.field for issue in raised.value.issues} == {
        "ids[0]",
        "task",
        "states",
    }


def test_lists_may_be_of_any_kind() -> None:
    one = MessageFilter(ids=iter(["a", "b"]), states={MessageState.ERRORED})
    assert one == MessageFilter(ids=["a", "b"], states=(MessageState.ERRORED,))
    assert one.ids == ("a", "b")


def test_an_empty_one_says_so() -> None:
    assert MessageFilter().is_empty
    assert not MessageFilter(ids=[]).is_empty
    assert not MessageFilter(metadata={"a": None}).is_empty
