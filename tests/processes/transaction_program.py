"""Writes rows and messages in one transaction, and is killed before a statement."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any, Final, final

import psycopg
import trio

from trioqueue import Store, open_store
from trioqueue.store.postgres import borrowed
from trioqueue.store.postgres.driver import TrioConnection
from trioqueue.store.sqlite import transactions

# Last, so that the package under test is the installed one.
sys.path.append(str(Path(__file__).parents[2]))

from tests.own_rows import connected, insert

QUEUE: Final = "jobs"
MOST: Final = 100


@final
class Killer:
    """Kills this process before the n-th statement from when it is armed."""

    def __init__(self, step: int) -> None:
        self.left = step
        self.armed = False

    def __call__(self, _: object = None) -> None:
        if self.armed:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def call_before(kill: Killer, owner: Any, name: str) -> None:
    """Have it called before each call of a function."""
    function = getattr(owner, name)

    def wrapped(*arguments: Any, **options: Any) -> Any:
        kill()
        return function(*arguments, **options)

    setattr(owner, name, wrapped)


def watch(kill: Killer) -> None:
    """Have it called before whatever is sent to a database."""
    for owner, name in (
        (vars(borrowed)["generators"], "execute"),
        (psycopg.Connection, "wait"),
        (TrioConnection, "wait"),
    ):
        call_before(kill, owner, name)
    patched: Any = transactions
    open_connection = patched.open_connection

    def traced(*arguments: Any, **options: Any) -> Any:
        connection = open_connection(*arguments, **options)
        connection.raw.set_trace_callback(kill)
        return connection

    patched.open_connection = traced


async def post_in(store: Store, url: str, number: int, kill: Killer) -> None:
    """Write a row and two messages over a connection of ours."""
    with connected(url) as connection:
        if url.startswith("sqlite:"):
            connection.set_trace_callback(kill)
        kill.armed = True
        connection.execute(insert(url), [number])
        store.post_in(connection, QUEUE, number, message_id=f"m{number}")
        store.post_in(connection, QUEUE, number, message_id=f"n{number}")
        connection.commit()
        kill.armed = False
    await trio.lowlevel.checkpoint()


async def complete(store: Store, url: str, number: int, kill: Killer) -> None:
    """Write a row and two messages, and complete a job with them."""
    await store.post(QUEUE, number, message_id=f"job{number}", priority=4)
    (job,) = await store.claim(QUEUE)
    kill.armed = True
    async with job.transaction() as transaction:
        await transaction.execute(insert(url), [number])
        await transaction.post(QUEUE, number, message_id=f"m{number}")
        await transaction.post(QUEUE, number, message_id=f"n{number}")
    kill.armed = False


async def main(url: str, what: str, step: int) -> None:
    """Do it once, killed at that step."""
    kill = Killer(step)
    watch(kill)
    async with open_store(url) as store:
        await {"post": post_in, "complete": complete}[what](store, url, step, kill)


def main_loop(url: str, what: str) -> None:
    """Do it in processes of its own, each killed a step later than the one before."""
    for step in range(1, MOST):
        child = os.fork()
        if child == 0:
            trio.run(main, url, what, step)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        sys.stdout.write(f"{step} {code}\n")
        if code != -signal.SIGKILL:
            break


if __name__ == "__main__":
    main_loop(sys.argv[1], sys.argv[2])
