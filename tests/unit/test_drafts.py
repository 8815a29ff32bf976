"""From what a caller hands to `post` to a draft: every problem named at once."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioqueue import LeasePolicy, NewMessage, QueueOptions
from trioqueue.errors import Issue
from trioqueue.model.spans import LAST_INSTANT, instant_to_micros
from trioqueue.store.drafts import make_draft
from trioqueue.store.operations.post import Draft, limit_issues

NOW = instant_to_micros(datetime(2026, 1, 1, tzinfo=UTC), "now")


def draft_of(payload: Any = "work", **settings: Any) -> tuple[Draft, list[Issue]]:
    new = NewMessage(payload, **settings)
    return make_draft("jobs", new, NOW, random.Random(1))


def good(payload: Any = "work", **settings: Any) -> Draft:
    draft, issues = draft_of(payload, **settings)
    assert issues == []
    return draft


def test_a_draft_of_a_bare_payload_takes_the_defaults() -> None:
    draft = good({"a": 1})
    assert draft.content == b'{"a":1}'
    assert draft.priority == 2
    assert draft.generated
    assert (draft.delay, draft.scheduled_at, draft.max_attempts) == (None, None, None)
    assert (draft.metadata_text, draft.lease_text) == (None, None)


def test_empty_metadata_and_an_empty_lease_are_as_good_as_none() -> None:
    bare, empty = good(), good(metadata={}, lease=LeasePolicy())
    assert empty[:11] == bare[:11]


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"payload": {1, 2}}, ["payload"]),
        ({"payload": b"x"}, ["payload"]),
        ({"payload": b"x", "content_type": "text/plain"}, ["payload"]),
        ({"content_type": "nonsense"}, ["content_type"]),
        ({"content_type": None}, ["content_type"]),
        ({"priority": 5}, ["priority"]),
        ({"priority": -1}, ["priority"]),
        ({"priority": True}, ["priority"]),
        ({"priority": 2.0}, ["priority"]),
        ({"metadata": {1: 2}}, ["metadata"]),
        ({"metadata": [1]}, ["metadata"]),
        ({"metadata": {"a": object()}}, ["metadata"]),
        ({"metadata": {"a": "\ud800"}}, ["metadata"]),
        ({"delay_seconds": -1}, ["delay_seconds"]),
        ({"delay_seconds": "5"}, ["delay_seconds"]),
        ({"delay_seconds": float("inf")}, ["delay_seconds"]),
        ({"delay_seconds": 1e300}, ["delay_seconds"]),
        (
            {"scheduled_time": datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)},
            ["scheduled_time"],
        ),
        ({"scheduled_time": "tomorrow"}, ["scheduled_time"]),
        ({"max_attempts": 0}, ["max_attempts"]),
        ({"lease": 30}, ["lease"]),
        ({"message_id": ""}, ["message_id"]),
        ({"message_id": "a b"}, ["message_id"]),
        ({"message_id": "a\0b"}, ["message_id"]),
        ({"message_id": "x" * 257}, ["message_id"]),
        ({"message_id": 7}, ["message_id"]),
        ({"schema_id": "a b"}, ["schema_id"]),
        ({"schema_version": 1}, ["schema_version"]),
        ({"schema_id": "s", "schema_version": 0}, ["schema_version"]),
        ({"exclusivity_key": "k"}, ["exclusivity_key"]),
        (
            {
                "payload": object(),
                "priority": 9,
                "metadata": 5,
                "max_attempts": 0,
                "message_id": "?",
                "delay_seconds": -1,
                "lease": "long",
            },
            [
                "delay_seconds",
                "lease",
                "max_attempts",
                "message_id",
                "metadata",
                "payload",
                "priority",
            ],
        ),
    ],
)
def test_every_wrong_field_is_named(settings: dict[str, Any], wrong: list[str]) -> None:
    _, issues = draft_of(**settings)
    assert sorted(issue.field for issue in issues) == wrong


def test_a_delay_and_an_instant_exclude_each_other() -> None:
    when = datetime(2027, 1, 1, tzinfo=UTC)
    _, issues = draft_of(delay_seconds=1, scheduled_time=when)
    assert [issue.field for issue in issues] == ["scheduled_time"]


@pytest.mark.parametrize("delay", [0, 0.5, 3600, timedelta(days=1)])
def test_a_delay_is_kept_as_it_was_given(delay: float | timedelta) -> None:
    seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay
    draft = good(delay_seconds=delay)
    assert (draft.delay, draft.scheduled_at) == (round(seconds * 1e6), None)


def test_a_delay_may_reach_the_year_9999_but_not_past_it() -> None:
    left = (LAST_INSTANT - NOW) // 1_000_000
    good(delay_seconds=left - 2)
    _, issues = draft_of(delay_seconds=left + 1)
    assert [issue.field for issue in issues] == ["delay_seconds"]


@given(st.from_regex(r"[A-Za-z0-9._:-]{1,256}", fullmatch=True))
def test_an_id_of_the_named_characters_is_taken_as_it_is(message_id: str) -> None:
    draft = good(message_id=message_id)
    assert draft.message_id == message_id
    assert not draft.generated


@given(st.text())
def test_any_text_is_a_payload_or_refused_as_one(text: str) -> None:
    for kind in ("application/json", "text/plain"):
        draft, issues = draft_of(text, content_type=kind)
        if issues:
            assert [issue.field for issue in issues] == ["payload"]
            assert any("\ud800" <= c <= "\udfff" for c in text)
        else:
            assert draft.content or not text


def size_issues(options: QueueOptions, payload: Any, **settings: Any) -> list[str]:
    return [i.field for i in limit_issues(good(payload, **settings), options)]


def test_limits_are_counted_in_encoded_bytes_to_the_byte() -> None:
    options = QueueOptions(max_payload_bytes=6, max_metadata_bytes=10)
    assert size_issues(options, "ää") == []  # two quotes and two times two bytes
    assert size_issues(options, "ääa") == ["payload"]
    assert size_issues(options, "", metadata={"ä": "b"}) == []
    assert size_issues(options, "", metadata={"ä": "bc"}) == ["metadata"]
    assert size_issues(options, "123456789", metadata={"long": "metadata"}) == [
        "payload",
        "metadata",
    ]


def test_a_queue_may_accept_some_content_types_only() -> None:
    options = QueueOptions(content_types=("text/plain",))
    assert size_issues(options, "x", content_type="text/plain") == []
    assert size_issues(options, "x") == ["content_type"]
