"""Apps and tasks: enqueued, run, waited for, failed."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import trio
from trio.testing import MockClock

from tests.working import tq_store
from trioqueue import (
    App,
    DuplicateMessageError,
    Job,
    LeasePolicy,
    MessageFailedError,
    MessageNotFoundError,
    MessageState,
    QueueOptions,
    RetentionPolicy,
    RetryPolicy,
    TrioQueueError,
    ValidationError,
    Worker,
    open_services,
    open_store,
)
from trioqueue.testing import drain

_ = tq_store
HOUR = timedelta(hours=1)


async def test_tasks_of_each_kind_run_and_return(
    autojump_clock: MockClock, tq_app: App
) -> None:
    @tq_app.task
    async def add(a: int, b: int = 1) -> int:
        return a + b

    @tq_app.task(queue="plain")
    def double(text: str) -> str:
        return text * 2

    @tq_app.task(queue="jobs", name="numbered")
    async def attempt(job: Job, extra: int) -> int:
        return job.attempt + extra

    first = await add.enqueue(1, b=2)
    second = await double.enqueue("ab")
    third = await attempt.options(priority=4).enqueue(10)
    assert await drain(tq_app) == 3
    assert [await h.wait() for h in (first, third)] == [3, 11]
    assert await second.wait() == "abab"
    assert third.message.priority == 4
    assert third.queue == "jobs"
    assert await add(5) == 6
    assert double("x") == "xx"
    assert set(tq_app.tasks) == {"add", "double", "numbered"}
    assert "add" in repr(add)


async def test_options_reach_the_message_and_go_over_those_of_the_task(
    autojump_clock: MockClock, tq_app: App
) -> None:
    lease = LeasePolicy(base_seconds=7)

    @tq_app.task(queue="q", priority=1, max_attempts=9, lease=lease)
    async def one(a: int = 1) -> None: ...

    own = (await one.enqueue()).message
    assert (own.queue, own.priority, own.max_attempts) == ("q", 1, 9)
    assert own.lease_policy == lease
    assert own.state is MessageState.PENDING
    other = LeasePolicy(base_seconds=8)
    handle = await one.options(
        message_id="m",
        priority=0,
        max_attempts=1,
        lease=other,
        delay_seconds=HOUR,
        metadata={"trace": "t"},
    ).enqueue(a=5)
    message = await tq_app.store.get_message("q", "m")
    assert handle.message == message
    assert handle.message_id == "m"
    assert (message.priority, message.max_attempts) == (0, 1)
    assert message.lease_policy == other
    assert message.metadata == {"trace": "t"}
    assert message.payload == {"task": "one", "args": [], "kwargs": {"a": 5}}
    assert message.scheduled_time == tq_app.store.now() + HOUR
    at = tq_app.store.now() + 2 * HOUR
    later = await one.options(scheduled_time=at).enqueue()
    assert later.message.scheduled_time == at
    with pytest.raises(ValidationError, match="priority"):
        await one.options(priority=9).enqueue()


async def test_enqueueing_the_same_id_again_gives_the_same_message(
    autojump_clock: MockClock, tq_app: App
) -> None:
    @tq_app.task
    async def one(a: int) -> int:
        return a

    once = one.options(message_id="once")
    assert (await once.enqueue(1)).message == (await once.enqueue(1)).message
    with pytest.raises(DuplicateMessageError):
        await once.enqueue(2)
    assert await drain(tq_app) == 1


async def test_plain_functions_run_inline_in_virtual_time(
    autojump_clock: MockClock, tq_app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a thread was used in virtual time")

    monkeypatch.setattr(trio.to_thread, "run_sync", refuse)

    @tq_app.task
    def where(job: Job, extra: str) -> str:
        return f"{threading.current_thread() is threading.main_thread()} {extra}"

    handle = await where.options(delay_seconds=HOUR).enqueue("x")
    assert await drain(tq_app, until=tq_app.store.now() + HOUR) == 1
    assert await handle.wait() == "True x"
    assert trio.current_time() == 3600


async def test_a_task_that_nobody_knows_yet_waits_for_a_newer_worker(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    old, new = App(), App()

    @old.task
    async def known() -> None: ...

    @new.task
    async def added(text: str) -> str:
        return text

    async with open_store(anywhere) as store:
        async with new.use(store):
            handle = await added.options(max_attempts=2).enqueue("new")
        async with old.use(store):
            assert await drain(old) == 1
        async with new.use(store):
            until = store.now() + HOUR
            assert await drain(new, until=until) == 1
            assert await handle.wait() == "new"
            message = await store.get_message(handle.queue, handle.message_id)
            first = message.attempts[0]
            assert first.error_message == "this app has no task 'added'"


async def test_the_retry_policy_of_a_task_goes_over_that_of_its_queue(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    app = App(queues={"q": QueueOptions(retry=RetryPolicy.fixed(1000))})
    tried: list[tuple[str, float]] = []

    async def fail(name: str) -> None:
        tried.append((name, trio.current_time()))
        await trio.lowlevel.checkpoint()
        raise ConnectionError

    @app.task(queue="q", retry=RetryPolicy.linear(10), max_attempts=3)
    async def own() -> object:
        await fail("own")
        return None

    @app.task(queue="q", retry=RetryPolicy.fixed(5), max_attempts=2)
    async def unwritable() -> object:
        tried.append(("unwritable", trio.current_time()))
        return object()

    @app.task(queue="q", max_attempts=2)
    async def plain() -> None:
        await fail("plain")

    async with app.open(anywhere) as store:
        for task in (own, unwritable, plain):
            await task.enqueue()
        await drain(app, until=store.now() + HOUR)
    assert sorted(tried) == [
        ("own", 0),
        ("own", 10),
        ("own", 30),
        ("plain", 0),
        ("plain", 1000),
        ("unwritable", 0),
        ("unwritable", 5),
    ]


async def test_arguments_that_do_not_fit_are_refused_when_enqueued(
    autojump_clock: MockClock, tq_app: App
) -> None:
    @tq_app.task
    async def one(a: int) -> None: ...

    with pytest.raises(ValidationError, match=r"'one'.*too many positional"):
        await one.enqueue(1, 2)  # type: ignore[call-arg]  # the point
    with pytest.raises(ValidationError, match="not a JSON value"):
        await one.enqueue(object())  # type: ignore[arg-type]  # the point


async def test_an_app_that_is_not_open_says_so(autojump_clock: MockClock) -> None:
    app = App()

    @app.task
    async def one() -> None: ...

    with pytest.raises(TrioQueueError, match="not open"):
        await one.enqueue()


async def test_waiting_raises_what_made_it_dead(
    autojump_clock: MockClock, tq_app: App
) -> None:
    @tq_app.task(max_attempts=2, retry=RetryPolicy.calling(lambda n: n * 60.0))
    async def fail() -> None:
        message = "no"
        raise ConnectionError(message)

    handle = await fail.enqueue()
    start = tq_app.store.now()
    assert await drain(tq_app, until=start + HOUR) == 2
    assert tq_app.store.now() == start + timedelta(seconds=60)
    with pytest.raises(MessageFailedError, match="ConnectionError: no") as caught:
        await handle.wait()
    assert caught.value.message.state is MessageState.ERRORED


async def test_waiting_for_a_canceled_task_raises(
    autojump_clock: MockClock, tq_app: App
) -> None:
    @tq_app.task
    async def later() -> None: ...

    handle = await later.options(delay_seconds=60).enqueue()
    await tq_app.store.cancel(handle.queue, handle.message_id, reason="changed")
    with pytest.raises(MessageFailedError, match=r"CANCELED \(changed\)"):
        await handle.wait()


async def test_a_queue_that_keeps_nothing_has_no_result(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    app = App(queues={"q": QueueOptions(retention=RetentionPolicy.delete())})

    @app.task(queue="q")
    async def one() -> int:
        return 1

    async with app.open(anywhere) as store:
        handle = await one.enqueue()
        async with open_services(store), trio.open_nursery() as nursery:
            worker = Worker(store, app)
            nursery.start_soon(worker.run)
            with pytest.raises(MessageNotFoundError, match=r"RetentionPolicy\.keep"):
                await handle.wait()
            worker.stop()


async def test_a_retry_policy_that_fails_leaves_the_wait_to_the_queue(
    autojump_clock: MockClock, tq_app: App
) -> None:
    def broken(attempt: int) -> float:
        raise ZeroDivisionError

    @tq_app.task(max_attempts=2, retry=RetryPolicy.calling(broken))
    async def fail() -> None:
        raise ConnectionError

    await fail.enqueue()
    assert await drain(tq_app, until=tq_app.store.now() + HOUR) == 2


@pytest.mark.parametrize(
    ("payload", "state", "error"),
    [
        ("by hand", MessageState.ERRORED, "no call of a task"),
        ({"task": "one", "args": [1, 2], "kwargs": {}}, MessageState.ERRORED, "fit"),
        ({"task": "?", "args": [], "kwargs": {}}, MessageState.INVISIBLE, "no task"),
    ],
)
async def test_messages_that_call_no_task(
    autojump_clock: MockClock,
    tq_app: App,
    payload: object,
    state: MessageState,
    error: str,
) -> None:
    @tq_app.task
    async def one(a: int) -> None: ...

    await tq_app.declare()
    await tq_app.store.post("default", payload, message_id="m")
    await drain(tq_app)
    message = await tq_app.store.get_message("default", "m")
    assert message.state is state
    assert error in str(message.attempts[-1].error_message)


async def test_plain_functions_run_in_threads_in_real_time(anywhere: str) -> None:
    app = App()

    @app.task
    def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    async with app.open(anywhere) as store, trio.open_nursery() as nursery:
        worker = Worker(store, app)
        await nursery.start(worker.run)
        with trio.fail_after(30):
            assert not await (await where.enqueue()).wait()
        worker.stop()


async def test_opening_creates_and_updates_the_queues_it_declares(
    shared: str,
) -> None:
    for attempts in (5, 6):
        app = App(queues={"q": QueueOptions(max_attempts=attempts)})
        async with app.open(shared) as store:
            assert (await store.get_queue("q")).options.max_attempts == attempts
            with pytest.raises(TrioQueueError, match="open on"):
                async with app.open(shared):
                    pass  # pragma: no cover


def test_settings_that_cannot_work_are_refused() -> None:
    app = App()

    @app.task
    async def one() -> None: ...

    for settings, problem in (
        ({"name": "one"}, "already"),
        ({"queue": "a b"}, "queue"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"retry": 5}, "RetryPolicy"),
        ({"lease": 5}, "LeasePolicy"),
        ({"flavor": "asyncio"}, "not available"),
    ):
        with pytest.raises(ValidationError, match=problem):
            app.task(**settings)(one)
    with pytest.raises(ValidationError, match="function"):
        app.task()(5)  # type: ignore[call-overload]  # the point
    with pytest.raises(ValidationError, match=r"options\.max_attempts"):
        App(queues={"q": QueueOptions(max_attempts=0)})
