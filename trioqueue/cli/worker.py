"""``trioqueue worker``: run an app's tasks until told to stop."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import logging
import os
import sys
import traceback
from typing import Any, Final

import click

from trioqueue.cli import parameters
from trioqueue.cli.failures import CUT_OFF, FAILED, Failure, explain
from trioqueue.cli.output import say
from trioqueue.cli.session import Session, db_option, quiet_option, with_session

LEVELS: Final = ("debug", "info", "warning", "error")
LOG_FORMATS: Final = ("text", "json")


@click.command()
@click.argument("app", metavar="MODULE:APP")
@click.option(
    "--queue",
    "queues",
    multiple=True,
    metavar="NAME",
    help="Work on this queue only (repeat for more).  [default: all the app's queues]",
)
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    metavar="N",
    default=100,
    show_default=True,
    help="How many jobs run at once.",
)
@click.option(
    "--grace",
    type=parameters.duration,
    default="30s",
    show_default=True,
    metavar="SPAN",
    help="How long jobs may go on once the worker is told to stop.",
)
@click.option(
    "--log-level",
    type=click.Choice(LEVELS, case_sensitive=False),
    default="info",
    show_default=True,
    help="What to log on standard error, unless the app configures logging itself.",
)
@click.option(
    "--log-format",
    type=click.Choice(LOG_FORMATS),
    default="text",
    show_default=True,
    help="How to write it: for people, or one JSON object a line.",
)
@click.option(
    "--metrics",
    metavar="[HOST:]PORT",
    help="Serve /metrics for Prometheus, /healthz and /readyz there; a PORT alone "
    "listens on this machine only, :PORT on every address.",
)
@click.option(
    "--drain", is_flag=True, help="End as soon as nothing is ready to be run."
)
@click.option(
    "--max-jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="End after so many jobs.",
)
@click.option(
    "--reload",
    is_flag=True,
    help="Start anew when a Python file below this directory changes; for development.",
)
@db_option()
@quiet_option()
@with_session
def worker(
    session: Session,
    /,
    *,
    app: str,
    queues: tuple[str, ...],
    concurrency: int,
    grace: float,
    log_level: str,
    log_format: str,
    metrics: str | None,
    drain: bool,
    max_jobs: int | None,
    reload: bool,
) -> None:
    """Run the tasks of the App at MODULE:APP, and all services, until stopped.

    The module is looked for in the current directory first; without MODULE:APP it is
    that of TRIOQUEUE_APP, or of app in pyproject.toml.  Ctrl-C or SIGTERM stops
    gracefully: no new jobs are taken, those that run may finish within --grace, and the
    rest go back to their queues (exit code 9).  A second one cuts them off at once (130
    or 143).

    \b
    Examples:
      trioqueue worker jobs:app
      trioqueue worker myproject.jobs:app --queue emails --queue reports --grace 1m
    """  # noqa: D301  \b tells click not to wrap a paragraph
    if reload:
        from trioqueue.cli.reload import reload_worker

        raise SystemExit(reload_worker(session.url))
    found = load_app(app)
    configure_logs(log_level, log_format)
    import trio

    from trioqueue.store.url import hide_password

    which = f"queues {', '.join(queues)}" if queues else "all its queues"
    say(f"worker: {app} on {hide_password(session.url)}, {which}; Ctrl-C stops it")
    run = functools.partial(
        found.run,
        session.url,
        queues=list(queues) or None,
        concurrency=concurrency,
        grace_seconds=grace,
        drain=drain,
        max_jobs=max_jobs,
        metrics=metrics,
    )
    try:
        end = trio.run(run)
    except Exception as error:
        if explain(error) is None:
            # A fault in the program, hours in perhaps: where it is must not get lost.
            traceback.print_exception(error)
            raise Failure("the worker ended by an unexpected error") from error
        raise
    _tell(end)


def configure_logs(level: str, form: str) -> None:
    """Log to standard error, unless the app has configured logging itself."""
    from trioqueue.logs import JobFilter, JsonFormatter, TextFormatter

    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    handler.addFilter(JobFilter())
    logging.basicConfig(level=level.upper(), handlers=[handler])


def _tell(end: object) -> None:
    """Say how the worker ended, and exit with the code that tells it."""
    from trioqueue.running import HowEnded, RunEnd

    if not isinstance(end, RunEnd):
        return  # something else with a `run`
    match end.how:
        case HowEnded.CUT_OFF:
            raise Failure(
                "the grace was over: jobs were cut off and given back", CUT_OFF
            )
        case HowEnded.ABORTED:
            text = "told to stop twice: jobs were cut off and given back"
            raise Failure(text, 128 + (end.signal or 0))
        case HowEnded.DRAINED:
            say("worker: nothing is left to do")
        case HowEnded.LIMITED:
            say("worker: it has run as many jobs as it may")
        case _:
            say("worker: stopped; every job has finished")


def load_app(reference: str) -> Any:
    """Import an App by ``module:attribute``.

    Raises:
        Failure: There is no such thing, with the reason.
    """
    module_name, _, attribute = reference.partition(":")
    if not module_name or not attribute:
        raise click.BadParameter(
            f"{reference!r} is not MODULE:APP; write e.g. jobs:app for the App called "
            "'app' in jobs.py",
            param_hint="'MODULE:APP'",
        )
    here = os.getcwd()  # noqa: PTH109  sys.path holds texts
    if here not in sys.path:
        sys.path.insert(0, here)
    found: Any = _import(module_name, here)
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise _wrong(f"{module_name!r} has no {attribute!r}") from None
    if isinstance(found, type) or not inspect.iscoroutinefunction(
        getattr(found, "run", None)
    ):
        kind = "a class" if isinstance(found, type) else f"a {type(found).__name__}"
        raise _wrong(f"{reference!r} is {kind}, not an App")
    return found


def _import(name: str, here: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            raise _wrong(
                f"there is no module {missing!r} in {here} or on the Python path"
            ) from None
        problem: Exception = error
    except Exception as error:  # noqa: BLE001  whatever the user's module raises
        problem = error
    frames = traceback.extract_tb(problem.__traceback__)
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    raise Failure(
        f"importing {name!r} failed: {type(problem).__name__}: {problem}{where}; "
        f"python -c 'import {name}' shows more",
        FAILED,
    ) from problem


def _wrong(text: str) -> click.BadParameter:
    return click.BadParameter(text, param_hint="'MODULE:APP'")
