"""Two stores, one full of everything, to be copied into the other."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.helpers import SteppedClock
from trioqueue import (
    Cron,
    MessageState,
    QueueOptions,
    RetentionPolicy,
    RetryPolicy,
    Schedule,
    Store,
    open_store,
)
from trioqueue.schedules.business_days import BusinessCalendar
from trioqueue.schedules.holidays import Holiday
from trioqueue.store.copying import copy_store
from trioqueue.store.operations import copy_rows

TABLES: dict[str, Any] = {
    "tq_queues": copy_rows.CopiedQueue,
    "tq_messages": copy_rows.CopiedLive,
    "tq_history": copy_rows.CopiedFinished,
    "tq_schedules": copy_rows.CopiedSchedule,
    "tq_schedule_runs": copy_rows.CopiedRun,
    "tq_business_calendars": copy_rows.CopiedCalendar,
}
"""What must be copied, column by column."""
KEPT = QueueOptions(
    retention=RetentionPolicy.keep_forever(), retry=RetryPolicy.fixed(0), max_attempts=5
)


class Pair:
    """Two stores in files of one directory."""

    source: Store
    target: Store

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = SteppedClock()

    def url(self, name: str) -> str:
        return f"sqlite:///{self.directory / name}.db"

    def rows(self, name: str, sql: str) -> list[tuple[Any, ...]]:
        """Look into a database behind the store's back."""
        path = self.directory / f"{name}.db"
        with closing(sqlite3.connect(path, timeout=10)) as connection:
            return connection.execute(sql).fetchall()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        async with (
            open_store(self.url("source"), clock=self.clock) as self.source,
            open_store(self.url("target"), clock=self.clock) as self.target,
        ):
            yield


Test = Callable[[Pair], Awaitable[None]]


def with_pair(test: Test) -> Callable[[Path], None]:
    """Run an async test with two stores open."""

    def run(tmp_path: Path) -> None:
        pair = Pair(tmp_path)

        async def main() -> None:
            with trio.fail_after(60):
                async with pair.opened():
                    await test(pair)

        trio.run(main)

    functools.update_wrapper(run, test)
    del run.__wrapped__  # type: ignore[attr-defined]  # pytest would ask for its names
    return run


async def populate(store: Store, clock: SteppedClock) -> None:
    """Make one of everything that a store can hold."""
    await store.create_queue("jobs", KEPT)
    await store.create_queue("paused", QueueOptions(dead_letter_queue="jobs-dlq"))
    await store.pause_queue("paused", "holidays", by="ada")
    await store.post("paused", b"\x00\xff", content_type="application/octet-stream")
    for number in range(4):
        await store.post("jobs", {"n": number}, message_id=f"m{number}", priority=2)
    first, second, third = await store.claim("jobs", limit=3)
    await store.fail(first, ValueError("try again"))  # behind m3 from now on
    await store.complete(second, {"answer": 42})
    await store.fail(third, OSError("no good"), final=True)
    await store.post("jobs", 1, message_id="high", priority=4, metadata={"a": "b"})
    await store.post("jobs", 2, message_id="late", delay_seconds=3600)
    await store.post("jobs", 3, message_id="later", delay_seconds=3601)
    await store.post("jobs", 3, message_id="never")
    await store.cancel("jobs", "never")
    await store.put_business_calendar(BusinessCalendar("de", [Holiday.fixed(12, 25)]))
    await store.create_schedule(Schedule("minutely", "jobs", Cron("* * * * *"), 7))
    await store.create_schedule(Schedule("yearly", "jobs", Cron("0 0 1 1 *"), 8))
    await store.pause_schedule("yearly", "not this year")
    await store.trigger_schedule("minutely")
    clock.advance(120)
    assert await store.fire_due_schedules("cron")


async def everything(store: Store) -> dict[str, Any]:
    """Return all that users can see of a store."""
    seen: dict[str, Any] = {"queues": await store.list_queues()}
    for queue in seen["queues"]:
        name = queue.name
        state = await store.queue_state(name)
        seen[f"{name} counts"] = state.counts
        for each in MessageState:
            messages = await store.peek(name, states=[each])
            seen[f"{name} {each.name}"] = [
                await store.get_message(name, m.message_id) for m in messages
            ]
        seen[f"{name} dead"] = await store.dead_letters(name)
    seen["schedules"] = await store.list_schedules()
    for schedule in seen["schedules"]:
        key = schedule.id
        seen[f"{key} runs"] = await store.schedule_history(key)
        seen[f"{key} next"] = await store.preview_schedule(key)
    seen["calendars"] = await store.list_business_calendars()
    return seen


class Stop(Exception):
    """The machine is switched off."""


async def interrupted(pair: Pair, at: int) -> int:
    """Copy until so many pages are written; return how many messages there were."""
    pages = 0

    def progress(done: int, total: int) -> None:
        nonlocal pages
        pages += 1
        if pages == at:
            raise Stop

    with pytest.raises(Stop):
        await copy_store(pair.source, pair.target, progress=progress)
    return pages
