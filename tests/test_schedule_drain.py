"""Draining an app whose tasks are called by schedules."""

from __future__ import annotations

from datetime import timedelta

import pytest
import trio
from trio.testing import MockClock

from tests.scheduling import at, every, schedule
from tests.working import tq_store
from trioqueue import App, Misfire
from trioqueue.testing import drain

pytestmark = pytest.mark.usefixtures("every")
_ = every, tq_store


async def make(app: App, **settings: object) -> list[float]:
    """Schedule a task every minute; return the list in which it notes its runs."""
    seen: list[float] = []

    @app.task(queue="jobs")
    async def note(word: str) -> None:
        assert word == "hi"
        await trio.lowlevel.checkpoint()
        seen.append(trio.current_time())

    await app.declare()
    payload = note.call_document(["hi"], {})
    await app.store.create_schedule(schedule(60, payload=payload, **settings))
    return seen


async def test_drain_runs_what_is_due_and_not_what_comes(
    autojump_clock: MockClock, tq_app: App
) -> None:
    seen = await make(tq_app)
    assert await drain(tq_app) == 0
    assert trio.current_time() == 0
    await trio.sleep(60)
    assert await drain(tq_app) == 1
    assert await drain(tq_app) == 0
    assert seen == [60]
    assert (await tq_app.store.get_schedule("s")).next_run == at(120)


async def test_drain_until_goes_from_run_to_run(
    autojump_clock: MockClock, tq_app: App
) -> None:
    seen = await make(tq_app, jitter_seconds=5)
    await tq_app.store.create_schedule(schedule(3600, id="t", kind="calendar"))
    await tq_app.store.pause_schedule("t")
    until = tq_app.store.now() + timedelta(seconds=300)
    assert await drain(tq_app, until=until) in {4, 5}  # the last one's jitter
    for number, instant in enumerate(seen, 1):
        assert 0 <= instant - 60 * number < 5
    assert await drain(tq_app, until=until) == 0


async def test_drain_applies_the_misfire_policy(
    autojump_clock: MockClock, tq_app: App
) -> None:
    seen = await make(tq_app, misfire=Misfire.all())
    await trio.sleep(600)
    assert await drain(tq_app) == 10
    assert seen == [600] * 10
