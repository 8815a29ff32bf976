"""Posting one message: what is stored, what is refused, what may be repeated."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tests.helpers import QUEUE, World, contract
from trioqueue import (
    DuplicateMessageError,
    LeasePolicy,
    MessageState,
    RetentionPolicy,
)

JSON = "application/json"


def _deep(levels: int) -> Any:
    value: Any = "bottom"
    for level in range(levels):
        value = [value] if level % 2 else {"down": value}
    return value


@pytest.mark.parametrize(
    ("payload", "content_type"),
    [
        (None, JSON),
        (True, JSON),
        (0, JSON),
        (-(2**63) - 1, JSON),
        (10**300 + 7, JSON),
        (0.1, JSON),
        (-0.0, JSON),
        (1.7976931348623157e308, JSON),
        ("", JSON),
        ('quote " backslash \\ nul \0 tab \t', JSON),
        ("Grüße, 世界, 🎉, \u2028", JSON),
        ([], JSON),
        ({}, JSON),
        ({"": {"nested": [1, [2, [3, {"é": None}]]]}, "z": 1, "a": 2}, JSON),
        (_deep(60), JSON),
        ("", "text/plain"),
        ("Grüße\r\n\0世界 🎉", "text/plain"),
        ("<p>ü</p>", "text/html; charset=utf-8"),
        (b"", "application/octet-stream"),
        (bytes(range(256)), "application/octet-stream"),
        (b"\xff\xfe not text", "image/png"),
    ],
    ids=lambda value: value if isinstance(value, str) and "/" in value else "",
)
@contract
async def test_what_goes_in_comes_out(
    world: World, payload: Any, content_type: str
) -> None:
    await world.make_queue()
    posted = await world.store.post(
        QUEUE, payload, message_id="m", content_type=content_type
    )
    stored = await world.store.get_message(QUEUE, "m")
    job = await world.claim()
    for seen in (posted.payload, stored.payload, job.payload, job.message.payload):
        assert seen == payload
        assert type(seen) is type(payload)
        assert repr(seen) == repr(payload)
    assert stored.content_type == job.message.content_type == content_type


@contract
async def test_metadata_comes_out_as_it_went_in(world: World) -> None:
    await world.make_queue()
    metadata = {"trace": "00-ab", "n": 2**70, "deep": {"é": [None, True, 1.5]}}
    posted = await world.store.post(QUEUE, 1, message_id="m", metadata=metadata)
    assert posted.metadata == metadata
    assert (await world.store.get_message(QUEUE, "m")).metadata == metadata
    assert (await world.claim()).message.metadata == metadata


@contract
async def test_the_defaults_are_the_queues(world: World) -> None:
    await world.make_queue(max_attempts=7)
    before = world.store.now()
    message = await world.store.post(QUEUE, {"a": 1})
    assert message.queue == QUEUE
    assert message.state is MessageState.PENDING
    assert message.priority == 2
    assert message.max_attempts == message.attempts_left == 7
    assert message.attempt == 0
    assert message.metadata == {}
    assert message.scheduled_time is None
    assert (message.lease, message.lease_policy) == (None, None)
    assert message.attempts == ()
    assert before <= message.created_at <= world.store.now()
    assert await world.store.get_message(QUEUE, message.message_id) == message


@contract
async def test_what_the_message_says_wins_over_the_queue(world: World) -> None:
    await world.make_queue(max_attempts=7, lease=LeasePolicy(base_seconds=60))
    lease = LeasePolicy(base_seconds=5)
    message = await world.store.post(QUEUE, 1, priority=4, max_attempts=-1, lease=lease)
    stored = await world.store.get_message(QUEUE, message.message_id)
    assert stored == message
    assert (stored.priority, stored.max_attempts, stored.attempts_left) == (4, -1, -1)
    assert stored.lease_policy == lease


@contract
async def test_ids_made_here_are_uuids_that_sort_by_time(world: World) -> None:
    await world.make_queue()
    made = []
    for _ in range(5):
        made.append((await world.store.post(QUEUE, 1)).message_id)
        await world.advance(0.01)
    assert made == sorted(set(made))
    assert {uuid.UUID(text).version for text in made} == {7}


@contract
async def test_the_same_id_may_be_used_in_two_queues(world: World) -> None:
    """A12: ids are unique in a queue, not in the whole database."""
    for name in ("a", "b"):
        await world.make_queue(name, retention=RetentionPolicy.keep_forever())
        await world.store.post(name, name, message_id="same")
    job = await world.claim("a")
    assert job.payload == "a"
    await world.store.complete(job)
    assert (await world.store.get_message("b", "same")).state is MessageState.PENDING
    await world.store.cancel("b", "same")
    assert (await world.store.get_message("a", "same")).state is MessageState.COMPLETED


@contract
async def test_a_delay_is_counted_from_the_post(world: World) -> None:
    await world.make_queue()
    before = world.store.now()
    for delay in (90, 90.0, timedelta(minutes=1, seconds=30)):
        message = await world.store.post(QUEUE, 1, delay_seconds=delay)
        assert message.state is MessageState.INVISIBLE
        assert message.scheduled_time is not None
        waits = message.scheduled_time - before
        assert timedelta(seconds=90) <= waits < timedelta(seconds=95)


@contract
async def test_a_scheduled_time_in_any_zone_is_kept_as_an_instant(
    world: World,
) -> None:
    await world.make_queue()
    at = (world.store.now() + timedelta(hours=1)).astimezone(
        timezone(timedelta(hours=-7))
    )
    message = await world.store.post(QUEUE, 1, message_id="m", scheduled_time=at)
    assert message.state is MessageState.INVISIBLE
    stored = await world.store.get_message(QUEUE, "m")
    assert stored.scheduled_time == message.scheduled_time == at
    assert stored.scheduled_time is not None
    assert stored.scheduled_time.tzinfo is UTC


@contract
async def test_a_scheduled_time_that_has_come_is_no_delay(world: World) -> None:
    await world.make_queue()
    for at in (
        world.store.now() - timedelta(seconds=1),
        world.store.now() - timedelta(days=20_000),
        datetime(1, 1, 1, tzinfo=UTC),
    ):
        message = await world.store.post(QUEUE, 1, scheduled_time=at)
        assert message.state is MessageState.PENDING
        assert message.scheduled_time == at
    assert (await world.store.post(QUEUE, 1, delay_seconds=0)).state is (
        MessageState.PENDING
    )


# Posting again.


@contract
async def test_the_same_post_again_returns_what_is_stored(world: World) -> None:
    await world.make_queue()

    async def post() -> Any:
        return await world.store.post(
            QUEUE,
            {"to": "a@example.org", "n": [1, 2]},
            message_id="m",
            priority=3,
            delay_seconds=60,
            max_attempts=5,
            lease=LeasePolicy(base_seconds=9),
            metadata={"trace": 1},
        )

    first = await post()
    await world.advance(10)
    assert await post() == first
    assert await world.counts() == {"INVISIBLE": 1}


@contract
async def test_the_same_post_again_finds_it_in_any_state(world: World) -> None:
    await world.make_queue(retention=RetentionPolicy.keep_forever())

    async def again() -> MessageState:
        return (await world.store.post(QUEUE, "work", message_id="m")).state

    job = await world.running(message_id="m")
    assert await again() is MessageState.RUNNING
    await world.store.fail(job, "no", retry_in_seconds=5)
    assert await again() is MessageState.INVISIBLE
    await world.advance(5)
    await world.store.promote_due_messages()
    await world.store.fail(await world.claim(), "no", final=True)
    assert await again() is MessageState.ERRORED
    await world.store.requeue(QUEUE, "m")
    await world.store.complete(await world.claim())
    assert await again() is MessageState.COMPLETED
    assert await world.counts() == {"COMPLETED": 1}


@contract
async def test_an_id_is_free_again_once_its_message_is_gone(world: World) -> None:
    await world.make_queue()
    await world.store.complete(await world.running(message_id="m"))
    again = await world.store.post(QUEUE, "other", message_id="m")
    assert again.payload == "other"
    assert await world.counts() == {"PENDING": 1}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("payload", {"a": 2}),
        ("content_type", "text/plain"),
        ("metadata", {"x": 2}),
        ("metadata", None),
        ("priority", 4),
        ("max_attempts", 9),
        ("delay_seconds", 30),
        ("lease", LeasePolicy(base_seconds=1)),
    ],
    ids=str,
)
@contract
async def test_the_same_id_with_other_content_is_a_conflict(
    world: World, field: str, value: Any
) -> None:
    await world.make_queue()
    content: dict[str, Any] = {"payload": '{"a":1}', "metadata": {"x": 1}}
    first = await world.store.post(QUEUE, message_id="m", **content)
    content[field] = value
    with pytest.raises(DuplicateMessageError) as raised:
        await world.store.post(QUEUE, message_id="m", **content)
    assert (raised.value.queue, raised.value.message_id) == (QUEUE, "m")
    assert field in raised.value.differences
    assert await world.store.get_message(QUEUE, "m") == first
    assert await world.counts() == {"PENDING": 1}
