"""The program of one worker process: an ordinary `trioqueue.Worker`, and a ledger.

Started with URL NUMBER SLOTS PAUSE DIRECTORY and perhaps where to serve metrics, it
says ``ready``, and the URL of its metrics, and works until its standard input ends, so
it never outlives whoever started it.
"""

from __future__ import annotations

import logging
import os
import random
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, final

import attrs
import trio

import trioqueue
from trioqueue.cli.demonstration.files import measure
from trioqueue.cli.demonstration.plan import QUEUE
from trioqueue.metrics.serving import open_metrics

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


@final
@attrs.frozen
class Assignment:
    """What one worker is to do.

    Attributes:
        url: The store's database.
        number: The worker's number.
        slots: How many jobs it runs at once.
        pause: How long a job sleeps on average, in seconds.
        directory: Where the ledgers and the logs go.
        metrics: Where to serve metrics; None: nowhere.
    """

    url: str
    number: int
    slots: int
    pause: float
    directory: Path
    metrics: str | None

    @classmethod
    def read(cls, arguments: list[str]) -> Assignment:
        """Read it from a command line."""
        url, number, slots, pause, place, *metrics = arguments
        where = metrics[0] if metrics else None
        return cls(url, int(number), int(slots), float(pause), Path(place), where)


async def work(task: Assignment) -> None:
    """Work until standard input ends."""
    ledger = Ledger(task.directory / f"ledger-{task.number}.txt")
    try:
        async with trioqueue.open_store(task.url) as store:
            worker = trioqueue.Worker(
                store,
                {QUEUE: FileReader(store, ledger, task.pause)},
                concurrency=task.slots,
                worker_id=name_of(task.number),
            )
            async with (
                open_metrics(task.metrics, store, workers=[worker]) as urls,
                trio.open_nursery() as nursery,
            ):
                await nursery.start(worker.run)
                # Whoever started us may be gone already; then the read ends at once.
                with suppress(BrokenPipeError):
                    os.write(1, f"{' '.join(['ready', *urls[:1]])}\n".encode())
                # A pipe that nobody writes to: it ends with whoever has its other end.
                await trio.to_thread.run_sync(os.read, 0, 1, abandon_on_cancel=True)
                await worker.stop_gracefully(grace_seconds=GRACE_SECONDS)
    finally:
        ledger.close()


def main(arguments: list[str]) -> None:
    """Run one worker; what it has to say goes to a log, not over the progress bar."""
    task = Assignment.read(arguments)
    logging.basicConfig(
        filename=task.directory / f"worker-{task.number}.log",
        encoding="utf-8",
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    trio.run(work, task)


if __name__ == "__main__":
    main(sys.argv[1:])
