"""The documentation tells the truth: its programs run, and print what the pages show.

A ``.console`` file is a session: lines that begin with ``$`` are typed, the others are
what the terminal answers.  A ``.out`` file is what the program of that name prints.
In both, ``...`` stands for whatever differs from run to run.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import click
import pytest

from trioqueue.cli.failures import EXIT_CODES
from trioqueue.cli.root import cli

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
PATIENCE_SECONDS = 60

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the sessions shown are those of a POSIX shell"
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with the examples in it, as a reader would have."""
    directory = tmp_path / "place"
    directory.mkdir()
    for program in EXAMPLES.glob("*.py"):
        (directory / program.name).write_text(program.read_text())
    return directory


@pytest.fixture
def shell(tmp_path: Path) -> Mapping[str, str]:
    """An environment in which `python` and `trioqueue` are those under test."""
    commands = tmp_path / "bin"
    commands.mkdir()
    python = shlex.quote(sys.executable)
    # A place of its own: several at once would tidy up the same one.
    basetemp = shlex.quote(f"--basetemp={tmp_path / 'basetemp'}")
    for name, start in {
        "python": python,
        "pytest": f"{python} -m pytest -p no:cacheprovider {basetemp}",
        "trioqueue": f"{python} -m trioqueue",
    }.items():
        script = commands / name
        script.write_text(f'#!/bin/sh\nexec {start} "$@"\n')
        script.chmod(0o755)
    environment = {
        name: value
        for name, value in os.environ.items()
        # PYTHONSAFEPATH: a reader's programs find one another in their directory.
        # COLUMNS: the pages show output as it is without a terminal's width.
        if not name.startswith(("TRIOQUEUE_", "PYTEST_"))
        and name not in ("PYTHONSAFEPATH", "COLUMNS")
    }
    environment["PATH"] = f"{commands}{os.pathsep}{os.environ['PATH']}"
    environment["TRIOQUEUE_OUTPUT"] = "table"  # as at a terminal
    environment["PYTHONPATH"] = os.pathsep.join(
        os.path.abspath(entry)  # noqa: PTH100  the environment holds texts
        for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep)
        if entry
    )
    return environment


def run(command: str, place: Path, shell: Mapping[str, str]) -> str:
    """Type a command; return what it prints on both streams."""
    process = subprocess.run(
        ["sh", "-c", command],  # noqa: S607  the shell of the session
        cwd=place,
        env=shell,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE_SECONDS,
        check=False,
        encoding="utf-8",
    )
    return process.stdout


def run_and_kill(
    command: str, lines: int, place: Path, shell: Mapping[str, str]
) -> str:
    """Type a command, and kill it without warning once it has printed so many lines."""
    with subprocess.Popen(
        ["sh", "-c", f"exec {command}"],  # noqa: S607  the shell of the session
        cwd=place,
        env=shell,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        try:
            printed = [process.stdout.readline() for _ in range(lines)]
            # What it printed is done; the page tells of the next one, cut off at work.
            wait_until_one_runs(
                place / shell["TRIOQUEUE_DB"].removeprefix("sqlite:///")
            )
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL
    return "".join(printed) + "Killed\n"


def wait_until_one_runs(database: Path) -> None:
    """Wait until a worker holds a message."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        running = "SELECT count(*) FROM tq_messages WHERE state = 2"
        while connection.execute(running).fetchone() == (0,):
            assert time.monotonic() < deadline, "no message is running"
            time.sleep(0.005)


def steps(session: str) -> Iterator[tuple[str, str]]:
    """Take a session apart: each command, with what it answers."""
    for part in re.split(r"(?m)^\$ ", session)[1:]:
        command, _, answer = part.partition("\n")
        yield command, answer


def replay(name: str, place: Path, shell: Mapping[str, str]) -> None:
    """Type what a session types; the answers must be those it shows."""
    variables = dict(shell)
    code = ""
    for command, shown in steps((EXAMPLES / name).read_text()):
        if export := re.fullmatch(r"export (\w+)=(\S+)", command):
            variables[export[1]] = export[2]
        elif shown.endswith("Killed\n"):
            lines = shown.count("\n") - 1
            same(shown, run_and_kill(command, lines, place, variables))
        elif command == "echo $?":
            same(shown, code)
        else:
            text = run(f'{command}\necho "code: $?"', place, variables)
            answer, _, code = text.rpartition("code: ")
            same(shown, answer)


def same(shown: str, printed: str) -> None:
    """Compare what a page shows with what was printed; ``...`` matches anything."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.OutputChecker().check_output(shown, printed, flags), (
        f"shown:\n{shown}\nprinted:\n{printed}"
    )


