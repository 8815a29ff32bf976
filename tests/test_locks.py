"""Several stores or processes on one file: they wait for one another, none fails."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trioqueue
from trioqueue import (
    Job,
    MessageNotFoundError,
    MessageState,
    Store,
    StoreUnavailableError,
    open_store,
)
from trioqueue.store.sqlite import connection as connections
from trioqueue.store.sqlite import inline, patience
from trioqueue.store.sqlite.connection import open_connection, prepare_database

QUEUE: Final = "jobs"
HOME: Final = Path(trioqueue.__file__).parents[1]


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """Hold the write lock of a database, as another program may."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("ROLLBACK")


async def until_busy(store: Store, times: int = 3) -> None:
    """Wait until the store's writer has met the lock so often again."""
    goal = store.statistics().busy_retries + times
    while store.statistics().busy_retries < goal:  # noqa: ASYNC110  no event for it
        await trio.sleep(0.001)


def test_posts_wait_for_a_foreign_lock_and_none_fails(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    posted: list[int] = []

    async def main() -> None:
        async with open_store(url_of(path)) as store:
            await store.create_queue(QUEUE)

            async def post(number: int) -> None:
                await store.post(QUEUE, number, message_id=f"m{number}")
                posted.append(number)

            async with trio.open_nursery() as nursery:
                with locked(path):
                    for number in range(20):
                        nursery.start_soon(post, number)
                    # Longer than any time-out that might hide in between.
                    await trio.sleep(1.5)
                    assert posted == []
                    assert (await store.queue_state(QUEUE)).dead_letters == 0
            assert sorted(posted) == list(range(20))
            assert store.statistics().busy_retries > 20
            assert len(await store.claim(QUEUE, limit=100)) == 20

    trio.run(main)


def test_a_post_that_waits_for_a_foreign_lock_can_be_canceled_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "jobs.db"

    async def main() -> None:
        async with open_store(url_of(path)) as store:
            await store.create_queue(QUEUE)

            async def post_patiently() -> None:
                await store.post(QUEUE, 1, message_id="patient")

            async with trio.open_nursery() as nursery:
                with locked(path):
                    nursery.start_soon(post_patiently)
                    with trio.CancelScope() as scope:
                        async with trio.open_nursery() as inner:
                            inner.start_soon(store.post, QUEUE, 2)
                            inner.start_soon(store.claim, QUEUE)
                            await until_busy(store)
                            scope.cancel()
                    assert scope.cancelled_caught
            messages = await store.peek(QUEUE)
            assert [m.message_id for m in messages] == ["patient"]
            assert messages[0].state is MessageState.PENDING

    trio.run(main)


def test_a_store_can_be_closed_while_another_program_holds_the_lock(
    tmp_path: Path,
) -> None:
    path = tmp_path / "jobs.db"
    answers: list[str] = []

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            async with open_store(url_of(path)) as store:
                await store.create_queue(QUEUE)

                async def post() -> None:
                    with pytest.raises(trioqueue.StoreClosedError):
                        await store.post(QUEUE, 1, message_id="late")
                    answers.append("closed")

                lock = locked(path)
                lock.__enter__()
                nursery.start_soon(post)
                await until_busy(store)
            lock.__exit__(None, None, None)
        async with open_store(url_of(path)) as store:
            with pytest.raises(MessageNotFoundError):
                await store.get_message(QUEUE, "late")

    trio.run(main)
    assert answers == ["closed"]


def test_opening_waits_for_a_program_that_has_the_file_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE users (name TEXT)")
    refused = threading.Event()

    def pause(waited: float) -> float:
        refused.set()
        return 0.001

    monkeypatch.setattr(patience, "retry_pause", pause)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            with locked(path):
                nursery.start_soon(open_and_post)
                assert await trio.to_thread.run_sync(refused.wait, 30)

    async def open_and_post() -> None:
        async with open_store(url_of(path)) as store:
            await store.create_queue(QUEUE)
            await store.post(QUEUE, 1)

    trio.run(main)


def test_opening_does_not_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE users (name TEXT)")
    monkeypatch.setattr(connections, "OPEN_PATIENCE_SECONDS", 0.02)

    async def main() -> None:
        with (
            locked(path),
            pytest.raises(StoreUnavailableError, match="another process"),
        ):
            async with open_store(url_of(path)):
                pass  # pragma: no cover

    trio.run(main)


def test_a_simulated_run_waits_only_so_long_for_a_foreign_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "jobs.db"
    monkeypatch.setattr(inline, "PATIENCE_SECONDS", 0.02)

    async def main() -> None:
        async with open_store(url_of(path)) as store:
            await store.create_queue(QUEUE)
            with (
                locked(path),
                pytest.raises(StoreUnavailableError, match="simulated run"),
            ):
                await store.post(QUEUE, 1, message_id="m")
            assert trio.current_time() == 0
            with pytest.raises(MessageNotFoundError):
                await store.get_message(QUEUE, "m")
            await store.post(QUEUE, 1, message_id="m")

    trio.run(main, clock=MockClock(autojump_threshold=0))


def test_looking_needs_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"

    async def main() -> None:
        async with open_store(url_of(path)) as store:
            await store.create_queue(QUEUE)
            await store.post(QUEUE, 1, message_id="m")
            with locked(path):
                assert (await store.get_message(QUEUE, "m")).payload == 1
                assert len(await store.peek(QUEUE)) == 1
                assert (await store.queue_state(QUEUE)).dead_letters == 0
                async with open_store(url_of(path)) as other:
                    assert len(await other.peek(QUEUE)) == 1

    trio.run(main)


@pytest.mark.parametrize("virtual", [True, False], ids=["virtual", "real"])
def test_two_stores_of_one_program_on_one_file_share_their_wake_ups(
    virtual: bool, tmp_path: Path
) -> None:
    path = tmp_path / "jobs.db"
    got: list[Job] = []

    async def main() -> None:
        async with (
            open_store(url_of(path)) as one,
            # Another way to write the same path.
            open_store(url_of(tmp_path / "." / "x" / ".." / "jobs.db")) as other,
        ):
            assert one.wakeups is other.wakeups
            await one.create_queue(QUEUE)

            async def wait() -> None:
                got.extend(await other.claim_wait(QUEUE))

            with trio.fail_after(30):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(wait)
                    await wait_all_tasks_blocked()
                    await one.post(QUEUE, 1, message_id="m")
                    began = trio.current_time()
            if virtual:
                assert trio.current_time() == began
            await one.complete(got[0])
            # Ids and tokens of two stores never collide.
            ids = {(await store.post(QUEUE, 1)).message_id for store in (one, other)}
            assert len(ids) == 2

    (tmp_path / "x").mkdir()
    trio.run(main, clock=MockClock(autojump_threshold=0) if virtual else None)
    assert [job.message_id for job in got] == ["m"]


OPEN_AND_POST: Final = """
import sys, json
sys.path.insert(0, {home!r})
import trio, trioqueue

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    async with trioqueue.open_store({url!r}) as store:
        await store.create_queue("jobs")
        ids = [(await store.post("jobs", n)).message_id for n in range(5)]
        jobs = await store.claim("jobs", limit=5)
        for job in jobs:
            await store.complete(job)
        print(json.dumps([len(ids), len(jobs)]), flush=True)

trio.run(main)
"""


def test_many_processes_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    processes = 6
    program = OPEN_AND_POST.format(home=str(HOME), url=url_of(tmp_path / "jobs.db"))
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(processes)
    ]
    posted = claimed = 0
    try:
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in started:
            out, err = process.communicate(timeout=60)
            assert (process.returncode, err) == (0, "")
            new, taken = json.loads(out)
            posted, claimed = posted + new, claimed + taken
    finally:
        for process in started:
            process.kill()
            process.communicate()

    async def look() -> None:
        async with open_store(url_of(tmp_path / "jobs.db")) as store:
            left = (await store.queue_state(QUEUE)).counts
            assert left[MessageState.PENDING] == posted - claimed
            assert left[MessageState.RUNNING] == 0

    trio.run(look)
    assert posted == 5 * processes


def test_many_threads_may_prepare_a_new_file_at_once(tmp_path: Path) -> None:
    """The same race, closer together: each thread opens a connection of its own."""
    for turn in range(20):
        path = str(tmp_path / f"{turn}.db")
        barrier = threading.Barrier(6)
        errors: list[Exception] = []

        def open_it(
            path: str = path,
            barrier: threading.Barrier = barrier,
            errors: list[Exception] = errors,
        ) -> None:
            barrier.wait()
            try:
                connection = open_connection(path)
                prepare_database(connection, migrate=True, pause=time.sleep)
                connection.close()
            except Exception as error:  # noqa: BLE001
                errors.append(error)

        threads = [threading.Thread(target=open_it) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
