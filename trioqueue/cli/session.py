"""What every command shares: ``--db``, ``-o``, and a store to work on."""

from __future__ import annotations

import functools
import os
import shlex
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

import click

from trioqueue.cli.failures import UNAVAILABLE, USAGE, Failure
from trioqueue.cli.output import FORMATS, QUIET, Output, on_terminal

if TYPE_CHECKING:
    from trioqueue.store import Store

T = TypeVar("T")
P = ParamSpec("P")
AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

DEFAULT_URL: Final = "sqlite:///trioqueue.db"
DB_VARIABLE: Final = "TRIOQUEUE_DB"
FORMAT_VARIABLE: Final = "TRIOQUEUE_OUTPUT"
_URL: Final = "trioqueue.url"
_FORMAT: Final = "trioqueue.format"


class Session:
    """One run of one command: the store's URL, and where output goes."""

    def __init__(self, url: str, form: str) -> None:
        self.url = url
        self.output = Output(form)

    def run(self, work: Callable[[Store], Awaitable[T]], *, create: bool = False) -> T:
        """Open the store, do the work in it, close it.

        Args:
            work: What to do with the store.
            create: Make the database, or bring it up to date, if need be.  Without it,
                looking for a database never leaves a new file behind.
        """
        import trio

        from trioqueue.store import open_store

        self.check_file(create=create)

        async def main() -> T:
            async with open_store(self.url, migrate=create) as store:
                return await work(store)

        return trio.run(main)

    def exists(self) -> bool:
        """Say whether there is such a database file; a server is taken to be there."""
        if not self.url.startswith("sqlite:"):
            return True
        from trioqueue.store.url import parse_url

        return may_exist(parse_url(self.url).path)

    def check_file(self, *, create: bool) -> None:
        """Refuse a database that is no file, or, unless `create`, no file yet."""
        if not self.url.startswith("sqlite:"):
            return
        from trioqueue.store.url import parse_url

        path = parse_url(self.url).path
        if path == ":memory:":
            raise Failure(
                "a database in memory ends with this command; name a file instead: "
                "--db sqlite:///jobs.db",
                USAGE,
            )
        if create or may_exist(path):
            return
        option = "" if self.url == DEFAULT_URL else f"--db {shlex.quote(self.url)} "
        raise Failure(
            f"the database file {path!r} does not exist; create it with: trioqueue "
            f"{option}init (or name another with --db or {DB_VARIABLE})",
            UNAVAILABLE,
        )


def may_exist(path: str) -> bool:
    """Say whether there is such a file, or something that opening it will tell."""
    try:
        os.stat(path)  # noqa: PTH116  a Path would hide which error it was
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True  # opening it will say what is wrong
    return True


def _remember(key: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def keep(ctx: click.Context, _: click.Parameter, value: object) -> None:
        # Contexts share this dict, and inner ones are made later: the option nearest
        # to the end of the line wins.
        if value is not None:
            ctx.meta[key] = value

    return keep


def db_option(*, root: bool = False) -> Callable[[AnyFunction], AnyFunction]:
    """Add ``--db``; only the root reads the environment, or it would win over options.

    Args:
        root: Whether this is the outermost command.
    """
    return click.option(
        "--db",
        metavar="URL",
        envvar=DB_VARIABLE if root else None,
        expose_value=False,
        callback=_remember(_URL),
        help=f"The store's database.  [env: {DB_VARIABLE}; default: {DEFAULT_URL}]",
    )


def format_option(*, root: bool = False) -> Callable[[AnyFunction], AnyFunction]:
    """Add ``-o``.

    Args:
        root: Whether this is the outermost command.
    """
    return click.option(
        "-o",
        "--output",
        type=click.Choice(FORMATS),
        envvar=FORMAT_VARIABLE if root else None,
        expose_value=False,
        callback=_remember(_FORMAT),
        help=(
            "table: for people; plain: tab-separated, no header; json: one document; "
            f"jsonl: one object a line.  [env: {FORMAT_VARIABLE}; default: table on a "
            "terminal, else plain]"
        ),
    )


def quiet_option() -> Callable[[AnyFunction], AnyFunction]:
    """Add ``-q``."""
    return click.option(
        "-q",
        "--quiet",
        is_flag=True,
        default=None,
        expose_value=False,
        callback=_remember(QUIET),
        help="Say nothing on standard error but errors.",
    )


def chosen_format() -> str | None:
    """Return the format that was asked for, if one was."""
    form: str | None = click.get_current_context().meta.get(_FORMAT)
    return form


def chosen_url(ctx: click.Context) -> str:
    """Return the database to work on."""
    url: str = ctx.meta.get(_URL, DEFAULT_URL)
    return url


def common_options(function: AnyFunction) -> AnyFunction:
    """Add the options that every command has."""
    return db_option()(format_option()(quiet_option()(function)))


def with_session(
    function: Callable[Concatenate[Session, P], T],
) -> Callable[P, T]:
    """Hand a command its session as the first argument."""

    @functools.wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> T:
        url = chosen_url(click.get_current_context())
        form = chosen_format() or ("table" if on_terminal() else "plain")
        return function(Session(url, form), *args, **kwargs)

    return command
