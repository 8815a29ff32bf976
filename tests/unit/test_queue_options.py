"""Queue options: every problem named, and stored without loss."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_lease_rules import policies
from trioqueue import (
    Fairness,
    LeasePolicy,
    QueueOptions,
    QueueType,
    RetentionPolicy,
    RetryPolicy,
)
from trioqueue.model.options_codec import (
    attempts_issues,
    decode_options,
    encode_options,
    option_issues,
)
from trioqueue.model.queue import dead_letter_name, queue_name_issues

SPANS = st.floats(0, 1e6)
RETRIES = st.one_of(
    st.builds(
        RetryPolicy.exponential, SPANS, st.floats(1, 100), SPANS, jitter=st.booleans()
    ),
    st.builds(RetryPolicy.fixed, SPANS),
    st.builds(RetryPolicy.linear, SPANS, SPANS),
)
RETENTIONS = st.one_of(
    st.just(RetentionPolicy.delete()),
    st.just(RetentionPolicy.keep_forever()),
    st.builds(RetentionPolicy.keep, st.floats(0.001, 1e9)),
)
WEIGHTS = st.dictionaries(st.integers(0, 4), st.integers(1, 100), min_size=1)
FAIRNESS = st.one_of(
    st.just(Fairness.strict()),
    st.builds(Fairness.weighted, WEIGHTS),
    st.builds(Fairness.aging, st.floats(1, 1e6)),
    st.builds(Fairness.hybrid, WEIGHTS, st.floats(1, 1e6)),
)
OPTIONS = st.builds(
    QueueOptions,
    max_attempts=st.just(-1) | st.integers(1, 1000),
    lease=policies(),
    retry=RETRIES,
    retention=RETENTIONS,
    dead_letter_queue=st.none()
    | st.from_regex(r"[A-Za-z0-9._-]{1,128}", fullmatch=True),
    dead_letter_retention=RETENTIONS,
    type=st.sampled_from(QueueType),
    fairness=FAIRNESS,
    max_payload_bytes=st.integers(0, 10**7),
    max_metadata_bytes=st.integers(0, 10**7),
    content_types=st.none() | st.lists(st.text(min_size=1), min_size=1, max_size=3),
)


@given(OPTIONS)
def test_stored_options_come_back_as_they_were(options: QueueOptions) -> None:
    text = encode_options(options)
    assert decode_options(text) == options
    assert encode_options(decode_options(text)) == text


@given(OPTIONS, OPTIONS)
def test_options_are_the_same_text_exactly_if_they_are_equal(
    one: QueueOptions, other: QueueOptions
) -> None:
    assert (encode_options(one) == encode_options(other)) == (one == other)


def test_the_same_text_gives_the_same_object() -> None:
    text = encode_options(QueueOptions())
    assert decode_options(text) is decode_options(str(text))


def test_stored_options_are_plain_json() -> None:
    assert json.loads(encode_options(QueueOptions()))["lease"] == {}


def test_the_defaults_are_right() -> None:
    assert option_issues(QueueOptions()) == []


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"max_attempts": 0}, ["max_attempts"]),
        ({"max_attempts": -2}, ["max_attempts"]),
        ({"max_attempts": True}, ["max_attempts"]),
        ({"max_attempts": 2.0}, ["max_attempts"]),
        ({"max_attempts": 2**31}, ["max_attempts"]),
        ({"lease": None, "retry": 3}, ["lease", "retry"]),
        ({"retention": "delete"}, ["retention"]),
        ({"dead_letter_retention": 5}, ["dead_letter_retention"]),
        ({"retry": RetryPolicy.calling(float)}, ["retry"]),
        ({"dead_letter_queue": "no spaces"}, ["dead_letter_queue"]),
        ({"dead_letter_queue": ""}, ["dead_letter_queue"]),
        ({"content_types": "text/plain"}, ["content_types"]),
        ({"content_types": ()}, ["content_types"]),
        ({"content_types": (1,)}, ["content_types"]),
        ({"max_payload_bytes": -1}, ["max_payload_bytes"]),
        ({"max_payload_bytes": 2**40}, ["max_payload_bytes"]),
        ({"max_metadata_bytes": 1.5}, ["max_metadata_bytes"]),
        (
            {"max_attempts": 0, "max_payload_bytes": -1, "dead_letter_queue": "/"},
            ["dead_letter_queue", "max_attempts", "max_payload_bytes"],
        ),
    ],
)
def test_every_wrong_option_is_named(
    settings: dict[str, Any], wrong: list[str]
) -> None:
    issues = option_issues(QueueOptions(**settings))
    assert sorted(issue.field for issue in issues) == [f"options.{n}" for n in wrong]


@pytest.mark.parametrize("options", [None, {}, LeasePolicy()])
def test_options_must_be_queue_options(options: object) -> None:
    (issue,) = option_issues(options)
    assert issue.field == "options"


@given(st.integers(1, 2**31 - 1) | st.just(-1))
def test_a_number_of_attempts_is_positive_or_unlimited(value: int) -> None:
    assert attempts_issues(value, "x") == []


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "x" * 128])
def test_a_queue_name_may_be(name: str) -> None:
    assert queue_name_issues(name) == []


@pytest.mark.parametrize(
    "name", ["", "x" * 129, "a b", "a/b", "a:b", "ä", "a\n", "a\0", None, 5, b"a"]
)
def test_a_queue_name_may_not_be(name: object) -> None:
    (issue,) = queue_name_issues(name, "field")
    assert issue.field == "field"


def test_dead_letters_are_kept_under_the_name_given_or_the_queues_with_dlq() -> None:
    assert dead_letter_name("jobs", QueueOptions()) == "jobs-dlq"
    assert dead_letter_name("jobs", QueueOptions(dead_letter_queue="x")) == "x"
