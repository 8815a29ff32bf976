"""What every benchmark is given: a disk to work on, sizes, and how to take turns."""

from __future__ import annotations

import gc
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias, final

import attrs

from trioqueue import MessageState, Store

QUEUE: Final = "jobs"
TRIALS: Final = 3

PAYLOAD: Final = {"task": "send", "to": "someone@example.org", "text": "x" * 148}
PAYLOAD_TEXT: Final = (
    '{"task":"send","to":"someone@example.org","text":"' + "x" * 148 + '"}'
)
PAYLOAD_BYTES: Final = 200
"""Of the payload as it is stored; asserted where raw rows are made."""


@final
@attrs.frozen
class Bench:
    """How to run, and where.

    Attributes:
        directory: On a real disk; emptied afterwards.
        quick: Whether to make do with less.
        peers: Whether other queues are measured too.
    """

    directory: Path
    quick: bool = False
    peers: bool = False

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """Name a database file that does not exist, and delete what became of it."""
        place = Path(tempfile.mkdtemp(dir=self.directory))
        try:
            yield place / "jobs.db"
        finally:
            shutil.rmtree(place)

    def measure(self, trial: Trial) -> float:
        """Run one trial on a fresh database."""
        gc.collect()
        with self.fresh() as path:
            return trial(path)

    def take_turns(self, *trials: Trial) -> list[list[float]]:
        """Run each of some trials in turn, three times; return the samples of each."""
        samples: list[list[float]] = [[] for _ in trials]
        for _ in range(TRIALS):
            for place, trial in enumerate(trials):
                samples[place].append(self.measure(trial))
        return samples


Trial: TypeAlias = Callable[[Path], float]
"""Measures something once, on a database file that does not exist yet."""


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def report(text: str) -> None:
    """Say how far it has come, beside the table."""
    print(text, file=sys.stderr, flush=True)


def count_rows(path: Path, table: str, condition: str = "1") -> int:
    """Count rows in a file that nobody has open."""
    with closing(sqlite3.connect(path)) as connection:
        count: int
        (count,) = connection.execute(
            f"SELECT count(*) FROM {table} WHERE {condition}"
        ).fetchone()
    return count


async def check_counts(store: Store, queue: str = QUEUE, **expected: int) -> None:
    """Assert how many messages are in each state; those not named have none."""
    counts = (await store.queue_state(queue)).counts
    wanted: dict[Any, int] = dict.fromkeys(MessageState, 0)
    wanted |= {MessageState[name]: count for name, count in expected.items()}
    assert dict(counts) == wanted, f"{dict(counts)} is not {wanted}"
