"""What payloads must look like: messages against schemas."""

from __future__ import annotations

import pytest

from tests.contract.test_schemas import GOOD, LOOSER, ORDER
from tests.helpers import MEMORY, QUEUE, World, contract, fields
from tests.scheduling import go_to, run_cron
from trioqueue import (
    BulkMode,
    Cron,
    DuplicateMessageError,
    NewMessage,
    PostOutcome,
    QueueOptions,
    Schedule,
    ScheduleState,
    ValidationError,
)


@contract
async def test_a_message_carries_the_version_it_was_posted_under(world: World) -> None:
    store = world.store
    await store.register_schema("order", ORDER)
    await store.register_schema("other", True)
    await world.make_queue(schema_id="order")
    posted = await store.post(QUEUE, GOOD, message_id="a")
    own = await store.post(QUEUE, 5, message_id="b", schema_id="other")
    await store.register_schema("order", LOOSER)
    assert (posted.schema_id, posted.schema_version) == ("order", 1)
    assert (own.schema_id, own.schema_version) == ("other", 1)
    kept = await store.get_message(QUEUE, "a")
    assert (kept.schema_id, kept.schema_version) == ("order", 1)
    job = await world.claim()
    await store.fail(job, "no good", final=True)
    dead = await store.get_message(QUEUE, "a")
    assert (dead.schema_id, dead.schema_version) == ("order", 1)
    await store.deactivate_schema("order", 1)
    await store.requeue(QUEUE, "a")
    again = await store.get_message(QUEUE, "a")
    assert (again.schema_id, again.schema_version) == ("order", 1)


@contract
async def test_a_message_may_name_a_version(world: World) -> None:
    store = world.store
    for document in (ORDER, LOOSER):
        await store.register_schema("order", document)
    await world.make_queue()
    few = {"item": "cup"}
    with pytest.raises(ValidationError, match="'count' is a required property"):
        await store.post(QUEUE, few, schema_id="order", schema_version=1)
    await store.post(QUEUE, few, schema_id="order", schema_version=2)
    await store.deactivate_schema("order", 2)
    for version in (2, 3):
        with pytest.raises(ValidationError, match=f"no active version {version}"):
            await store.post(QUEUE, few, schema_id="order", schema_version=version)
    with pytest.raises(ValidationError) as raised:
        await store.post(QUEUE, few, schema_version=1)
    assert fields(raised) == ["schema_version"]
    with pytest.raises(ValidationError) as raised:
        await store.post(QUEUE, few, schema_id="a b", schema_version=0)
    assert fields(raised) == ["schema_id", "schema_version"]


@contract
async def test_a_required_schema_refuses_what_has_none(world: World) -> None:
    store = world.store
    await store.register_schema("order", ORDER)
    await world.make_queue(schema_required=True)
    with pytest.raises(ValidationError) as raised:
        await store.post(QUEUE, GOOD)
    assert fields(raised) == ["schema_id"]
    await store.post(QUEUE, GOOD, schema_id="order")
    await world.make_queue("strict", schema_id="order", schema_required=True)
    with pytest.raises(ValidationError) as raised:
        await store.post("strict", "text", content_type="text/plain")
    assert fields(raised) == ["content_type"]


@contract
async def test_what_is_not_json_passes_where_no_schema_is_required(
    world: World,
) -> None:
    await world.store.register_schema("order", ORDER)
    await world.make_queue(schema_id="order")
    message = await world.store.post(QUEUE, "text", content_type="text/plain")
    assert message.schema_id is None
    with pytest.raises(ValidationError) as raised:
        await world.store.post(
            QUEUE, "text", content_type="text/plain", schema_id="order"
        )
    assert fields(raised) == ["content_type"]


@contract
async def test_a_queue_needs_a_schema_that_is_there(world: World) -> None:
    for options in ({"schema_id": "order"}, {"schema_id": "order", "max_attempts": 2}):
        with pytest.raises(ValidationError) as raised:
            await world.make_queue(**options)
        assert fields(raised) == ["options.schema_id"]
    await world.make_queue()
    with pytest.raises(ValidationError):
        await world.store.update_queue(QUEUE, QueueOptions(schema_id="order"))
    await world.store.register_schema("order", ORDER)
    updated = await world.store.update_queue(QUEUE, QueueOptions(schema_id="order"))
    assert updated.options.schema_id == "order"


@contract
async def test_all_that_is_wrong_with_a_message_is_named_at_once(world: World) -> None:
    await world.store.register_schema("order", ORDER)
    await world.make_queue(schema_id="order", max_metadata_bytes=2)
    with pytest.raises(ValidationError) as raised:
        await world.store.post(QUEUE, {"item": 1}, metadata={"a": 1})
    assert fields(raised) == ["metadata", "payload", "payload/item"]
    with pytest.raises(ValidationError) as raised:
        await world.store.post(QUEUE, {"item": 1}, metadata={"a": 1}, priority=9)
    assert fields(raised) == ["metadata", "payload", "payload/item", "priority"]


