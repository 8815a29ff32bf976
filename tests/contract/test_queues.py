"""Queues: create, change, list, delete, and what is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.helpers import QUEUE, World, contract, fields
from trioqueue import (
    IllegalStateError,
    LeaseLostError,
    LeasePolicy,
    MessageState,
    QueueExistsError,
    QueueNotFoundError,
    QueueOptions,
    RetentionPolicy,
    RetryPolicy,
    Store,
    ValidationError,
)


@contract
async def test_a_new_queue_is_empty_and_not_paused(world: World) -> None:
    queue = await world.store.create_queue("emails")
    assert queue.name == "emails"
    assert queue.options == QueueOptions()
    assert queue.dead_letter_queue == "emails-dlq"
    assert not queue.paused
    assert queue.created_at == queue.updated_at <= world.store.now()
    assert queue.created_at.tzinfo is not None
    assert await world.store.get_queue("emails") == queue
    state = await world.store.queue_state("emails")
    assert state.counts == dict.fromkeys(MessageState, 0)
    assert state.earliest_deadline is None
    assert state.oldest_ready_seconds is None
    assert not state.paused
    assert state.dead_letters == 0


@contract
async def test_every_option_is_kept(world: World) -> None:
    options = QueueOptions(
        max_attempts=-1,
        lease=LeasePolicy(
            base_seconds=1.5,
            extend_seconds=2,
            max_extension_seconds=30,
            max_renewals=4,
            heartbeat_seconds=5,
            execution_limit_seconds=6,
        ),
        retry=RetryPolicy.linear(2, 7),
        retention=RetentionPolicy.keep(8),
        dead_letter_queue="graveyard",
        dead_letter_retention=RetentionPolicy.keep(9),
        max_payload_bytes=10,
        max_metadata_bytes=11,
        content_types=("text/plain",),
    )
    created = await world.store.create_queue(QUEUE, options)
    assert created.options == options
    assert created.dead_letter_queue == "graveyard"
    assert (await world.store.get_queue(QUEUE)).options == options


@contract
async def test_creating_it_again_with_the_same_options_returns_it(world: World) -> None:
    options = QueueOptions(max_attempts=5, lease=LeasePolicy(base_seconds=60))
    first = await world.store.create_queue(QUEUE, options)
    await world.store.post(QUEUE, 1)
    await world.advance(10)
    assert await world.store.create_queue(QUEUE, options) == first
    assert await world.counts() == {"PENDING": 1}


@contract
async def test_creating_it_again_with_other_options_is_a_conflict(world: World) -> None:
    first = await world.store.create_queue(QUEUE)
    with pytest.raises(QueueExistsError) as raised:
        await world.store.create_queue(QUEUE, QueueOptions(max_attempts=5))
    assert raised.value.queue == QUEUE
    assert await world.store.get_queue(QUEUE) == first


@contract
async def test_update_replaces_the_options(world: World) -> None:
    created = await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="before")
    await world.advance(10)
    options = QueueOptions(max_attempts=7, dead_letter_queue="elsewhere")
    updated = await world.store.update_queue(QUEUE, options)
    assert updated.options == options
    assert updated.created_at == created.created_at
    assert updated.updated_at > created.updated_at
    assert await world.store.get_queue(QUEUE) == updated
    after = await world.store.post(QUEUE, 1)
    before = await world.store.get_message(QUEUE, "before")
    assert (before.max_attempts, after.max_attempts) == (3, 7)


@contract
async def test_updated_options_hold_for_what_happens_next(world: World) -> None:
    await world.make_queue()
    job = await world.running(message_id="m")
    options = QueueOptions(retention=RetentionPolicy.keep_forever())
    await world.store.update_queue(QUEUE, options)
    await world.store.complete(job)
    assert await world.state("m") is MessageState.COMPLETED


@contract
async def test_queues_are_listed_by_name_with_prefix_and_pages(world: World) -> None:
    names = ["a", "b-1", "b-2", "b-3", "b_x", "c"]
    for name in reversed(names):
        await world.store.create_queue(name)

    async def listed(*args: str, **kwargs: Any) -> list[str]:
        return [q.name for q in await world.store.list_queues(*args, **kwargs)]

    assert await listed() == names
    assert await listed("b-") == ["b-1", "b-2", "b-3"]
    assert await listed("b_") == ["b_x"]
    assert await listed("nothing") == []
    assert await listed(limit=2) == ["a", "b-1"]
    assert await listed(limit=2, after="b-1") == ["b-2", "b-3"]
    assert await listed("b-", limit=5, after="b-2") == ["b-3"]
    assert await listed(after="c") == []


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "1", 10_001])
@contract
async def test_a_page_has_a_sensible_size(world: World, limit: Any) -> None:
    with pytest.raises(ValidationError) as raised:
        await world.store.list_queues(limit=limit)
    assert fields(raised) == ["limit"]


@pytest.mark.parametrize(
    "name", ["", "a b", "a/b", "a:b", "é", "a\n", "a\0", "x" * 129, None, 7]
)
@contract
async def test_a_bad_name_is_refused(world: World, name: Any) -> None:
    with pytest.raises(ValidationError) as raised:
        await world.store.create_queue(name)
    assert fields(raised) == ["name"]
    assert await world.store.list_queues() == []


@pytest.mark.parametrize("name", ["a", "x" * 128, "A-z_0.9", "-", "..."])
@contract
async def test_a_good_name_is_accepted(world: World, name: str) -> None:
    assert (await world.store.create_queue(name)).name == name


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_attempts", 0),
        ("max_attempts", -2),
        ("max_attempts", 1.5),
        ("max_attempts", True),
        ("lease", None),
        ("lease", 30),
        ("retry", 5),
        ("retry", RetryPolicy.calling(float)),
        ("retention", "delete"),
        ("dead_letter_retention", None),
        ("dead_letter_queue", "not a name"),
        ("dead_letter_queue", ""),
        ("type", "simple"),
        ("max_payload_bytes", -1),
        ("max_payload_bytes", "big"),
        ("max_metadata_bytes", 2**40),
        ("content_types", ()),
        ("content_types", [1]),
        ("content_types", "text/plain"),
    ],
)
@contract
async def test_a_bad_option_is_refused(world: World, field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as raised:
        await world.store.create_queue(QUEUE, QueueOptions(**{field: value}))
    assert fields(raised) == [f"options.{field}"]
    assert await world.store.list_queues() == []


@contract
async def test_all_that_is_wrong_with_a_queue_is_said_at_once(world: World) -> None:
    options = QueueOptions(max_attempts=0, dead_letter_queue="?", max_payload_bytes=-1)
    with pytest.raises(ValidationError) as raised:
        await world.store.create_queue("no good", options)
    assert fields(raised) == [
        "name",
        "options.dead_letter_queue",
        "options.max_attempts",
        "options.max_payload_bytes",
    ]


@contract
async def test_a_bad_update_changes_nothing(world: World) -> None:
    queue = await world.make_queue()
    with pytest.raises(ValidationError) as raised:
        await world.store.update_queue(QUEUE, QueueOptions(max_attempts=0))
    assert fields(raised) == ["options.max_attempts"]
    assert await world.store.get_queue(QUEUE) == queue


@contract
async def test_an_empty_queue_is_deleted(world: World) -> None:
    await world.make_queue()
    await world.store.complete(await world.running())
    await world.store.delete_queue(QUEUE)
    with pytest.raises(QueueNotFoundError):
        await world.store.get_queue(QUEUE)
    assert await world.store.list_queues() == []


async def _invisible(world: World) -> None:
    await world.store.post(QUEUE, 1, delay_seconds=60)


async def _pending(world: World) -> None:
    await world.store.post(QUEUE, 1)


async def _running(world: World) -> None:
    await world.running()


async def _dead(world: World) -> None:
    await world.dead("m")


@pytest.mark.parametrize("fill", [_invisible, _pending, _running, _dead])
@contract
async def test_a_queue_with_something_to_lose_is_deleted_by_force_only(
    world: World, fill: Callable[[World], Awaitable[None]]
) -> None:
    await world.make_queue()
    await fill(world)
    before = await world.counts()
    with pytest.raises(IllegalStateError):
        await world.store.delete_queue(QUEUE)
    assert await world.counts() == before
    await world.store.delete_queue(QUEUE, force=True)
    with pytest.raises(QueueNotFoundError):
        await world.store.queue_state(QUEUE)


@contract
async def test_a_queue_made_anew_has_nothing_of_the_old_one(world: World) -> None:
    await world.make_queue(retention=RetentionPolicy.keep_forever())
    await world.store.complete(await world.running(message_id="done"))
    await world.dead("dead")
    stale = await world.running(message_id="held")
    await world.store.pause_queue(QUEUE)
    await world.store.delete_queue(QUEUE, force=True)
    await world.make_queue()
    assert await world.counts() == {}
    assert await world.store.dead_letters(QUEUE) == []
    await world.store.post(QUEUE, "new", message_id="held")
    assert (await world.claim()).attempt == 1
    with pytest.raises(LeaseLostError):
        await world.store.complete(stale)


@contract
async def test_deleting_one_queue_leaves_the_others_alone(world: World) -> None:
    await world.make_queue("a")
    await world.make_queue("b")
    for name in ("a", "b"):
        await world.dead("dead", name)
        await world.store.post(name, name, message_id="same")
    await world.store.delete_queue("a", force=True)
    assert await world.counts("b") == {"PENDING": 1, "ERRORED": 1}
    assert len(await world.store.dead_letters("b")) == 1


@contract
async def test_consuming_one_queue_leaves_the_others_counts_alone(
    world: World,
) -> None:
    for name in ("a", "b", "c"):
        await world.make_queue(name)
        for number in range(3):
            await world.store.post(name, number)
    for job in await world.store.claim("b", limit=10):
        await world.store.complete(job)
    assert await world.counts("a") == await world.counts("c") == {"PENDING": 3}
    assert await world.counts("b") == {}


@contract
async def test_the_state_tells_the_next_deadline_and_the_oldest_wait(
    world: World,
) -> None:
    await world.make_queue()
    store = world.store
    low = await store.post(QUEUE, 1, priority=0)
    await world.advance(10)
    await store.post(QUEUE, 1, priority=4)
    state = await store.queue_state(QUEUE)
    assert state.earliest_deadline is None
    assert state.oldest_ready_seconds == pytest.approx(10, abs=2)
    later = await store.post(QUEUE, 1, delay_seconds=100)
    state = await store.queue_state(QUEUE)
    assert state.earliest_deadline == later.scheduled_time
    job = await world.claim(lease=LeasePolicy(base_seconds=50))
    state = await store.queue_state(QUEUE)
    assert state.earliest_deadline == job.lease.expires_at
    assert low.state is MessageState.PENDING
    await store.claim(QUEUE)
    assert (await store.queue_state(QUEUE)).oldest_ready_seconds is None


_CALLS: dict[str, Callable[[Store], Awaitable[object]]] = {
    "get_queue": lambda s: s.get_queue("nowhere"),
    "update_queue": lambda s: s.update_queue("nowhere", QueueOptions()),
    "delete_queue": lambda s: s.delete_queue("nowhere"),
    "delete_queue_by_force": lambda s: s.delete_queue("nowhere", force=True),
    "pause_queue": lambda s: s.pause_queue("nowhere"),
    "resume_queue": lambda s: s.resume_queue("nowhere"),
    "queue_state": lambda s: s.queue_state("nowhere"),
    "post": lambda s: s.post("nowhere", 1),
    "post_many": lambda s: s.post_many("nowhere", []),
    "claim": lambda s: s.claim("nowhere"),
    "claim_wait": lambda s: s.claim_wait("nowhere"),
    "lease": lambda s: s.lease("nowhere").__aenter__(),
    "cancel": lambda s: s.cancel("nowhere", "m"),
    "get_message": lambda s: s.get_message("nowhere", "m"),
    "peek": lambda s: s.peek("nowhere"),
    "dead_letters": lambda s: s.dead_letters("nowhere"),
    "requeue": lambda s: s.requeue("nowhere", "m"),
    "requeue_all": lambda s: s.requeue_all("nowhere"),
    "delete_dead_letter": lambda s: s.delete_dead_letter("nowhere", "m"),
    "purge_dead_letters": lambda s: s.purge_dead_letters("nowhere"),
    "dead_letter_stats": lambda s: s.dead_letter_stats("nowhere"),
}


@pytest.mark.parametrize("call", _CALLS.values(), ids=_CALLS.keys())
@contract
async def test_an_unknown_queue_is_not_found_everywhere(
    world: World, call: Callable[[Store], Awaitable[object]]
) -> None:
    with pytest.raises(QueueNotFoundError) as raised:
        await call(world.store)
    assert raised.value.queue == "nowhere"
    assert "nowhere" in str(raised.value)
    assert await world.store.list_queues() == []
