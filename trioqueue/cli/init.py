"""``trioqueue init``: a database, and an app to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from trioqueue.cli.failures import CONFLICT, FAILED, USAGE, Failure
from trioqueue.cli.output import say
from trioqueue.cli.session import Session, common_options, with_session

if TYPE_CHECKING:
    from trioqueue.store import Store

STARTER: Final = '''"""Tasks of this project.

Run them:   trioqueue --db {url} worker {module}:app
Post one:   python {file} Ada
"""

import sys

import trio

import trioqueue

app = trioqueue.App()


@app.task
async def greet(name: str) -> None:
    print(f"Hello, {{name}}!", flush=True)


async def main(name: str) -> None:
    async with app.open({literal}):
        handle = await greet.enqueue(name)
        print(f"posted {{handle.message_id}}")


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
'''


@click.command()
@click.option(
    "--app",
    "app_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a small app to begin with, such as app.py; a file that is there is "
    "left alone.",
)
@common_options
@with_session
def init(session: Session, /, *, app_file: Path | None) -> None:
    """Make the database at --db, or say that it is there; nothing is overwritten.

    Tables of an older trioqueue are brought up to date, as 'trioqueue migrate' does.

    \b
    Examples:
      trioqueue init
      trioqueue --db sqlite:///jobs.db init --app app.py
    """  # noqa: D301  \b tells click not to wrap a paragraph
    if app_file is not None:
        _check(app_file)
    from trioqueue.cli.migrate import versions_at
    from trioqueue.store.url import hide_password

    session.check_file(create=True)
    found, known = versions_at(session.url)

    async def work(_: Store) -> None:
        """Opening has done it."""
        import trio

        await trio.lowlevel.checkpoint()

    session.run(work, create=True)
    url = hide_password(session.url)  # the app is given no password either
    written = None if app_file is None else _write(app_file, url)
    document = {
        "db": url,
        "created": found == 0,
        "version": known,
        "app": None if app_file is None else str(app_file),
        "app_created": bool(written),
    }
    if found == 0:
        text = f"made the database {url}, version {known}"
    elif found == known:
        text = f"the database {url} is there already, version {known}"
    else:
        text = f"brought the database {url} from version {found} to {known}"
    session.output.done(url, document, text)
    if app_file is not None:
        module = app_file.stem
        say(f"wrote {app_file}" if written else f"{app_file} is there; left as it is")
        say(f"next: trioqueue worker {module}:app")


def _check(path: Path) -> None:
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise Failure(
            f"{str(path)!r} is no module's file; write e.g. --app app.py", USAGE
        )


def _write(path: Path, url: str) -> bool:
    """Write the starter; False if there is such a file already."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(
                STARTER.format(
                    module=path.stem, file=path.name, url=url, literal=_literal(url)
                )
            )
    except FileExistsError:
        return False
    except OSError as error:
        code = CONFLICT if path.is_dir() else FAILED
        raise Failure(f"cannot write {path}: {error.strerror}", code) from error
    return True


def _literal(url: str) -> str:
    """Write a URL as Python does in this code."""
    import json

    return json.dumps(url)
