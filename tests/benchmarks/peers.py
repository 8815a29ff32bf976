"""Other queues on SQLite, one message at a time, for comparison in the same run."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.bench import PAYLOAD, PAYLOAD_TEXT, TRIALS, Bench, report
from tests.benchmarks.table import Row

Cycle = tuple[Callable[[], Any], Callable[[], Any]]


def rows(bench: Bench) -> Iterator[Row]:
    count = bench.size(2000, 500)
    for name, start in PEERS.items():
        posts: list[float] = []
        takes: list[float] = []
        try:
            for _ in range(TRIALS):
                with bench.fresh() as path:
                    put, take = start(path)
                    posts.append(_rate(put, count))
                    takes.append(_rate(take, count))
        except ImportError as error:
            report(f"  {name} is not installed: {error}")
            continue
        yield Row(f"{name}: post, one at a time", "/s", posts)
        yield Row(f"{name}: take, run and end", "/s", takes)


def _rate(call: Callable[[], Any], count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        call()
    return count / (time.perf_counter() - began)


def _huey(path: Path, *, fsync: bool) -> Cycle:
    huey: Any = importlib.import_module("huey").SqliteHuey(
        filename=str(path), fsync=fsync
    )
    send: Any = huey.task()(lambda payload: payload)

    def run() -> None:
        huey.execute(huey.dequeue())

    return lambda: send(PAYLOAD), run


def _litequeue(path: Path) -> Cycle:
    queue: Any = importlib.import_module("litequeue").LiteQueue(str(path))

    def take() -> None:
        queue.done(queue.pop().message_id)

    return lambda: queue.put(PAYLOAD_TEXT), take


def _persistqueue(path: Path) -> Cycle:
    queue: Any = importlib.import_module("persistqueue").SQLiteAckQueue(
        str(path.parent), auto_commit=True
    )

    def take() -> None:
        queue.ack(queue.get())

    return lambda: queue.put(PAYLOAD), take


PEERS: dict[str, Callable[[Path], Cycle]] = {
    "huey with fsync": lambda path: _huey(path, fsync=True),
    "huey without": lambda path: _huey(path, fsync=False),
    "litequeue": _litequeue,
    "persist-queue": _persistqueue,
}