@contract
async def test_each_of_many_messages_has_its_own_outcome(world: World) -> None:
    await world.store.register_schema("order", ORDER)
    await world.make_queue(schema_id="order")
    batch = [
        NewMessage(GOOD, message_id="a"),
        NewMessage({"item": "cup"}, message_id="b"),
        NewMessage({"item": "cup"}, message_id="b"),
        NewMessage(GOOD, message_id="b"),
        NewMessage(GOOD, message_id="b"),
        NewMessage(GOOD, message_id="a"),
    ]
    with pytest.raises(ValidationError) as raised:
        await world.store.post_many(QUEUE, batch)
    assert fields(raised) == ["messages[1].payload", "messages[2].payload"]
    assert [getattr(each, "code", "") for each in raised.value.issues] == [
        "required",
        "required",
    ]
    results = await world.store.post_many(QUEUE, batch, mode=BulkMode.BEST_EFFORT)
    assert [each.outcome for each in results] == [
        PostOutcome.POSTED,
        PostOutcome.INVALID,
        PostOutcome.INVALID,
        PostOutcome.POSTED,
        PostOutcome.DUPLICATE,
        PostOutcome.DUPLICATE,
    ]
    assert await world.counts() == {"PENDING": 2}


@contract
async def test_what_is_stored_stays_posted_whatever_its_schema_says_now(
    world: World,
) -> None:
    store = world.store
    await store.register_schema("order", LOOSER)
    await world.make_queue(schema_id="order")
    few = {"item": "cup"}
    first = await store.post(QUEUE, few, message_id="a")
    await store.register_schema("order", ORDER)
    assert await store.post(QUEUE, few, message_id="a") == first
    await store.register_schema("other", True)
    with pytest.raises(DuplicateMessageError, match="schema_id"):
        await store.post(QUEUE, few, message_id="a", schema_id="other")


@contract
async def test_large_payloads_are_validated_too(world: World) -> None:
    store = world.store
    await store.register_schema("orders", {"items": ORDER})
    await world.make_queue(schema_id="orders")
    many = [GOOD] * 2000
    wrong = [*many, {"item": "cup"}]
    await store.post(QUEUE, many)
    with pytest.raises(ValidationError) as raised:
        await store.post(QUEUE, wrong)
    assert fields(raised) == ["payload/2000"]
    batch = [NewMessage(many), NewMessage(wrong), NewMessage([GOOD])]
    with pytest.raises(ValidationError) as raised:
        await store.post_many(QUEUE, batch)
    assert fields(raised) == ["messages[1].payload/2000"]
    results = await store.post_many(QUEUE, batch, mode=BulkMode.BEST_EFFORT)
    assert [each.outcome.value for each in results] == ["posted", "invalid", "posted"]
    assert await world.counts() == {"PENDING": 3}


@contract
async def test_what_is_no_json_is_told_once(world: World) -> None:
    await world.store.register_schema("order", ORDER)
    await world.make_queue(schema_id="order", validators=("tests.nobody",))
    with pytest.raises(ValidationError) as raised:
        await world.store.post(QUEUE, float("nan"), priority=9)
    assert fields(raised) == ["payload", "priority", "queue"]


@contract
async def test_a_schedule_with_a_large_payload_is_validated(world: World) -> None:
    await world.store.register_schema("orders", {"items": ORDER})
    await world.make_queue(schema_id="orders")
    wrong = [*([GOOD] * 2000), {}]
    with pytest.raises(ValidationError) as raised:
        await world.store.create_schedule(
            Schedule("s", QUEUE, Cron("0 * * * *"), wrong)
        )
    assert fields(raised) == ["payload/2000"] * 2


@contract
async def test_a_schedule_whose_payload_was_spoiled_fails_alone(world: World) -> None:
    if world.kind is MEMORY:
        return
    store = world.store
    await store.register_schema("order", ORDER)
    await world.make_queue(schema_id="order")
    for name in ("a", "b"):
        await store.create_schedule(Schedule(name, QUEUE, Cron("0 * * * *"), GOOD))
    world.write_behind(
        "UPDATE tq_schedules SET payload = ? WHERE schedule_id = 'a'", b"{"
    )
    await go_to(world, (await store.get_schedule("a")).next_run)
    await run_cron(store)
    assert (await store.get_schedule("a")).state is ScheduleState.ERRORED
    assert (await store.get_schedule("b")).run_count == 1
