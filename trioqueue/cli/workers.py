"""``trioqueue worker``: run one, and beside that: see those that run, quiet one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from trioqueue.cli.output import Column, field, to_second
from trioqueue.cli.session import Session, common_options, with_session
from trioqueue.cli.worker import worker as run

if TYPE_CHECKING:
    from trioqueue.cli.documents import Document
    from trioqueue.model import WorkerInfo
    from trioqueue.store import Store

_WITH_VALUE: Final = ("--db", "-o", "--output")


class WorkerGroup(click.Group):
    """A group whose command, where no subcommand is named, is the one that works."""

    alone = run
    """The command without a subcommand."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Read the arguments as the subcommand's, or else as those of a worker."""
        if self._names_one_of_ours(args) or (
            not args and extra.get("resilient_parsing")
        ):
            return super().make_context(info_name, args, parent, **extra)
        if "--help" in args or "-h" in args:
            return super().make_context(info_name, ["--help"], parent, **extra)
        return run.make_context(info_name, args, parent, **extra)

    def _names_one_of_ours(self, args: list[str]) -> bool:
        rest = iter(args)
        for arg in rest:
            if arg in _WITH_VALUE:
                next(rest, None)
            elif not arg.startswith("-"):
                return arg in self.commands
        return False

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Explain how to run a worker, and name what else there is."""
        inner = click.Context(run, info_name=ctx.info_name, parent=ctx.parent)
        run.format_help(inner, formatter)
        self.format_commands(ctx, formatter)


@click.group(cls=WorkerGroup)
@common_options
def worker() -> None:
    """Run the tasks of an App; see the workers that run, and quiet one."""


@worker.command("list")
@click.option(
    "--all",
    "everyone",
    is_flag=True,
    help="Also those that no longer say that they are alive.",
)
@common_options
@with_session
def list_command(session: Session, /, *, everyone: bool) -> None:
    """List the workers that are alive, in whatever process.

    A worker says every 10 seconds that it is alive; one that has missed three of these
    beats was killed, is cut off, or sleeps.
    """

    async def work(store: Store) -> list[Document]:
        found = await store.list_workers(include_stale=everyone)
        return [worker_document(each) for each in found]

    session.output.items(
        session.run(work),
        WORKER_COLUMNS,
        empty="no worker is alive; start one with: trioqueue worker MODULE:APP",
    )


@worker.command("quiet")
@click.argument("worker_id", metavar="ID")
@click.option("--resume", is_flag=True, help="Let it claim again.")
@common_options
@with_session
def quiet_command(session: Session, /, *, worker_id: str, resume: bool) -> None:
    """Let a worker claim nothing more; what it runs, it finishes.

    It hears of it within 10 seconds, and stays quiet until --resume, or until it is
    started anew.  ID: as `trioqueue worker list` shows it.
    """

    async def work(store: Store) -> WorkerInfo:
        return await store.quiet_worker(worker_id, not resume)

    told = session.run(work)
    jobs = "1 job" if told.running == 1 else f"{told.running} jobs"
    how = "may claim again" if resume else f"is quiet; it runs {jobs}"
    session.output.done(worker_id, worker_document(told), f"worker {worker_id!r} {how}")


def worker_document(info: WorkerInfo) -> Document:
    """Describe a worker; `status` says it in a word."""
    from trioqueue.cli.documents import record

    document = record(info)
    document["status"] = worker_status(info)
    return document


def worker_status(info: WorkerInfo) -> str:
    """Say in a word how a worker stands."""
    if info.stale:
        return "stale"
    if info.stopping:
        return "stopping"
    return "quiet" if info.quiet else "working" if info.running else "idle"


WORKER_COLUMNS: Final = (
    Column("WORKER", field("worker_id")),
    Column("STATUS", field("status")),
    Column("RUNNING", field("running")),
    Column("OF", field("concurrency")),
    Column("QUEUES", field("queues"), ", ".join, free=True),
    Column("HOST", field("host")),
    Column("PID", field("pid")),
    Column("VERSION", field("version")),
    Column("SINCE", field("started_at"), to_second),
    Column("LAST BEAT", field("last_beat"), to_second),
)
