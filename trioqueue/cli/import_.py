"""``trioqueue import``: what an export has written, into a database."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Literal

import click

from trioqueue.cli.asking import at_terminal
from trioqueue.cli.copy_view import in_options, show_report
from trioqueue.cli.failures import USAGE, Failure
from trioqueue.cli.output import standard_input
from trioqueue.cli.progress import Progress
from trioqueue.cli.session import Session, common_options, with_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trioqueue.store import Store
    from trioqueue.store.copying import CopyReport
    from trioqueue.store.export_file import Export

Running = Literal["refuse", "expire"]


@click.command("import")
@click.argument("file", metavar="[FILE]", default="-")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Check all of it, say what would come; write nothing.",
)
@click.option(
    "--running",
    type=click.Choice(("refuse", "expire")),
    default="refuse",
    show_default=True,
    help="Messages that a worker held: do not import at all, or let them expire as if "
    "the worker had died; its attempt counts.",
)
@click.option(
    "--discard",
    is_flag=True,
    help="Begin again after an interrupted import even if its queues have been used "
    "since; what was done there is lost.",
)
@common_options
@with_session
def import_command(
    session: Session,
    /,
    *,
    file: str,
    dry_run: bool,
    running: Running,
    discard: bool,
) -> None:
    """Read what 'trioqueue export' has written, from FILE or standard input (-).

    The database is made if need be; it must not have a queue, schedule or calendar of
    the same name.  The file is checked to its end first: all of it comes, or nothing.
    Until everything is there and counted, all that came is paused; after an
    interruption, the same command begins again.

    \b
    Examples:
      trioqueue --db sqlite:///restored.db import backup.jsonl
      gunzip -c emails.jsonl.gz | trioqueue import --dry-run
    """  # noqa: D301  \b tells click not to wrap a paragraph
    session.check_file(create=True)
    with _opened(file) as source:
        report = in_options(
            lambda: _import(
                session, source, file, running, discard=discard, dry_run=dry_run
            )
        )
    show_report(
        session,
        report,
        verb="imported",
        dry_run=dry_run,
        end="now let workers and services use it",
    )


def _import(
    session: Session,
    file: IO[bytes],
    name: str,
    running: Running,
    *,
    discard: bool,
    dry_run: bool,
) -> CopyReport:
    import trio

    from trioqueue.store.importing import import_store, plan_import, read_export

    async def read() -> tuple[Export, CopyReport]:
        # Before the database is made: a file that is wrong leaves nothing behind.
        export = await read_export(file, name=name)
        return export, await plan_import(export, running=running)

    export, report = trio.run(read)

    async def plan(store: Store) -> CopyReport:
        return await plan_import(export, store, running=running)

    async def work(store: Store) -> CopyReport:
        with Progress("importing") as progress:
            return await import_store(
                export, store, running=running, discard=discard, progress=progress
            )

    if not dry_run:
        return session.run(work, create=True)
    return session.run(plan) if session.exists() else report


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    """Open a file, or keep standard input in one: it is read twice."""
    if name != "-":
        try:
            file = open(name, "rb")  # noqa: PTH123, SIM115  closed below
        except OSError as error:
            raise Failure(f"cannot read {name}: {error.strerror}", USAGE) from error
        with file:
            yield file
        return
    if at_terminal():
        raise Failure("name a FILE, or let something be written here", USAGE)
    source = standard_input()
    with tempfile.TemporaryFile() as kept:
        shutil.copyfileobj(source, kept)
        yield kept
