"""Starting processes, listening to them, and ending them whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, final

import trio

PROGRAM: Final = Path(__file__).with_name("program.py")
PATIENCE_SECONDS: Final = 60.0


@final
class Member:
    """One process; what it says is in a file, so that no pipe can fill up."""

    def __init__(
        self, directory: Path, number: int, arguments: tuple[str, ...]
    ) -> None:
        self.out = directory / f"{arguments[0]}-{number}.out"
        self.errors = self.out.with_suffix(".err")
        with self.out.open("wb") as out, self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(PROGRAM), *arguments],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=errors,
            )

    def lines(self) -> list[str]:
        """List the whole lines that it has said."""
        return self.out.read_text().split("\n")[:-1]

    def tell(self) -> None:
        """Send it a line."""
        assert self.process.stdin is not None
        os.write(self.process.stdin.fileno(), b"\n")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    async def said(self, count: int = 1) -> list[str]:
        """Wait until it has said so many lines."""
        await until(lambda: len(self.lines()) >= count or not self.is_alive)
        lines = self.lines()
        assert len(lines) >= count, self.errors.read_text()
        return lines

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    async def kill(self) -> None:
        """Kill it and wait until it is gone."""
        self.process.kill()
        await until(lambda: not self.is_alive)

    async def finish(self) -> None:
        """Let its input end, and wait until it has ended well."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        await until(lambda: not self.is_alive)
        assert self.process.returncode == 0, self.errors.read_text()

    def clear_away(self) -> None:
        """End it, however it stands."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()


@final
class Crew:
    """All processes of a test."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.members: list[Member] = []

    def start(self, *arguments: str) -> Member:
        """Start the program."""
        member = Member(self._directory, len(self.members), arguments)
        self.members.append(member)
        return member


@contextmanager
def open_crew(directory: Path) -> Iterator[Crew]:
    """Clear all processes away in the end."""
    crew = Crew(directory)
    try:
        yield crew
    finally:
        for member in crew.members:
            member.clear_away()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    with trio.fail_after(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110  other processes set no events
            await trio.sleep(0.01)
