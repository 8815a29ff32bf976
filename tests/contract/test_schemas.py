"""Schemas: registered in versions, and what messages must look like."""

from __future__ import annotations

import pytest
import trio

from tests.helpers import QUEUE, World, contract, fields, on_shared
from trioqueue import (
    IllegalStateError,
    QueueOptions,
    SchemaNotFoundError,
    ValidationError,
)

ORDER = {
    "type": "object",
    "required": ["item", "count"],
    "properties": {
        "item": {"type": "string", "minLength": 1},
        "count": {"type": "integer", "minimum": 1},
        "size": {"enum": ["S", "M", "L"]},
    },
    "additionalProperties": False,
}
LOOSER = {**ORDER, "required": ["item"]}
GOOD = {"item": "cup", "count": 2}


@contract
async def test_versions_are_counted_from_one_and_never_change(world: World) -> None:
    store = world.store
    first = await store.register_schema("order", ORDER, description="what is sold")
    second = await store.register_schema("order", LOOSER)
    assert (first.version, second.version) == (1, 2)
    assert first.description == "what is sold"
    assert first.active
    assert first.created_at <= store.now()
    assert await store.get_schema("order", 1) == first
    assert await store.get_schema("order") == second
    assert (await store.get_schema("order", 1)).document == ORDER


@contract
async def test_the_newest_document_again_is_its_version(world: World) -> None:
    store = world.store
    first = await store.register_schema("order", ORDER)
    turned = dict(reversed(ORDER.items()))
    assert await store.register_schema("order", turned) == first
    await store.register_schema("order", LOOSER)
    third = await store.register_schema("order", ORDER)
    assert third.version == 3
    await store.deactivate_schema("order", 3)
    assert (await store.register_schema("order", ORDER)).version == 4


