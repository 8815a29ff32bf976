"""Leases: how their terms are merged, and what a heartbeat adds."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from tests.helpers import QUEUE, World, contract, fields
from trioqueue import (
    Job,
    Lease,
    LeaseLostError,
    LeasePolicy,
    MessageState,
    ValidationError,
)


def _seconds(lease: Lease, job: Job, world: World) -> float:
    """Return how long a lease still lasts."""
    assert job.lease.expires_at <= lease.expires_at
    return (lease.expires_at - world.store.now()).total_seconds()


def _near(seconds: float) -> object:
    return pytest.approx(seconds, abs=2)


@contract
async def test_the_default_is_thirty_seconds_and_no_heartbeat(world: World) -> None:
    """A1, row 20: no heartbeat deadline means none, not one that has passed."""
    await world.make_queue()
    job = await world.running(message_id="m")
    assert job.lease.heartbeat_expires_at is None
    await world.advance(6)
    assert await world.store.find_expired_messages() == []
    await world.advance(20)
    assert await world.reclaim() == 0
    assert await world.state("m") is MessageState.RUNNING
    await world.advance(4)
    assert await world.reclaim() == 1
    assert await world.state("m") is MessageState.PENDING


@pytest.mark.parametrize(
    ("queue", "hint", "message", "expected"),
    [
        ({}, {}, {}, 30),
        ({"base_seconds": 60}, {}, {}, 60),
        ({"base_seconds": 60}, {"base_seconds": 70}, {}, 70),
        ({"base_seconds": 60}, {"base_seconds": 70}, {"base_seconds": 80}, 80),
        ({"base_seconds": 60}, {}, {"base_seconds": 80}, 80),
        ({}, {"base_seconds": 70}, {"max_renewals": 4}, 70),
        ({"base_seconds": 60}, {"extend_seconds": 5}, {"max_renewals": 4}, 60),
    ],
)
@contract
async def test_the_base_is_the_messages_then_the_hints_then_the_queues(
    world: World,
    queue: dict[str, float],
    hint: dict[str, float],
    message: dict[str, float],
    expected: float,
) -> None:
    """A8, A13, row 22: the most particular policy wins, field by field."""
    await world.make_queue(lease=LeasePolicy(**queue))  # type: ignore[arg-type]
    await world.store.post(
        QUEUE,
        1,
        lease=LeasePolicy(**message) if message else None,  # type: ignore[arg-type]
    )
    job = await world.claim(
        lease=LeasePolicy(**hint) if hint else None  # type: ignore[arg-type]
    )
    assert job.lease_policy.base_seconds == expected
    lasts = (job.lease.expires_at - world.store.now()).total_seconds()
    assert lasts == _near(expected)
    await world.advance(expected - 5)
    assert await world.reclaim() == 0
    await world.advance(5)
    assert await world.reclaim() == 1


@contract
async def test_every_field_is_merged_by_itself(world: World) -> None:
    """A8: a partial policy replaces only what it sets."""
    await world.make_queue(
        lease=LeasePolicy(
            base_seconds=100,
            extend_seconds=10,
            max_extension_seconds=1000,
            max_renewals=3,
        )
    )
    await world.store.post(
        QUEUE, 1, lease=LeasePolicy(heartbeat_seconds=50, max_renewals=9)
    )
    hint = LeasePolicy(
        extend_seconds=20, heartbeat_seconds=60, execution_limit_seconds=500
    )
    job = await world.claim(lease=hint)
    assert job.lease_policy == LeasePolicy(
        base_seconds=100,
        extend_seconds=20,
        max_extension_seconds=1000,
        max_renewals=9,
        heartbeat_seconds=50,
        execution_limit_seconds=500,
    )


@contract
async def test_heartbeats_go_by_the_merged_policy(world: World) -> None:
    await world.make_queue(lease=LeasePolicy(base_seconds=30))
    hint = LeasePolicy(extend_seconds=300)
    await world.store.post(QUEUE, 1, lease=LeasePolicy(heartbeat_seconds=20))
    job = await world.claim(lease=hint)
    await world.advance(10)
    lease = await world.store.heartbeat(job)
    assert _seconds(lease, job, world) == _near(300)
    assert lease.heartbeat_expires_at is not None
    beat = (lease.heartbeat_expires_at - world.store.now()).total_seconds()
    assert beat == _near(20)


@contract
async def test_infinity_takes_away_a_bound_of_the_queue(world: World) -> None:
    await world.make_queue(
        lease=LeasePolicy(
            base_seconds=30, max_extension_seconds=10, heartbeat_seconds=15
        )
    )
    await world.store.post(
        QUEUE,
        1,
        lease=LeasePolicy(heartbeat_seconds=math.inf, max_extension_seconds=math.inf),
    )
    job = await world.claim()
    assert job.lease.heartbeat_expires_at is None
    await world.advance(25)
    lease = await world.store.heartbeat(job)
    assert _seconds(lease, job, world) == _near(30)
    assert not lease.capped


@contract
async def test_a_hint_at_odds_with_the_queue_does_not_stop_claims(world: World) -> None:
    """A7: a policy that makes no sense once merged must not block the queue."""
    await world.make_queue(lease=LeasePolicy(base_seconds=10))
    own = LeasePolicy(heartbeat_seconds=60)
    await world.store.post(QUEUE, 1, lease=own, message_id="m")
    options = (await world.store.get_queue(QUEUE)).options
    assert options.lease.base_seconds == 10
    job = await world.claim(lease=LeasePolicy(base_seconds=10, max_extension_seconds=5))
    await world.store.heartbeat(job)
    assert (await world.store.get_message(QUEUE, "m")).lease_policy == own
    await world.advance(20)
    with pytest.raises(LeaseLostError):
        await world.store.heartbeat(job)
    assert await world.reclaim() == 1


@contract
async def test_a_heartbeat_extends_by_its_step_from_now(world: World) -> None:
    await world.make_queue(lease=LeasePolicy(base_seconds=30, extend_seconds=60))
    job = await world.running(message_id="m")
    await world.advance(20)
    lease = await world.store.heartbeat(job)
    assert _seconds(lease, job, world) == _near(60)
    assert not lease.capped
    assert lease.heartbeat_expires_at is None
    stored = await world.store.get_message(QUEUE, "m")
    assert stored.lease is not None
    assert stored.lease.expires_at == lease.expires_at
    await world.advance(50)
    assert await world.reclaim() == 0
    await world.advance(10)
    assert await world.reclaim() == 1


@contract
async def test_the_step_is_as_long_as_the_base_unless_it_is_set(world: World) -> None:
    await world.make_queue(lease=LeasePolicy(base_seconds=40))
    job = await world.running()
    await world.advance(39)
    lease = await world.store.heartbeat(job)
    assert _seconds(lease, job, world) == _near(40)


@contract
async def test_a_heartbeat_never_shortens_a_lease(world: World) -> None:
    """A9, A10, row 21: ChronoQueue's first heartbeat cuts 10 minutes to 20 s."""
    await world.make_queue(
        lease=LeasePolicy(base_seconds=600, extend_seconds=5, heartbeat_seconds=20)
    )
    job = await world.running()
    for _ in range(3):
        await world.advance(10)
        lease = await world.store.heartbeat(job)
        assert lease.expires_at == job.lease.expires_at


