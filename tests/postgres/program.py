"""What the processes of the tests on PostgreSQL run besides `tests.processes.program`.

A script, started by its path, with the same manners: one whole line per call.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

import psycopg
import trio

sys.path.insert(0, str(Path(__file__).parents[2]))

import trioqueue
from tests.processes.program import PARTS, QUEUE, hear, say
from trioqueue.services import ReclaimService
from trioqueue.store.operations.core import Fetch, Operation
from trioqueue.store.postgres.session import Session
from trioqueue.store.postgres.settings import Settings


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


async def halt(conninfo: str, schema: str, row_id: str, how: str) -> None:
    """Stop ourselves in the middle of a request, in a transaction that holds a row.

    Continued, says what has become of the connection.
    """
    session = await Session.open(Settings(conninfo, schema))
    pgconn = session._connection.pgconn

    def hold() -> Operation[None]:
        yield Fetch("held_messages", {"ids": [int(row_id)]})

    def stop() -> None:
        # What is "cut" stays behind: the buffers on the way are full.
        while how != "cut" and pgconn.flush():
            pass
        os.kill(os.getpid(), signal.SIGSTOP)

    session.begin()
    await session.drive(hold())
    if how == "unread":
        sql, value = b"SELECT repeat($1::text, 100000000)", b"x"
    else:
        sql, value = b"SELECT $1::text = ''", b"x" * 10 ** {"unsent": 5, "cut": 8}[how]
    session._commands.append(partial(pgconn.send_query_params, sql, [value]))
    session._commands.append(stop)
    session._commands.append(partial(pgconn.send_query_params, b"SELECT 1", None))
    try:
        await session.commit()
    except psycopg.OperationalError:
        say("lost" if session.lost else "failed")
    else:
        say("committed")
    session.kill()


OWN_PARTS: Final[dict[str, Callable[..., Awaitable[None]]]] = {
    **PARTS,
    "echo": echo,
    "grab": grab,
    "halt": halt,
    "skewed": skewed,
    "skewed-hold": skewed_hold,
}

if __name__ == "__main__":
    trio.run(OWN_PARTS[sys.argv[1]], *sys.argv[2:])
