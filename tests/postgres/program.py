"""What the processes of the tests on PostgreSQL run besides `tests.processes.program`.

A script, started by its path, with the same manners: one whole line per call.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Final

import trio

sys.path.insert(0, str(Path(__file__).parents[2]))

import trioqueue
from tests.processes.program import PARTS, QUEUE, hear, say
from trioqueue.services import ReclaimService


async def echo(url: str) -> None:
    """Say how many microseconds ago each message was posted, until the input ends."""
    async with trioqueue.open_store(url) as store, trio.open_nursery() as nursery:

        async def handle(job: trioqueue.Job) -> None:
            await trio.lowlevel.checkpoint()
            say(str((time.monotonic_ns() - job.payload) // 1000))

        worker = trioqueue.Worker(store, {QUEUE: handle})
        await nursery.start(worker.run)
        say("ready")
        await hear()
        await worker.stop_gracefully(grace_seconds=10)


async def grab(url: str) -> None:
    """Claim and give back for ever, saying now and then that it goes on."""
    async with trioqueue.open_store(url) as store, trio.open_nursery() as nursery:

        async def go_on() -> None:
            for number in count():
                for job in await store.claim(QUEUE, limit=2):
                    await store.release(job)
                if number % 10 == 0:
                    say(str(number))

        for _ in range(3):
            nursery.start_soon(go_on)


async def skewed(url: str, seconds: str) -> None:
    """Reclaim once for each line it hears, with a wall clock that is wrong."""
    true_time = time.time_ns
    wrong_by = int(seconds) * 10**9
    time.time_ns = lambda: true_time() + wrong_by
    async with trioqueue.open_store(url) as store:
        service = ReclaimService(store)
        say("ready")
        while True:
            await hear()
            say(str(await service.run_once()))


async def skewed_hold(url: str, seconds: str) -> None:
    """Hold a message, with a wall clock that is wrong."""
    true_time = time.time_ns
    wrong_by = int(seconds) * 10**9
    time.time_ns = lambda: true_time() + wrong_by
    await PARTS["hold"](url)


OWN_PARTS: Final[dict[str, Callable[..., Awaitable[None]]]] = {
    **PARTS,
    "echo": echo,
    "grab": grab,
    "skewed": skewed,
    "skewed-hold": skewed_hold,
}

if __name__ == "__main__":
    trio.run(OWN_PARTS[sys.argv[1]], *sys.argv[2:])
