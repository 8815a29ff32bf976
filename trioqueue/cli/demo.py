"""``trioqueue demo``: see it work, and check every result."""

from __future__ import annotations

import shlex
import sysconfig
import tempfile
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from trioqueue.cli.failures import CONFLICT, USAGE, Failure
from trioqueue.cli.output import Output, say
from trioqueue.cli.session import chosen_format, format_option

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_WORKERS: Final = 3
METRICS: Final = "9464"
"""Where metrics are served if nobody says where."""


@click.command()
@click.option(
    "--path",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Work on the files below DIR.  [default: Python's standard library]",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Use only the first N files.  [default: all]",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=DEFAULT_WORKERS,
    show_default=True,
    metavar="N",
    help="How many worker processes.",
)
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Leave the database, demo.db, in DIR.  [default: delete it]",
)
@click.option(
    "--metrics",
    is_flag=False,
    flag_value=METRICS,
    metavar="[[HOST:]PORT]",
    help="Serve /metrics for Prometheus, /healthz and /readyz while it runs; each "
    f"worker at a port of its own, which is printed.  [without PORT: {METRICS}]",
)
@format_option()
def demo(
    *,
    path: Path | None,
    limit: int | None,
    workers: int,
    keep: Path | None,
    metrics: str | None,
) -> None:
    """See it work: real jobs, a worker killed half-way, every result checked.

    Posts a message for each file of Python's standard library.  Worker processes that
    share one SQLite file hash the files and count their lines.  Half-way one of them is
    killed; its messages are reclaimed and run again.  In the end each result is
    compared with a direct computation.  Exit code 1 when a check fails.

    It uses a database of its own; --db is not heeded.

    \b
    Examples:
      trioqueue demo
      trioqueue demo --path ~/documents --workers 2 --keep demo
      trioqueue demo --metrics 9464
    """  # noqa: D301  \b tells click not to wrap a paragraph
    root = (path or Path(sysconfig.get_path("stdlib"))).resolve()
    with _place(keep) as directory:
        # Trio and the store take a moment to import: --help need not wait for them.
        import trio

        from trioqueue.cli.demonstration.coordinator import demonstrate
        from trioqueue.cli.demonstration.files import find_files
        from trioqueue.cli.demonstration.plan import Plan
        from trioqueue.cli.demonstration.progress import Progress
        from trioqueue.metrics.address import Address

        if metrics is not None:
            Address.parse(metrics)
        files = list(islice(find_files(root), limit))
        if not files:
            raise Failure(f"no files below {root}; name others with --path", USAGE)
        plan = Plan.of(root, files, workers, directory, metrics)
        progress = Progress(len(files))
        try:
            report = trio.run(demonstrate, plan, progress)
        finally:
            progress.close()
    # People read this even where it does not go to a terminal.
    Output(chosen_format() or "table").item(report.document(), report.lines)
    if keep is not None:
        say(f"look at it with: trioqueue --db {shlex.quote(plan.url)} queue show files")
    if report.problems:
        raise Failure(f"the demo failed: {report.problems[0]}")


@contextmanager
def _place(keep: Path | None) -> Iterator[Path]:
    """Make the directory for the database and what lies beside it."""
    if keep is None:
        with tempfile.TemporaryDirectory(
            prefix="trioqueue-demo-", ignore_cleanup_errors=True
        ) as temporary:
            yield Path(temporary).resolve()
        return
    place = keep.resolve()
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"cannot make {place}: {error.strerror}") from error
    if (place / "demo.db").exists():
        raise Failure(f"{place / 'demo.db'} exists already; name another", CONFLICT)
    yield place
