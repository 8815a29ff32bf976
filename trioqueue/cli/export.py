"""``trioqueue export``: everything of a database as JSON lines."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from trioqueue.cli.copy_view import plural
from trioqueue.cli.failures import CONFLICT, FAILED, Failure
from trioqueue.cli.output import say
from trioqueue.cli.progress import Progress
from trioqueue.cli.session import Session, common_options, with_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trioqueue.store import Store
    from trioqueue.store.exporting import ExportReport


@click.command()
@click.argument("file", metavar="[FILE]", default="-")
@click.option(
    "--queue",
    "queues",
    multiple=True,
    metavar="NAME",
    help="Only this queue, and the schedules that post to it (repeat for more).  "
    "[default: everything]",
)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@common_options
@with_session
def export(
    session: Session, /, *, file: str, queues: tuple[str, ...], force: bool
) -> None:
    """Write everything as JSON lines to FILE, or to standard output (-).

    Queues with their options, live and retained messages, dead letters, attempts,
    schedules with their history, and business calendars: all that 'trioqueue import'
    needs to make the same again, in a database of any kind.

    Everything is of one instant; workers and whoever posts may go on meanwhile.  FILE
    appears when it is complete, readable by its owner only: payloads are in it.

    \b
    Examples:
      trioqueue export backup.jsonl
      trioqueue export --queue emails | gzip > emails.jsonl.gz
    """  # noqa: D301  \b tells click not to wrap a paragraph

    def run(out: IO[bytes]) -> ExportReport:
        async def work(store: Store) -> ExportReport:
            from trioqueue.store.exporting import export_store

            with Progress("exporting") as progress:
                return await export_store(
                    store, out.write, queues=queues or None, progress=progress
                )

        report = session.run(work)
        out.flush()
        return report

    if file == "-":
        say(_text(run(sys.stdout.buffer)))
        return
    with _new_file(Path(file), force=force) as out:
        report = run(out)
    from trioqueue.cli.documents import record

    session.output.done(file, {"file": file, **record(report)}, _text(report))


def _text(report: ExportReport) -> str:
    counts = plural(
        (
            (report.queues, "queue"),
            (report.messages, "message"),
            (report.attempts, "attempt"),
            (report.schedules, "schedule"),
            (report.runs, "run"),
            (report.calendars, "business calendar"),
            *([(report.schemas, "schema version")] if report.schemas else []),
        )
    )
    running = f"; {report.running} of the messages run" if report.running else ""
    return f"exported: {counts}{running}"


@contextmanager
def _new_file(path: Path, *, force: bool) -> Iterator[IO[bytes]]:
    """Write a file that has its name once it is whole."""
    if path.exists() and not force:
        raise Failure(f"{path} exists already; say --force to replace it", CONFLICT)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}", FAILED) from error
    finally:
        with suppress(FileNotFoundError, NotADirectoryError):
            partial.unlink()
