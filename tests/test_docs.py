"""The documentation tells the truth: its programs run, and print what the pages show.

A ``.console`` file is a session: lines that begin with ``$`` are typed, the others are
what the terminal answers.  A ``.out`` file is what the program of that name prints.
In both, ``...`` stands for whatever differs from run to run.

Where a page names a PostgreSQL server, the one of the tests takes its place; and what
the tutorial and README do on SQLite is done there again, with only the URL changed.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import final

import click
import pytest
import trio

from tests.postgres_server import Server
from trioqueue import MessageState, open_store
from trioqueue.cli.failures import EXIT_CODES
from trioqueue.cli.root import cli

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
PATIENCE_SECONDS = 60

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the sessions shown are those of a POSIX shell"
)


@final
class Addresses:
    """Puts the server of the tests where a text names a database.

    Attributes:
        instead_of_sqlite: Whether it takes the place of SQLite, too.
    """

    def __init__(self, find_server: Callable[[], Server]) -> None:
        self._find_server = find_server
        self._known: dict[str, str] = {}
        self._schemas: list[str] = []
        self.instead_of_sqlite = False

    def put_into(self, text: str, quote: Callable[[str], str] = str) -> str:
        """Replace each URL in a text, the same one always by the same."""
        urls = r"postgresql://localhost/jobs(?!\?)"
        if self.instead_of_sqlite:
            urls = rf"{urls}|sqlite://[^\s\"']+"
        return re.sub(urls, lambda url: quote(self._other(url[0])), text)

    def put_into_programs(self, place: Path, mentioned_in: str) -> None:
        """Replace the URLs in those programs that a text mentions."""
        for program in place.glob("*.py"):
            if program.name in mentioned_in:
                program.write_text(self.put_into(program.read_text()))

    def _other(self, url: str) -> str:
        # What is in memory is empty each time, and so is its schema.
        if url not in self._known or url.endswith(":memory:"):
            server = self._find_server()
            schema = server.new_name("docs")
            self._schemas.append(schema)
            self._known[url] = server.store_url(schema)
        return self._known[url]

    def drop(self) -> None:
        """Drop all schemas."""
        for schema in self._schemas:
            self._find_server().drop_schema(schema)


@pytest.fixture
def addresses(request: pytest.FixtureRequest) -> Iterator[Addresses]:
    """Where databases are; there need be no server unless somebody names one."""

    def find_server() -> Server:
        server: Server = request.getfixturevalue("postgres")
        return server

    found = Addresses(find_server)
    yield found
    found.drop()


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
            trio.run(wait_until_one_runs, shell["TRIOQUEUE_DB"], place)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL
    return "".join(printed) + "Killed\n"


async def wait_until_one_runs(url: str, place: Path) -> None:
    """Wait until a worker holds a message."""
    url = url.replace("sqlite:///", f"sqlite:///{place}/")
    async with open_store(url, migrate=False) as store:
        with trio.fail_after(PATIENCE_SECONDS):
            running = [MessageState.RUNNING]
            while not await store.peek("orders", states=running):  # noqa: ASYNC110  in another process
                await trio.sleep(0.005)


def steps(session: str) -> Iterator[tuple[str, str]]:
    """Take a session apart: each command, with what it answers."""
    for part in re.split(r"(?m)^\$ ", session)[1:]:
        command, _, answer = part.partition("\n")
        yield command, answer


def replay(
    name: str, place: Path, shell: Mapping[str, str], addresses: Addresses
) -> None:
    """Type what a session types; the answers must be those it shows."""
    session = (EXAMPLES / name).read_text()
    addresses.put_into_programs(place, mentioned_in=session)
    variables = dict(shell)
    code = ""
    for typed, shown in steps(session):
        command = addresses.put_into(typed, shlex.quote)
        if export := re.fullmatch(r"export (\w+)=(\S+)", command):
            (variables[export[1]],) = shlex.split(export[2])
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


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize("tutorial", TUTORIALS, ids=["orders", "reports"])
def test_the_tutorial(
    tutorial: tuple[str, ...],
    kind: str,
    place: Path,
    shell: Mapping[str, str],
    addresses: Addresses,
) -> None:
    addresses.instead_of_sqlite = kind == "postgres"
    database = f"sqlite:///{tutorial[0].partition('_')[0]}.db"
    variables = {**shell, "TRIOQUEUE_DB": addresses.put_into(database)}
    for step in tutorial:
        replay(f"{step}.console", place, variables, addresses)
    assert bool(list(place.glob("*.db"))) == (kind == "sqlite")


@pytest.mark.parametrize(
    "session",
    sorted(
        path.name
        for path in EXAMPLES.glob("*.console")
        if not any(path.stem in tutorial for tutorial in TUTORIALS)
    ),
)
def test_session(
    session: str, place: Path, shell: Mapping[str, str], addresses: Addresses
) -> None:
    replay(session, place, shell, addresses)


@pytest.mark.parametrize("output", sorted(path.name for path in EXAMPLES.glob("*.out")))
def test_example(
    output: str, place: Path, shell: Mapping[str, str], addresses: Addresses
) -> None:
    program = f"{Path(output).stem}.py"
    addresses.put_into_programs(place, mentioned_in=program)
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


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (number, kind)
        for number, (program, _) in enumerate(readme_blocks())
        for kind in ("sqlite", "postgres")
        if kind == "sqlite" or "sqlite://" in program
    ],
)
def test_readme_program(
    number: int,
    kind: str,
    tmp_path: Path,
    shell: Mapping[str, str],
    addresses: Addresses,
) -> None:
    addresses.instead_of_sqlite = kind == "postgres"
    text, shown = readme_blocks()[number]
    program = addresses.put_into(text)
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
