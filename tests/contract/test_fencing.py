"""Fencing: an attempt that is over can change nothing, whoever speaks for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest

from tests.helpers import QUEUE, World, contract, ids
from trioqueue import (
    Job,
    LeaseLostError,
    Message,
    MessageState,
    NewMessage,
    RetentionPolicy,
    Store,
    ValidationError,
)

VERBS: dict[str, Callable[[Store, Job], Awaitable[object]]] = {
    "complete": lambda store, job: store.complete(job, {"from": "a stale worker"}),
    "fail": lambda store, job: store.fail(job, "stale"),
    "fail for good": lambda store, job: store.fail(job, "stale", final=True),
    "release": lambda store, job: store.release(job),
    "heartbeat": lambda store, job: store.heartbeat(job),
}

every_verb = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS.keys())


async def _refused(
    world: World,
    verb: Callable[[Store, Job], Awaitable[object]],
    job: Job,
    reason: str = "superseded",
) -> None:
    """Check that the verb is refused and moves nothing."""
    before = await _all(world)
    with pytest.raises(LeaseLostError) as raised:
        await verb(world.store, job)
    assert raised.value.reason == reason
    assert (raised.value.queue, raised.value.message_id) == (QUEUE, job.message_id)
    assert await _all(world) == before


async def _all(world: World) -> list[Message]:
    found = await world.store.peek(QUEUE, states=MessageState, limit=100)
    return [await world.store.get_message(QUEUE, name) for name in ids(found)]


@every_verb
@contract
async def test_after_another_worker_has_claimed_it(
    world: World, verb: Callable[[Store, Job], Awaitable[object]]
) -> None:
    """A5, A9, A10, row 23: the message is somebody else's now."""
    await world.make_queue()
    stale = await world.running(message_id="m")
    await world.advance(30)
    await world.reclaim()
    current = await world.claim(worker_id="other")
    await _refused(world, verb, stale)
    await world.store.heartbeat(current)
    await world.store.complete(current)


@every_verb
@contract
async def test_after_the_same_worker_has_claimed_it_again(
    world: World, verb: Callable[[Store, Job], Awaitable[object]]
) -> None:
    """The worker's name is no proof; only the attempt is."""
    await world.make_queue()
    await world.store.post(QUEUE, 1)
    stale = await world.claim(worker_id="w")
    await world.advance(30)
    await world.reclaim()
    current = await world.claim(worker_id="w")
    assert current.attempt_id > stale.attempt_id
    await _refused(world, verb, stale)
    await world.store.complete(current)


@every_verb
@contract
async def test_while_the_message_waits_for_its_next_attempt(
    world: World, verb: Callable[[Store, Job], Awaitable[object]]
) -> None:
    """A5, row 23: ChronoQueue lets a stale worker destroy a pending message."""
    await world.make_queue()
    stale = await world.running()
    await world.advance(30)
    await world.reclaim()
    await _refused(world, verb, stale)
    assert await world.counts() == {"PENDING": 1}


@every_verb
@contract
async def test_after_the_lease_has_ended_though_nobody_reclaimed(
    world: World, verb: Callable[[Store, Job], Awaitable[object]]
) -> None:
    await world.make_queue()
    late = await world.running()
    await world.advance(30)
    await _refused(world, verb, late, "lease_expired")
    assert await world.counts() == {"RUNNING": 1}


@every_verb
@contract
async def test_after_the_message_has_died(
    world: World, verb: Callable[[Store, Job], Awaitable[object]]
) -> None:
    await world.make_queue()
    stale = await world.running(max_attempts=1)
    await world.advance(30)
    await world.reclaim()
    await _refused(world, verb, stale)
    assert await world.counts() == {"ERRORED": 1}


@every_verb
@contract
async def test_after_it_has_been_requeued_and_claimed(
    world: World, verb: Callable[[Store, Job], Awaitable[object]]
) -> None:
    await world.make_queue()
    stale = await world.running(message_id="m", max_attempts=1)
    await world.advance(30)
    await world.reclaim()
    await world.store.requeue(QUEUE, "m")
    current = await world.claim()
    assert current.attempt == stale.attempt == 1
    await _refused(world, verb, stale)
    await world.store.complete(current)


@every_verb
@contract
async def test_after_its_id_was_posted_anew(
    world: World, verb: Callable[[Store, Job], Awaitable[object]]
) -> None:
    await world.make_queue()
    stale = await world.running(message_id="m", max_attempts=1)
    await world.advance(30)
    await world.reclaim()
    await world.store.purge_dead_letters(QUEUE)
    await world.store.post(QUEUE, "new", message_id="m")
    current = await world.claim()
    await _refused(world, verb, stale)
    await world.store.complete(current)


@every_verb
@contract
async def test_with_a_guessed_token_or_attempt_id(
    world: World, verb: Callable[[Store, Job], Awaitable[object]]
) -> None:
    """A5: numbers that can be counted up are no secret; the token is."""
    await world.make_queue()
    job = await world.running()
    forgeries: list[dict[str, Any]] = [
        {"token": job.token ^ 1},
        {"token": 0},
        {"attempt_id": job.attempt_id + 1},
        {"attempt_id": job.attempt_id - 1},
        {"row_id": job.row_id + 1},
    ]
    for forgery in forgeries:
        await _refused(world, verb, attrs.evolve(job, **forgery))
    await world.store.complete(job)


