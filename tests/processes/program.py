"""What the processes of these tests run: a script, started by its path.

It needs trioqueue and the standard library only.  What it has to say it writes in one
call per line, so that a line is there as a whole or not at all, whenever it is killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

import trio

import trioqueue

QUEUE: Final = "jobs"


def say(line: str, descriptor: int = 1) -> None:
    os.write(descriptor, f"{line}\n".encode())


async def hear() -> None:
    """Wait for a line from the test, or for its end."""
    await trio.to_thread.run_sync(os.read, 0, 100, abandon_on_cancel=True)


async def work(url: str) -> None:
    """Work, writing down each completion that was accepted, until the input ends."""
    async with trioqueue.open_store(url) as store, trio.open_nursery() as nursery:

        async def handle(job: trioqueue.Job) -> Any:
            await trio.sleep(0.005)
            await store.complete(job, os.getpid())
            say(f"{job.message_id} {job.attempt_id} {job.attempt}")
            return os.getpid()

        worker = trioqueue.Worker(store, {QUEUE: handle}, concurrency=50)
        await nursery.start(worker.run)
        await hear()
        await worker.stop_gracefully(grace_seconds=10)


async def serve(url: str) -> None:
    """Run the services and a worker until the input ends, saying what is done."""
    async with trioqueue.open_store(url) as store, trioqueue.open_services(store):

        async def handle(job: trioqueue.Job) -> None:
            await trio.lowlevel.checkpoint()
            say(f"{job.message_id} {job.attempt}")

        async with trio.open_nursery() as nursery:
            worker = trioqueue.Worker(store, {QUEUE: handle})
            await nursery.start(worker.run)
            say("ready")
            await hear()
            await worker.stop_gracefully(grace_seconds=10)


async def keep_time(url: str) -> None:
    """Run the services until the input ends, saying what the schedules have posted."""
    async with (
        trioqueue.open_store(url) as store,
        trioqueue.open_services(store) as services,
        trio.open_nursery() as nursery,
    ):

        async def report() -> None:
            known = -1
            while True:
                done = services.calendar.statistics().processed
                done += services.cron.statistics().processed
                if done != known:
                    known = done
                    say(str(done))
                await trio.sleep(0.01)

        nursery.start_soon(report)
        await hear()
        nursery.cancel_scope.cancel()


async def schedule_when_told(url: str, seconds: str) -> None:
    """Create a schedule that runs once, so many seconds from now, when told to."""
    async with trioqueue.open_store(url) as store:
        say("ready")
        await hear()
        due = store.now() + timedelta(seconds=float(seconds))
        rule = f"FREQ=SECONDLY;INTERVAL={10**8}"
        dtstart = due.replace(tzinfo=None, microsecond=0)
        calendar = trioqueue.Calendar.from_rrule(rule, dtstart=dtstart)
        await store.create_schedule(trioqueue.Schedule("s", QUEUE, calendar))
        say("created")


async def hold(url: str) -> None:
    """Claim a message, hold it until told to go on, and then complete it."""
    async with trioqueue.open_store(url) as store:
        (job,) = await store.claim(QUEUE, worker_id="zombie")
        say(f"claimed {job.message_id} {job.attempt}")
        await hear()
        try:
            await store.complete(job, "zombie")
        except trioqueue.LeaseLostError as error:
            say(f"LeaseLostError {error.reason}")
        else:
            say("completed")


async def trade(url: str, seconds: str) -> None:
    """Post, claim and complete as often as possible for some seconds."""
    posted = completed = 0
    async with trioqueue.open_store(url) as store:

        async def post(until: float) -> None:
            nonlocal posted
            while trio.current_time() < until:
                await store.post(QUEUE, posted)
                posted += 1

        async def claim(until: float) -> None:
            nonlocal completed
            while trio.current_time() < until:
                for job in await store.claim(QUEUE, limit=2):
                    await store.complete(job)
                    completed += 1

        say("ready")
        await hear()
        until = trio.current_time() + float(seconds)
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(post, until)
                nursery.start_soon(claim, until)
    say(json.dumps({"posted": posted, "completed": completed}))


async def post(url: str) -> None:
    """Post for ever, saying the id of each message once it is posted."""
    async with trioqueue.open_store(url) as store, trio.open_nursery() as nursery:

        async def post_on() -> None:
            while True:
                message = await store.post(QUEUE, "kept")
                say(message.message_id)

        for _ in range(5):
            nursery.start_soon(post_on)


async def post_when_told(url: str, queue: str, delay: str) -> None:
    """Post one message, delayed by some seconds, when told to."""
    async with trioqueue.open_store(url) as store:
        say("ready")
        await hear()
        await store.post(queue, "from afar", delay_seconds=float(delay))
        say("posted")


async def be_seen(url: str, beat_seconds: str) -> None:
    """Work, saying when a job begins and, told to go on, when it is done, until told.

    SIGTERM ends it.
    """
    async with trioqueue.open_store(url) as store, trio.open_nursery() as nursery:

        async def handle(job: trioqueue.Job) -> None:
            say(f"begun {job.message_id}")
            await hear()
            say(f"done {job.message_id}")

        worker = trioqueue.Worker(
            store, {QUEUE: handle}, beat_seconds=float(beat_seconds)
        )
        with trio.open_signal_receiver(signal.SIGTERM) as signals:
            await nursery.start(worker.run)
            say("ready")
            async for _ in signals:
                worker.stop()
                break


PARTS: Final[dict[str, Callable[..., Awaitable[None]]]] = {
    "work": work,
    "serve": serve,
    "keep-time": keep_time,
    "schedule-when-told": schedule_when_told,
    "hold": hold,
    "trade": trade,
    "post": post,
    "post-when-told": post_when_told,
    "be-seen": be_seen,
}

if __name__ == "__main__":
    trio.run(PARTS[sys.argv[1]], *sys.argv[2:])
