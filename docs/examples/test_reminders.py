"""Thirty days in a moment: tests on Trio's mock clock."""

from datetime import timedelta

import pytest
import trio

import trioqueue
from trioqueue.testing import drain

pytest_plugins = ["trioqueue.testing.fixtures"]


@pytest.mark.trio
async def test_the_reminder_comes_after_thirty_days(autojump_clock, tq_app):
    came = []

    @tq_app.task
    async def remind(who: str) -> None:
        came.append((who, tq_app.store.now()))

    start = tq_app.store.now()
    month = timedelta(days=30)
    await remind.options(delay_seconds=month).enqueue("ada")

    assert await drain(tq_app, until=start + timedelta(days=29)) == 0
    assert await drain(tq_app, until=start + timedelta(days=31)) == 1
    assert came == [("ada", start + month)]  # to the microsecond


@pytest.mark.trio
async def test_retries_wait_one_two_four_seconds(autojump_clock, tq_app):
    started = []
    steps = trioqueue.RetryPolicy.exponential(base_seconds=1, jitter=False)

    @tq_app.task(max_attempts=4, retry=steps)
    async def flaky() -> None:
        started.append(trio.current_time())
        raise ConnectionError

    await flaky.enqueue()
    await drain(tq_app, until=tq_app.store.now() + timedelta(hours=1))
    assert started == [0, 1, 3, 7]


@pytest.mark.trio
async def test_a_silent_worker_loses_its_message(autojump_clock, tq_store):
    await tq_store.create_queue("mail")
    await tq_store.post("mail", "hello")
    (job,) = await tq_store.claim("mail")  # and then nothing is heard of it
    async with trioqueue.open_services(tq_store):
        (again,) = await tq_store.claim_wait("mail")
    assert again.attempt == 2
    with pytest.raises(trioqueue.LeaseLostError):
        await tq_store.complete(job)
