"""A terminal taken over for a while, and given back as it was."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from collections.abc import Iterable

_ENTER: Final = "\x1b[?1049h\x1b[?25l"
"""Another page, so that what was there comes back; no cursor."""
_LEAVE: Final = "\x1b[0m\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_PAGE = "\x1b[H", "\x1b[K", "\x1b[J"


@final
class Screen:
    """Draws whole pages on standard output; keys come without Enter, unseen.

    Use it as a context manager; `pause` and `resume` give the terminal back between.
    """

    def __init__(self) -> None:
        self._out = sys.stdout
        self._keys = _keyboard()
        self._before: Any = None
        self.active = False

    @property
    def keys(self) -> int | None:
        """The descriptor that keys come from; None where there is no keyboard."""
        return self._keys

    def size(self) -> tuple[int, int]:
        """Return the width and height, as they are now."""
        try:
            found = os.get_terminal_size(self._out.fileno())
        except OSError:
            return 80, 24
        # Some terminals say 0 by 0 where they do not know.
        return found.columns or 80, found.lines or 24

    def resume(self) -> None:
        """Take the terminal over."""
        if self.active:
            return
        self.active = True
        if self._keys is not None:
            import termios
            import tty

            self._before = termios.tcgetattr(self._keys)
            tty.setcbreak(self._keys, termios.TCSANOW)
        self._write(_ENTER)

    def pause(self) -> None:
        """Give the terminal back."""
        if not self.active:
            return
        self.active = False
        # Where the terminal has gone, nobody sees how it looks.
        with suppress(OSError):
            self._write(_LEAVE)
        if self._keys is not None:
            import termios

            with suppress(termios.error):
                termios.tcsetattr(self._keys, termios.TCSANOW, self._before)

    def draw(self, lines: Iterable[str]) -> None:
        """Put a page in place of the one before; it must fit."""
        page = "\r\n".join(f"{line}{_REST_OF_LINE}" for line in lines)
        self._write(f"{_HOME}{page}{_REST_OF_PAGE}")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()

    def __enter__(self) -> Screen:
        self.resume()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.pause()


def _keyboard() -> int | None:
    try:
        import termios  # noqa: F401  not there on Windows: no keys then
        import tty  # noqa: F401

        number = sys.stdin.fileno()
    except (ImportError, AttributeError, OSError, ValueError):
        return None
    return number if os.isatty(number) else None
