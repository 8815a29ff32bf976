"""Posting what is wrong: every problem is named, nothing is stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tests.helpers import QUEUE, World, contract, fields
from trioqueue import LeasePolicy, QueueNotFoundError, ValidationError

JSON = "application/json"

BAD = [
    ("priority", -1),
    ("priority", 5),
    ("priority", 2.0),
    ("priority", True),
    ("priority", "high"),
    ("max_attempts", 0),
    ("max_attempts", -2),
    ("max_attempts", 1.5),
    ("max_attempts", True),
    ("max_attempts", "3"),
    ("delay_seconds", -0.001),
    ("delay_seconds", float("nan")),
    ("delay_seconds", float("inf")),
    ("delay_seconds", 1e12),
    ("delay_seconds", "60"),
    ("delay_seconds", True),
    ("scheduled_time", datetime(2030, 1, 1)),  # noqa: DTZ001  what is refused
    ("scheduled_time", "2030-01-01"),
    ("scheduled_time", 1e9),
    (
        "scheduled_time",
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-12))),
    ),
    ("lease", 30),
    ("lease", {"base_seconds": 30}),
    ("message_id", ""),
    ("message_id", "a b"),
    ("message_id", "a\0b"),
    ("message_id", "a\n"),
    ("message_id", "é"),
    ("message_id", "x" * 257),
    ("message_id", 7),
    ("metadata", []),
    ("metadata", "text"),
    ("metadata", {1: "number as key"}),
    ("metadata", {"a": {2: "deep down"}}),
    ("metadata", {"a": float("nan")}),
    ("metadata", {"a": "\ud800"}),
    ("metadata", {"a": object()}),
    ("metadata", {"a": "x" * 16_384}),
    ("content_type", ""),
    ("content_type", "json"),
    ("content_type", "text/plain\n"),
    ("content_type", "x" * 300 + "/y"),
    ("content_type", None),
]


@pytest.mark.parametrize(("field", "value"), BAD, ids=[str(i) for i in range(len(BAD))])
@contract
async def test_a_bad_argument_is_named_and_nothing_is_stored(
    world: World, field: str, value: Any
) -> None:
    await world.make_queue()
    with pytest.raises(ValidationError) as raised:
        await world.store.post(QUEUE, "payload", **{field: value})
    assert fields(raised) == [field]
    assert await world.counts() == {}


_loop: list[Any] = []
_loop.append(_loop)

BAD_PAYLOADS = [
    (float("nan"), JSON),
    (float("-inf"), JSON),
    ({"a": [float("nan")]}, JSON),
    (object(), JSON),
    ({1, 2}, JSON),
    (b"bytes", JSON),
    (datetime(2000, 1, 1, tzinfo=UTC), JSON),
    ({1: "number as key"}, JSON),
    ([{"deep": {None: 1}}], JSON),
    ("lone \ud800 surrogate", JSON),
    ({"\udfff": 1}, JSON),
    (_loop, JSON),
    ("x" * 262_143, JSON),
    ("x" * 262_145, "text/plain"),
    ("lone \ud800 surrogate", "text/plain"),
    (b"bytes", "text/plain"),
    (5, "text/plain"),
    ("text", "application/octet-stream"),
    (None, "application/octet-stream"),
    (bytes(262_145), "application/octet-stream"),
]


@pytest.mark.parametrize(
    ("payload", "content_type"), BAD_PAYLOADS, ids=[str(i) for i in range(20)]
)
@contract
async def test_a_bad_payload_is_refused(
    world: World, payload: Any, content_type: str
) -> None:
    await world.make_queue()
    with pytest.raises(ValidationError) as raised:
        await world.store.post(QUEUE, payload, content_type=content_type)
    assert fields(raised) == ["payload"]
    assert await world.counts() == {}


@contract
async def test_what_just_fits_is_accepted(world: World) -> None:
    await world.make_queue()
    post = world.store.post
    await post(QUEUE, "x" * 262_142)
    await post(QUEUE, "é" * 131_072, content_type="text/plain")
    await post(QUEUE, bytes(262_144), content_type="application/octet-stream")
    await post(QUEUE, 1, metadata={"a": "x" * (16_384 - 8)})
    await post(QUEUE, 1, message_id="x" * 256)
    await post(QUEUE, 1, message_id="Az09._:-")
    for priority in range(5):
        await post(QUEUE, 1, priority=priority)
    assert await world.counts() == {"PENDING": 11}


@contract
async def test_everything_wrong_is_said_at_once(world: World) -> None:
    """The queue's own limits are told together with what is wrong anyway."""
    await world.make_queue(max_payload_bytes=10, content_types=("application/json",))
    with pytest.raises(ValidationError) as raised:
        await world.store.post(
            QUEUE,
            "far too long for this queue",
            message_id="not an id",
            priority=9,
            delay_seconds=-1,
            max_attempts=0,
            lease=5,  # type: ignore[arg-type]
            metadata={1: 2},  # type: ignore[dict-item]
        )
    assert fields(raised) == [
        "delay_seconds",
        "lease",
        "max_attempts",
        "message_id",
        "metadata",
        "payload",
        "priority",
    ]
    for issue in raised.value.issues:
        assert issue.message in str(raised.value)
    assert await world.counts() == {}


@contract
async def test_a_queue_may_narrow_what_it_takes(world: World) -> None:
    await world.make_queue(
        max_payload_bytes=4, max_metadata_bytes=8, content_types=("text/plain",)
    )
    await world.store.post(QUEUE, "1234", content_type="text/plain")
    with pytest.raises(ValidationError) as raised:
        await world.store.post(QUEUE, "12345", metadata={"a": "1234"})
    assert fields(raised) == ["content_type", "metadata", "payload"]
    assert await world.counts() == {"PENDING": 1}


@contract
async def test_both_a_delay_and_an_instant_are_refused(world: World) -> None:
    await world.make_queue()
    with pytest.raises(ValidationError) as raised:
        await world.store.post(
            QUEUE, 1, delay_seconds=1, scheduled_time=world.store.now()
        )
    assert fields(raised) == ["scheduled_time"]


@contract
async def test_a_lease_at_odds_with_the_queues_is_accepted_and_harmless(
    world: World,
) -> None:
    """A7: a gap that the lease can never reach must not stop the claims."""
    await world.make_queue(lease=LeasePolicy(base_seconds=10, max_extension_seconds=10))
    await world.store.post(QUEUE, 1, lease=LeasePolicy(heartbeat_seconds=60))
    await world.store.post(QUEUE, 2)
    first, second = await world.store.claim(QUEUE, limit=2)
    assert first.lease_policy.heartbeat_seconds == 60
    await world.store.heartbeat(first)
    await world.store.complete(first)
    await world.store.complete(second)


@contract
async def test_nothing_is_stored_in_an_unknown_queue(world: World) -> None:
    await world.make_queue()
    with pytest.raises(QueueNotFoundError):
        await world.store.post("elsewhere", 1)
    with pytest.raises(QueueNotFoundError):
        await world.store.post("elsewhere", 1, priority=9)
    assert await world.store.peek(QUEUE) == []
