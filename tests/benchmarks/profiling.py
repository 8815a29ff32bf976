"""Where the time goes: the Trio thread by function, the writer by statement.

Both measurements cost time themselves: compare shares, not speeds.
"""

from __future__ import annotations

import cProfile
import io
import pstats
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, final

import attrs

from tests.benchmarks.bench import Bench, Trial
from tests.benchmarks.store_rows import concurrent
from tests.benchmarks.worker_rows import drain
from trioqueue.store.operations.core import ExecuteMany
from trioqueue.store.sqlite import writer
from trioqueue.store.sqlite.connection import Connection

LINES: Final = 25
BEGIN: Final = "BEGIN IMMEDIATE"
GROUPS: Final = "whole groups, COMMIT included"


def show_profiles(bench: Bench) -> None:
    """Print where posting and draining spend their time."""
    count = bench.size(20_000, 6_000)
    for name, trial in (
        ("post, 100 tasks at once", concurrent(count, tasks=100)),
        ("drain, concurrency 100 (with the posts before it)", _drain(count)),
    ):
        print(f"\n=== {name}: {count:,} messages")
        _show_statements(bench, trial)
        _show_functions(bench, trial)


def _drain(count: int) -> Trial:
    return drain(count, concurrency=100)


def _show_functions(bench: Bench, trial: Trial) -> None:
    # It follows the thread that enables it, which is Trio's.
    profile = cProfile.Profile()
    with bench.fresh() as path:
        profile.runcall(trial, path)
    text = io.StringIO()
    statistics = pstats.Stats(profile, stream=text)
    statistics.strip_dirs().sort_stats("tottime").print_stats(LINES)
    print("\nThe Trio thread, by time in the function itself:")
    lines = text.getvalue().splitlines()
    start = next(n for n, line in enumerate(lines) if "ncalls" in line)
    print("\n".join(line for line in lines[start:] if line.strip()))


@final
@attrs.define
class Spent:
    """What a statement has cost so far: by the clock, and of the processor."""

    calls: int = 0
    rows: int = 0
    wall: float = 0.0
    processor: float = 0.0


@contextmanager
def _timed_statements() -> Iterator[dict[str, Spent]]:
    """Time every statement of every connection, in the block."""
    spent: dict[str, Spent] = {}
    parts: list[tuple[Any, str, Callable[..., tuple[str, int]]]] = [
        (Connection, "_run", _of_query),
        (Connection, "begin_write", lambda _: (BEGIN, 1)),
        (Connection, "commit", lambda _: ("COMMIT", 1)),
        (writer, "run_group", lambda _, requests, __: (GROUPS, len(requests))),
    ]
    originals = [getattr(owner, name) for owner, name, _ in parts]

    def timed(
        method: Callable[..., Any], describe: Callable[..., tuple[str, int]]
    ) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            wall, processor = time.perf_counter(), time.thread_time()
            try:
                return method(*arguments)
            finally:
                name, rows = describe(*arguments)
                entry = spent.setdefault(name, Spent())
                entry.calls += 1
                entry.rows += rows
                entry.wall += time.perf_counter() - wall
                entry.processor += time.thread_time() - processor

        return call

    for (owner, name, describe), original in zip(parts, originals, strict=True):
        setattr(owner, name, timed(original, describe))
    try:
        yield spent
    finally:
        for (owner, name, _), original in zip(parts, originals, strict=True):
            setattr(owner, name, original)


def _of_query(_: Connection, query: Any) -> tuple[str, int]:
    return query.name, len(query.rows) if isinstance(query, ExecuteMany) else 1


def _show_statements(bench: Bench, trial: Trial) -> None:
    begun = time.perf_counter()
    with bench.fresh() as path, _timed_statements() as spent:
        trial(path)
    whole = time.perf_counter() - begun
    print(f"\nThe database, by statement, in {whole:.2f} s:")
    print(
        f"{'statement':<32}{'calls':>8}{'rows':>9}{'s':>8}{'cpu s':>8}{'µs a row':>10}"
    )
    for name, entry in sorted(spent.items(), key=lambda item: -item[1].wall):
        each = 1e6 * entry.wall / max(1, entry.rows)
        print(
            f"{name:<32}{entry.calls:>8,}{entry.rows:>9,}{entry.wall:>8.3f}"
            f"{entry.processor:>8.3f}{each:>10.1f}"
        )
    groups = spent[GROUPS]
    statements = [spent[name] for name in spent if name not in (GROUPS, BEGIN)]
    wall = groups.wall - sum(entry.wall for entry in statements)
    processor = groups.processor - sum(entry.processor for entry in statements)
    print(
        f"of the groups, {wall:.3f} s are the operations' own Python, {processor:.3f} "
        "of them on the processor; what is not spent there waits for the disk or for "
        "the interpreter's lock"
    )
