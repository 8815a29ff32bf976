"""What a queue asks of messages: metadata, and functions of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from tests.helpers import QUEUE, World, contract, fields
from tests.scheduling import go_to
from trioqueue import (
    BulkMode,
    Cron,
    Issue,
    Misfire,
    NewMessage,
    PostOutcome,
    QueueOptions,
    Schedule,
    ScheduleState,
    ValidationError,
    validator,
)
from trioqueue.services import CronProcessorService


@validator("tests.even")
def even(payload: Any, metadata: Mapping[str, Any]) -> Iterator[str]:
    del metadata
    if payload % 2:
        yield f"{payload} is odd"


@validator("tests.tidy")
def tidy(payload: Any, metadata: Mapping[str, Any]) -> Iterable[Issue | str] | None:
    del payload
    if "mess" in metadata:
        return [Issue("metadata/mess", "is a mess"), "comes with a mess"]
    return None


@validator("tests.greedy")
def greedy(payload: Any, metadata: Mapping[str, Any]) -> str | None:
    if isinstance(payload, dict):
        payload.clear()
    return None if metadata else "has no metadata"


@validator("tests.broken")
def broken(payload: Any, metadata: Mapping[str, Any]) -> Iterator[str]:
    del metadata
    yield payload["no such key"]


@contract
async def test_metadata_that_is_required_must_be_there(world: World) -> None:
    await world.make_queue(required_metadata=("tenant", "origin"))
    with pytest.raises(ValidationError) as raised:
        await world.store.post(QUEUE, 1)
    assert [str(issue) for issue in raised.value.issues] == [
        "metadata: the queue requires the key 'tenant'",
        "metadata: the queue requires the key 'origin'",
    ]
    with pytest.raises(ValidationError, match="'origin'"):
        await world.store.post(QUEUE, 1, metadata={"tenant": "a"})
    await world.store.post(QUEUE, 1, metadata={"tenant": "a", "origin": None})


@contract
async def test_validators_see_payload_and_metadata(world: World) -> None:
    made = await world.make_queue(validators=["tests.even", "tests.tidy"])
    assert made.options.validators == ("tests.even", "tests.tidy")
    await world.store.post(QUEUE, 2, metadata={"a": 1})
    with pytest.raises(ValidationError) as raised:
        await world.store.post(QUEUE, 3, metadata={"mess": 1})
    assert [str(issue) for issue in raised.value.issues] == [
        "payload: 3 is odd",
        "metadata/mess: is a mess",
        "payload: comes with a mess",
    ]
    assert await world.counts() == {"PENDING": 1}


@contract
async def test_every_link_of_the_chain_is_told_at_once(world: World) -> None:
    await world.store.register_schema("small", {"maximum": 2})
    await world.make_queue(
        schema_id="small",
        required_metadata=("a",),
        validators=("tests.even",),
        max_metadata_bytes=3,
    )
    with pytest.raises(ValidationError) as raised:
        await world.store.post(QUEUE, 3, metadata={"b": 1})
    assert fields(raised) == ["metadata", "metadata", "payload", "payload"]


@contract
async def test_a_validator_that_nobody_knows_is_named(world: World) -> None:
    await world.make_queue(validators=("tests.unknown",))
    with pytest.raises(
        ValidationError, match=r"'tests.unknown'.*does not know.*import"
    ):
        await world.store.post(QUEUE, 1)


@contract
async def test_a_validator_that_raises_refuses_the_message(world: World) -> None:
    await world.make_queue(validators=("tests.broken",))
    with pytest.raises(ValidationError, match=r"'tests\.broken' raised KeyError"):
        await world.store.post(QUEUE, {"a": 1})


@contract
async def test_what_a_validator_changes_changes_nothing(world: World) -> None:
    await world.make_queue(validators=("tests.greedy",))
    payload = {"a": [1]}
    message = await world.store.post(QUEUE, payload, metadata={"b": 1})
    assert message.payload == payload == {"a": [1]}
    stored = await world.store.get_message(QUEUE, message.message_id)
    assert stored.payload == payload


@contract
async def test_each_message_of_many_passes_for_itself(world: World) -> None:
    await world.make_queue(validators=("tests.even",))
    batch = [NewMessage(number) for number in range(4)]
    with pytest.raises(ValidationError) as raised:
        await world.store.post_many(QUEUE, batch)
    assert fields(raised) == ["messages[1].payload", "messages[3].payload"]
    results = await world.store.post_many(QUEUE, batch, mode=BulkMode.BEST_EFFORT)
    assert [result.outcome for result in results] == [
        PostOutcome.POSTED,
        PostOutcome.INVALID,
    ] * 2


@contract
async def test_a_schedule_must_pass_when_it_is_made_and_when_it_runs(
    world: World,
) -> None:
    store = world.store
    await store.register_schema("number", {"type": "integer"})
    await world.make_queue(schema_id="number", validators=("tests.even",))
    schedule = Schedule(
        "s", QUEUE, Cron("0 * * * *"), 3, metadata=None, misfire=Misfire.all()
    )
    with pytest.raises(ValidationError, match="3 is odd"):
        await store.create_schedule(schedule)
    created = await store.create_schedule(
        Schedule("s", QUEUE, Cron("0 * * * *"), 4, misfire=Misfire.all())
    )
    with pytest.raises(ValidationError, match="'x' is not of type 'integer'"):
        await store.update_schedule(Schedule("s", QUEUE, Cron("0 * * * *"), "x"))
    assert created.next_run is not None
    await go_to(world, created.next_run)
    assert await CronProcessorService(store).run_once() == 1
    (message,) = await store.peek(QUEUE)
    assert (message.schema_id, message.schema_version) == ("number", 1)
    await store.register_schema("number", {"type": "string"})
    await go_to(world, created.next_run + timedelta(hours=1))
    await CronProcessorService(store).run_once()
    failed = await store.get_schedule("s")
    assert failed.state is ScheduleState.ERRORED
    assert failed.reason is not None
    assert "4 is not of type 'string'" in failed.reason
    with pytest.raises(ValidationError, match="is not of type 'string'"):
        await store.trigger_schedule("s")


@contract
async def test_wrong_options_are_refused(world: World) -> None:
    with pytest.raises(ValidationError) as raised:
        await world.make_queue(
            schema_id="a b",
            schema_required=1,
            required_metadata=("a", "a"),
            validators="even",
        )
    assert fields(raised) == [
        "options.required_metadata",
        "options.schema_id",
        "options.schema_required",
        "options.validators",
    ]


@contract
async def test_options_come_back_as_they_were(world: World) -> None:
    await world.store.register_schema("any", True)
    made = await world.make_queue(
        schema_id="any",
        schema_required=True,
        required_metadata=("a",),
        validators=("tests.even",),
    )
    assert await world.store.get_queue(QUEUE) == made
    assert made.options.required_metadata == ("a",)
    assert await world.store.create_queue(QUEUE, made.options) == made
    plain = await world.store.update_queue(QUEUE, QueueOptions())
    assert plain.options == QueueOptions()


def test_names_of_validators_are_taken_once() -> None:
    assert validator("tests.even")(even) is even
    with pytest.raises(ValidationError, match=r"'tests\.even' is taken"):
        validator("tests.even")(tidy)
    with pytest.raises(ValidationError):
        validator("a b")

    async def later(payload: Any, metadata: Mapping[str, Any]) -> None:
        del payload, metadata

    with pytest.raises(ValidationError, match="plain function"):
        validator("tests.later")(later)  # type: ignore[type-var]  # that is what is wrong
