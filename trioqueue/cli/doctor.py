"""``trioqueue doctor``: what is wrong with a database, and what to do."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

import click

from trioqueue.cli.failures import PROBLEMS
from trioqueue.cli.output import (
    Column,
    field,
    on_terminal,
    safe,
    say,
    terminal_width,
    write_lines,
)
from trioqueue.cli.session import Session, common_options, with_session

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trioqueue.doctor import Verdict

COLUMNS: Final = (
    Column("LEVEL", field("level")),
    Column("CHECK", field("check")),
    Column("FOUND", field("text"), free=True),
    Column("ADVICE", field("advice"), free=True),
)
WIDTH: Final = 88
"""How wide lines are where nobody says."""


@click.command()
@click.option(
    "--thorough", is_flag=True, help="SQLite: read the whole file and check it."
)
@common_options
@with_session
def doctor(session: Session, /, *, thorough: bool) -> None:
    """Look for what is wrong with a database, and say what to do.

    Each check is ok, a warning (something may hurt) or a problem (something does not
    work).  Nothing in the database is changed.  The exit code is 7 if there is a
    problem.

    \b
    SQLite: the file, its file system and disk, schema, journal, lock, clock.
    PostgreSQL: connection, version, rights, schema, LISTEN, clock, settings,
    transactions that are open for long, dead rows.
    Both: services that do not run, a copy that was interrupted.
    """  # noqa: D301  \b tells click not to wrap a paragraph
    import trio

    from trioqueue.cli.documents import record
    from trioqueue.doctor import Level, examine
    from trioqueue.doctor.verdicts import worst

    async def main() -> list[Verdict]:
        return await examine(session.url, thorough=thorough)

    verdicts = trio.run(main)
    if session.output.form == "table":
        write_lines(_lines(verdicts))
    else:
        documents = [{**record(each), "level": each.level.value} for each in verdicts]
        session.output.items(documents, COLUMNS, empty="nothing was looked at")
    counts = {level: sum(each.level is level for each in verdicts) for level in Level}
    problems, warnings = counts[Level.PROBLEM], counts[Level.WARNING]
    say(
        f"{len(verdicts)} checks: {problems} problem{'' if problems == 1 else 's'}, "
        f"{warnings} warning{'' if warnings == 1 else 's'}"
    )
    if worst(verdicts) is Level.PROBLEM:
        click.get_current_context().exit(PROBLEMS)


def _lines(verdicts: Sequence[Verdict]) -> Iterable[str]:
    """Write verdicts for people, whole: what is cut cannot be followed."""
    longest = max((len(each.check) for each in verdicts), default=0)
    width = terminal_width() or WIDTH
    for each in verdicts:
        level = each.level.value
        colour = {"warning": "yellow", "problem": "red"}.get(level, "green")
        word = click.style(f"{level:<7}", fg=colour) if on_terminal() else f"{level:<7}"
        margin = " " * (longest + 11)
        found = _wrapped(safe(each.text), width - len(margin))
        yield f"{word}  {each.check:<{longest}}  {found[0]}"
        yield from (margin + line for line in found[1:])
        if each.advice:
            for place, line in enumerate(
                _wrapped(safe(each.advice), width - len(margin) - 3)
            ):
                yield f"{margin}{'   ' if place else '-> '}{line}"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, max(20, width), break_long_words=False, break_on_hyphens=False
    ) or [""]
