"""What goes wrong, as one line on standard error and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
CONFLICT: Final = 4
UNAVAILABLE: Final = 5
SCHEMA_VERSION: Final = 6
PROBLEMS: Final = 7
PARTIAL: Final = 8
CUT_OFF: Final = 9
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
TERMINATED: Final = 143

EXIT_CODES: Final = {
    OK: "success",
    FAILED: "failed",
    USAGE: "wrong usage, or input that is not valid",
    NOT_FOUND: "no such queue, message, dead letter, schedule, calendar or worker",
    CONFLICT: "the name is taken, or the state does not allow it",
    UNAVAILABLE: "the database is not there or cannot do the work now",
    SCHEMA_VERSION: "the database was made by another version of trioqueue",
    PROBLEMS: "doctor has found a problem",
    PARTIAL: "some of the messages were left as they are",
    CUT_OFF: "a worker was told to stop, and jobs did not finish within the grace",
    INTERRUPTED: "interrupted by Ctrl-C; a worker: by a second one",
    BROKEN_PIPE: "whoever read the output has gone",
    TERMINATED: "a worker was told to stop twice, the second time by SIGTERM",
}
"""Every exit code, in the words of ``trioqueue --help``."""

DEBUG_VARIABLE: Final = "TRIOQUEUE_DEBUG"
VERBOSE: Final = "trioqueue.verbose"
"""Where the command's context keeps whether ``-v`` was said."""
_CANNOT_WRITE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class Failure(click.ClickException):
    """The command cannot go on: one line, and the exit code."""

    def __init__(self, text: str, exit_code: int = FAILED) -> None:
        super().__init__(" ".join(text.split()))
        # click declares it for classes only, and reads it from the instance.
        self.exit_code = exit_code  # type: ignore[misc]  # see above


class OutputGone(click.ClickException):
    """The reader of standard output has gone, so there is nothing left to say."""

    exit_code = BROKEN_PIPE

    def __init__(self) -> None:
        super().__init__("broken pipe")

    def show(self, file: IO[Any] | None = None) -> None:
        """Say nothing, and let nothing be said at the interpreter's end."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())


@contextmanager
def translated() -> Iterator[None]:
    """Turn whatever goes wrong inside into a click exception.

    Set ``TRIOQUEUE_DEBUG=1`` to see the traceback of an error that should not happen.
    """
    try:
        yield
    except (click.exceptions.Exit, click.exceptions.NoArgsIsHelpError):
        raise
    except (Exception, BaseExceptionGroup, KeyboardInterrupt) as error:
        outcome = _outcome(error)
        if outcome is error:
            raise
        raise outcome from error


def _outcome(error: BaseException) -> BaseException:
    """Return what to raise in place of an error: itself, if nothing says it better."""
    match error:
        case click.UsageError():
            return Failure(_usage_text(error), USAGE)
        case click.Abort(__context__=KeyboardInterrupt()) | KeyboardInterrupt():
            # click aborts alike for Ctrl-C and for the end of input, at a question.
            return Failure("interrupted", INTERRUPTED)
        case click.Abort():
            return Failure("no answer; nothing was done")
        case BrokenPipeError():
            return OutputGone()
        case click.ClickException():
            return error
    failure = explain(error)
    if failure is None and not _shows_tracebacks():
        failure = Failure(
            f"unexpected {type(error).__name__}: {error}; this looks like a fault in "
            f"trioqueue: set {DEBUG_VARIABLE}=1 to see the traceback, and report it"
        )
    return failure or error


def _shows_tracebacks() -> bool:
    ctx = click.get_current_context(silent=True)
    verbose = ctx is not None and bool(ctx.meta.get(VERBOSE))
    return verbose or bool(os.environ.get(DEBUG_VARIABLE))


def _usage_text(error: click.UsageError) -> str:
    text = error.format_message().rstrip(".")
    if isinstance(error, click.BadParameter) and error.ctx and error.param:
        from trioqueue.cli.config import origin_of

        if origin := origin_of(error.ctx, error.param):
            text = f"{text} (it comes from {origin})"
    command = "trioqueue" if error.ctx is None else error.ctx.command_path
    return f"{text}; see '{command} --help'"


def explain(error: BaseException) -> Failure | None:
    """Say what an error of the store means to whoever typed the command.

    Returns:
        The failure to raise in its place; None for an error that should not happen.
    """
    from trioqueue.errors import TrioQueueError

    if isinstance(error, BaseExceptionGroup):
        # One task of a worker failed, or several, most likely for the same reason.
        known = [explain(inner) for inner in error.exceptions]
        return None if None in known else known[0]
    if isinstance(error, Failure):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Failure("interrupted", INTERRUPTED)
    if isinstance(error, OSError) and error.errno in _CANNOT_WRITE:
        return Failure(f"cannot write: {error.strerror}")
    if isinstance(error, TrioQueueError):
        return Failure(_text_of(error), _code_of(error))
    return None


def _text_of(error: Exception) -> str:  # noqa: PLR0911  one for each error
    from trioqueue import errors

    match error:
        case errors.QueueNotFoundError(queue=name):
            remedy = f"create it with: trioqueue queue create {name}"
            return f"queue {name!r} does not exist; {remedy}"
        case errors.WorkerNotFoundError(worker_id=name):
            return f"no worker {name!r} is alive; see them with: trioqueue worker list"
        case errors.QueueExistsError(queue=name):
            remedy = f"see them with: trioqueue queue show {name}"
            return f"queue {name!r} exists with other options; {remedy}"
        case errors.DuplicateMessageError():
            return _in_options(str(error), "message_id", "--id")
        case errors.IllegalStateError():
            return _in_options(str(error), "abort=True", "--abort")
        case errors.SchemaVersionError(found=found, known=known) if found <= known:
            return (
                f"{str(error).partition(';')[0]}; bring the database up to date with "
                "'trioqueue migrate' ('trioqueue queue create NAME' and 'trioqueue "
                "worker' do it as well)"
            )
        case _:
            return str(error)


def _code_of(error: Exception) -> int:
    from trioqueue import errors

    codes: tuple[tuple[type[Exception], int], ...] = (
        (errors.ValidationError, USAGE),
        (errors.NotFoundError, NOT_FOUND),
        (errors.ConflictError, CONFLICT),
        (errors.IllegalStateError, CONFLICT),
        (errors.StoreUnavailableError, UNAVAILABLE),
        (errors.SchemaVersionError, SCHEMA_VERSION),
    )
    return next((code for kind, code in codes if isinstance(error, kind)), FAILED)


def _in_options(text: str, argument: str, option: str) -> str:
    """Name an option of the command where the store names a Python argument."""
    head, found, tail = text.rpartition(argument)
    return f"{head}{option}{tail}" if found else text
