"""Retry delays, what an ending leads to, the order of claims, retention: pure rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioqueue import MessageState, RetentionPolicy, RetryPolicy, ValidationError
from trioqueue.model.retry_policy import MAX_DELAY_SECONDS
from trioqueue.policies import retention
from trioqueue.policies.ending import Ending, Error, Verdict, verdict
from trioqueue.policies.priority import claim_key, ready_at
from trioqueue.policies.retry import delay_seconds, draw_for

ATTEMPTS = st.integers(1, 10**6)
DRAWS = st.floats(0, 1, exclude_max=True)
INSTANTS = st.integers(0, 253_402_300_799_999_999)  # until the end of the year 9999
NOW = 1_700_000_000_000_000


def without_jitter(base: float, factor: float, cap: float) -> RetryPolicy:
    return RetryPolicy.exponential(base, factor, cap, jitter=False)


def test_exponential_delays_double_up_to_the_cap() -> None:
    policy = without_jitter(1, 2, 10)
    assert [delay_seconds(policy, n, 0.5) for n in range(1, 7)] == [1, 2, 4, 8, 10, 10]


def test_linear_delays_grow_by_the_step_up_to_the_cap() -> None:
    policy = RetryPolicy.linear(3, 10)
    assert [delay_seconds(policy, n, 0.5) for n in range(1, 6)] == [3, 6, 9, 10, 10]


def test_fixed_delays_stay_the_same() -> None:
    policy = RetryPolicy.fixed(timedelta(minutes=1))
    assert {delay_seconds(policy, n, 0.5) for n in range(1, 6)} == {60}


@given(
    st.floats(0, 1e6),
    st.floats(1, 1e6),
    st.floats(0, MAX_DELAY_SECONDS),
    ATTEMPTS,
    DRAWS,
)
def test_full_jitter_stays_between_zero_and_the_delay_without_it(
    base: float, factor: float, cap: float, attempt: int, draw: float
) -> None:
    longest = delay_seconds(without_jitter(base, factor, cap), attempt, draw)
    delay = delay_seconds(RetryPolicy.exponential(base, factor, cap), attempt, draw)
    assert 0 <= longest <= cap
    assert delay == longest * draw


@given(st.floats(0, 1e6), st.floats(1, 10), st.floats(0, MAX_DELAY_SECONDS), ATTEMPTS)
def test_a_later_attempt_never_waits_less(
    base: float, factor: float, cap: float, attempt: int
) -> None:
    for policy in (without_jitter(base, factor, cap), RetryPolicy.linear(base, cap)):
        now, later = (delay_seconds(policy, attempt + n, 0.5) for n in (0, 1))
        assert 0 <= now <= later <= cap


@pytest.mark.parametrize(
    ("answer", "delay"),
    [(7.5, 7.5), (-3, 0), (math.nan, 0), (math.inf, MAX_DELAY_SECONDS), (1e300, None)],
)
def test_a_function_is_asked_and_kept_within_bounds(
    answer: float, delay: float | None
) -> None:
    asked: list[int] = []

    def function(attempt: int) -> float:
        asked.append(attempt)
        return answer

    expected = MAX_DELAY_SECONDS if delay is None else delay
    assert delay_seconds(RetryPolicy.calling(function), 3, 0.5) == expected
    assert asked == [3]


@pytest.mark.parametrize(
    "make",
    [
        lambda: RetryPolicy.fixed(-1),
        lambda: RetryPolicy.fixed(math.nan),
        lambda: RetryPolicy.fixed(math.inf),
        lambda: RetryPolicy.fixed(True),
        lambda: RetryPolicy.exponential(factor=0.5),
        lambda: RetryPolicy.exponential(factor=math.inf),
        lambda: RetryPolicy.exponential(factor=math.nan),
        lambda: RetryPolicy.exponential(base_seconds=-1),
        lambda: RetryPolicy.exponential(cap_seconds=1e12),
        lambda: RetryPolicy.linear(-1),
        lambda: RetryPolicy.linear(1, cap_seconds=-1),
        lambda: RetryPolicy.calling(None),  # type: ignore[arg-type]
    ],
)
def test_a_retry_policy_that_cannot_work_is_refused(
    make: Callable[[], RetryPolicy],
) -> None:
    with pytest.raises(ValidationError, match=r"retry"):
        make()


@given(st.text(st.characters(codec="utf-8")), ATTEMPTS, st.binary(max_size=64))
def test_a_draw_is_even_in_range_and_depends_on_its_arguments_alone(
    message_id: str, attempt: int, salt: bytes
) -> None:
    draw = draw_for(message_id, attempt, salt)
    assert 0 <= draw < 1
    assert draw == draw_for(message_id, attempt, salt)
    assert draw != draw_for(message_id, attempt + 1, salt)


def test_draws_spread_evenly() -> None:
    draws = [draw_for(f"m{n}", 1, b"salt") for n in range(10_000)]
    for low in range(10):
        share = sum(low / 10 <= draw < (low + 1) / 10 for draw in draws)
        assert 850 < share < 1150


def judge(
    ending: Ending,
    attempts: int = 1,
    max_attempts: int = 3,
    *,
    aborted: bool = False,
    abort_reason: str | None = None,
) -> Verdict:
    return verdict(
        ending,
        attempts=attempts,
        max_attempts=max_attempts,
        aborted=aborted,
        abort_reason=abort_reason,
        now=NOW,
    )


FAILED = Ending("failed", error=Error("E", "broken"))
LATER = FAILED._replace(delay=5)


@pytest.mark.parametrize(
    ("ending", "attempts", "state", "used", "reason"),
    [
        (Ending("completed"), 3, MessageState.COMPLETED, 3, None),
        (FAILED, 1, MessageState.PENDING, 1, None),
        (LATER, 2, MessageState.INVISIBLE, 2, None),
        (LATER, 3, MessageState.ERRORED, 3, "max_attempts"),
        (FAILED._replace(final=True), 1, MessageState.ERRORED, 1, "discarded"),
        (Ending("lease_expired"), 2, MessageState.PENDING, 2, None),
        (Ending("lease_expired"), 3, MessageState.ERRORED, 3, "lease_expired"),
        (Ending("heartbeat_expired"), 3, MessageState.ERRORED, 3, "heartbeat_expired"),
        (Ending("released", charged=False), 3, MessageState.PENDING, 2, None),
        (Ending("released", 9, charged=False), 1, MessageState.INVISIBLE, 0, None),
        (Ending("undecodable", final=True), 1, MessageState.ERRORED, 1, "undecodable"),
    ],
)
def test_each_ending_leads_to_one_state(
    ending: Ending, attempts: int, state: MessageState, used: int, reason: str | None
) -> None:
    outcome = judge(ending, attempts)
    assert (outcome.state, outcome.attempts, outcome.reason) == (state, used, reason)
    assert outcome.outcome == ending.outcome
    due = NOW + ending.delay if state is MessageState.INVISIBLE else None
    assert outcome.due_at == due


ENDINGS = st.builds(
    Ending,
    st.sampled_from(["completed", "failed", "released", "lease_expired"]),
    st.integers(0, 10**9),
    st.booleans(),
    st.booleans(),
)


@given(ENDINGS, st.integers(1, 10))
def test_a_message_without_a_limit_dies_only_when_given_up(
    ending: Ending, attempts: int
) -> None:
    dead = judge(ending, attempts, -1).state is MessageState.ERRORED
    assert dead == (ending.final and ending.outcome != "completed")


@given(ENDINGS, st.integers(1, 10), st.integers(1, 10))
def test_no_message_goes_on_with_its_attempts_used_up(
    ending: Ending, attempts: int, max_attempts: int
) -> None:
    outcome = judge(ending, attempts, max_attempts)
    if outcome.state in (MessageState.PENDING, MessageState.INVISIBLE):
        assert outcome.attempts < max_attempts or not ending.charged
    assert outcome.attempts == attempts - (
        not ending.charged and ending.outcome != "completed"
    )


@given(ENDINGS, st.integers(1, 10), st.none() | st.text())
def test_a_message_somebody_canceled_ends_canceled_whatever_its_handler_said(
    ending: Ending, attempts: int, reason: str | None
) -> None:
    outcome = judge(ending, attempts, aborted=True, abort_reason=reason)
    assert outcome.state is MessageState.CANCELED
    assert (outcome.reason, outcome.outcome) == (reason, "canceled")


@given(
    st.lists(st.tuples(st.integers(0, 4), INSTANTS), min_size=2, max_size=20),
)
def test_claim_keys_order_by_priority_then_by_the_instant_of_readiness(
    messages: list[tuple[int, int]],
) -> None:
    by_key = sorted(messages, key=lambda m: claim_key(*m))
    assert by_key == sorted(messages, key=lambda m: (-m[0], m[1]))


@given(st.integers(0, 4), INSTANTS)
def test_a_claim_key_remembers_its_instant_and_fits_a_database_integer(
    priority: int, instant: int
) -> None:
    key = claim_key(priority, instant)
    assert ready_at(key) == instant
    assert 0 <= key < 2**63


def test_retention_says_when_a_finished_message_may_go() -> None:
    delete, forever = RetentionPolicy.delete(), RetentionPolicy.keep_forever()
    keep = RetentionPolicy.keep(timedelta(hours=1))
    assert [retention.keeps(p) for p in (delete, keep, forever)] == [False, True, True]
    assert retention.expires_at(keep, NOW) == NOW + 3_600_000_000
    assert retention.expires_at(forever, NOW) is None


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, 1e12, "1", True])
def test_a_retention_that_cannot_work_is_refused(seconds: float) -> None:
    with pytest.raises(ValidationError, match=r"retention"):
        RetentionPolicy.keep(seconds)
