"""What counts as the same content when an id is posted again."""

from __future__ import annotations

import pytest

from tests.helpers import World, contract
from trioqueue import DuplicateMessageError, QueueNotFoundError


@contract
async def test_the_order_of_keys_makes_no_other_message(world: World) -> None:
    store = world.store
    await store.create_queue("q")
    first = await store.post("q", {"a": 1, "b": [2]}, message_id="m", metadata={"x": 1})
    again = await store.post("q", {"b": [2], "a": 1}, message_id="m", metadata={"x": 1})
    assert again == first


@contract
async def test_true_and_one_are_not_the_same_payload(world: World) -> None:
    await world.store.create_queue("q")
    await world.store.post("q", {"a": 1}, message_id="m")
    with pytest.raises(DuplicateMessageError) as caught:
        await world.store.post("q", {"a": True}, message_id="m")
    assert caught.value.differences == ("payload",)


@contract
async def test_parameters_of_json_s_content_type_leave_it_json(world: World) -> None:
    kind = "application/json; charset=utf-8"
    await world.store.create_queue("q")
    await world.store.post("q", {"a": 1}, message_id="m", content_type=kind)
    (job,) = await world.store.claim("q")
    assert job.payload == {"a": 1}
    assert job.message.content_type == kind


@contract
async def test_expired_messages_of_an_unknown_queue_are_not_found(
    world: World,
) -> None:
    with pytest.raises(QueueNotFoundError):
        await world.store.find_expired_messages("nowhere")
