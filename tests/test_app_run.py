"""Running an app: services and worker together, until canceled or signaled."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.working import tq_store
from trioqueue import (
    App,
    MessageState,
    QueueNotFoundError,
    RetryPolicy,
    Store,
    ValidationError,
    Worker,
    open_store,
)

_ = tq_store
HOUR = timedelta(hours=1)


async def test_an_app_runs_its_delayed_and_failed_tasks_until_it_is_canceled(
    shared: str, autojump_clock: MockClock
) -> None:
    app = App()
    tried: list[float] = []

    @app.task(retry=RetryPolicy.fixed(60))
    async def flaky() -> None:
        tried.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        if len(tried) == 1:
            raise ConnectionError

    @app.task
    async def endless() -> None:
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        worker = await nursery.start(partial(app.run, shared, concurrency=5))
        assert isinstance(worker, Worker)
        await flaky.options(delay_seconds=HOUR).enqueue()
        await endless.options(message_id="m").enqueue()
        await trio.sleep(2 * 3600)
        assert tried == [3600, 3660]
        assert worker.statistics().running == 1
        nursery.cancel_scope.cancel()
    async with open_store(shared) as store:
        message = await store.get_message("default", "m")
        assert (message.state, message.attempt) == (MessageState.PENDING, 0)


async def test_an_app_ends_when_its_worker_is_stopped(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    app = App()

    @app.task
    async def work() -> None:
        await trio.sleep(10)

    async with trio.open_nursery() as nursery:
        worker = await nursery.start(app.run, anywhere)
        await work.enqueue()
        await trio.sleep(1)
        assert await worker.stop_gracefully()
    assert trio.current_time() == 10


async def test_an_app_works_only_on_the_queues_it_is_told_to(
    anywhere: str,
    autojump_clock: MockClock,
) -> None:
    app = App()
    ran: list[str] = []

    @app.task(queue="a", name="a")
    async def one() -> None:
        ran.append("a")

    @app.task(queue="b", name="b")
    async def two() -> None:
        ran.append("b")

    async with trio.open_nursery() as nursery:
        worker = await nursery.start(partial(app.run, anywhere, queues=["b"]))
        await one.enqueue()
        await (await two.enqueue()).wait()
        await trio.sleep(60)
        await worker.stop_gracefully()
    assert ran == ["b"]
    with pytest.raises(ValidationError, match="no handler for 'c'"):
        await app.run(anywhere, queues=["c"])
    with pytest.raises(ValidationError, match="nothing to work on"):
        await App().run(anywhere)


async def test_a_queue_deleted_before_the_start_is_a_clear_error(
    autojump_clock: MockClock, tq_store: Store, tq_app: App
) -> None:
    @tq_app.task(queue="gone")
    async def one() -> None: ...

    with pytest.raises(QueueNotFoundError, match="gone"):
        await Worker(tq_store, tq_app).run()


PROGRAM = """
import sys
from functools import partial

import trio

import trioqueue

app = trioqueue.App()

@app.task(queue="q")
async def work(seconds: float) -> str:
    print("begun", flush=True)
    await trio.sleep(seconds)
    return "finished"

async def main() -> None:
    async with app.open(sys.argv[1]):
        await work.options(message_id="m").enqueue(float(sys.argv[2]))
    async with trio.open_nursery() as nursery:
        run = partial(app.run, sys.argv[1], grace_seconds=600)
        worker = await nursery.start(run)
        while not worker._lifecycle.stopping:
            await trio.sleep(0.01)
        print("stopping", flush=True)
    print("stopped", flush=True)

trio.run(main)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of a POSIX system")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("again", [False, True], ids=["once", "again"])
def test_a_signal_lets_jobs_finish_and_a_second_one_cuts_them_off(
    shared: str, tmp_path: Path, number: signal.Signals, again: bool
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    seconds = 600 if again else 0.5
    with subprocess.Popen(
        [sys.executable, str(program), shared, str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            process.send_signal(number)
            # Two signals at once would be seen as one.
            assert process.stdout.readline() == "stopping\n"
            if again:
                process.send_signal(number)
            assert process.communicate(timeout=60)[0] == "stopped\n"
            assert process.returncode == 0
        finally:
            process.kill()

    async def look() -> None:
        async with open_store(shared) as store:
            message = await store.get_message("q", "m")
            if again:
                assert (message.state, message.attempt) == (MessageState.PENDING, 0)
            else:
                assert (message.state, message.attempt) == (MessageState.COMPLETED, 1)
                assert message.result == "finished"

    trio.run(look)
