"""``trioqueue copy``: everything of one database into another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import click

from trioqueue.cli.failures import CONFLICT, Failure
from trioqueue.cli.output import Column, field, say
from trioqueue.cli.session import Session, format_option, may_exist, with_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trioqueue.cli.documents import Document
    from trioqueue.store.copying import CopyReport

Running = Literal["refuse", "expire"]

SAID_EVERY: Final = 10_000
"""How many messages between two lines about progress."""
QUEUE_COLUMNS: Final = (
    Column("QUEUE", field("name")),
    Column("PENDING", field("counts.PENDING")),
    Column("INVISIBLE", field("counts.INVISIBLE")),
    Column("RUNNING", field("counts.RUNNING")),
    Column("COMPLETED", field("counts.COMPLETED")),
    Column("CANCELED", field("counts.CANCELED")),
    Column("DEAD", field("counts.ERRORED")),
)


@click.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option(
    "--dry-run", is_flag=True, help="Say what would be copied; write nothing."
)
@click.option(
    "--running",
    type=click.Choice(("refuse", "expire")),
    default="refuse",
    show_default=True,
    help="Messages that a worker holds: do not copy at all, or let them expire in TO "
    "as if the worker had died; its attempt counts.",
)
@click.option(
    "--discard",
    is_flag=True,
    help="Begin again after an interrupted copy even if its queues have been used "
    "since; what was done there is lost.",
)
@format_option()
@with_session
def copy(
    session: Session,
    /,
    *,
    source: str,
    target: str,
    dry_run: bool,
    running: Running,
    discard: bool,
) -> None:
    """Copy everything FROM one database TO another, of any kind.

    Both are URLs, as for --db.  Queues with their options, live and retained messages,
    dead letters, attempts, schedules with their history, and business calendars; their
    order stays as it is.  FROM is only read, and TO is made if need be; it must not
    have a queue, schedule or calendar of the same name.

    Stop workers, services and whoever posts first: if FROM changes meanwhile, the copy
    fails.  Until everything is there and counted, all that came is paused in TO; after
    an interruption, the same command begins again.

    \b
    Example:
      trioqueue copy sqlite:///jobs.db postgresql://localhost/jobs
    """  # noqa: D301  \b tells click not to wrap a paragraph
    form = session.output.form
    begin, end = Session(source, form), Session(target, form)
    begin.check_file(create=False)
    end.check_file(create=True)
    if dry_run:
        report = _plan(source, target, running)
    else:
        report = _copy(source, target, running, discard=discard)
    document = _document(report, dry_run=dry_run)
    if form in ("json", "jsonl"):
        session.output.item(document, tuple)
    else:
        session.output.items(document["queues"], QUEUE_COLUMNS, empty="no queues")
    for line in _words(report, dry_run=dry_run):
        say(line)


def _plan(source: str, target: str, running: Running) -> CopyReport:
    import trio

    from trioqueue.store import open_store
    from trioqueue.store.copying import plan_copy
    from trioqueue.store.url import parse_url

    new = target.startswith("sqlite:") and not may_exist(parse_url(target).path)

    async def main() -> CopyReport:
        async with open_store(source, migrate=False) as begin:
            if new:
                return await plan_copy(begin, running=running)
            async with open_store(target, migrate=False) as end:
                return await plan_copy(begin, end, running=running)

    return _said(lambda: trio.run(main))


def _copy(source: str, target: str, running: Running, *, discard: bool) -> CopyReport:
    import trio

    from trioqueue.store import open_store
    from trioqueue.store.copying import copy_store

    said = 0

    def progress(done: int, total: int) -> None:
        nonlocal said
        if done - said >= SAID_EVERY:
            said = done
            say(f"{done} of {total} messages")

    async def main() -> CopyReport:
        async with (
            open_store(source, migrate=False) as begin,
            open_store(target) as end,
        ):
            return await copy_store(
                begin, end, running=running, discard=discard, progress=progress
            )

    return _said(lambda: trio.run(main))


def _said(work: Callable[[], CopyReport]) -> CopyReport:
    """Name options of the command where the store names Python arguments."""
    from trioqueue.errors import IllegalStateError

    try:
        return work()
    except IllegalStateError as error:
        text = str(error).replace("(running='expire')", "(--running expire)")
        raise Failure(
            text.replace("(discard=True)", "(--discard)"), CONFLICT
        ) from error


def _document(report: CopyReport, *, dry_run: bool) -> Document:
    from trioqueue.cli.documents import record

    document = record(report)
    document["running"] = report.running
    document["dry_run"] = dry_run
    return document


def _words(report: CopyReport, *, dry_run: bool) -> Iterable[str]:
    if report.undone is not None:
        yield f"an unfinished copy from {report.undone} was undone first"
    verb = "would be copied" if dry_run else "copied and counted"
    parts = (
        (len(report.queues), "queue"),
        (report.live, "live message"),
        (report.finished, "finished message"),
        (report.attempts, "attempt"),
        (report.schedules, "schedule"),
        (report.runs, "run"),
        (report.calendars, "business calendar"),
    )
    counts = ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in parts)
    yield f"{verb}: {counts}"
    if report.running:
        yield f"{report.running} of them run, and {'would ' * dry_run}expire in TO"
    if not dry_run:
        yield "now let workers, services and whoever posts use TO; FROM is as it was"
