"""Cancellation at every checkpoint: a call that raises Cancelled has done nothing."""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.helpers import assert_sound
from tests.stepping import cancel_at
from trioqueue import (
    Job,
    MessageNotFoundError,
    MessageState,
    NewMessage,
    QueueOptions,
    RetentionPolicy,
    RetryPolicy,
    Store,
    open_store,
)

QUEUE: Final = "jobs"
MANY: Final = "many"
TURNS: Final = 40
"""How often something is canceled at a moment of real time."""
OPTIONS: Final = QueueOptions(
    retention=RetentionPolicy.keep_forever(), retry=RetryPolicy.fixed(0)
)
INVISIBLE, PENDING, RUNNING, COMPLETED, CANCELED, ERRORED = MessageState

Call: TypeAlias = Callable[[Store, "Scene"], Awaitable[Any]]


class Scene:
    """What is there before the call: a running job, a waiting message."""

    job: Job

    async def prepare(self, store: Store, suffix: str) -> None:
        self.held = f"held{suffix}"
        self.waiting = f"waiting{suffix}"
        self.fresh = f"fresh{suffix}"
        await store.post(QUEUE, 1, message_id=self.held, priority=4)
        (self.job,) = await store.claim(QUEUE)
        assert self.job.message_id == self.held
        await store.post(QUEUE, 2, message_id=self.waiting, priority=4)


async def post(store: Store, scene: Scene) -> None:
    await store.post(QUEUE, 3, message_id=scene.fresh, priority=0)


async def post_many(store: Store, scene: Scene) -> None:
    batch = [NewMessage(n, message_id=f"{scene.fresh}.{n}") for n in range(3)]
    await store.post_many(MANY, batch)


async def claim(store: Store, scene: Scene) -> list[Job]:
    return await store.claim(QUEUE)


async def claim_wait(store: Store, scene: Scene) -> list[Job]:
    return await store.claim_wait(QUEUE)


async def complete(store: Store, scene: Scene) -> None:
    await store.complete(scene.job, {"answer": 42})


async def fail(store: Store, scene: Scene) -> None:
    await store.fail(scene.job, "no", final=True)


async def release(store: Store, scene: Scene) -> None:
    await store.release(scene.job)


async def heartbeat(store: Store, scene: Scene) -> None:
    await store.heartbeat(scene.job)


async def cancel(store: Store, scene: Scene) -> None:
    await store.cancel(QUEUE, scene.waiting)


CALLS: Final[dict[Call, tuple[MessageState | None, MessageState | None]]] = {
    # What the held and the waiting message are once the call has succeeded.
    post: (RUNNING, PENDING),
    post_many: (RUNNING, PENDING),
    claim: (RUNNING, RUNNING),
    claim_wait: (RUNNING, RUNNING),
    complete: (COMPLETED, PENDING),
    fail: (ERRORED, PENDING),
    release: (PENDING, PENDING),
    heartbeat: (RUNNING, PENDING),
    cancel: (RUNNING, CANCELED),
}


async def state(store: Store, message_id: str, queue: str = QUEUE) -> Any:
    try:
        return (await store.get_message(queue, message_id)).state
    except MessageNotFoundError:
        return None


async def check(store: Store, call: Call, scene: Scene, *, returned: bool) -> None:
    """The call has happened or it has not: nothing in between."""
    held, waiting = CALLS[call] if returned else (RUNNING, PENDING)
    assert await state(store, scene.held) is held
    assert await state(store, scene.waiting) is waiting
    if call is post:
        assert await state(store, scene.fresh) is (PENDING if returned else None)
    if call is post_many:
        stored = [await state(store, f"{scene.fresh}.{n}", MANY) for n in range(3)]
        assert stored == [PENDING if returned else None] * 3


async def clear_up(store: Store, call: Call, scene: Scene) -> None:
    """Nothing is left in nobody's hands, and the store still works."""
    if await state(store, scene.held) is RUNNING:
        await store.complete(scene.job)
    for queue in (QUEUE, MANY):
        for message in await store.peek(queue, states=[PENDING, INVISIBLE], limit=99):
            await store.cancel(queue, message.message_id)
        running = (await store.queue_state(queue)).counts[RUNNING]
        taken = await state(store, scene.waiting) is RUNNING
        assert running == (1 if taken and queue == QUEUE else 0)
    assert await store.claim(QUEUE) == []


async def make_queues(store: Store) -> None:
    for name in (QUEUE, MANY):
        await store.create_queue(name, OPTIONS)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_a_call_canceled_at_any_checkpoint_has_done_nothing(
    afresh: Callable[[], str], call: Call
) -> None:
    steps: list[tuple[bool, bool]] = []

    async def once(step: int, url: str) -> None:
        async with open_store(url) as store:
            await make_queues(store)
            scene = Scene()
            await scene.prepare(store, "")
            returned, canceled = await cancel_at(step, partial(call, store, scene))
            assert returned or canceled
            await check(store, call, scene, returned=returned)
            await clear_up(store, call, scene)
            steps.append((returned, canceled))

    for step in range(100):
        trio.run(once, step, afresh(), clock=MockClock(autojump_threshold=0))
        if steps[-1] == (True, False):
            break
    assert steps[0] == (False, True)  # canceled before it began: a checkpoint
    assert steps[-1] == (True, False)  # every step has been tried
    assert len(steps) > 2