@contract
async def test_what_may_be_a_schema_is_one(world: World) -> None:
    for name, document in {
        "nothing": False,
        "anything": True,
        "empty": {},
        "reference": {"$ref": "#/$defs/a", "$defs": {"a": {"type": "null"}}},
        "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    }.items():
        assert (await world.store.register_schema(name, document)).version == 1
    validate = world.store.validate_payload
    assert [each.code for each in await validate("nothing", 1)] == ["false"]
    assert await validate("anything", 1) == []
    assert await validate("reference", None) == []
    assert [each.code for each in await validate("either", 1)] == ["anyOf"]


@contract
async def test_every_problem_of_a_schema_is_named(world: World) -> None:
    document = {"required": "a", "properties": {"b": {"type": "objekt"}}}
    with pytest.raises(ValidationError) as raised:
        await world.store.register_schema("no schema", document)
    assert fields(raised) == [
        "document/properties/b/type",
        "document/required",
        "schema_id",
    ]
    assert await world.store.list_schemas() == []


@contract
async def test_the_latest_active_version_counts(world: World) -> None:
    store = world.store
    await store.register_schema("order", ORDER)
    await store.register_schema("order", LOOSER)
    await world.make_queue(schema_id="order")
    few = {"item": "cup"}
    await store.post(QUEUE, few)
    changed = await store.deactivate_schema("order", 2)
    assert not changed.active
    assert (await store.get_schema("order")).version == 1
    with pytest.raises(ValidationError) as raised:
        await store.post(QUEUE, few)
    assert fields(raised) == ["payload"]
    await store.reactivate_schema("order", 2)
    await store.post(QUEUE, few)
    await store.deactivate_schema("order", 1)
    await store.deactivate_schema("order", 2)
    with pytest.raises(SchemaNotFoundError):
        await store.get_schema("order")
    assert (await store.get_schema("order", 2)).version == 2
    with pytest.raises(ValidationError, match="no active version"):
        await store.post(QUEUE, few)


@contract
async def test_versions_are_listed_in_pages(world: World) -> None:
    store = world.store
    for name in ("b", "ab", "aa"):
        await store.register_schema(name, ORDER)
        await store.register_schema(name, LOOSER)
    await store.deactivate_schema("aa", 1)
    listed = [(each.schema_id, each.version) for each in await store.list_schemas()]
    assert listed == [("aa", 1), ("aa", 2), ("ab", 1), ("ab", 2), ("b", 1), ("b", 2)]
    some = await store.list_schemas("a", limit=2, after=("aa", 1))
    assert [(each.schema_id, each.version) for each in some] == listed[1:3]
    active = await store.list_schemas("aa", active_only=True)
    assert [each.version for each in active] == [2]


@contract
async def test_what_is_used_is_not_deleted(world: World) -> None:
    store = world.store
    for document in (ORDER, LOOSER):
        await store.register_schema("order", document)
    await world.make_queue("kept")
    live = await store.post("kept", GOOD, schema_id="order", schema_version=1)
    for version in (None, 1):
        with pytest.raises(IllegalStateError, match="1 that have not finished, 0 that"):
            await store.delete_schema("order", version)
    assert await store.delete_schema("order", 2) == 1
    job = await world.claim("kept")
    assert job.message_id == live.message_id
    await store.fail(job, "no good", final=True)
    with pytest.raises(IllegalStateError, match="0 that have not finished, 1 that"):
        await store.delete_schema("order", 1)
    await store.purge_dead_letters("kept-dlq")
    await store.update_queue("kept", QueueOptions(schema_id="order"))
    for version in (None, 1):
        with pytest.raises(IllegalStateError, match=r"queues use .*'kept'"):
            await store.delete_schema("order", version)
    await store.update_queue("kept", QueueOptions())
    assert await store.delete_schema("order") == 1
    with pytest.raises(SchemaNotFoundError):
        await store.delete_schema("order")


@contract
async def test_a_number_is_never_used_again(world: World) -> None:
    store = world.store
    for document in (ORDER, LOOSER):
        await store.register_schema("order", document)
    assert await store.delete_schema("order", 2) == 1
    assert await store.delete_schema("order", 1) == 1
    assert (await store.register_schema("order", True)).version == 3
    assert await store.delete_schema("order") == 1
    assert (await store.register_schema("order", True)).version == 4


@contract
async def test_every_violation_is_named_by_path_and_code(world: World) -> None:
    await world.store.register_schema("order", {"items": ORDER})
    wrong = [{"item": "", "count": 1.5, "size": "XL", "a/b": 1}, GOOD, {"item": "a"}]
    found = await world.store.validate_payload("order", wrong)
    assert sorted((each.path, each.code) for each in found) == [
        ("/0", "additionalProperties"),
        ("/0/count", "type"),
        ("/0/item", "minLength"),
        ("/0/size", "enum"),
        ("/2", "required"),
    ]
    assert await world.store.validate_payload("order", [GOOD]) == []


@contract
async def test_validating_needs_a_schema_and_a_json_value(world: World) -> None:
    with pytest.raises(SchemaNotFoundError) as raised:
        await world.store.validate_payload("order", GOOD)
    assert (raised.value.schema_id, raised.value.version) == ("order", None)
    await world.store.register_schema("order", ORDER)
    with pytest.raises(SchemaNotFoundError):
        await world.store.validate_payload("order", GOOD, 2)
    with pytest.raises(ValidationError, match="payload"):
        await world.store.validate_payload("order", float("nan"))


@contract
async def test_a_key_called_value_is_a_key_like_others(world: World) -> None:
    await world.store.register_schema("order", ORDER)
    assert await world.store.validate_payload("order", {"value": GOOD}) != []
    await world.make_queue(schema_id="order")
    with pytest.raises(ValidationError):
        await world.store.post(QUEUE, {"value": GOOD})


@contract
async def test_compatible_versions_only_if_asked_for(world: World) -> None:
    store = world.store
    await store.register_schema("order", LOOSER)
    with pytest.raises(ValidationError, match=r"count.*required"):
        await store.register_schema("order", ORDER, compatible=True)
    wider = {**LOOSER, "additionalProperties": True}
    assert (await store.register_schema("order", wider, compatible=True)).version == 2
    assert (await store.register_schema("order", ORDER)).version == 3


@contract
async def test_the_cost_of_validating_is_bounded(world: World) -> None:
    store = world.store
    depth = 12
    doubled = {
        f"d{level}": {"items": {"anyOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 3}}
        for level in range(depth)
    }
    document = {
        "$defs": {**doubled, f"d{depth}": {"type": "null"}},
        "$ref": "#/$defs/d0",
    }
    await store.register_schema("doubled", document)
    nested: object = 1
    for _ in range(depth):
        nested = [nested]
    (found,) = await store.validate_payload("doubled", nested)
    assert found.code == "cost"
    await store.register_schema("slow", {"pattern": "^(a+)+$"})
    (found,) = await store.validate_payload("slow", "a" * 5000 + "b")
    assert found.code == "pattern"


@on_shared
@contract
async def test_two_who_register_at_once_get_different_versions(world: World) -> None:
    numbers: list[int] = []
    async with world.open_another() as other, trio.open_nursery() as nursery:

        async def register(store: object, size: int) -> None:
            found = await store.register_schema("s", {"maxLength": size})  # type: ignore[attr-defined]  # a Store
            numbers.append(found.version)

        for size in range(10):
            nursery.start_soon(register, world.store if size % 2 else other, size)
    assert sorted(numbers) == list(range(1, 11))
    listed = await world.store.list_schemas("s")
    assert sorted(each.document["maxLength"] for each in listed) == list(range(10))


@on_shared
@contract
async def test_another_process_follows_at_once(world: World) -> None:
    await world.store.register_schema("order", LOOSER)
    await world.make_queue(schema_id="order")
    async with world.open_another() as other:
        assert (await other.post(QUEUE, {"item": "a"})).schema_version == 1
        await world.store.register_schema("order", ORDER)
        with pytest.raises(ValidationError, match="count"):
            await other.post(QUEUE, {"item": "a"})