@contract
async def test_heartbeats_keep_a_job_for_as_long_as_it_takes(world: World) -> None:
    await world.make_queue()
    job = await world.running(message_id="m")
    for _ in range(50):
        await world.advance(25)
        lease = await world.store.heartbeat(job)
        assert not lease.capped
        assert await world.reclaim() == 0
    await world.store.complete(job)
    assert await world.state("m") is None


@contract
async def test_the_cap_bounds_an_attempt_and_says_so(world: World) -> None:
    """A9, row 21: in all at most base + max_extension, however many heartbeats."""
    await world.make_queue(lease=LeasePolicy(base_seconds=30, max_extension_seconds=40))
    job = await world.running()
    cap = job.lease.expires_at + timedelta(seconds=40)
    leases = []
    for _ in range(3):
        await world.advance(20)
        leases.append(await world.store.heartbeat(job))
    assert [lease.capped for lease in leases] == [False, True, True]
    assert leases[0].expires_at < cap
    assert leases[1].expires_at == leases[2].expires_at == cap
    await world.advance(10)
    with pytest.raises(LeaseLostError) as raised:
        await world.store.heartbeat(job)
    assert raised.value.reason == "lease_expired"
    assert await world.reclaim() == 1


@contract
async def test_no_extension_at_all_is_a_cap_too(world: World) -> None:
    await world.make_queue(lease=LeasePolicy(base_seconds=30, max_extension_seconds=0))
    job = await world.running()
    await world.advance(10)
    lease = await world.store.heartbeat(job)
    assert lease.capped
    assert lease.expires_at == job.lease.expires_at


@contract
async def test_renewals_run_out(world: World) -> None:
    """A9, row 21: after max_renewals heartbeats the lease grows no more."""
    await world.make_queue(lease=LeasePolicy(base_seconds=30, max_renewals=2))
    job = await world.running()
    leases = []
    for _ in range(3):
        await world.advance(10)
        leases.append(await world.store.heartbeat(job))
    assert [lease.capped for lease in leases] == [False, True, True]
    assert job.lease.expires_at < leases[0].expires_at < leases[1].expires_at
    assert leases[2].expires_at == leases[1].expires_at
    await world.advance(20)
    with pytest.raises(LeaseLostError):
        await world.store.heartbeat(job)


