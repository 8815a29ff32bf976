"""Posting many messages: both modes, order, limits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers import QUEUE, World, contract, fields, ids
from trioqueue import (
    BulkMode,
    DuplicateMessageError,
    MessageNotFoundError,
    NewMessage,
    PostOutcome,
    QueueNotFoundError,
    ValidationError,
)

BOTH = pytest.mark.parametrize("mode", BulkMode, ids=lambda mode: mode.value)
BEST_EFFORT = BulkMode.BEST_EFFORT


@BOTH
@contract
async def test_results_come_in_request_order(world: World, mode: BulkMode) -> None:
    await world.make_queue()
    batch = [
        NewMessage(n, message_id=f"m{n}", priority=n % 5, metadata={"n": n})
        for n in range(20)
    ]
    results = await world.store.post_many(QUEUE, batch, mode=mode)
    assert [result.outcome for result in results] == [PostOutcome.POSTED] * 20
    messages = [result.message for result in results if result.message]
    assert [m.payload for m in messages] == list(range(20))
    assert [m.message_id for m in messages] == [f"m{n}" for n in range(20)]
    assert [m.priority for m in messages] == [n % 5 for n in range(20)]
    assert all(result.error is None for result in results)
    for message in messages:
        stored = await world.store.get_message(QUEUE, message.message_id)
        assert stored == message


@BOTH
@contract
async def test_messages_of_one_batch_are_claimed_in_its_order(
    world: World, mode: BulkMode
) -> None:
    await world.make_queue()
    batch = [NewMessage(n) for n in range(50)]
    await world.store.post_many(QUEUE, batch, mode=mode)
    jobs = await world.store.claim(QUEUE, limit=50)
    assert [job.payload for job in jobs] == list(range(50))


@BOTH
@contract
async def test_no_messages_are_no_results(world: World, mode: BulkMode) -> None:
    await world.make_queue()
    assert await world.store.post_many(QUEUE, [], mode=mode) == []
    assert await world.counts() == {}


@BOTH
@contract
async def test_any_iterable_will_do(world: World, mode: BulkMode) -> None:
    await world.make_queue()
    results = await world.store.post_many(
        QUEUE, (NewMessage(n, delay_seconds=n) for n in range(3)), mode=mode
    )
    assert len(results) == 3
    assert await world.counts() == {"INVISIBLE": 2, "PENDING": 1}


@contract
async def test_ten_thousand_are_the_most(world: World) -> None:
    await world.make_queue()
    batch = [NewMessage(n) for n in range(10_001)]
    for mode in BulkMode:
        with pytest.raises(ValidationError) as raised:
            await world.store.post_many(QUEUE, batch, mode=mode)
        assert fields(raised) == ["messages"]
    assert await world.counts() == {}
    results = await world.store.post_many(QUEUE, batch[:10_000])
    assert len(results) == 10_000
    assert await world.counts() == {"PENDING": 10_000}


@contract
async def test_all_or_nothing_stores_nothing_if_one_is_invalid(world: World) -> None:
    """Every problem of every message is named, also what only the queue knows."""
    await world.make_queue(max_payload_bytes=10)
    with pytest.raises(ValidationError) as raised:
        await world.store.post_many(
            QUEUE,
            [
                NewMessage(1, message_id="good"),
                NewMessage(1, priority=9, max_attempts=0),
                NewMessage("much too long"),
                NewMessage(float("nan")),
            ],
        )
    assert fields(raised) == [
        "messages[1].max_attempts",
        "messages[1].priority",
        "messages[2].payload",
        "messages[3].payload",
    ]
    assert await world.counts() == {}


@contract
async def test_all_or_nothing_stores_nothing_if_one_is_too_long(world: World) -> None:
    await world.make_queue(max_payload_bytes=10)
    with pytest.raises(ValidationError) as raised:
        await world.store.post_many(QUEUE, [NewMessage(1), NewMessage("x" * 20)])
    assert fields(raised) == ["messages[1].payload"]
    assert await world.counts() == {}


@contract
async def test_all_or_nothing_stores_nothing_on_a_conflict(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, "old", message_id="taken")
    with pytest.raises(DuplicateMessageError) as raised:
        await world.store.post_many(
            QUEUE, [NewMessage(1), NewMessage("new", message_id="taken")]
        )
    assert raised.value.message_id == "taken"
    assert await world.counts() == {"PENDING": 1}


@contract
async def test_all_or_nothing_may_be_repeated(world: World) -> None:
    await world.make_queue()
    batch = [NewMessage(n, message_id=f"m{n}") for n in range(3)]
    first = await world.store.post_many(QUEUE, batch)
    again = await world.store.post_many(QUEUE, batch)
    assert [r.outcome for r in again] == [PostOutcome.DUPLICATE] * 3
    assert [r.message for r in again] == [r.message for r in first]
    assert await world.counts() == {"PENDING": 3}


@contract
async def test_best_effort_gives_each_its_own_outcome(world: World) -> None:
    await world.make_queue(max_payload_bytes=10)
    await world.store.post(QUEUE, "old", message_id="known")
    results = await world.store.post_many(
        QUEUE,
        [
            NewMessage(1, message_id="new"),
            NewMessage("old", message_id="known"),
            NewMessage(1, priority=9),
            NewMessage("other", message_id="known"),
            NewMessage("much too long"),
            NewMessage(2, message_id="last"),
        ],
        mode=BEST_EFFORT,
    )
    assert [result.outcome.value for result in results] == [
        "posted",
        "duplicate",
        "invalid",
        "conflict",
        "invalid",
        "posted",
    ]
    for result in results:
        stored = result.outcome in (PostOutcome.POSTED, PostOutcome.DUPLICATE)
        assert (result.message is not None) == stored
        assert (result.error is None) == stored
    assert isinstance(results[2].error, ValidationError)
    assert [i.field for i in results[2].error.issues] == ["priority"]
    assert isinstance(results[3].error, DuplicateMessageError)
    assert isinstance(results[4].error, ValidationError)
    assert [i.field for i in results[4].error.issues] == ["payload"]
    assert ids(await world.store.peek(QUEUE)) == ["known", "new", "last"]


@contract
async def test_an_id_used_twice_in_a_batch_is_stored_once(world: World) -> None:
    await world.make_queue()
    results = await world.store.post_many(
        QUEUE,
        [
            NewMessage("a", message_id="m"),
            NewMessage("a", message_id="m"),
            NewMessage("b", message_id="m"),
        ],
        mode=BEST_EFFORT,
    )
    assert [result.outcome.value for result in results] == [
        "posted",
        "duplicate",
        "conflict",
    ]
    assert results[0].message == results[1].message
    assert await world.counts() == {"PENDING": 1}
    with pytest.raises(DuplicateMessageError):
        await world.store.post_many(
            QUEUE, [NewMessage("a", message_id="n"), NewMessage("b", message_id="n")]
        )
    with pytest.raises(MessageNotFoundError):
        await world.store.get_message(QUEUE, "n")


@BOTH
@contract
async def test_an_unknown_queue_refuses_the_batch(world: World, mode: BulkMode) -> None:
    for batch in ([NewMessage(1)], [NewMessage(1, priority=9)]):
        with pytest.raises(QueueNotFoundError):
            await world.store.post_many("nowhere", batch, mode=mode)


@BOTH
@contract
async def test_what_is_no_message_is_refused(world: World, mode: BulkMode) -> None:
    await world.make_queue()
    batch: list[Any] = [NewMessage(1), None, {"payload": 1}]
    with pytest.raises(ValidationError) as raised:
        await world.store.post_many(QUEUE, batch, mode=mode)
    assert fields(raised) == ["messages[1]", "messages[2]"]
    assert await world.counts() == {}


@contract
async def test_the_mode_must_be_one(world: World) -> None:
    await world.make_queue()
    with pytest.raises(ValidationError) as raised:
        await world.store.post_many(QUEUE, [], mode="all")  # type: ignore[arg-type]
    assert fields(raised) == ["mode"]
