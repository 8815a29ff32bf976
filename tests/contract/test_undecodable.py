"""What cannot be decoded becomes a dead letter and blocks nobody (A7, row 17)."""

from __future__ import annotations

import pytest

from tests.helpers import QUEUE, World, contract, ids, on_shared
from trioqueue import MessageState, NewMessage

BREAK_PAYLOAD = "UPDATE tq_messages SET payload = ? WHERE message_id = ?"
BREAK_METADATA = "UPDATE tq_messages SET metadata = ? WHERE message_id = ?"


@pytest.mark.parametrize(
    ("content_type", "payload", "damage"),
    [
        ("application/json", {"a": 1}, b"{not json"),
        ("application/json", {"a": 1}, b""),
        ("application/json", {"a": 1}, b"\xff\xff"),
        ("application/json", {"a": 1}, b"[" * 100_000),
        ("text/plain", "text", b"\xff\xff"),
    ],
    ids=["syntax", "empty", "no-utf8", "too-deep", "text"],
)
@on_shared
@contract
async def test_a_broken_head_becomes_a_dead_letter(
    world: World, content_type: str, payload: object, damage: bytes
) -> None:
    """A7: in ChronoQueue one such row stops its queue for ever."""
    await world.make_queue()
    await world.store.post(
        QUEUE, payload, message_id="bad", priority=4, content_type=content_type
    )
    await world.store.post(QUEUE, "fine", message_id="good")
    world.write_behind(BREAK_PAYLOAD, damage, "bad")
    assert (await world.claim(worker_id="w")).message_id == "good"
    (letter,) = await world.store.dead_letters(QUEUE)
    assert letter.message.message_id == "bad"
    assert letter.reason == letter.message.reason == "undecodable"
    assert letter.message.payload == damage
    (attempt,) = letter.attempts
    assert (attempt.outcome, attempt.worker_id) == ("undecodable", "w")
    assert attempt.error_message
    assert await world.state("bad") is MessageState.ERRORED


@on_shared
@contract
async def test_broken_metadata_becomes_a_dead_letter_that_can_be_read(
    world: World,
) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="bad", metadata={"a": 1})
    await world.store.post(QUEUE, 2, message_id="good")
    world.write_behind(BREAK_METADATA, "{not json", "bad")
    assert ids(await world.store.peek(QUEUE)) == ["bad", "good"]
    assert (await world.claim()).message_id == "good"
    (letter,) = await world.store.dead_letters(QUEUE)
    assert letter.reason == "undecodable"
    assert letter.message.payload == 1
    assert (await world.store.get_message(QUEUE, "bad")).state is MessageState.ERRORED


@on_shared
@contract
async def test_a_full_batch_is_claimed_past_broken_ones(world: World) -> None:
    await world.make_queue()
    batch = [NewMessage(n, message_id=f"m{n:02}") for n in range(20)]
    await world.store.post_many(QUEUE, batch)
    for number in (0, 1, 2, 3, 7, 19):
        world.write_behind(BREAK_PAYLOAD, b"{", f"m{number:02}")
    jobs = await world.store.claim(QUEUE, limit=10)
    assert [job.payload for job in jobs] == [4, 5, 6, 8, 9, 10, 11, 12, 13, 14]
    assert len(await world.store.dead_letters(QUEUE)) == 5
    assert len(await world.store.claim(QUEUE, limit=10)) == 4
    assert len(await world.store.dead_letters(QUEUE)) == 6
    assert await world.counts() == {"RUNNING": 14, "ERRORED": 6}


@on_shared
@contract
async def test_a_queue_of_nothing_but_broken_ones_is_empty(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="bad")
    world.write_behind(BREAK_PAYLOAD, b"{", "bad")
    assert await world.store.claim(QUEUE) == []
    assert await world.counts() == {"ERRORED": 1}


@on_shared
@contract
async def test_looking_at_a_broken_message_shows_its_bytes(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="bad")
    world.write_behind(BREAK_PAYLOAD, b"{", "bad")
    (message,) = await world.store.peek(QUEUE)
    assert message.payload == b"{"
    assert (await world.store.get_message(QUEUE, "bad")).payload == b"{"


@on_shared
@contract
async def test_a_broken_message_may_be_requeued_and_dies_again(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="bad")
    world.write_behind(BREAK_PAYLOAD, b"{", "bad")
    assert await world.store.claim(QUEUE) == []
    assert await world.store.requeue_all(QUEUE) == 1
    assert await world.store.claim(QUEUE) == []
    stats = await world.store.dead_letter_stats(QUEUE)
    assert stats.by_reason == {"undecodable": 1}