@every_verb
@contract
async def test_with_the_attempt_of_another_message(
    world: World, verb: Callable[[Store, Job], Awaitable[object]]
) -> None:
    await world.make_queue()
    mine = await world.running()
    other = await world.running()
    forged = attrs.evolve(mine, row_id=other.row_id)
    await _refused(world, verb, forged)
    assert await world.counts() == {"RUNNING": 2}


@every_verb
@contract
async def test_what_is_no_job_is_refused(
    world: World, verb: Callable[[Store, Any], Awaitable[object]]
) -> None:
    await world.make_queue()
    job = await world.running()
    for thing in (None, job.message, job.attempt_id):
        with pytest.raises(ValidationError):
            await verb(world.store, thing)
    assert await world.counts() == {"RUNNING": 1}


ENDS = {name: verb for name, verb in VERBS.items() if name != "heartbeat"}


@pytest.mark.parametrize("first", ENDS.values(), ids=ENDS.keys())
@contract
async def test_an_attempt_ends_in_one_way_only(
    world: World, first: Callable[[Store, Job], Awaitable[object]]
) -> None:
    """The same word again gets the same answer; another word is refused."""
    await world.make_queue(retention=RetentionPolicy.keep_forever())
    job = await world.running(message_id="m")
    answer = await first(world.store, job)
    before = await _all(world)
    assert await first(world.store, job) == answer
    assert await _all(world) == before
    # Two ways to fail are one verb, so each is only tried against the others.
    families = {name: name.split(" ")[0] for name in ENDS}
    own = next(families[name] for name, verb in ENDS.items() if verb is first)
    for name, verb in VERBS.items():
        if families.get(name) != own:
            reason = "superseded" if name == "heartbeat" else "finished"
            await _refused(world, verb, job, reason)


@contract
async def test_complete_with_another_result_is_another_word(world: World) -> None:
    await world.make_queue(retention=RetentionPolicy.keep_forever())
    job = await world.running(message_id="m")
    await world.store.complete(job, {"answer": 1})
    await world.store.complete(job, {"answer": 1})
    await _refused(world, lambda store, j: store.complete(j, 2), job, "finished")
    assert (await world.store.get_message(QUEUE, "m")).result == {"answer": 1}


@contract
async def test_the_same_word_again_does_not_touch_the_next_attempt(
    world: World,
) -> None:
    await world.make_queue()
    first = await world.running(message_id="m")
    await world.store.fail(first, "no")
    second = await world.claim()
    assert await world.store.fail(first, "no") is MessageState.PENDING
    assert await world.state("m") is MessageState.RUNNING
    assert (await world.store.get_message(QUEUE, "m")).attempt == 2
    await world.store.complete(second)


@contract
async def test_concurrent_ends_of_one_attempt_agree(world: World) -> None:
    """Row 12: of many workers that end one attempt, one does and the rest hear it."""
    await world.make_queue(retention=RetentionPolicy.keep_forever())
    job = await world.running(message_id="m")
    answers = await world.store.complete_many([job] * 5)
    assert answers == [MessageState.COMPLETED] * 5
    (answer,) = await world.store.fail_many([job], "late")
    assert isinstance(answer, LeaseLostError)
    message = await world.store.get_message(QUEUE, "m")
    assert len(message.attempts) == 1


@contract
async def test_batches_report_the_stale_ones_and_end_the_others(world: World) -> None:
    await world.make_queue(retention=RetentionPolicy.keep_forever())
    await world.store.post_many(QUEUE, [NewMessage(n) for n in range(9)])
    jobs = await world.store.claim(QUEUE, limit=9)
    for stale in (jobs[1], jobs[4], jobs[7]):
        await world.store.release(stale)
    answers = [
        *await world.store.complete_many(jobs[:3], [1, 2, 3]),
        *await world.store.fail_many(jobs[3:6], "no", final=True),
        *await world.store.release_many(jobs[6:]),
    ]
    lost = [n for n, a in enumerate(answers) if isinstance(a, LeaseLostError)]
    # Jobs 7 and 4 said other words before; job 7 repeats itself.
    assert lost == [1, 4]
    assert [a for a in answers if isinstance(a, MessageState)] == [
        *[MessageState.COMPLETED] * 2,
        *[MessageState.ERRORED] * 2,
        *[MessageState.PENDING] * 3,
    ]
    done = await world.store.get_message(QUEUE, jobs[2].message_id)
    assert done.result == 3
    assert await world.counts() == {"COMPLETED": 2, "ERRORED": 2, "PENDING": 5}


@contract
async def test_empty_batches_do_nothing(world: World) -> None:
    assert await world.store.complete_many([]) == []
    assert await world.store.fail_many([], "no") == []
    assert await world.store.release_many([]) == []


@contract
async def test_results_must_match_the_jobs(world: World) -> None:
    await world.make_queue()
    job = await world.running()
    with pytest.raises(ValidationError):
        await world.store.complete_many([job], [1, 2])
    assert await world.counts() == {"RUNNING": 1}
