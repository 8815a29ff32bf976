"""What a type checker sees of tasks; checked with the rest, and never run.

`assert_type` says what must be known.  Each `type: ignore` marks a mistake that must be
found: mypy reports those that are not needed.
"""

from __future__ import annotations

from typing import assert_type

from trioqueue import App, Job, RetryPolicy, Store, TaskHandle, Worker

app = App()


@app.task
async def bare(to: str, subject: str = "hi") -> int:
    return len(to + subject)


@app.task(queue="emails", max_attempts=5, retry=RetryPolicy.fixed(2), priority=3)
async def with_settings(to: str, *, urgent: bool = False) -> list[str]:
    return [to] * urgent


@app.task
async def with_job(job: Job, number: int) -> float:
    return job.attempt / number


@app.task(queue="plain")
def plain(number: int) -> str:
    return str(number)


@app.task
def plain_with_job(job: Job, number: int) -> bytes:
    return bytes(job.attempt + number)


async def enqueueing_is_typed_like_the_function() -> None:
    handle = await bare.enqueue("a@example.org", subject="x")
    assert_type(handle, TaskHandle[int])
    assert_type(await handle.wait(), int)
    assert_type(await (await with_settings.enqueue("a", urgent=True)).wait(), list[str])
    assert_type(await (await with_job.enqueue(1)).wait(), float)
    assert_type(await (await plain.enqueue(number=1)).wait(), str)
    assert_type(await (await plain_with_job.enqueue(1)).wait(), bytes)


async def options_keep_the_types() -> None:
    soon = with_settings.options(delay_seconds=5, message_id="m", metadata={"a": 1})
    assert_type(await soon.enqueue("a"), TaskHandle[list[str]])
    await soon.enqueue("a", urgent="yes")  # type: ignore[arg-type]
    with_settings.options(delay="5")  # type: ignore[call-arg]
    with_settings.options(priority="high")  # type: ignore[arg-type]


async def calling_is_typed_like_the_function(job: Job) -> None:
    assert_type(await bare("a"), int)
    assert_type(await with_settings("a", urgent=True), list[str])
    assert_type(await with_job(job, 2), float)
    assert_type(plain(3), str)
    assert_type(plain_with_job(job, 3), bytes)


async def mistakes_are_found(job: Job) -> None:
    await bare.enqueue()  # type: ignore[call-arg]
    await bare.enqueue(5)  # type: ignore[arg-type]
    await bare.enqueue("a", topic="x")  # type: ignore[call-arg]
    await bare(5)  # type: ignore[arg-type]
    await with_job.enqueue(job, 1)  # type: ignore[call-arg, arg-type]
    await with_job(1)  # type: ignore[call-arg, arg-type]
    await plain_with_job.enqueue(job, 1)  # type: ignore[call-arg, arg-type]
    plain("3")  # type: ignore[arg-type]
    plain_with_job(3)  # type: ignore[call-arg, arg-type]
    app.task(queue=5)  # type: ignore[call-overload]


def handlers_are_checked(store: Store) -> None:
    async def handle(job: Job) -> str:
        return job.message_id

    def not_async(job: Job) -> str:
        return job.message_id

    Worker(store, {"q": handle})
    Worker(store, app)
    Worker(store, {"q": not_async})  # type: ignore[dict-item]