@contract
async def test_renewals_are_counted_anew_for_each_attempt(world: World) -> None:
    await world.make_queue(lease=LeasePolicy(base_seconds=30, max_renewals=1))
    job = await world.running()
    for _ in range(2):
        await world.advance(10)
        assert (await world.store.heartbeat(job)).capped
        await world.store.fail(job, "no")
        job = await world.claim()
    await world.advance(10)
    lease = await world.store.heartbeat(job)
    assert lease.expires_at > job.lease.expires_at


@contract
async def test_a_missed_heartbeat_alone_ends_the_lease(world: World) -> None:
    """Row 21."""
    await world.make_queue(lease=LeasePolicy(base_seconds=600, heartbeat_seconds=20))
    job = await world.running(message_id="m")
    assert job.lease.heartbeat_expires_at is not None
    assert job.lease.deadline == job.lease.heartbeat_expires_at
    await world.advance(15)
    lease = await world.store.heartbeat(job)
    assert lease.heartbeat_expires_at is not None
    assert lease.heartbeat_expires_at > job.lease.heartbeat_expires_at
    await world.advance(15)
    assert await world.reclaim() == 0
    await world.advance(5)
    with pytest.raises(LeaseLostError) as raised:
        await world.store.heartbeat(job)
    assert raised.value.reason == "heartbeat_expired"
    assert await world.reclaim() == 1
    message = await world.store.get_message(QUEUE, "m")
    assert [a.outcome for a in message.attempts] == ["heartbeat_expired"]


@contract
async def test_a_heartbeat_deadline_goes_on_moving_at_the_cap(world: World) -> None:
    await world.make_queue(
        lease=LeasePolicy(
            base_seconds=60, max_extension_seconds=0, heartbeat_seconds=20
        )
    )
    job = await world.running()
    for _ in range(3):
        await world.advance(15)
        lease = await world.store.heartbeat(job)
        assert lease.capped
        assert lease.heartbeat_expires_at is not None
        beat = (lease.heartbeat_expires_at - world.store.now()).total_seconds()
        assert beat == _near(20)


@contract
async def test_a_heartbeat_after_the_end_is_refused_though_nobody_reclaimed(
    world: World,
) -> None:
    """A9, row 21: it must not revive the lease."""
    await world.make_queue()
    job = await world.running(message_id="m")
    await world.advance(30)
    for _ in range(2):
        with pytest.raises(LeaseLostError) as raised:
            await world.store.heartbeat(job)
        assert raised.value.reason == "lease_expired"
        assert (raised.value.queue, raised.value.message_id) == (QUEUE, "m")
    assert await world.reclaim() == 1


@contract
async def test_many_heartbeats_in_one_call_answer_one_by_one(world: World) -> None:
    await world.make_queue()
    good = await world.running()
    ended = await world.running()
    late = await world.running(lease=LeasePolicy(base_seconds=5))
    await world.store.complete(ended)
    await world.advance(10)
    first, second, third = await world.store.heartbeat_many([good, ended, late])
    assert isinstance(first, Lease)
    assert first.expires_at > good.lease.expires_at
    assert isinstance(second, LeaseLostError)
    assert isinstance(third, LeaseLostError)
    assert third.reason == "lease_expired"
    assert await world.store.heartbeat_many([]) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_seconds", 0),
        ("base_seconds", -1),
        ("base_seconds", 1e12),
        ("base_seconds", math.inf),
        ("base_seconds", math.nan),
        ("base_seconds", "30"),
        ("base_seconds", True),
        ("extend_seconds", 0),
        ("extend_seconds", math.inf),
        ("extend_seconds", 1e15),
        ("max_extension_seconds", -1),
        ("max_renewals", -1),
        ("max_renewals", 1.5),
        ("max_renewals", True),
        ("heartbeat_seconds", 0),
        ("heartbeat_seconds", 1e15),
        ("execution_limit_seconds", 0),
    ],
)
def test_a_term_that_cannot_work_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as raised:
        LeasePolicy(**{field: value})
    assert fields(raised) == [f"lease.{field}"]


def test_a_heartbeat_gap_must_fit_into_the_lease() -> None:
    with pytest.raises(ValidationError) as raised:
        LeasePolicy(base_seconds=30, max_extension_seconds=10, heartbeat_seconds=40)
    assert fields(raised) == ["lease.heartbeat_seconds"]
    LeasePolicy(base_seconds=30, max_extension_seconds=10, heartbeat_seconds=39)
    LeasePolicy(base_seconds=30, heartbeat_seconds=1000)
