"""The command line of the benchmarks: which rows, how thoroughly, where to."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from tests.benchmarks import (
    latency,
    other_rows,
    peers,
    postgres_peers,
    postgres_rows,
    profiling,
    scale,
    schedule_rows,
    store_rows,
    worker_rows,
)
from tests.benchmarks.bench import Bench, report
from tests.benchmarks.machine import facts
from tests.benchmarks.table import Row, render


def _postgres(bench: Bench) -> Iterator[Row]:
    yield from postgres_rows.rows(bench)
    if bench.peers:
        yield from postgres_peers.rows(bench)


GROUPS: Final[dict[str, Callable[[Bench], Iterator[Row]]]] = {
    "store": store_rows.rows,
    "worker": worker_rows.rows,
    "latency": latency.rows,
    "scale": scale.rows,
    "postgres": _postgres,
    "schedules": schedule_rows.rows,
    "other": other_rows.rows,
    "peers": peers.rows,
}


def main(arguments: list[str]) -> int:
    """Run the benchmarks, print one table, keep the samples as JSON.

    No figure makes it fail, only a wrong result does.
    """
    options = _parse(arguments)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    # On the disk that the work is on: many a /tmp is kept in memory.
    build = Path("build").absolute()
    build.mkdir(exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="bench-", dir=build))
    try:
        bench = Bench(place, options.quick, options.peers)
        if options.profile:
            profiling.show_profiles(bench)
            return 0
        document: dict[str, Any] = {
            "machine": facts(place),
            "quick": options.quick,
            "only": options.only,
        }
        if document["machine"]["file_system"] == "tmpfs":
            report("this directory is kept in memory: nothing here waits for a disk")
        rows = _run(bench, options.only)
    finally:
        shutil.rmtree(place)
    print(render(rows))
    document["rows"] = [row.document() for row in rows]
    options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller sizes")
    parser.add_argument("--peers", action="store_true", help="other queues too")
    parser.add_argument("--only", choices=GROUPS, help="one group of rows")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"))
    parser.add_argument(
        "--profile",
        action="store_true",
        help="no table: where posting and draining spend their time",
    )
    return parser.parse_args(arguments)


def _run(bench: Bench, only: str | None) -> list[Row]:
    rows: list[Row] = []
    for name, group in GROUPS.items():
        if only not in (None, name) or (name == "peers" and not bench.peers):
            continue
        begun = time.perf_counter()
        rows += group(bench)
        report(f"{name}: {time.perf_counter() - begun:.0f} s")
    return rows
