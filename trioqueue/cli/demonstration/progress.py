"""What people see while the demo runs, on standard error."""

from __future__ import annotations

import shutil
import sys
from typing import Final, final

import click

from trioqueue.cli.output import safe

BAR_WIDTH: Final = 40
QUARTERS: Final = 4


@final
class Progress:
    """A bar on a terminal, and a line for each quarter elsewhere; and what happens."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._on_terminal = sys.stderr.isatty()
        self._bar = ""
        self._quarter = 0

    def say(self, text: str) -> None:
        """Tell what has happened, above the bar."""
        self._draw("")
        click.echo(safe(text), err=True)

    def show(self, done: int) -> None:
        """Show how many messages are done."""
        counted = f"{done:,} of {self._total:,}"
        if self._on_terminal:
            width = max(0, min(BAR_WIDTH, _columns() - len(counted) - 5))
            full = width * done // self._total
            self._draw(f"[{'#' * full}{'-' * (width - full)}] {counted}")
        elif (quarter := QUARTERS * done // self._total) > self._quarter:
            self._quarter = quarter
            click.echo(f"{counted} messages done", err=True)

    def close(self) -> None:
        """Leave a clean line behind."""
        if self._bar:
            click.echo(err=True)
            self._bar = ""

    def _draw(self, bar: str) -> None:
        if bar == self._bar:
            return
        # Spaces, not an escape sequence: every terminal understands them.
        rest = " " * (len(self._bar) - len(bar))
        back = "" if bar else "\r"
        click.echo(f"\r{bar}{rest}{back}", nl=False, err=True)
        self._bar = bar


def _columns() -> int:
    return shutil.get_terminal_size().columns
