"""When a lease ends, and what a heartbeat adds: `policies.lease` and `LeasePolicy`."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trioqueue import LeasePolicy, ValidationError
from trioqueue.policies import lease as rules
from trioqueue.store.operations.rows import decode_lease, encode_lease

NAMES = (
    "base_seconds",
    "extend_seconds",
    "max_extension_seconds",
    "max_renewals",
    "heartbeat_seconds",
    "execution_limit_seconds",
)
SPANS = st.floats(0.001, 10_000) | st.integers(1, 10_000)
NOW = 1_700_000_000_000_000


def policies() -> st.SearchStrategy[LeasePolicy]:
    """Draw valid policies with any of their fields set."""

    def make(settings: dict[str, Any]) -> LeasePolicy | None:
        try:
            return LeasePolicy(**settings)
        except ValidationError:
            return None

    drawn: st.SearchStrategy[LeasePolicy | None] = st.fixed_dictionaries(
        {},
        optional={
            "base_seconds": SPANS,
            "extend_seconds": SPANS,
            "max_extension_seconds": SPANS | st.just(0) | st.just(math.inf),
            "max_renewals": st.integers(0, 5),
            "heartbeat_seconds": SPANS | st.just(math.inf),
            "execution_limit_seconds": SPANS | st.just(math.inf),
        },
    ).map(make)
    return drawn.filter(lambda policy: policy is not None)  # type: ignore[return-value]


def test_an_unset_base_reads_as_thirty_seconds_but_does_not_count_as_set() -> None:
    assert LeasePolicy().base_seconds == 30
    assert LeasePolicy().settings() == {}
    assert LeasePolicy(30).settings() == {"base_seconds": 30}
    assert LeasePolicy() != LeasePolicy(30)


def test_spans_may_be_timedeltas() -> None:
    policy = LeasePolicy(timedelta(minutes=2), heartbeat_seconds=timedelta(seconds=5))
    assert policy == LeasePolicy(120, heartbeat_seconds=5)


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"base_seconds": 0}, ["base_seconds"]),
        ({"base_seconds": -1, "extend_seconds": 0}, ["base_seconds", "extend_seconds"]),
        ({"base_seconds": math.inf}, ["base_seconds"]),
        ({"extend_seconds": math.inf}, ["extend_seconds"]),
        ({"max_extension_seconds": -0.1}, ["max_extension_seconds"]),
        ({"max_renewals": -1}, ["max_renewals"]),
        ({"max_renewals": 1.5}, ["max_renewals"]),
        ({"max_renewals": True}, ["max_renewals"]),
        ({"heartbeat_seconds": 0}, ["heartbeat_seconds"]),
        ({"execution_limit_seconds": 0}, ["execution_limit_seconds"]),
        # A gap as long as the whole hold could never be exceeded.
        (
            {"base_seconds": 5, "max_extension_seconds": 5, "heartbeat_seconds": 10},
            ["heartbeat_seconds"],
        ),
        (
            {"base_seconds": -1, "max_renewals": -1, "heartbeat_seconds": -1},
            ["base_seconds", "heartbeat_seconds", "max_renewals"],
        ),
    ],
)
def test_every_field_that_can_never_work_is_named(
    settings: dict[str, Any], wrong: list[str]
) -> None:
    with pytest.raises(ValidationError) as raised:
        LeasePolicy(**settings)
    assert sorted(i.field for i in raised.value.issues) == [f"lease.{n}" for n in wrong]


@pytest.mark.parametrize("value", ["30", None, math.nan, True, object()])
@pytest.mark.parametrize("name", [n for n in NAMES if n != "max_renewals"])
def test_a_span_must_be_a_number_or_a_timedelta(name: str, value: Any) -> None:
    if value is None:
        assert LeasePolicy(**{name: value}) == LeasePolicy()
        return
    with pytest.raises(ValidationError, match=name):
        LeasePolicy(**{name: value})


@pytest.mark.parametrize("name", [n for n in NAMES if n != "max_renewals"])
@pytest.mark.parametrize("value", [1e9, 1e13, 1e300])
def test_a_span_beyond_any_calendar_is_refused(name: str, value: Any) -> None:
    # Stored, it would make the message's deadline, and so each claim, impossible.
    with pytest.raises(ValidationError, match=name):
        LeasePolicy(**{name: value})


@given(policies(), policies())
def test_merging_takes_each_field_from_the_upper_policy_if_it_is_set(
    upper: LeasePolicy, lower: LeasePolicy
) -> None:
    merged = upper.over(lower).settings()
    assert merged == {**lower.settings(), **upper.settings()}


@given(st.lists(st.none() | policies(), max_size=4))
def test_merging_many_takes_the_first_that_says_something(
    layers: list[LeasePolicy | None],
) -> None:
    merged = rules.merge(layers).settings()
    for name in NAMES:
        said = [p.settings()[name] for p in layers if p and name in p.settings()]
        assert merged.get(name) == (said[0] if said else None)


def test_policies_that_only_conflict_once_merged_still_merge() -> None:
    # Each was checked by itself; a claim must not fail because they do not fit.
    merged = LeasePolicy(heartbeat_seconds=60).over(
        LeasePolicy(30, max_extension_seconds=10)
    )
    assert merged.settings() == {
        "base_seconds": 30,
        "max_extension_seconds": 10,
        "heartbeat_seconds": 60,
    }
    assert decode_lease(encode_lease(merged)) == merged


@given(policies())
def test_a_stored_policy_comes_back_as_it_was(policy: LeasePolicy) -> None:
    assert (decode_lease(encode_lease(policy)) or LeasePolicy()) == policy


@given(policies())
def test_a_claim_sets_both_deadlines_from_now(policy: LeasePolicy) -> None:
    terms = rules.terms_of(policy)
    deadlines = rules.at_claim(terms, NOW)
    assert deadlines.lease == NOW + round(policy.base_seconds * 1e6)
    beat = policy.heartbeat_seconds
    if beat is None or math.isinf(beat):
        assert deadlines.heartbeat is None
    else:
        assert deadlines.heartbeat == NOW + round(beat * 1e6)
    assert rules.expired(deadlines, NOW) is None
    assert rules.expired(deadlines, deadlines.first - 1) is None
    assert rules.expired(deadlines, deadlines.first) is not None


@pytest.mark.parametrize(
    ("lease", "beat", "now", "reason"),
    [
        (100, None, 99, None),
        (100, None, 100, "lease_expired"),
        (100, 50, 49, None),
        (100, 50, 50, "heartbeat_expired"),
        (100, 50, 200, "heartbeat_expired"),  # the one that passed first
        (50, 100, 50, "lease_expired"),
        (50, 100, 200, "lease_expired"),
        (100, 100, 100, "lease_expired"),
    ],
)
def test_a_hold_is_over_at_its_first_deadline_and_names_it(
    lease: int, beat: int | None, now: int, reason: str | None
) -> None:
    assert rules.expired(rules.Deadlines(lease, beat), now) == reason


@given(policies(), st.data())
def test_a_heartbeat_never_shortens_a_lease_and_never_passes_the_cap(
    policy: LeasePolicy, data: st.DataObject
) -> None:
    terms = rules.terms_of(policy)
    deadlines, renewals, now = rules.at_claim(terms, NOW), 0, NOW
    cap = None if terms.cap is None else NOW + terms.cap
    for _ in range(8):
        now = data.draw(st.integers(now, deadlines.first - 1))
        renewal = rules.at_heartbeat(
            terms, deadlines, started=NOW, renewals=renewals, now=now
        )
        ends = renewal.deadlines
        assert ends.lease >= deadlines.lease
        assert ends.lease <= max(deadlines.lease, now + terms.extend)
        if cap is not None:
            assert ends.lease <= cap
            assert renewal.capped or ends.lease < cap
        if terms.renewals is not None:
            assert renewal.renewals <= terms.renewals
            assert renewal.capped or renewal.renewals < terms.renewals
        if cap is None and terms.renewals is None:
            assert not renewal.capped
            assert ends.lease >= now + terms.extend
        assert ends.heartbeat == (terms.heartbeat and now + terms.heartbeat)
        if renewal.capped:
            later = rules.at_heartbeat(
                terms, ends, started=NOW, renewals=renewal.renewals, now=now
            )
            assert later.deadlines.lease == ends.lease
        deadlines, renewals = ends, renewal.renewals
        assume(deadlines.first > now)


def test_a_renewal_that_adds_nothing_is_not_counted() -> None:
    terms = rules.terms_of(LeasePolicy(100, extend_seconds=10, max_renewals=1))
    start = rules.at_claim(terms, 0)
    early = rules.at_heartbeat(terms, start, started=0, renewals=0, now=1)
    assert (early.renewals, early.deadlines.lease, early.capped) == (
        0,
        100_000_000,
        False,
    )
    late = rules.at_heartbeat(terms, start, started=0, renewals=0, now=95_000_000)
    assert (late.renewals, late.deadlines.lease, late.capped) == (1, 105_000_000, True)


@given(policies())
def test_a_holder_speaks_up_three_times_in_its_shortest_deadline(
    policy: LeasePolicy,
) -> None:
    terms = rules.terms_of(policy)
    shortest = min(t for t in (terms.base, terms.extend, terms.heartbeat) if t)
    assert 1 <= rules.pace_of(policy).interval <= max(1, shortest / 3)
