"""Other queues on SQLite, one message at a time, in turn with this one."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, final

import attrs

from tests.benchmarks.bench import PAYLOAD, PAYLOAD_TEXT, TRIALS, Bench, report
from tests.benchmarks.store_rows import concurrent
from tests.benchmarks.table import Reference, Row, ratio_at_least
from tests.benchmarks.worker_rows import drain


@final
@attrs.frozen
class Peer:
    """Another queue: how one message goes in, and how one is worked off."""

    put: Callable[[], Any]
    take: Callable[[], Any]
    """Take a message, run it or look at it, acknowledge it; return what it held."""
    left: Callable[[], int]
    expected: Any
    close: Callable[[], Any]


def rows(bench: Bench) -> Iterator[Row]:
    # As many for all: some grow slower with what waits, or with what is done.
    count = bench.size(5000, 2000)
    ours_post = concurrent(count, tasks=1)
    ours_drain = drain(count, concurrency=100)
    for name, start in PEERS.items():
        posts: list[float] = []
        takes: list[float] = []
        posted: list[float] = []
        drained: list[float] = []
        try:
            for _ in range(TRIALS):
                with bench.fresh() as path:
                    post, take = _measure(start(path), count)
                posts.append(post)
                takes.append(take)
                posted.append(bench.measure(ours_post))
                drained.append(bench.measure(ours_drain))
        except ImportError as error:
            report(f"  {name} is not installed: {error}")
            continue
        target = ratio_at_least(6) if name == "huey with fsync" else None
        yield Row(f"post, one task alone: {name}", "/s", posted, Reference("it", posts))
        yield Row(
            f"drain, concurrency 100: {name}",
            "/s",
            drained,
            Reference("it", takes),
            target,
        )


def _measure(peer: Peer, count: int) -> tuple[float, float]:
    """Return messages per second in, and out; every one must come out."""
    try:
        begun = time.perf_counter()
        for _ in range(count):
            peer.put()
        post = count / (time.perf_counter() - begun)
        assert peer.left() == count
        begun = time.perf_counter()
        taken = [peer.take() for _ in range(count)]
        take = count / (time.perf_counter() - begun)
        assert taken == [peer.expected] * count
        assert peer.left() == 0
    finally:
        peer.close()
    return post, take


def _huey(path: Path, *, fsync: bool) -> Peer:
    huey: Any = importlib.import_module("huey").SqliteHuey(
        filename=str(path), fsync=fsync
    )
    seen: list[Any] = []

    def handle(payload: Any) -> None:
        seen.append(payload)

    send: Any = huey.task()(handle)

    def take() -> Any:
        huey.execute(huey.dequeue())
        return seen.pop()

    return Peer(
        lambda: send(PAYLOAD), take, huey.pending_count, PAYLOAD, huey.storage.close
    )


def _litequeue(path: Path) -> Peer:
    queue: Any = importlib.import_module("litequeue").LiteQueue(str(path))

    def take() -> Any:
        message = queue.pop()
        queue.done(message.message_id)
        return message.data

    return Peer(
        lambda: queue.put(PAYLOAD_TEXT), take, queue.qsize, PAYLOAD_TEXT, queue.close
    )


def _persist_queue(path: Path) -> Peer:
    queue: Any = importlib.import_module("persistqueue").SQLiteAckQueue(
        str(path.parent), auto_commit=True
    )

    def take() -> Any:
        found = queue.get(block=False)
        queue.ack(found)
        return found

    return Peer(
        lambda: queue.put(PAYLOAD), take, queue.active_size, PAYLOAD, queue.close
    )


PEERS: Final[dict[str, Callable[[Path], Peer]]] = {
    "huey with fsync": lambda path: _huey(path, fsync=True),
    "huey without fsync": lambda path: _huey(path, fsync=False),
    "litequeue (no fsync)": _litequeue,
    "persist-queue": _persist_queue,
}
