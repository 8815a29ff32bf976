"""The program of one worker process: an ordinary `trioqueue.Worker`, and a ledger.

Started with URL NUMBER SLOTS PAUSE DIRECTORY, it says ``ready`` and works until its
standard input ends, so it never outlives whoever started it.
"""

from __future__ import annotations

import logging
import os
import random
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, final

import trio

import trioqueue
from trioqueue.cli.demonstration.files import measure
from trioqueue.cli.demonstration.plan import QUEUE

GRACE_SECONDS: Final = 5.0


def name_of(number: int) -> str:
    """Return the worker id of the worker with this number."""
    return f"worker-{number}"


@final
class FileChangedError(Exception):
    """A file is not what it was when its message was posted."""


@final
class Ledger:
    """Every completion that the store accepted, on a file of the worker's own.

    It proves from outside the database that no message is completed twice.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._descriptor = os.open(path, flags, 0o644)

    def note(self, job: trioqueue.Job) -> None:
        """Add a line, in one write: it is there as a whole or not at all."""
        os.write(self._descriptor, f"{job.message_id}\t{job.attempt_id}\n".encode())

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


@final
class FileReader:
    """The handler: reads the file that a job names, and keeps what it finds out."""

    def __init__(self, store: trioqueue.Store, ledger: Ledger, pause: float) -> None:
        self._store = store
        self._ledger = ledger
        self._pause = pause

    async def __call__(self, job: trioqueue.Job) -> Any:
        """Measure one file.

        An exception is all it takes to fail: the message is tried again later, and in
        the end becomes a dead letter.
        """
        path, size = job.payload["path"], job.payload["size"]
        facts = await trio.to_thread.run_sync(measure, path)
        if facts["size"] != size:
            raise FileChangedError(f"{path} had {size} bytes, now {facts['size']}")
        await trio.sleep(self._pause * random.uniform(0.5, 1.5))
        # Returning the facts would do.  Completing by hand tells us that the store has
        # accepted them; that the worker says the same once more changes nothing.
        await self._store.complete(job, facts)
        self._ledger.note(job)
        return facts


async def work(
    url: str, number: int, slots: int, pause: float, directory: Path
) -> None:
    """Work until standard input ends."""
    ledger = Ledger(directory / f"ledger-{number}.txt")
    try:
        async with trioqueue.open_store(url) as store, trio.open_nursery() as nursery:
            worker = trioqueue.Worker(
                store,
                {QUEUE: FileReader(store, ledger, pause)},
                concurrency=slots,
                worker_id=name_of(number),
            )
            await nursery.start(worker.run)
            # Whoever started us may be gone already; then the read below ends at once.
            with suppress(BrokenPipeError):
                os.write(1, b"ready\n")
            # A pipe that nobody writes to: it ends with whoever holds the other end.
            await trio.to_thread.run_sync(os.read, 0, 1, abandon_on_cancel=True)
            await worker.stop_gracefully(grace_seconds=GRACE_SECONDS)
    finally:
        ledger.close()


def main(url: str, number: str, slots: str, pause: str, directory: str) -> None:
    """Run one worker; what it has to say goes to a log, not over the progress bar."""
    place = Path(directory)
    logging.basicConfig(
        filename=place / f"worker-{number}.log",
        encoding="utf-8",
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    trio.run(work, url, int(number), int(slots), float(pause), place)


if __name__ == "__main__":
    main(*sys.argv[1:])
