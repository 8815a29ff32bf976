"""A terminal to run commands in, which knows what a person would see."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

from tests.cli.helpers import Cli

PATIENCE_SECONDS = 60.0
_OWN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""So that Ctrl-C, Ctrl-Z and a change of size reach the command."""
_SEQUENCE = re.compile(r"\x1b\[(\??[0-9;]*)([A-Za-z])")


@final
class Page:
    """What one page of a terminal shows; it knows the few sequences that we write."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.cells: list[list[str]] = []
        self.row = self.column = 0
        self.overflowed = False
        self.lines: list[str] = []
        """What there was when a page was last complete."""
        self.clear()

    def clear(self) -> None:
        self.cells = [[" "] * self.width for _ in range(self.height)]
        self.row = self.column = 0

    def put(self, char: str) -> None:
        if char == "\r":
            self.column = 0
        elif char == "\n":
            if self.row + 1 == self.height:
                # A real one would scroll: the first line would be lost.
                self.overflowed = True
            else:
                self.row += 1
        elif self.column >= self.width:
            self.overflowed = True
        else:
            self.cells[self.row][self.column] = char
            self.column += 1

    def obey(self, parameter: str, command: str) -> None:
        match command, parameter:
            case "H", "":
                self.row = self.column = 0
            case "K", "":
                self.cells[self.row][self.column :] = [" "] * (self.width - self.column)
            case "J", "":
                self.cells[self.row][self.column :] = [" "] * (self.width - self.column)
                for row in self.cells[self.row + 1 :]:
                    row[:] = [" "] * self.width
                self.lines = ["".join(row).rstrip() for row in self.cells]
            case "m", _:
                pass
            case _:
                raise AssertionError(f"unknown sequence {parameter!r} {command!r}")


@final
class Terminal:
    """A command in a pseudo-terminal of some size."""

    def __init__(
        self, process: subprocess.Popen[bytes], master: int, slave: int
    ) -> None:
        self.process = process
        self.master, self.slave = master, slave
        self.page = Page(80, 24)
        self.outside = ""
        """What was written on the ordinary page."""
        self.alternate = False
        self.cursor = True
        self._rest = ""

    def resize(self, width: int, height: int) -> None:
        self.page = Page(width, height)
        size = struct.pack("HHHH", height, width, 0, 0)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, size)

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def until(self, seen: Callable[[list[str]], Any]) -> list[str]:
        """Read until what is seen is right; return it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (self.alternate and self.page.lines and seen(self.page.lines)):
            assert time.monotonic() < deadline, (self.page.lines, self.outside)
            assert self._read(1.0) or self.process.poll() is None, self.outside
        return self.page.lines

    def until_restored(self) -> None:
        """Read until the terminal is as it was."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.restored:
            assert time.monotonic() < deadline, self.page.lines
            self._read(0.05)

    def end(self) -> int:
        """Read until it has ended; return its exit code."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.page.lines
            self._read(0.05)
        while self._read(0.05):
            pass
        return self.process.returncode

    @property
    def restored(self) -> bool:
        """Whether the terminal is as it was."""
        return not self.alternate and self.cursor and self.echoes

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed, and waits for whole lines."""
        flags = termios.tcgetattr(self.slave)[3]
        return bool(flags & termios.ECHO) and bool(flags & termios.ICANON)

    def _read(self, seconds: float) -> bool:
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError as error:
            assert error.errno == errno.EIO  # noqa: PT017  its other end is closed
            return False
        self._take(self._rest + data.decode(errors="replace"))
        return True

    def _take(self, text: str) -> None:
        place = 0
        self._rest = ""
        while place < len(text):
            if text[place] != "\x1b":
                if self.alternate:
                    self.page.put(text[place])
                else:
                    self.outside += text[place]
                place += 1
                continue
            found = _SEQUENCE.match(text, place)
            if found is None:
                self._rest = text[place:]
                return
            place = found.end()
            match found[1], found[2]:
                case "?1049", "h" | "l" as which:
                    self.alternate = which == "h"
                    self.page.clear()
                case "?25", "h" | "l" as which:
                    self.cursor = which == "h"
                case parameter, command:
                    self.page.obey(parameter, command)


@contextmanager
def terminal(
    tq: Cli, *args: str, width: int = 100, height: int = 30, **env: str
) -> Iterator[Terminal]:
    """Run a command in a terminal."""
    master, slave = pty.openpty()
    size = struct.pack("HHHH", height, width, 0, 0)
    fcntl.ioctl(master, termios.TIOCSWINSZ, size)

    with subprocess.Popen(
        [sys.executable, "-c", _OWN_TERMINAL, "-m", "trioqueue", *args],
        cwd=tq.directory,
        env=tq.environment({"TERM": "xterm", **env}),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    ) as process:
        made = Terminal(process, master, slave)
        made.page = Page(width, height)
        try:
            yield made
        finally:
            process.kill()
            process.wait()
            os.close(master)
            os.close(slave)
