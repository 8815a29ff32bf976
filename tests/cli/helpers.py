"""The command under test: in this process, or in one of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
import trio
from click.testing import CliRunner

import trioqueue
from trioqueue.cli.root import cli

T = TypeVar("T")

# A relative entry would mean another place in a test's own directory.
PYTHONPATH = os.pathsep.join(
    os.path.abspath(place)  # noqa: PTH100  the environment holds texts
    for place in os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if place
)

_PIPES: dict[str, Any] = {
    "stdin": subprocess.DEVNULL,
    "stdout": subprocess.PIPE,
    "stderr": subprocess.PIPE,
    "encoding": "utf-8",
}

on_both = pytest.mark.parametrize("tq", ["file", "postgres"], indirect=True)
"""Run a test of a command on each kind of database."""

UNSET = ("TRIOQUEUE_DB", "TRIOQUEUE_OUTPUT", "TRIOQUEUE_DEBUG", "COLUMNS")


class Outcome(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output, read as JSON."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """Standard output, line by line."""
        return self.out.splitlines()


class Cli:
    """Runs `trioqueue` on a database: a file in the test's own directory, or any."""

    def __init__(self, directory: Path, url: str | None = None) -> None:
        self.directory = directory
        self.file = directory / "jobs.db"
        self.url = f"sqlite:///{self.file}" if url is None else url

    def __call__(
        self,
        *args: str,
        code: int = 0,
        stdin: str | bytes | None = None,
        env: dict[str, str] | None = None,
    ) -> Outcome:
        """Run a command in this process; it must end with this exit code."""
        variables = dict.fromkeys(UNSET) | {"TRIOQUEUE_DB": self.url} | (env or {})
        result = CliRunner().invoke(cli, args, input=stdin, env=variables)
        outcome = Outcome(result.exit_code, result.stdout, result.stderr)
        assert outcome.code == code, (outcome, result.exception)
        if code != 0 and args:
            assert outcome.err.splitlines()[-1].startswith("Error: "), outcome.err
        return outcome

    def environment(self, env: dict[str, str] | None = None) -> dict[str, str]:
        """Return the environment for a process of its own."""
        variables = {k: v for k, v in os.environ.items() if k not in UNSET}
        if PYTHONPATH:
            variables["PYTHONPATH"] = PYTHONPATH
        return variables | {"TRIOQUEUE_DB": self.url} | (env or {})

    def python(self, script: str) -> None:
        """Run a script of the test's directory, which is on its path."""
        variables = self.environment({"PYTHONSAFEPATH": ""})
        command = [sys.executable, script]
        subprocess.run(
            command, cwd=self.directory, env=variables, check=True, timeout=60
        )

    @contextmanager
    def start(
        self, *args: str, env: dict[str, str] | None = None, **options: Any
    ) -> Iterator[subprocess.Popen[str]]:
        """Run `python -m trioqueue` in the test's directory beside the block."""
        settings: dict[str, Any] = {"cwd": self.directory} | _PIPES | options
        with subprocess.Popen(
            [sys.executable, "-m", "trioqueue", *args],
            env=self.environment(env),
            **settings,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def process(
        self, *args: str, env: dict[str, str] | None = None, **options: Any
    ) -> Outcome:
        """Run `python -m trioqueue` in the test's directory, to its end."""
        with self.start(*args, env=env, **options) as process:
            out, err = process.communicate(timeout=60)
        return Outcome(process.returncode, out, err)

    def store(self, work: Callable[[trioqueue.Store], Awaitable[T]]) -> T:
        """Do something in the store itself."""

        async def main() -> T:
            async with trioqueue.open_store(self.url) as store:
                return await work(store)

        return trio.run(main)

    def claim(self, queue: str) -> trioqueue.Job:
        """Take one message under a lease, as a worker would."""

        async def work(store: trioqueue.Store) -> trioqueue.Job:
            (job,) = await store.claim(queue, worker_id="w1")
            return job

        return self.store(work)

    def kill(self, queue: str, *ids: str, error: str = "no such host") -> None:
        """Make messages that die at their first attempt."""

        async def work(store: trioqueue.Store) -> None:
            for message_id in ids:
                payload = {"n": message_id}
                await store.post(queue, payload, message_id=message_id, max_attempts=1)
                (job,) = await store.claim(queue, worker_id="w1")
                await store.fail(job, OSError(error))

        self.store(work)


def press_ctrl_c(process: subprocess.Popen[str]) -> str:
    """Interrupt a process that waits for input; return its standard error.

    Python misses a signal that comes just before it begins to wait, so this takes its
    time, as people do, and presses again.
    """
    time.sleep(0.1)
    for _ in range(10):
        process.send_signal(signal.SIGINT)
        try:
            return process.communicate(timeout=3)[1]
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError("Ctrl-C does not end it")
