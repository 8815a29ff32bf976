"""Every async method is a checkpoint whenever it succeeds, in either kind of time."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import pytest
import trio
from trio.testing import MockClock, assert_checkpoints

from trioqueue import (
    BulkMode,
    Calendar,
    Job,
    MessageFilter,
    MessageSelection,
    NewMessage,
    QueueOptions,
    RetentionPolicy,
    RetryPolicy,
    Schedule,
    Store,
    open_store,
)
from trioqueue.schedules import (
    BusinessCalendar,
    Daily,
)
from trioqueue.store.operations.workers import Registration
from trioqueue.store.wakeups import ReadySignal

QUEUE: Final = "jobs"
OPTIONS: Final = QueueOptions(
    retention=RetentionPolicy.keep(60), retry=RetryPolicy.fixed(0)
)
DAILY: Final = Schedule("s", QUEUE, Calendar([Daily()]))
OFFICE: Final = BusinessCalendar("o")

Call: TypeAlias = Callable[[Store], Awaitable[Any]]


async def job_of(store: Store) -> Job:
    await store.post(QUEUE, "work", priority=4)
    (job,) = await store.claim(QUEUE)
    return job


async def dead(store: Store) -> str:
    job = await job_of(store)
    await store.fail(job, "no good", final=True)
    return job.message_id


async def ready_signal(store: Store) -> ReadySignal:
    signal = ReadySignal([QUEUE])
    signal.set()
    return signal


async def nothing(store: Store) -> None:
    await trio.lowlevel.checkpoint()


async def finished(store: Store) -> str:
    job = await job_of(store)
    await store.complete(job)
    return job.message_id


async def scheduled(store: Store) -> None:
    await store.create_schedule(DAILY)


async def office(store: Store) -> None:
    await store.put_business_calendar(OFFICE)


async def registered(store: Store) -> int:
    about = Registration("w", "host", 1, "1", (QUEUE,), 1, None)
    return await store.register_worker(about)


# For each method: what is made ready first, and calls that must be checkpoints.
METHODS: Final[dict[str, tuple[Callable[[Store], Awaitable[Any]], list[Any]]]] = {
    "create_queue": (
        nothing,
        [
            lambda s, _: s.create_queue("new"),
            lambda s, _: s.create_queue(QUEUE, OPTIONS),
        ],
    ),
    "update_queue": (nothing, [lambda s, _: s.update_queue(QUEUE, OPTIONS)]),
    "get_queue": (nothing, [lambda s, _: s.get_queue(QUEUE)]),
    "list_queues": (nothing, [lambda s, _: s.list_queues()]),
    "delete_queue": (nothing, [lambda s, _: s.delete_queue(QUEUE)]),
    "pause_queue": (nothing, [lambda s, _: s.pause_queue(QUEUE)] * 2),
    "resume_queue": (nothing, [lambda s, _: s.resume_queue(QUEUE)]),
    "queue_state": (nothing, [lambda s, _: s.queue_state(QUEUE)]),
    "post": (nothing, [lambda s, _: s.post(QUEUE, 1, message_id="m")] * 2),
    "post_many": (
        nothing,
        [
            lambda s, _: s.post_many(QUEUE, []),
            lambda s, _: s.post_many(QUEUE, [NewMessage(1)]),
            lambda s, _: s.post_many(
                QUEUE, [NewMessage({1})], mode=BulkMode.BEST_EFFORT
            ),
        ],
    ),
    "get_message": (job_of, [lambda s, job: s.get_message(QUEUE, job.message_id)]),
    "wait_finished": (finished, [lambda s, name: s.wait_finished(QUEUE, name)]),
    "peek": (nothing, [lambda s, _: s.peek(QUEUE), lambda s, _: s.peek(QUEUE)]),
    "cancel": (
        job_of,
        [lambda s, job: s.cancel(QUEUE, job.message_id, abort=True)] * 2,
    ),
    "claim": (nothing, [lambda s, _: s.claim(QUEUE)]),
    "claim_wait": (
        lambda s: s.post(QUEUE, 1),
        [lambda s, _: s.claim_wait(QUEUE)],
    ),
    "wait_ready": (ready_signal, [lambda s, signal: s.wait_ready(signal)]),
    "complete": (job_of, [lambda s, job: s.complete(job)] * 2),
    "fail": (job_of, [lambda s, job: s.fail(job, "no")] * 2),
    "release": (job_of, [lambda s, job: s.release(job)] * 2),
    "heartbeat": (job_of, [lambda s, job: s.heartbeat(job)]),
    "complete_many": (
        job_of,
        [lambda s, _: s.complete_many([]), lambda s, job: s.complete_many([job])],
    ),
    "fail_many": (
        job_of,
        [lambda s, _: s.fail_many([], "no"), lambda s, job: s.fail_many([job], "no")],
    ),
    "release_many": (
        job_of,
        [lambda s, _: s.release_many([]), lambda s, job: s.release_many([job])],
    ),
    "heartbeat_many": (
        job_of,
        [lambda s, _: s.heartbeat_many([]), lambda s, job: s.heartbeat_many([job])],
    ),
    "dead_letters": (dead, [lambda s, _: s.dead_letters(QUEUE)]),
    "requeue": (dead, [lambda s, name: s.requeue(QUEUE, name)]),
    "requeue_all": (dead, [lambda s, _: s.requeue_all(QUEUE)] * 2),
    "delete_dead_letter": (dead, [lambda s, name: s.delete_dead_letter(QUEUE, name)]),
    "purge_dead_letters": (dead, [lambda s, _: s.purge_dead_letters(QUEUE)] * 2),
    "dead_letter_stats": (dead, [lambda s, _: s.dead_letter_stats(QUEUE)]),
    "find_messages": (
        dead,
        [
            lambda s, _: s.find_messages(),
            lambda s, name: s.find_messages(after=(QUEUE, name)),
        ],
    ),
    "count_messages": (nothing, [lambda s, _: s.count_messages()]),
    "select_messages": (
        dead,
        [
            lambda s, _: s.select_messages(),
            lambda s, _: s.select_messages(MessageFilter(ids=[])),
            lambda s, _: s.select_messages(MessageFilter(dead_letters_under=QUEUE)),
        ],
    ),
    "cancel_matching": (
        lambda s: s.post(QUEUE, 1),
        [lambda s, _: s.cancel_matching(MessageFilter())] * 2,
    ),
    "requeue_matching": (
        dead,
        [
            lambda s, _: s.requeue_matching(MessageFilter()),
            lambda s, _: s.requeue_matching(
                MessageSelection(MessageFilter(ids=[]), {})
            ),
        ],
    ),
    "delete_matching": (
        dead,
        [lambda s, _: s.delete_matching(MessageFilter())] * 2,
    ),
    "promote_due_messages": (nothing, [lambda s, _: s.promote_due_messages()]),
    "next_due": (nothing, [lambda s, _: s.next_due()]),
    "find_expired_messages": (job_of, [lambda s, _: s.find_expired_messages()]),
    "reclaim_expired_message": (
        nothing,
        [],  # needs an expired attempt: see below
    ),
    "reclaim_expired_messages": (
        nothing,
        [lambda s, _: s.reclaim_expired_messages([])],
    ),
    "next_expiry": (job_of, [lambda s, _: s.next_expiry()]),
    "end_stopped_clients": (job_of, [lambda s, _: s.end_stopped_clients([], [])]),
    "clean_up_batch": (finished, [lambda s, _: s.clean_up_batch()]),
    "prune_receipts_batch": (finished, [lambda s, _: s.prune_receipts_batch()]),
    "measure": (job_of, [lambda s, _: s.measure()]),
    "next_release": (finished, [lambda s, _: s.next_release()]),
    "register_worker": (nothing, [lambda s, _: registered(s)]),
    "beat_worker": (
        registered,
        [
            lambda s, number: s.beat_worker(number, running=1),
            lambda s, number: s.beat_worker(number + 1, running=1),
        ],
    ),
    "deregister_worker": (registered, [lambda s, n: s.deregister_worker(n)] * 2),
    "list_workers": (registered, [lambda s, _: s.list_workers()]),
    "explain": (job_of, [lambda s, job: s.explain(QUEUE, job.message_id)]),
    "overview": (scheduled, [lambda s, _: s.overview()]),
    "quiet_worker": (registered, [lambda s, _: s.quiet_worker("w")] * 2),
    "create_schedule": (nothing, [lambda s, _: s.create_schedule(DAILY)] * 2),
    "update_schedule": (scheduled, [lambda s, _: s.update_schedule(DAILY)]),
    "get_schedule": (scheduled, [lambda s, _: s.get_schedule("s")]),
    "list_schedules": (nothing, [lambda s, _: s.list_schedules()]),
    "delete_schedule": (scheduled, [lambda s, _: s.delete_schedule("s")]),
    "pause_schedule": (scheduled, [lambda s, _: s.pause_schedule("s")] * 2),
    "resume_schedule": (scheduled, [lambda s, _: s.resume_schedule("s")]),
    "trigger_schedule": (scheduled, [lambda s, _: s.trigger_schedule("s")]),
    "schedule_history": (scheduled, [lambda s, _: s.schedule_history("s")]),
    "preview_schedule": (scheduled, [lambda s, _: s.preview_schedule("s")]),
    "next_schedule_run": (nothing, [lambda s, _: s.next_schedule_run("cron")]),
    "fire_due_schedules": (nothing, [lambda s, _: s.fire_due_schedules("cron")]),
    "put_business_calendar": (
        nothing,
        [lambda s, _: s.put_business_calendar(OFFICE)] * 2,
    ),
    "get_business_calendar": (office, [lambda s, _: s.get_business_calendar("o")]),
    "list_business_calendars": (nothing, [lambda s, _: s.list_business_calendars()]),
    "delete_business_calendar": (
        office,
        [lambda s, _: s.delete_business_calendar("o")],
    ),
}


def async_methods() -> set[str]:
    return {
        name
        for name, function in inspect.getmembers(Store, inspect.iscoroutinefunction)
        if not name.startswith("_")
    }


def test_every_async_method_is_tried() -> None:
    core = {name for name in async_methods() if "schema" not in name}
    assert core - METHODS.keys() - {"post_in_async", "validate_payload"} == set()


@pytest.mark.parametrize("virtual", [True, False], ids=["virtual", "real"])
@pytest.mark.parametrize("method", METHODS)
def test_it_is_a_checkpoint(shared: str, method: str, virtual: bool) -> None:
    prepare, calls = METHODS[method]

    async def main() -> None:
        async with open_store(shared) as store:
            await store.create_queue(QUEUE, OPTIONS)
            subject = await prepare(store)
            for call in calls:
                with assert_checkpoints():
                    await call(store, subject)

    trio.run(main, clock=MockClock(autojump_threshold=0) if virtual else None)


async def test_reclaiming_is_a_checkpoint(
    anywhere: str, autojump_clock: MockClock
) -> None:
    async with open_store(anywhere) as store:
        await store.create_queue(QUEUE, OPTIONS)
        await job_of(store)
        autojump_clock.jump(31)
        (expired,) = await store.find_expired_messages(QUEUE)
        for ended in (True, False):
            with assert_checkpoints():
                assert await store.reclaim_expired_message(QUEUE, expired) is ended


async def test_opening_a_store_and_both_ends_of_a_lease_are_checkpoints(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    with assert_checkpoints():
        manager = open_store(anywhere)
        store = await manager.__aenter__()
    await store.create_queue(QUEUE, OPTIONS)
    await store.post(QUEUE, 1)
    lease = store.lease(QUEUE)
    with assert_checkpoints():
        await lease.__aenter__()
    with assert_checkpoints():
        await lease.__aexit__(None, None, None)
    # Closing yields, but is no place to be canceled: what has begun is ended.
    await manager.__aexit__(None, None, None)
