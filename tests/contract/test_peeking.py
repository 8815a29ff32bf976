"""Looking at messages without touching them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers import QUEUE, World, contract, fields, ids
from trioqueue import (
    LeasePolicy,
    MessageNotFoundError,
    MessageState,
    NewMessage,
    RetentionPolicy,
    ValidationError,
)


@contract
async def test_peek_shows_the_order_of_claims(world: World) -> None:
    await world.make_queue()
    for number, priority in enumerate([2, 0, 4, 2, 4]):
        await world.store.post(QUEUE, number, priority=priority)
    seen = [message.payload for message in await world.store.peek(QUEUE)]
    assert await world.counts() == {"PENDING": 5}
    jobs = await world.store.claim(QUEUE, limit=5)
    assert seen == [job.payload for job in jobs] == [2, 4, 0, 3, 1]


async def _all_states(world: World) -> None:
    await world.make_queue(retention=RetentionPolicy.keep_forever())
    store = world.store
    for name, wait in (("late", 200), ("soon", 100)):
        await store.post(QUEUE, 1, message_id=name, delay_seconds=wait)
    long = LeasePolicy(base_seconds=90)
    await world.running(message_id="long", lease=long)
    await world.running(message_id="short")
    for name in ("done-1", "done-2"):
        await store.complete(await world.running(message_id=name))
        await world.advance(1)
    await world.dead("dead")
    await store.post(QUEUE, 1, message_id="canceled")
    await store.cancel(QUEUE, "canceled")
    await store.post(QUEUE, 1, message_id="low", priority=0)
    await store.post(QUEUE, 1, message_id="high", priority=4)


@contract
async def test_peek_goes_state_by_state(world: World) -> None:
    await _all_states(world)
    live = ["high", "low", "short", "long", "soon", "late"]
    assert ids(await world.store.peek(QUEUE)) == live
    everything = await world.store.peek(QUEUE, states=MessageState, limit=100)
    assert ids(everything) == [*live, "done-2", "done-1", "canceled", "dead"]
    for state in MessageState:
        only = await world.store.peek(QUEUE, states=[state])
        assert ids(only) == ids(m for m in everything if m.state is state)
    assert await world.store.peek(QUEUE, states=[]) == []


@contract
async def test_pages_miss_nothing_and_repeat_nothing(world: World) -> None:
    """D10: lists have pages."""
    await _all_states(world)
    whole = ids(await world.store.peek(QUEUE, states=MessageState, limit=100))
    for size in (1, 2, 3):
        seen: list[str] = []
        after = None
        while page := await world.store.peek(
            QUEUE, states=MessageState, limit=size, after=after
        ):
            assert len(page) <= size
            seen += ids(page)
            after = seen[-1]
        assert seen == whole


@contract
async def test_a_page_cannot_go_on_after_what_is_gone(world: World) -> None:
    await world.make_queue()
    with pytest.raises(MessageNotFoundError):
        await world.store.peek(QUEUE, after="gone")


@contract
async def test_a_range_of_priorities_gives_only_those(world: World) -> None:
    """Row 10: ChronoQueue ignores the range."""
    await world.make_queue()
    await world.store.post_many(
        QUEUE, [NewMessage(n, priority=n % 5) for n in range(10)]
    )
    await world.store.post(QUEUE, 99, priority=1, delay_seconds=60)

    async def seen(low: int, high: int) -> list[int]:
        found = await world.store.peek(QUEUE, priority_range=(low, high), limit=50)
        return [message.priority for message in found]

    assert await seen(1, 3) == [3, 3, 2, 2, 1, 1, 1]
    assert await seen(0, 0) == [0, 0]
    assert await seen(4, 4) == [4, 4]
    assert len(await seen(0, 4)) == 11


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("limit", 0),
        ("limit", 10_001),
        ("limit", None),
        ("priority_range", (3, 1)),
        ("priority_range", (0, 5)),
        ("priority_range", (-1, 2)),
        ("priority_range", 3),
        ("states", ["PENDING"]),
        ("states", [1]),
        ("after", 7),
    ],
)
@contract
async def test_a_bad_argument_is_named(world: World, argument: str, value: Any) -> None:
    await world.make_queue()
    with pytest.raises(ValidationError) as raised:
        await world.store.peek(QUEUE, **{argument: value})
    assert fields(raised) == [argument]


@contract
async def test_a_message_that_never_was_is_not_found(world: World) -> None:
    await world.make_queue()
    for name in ("never", "", "no such id at all", "x" * 1000):
        with pytest.raises(MessageNotFoundError) as raised:
            await world.store.get_message(QUEUE, name)
        assert (raised.value.queue, raised.value.message_id) == (QUEUE, name)
