"""``trioqueue copy``: everything of one database into another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from trioqueue.cli.copy_view import in_options, show_report
from trioqueue.cli.progress import Progress
from trioqueue.cli.session import (
    Session,
    format_option,
    may_exist,
    quiet_option,
    with_session,
)

if TYPE_CHECKING:
    from trioqueue.store.copying import CopyReport

Running = Literal["refuse", "expire"]


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
@quiet_option()
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
    Session(source, form).check_file(create=False)
    Session(target, form).check_file(create=True)
    if dry_run:
        report = _plan(source, target, running)
    else:
        report = _copy(source, target, running, discard=discard)
    show_report(
        session,
        report,
        verb="copied",
        dry_run=dry_run,
        end="now let workers, services and whoever posts use TO; FROM is as it was",
    )


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

    return in_options(lambda: trio.run(main))


def _copy(source: str, target: str, running: Running, *, discard: bool) -> CopyReport:
    import trio

    from trioqueue.store import open_store
    from trioqueue.store.copying import copy_store

    async def main() -> CopyReport:
        async with (
            open_store(source, migrate=False) as begin,
            open_store(target) as end,
        ):
            with Progress("copying") as progress:
                return await copy_store(
                    begin, end, running=running, discard=discard, progress=progress
                )

    return in_options(lambda: trio.run(main))
