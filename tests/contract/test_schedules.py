"""Schedules: create, change, list, delete, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs
import pytest

from tests.helpers import QUEUE, World, contract, fields
from tests.scheduling import Every, at, every, schedule
from trioqueue import (
    IllegalStateError,
    LeasePolicy,
    Misfire,
    QueueNotFoundError,
    Schedule,
    ScheduleExistsError,
    ScheduleNotFoundError,
    ScheduleState,
    ValidationError,
)

pytestmark = pytest.mark.usefixtures("every")
_ = every


@contract
async def test_a_new_schedule_is_scheduled_for_its_first_run(world: World) -> None:
    await world.make_queue()
    before = world.store.now()
    created = await world.store.create_schedule(schedule(60))
    assert created.state is ScheduleState.SCHEDULED
    assert (created.reason, created.last_run, created.run_count) == (None, None, 0)
    assert created.revision == 1
    assert created.created_at == created.updated_at
    assert created.next_run is not None
    assert created.created_at is not None
    assert before < created.next_run <= created.created_at + timedelta(seconds=60)
    assert created.next_run == created.when.next_after(created.created_at)
    assert await world.store.get_schedule("s") == created


EVERYTHING: dict[str, Any] = {
    "content_type": "text/plain",
    "payload": "wörk",
    "metadata": {"a": [1, None], "b": "ü"},
    "priority": 4,
    "max_attempts": 5,
    "lease": LeasePolicy(base_seconds=7, max_renewals=2),
    "misfire": Misfire.all(7),
    "jitter_seconds": 2.5,
    "max_messages": 9,
    "start_at": at(3.6e9),
    "end_at": at(5.4e9),
}


@contract
async def test_every_setting_is_kept(world: World) -> None:
    await world.make_queue()
    asked = schedule(60, **EVERYTHING)
    stored = await world.store.create_schedule(asked)
    for name, value in EVERYTHING.items():
        assert getattr(stored, name) == value, name
    assert stored.when == asked.when.bind("s", micros(stored))
    assert stored.next_run == at(3.6e9)  # start_at itself, for it is a multiple of 60
    assert await world.store.get_schedule("s") == stored


def micros(stored: Schedule) -> int:
    assert stored.created_at is not None
    return round(stored.created_at.timestamp() * 1_000_000)


@contract
async def test_creating_it_again_with_the_same_settings_returns_it(
    world: World,
) -> None:
    await world.make_queue()
    asked = schedule(3600, payload={"a": 1, "b": 2}, metadata={"c": 1, "d": 2})
    first = await world.store.create_schedule(asked)
    await world.advance(10)
    twin = attrs.evolve(asked, payload={"b": 2, "a": 1}, metadata={"d": 2, "c": 1})
    for again in (asked, twin, first):
        assert await world.store.create_schedule(again) == first


@contract
@pytest.mark.parametrize("name", [*EVERYTHING, "queue", "when"])
async def test_creating_it_again_with_another_setting_is_a_conflict(
    world: World, name: str
) -> None:
    await world.make_queue()
    await world.make_queue("elsewhere")
    first = await world.store.create_schedule(schedule(60))
    other: Any = {**EVERYTHING, "queue": "elsewhere", "when": Every(61)}[name]
    changed = {name: other}
    if name == "content_type":
        changed["payload"] = "text"
    if name == "payload":
        changed["content_type"] = "text/plain"
    with pytest.raises(ScheduleExistsError) as raised:
        await world.store.create_schedule(schedule(60, **changed))
    assert raised.value.schedule_id == "s"
    assert set(raised.value.differences) == set(changed)
    assert await world.store.get_schedule("s") == first


BAD: list[tuple[str, dict[str, Any]]] = [
    ("id", {"id": ""}),
    ("id", {"id": "x" * 129}),
    ("id", {"id": "with blank"}),
    ("id", {"id": "ü"}),
    ("id", {"id": None}),
    ("queue", {"queue": "no good"}),
    ("queue", {"queue": 5}),
    ("when", {"when": "0 9 * * *"}),
    ("when", {"when": None}),
    ("seconds", {"when": Every(0)}),
    ("payload", {"payload": {1: 2}}),
    ("payload", {"payload": float("nan")}),
    ("payload", {"payload": 5, "content_type": "text/plain"}),
    ("content_type", {"content_type": "nonsense"}),
    ("metadata", {"metadata": [1]}),
    ("metadata", {"metadata": {"a": object()}}),
    ("metadata", {"metadata": {"trioqueue.kind": "mine"}}),
    ("priority", {"priority": 5}),
    ("max_attempts", {"max_attempts": 0}),
    ("priority", {"priority": True}),
    ("lease", {"lease": 30}),
    ("misfire", {"misfire": "coalesce"}),
    ("misfire", {"misfire": Misfire("never")}),  # type: ignore[arg-type]
    ("misfire.max_catchup", {"misfire": Misfire("all", 0)}),
    ("jitter_seconds", {"jitter_seconds": -1}),
    ("jitter_seconds", {"jitter_seconds": float("inf")}),
    ("jitter_seconds", {"jitter_seconds": "1"}),
    ("max_messages", {"max_messages": 0}),
    ("max_messages", {"max_messages": True}),
    ("max_messages", {"max_messages": 1.5}),
    ("start_at", {"start_at": at(0).replace(tzinfo=None)}),
    ("end_at", {"end_at": 5}),
    ("end_at", {"start_at": at(5.4e9), "end_at": at(5.4e9 - 1)}),
]


@contract
@pytest.mark.parametrize(("field", "settings"), BAD)
async def test_what_is_wrong_is_refused_and_nothing_is_stored(
    world: World, field: str, settings: dict[str, Any]
) -> None:
    await world.make_queue()
    good = await world.store.create_schedule(schedule(60, id="good"))
    with pytest.raises(ValidationError) as raised:
        await world.store.create_schedule(schedule(60, **settings))
    assert fields(raised) == [field]
    if field != "id":
        bad = schedule(60, **{"id": "good", **settings})
        with pytest.raises(ValidationError) as raised:
            await world.store.update_schedule(bad)
        assert fields(raised) == [field]
    assert await world.store.list_schedules() == [good]


@contract
async def test_every_problem_is_named_at_once(world: World) -> None:
    with pytest.raises(ValidationError) as raised:
        await world.store.create_schedule(
            schedule(0, id="?", queue="?", payload={1: 2}, max_messages=0, priority=9)
        )
    named = ["id", "max_messages", "payload", "priority", "queue", "seconds"]
    assert fields(raised) == named
    with pytest.raises(ValidationError, match="expected Schedule"):
        await world.store.create_schedule("s")  # type: ignore[arg-type]


@contract
async def test_a_schedule_that_never_runs_is_refused(world: World) -> None:
    await world.make_queue()
    now = world.store.now()
    never: list[dict[str, Any]] = [
        {"when": Every(60, until=1)},
        {"end_at": now - timedelta(days=1)},
        {"start_at": at(3.6e9 + 1), "end_at": at(3.6e9 + 59)},
    ]
    for settings in never:
        with pytest.raises(ValidationError, match="never runs") as raised:
            await world.store.create_schedule(schedule(60, **settings))
        assert fields(raised) == ["when"]
    assert await world.store.list_schedules() == []
    only = schedule(60, start_at=at(3.6e9), end_at=at(3.6e9))
    assert (await world.store.create_schedule(only)).next_run == at(3.6e9)


@contract
async def test_an_unknown_queue_is_refused(world: World) -> None:
    with pytest.raises(QueueNotFoundError):
        await world.store.create_schedule(schedule(60))
    await world.make_queue()
    await world.store.create_schedule(schedule(60))
    with pytest.raises(QueueNotFoundError) as raised:
        await world.store.update_schedule(schedule(60, queue="nowhere"))
    assert raised.value.queue == "nowhere"


@contract
async def test_what_the_queue_would_not_take_is_refused(world: World) -> None:
    await world.make_queue(max_payload_bytes=10, content_types=["application/json"])
    await world.make_queue("narrow", max_metadata_bytes=40)
    with pytest.raises(ValidationError) as raised:
        await world.store.create_schedule(schedule(60, payload="x" * 9))
    assert fields(raised) == ["payload"]
    with pytest.raises(ValidationError) as raised:
        text = schedule(60, payload="x", content_type="text/plain")
        await world.store.create_schedule(text)
    assert fields(raised) == ["content_type"]
    with pytest.raises(ValidationError) as raised:
        # What a message says of its run needs more than 40 bytes.
        await world.store.create_schedule(schedule(60, queue="narrow"))
    assert fields(raised) == ["metadata"]
    await world.store.create_schedule(schedule(60, payload="x" * 8))


@contract
async def test_the_longest_id_makes_message_ids(world: World) -> None:
    await world.make_queue()
    name = "a.Z_0:-" + "x" * 121
    created = await world.store.create_schedule(schedule(3600, id=name))
    assert (await world.store.trigger_schedule(name)).message_id.startswith(name)
    assert created.id == name


@contract
async def test_schedules_are_listed_by_id_with_prefix_state_and_pages(
    world: World,
) -> None:
    await world.make_queue()
    names = ["a", "b-1", "b-2", "b-3", "b_x", "c", "z", "zz"]
    for name in reversed(names):
        await world.store.create_schedule(schedule(3600, id=name))
    await world.store.pause_schedule("b-2")

    async def listed(*args: Any, **kwargs: Any) -> list[str]:
        found = await world.store.list_schedules(*args, **kwargs)
        return [each.id for each in found]

    assert await listed() == names
    assert await listed("b-") == ["b-1", "b-2", "b-3"]
    assert await listed("z") == ["z", "zz"]
    assert await listed("y") == []
    assert await listed("b-", limit=1, after="b-1") == ["b-2"]
    assert await listed(after="c") == ["z", "zz"]
    assert await listed(state=ScheduleState.PAUSED) == ["b-2"]
    assert await listed("b", state=ScheduleState.SCHEDULED) == ["b-1", "b-3", "b_x"]
    pages: list[str] = []
    while page := await listed(limit=3, after=pages[-1] if pages else None):
        pages += page
    assert pages == names
    refused: list[dict[str, Any]] = [
        {"limit": 0},
        {"state": "PAUSED"},
        {"after": 5},
        {"prefix": 5},
    ]
    for wrong in refused:
        with pytest.raises(ValidationError):
            await world.store.list_schedules(**wrong)


@contract
async def test_what_is_not_there_is_said_to_be_missing(world: World) -> None:
    store = world.store
    await world.make_queue()
    calls = (
        store.get_schedule,
        store.delete_schedule,
        store.pause_schedule,
        store.resume_schedule,
        store.trigger_schedule,
        store.schedule_history,
        store.preview_schedule,
    )
    for call in calls:
        with pytest.raises(ScheduleNotFoundError) as raised:
            await call("nothing")
        assert raised.value.schedule_id == "nothing"
        with pytest.raises(ValidationError):
            await call(5)  # type: ignore[arg-type]
    with pytest.raises(ScheduleNotFoundError):
        await store.update_schedule(schedule(60))


@contract
async def test_a_deleted_schedule_runs_no_more_and_its_messages_stay(
    world: World,
) -> None:
    await world.make_queue()
    await world.store.create_schedule(schedule(3600))
    message = await world.store.trigger_schedule("s")
    await world.store.delete_schedule("s")
    assert await world.store.list_schedules() == []
    assert await world.state(message.message_id) is not None
    again = await world.store.create_schedule(schedule(3600))
    assert again.revision == 1
    assert await world.store.schedule_history("s") == []


@contract
async def test_a_queue_with_schedules_is_deleted_by_force_only(world: World) -> None:
    await world.make_queue()
    for number in range(7):
        await world.store.create_schedule(schedule(3600, id=f"s{number}"))
    with pytest.raises(IllegalStateError, match=r"'s0'.* and 2 more; delete"):
        await world.store.delete_queue(QUEUE)
    assert (await world.store.get_queue(QUEUE)).name == QUEUE
    await world.store.delete_queue(QUEUE, force=True)
    assert len(await world.store.list_schedules()) == 7


def test_a_misfire_policy_checks_how_much_may_be_caught_up() -> None:
    for wrong in (0, -1, 1001, 1.5, True, None, "5"):
        with pytest.raises(ValidationError, match="max_catchup"):
            Misfire.all(wrong)  # type: ignore[arg-type]
    assert Misfire.all(1000).max_catchup == 1000
    assert Misfire.all() == Misfire.all(100)
