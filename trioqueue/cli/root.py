"""The command itself: its options, its subcommands, its exit codes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import click

from trioqueue.cli import config
from trioqueue.cli.failures import EXIT_CODES, VERBOSE, Failure, translated
from trioqueue.cli.lazy import LazyCommand, LazyGroup
from trioqueue.cli.output import without_colour
from trioqueue.cli.session import (
    Session,
    db_option,
    format_option,
    quiet_option,
    with_session,
)

COMMANDS: Final = {
    "init": LazyCommand(
        "trioqueue.cli.init:init", "Make a database, and an app to begin with."
    ),
    "demo": LazyCommand(
        "trioqueue.cli.demo:demo",
        "See it work: real jobs, a worker killed, every result checked.",
    ),
    "worker": LazyCommand(
        "trioqueue.cli.workers:worker",
        "Run an app's tasks, and the services; list workers, quiet one.",
    ),
    "top": LazyCommand(
        "trioqueue.cli.top:top", "Watch queues, workers and schedules live."
    ),
    "explain": LazyCommand(
        "trioqueue.cli.explain:explain", "Say why a message is not running."
    ),
    "queue": LazyCommand(
        "trioqueue.cli.queue:queue",
        "List, show, create, update, pause and resume queues.",
    ),
    "message": LazyCommand(
        "trioqueue.cli.message:message",
        "Post, list, show, cancel, requeue and delete messages.",
    ),
    "dlq": LazyCommand(
        "trioqueue.cli.dlq:dlq", "List, requeue, delete and purge dead letters."
    ),
    "schedule": LazyCommand(
        "trioqueue.cli.schedule:schedule",
        "Create, look at, pause and trigger schedules.",
    ),
    "schema": LazyCommand(
        "trioqueue.cli.schema:schema", "Register, look at and try JSON Schemas."
    ),
    "metrics": LazyCommand(
        "trioqueue.cli.metrics:metrics",
        "Show metrics; print a dashboard and alert rules.",
    ),
    "copy": LazyCommand(
        "trioqueue.cli.copy:copy", "Copy everything into another database."
    ),
    "export": LazyCommand(
        "trioqueue.cli.export:export", "Write everything as JSON lines: a backup."
    ),
    "import": LazyCommand(
        "trioqueue.cli.import_:import_command", "Read what export has written."
    ),
    "migrate": LazyCommand(
        "trioqueue.cli.migrate:migrate", "Bring a database's tables up to date."
    ),
    "doctor": LazyCommand(
        "trioqueue.cli.doctor:doctor", "Look for what is wrong with a database."
    ),
    "bench": LazyCommand(
        "trioqueue.cli.bench:bench", "Measure what a database can do."
    ),
    "completion": LazyCommand(
        "trioqueue.cli.completion:completion", "Let the shell complete commands."
    ),
    "version": LazyCommand(
        "trioqueue.cli.version:version_command", "Show versions of all that takes part."
    ),
}
"""Every subcommand; one whose module is not there does not exist."""


SHOW_CONFIG: Final = "trioqueue.show_config"
_WRONG: Final = "trioqueue.wrong_configuration"


class Root(LazyGroup):
    """The outermost group: every error below it leaves as one line and a code."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Read the command line, and whatever gives it defaults."""
        with translated():
            found, wrong = config.Configuration(), None
            try:
                found = config.find_configuration(Path.cwd())
            except FileNotFoundError:
                pass  # the directory is gone
            except Failure as failure:
                wrong = failure
            extra.setdefault("default_map", config.defaults_of_root(found))
            extra.setdefault("obj", found)  # that of every command below, too
            ctx = super().make_context(info_name, args, parent, **extra)
            # After that, because help is there whatever a file says.
            ctx.meta[_WRONG] = wrong
            return ctx

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand."""
        with translated():
            wrong: Failure | None = ctx.meta.get(_WRONG)
            if wrong is not None and not _asks_for_help(ctx):
                raise wrong
            if ctx.meta.get(SHOW_CONFIG):
                return self._show_config(ctx)
            return super().invoke(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command, and give its options their defaults."""
        command = super().get_command(ctx, cmd_name)
        if command is None:
            return None
        if ctx.resilient_parsing:  # the shell asks what could come next
            from trioqueue.cli.completion import complete_queues

            complete_queues(command)
        return config.attach(ctx, command)

    def _show_config(self, ctx: click.Context) -> None:
        if rest := [*ctx._protected_args, *ctx.args]:  # noqa: SLF001  click's own
            ctx.fail(f"--show-config goes without a command, such as {rest[0]!r}")
        from trioqueue.cli.show_config import show

        @with_session
        def command(session: Session) -> None:
            show(ctx, session.output, session.url)

        command()


def _asks_for_help(ctx: click.Context) -> bool:
    rest = [*ctx._protected_args, *ctx.args]  # noqa: SLF001  click's own
    if "--" in rest:
        rest = rest[: rest.index("--")]
    return "--help" in rest or "-h" in rest or rest[:1] == ["completion"]


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


def _remember_show(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.meta[SHOW_CONFIG] = value


@click.group(
    "trioqueue",
    cls=Root,
    lazy=COMMANDS,
    epilog=_epilog(),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@db_option(root=True)
@format_option(root=True)
@quiet_option()
@click.option(
    "-v",
    "--verbose",
    count=True,
    help="Log on standard error what the library does (-vv: all of it), and show "
    "tracebacks.",
)
@click.option(
    "--no-color",
    is_flag=True,
    help="No colours.  [env: NO_COLOR]",
)
@click.option(
    "--show-config",
    is_flag=True,
    expose_value=False,
    callback=_remember_show,
    help="Show every setting with its value and where that comes from, and exit.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
@click.pass_context
def cli(ctx: click.Context, /, *, verbose: int, no_color: bool) -> None:
    """A durable message queue for Trio.

    --db, -o and -q may also stand after the subcommand.  What is not given comes from
    the environment, then from [tool.trioqueue] in pyproject.toml, in this directory or
    the nearest above.
    """
    without_colour(ctx, always=no_color)
    if verbose:
        ctx.meta[VERBOSE] = True
        if ctx.invoked_subcommand != "worker":  # which says for itself what to log
            import logging

            form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
            logging.basicConfig(
                level=logging.INFO if verbose == 1 else logging.DEBUG, format=form
            )


def main() -> None:
    """Run the command on the process's own arguments; it exits."""
    for stream in (sys.stdout, sys.stderr):
        # Where a character cannot be written, its escape is better than a crash.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    cli(prog_name="trioqueue")
