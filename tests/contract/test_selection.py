"""Messages are found by what they are, over all queues and states, page by page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.helpers import QUEUE, World, contract, fields, ids
from trioqueue import (
    MessageFilter,
    MessageNotFoundError,
    MessageState,
    NewMessage,
    QueueNotFoundError,
    RetentionPolicy,
    ValidationError,
)
from trioqueue.store.operations import criteria, selection

KEPT = RetentionPolicy.keep_forever()


async def post(world: World, *names: str, queue: str = QUEUE, **options: Any) -> None:
    """Post messages with these ids."""
    news = [NewMessage(name, message_id=name, **options) for name in names]
    await world.store.post_many(queue, news)


async def found(world: World, **filters: Any) -> list[str]:
    """Return the ids of the messages that fit."""
    return ids(await world.store.find_messages(MessageFilter(**filters)))


async def kill(world: World, name: str, error: BaseException | str) -> None:
    """Make a dead letter of this error."""
    await world.store.fail(await world.running(message_id=name), error, final=True)


@contract
async def test_all_states_of_all_queues_come_in_the_order_of_their_posts(
    world: World,
) -> None:
    await world.make_queue(retention=KEPT)
    await world.make_queue("other")
    await world.store.complete(await world.running(message_id="completed"))
    await world.running(message_id="running")
    await post(world, "else", queue="other")
    await post(world, "later", delay_seconds=60)
    await post(world, "canceled", "ready")
    await world.store.cancel(QUEUE, "canceled")
    page = await world.store.find_messages()
    assert [(m.message_id, m.state.name) for m in page] == [
        ("completed", "COMPLETED"),
        ("running", "RUNNING"),
        ("else", "PENDING"),
        ("later", "INVISIBLE"),
        ("canceled", "CANCELED"),
        ("ready", "PENDING"),
    ]
    assert page.next is None
    assert [m.queue for m in page].count("other") == 1
    for message in page:
        stored = await world.store.get_message(message.queue, message.message_id)
        assert message == stored
    assert await world.store.count_messages() == {QUEUE: 5, "other": 1}
    assert await found(world, queues=["other"]) == ["else"]
    assert await found(world, states=[MessageState.RUNNING]) == ["running"]
    waiting = [MessageState.PENDING, MessageState.INVISIBLE]
    assert await found(world, states=waiting, queues=[QUEUE]) == ["later", "ready"]


@contract
async def test_what_is_none_says_nothing_and_an_empty_list_fits_nothing(
    world: World,
) -> None:
    await world.make_queue()
    await post(world, "a")
    assert await found(world) == ["a"]
    for name in ("queues", "states", "ids"):
        assert await found(world, **{name: None}) == ["a"]
        empty: dict[str, Any] = {name: []}
        assert await found(world, **empty) == []
        selected = await world.store.select_messages(MessageFilter(**empty))
        assert (selected.total, selected.counts) == (0, {})


@contract
async def test_errors_are_those_of_the_last_attempt_that_failed(world: World) -> None:
    await world.make_queue(max_attempts=5)
    await post(world, "never")
    await world.store.complete(await world.claim())
    await kill(world, "slow", TimeoutError("the STRASSE is long"))
    for error in (ValueError("first"), KeyError("second")):
        if error.args == ("first",):
            await post(world, "twice")
        await world.store.fail(await world.claim(), error)
    assert await found(world, error="timeouterror") == ["slow"]
    assert await found(world, error="Stra\u00dfe") == ["slow"]
    assert await found(world, error="first") == []
    assert await found(world, error="SECOND") == ["twice"]
    # An attempt that has begun since, or was given back, has not failed.
    await world.store.release(await world.claim())
    await world.claim()
    assert await found(world, error="keyerror") == ["twice"]
    assert await found(world, error="keyerror", queues=[QUEUE], ids=["slow"]) == []


@contract
async def test_an_expired_lease_is_an_error_too(world: World) -> None:
    await world.make_queue()
    await world.running(message_id="lost")
    await world.advance(120)
    assert await world.reclaim() == 1
    assert await found(world, error="leaseexpired") == ["lost"]


@contract
async def test_tasks_are_those_of_an_apps_calls(world: World) -> None:
    await world.make_queue()
    payloads: list[Any] = [
        {"task": "send", "args": [], "kwargs": {}},
        {"kwargs": {}, "task": "send"},
        {"task": "sender"},
        {"task": ["send"]},
        {"args": {"task": "send"}},
        ["task", "send"],
        "send",
    ]
    for number, payload in enumerate(payloads):
        await world.store.post(QUEUE, payload, message_id=f"m{number}")
    text = '{"task": "send"}'
    await world.store.post(QUEUE, text, content_type="text/plain")
    await world.store.post(QUEUE, b"\xff", content_type="image/png")
    assert await found(world, task="send") == ["m0", "m1"]
    assert await found(world, task="sender") == ["m2"]
    assert await found(world, task="Send") == []


@contract
async def test_large_payloads_are_read_a_few_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(criteria, "PAYLOAD_BYTES", 100)
    await world.make_queue()
    for number in range(5):
        call = {"task": "send" if number % 2 else "other", "args": ["x" * 60 * number]}
        await world.store.post(QUEUE, call, message_id=f"m{number}")
    assert await found(world, task="send") == ["m1", "m3"]


@contract
async def test_metadata_must_be_the_same_json(world: World) -> None:
    await world.make_queue()
    values: list[Any] = [1, 1.5, True, "1", None, {"a": [1, 2], "b": 2}]
    for number, value in enumerate(values):
        metadata = {"key": value, "other": number}
        await post(world, f"m{number}", metadata=metadata)
    await post(world, "bare")
    for number, value in enumerate(values):
        assert await found(world, metadata={"key": value}) == [f"m{number}"]
    turned = {"b": 2, "a": [1, 2]}
    assert await found(world, metadata={"key": turned}) == ["m5"]
    assert await found(world, metadata={"key": 1, "other": 0}) == ["m0"]
    assert await found(world, metadata={"key": 1, "other": 1}) == []
    assert await found(world, metadata={"nothing": None}) == []
    assert len(await found(world, metadata={})) == 7


@contract
async def test_instants_are_those_of_the_post_from_since_up_to_until(
    world: World,
) -> None:
    await world.make_queue()
    for name in ("old", "middle", "new"):
        await post(world, name)
        await world.advance(10)
    _, middle, new = [m.created_at for m in await world.store.find_messages()]
    assert await found(world, since=middle) == ["middle", "new"]
    assert await found(world, since=middle, until=new) == ["middle"]
    assert await found(world, until=middle) == ["old"]
    tick = timedelta(microseconds=1)
    assert await found(world, since=middle + tick, until=new + tick) == ["new"]
    far = datetime(9999, 12, 31, tzinfo=UTC)
    assert await found(world, since=far) == []


@contract
async def test_ids_may_be_many_and_in_several_queues(world: World) -> None:
    await world.make_queue(retention=KEPT)
    await world.make_queue("other")
    await post(world, *(f"m{n}" for n in range(700)))
    await post(world, "m1", "m2", queue="other")
    await world.store.complete(await world.claim())
    wanted = [f"m{n}" for n in range(0, 700, 7)] + ["nobody"]
    selected = await world.store.select_messages(
        MessageFilter(ids=wanted * 2, queues=[QUEUE])
    )
    assert (selected.total, selected.missing) == (100, 1)
    both = MessageFilter(ids=["m1", "m0", "m2"])
    page = await world.store.find_messages(both, limit=4)
    assert [(m.queue, m.message_id) for m in page] == [
        *((QUEUE, f"m{n}") for n in range(3)),
        ("other", "m1"),
    ]
    rest = await world.store.find_messages(both, limit=4, after=page.next)
    assert [(m.queue, m.message_id) for m in rest] == [("other", "m2")]
    assert await world.store.count_messages(both) == {QUEUE: 3, "other": 2}


@contract
async def test_dead_letters_are_found_by_reason_and_by_either_name(
    world: World,
) -> None:
    await world.make_queue(max_attempts=1, dead_letter_queue="graves")
    await world.make_queue("other", dead_letter_queue="graves")
    await world.dead("d1")
    await world.dead("d2", "other")
    await world.store.fail(await world.running(message_id="d3"), "no")
    await post(world, "alive")
    await world.store.cancel(QUEUE, "alive", reason="discarded")
    assert await found(world, reason="discarded") == ["d1", "d2"]
    assert await found(world, reason="max_attempts") == ["d3"]
    assert await found(world, dead_letters_under="graves") == ["d1", "d2", "d3"]
    assert await found(world, dead_letters_under=QUEUE) == ["d1", "d3"]
    assert await found(world, dead_letters_under=QUEUE, queues=["other"]) == []
    assert await found(world, dead_letters_under="graves", queues=["other"]) == ["d2"]
    assert await found(world, dead_letters_under="graves", ids=["d1"]) == ["d1"]
    for name, expected in (("graves", {QUEUE: 2, "other": 1}), ("other", {"other": 1})):
        wanted = MessageFilter(dead_letters_under=name)
        assert await world.store.count_messages(wanted) == expected
    live = MessageFilter(dead_letters_under=QUEUE, states=[MessageState.PENDING])
    assert await world.store.count_messages(live) == {}


@contract
async def test_the_list_of_dead_letters_takes_filters(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "SCAN_ROWS", 3)
    await world.make_queue(dead_letter_queue="graves")
    for number in range(10):
        await kill(world, f"m{number}", ValueError("odd" if number % 2 else "even"))
        await world.advance(1)
    odd = MessageFilter(error="ODD")
    letters = await world.store.dead_letters("graves", wanted=odd)
    names = [letter.message.message_id for letter in letters]
    assert names == ["m9", "m7", "m5", "m3", "m1"]
    assert letters == [
        letter
        for letter in await world.store.dead_letters(QUEUE)
        if letter.message.message_id in names
    ]
    page = await world.store.dead_letters(QUEUE, wanted=odd, limit=2)
    page += await world.store.dead_letters(QUEUE, wanted=odd, limit=2, after=page[-1])
    assert page == letters[:4]
    since = MessageFilter(since=letters[1].message.created_at)
    assert len(await world.store.dead_letters(QUEUE, wanted=since)) == 3
    none = await world.store.dead_letters(QUEUE, reason="unknown", wanted=odd)
    assert none == []
    with pytest.raises(ValidationError) as raised:
        wrong = MessageFilter(dead_letters_under="graves")
        await world.store.dead_letters(QUEUE, wanted=wrong)
    assert fields(raised) == ["wanted.dead_letters_under"]
    with pytest.raises(ValidationError) as raised:
        wrong = MessageFilter(reason="discarded")
        await world.store.dead_letters(QUEUE, reason="max_attempts", wanted=wrong)
    assert fields(raised) == ["wanted.reason"]


@contract
async def test_pages_hold_what_was_asked_for_and_say_where_the_next_begins(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "SCAN_ROWS", 4)
    await world.make_queue()
    names = [f"m{number:02}" for number in range(25)]
    await post(world, *names, metadata={"a": 1})
    for wanted in (MessageFilter(), MessageFilter(metadata={"a": 1})):
        for limit in (1, 3, 4, 5, 25, 26):
            seen: list[str] = []
            place: str | None = None
            while True:
                page = await world.store.find_messages(wanted, limit=limit, after=place)
                assert len(page) == min(limit, 25 - len(seen))
                seen += ids(page)
                if page.next is None:
                    break
                place = page.next
            assert seen == names
    third = await world.store.get_message(QUEUE, "m02")
    for after in (third, (QUEUE, "m02")):
        page = await world.store.find_messages(limit=2, after=after)
        assert ids(page) == ["m03", "m04"]


@contract
async def test_each_message_comes_once_while_they_change_between_pages(
    world: World,
) -> None:
    await world.make_queue(retention=KEPT)
    names = [f"m{number}" for number in range(12)]
    await post(world, *names)
    seen: list[str] = []
    place: str | None = None
    while True:
        page = await world.store.find_messages(limit=3, after=place)
        seen += ids(page)
        if page.next is None:
            break
        place = page.next
        # Two of those seen and not seen finish, and one not seen is taken.
        for job in await world.store.claim(QUEUE, limit=2):
            await world.store.complete(job)
    assert seen == names
    assert len(await found(world, states=[MessageState.COMPLETED])) == 6


@contract
async def test_a_page_goes_on_after_what_has_gone(world: World) -> None:
    await world.make_queue()
    await post(world, "a", "b", "c")
    page = await world.store.find_messages(limit=1)
    await world.store.complete(await world.claim())
    rest = await world.store.find_messages(after=page.next)
    assert ids(rest) == ["b", "c"]
    with pytest.raises(MessageNotFoundError):
        await world.store.find_messages(after=(QUEUE, "a"))


@contract
async def test_what_cannot_be_looked_for_is_refused(world: World) -> None:
    await world.make_queue()
    for wanted in (
        MessageFilter(queues=["nowhere"]),
        MessageFilter(queues=[QUEUE, "nowhere"]),
        MessageFilter(dead_letters_under="nowhere"),
    ):
        with pytest.raises(QueueNotFoundError):
            await world.store.find_messages(wanted)
        with pytest.raises(QueueNotFoundError):
            await world.store.count_messages(wanted)
    wrong: dict[str, list[Any]] = {
        "limit": [0, 10_001, True, "1"],
        "after": ["m1", "-1", "", "9" * 20, 7, ("a", "b", "c"), ("no queue!", "m")],
        "wanted": [{"states": []}],
    }
    for name, values in wrong.items():
        for value in values:
            with pytest.raises(ValidationError) as raised:
                await world.store.find_messages(**{name: value})
            assert fields(raised) == [name]