TUTORIALS = (
    (
        "orders_make",
        "orders_killed",
        "orders_again",
        "orders_attempts",
        "orders_broken",
        "orders_dead",
        "orders_requeue",
        "orders_test",
    ),
    ("reports_declare", "reports_now", "reports_simulate", "reports_test"),
)


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=["orders", "reports"])
def test_the_tutorial(
    tutorial: tuple[str, ...], place: Path, shell: Mapping[str, str]
) -> None:
    database = f"sqlite:///{tutorial[0].partition('_')[0]}.db"
    for step in tutorial:
        replay(f"{step}.console", place, {**shell, "TRIOQUEUE_DB": database})


@pytest.mark.parametrize(
    "session",
    sorted(
        path.name
        for path in EXAMPLES.glob("*.console")
        if not any(path.stem in tutorial for tutorial in TUTORIALS)
    ),
)
def test_session(session: str, place: Path, shell: Mapping[str, str]) -> None:
    replay(session, place, shell)


@pytest.mark.parametrize("output", sorted(path.name for path in EXAMPLES.glob("*.out")))
def test_example(output: str, place: Path, shell: Mapping[str, str]) -> None:
    program = f"{Path(output).stem}.py"
    # Failed attempts are logged on standard error, which the pages leave out.
    printed = run(f"python {program} 2>errors || cat errors", place, shell)
    same((EXAMPLES / output).read_text(), printed)


def readme_blocks() -> list[tuple[str, str]]:
    """Return README's Python programs, each with the output shown below it."""
    text = (ROOT / "README.md").read_text()
    found = re.findall(
        r"```python\n(.*?)```(?:\n+(?:It prints:\n+)?```text\n(.*?)```)?",
        text,
        flags=re.DOTALL,
    )
    return [(program, shown) for program, shown in found]


@pytest.mark.parametrize("number", range(len(readme_blocks())))
def test_readme_program(number: int, tmp_path: Path, shell: Mapping[str, str]) -> None:
    program, shown = readme_blocks()[number]
    if "def test_" in program:
        (tmp_path / "test_readme.py").write_text(program)
        assert re.search(r"\b\d+ passed", run("pytest -q", tmp_path, shell))
    else:
        assert shown, f"README shows no output of:\n{program}"
        (tmp_path / "program.py").write_text(program)
        same(shown, run("python program.py", tmp_path, shell))


def test_readme_has_its_programs() -> None:
    assert len(readme_blocks()) == 4


def pages() -> str:
    """Return all pages in one text."""
    return "\n".join(page.read_text() for page in sorted(DOCS.rglob("*.rst")))


def test_every_example_is_shown() -> None:
    shown = set(re.findall(r"literalinclude:: (?:\.\./)?examples/(\S+)", pages()))
    assert shown == {path.name for path in EXAMPLES.iterdir() if path.is_file()}


def test_the_table_of_exit_codes() -> None:
    page = (DOCS / "howto" / "operate.rst").read_text()
    rows = re.findall(r"(?m)^   \* - (\d+)\n     - (.+)$", page)
    assert {int(code): text for code, text in rows} == dict(EXIT_CODES)


def commands_below(command: click.Command, path: str) -> Iterator[str]:
    """Name a command and all its subcommands."""
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands_below(inner, f"{path} {name}")


def test_every_command_has_its_help() -> None:
    page = (DOCS / "reference" / "cli.rst").read_text()
    shown = re.findall(r"(?m)^\.\. command-help:: (.+)$", page)
    assert sorted(shown) == sorted(commands_below(cli, "trioqueue"))
