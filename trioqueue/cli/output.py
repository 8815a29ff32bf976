"""Printing: data on standard output, in the format asked for; all else on stderr."""

from __future__ import annotations

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, Any, Final, NamedTuple

import click

Document = Mapping[str, Any]

FORMATS: Final = ("table", "json", "jsonl", "plain")
QUIET: Final = "trioqueue.quiet"
"""Where the command's context keeps whether ``-q`` was said."""
GAP: Final = "  "
ELLIPSIS: Final = "…"
NARROWEST: Final = 6
"""No column of free text is cut below this width ..."""
LONGEST_NAME: Final = 40
"""... and no other column below this one."""


class Column(NamedTuple):
    """One column of a list.

    Attributes:
        header: Its name; only tables show it.
        value: What of a document stands in it.
        show: How a table writes that for people (default: as it is).
        free: Free text, cut first; names and ids are copied from here, so they stay
            whole as long as possible.
    """

    header: str
    value: Callable[[Document], Any]
    show: Callable[[Any], str] | None = None
    free: bool = False


def field(name: str) -> Callable[[Document], Any]:
    """Read one field of a document, or of a document inside it (``a.b``)."""

    def read(document: Document) -> Any:
        value: Any = document
        for key in name.split("."):
            value = value[key]
        return value

    return read


class Output:
    """Prints documents in one format."""

    def __init__(self, form: str) -> None:
        self.form = form

    def items(
        self, documents: Sequence[Document], columns: Sequence[Column], *, empty: str
    ) -> None:
        """Print a list; an empty one says so, on stderr.

        Args:
            documents: What to print.
            columns: The columns of a table, or of plain lines.
            empty: What to say if there is nothing.
        """
        if not documents:
            say(empty)
        match self.form:
            case "json":
                write(_json(documents))
            case "jsonl":
                write_lines(map(_json_line, documents))
            case "plain":
                write_lines(
                    "\t".join(_plain(column.value(document)) for column in columns)
                    for document in documents
                )
            case _ if documents:
                write_lines(table(documents, columns))

    def item(self, document: Document, lines: Callable[[], Iterable[str]]) -> None:
        """Print one thing.

        Args:
            document: The thing.
            lines: Makes what people read.
        """
        match self.form:
            case "json":
                write(_json(document))
            case "jsonl":
                write(_json_line(document))
            case "plain":
                write_lines(f"{key}\t{_plain(v)}" for key, v in flat(document))
            case _:
                write_lines(lines())

    def done(self, name: object, document: Document, text: str) -> None:
        """Print what was changed: its name (JSON: all of it); on stderr, a sentence."""
        match self.form:
            case "json":
                write(_json(document))
            case "jsonl":
                write(_json_line(document))
            case _:
                write(_plain(name))
        say(text)


def on_terminal() -> bool:
    """Say whether standard output is a terminal; it may be closed."""
    return sys.stdout is not None and sys.stdout.isatty()


def standard_input() -> IO[bytes]:
    """Return standard input.

    Raises:
        click.UsageError: It is closed.
    """
    if sys.stdin is None:
        raise click.UsageError("standard input is closed")
    return sys.stdin.buffer


def say(text: str) -> None:
    """Tell whoever sits at the terminal, unless quiet; no part of the data."""
    if not is_quiet():
        click.echo(text, err=True)


def is_quiet() -> bool:
    """Say whether only errors are to be told (``-q``)."""
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.meta.get(QUIET))


def without_colour(ctx: click.Context, *, always: bool) -> None:
    """Strip colours from all that is written, if somebody asked for that."""
    if always or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        ctx.color = False


def write(text: str) -> None:
    """Write data."""
    click.echo(text)


def write_lines(lines: Iterable[str]) -> None:
    """Write data, in one go."""
    text = "".join(f"{line}\n" for line in lines)
    if text:
        click.echo(text, nl=False)


def flat(document: Document, prefix: str = "") -> Iterable[tuple[str, Any]]:
    """List a document's fields; those of a document inside it as ``a.b``."""
    for key, value in document.items():
        # What the user put in stays in one piece.
        own = key in ("payload", "metadata", "result")
        if isinstance(value, Mapping) and not own:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def pairs(rows: Iterable[tuple[str, str]]) -> Iterable[str]:
    """Write names and values below one another, the values aligned."""
    rows = list(rows)
    longest = max(len(name) for name, _ in rows)
    for name, value in rows:
        yield f"{name:<{longest}}{GAP}{value}".rstrip()


def table(documents: Iterable[Document], columns: Sequence[Column]) -> Iterable[str]:
    """Write a table, cut to the width of the terminal."""
    rows = [[column.header for column in columns]]
    rows += [[_cell(column, document) for column in columns] for document in documents]
    natural = [max(map(text_width, cells)) for cells in zip(*rows, strict=True)]
    most = terminal_width()
    widths = natural if most is None else _fit(natural, columns, most)
    for row in rows:
        cells = [fill(cell, width) for cell, width in zip(row, widths, strict=True)]
        line = GAP.join(cells).rstrip()
        yield line if most is None else cut(line, most)


def _cell(column: Column, document: Document) -> str:
    value = column.value(document)
    if value is None:
        return "-"
    return _plain(value if column.show is None else column.show(value))


def _fit(natural: list[int], columns: Sequence[Column], most: int) -> list[int]:
    """Cut the widest columns until a line fits, or none can be cut any more."""
    widths = list(natural)
    everything = range(len(columns))
    free = [index for index in everything if columns[index].free]
    for some, floor in ((free, NARROWEST), (everything, LONGEST_NAME)):
        while some:
            excess = sum(widths) + len(GAP) * (len(widths) - 1) - most
            widest = max(some, key=widths.__getitem__)
            room = widths[widest] - floor
            if excess <= 0 or room <= 0:
                break
            widths[widest] -= min(excess, room)
    return widths


def terminal_width() -> int | None:
    """Return how wide a line may be; None where nobody looks at it."""
    if os.environ.get("COLUMNS", "").isdigit() or on_terminal():
        return max(20, shutil.get_terminal_size().columns)
    return None


def text_width(text: str) -> int:
    """Return how many cells of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_char_width, text))


def _char_width(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Cf", "Me", "Mn"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, width: int) -> str:
    """Shorten a text to so many cells, marking that it was cut."""
    if text_width(text) <= width:
        return text
    kept, used = [], 0
    for char in text:
        used += _char_width(char)
        if used > width - 1:
            break
        kept.append(char)
    return "".join(kept) + ELLIPSIS


def fill(text: str, width: int) -> str:
    """Bring a text to exactly so many cells."""
    text = cut(text, width)
    return text + " " * (width - text_width(text))


def safe(text: str) -> str:
    r"""Write control characters as ``\n`` or ``\x1b``: data moves no cursor."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text
    )


def _plain(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return safe(value)
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"{value}"
        case _:
            return safe(compact(value))


def to_second(instant: str) -> str:
    """Shorten an ISO 8601 instant to the second."""
    return instant[:19] + instant[26:]


def compact(value: Any) -> str:
    """Write a JSON value on one line."""
    return json.dumps(value, ensure_ascii=False)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=_must_escape(), indent=2)


def _json_line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=_must_escape())


def _must_escape() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