def test_a_waiting_claim_canceled_at_any_checkpoint_has_claimed_nothing(
    afresh: Callable[[], str],
) -> None:
    returned = []

    async def once(step: int, url: str) -> None:
        async with open_store(url) as store:
            await make_queues(store)

            async def post_later() -> None:
                await wait_all_tasks_blocked()
                await store.post(QUEUE, 1, message_id="m")

            async with trio.open_nursery() as nursery:
                nursery.start_soon(post_later)
                returned.append(await cancel_at(step, partial(store.claim_wait, QUEUE)))
            expected = RUNNING if returned[-1][0] else PENDING
            assert await state(store, "m") is expected

    for step in range(100):
        trio.run(once, step, afresh(), clock=MockClock(autojump_threshold=0))
        if returned[-1] == (True, False):
            break
    assert returned[-1] == (True, False)
    assert len(returned) > 3


class Ended:
    """How far the body of a lease got."""

    entered = left = False


def test_a_lease_canceled_at_any_checkpoint_leaves_no_message_behind(
    afresh: Callable[[], str],
) -> None:
    """Not yet taken, given back unharmed, or completed: never left running."""
    seen: list[tuple[bool, MessageState]] = []

    async def once(step: int, url: str) -> bool:
        async with open_store(url) as store:
            await make_queues(store)
            await store.post(QUEUE, 1, message_id="m")
            ended = Ended()

            async def body() -> None:
                async with store.lease(QUEUE):
                    ended.entered = True
                    for _ in range(3):
                        await trio.lowlevel.checkpoint()
                    ended.left = True

            returned, canceled = await cancel_at(step, body)
            message = await store.get_message(QUEUE, "m")
            seen.append((ended.left, message.state))
            if ended.left:
                assert message.state is COMPLETED
                assert message.attempt == 1
            else:
                assert message.state is PENDING
                assert message.attempt == 0
                assert message.attempts == ()
                (job,) = await store.claim(QUEUE)
                await store.complete(job)
            assert (await store.queue_state(QUEUE)).counts[RUNNING] == 0
            return returned and not canceled

    for step in range(100):
        if trio.run(once, step, afresh(), clock=MockClock(autojump_threshold=0)):
            break
    else:
        pytest.fail("the lease never came to its end")
    assert {(True, COMPLETED), (False, PENDING)} == set(seen)


def test_an_error_in_a_leased_block_survives_cancellation_at_any_checkpoint(
    afresh: Callable[[], str],
) -> None:
    async def once(step: int, url: str) -> bool:
        async with open_store(url) as store:
            await store.create_queue(
                QUEUE, QueueOptions(retry=RetryPolicy.fixed(0), max_attempts=5)
            )
            await store.post(QUEUE, 1, message_id="m")
            raised = False

            async def body() -> None:
                nonlocal raised
                async with store.lease(QUEUE):
                    await trio.lowlevel.checkpoint()
                    raised = True
                    message = "the handler's own"
                    raise ValueError(message)

            canceled = False
            try:
                _, canceled = await cancel_at(step, body)
            except ValueError:
                assert raised
            else:
                assert not raised, "the error was lost"
            message = await store.get_message(QUEUE, "m")
            assert message.state is PENDING
            outcomes = [record.error_type for record in message.attempts]
            assert outcomes == ["ValueError"] * raised
            return raised and not canceled and step > 20

    for step in range(30):
        if trio.run(once, step, afresh(), clock=MockClock(autojump_threshold=0)):
            break


def small_delay(turn: int, source: random.Random, url: str) -> float:
    """Draw a span about as long as a call takes; now and then none, or no limit."""
    usual = 0.0004 if url.startswith("sqlite:") else 0.0015
    return {0: math.inf, 1: 0.0}.get(turn % 10, source.expovariate(1 / usual))


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_calls_canceled_at_any_moment_of_real_time_happen_wholly_or_not_at_all(
    shared: str, call: Call
) -> None:
    source = random.Random(call.__name__)
    tally = {True: 0, False: 0}

    async def main() -> None:
        async with open_store(shared, durability="relaxed") as store:
            await make_queues(store)
            for turn in range(TURNS):
                scene = Scene()
                await scene.prepare(store, f"-{turn}")
                returned = False
                with trio.move_on_after(small_delay(turn, source, shared)):
                    jobs = await call(store, scene)
                    returned = True
                tally[returned] += 1
                await check(store, call, scene, returned=returned)
                if returned and call in (claim, claim_wait):
                    await store.complete(jobs[0])
                await clear_up(store, call, scene)

    trio.run(main)
    assert all(tally.values()), tally  # some were canceled, some were not
    assert_sound(shared)


def test_leases_canceled_at_any_moment_of_real_time_leave_no_message_behind(
    shared: str,
) -> None:
    source = random.Random(1)
    seen = set()

    async def main() -> None:
        async with open_store(shared, durability="relaxed") as store:
            await make_queues(store)
            for turn in range(TURNS):
                name = f"m{turn}"
                await store.post(QUEUE, 1, message_id=name)
                left = False
                with trio.move_on_after(3 * small_delay(turn, source, shared)):
                    async with store.lease(QUEUE):
                        await trio.sleep(source.uniform(0, 0.001))
                        left = True
                message = await store.get_message(QUEUE, name)
                assert message.state is (COMPLETED if left else PENDING)
                assert message.attempt == left
                seen.add(left)
                if not left:
                    await store.cancel(QUEUE, name)
            assert (await store.queue_state(QUEUE)).counts[RUNNING] == 0

    trio.run(main)
    assert seen == {True, False}


def test_opening_a_store_canceled_at_any_checkpoint_leaves_it_usable(
    shared: str,
) -> None:
    async def once(step: int) -> tuple[bool, bool]:
        async def body() -> None:
            async with open_store(shared) as store:
                await store.create_queue(QUEUE)
                await store.post(QUEUE, 1)

        return await cancel_at(step, body)

    for step in range(100):
        if trio.run(once, step) == (True, False):
            break
    else:
        pytest.fail("the block never came to its end")
    assert step > 5
