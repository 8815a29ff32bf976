"""The command itself: its options, its subcommands, its exit codes."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from trioqueue.cli.failures import EXIT_CODES, translated
from trioqueue.cli.lazy import LazyCommand, LazyGroup
from trioqueue.cli.session import db_option, format_option

COMMANDS: Final = {
    "demo": LazyCommand(
        "trioqueue.cli.demo:demo",
        "See it work: real jobs, a worker killed, every result checked.",
    ),
    "worker": LazyCommand(
        "trioqueue.cli.worker:worker", "Run an app's tasks, and the services."
    ),
    "queue": LazyCommand(
        "trioqueue.cli.queue:queue", "List, show, create, pause and resume queues."
    ),
    "message": LazyCommand(
        "trioqueue.cli.message:message", "Post, peek at, show and cancel messages."
    ),
    "dlq": LazyCommand(
        "trioqueue.cli.dlq:dlq", "List, requeue and purge dead letters."
    ),
    "schedule": LazyCommand(
        "trioqueue.cli.schedule:schedule",
        "Create, look at, pause and trigger schedules.",
    ),
    "copy": LazyCommand(
        "trioqueue.cli.copy:copy", "Copy everything into another database."
    ),
    "migrate": LazyCommand(
        "trioqueue.cli.migrate:migrate", "Bring a database's tables up to date."
    ),
    "doctor": LazyCommand(
        "trioqueue.cli.doctor:doctor", "Look for what is wrong with a database."
    ),
}
"""Every subcommand; one whose module is not there does not exist."""


class Root(LazyGroup):
    """The outermost group: every error below it leaves as one line and a code."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Read the command line."""
        with translated():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand."""
        with translated():
            return super().invoke(ctx)


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if not value:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("trioqueue")
    except PackageNotFoundError:
        number = "(not installed)"
    click.echo(f"trioqueue {number}")
    ctx.exit()


def _epilog() -> str:
    codes = "\n".join(f"  {code:>3}  {text}" for code, text in EXIT_CODES.items())
    return f"""\b
Exit codes:
{codes}

\b
Examples:
  trioqueue queue create emails --max-attempts 5 --retention keep:1d
  trioqueue message post emails '{{"to": "a@example.org"}}' --delay 10m
  trioqueue worker jobs:app --concurrency 20
  trioqueue -o json queue show emails
  trioqueue dlq requeue emails --all --spread 10m
  trioqueue schedule create nightly emails --cron '30 2 * * *' --tz Europe/Paris

Data goes to standard output, everything else to standard error.
"""


@click.group(
    "trioqueue",
    cls=Root,
    lazy=COMMANDS,
    epilog=_epilog(),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@db_option(root=True)
@format_option(root=True)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """A durable message queue for Trio.

    --db and -o may also stand after the subcommand.
    """


def main() -> None:
    """Run the command on the process's own arguments; it exits."""
    for stream in (sys.stdout, sys.stderr):
        # Where a character cannot be written, its escape is better than a crash.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    cli(prog_name="trioqueue")
