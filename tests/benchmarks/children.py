"""Other processes: how they are started, and the worker that only waits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final, final

import attrs
import trio

IDLE: Final = Path(__file__).with_name("child_idle.py")


@final
@attrs.frozen
class Command:
    """A Python process: the same interpreter, finding the same packages."""

    arguments: list[str]

    async def run(self) -> str:
        """Run it to its end; return what it printed.

        Raises:
            CalledProcessError: It failed; what it said is on standard error.
        """
        done = await trio.run_process(
            self.arguments, capture_stdout=True, env=child_environment()
        )
        return done.stdout.decode()


def python_command(*arguments: str | Path) -> Command:
    return Command([sys.executable, *map(str, arguments)])


def child_environment() -> dict[str, str]:
    # Else the script's directory would come before every other package.
    return {**os.environ, "PYTHONSAFEPATH": "1"}


def run_python(*arguments: str, limit_seconds: float = 60) -> str:
    """Run a Python process to its end, outside Trio."""
    done = subprocess.run(
        [sys.executable, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=limit_seconds,
        env=child_environment(),
    )
    return done.stdout


@final
@attrs.frozen
class IdleReport:
    """What a waiting worker cost: a sample each second."""

    cpu_percent: list[float]
    megabytes: list[float]


async def measure_idle_worker(
    path: Path, queue: str, seconds: int, *, settle: int = 1
) -> IdleReport:
    """Let a worker with its services wait in a process of its own.

    Measuring begins after `settle` seconds.
    """
    command = python_command(
        IDLE, f"sqlite:///{path}", queue, str(settle), str(seconds)
    )
    with trio.fail_after(settle + seconds + 60):
        found = json.loads(await command.run())
    assert found["claimed"] == 0
    assert len(found["cpu"]) == len(found["memory"]) == seconds
    return IdleReport(found["cpu"], found["memory"])
