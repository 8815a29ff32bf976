"""A fire canceled or broken anywhere: nothing is half done, nothing runs twice."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import pytest
import trio
from trio.testing import MockClock

from tests.scheduling import every, posted, schedule
from tests.stepping import cancel_at
from trioqueue import Store, open_store
from trioqueue.services import CronProcessorService
from trioqueue.store.operations import schedule_fire

pytestmark = pytest.mark.usefixtures("every")
_ = every
QUEUE: Final = "jobs"


async def fire(store: Store) -> None:
    await store.fire_due_schedules("cron")


def test_a_batch_canceled_at_any_checkpoint_posts_each_occurrence_once(
    afresh: Callable[[], str],
) -> None:
    steps: list[tuple[bool, bool]] = []

    async def once(step: int, url: str) -> None:
        async with open_store(url) as store:
            await store.create_queue(QUEUE)
            for number in range(50):
                await store.create_schedule(schedule(3600, id=f"s{number}"))
            await trio.sleep(3600)
            returned, canceled = await cancel_at(step, partial(fire, store))
            done = 50 if returned else 0
            assert len(await posted(store)) == done
            states = await store.list_schedules(limit=100)
            assert sum(state.run_count for state in states) == done
            assert await CronProcessorService(store).run_once() == 50 - done
            assert len(await posted(store)) == 50
            steps.append((returned, canceled))

    for step in range(100):
        trio.run(once, step, afresh(), clock=MockClock(autojump_threshold=0))
        if steps[-1] == (True, False):
            break
    assert steps[0] == (False, True)
    assert steps[-1] == (True, False)
    assert len(steps) > 4


FIRE: Final[Any] = schedule_fire.fire


class Broken(Exception):
    """What strikes in the middle of a transaction."""


@pytest.mark.parametrize(
    "change", ["nothing", "pause", "update", "clock", "delete"], ids=str
)
def test_a_fire_broken_at_any_statement_leaves_nothing_and_runs_once_later(
    afresh: Callable[[], str], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """A crash rolls the transaction back; then the world may change; then again."""
    broken: list[bool] = []

    async def once(step: int, url: str) -> None:
        async with open_store(url) as store:
            await store.create_queue(QUEUE)
            await store.create_schedule(schedule(3600))
            await store.create_schedule(schedule(1800, id="t"))
            await trio.sleep(3600)
            with monkeypatch.context() as patch:
                patch.setattr(schedule_fire, "fire", partial(break_at, step))
                broken.append(await is_broken(store))
            if broken[-1]:
                assert await posted(store) == []
                assert await store.schedule_history("s") == []
            await alter(store, change)
            await CronProcessorService(store).run_once()
            names = [n for n in await posted(store) if n.startswith("s:")]
            hours = [1]
            if change == "clock":  # without a break the first has run in time
                hours = [3] if broken[-1] else [1, 3]
            assert names == [f"s:2000-01-01T0{hour}:00:00Z" for hour in hours]

    for step in range(100):
        trio.run(once, step, afresh(), clock=MockClock(autojump_threshold=0))
        if not broken[-1]:
            break
    assert not broken[-1]  # every statement has been tried
    assert len(broken) > 8


def break_at(step: int, context: Any, plans: Any) -> Any:
    """Fire, but break before the statement of that number, or before the commit."""
    operation = FIRE(context, plans)
    answer = None
    for count in range(step):
        try:
            query = operation.send(answer)
        except StopIteration as stop:
            if count == step - 1:
                break
            return stop.value
        answer = yield query
    operation.close()
    raise Broken


async def is_broken(store: Store) -> bool:
    try:
        await store.fire_due_schedules("cron")
    except Broken:
        return True
    return False


async def alter(store: Store, change: str) -> None:
    if change == "pause":
        await store.pause_schedule("s")
        await store.resume_schedule("s")
    elif change == "update":
        await store.update_schedule(schedule(3600, payload="new"))
    elif change == "clock":
        await trio.sleep(7200)
    elif change == "delete":
        await store.delete_schedule("t")
