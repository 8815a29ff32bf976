"""``trioqueue migrate``: a database's tables, brought up to date."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from trioqueue.cli.failures import FAILED, SCHEMA_VERSION, Failure
from trioqueue.cli.output import write
from trioqueue.cli.session import Session, common_options, may_exist, with_session

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioqueue.store import Store


@click.command()
@click.option(
    "--check", is_flag=True, help="Change nothing; exit code 1 if it is not up to date."
)
@click.option(
    "--sql", "as_sql", is_flag=True, help="Change nothing; print the SQL that would."
)
@click.option(
    "--from-version",
    type=click.IntRange(min=0),
    metavar="N",
    help="With --sql: from this schema version.  [default: SQLite: as the file has it; "
    "PostgreSQL, where no server is asked: 0]",
)
@common_options
@with_session
def migrate(
    session: Session, /, *, check: bool, as_sql: bool, from_version: int | None
) -> None:
    """Bring a database's tables up to date, or make them.

    Opening a store does the same, unless it is opened with migrate=False.  Any number
    of processes may do so at once.

    Where the program may not change tables, let somebody who may run the SQL:

    \b
      trioqueue migrate --sql | psql jobs
      trioqueue migrate --sql | sqlite3 jobs.db
    """  # noqa: D301  \b tells click not to wrap a paragraph
    if check and as_sql:
        raise click.UsageError("--check and --sql do not go together")
    if from_version is not None and not as_sql:
        raise click.UsageError("--from-version goes with --sql")
    session.check_file(create=True)
    if as_sql:
        write(_script(session.url, from_version).rstrip("\n"))
        return
    found, known = versions_at(session.url)
    if check:
        _tell(session, found, known, done=False)
        if found != known:
            click.get_current_context().exit(FAILED)
        return

    async def work(_: Store) -> None:
        """Opening has done it."""
        import trio

        await trio.lowlevel.checkpoint()

    session.run(work, create=True)
    _tell(session, found, known, done=True)


def _tell(session: Session, found: int, known: int, *, done: bool) -> None:
    document = {"from_version": found, "version": known, "up_to_date": found == known}
    if found == known:
        text = f"up to date: version {known}"
    elif done:
        document["up_to_date"] = True
        text = f"migrated from version {found} to {known}"
    else:
        text = f"not up to date: version {found}, this trioqueue needs {known}"
    session.output.done(known if done else found, document, text)


def _is_sqlite(url: str) -> bool:
    return not url.startswith(("postgresql:", "postgres:"))


def versions_at(url: str) -> tuple[int, int]:
    """Return the schema version that a database has, and the one it needs."""
    if _is_sqlite(url):
        from trioqueue.store.sqlite import migrations as sqlite
        from trioqueue.store.sqlite import scripting
        from trioqueue.store.url import parse_url

        path = parse_url(url).path
        found = scripting.version_of(path) if may_exist(path) else 0
        return found, sqlite.SCHEMA_VERSION
    import trio

    from trioqueue.doctor.postgres_version import version_at
    from trioqueue.store.postgres import migrations as postgres

    return trio.run(version_at, url), postgres.SCHEMA_VERSION


def _script(url: str, from_version: int | None) -> str:
    write_script: Callable[[int], str]
    if _is_sqlite(url):
        from trioqueue.store.sqlite import migrations as sqlite
        from trioqueue.store.sqlite import scripting

        known, write_script = sqlite.SCHEMA_VERSION, scripting.script
        version = versions_at(url)[0] if from_version is None else from_version
    else:
        from trioqueue.store.postgres import migrations as postgres
        from trioqueue.store.url import parse_url

        known, version = postgres.SCHEMA_VERSION, from_version or 0
        write_script = partial(postgres.script, parse_url(url).schema)
    if version > known:
        raise Failure(
            f"the schema is at version {version}, this trioqueue knows versions up to "
            f"{known}; upgrade trioqueue",
            SCHEMA_VERSION,
        )
    return write_script(version)
