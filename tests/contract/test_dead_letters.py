"""Dead letters: what is known of them, and how they are listed and removed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers import QUEUE, World, contract, fields
from trioqueue import (
    ConflictError,
    DeadLetter,
    DeadLetterStats,
    MessageNotFoundError,
    MessageState,
    QueueNotFoundError,
    QueueOptions,
    ValidationError,
)


def names(letters: list[DeadLetter]) -> list[str]:
    return [letter.message.message_id for letter in letters]


@contract
async def test_a_dead_letter_tells_the_whole_story(world: World) -> None:
    """C7, rows 29 and 30: source, reason, every attempt, and when."""
    await world.make_queue(max_attempts=3)
    await world.store.post(
        QUEUE, {"to": "é"}, message_id="m", metadata={"t": 1}, priority=4
    )
    for worker in ("w1", "w2", "w3"):
        job = await world.claim(worker_id=worker)
        await world.store.fail(job, ValueError(f"said {worker}"))
        await world.advance(1)
    (letter,) = await world.store.dead_letters(QUEUE)
    assert letter.queue == QUEUE
    assert letter.dead_letter_queue == "jobs-dlq"
    assert letter.reason == "max_attempts"
    assert letter.died_at == letter.message.finished_at
    assert letter.died_at < world.store.now()
    assert [a.worker_id for a in letter.attempts] == ["w1", "w2", "w3"]
    said = [a.error_message for a in letter.attempts]
    assert said == ["said w1", "said w2", "said w3"]
    message = letter.message
    assert message.payload == {"to": "é"}
    assert message.metadata == {"t": 1}
    assert message.priority == 4
    assert message.state is MessageState.ERRORED
    assert (message.attempt, message.attempts_left) == (3, 0)
    assert message.attempts == letter.attempts
    assert await world.store.get_message(QUEUE, "m") == message


@contract
async def test_they_are_found_by_either_name(world: World) -> None:
    """C4: one name, everywhere."""
    await world.make_queue()
    await world.dead("m")
    by_queue = await world.store.dead_letters(QUEUE)
    assert names(by_queue) == ["m"]
    assert await world.store.dead_letters("jobs-dlq") == by_queue
    stats = await world.store.dead_letter_stats(QUEUE)
    assert await world.store.dead_letter_stats("jobs-dlq") == stats


@contract
async def test_they_are_listed_newest_first_in_pages(world: World) -> None:
    """C6: in ChronoQueue the order is wrong and the pages never end."""
    await world.make_queue()
    for number in range(7):
        await world.dead(f"m{number}")
        if number % 2:
            await world.advance(1)
    newest_first = [f"m{number}" for number in reversed(range(7))]
    assert names(await world.store.dead_letters(QUEUE)) == newest_first
    for by_id in (False, True):
        seen: list[str] = []
        after: DeadLetter | str | None = None
        while page := await world.store.dead_letters(QUEUE, limit=3, after=after):
            assert len(page) <= 3
            seen += names(page)
            after = seen[-1] if by_id else page[-1]
        assert seen == newest_first


@contract
async def test_a_page_cannot_go_on_after_what_is_gone(world: World) -> None:
    await world.make_queue()
    await world.dead("m")
    with pytest.raises(MessageNotFoundError):
        await world.store.dead_letters(QUEUE, after="gone")


@contract
async def test_they_can_be_asked_for_by_reason(world: World) -> None:
    await world.make_queue(max_attempts=1)
    await world.store.fail(await world.running(message_id="failed"), "no")
    await world.dead("discarded")
    await world.running(message_id="late")
    await world.advance(30)
    await world.reclaim()
    for reason, name in (
        ("max_attempts", "failed"),
        ("discarded", "discarded"),
        ("lease_expired", "late"),
    ):
        assert names(await world.store.dead_letters(QUEUE, reason=reason)) == [name]
    assert await world.store.dead_letters(QUEUE, reason="undecodable") == []


@contract
async def test_the_figures_are_exact(world: World) -> None:
    """C5, row 30."""
    await world.make_queue(max_attempts=1)
    empty = DeadLetterStats(count=0, oldest_at=None, newest_at=None, by_reason={})
    assert await world.store.dead_letter_stats(QUEUE) == empty
    for number in range(3):
        await world.dead(f"m{number}")
        await world.advance(10)
    await world.store.fail(await world.running(), "no")
    letters = await world.store.dead_letters(QUEUE)
    stats = await world.store.dead_letter_stats(QUEUE)
    assert stats.count == 4
    assert stats.by_reason == {"discarded": 3, "max_attempts": 1}
    assert stats.oldest_at == letters[-1].died_at
    assert stats.newest_at == letters[0].died_at
    assert (await world.store.queue_state(QUEUE)).dead_letters == 4


@contract
async def test_the_name_may_be_chosen_and_shared(world: World) -> None:
    await world.make_queue("a", dead_letter_queue="graveyard")
    await world.make_queue("b", dead_letter_queue="graveyard")
    await world.make_queue("c")
    for queue in ("a", "b", "c"):
        await world.dead("same", queue)
        await world.advance(1)
    shared = await world.store.dead_letters("graveyard")
    assert [letter.queue for letter in shared] == ["b", "a"]
    assert {letter.dead_letter_queue for letter in shared} == {"graveyard"}
    assert [x.queue for x in await world.store.dead_letters("a")] == ["a"]
    assert (await world.store.dead_letter_stats("graveyard")).count == 2
    with pytest.raises(QueueNotFoundError):
        await world.store.dead_letters("a-dlq")
    assert await world.store.purge_dead_letters("a") == 1
    assert [x.queue for x in await world.store.dead_letters("graveyard")] == ["b"]


@contract
async def test_pages_of_a_shared_name_are_right_though_ids_repeat(
    world: World,
) -> None:
    for queue in ("a", "b", "c"):
        await world.make_queue(queue, dead_letter_queue="graveyard")
    for name in ("x", "y", "z"):
        for queue in ("a", "b", "c"):
            await world.dead(name, queue)
            await world.advance(1)
    seen: list[tuple[str, str]] = []
    after: DeadLetter | None = None
    while page := await world.store.dead_letters("graveyard", limit=2, after=after):
        seen += [(letter.queue, letter.message.message_id) for letter in page]
        after = page[-1]
        assert len(seen) <= 9
    assert seen == [(queue, name) for name in "zyx" for queue in "cba"]


@contract
async def test_letters_keep_the_name_they_were_filed_under(world: World) -> None:
    await world.make_queue()
    await world.dead("old")
    await world.store.update_queue(QUEUE, QueueOptions(dead_letter_queue="new-dlq"))
    await world.dead("new")
    assert names(await world.store.dead_letters("jobs-dlq")) == ["old"]
    assert names(await world.store.dead_letters("new-dlq")) == ["new"]
    assert names(await world.store.dead_letters(QUEUE)) == ["new", "old"]


@contract
async def test_one_is_deleted_by_either_name(world: World) -> None:
    await world.make_queue()
    for name in ("a", "b", "c"):
        await world.dead(name)
    await world.store.delete_dead_letter(QUEUE, "a")
    await world.store.delete_dead_letter("jobs-dlq", "b")
    assert names(await world.store.dead_letters(QUEUE)) == ["c"]
    for name in ("a", "never"):
        for queue in (QUEUE, "jobs-dlq"):
            with pytest.raises(MessageNotFoundError):
                await world.store.delete_dead_letter(queue, name)


@contract
async def test_an_id_that_means_two_letters_must_be_made_clear(world: World) -> None:
    for queue in ("a", "b"):
        await world.make_queue(queue, dead_letter_queue="graveyard")
        await world.dead("same", queue)
    with pytest.raises(ConflictError):
        await world.store.delete_dead_letter("graveyard", "same")
    with pytest.raises(ConflictError):
        await world.store.requeue("graveyard", "same")
    await world.store.delete_dead_letter("a", "same")
    assert (await world.store.requeue("graveyard", "same")).queue == "b"


@contract
async def test_purge_deletes_all_and_says_how_many(world: World) -> None:
    """C4, C8, row 30: in batches, and the count is right."""
    await world.make_queue()
    await world.make_queue("other")
    await world.dead("m", "other")
    for number in range(5):
        await world.dead(f"m{number}")
    await world.store.post(QUEUE, 1)
    assert await world.store.purge_dead_letters("jobs-dlq") == 5
    assert await world.store.purge_dead_letters("jobs-dlq") == 0
    assert await world.store.dead_letters(QUEUE) == []
    assert await world.counts() == {"PENDING": 1}
    assert await world.counts("other") == {"ERRORED": 1}


@pytest.mark.parametrize(
    ("argument", "value"),
    [("limit", 0), ("limit", True), ("after", 5), ("reason", 5)],
)
@contract
async def test_a_bad_argument_is_named(world: World, argument: str, value: Any) -> None:
    await world.make_queue()
    with pytest.raises(ValidationError) as raised:
        await world.store.dead_letters(QUEUE, **{argument: value})
    assert fields(raised) == [argument]
