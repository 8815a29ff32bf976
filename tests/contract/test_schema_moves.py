"""Schemas go along when a store is copied, exported and imported."""

from __future__ import annotations

import io
from typing import Any

import pytest

from tests.helpers import QUEUE, World, contract
from trioqueue import ConflictError, ValidationError, copy_store, open_store
from trioqueue.store.export_file import Export
from trioqueue.store.exporting import export_store
from trioqueue.store.importing import import_store

NUMBER = {"type": "integer", "title": "é", "minimum": 0}


async def fill(world: World) -> list[Any]:
    """Make two versions, one inactive, a queue that uses them, and a message."""
    store = world.store
    await store.register_schema("number", NUMBER, description="all there are")
    await store.register_schema("number", True)
    await store.deactivate_schema("number", 2)
    await store.register_schema("other", False)
    await world.make_queue(schema_id="number", required_metadata=("a",))
    await store.post(QUEUE, 1, message_id="m", metadata={"a": 1})
    return await store.list_schemas()


@contract
async def test_a_copy_brings_schemas(world: World) -> None:
    known = await fill(world)
    async with open_store("sqlite://:memory:", clock=world.store.clock) as target:
        report = await copy_store(world.store, target)
        assert report.schemas == 3
        assert await target.list_schemas() == known
        message = await target.get_message(QUEUE, "m")
        assert (message.schema_id, message.schema_version) == ("number", 1)
        assert (await target.get_queue(QUEUE)).options.schema_id == "number"
        with pytest.raises(ValidationError):
            await target.post(QUEUE, -1, metadata={"a": 1})


@contract
async def test_a_copy_into_a_store_with_such_a_schema_is_refused(world: World) -> None:
    async with open_store("sqlite://:memory:", clock=world.store.clock) as source:
        await source.register_schema("number", NUMBER)
        await world.store.register_schema("number", True)
        with pytest.raises(ConflictError, match="schema 'number'"):
            await copy_store(source, world.store)
        assert len(await world.store.list_schemas()) == 1


@contract
async def test_a_store_takes_copied_schemas(world: World) -> None:
    async with open_store("sqlite://:memory:", clock=world.store.clock) as source:
        await source.register_schema("number", NUMBER)
        await source.register_schema("number", True)
        await source.deactivate_schema("number", 2)
        known = await source.list_schemas()
        await copy_store(source, world.store)
    assert await world.store.list_schemas() == known


@contract
async def test_an_export_brings_schemas_back(world: World) -> None:
    known = await fill(world)
    file = io.BytesIO()
    report = await export_store(world.store, file.write)
    assert report.schemas == 3
    export = Export(file)
    async with open_store("sqlite://:memory:", clock=world.store.clock) as target:
        assert (await import_store(export, target)).schemas == 3
        assert await target.list_schemas() == known
        message = await target.get_message(QUEUE, "m")
        assert (message.schema_id, message.schema_version) == ("number", 1)


@contract
async def test_an_export_of_some_queues_has_what_they_use(world: World) -> None:
    await fill(world)
    await world.store.register_schema("third", True)
    await world.make_queue("alone")
    await world.store.post("alone", 1, schema_id="third")
    for queues, wanted in (([QUEUE], 2), (["alone"], 1)):
        file = io.BytesIO()
        report = await export_store(world.store, file.write, queues=queues)
        assert report.schemas == wanted


@contract
async def test_an_import_refuses_what_is_no_schema(world: World) -> None:
    await fill(world)
    file = io.BytesIO()
    await export_store(world.store, file.write)
    data = file.getvalue().replace(b'\\"type\\":\\"integer\\"', b'\\"type\\":\\"int\\"')
    assert data != file.getvalue()
    with pytest.raises(ValidationError, match=r"line 3.*document"):
        Export(io.BytesIO(data))
