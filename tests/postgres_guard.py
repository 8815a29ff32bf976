"""A process that outlives the tests, to stop the servers they leave behind.

It is started as ``python -I -S postgres_guard.py DIRECTORY``, and returns at once;
what stays is a process of its own session, which Ctrl-C does not reach.  The lock on
the file ``alive`` belongs to the process that runs the tests: the kernel gives it up
however that process ends.  Only the standard library is at hand here.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ALIVE: Final = "alive"
STOP_SECONDS: Final = 10.0


def is_listening(home: Path) -> bool:
    """Tell whether a server answers on the Unix socket in its home."""
    for path in home.glob(".s.PGSQL.*[0-9]"):
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
            probe.connect(str(path))
            return True
    return False


def end(home: Path) -> None:
    """Stop the server in a home at once, as if its power had gone."""
    file = home / "data" / "postmaster.pid"
    # A number in a file left by a killed server may be another process by now.
    if not is_listening(home):
        return
    for number in (signal.SIGQUIT, signal.SIGKILL):
        try:
            os.kill(int(file.read_text().split("\n", 1)[0]), number)
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return
        give_up = time.monotonic() + STOP_SECONDS
        while time.monotonic() < give_up:
            if not file.exists() or not is_listening(home):
                return
            time.sleep(0.01)


def kill(home: Path) -> None:
    """Kill every process of the server in a home, and leave its files as they are.

    Only the lock files go: where nobody collects the dead, its process still seems to
    be there when the server is to start again.
    """
    file = home / "data" / "postmaster.pid"
    main = int(file.read_text().split("\n", 1)[0])
    family = [main, *(child for child, parent, _ in _processes() if parent == main)]
    for process in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    while is_listening(home) or any(
        process in family and state != "Z" for process, _, state in _processes()
    ):
        time.sleep(0.005)
    for lock in (file, *home.glob(".s.PGSQL.*.lock")):
        lock.unlink()


def _processes() -> Iterator[tuple[int, int, str]]:
    """List the id, the parent and the state of each process, where /proc tells."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            yield int(path.parent.name), int(parent), state


def clear(directory: Path) -> None:
    """Stop every server in a directory, and remove it.

    A server that is being started meanwhile finds its files gone and gives up; one that
    runs looks for its lock file each minute.
    """
    for home in directory.glob("*/"):
        end(home)
    shutil.rmtree(directory, ignore_errors=True)


def main(directory: Path) -> None:
    """Wait in the background for the tests' end, then clear the directory."""
    try:
        file = (directory / ALIVE).open("r+")
    except FileNotFoundError:
        return
    with file:
        if os.fork():
            os._exit(0)
        os.setsid()
        fcntl.lockf(file, fcntl.LOCK_EX)
        clear(directory)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
