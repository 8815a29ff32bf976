"""When a lease ends, and what a heartbeat adds to it."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from trioqueue.model.lease_policy import LeasePolicy
from trioqueue.model.spans import to_micros

if TYPE_CHECKING:
    from collections.abc import Iterable

HEARTBEATS_PER_DEADLINE: Final = 3
"""A live holder speaks up this often in the time it may be silent."""


class Terms(NamedTuple):
    """A merged policy, in whole microseconds; None is "no such bound"."""

    base: int
    extend: int
    cap: int | None
    """The most an attempt may last, from its start."""
    renewals: int | None
    heartbeat: int | None
    execution_limit: int | None


class Deadlines(NamedTuple):
    """The two deadlines of a hold, as instants."""

    lease: int
    heartbeat: int | None

    @property
    def first(self) -> int:
        """The earlier of the two: past it, the attempt is over."""
        if self.heartbeat is None or self.lease <= self.heartbeat:
            return self.lease
        return self.heartbeat


def merge(policies: Iterable[LeasePolicy | None]) -> LeasePolicy:
    """Merge policies field by field, the most particular first."""
    merged = LeasePolicy()
    for policy in policies:
        merged = merged.over(policy)
    return merged


def terms_of(policy: LeasePolicy) -> Terms:
    """Fill in the defaults of a merged policy."""
    base = to_micros(policy.base_seconds)
    extension = _bound(policy.max_extension_seconds)
    return Terms(
        base=base,
        extend=base
        if policy.extend_seconds is None
        else to_micros(policy.extend_seconds),
        cap=None if extension is None else base + extension,
        renewals=policy.max_renewals,
        heartbeat=_bound(policy.heartbeat_seconds),
        execution_limit=_bound(policy.execution_limit_seconds),
    )


def _bound(seconds: float | None) -> int | None:
    return None if seconds is None or math.isinf(seconds) else to_micros(seconds)


def at_claim(terms: Terms, now: int) -> Deadlines:
    """Return the deadlines of a hold that begins now."""
    beat = None if terms.heartbeat is None else now + terms.heartbeat
    return Deadlines(now + terms.base, beat)


def expired(deadlines: Deadlines, now: int) -> str | None:
    """Say which deadline has passed, or None while the hold is good."""
    if deadlines.lease <= now:
        if deadlines.heartbeat is not None and deadlines.heartbeat < deadlines.lease:
            return "heartbeat_expired"
        return "lease_expired"
    if deadlines.heartbeat is not None and deadlines.heartbeat <= now:
        return "heartbeat_expired"
    return None


class Renewal(NamedTuple):
    """What a heartbeat makes of a hold."""

    deadlines: Deadlines
    renewals: int
    capped: bool
    """Whether no later heartbeat can prolong it further."""


def at_heartbeat(
    terms: Terms, deadlines: Deadlines, *, started: int, renewals: int, now: int
) -> Renewal:
    """Prolong a hold that has not expired; never shorten it.

    lease = max(lease, min(now + extend, started + base + max_extension)), unless the
    renewals are used up; the heartbeat deadline moves in any case.
    """
    beat = None if terms.heartbeat is None else now + terms.heartbeat
    if terms.renewals is not None and renewals >= terms.renewals:
        return Renewal(Deadlines(deadlines.lease, beat), renewals, capped=True)
    target = now + terms.extend
    cap = None if terms.cap is None else started + terms.cap
    if cap is not None:
        target = min(target, cap)
    lease = max(deadlines.lease, target)
    prolonged = renewals + (lease > deadlines.lease)
    capped = (cap is not None and lease >= cap) or (
        terms.renewals is not None and prolonged >= terms.renewals
    )
    return Renewal(Deadlines(lease, beat), prolonged, capped)


class Pace(NamedTuple):
    """How a live holder behaves under a policy, in microseconds."""

    interval: int
    """How often it sends a heartbeat: at a third of its shortest deadline."""
    execution_limit: int | None


@lru_cache(maxsize=256)
def pace_of(policy: LeasePolicy) -> Pace:
    """Work out how a live holder behaves; remembered, for it is asked for each job."""
    terms = terms_of(policy)
    shortest = min(terms.base, terms.extend)
    if terms.heartbeat is not None:
        shortest = min(shortest, terms.heartbeat)
    interval = max(1, shortest // HEARTBEATS_PER_DEADLINE)
    return Pace(interval, terms.execution_limit)
