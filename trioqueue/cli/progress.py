"""A line that says how far long work is: on a terminal only, and only if it lasts."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Final, TextIO, final

from trioqueue.cli.output import cut, is_quiet

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

PATIENCE_SECONDS: Final = 1.0
"""Work that is done by then shows nothing."""
BETWEEN_SECONDS: Final = 0.1
BAR_WIDTH: Final = 24
_ERASE: Final = "\r\x1b[2K"


@final
class Progress:
    """Draws a bar on standard error while the block lasts, and wipes it away.

    Call it with how much is done and how much there is.

    Attributes:
        done: How much is done.
        total: How much there is; 0 as long as nobody has said so.
    """

    def __init__(
        self,
        title: str,
        *,
        stream: TextIO | None = None,
        now: Callable[[], float] = time.monotonic,
        counts: bool = True,
    ) -> None:
        """Begin to count the time.

        Args:
            title: What is being done, such as ``requeueing``.
            stream: Where to draw (default: standard error).
            now: Tells the time, in seconds.
            counts: Whether the numbers mean something to people; else percents do.
        """
        self.done = 0
        self.total = 0
        self._title = title
        self._stream = sys.stderr if stream is None else stream
        self._now = now
        self._counts = counts
        self._began = now()
        self._next = self._began + PATIENCE_SECONDS
        self._drawn = False
        self._draws = _can_draw(self._stream)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._drawn:
            self._write(_ERASE)
            self._drawn = False

    def __call__(self, done: int, total: int) -> None:
        """Say how far the work is."""
        self.done, self.total = done, total
        if not self._draws:
            return
        now = self._now()
        if now >= self._next:
            self._next = now + BETWEEN_SECONDS
            self._drawn = True
            line = cut(self.line(now - self._began), _width(self._stream))
            self._write(_ERASE + line)

    def line(self, seconds: float) -> str:
        """Return the line to draw after so many seconds."""
        part = min(1.0, self.done / self.total) if self.total else 1.0
        full = int(part * BAR_WIDTH)
        bar = f"[{'#' * full}{'-' * (BAR_WIDTH - full)}] {int(part * 100):>3}%"
        rest = _left(seconds * (1 - part) / part) if part > 0 else ""
        if not self._counts:
            return f"{self._title} {bar}{rest}"
        rate = self.done / seconds if seconds > 0 else 0
        numbers = f"{self.done:,} of {self.total:,}, {rate:,.0f}/s"
        return f"{self._title} {bar}  {numbers}{rest}"

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self._draws = False  # the terminal has gone; the work goes on


def _left(seconds: float) -> str:
    from trioqueue.cli.parameters import show_duration

    return f", {show_duration(round(seconds))} left" if seconds >= 1 else ""


def _width(stream: TextIO) -> int:
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    # A terminal may not know, and a full line would begin another.
    return max((columns or 80) - 1, 10)


def _can_draw(stream: TextIO) -> bool:
    return not is_quiet() and stream.isatty() and os.environ.get("TERM") != "dumb"
