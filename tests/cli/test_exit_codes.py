"""Every exit code that `trioqueue --help` documents, and how it comes about."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import urllib.parse
from collections.abc import Callable

import click
import pytest

from tests.cli.helpers import Cli, on_both, press_ctrl_c
from trioqueue import errors
from trioqueue.cli import asking
from trioqueue.cli.failures import EXIT_CODES, explain


def no_database(tq: Cli) -> None:
    tq.file.unlink()
    for rest in tq.directory.glob("jobs.db-*"):
        rest.unlink()


def no_directory(tq: Cli) -> None:
    tq.url = f"sqlite:///{tq.directory}/nowhere/jobs.db"


def no_sqlite_file(tq: Cli) -> None:
    no_database(tq)
    tq.file.write_text("This is a letter, not a database. " * 100)


def is_directory(tq: Cli) -> None:
    tq.url = f"sqlite:///{tq.directory}"


def other_tables(tq: Cli) -> None:
    no_database(tq)
    connection = sqlite3.connect(tq.file)
    connection.execute("CREATE TABLE mine (x)")
    connection.close()


def newer_tables(tq: Cli) -> None:
    connection = sqlite3.connect(tq.file)
    connection.execute("UPDATE tq_meta SET value = '99' WHERE key = 'schema_version'")
    connection.commit()
    connection.close()


def running(tq: Cli) -> None:
    tq("message", "post", "emails", "1", "--id", "m1")
    tq.claim("emails")


def nothing(_: Cli) -> None: ...


CASES: list[tuple[int, str, Callable[[Cli], None], tuple[str, ...]]] = [
    (0, "a list", nothing, ("queue", "list")),
    (0, "help", nothing, ("queue", "create", "--help")),
    (0, "version", nothing, ("--version",)),
    (2, "no such command", nothing, ("queues",)),
    (2, "no such subcommand", nothing, ("queue", "lst")),
    (2, "no such option", nothing, ("queue", "list", "--lmit", "3")),
    (2, "an argument missing", nothing, ("queue", "show")),
    (2, "an argument too many", nothing, ("queue", "show", "a", "b")),
    (2, "no such format", nothing, ("-o", "yaml", "queue", "list")),
    (2, "a wrong value", nothing, ("queue", "list", "--limit", "0")),
    (2, "a wrong name", nothing, ("queue", "show", "no spaces please")),
    (2, "a path that is no URL", nothing, ("queue", "list", "--db", "jobs.db")),
    (2, "another kind of URL", nothing, ("--db", "redis://localhost", "queue", "list")),
    (2, "memory", nothing, ("queue", "create", "q", "--db", "sqlite://:memory:")),
    (3, "no such queue", nothing, ("queue", "show", "nobody")),
    (3, "no queue to post to", nothing, ("message", "post", "nobody", "1")),
    (3, "no queue to pause", nothing, ("queue", "pause", "nobody")),
    (3, "no such message", nothing, ("message", "show", "emails", "nobody")),
    (3, "no such dead letter", nothing, ("dlq", "requeue", "emails", "nobody")),
    (3, "no such dead letter queue", nothing, ("dlq", "list", "nobody")),
    (4, "the name is taken", nothing, ("queue", "create", "emails", "--lease", "9")),
    (4, "it runs", running, ("message", "cancel", "emails", "m1")),
    (5, "no database", no_database, ("queue", "list")),
    (5, "no directory", no_directory, ("queue", "create", "q")),
    (5, "no SQLite file", no_sqlite_file, ("queue", "list")),
    (5, "a directory", is_directory, ("queue", "list")),
    (6, "no tables of ours", other_tables, ("queue", "list")),
    (6, "newer tables", newer_tables, ("queue", "create", "q")),
]


@pytest.mark.parametrize(
    ("code", "prepare", "arguments"),
    [pytest.param(c, f, a, id=f"{c}-{name}") for c, name, f, a in CASES],
)
def test_each_situation_has_its_code_and_one_line(
    emails: Cli,
    code: int,
    prepare: Callable[[Cli], None],
    arguments: tuple[str, ...],
) -> None:
    prepare(emails)
    outcome = emails(*arguments, code=code)
    if code:
        assert outcome.out == ""
        assert len(outcome.err.splitlines()) == 1
    else:
        assert outcome.err == ""


def on_server(tq: Cli, **changes: str) -> None:
    """Change parts of the URL: its port, password, database or schema."""
    parts = urllib.parse.urlsplit(tq.url)
    database = changes.get("database", parts.path[1:])
    password = changes.get("password", parts.password)
    port = changes.get("port", parts.port)
    query = f"schema={changes['schema']}" if "schema" in changes else parts.query
    place = f"{parts.username}:{password}@{parts.hostname}:{port}/{database}"
    tq.url = f"postgresql://{place}?{query}"


@pytest.mark.parametrize(
    ("code", "changes", "arguments"),
    [
        pytest.param(5, {"port": "1"}, ("queue", "list"), id="5-no server"),
        pytest.param(5, {"password": "secret"}, ("queue", "list"), id="5-password"),
        pytest.param(
            5, {"database": "nowhere"}, ("queue", "create", "q"), id="5-no db"
        ),
        pytest.param(6, {"schema": "nowhere"}, ("queue", "list"), id="6-no tables"),
        pytest.param(3, {}, ("message", "post", "nobody", "1"), id="3-no queue"),
        pytest.param(
            4, {}, ("queue", "create", "emails", "--lease", "9"), id="4-taken"
        ),
    ],
)
@pytest.mark.parametrize("tq", ["postgres"], indirect=True)
def test_so_it_is_on_a_server_and_no_line_has_the_password(
    emails: Cli, code: int, changes: dict[str, str], arguments: tuple[str, ...]
) -> None:
    on_server(emails, **changes)
    outcome = emails(*arguments, code=code)
    assert outcome.out == ""
    assert len(outcome.err.splitlines()) == 1
    assert "secret" not in outcome.err


def test_help_documents_every_code(tq: Cli) -> None:
    text = tq("--help").out
    for code, meaning in EXIT_CODES.items():
        assert f"{code:>3}  {meaning}\n" in text


def test_without_arguments_the_help_goes_to_stderr(tq: Cli) -> None:
    outcome = tq(code=2)
    assert outcome.out == ""
    assert "Exit codes:" in outcome.err


@pytest.mark.parametrize("command", ["list", "show", "pause", "resume"])
def test_looking_for_a_database_never_creates_one(tq: Cli, command: str) -> None:
    name = () if command == "list" else ("emails",)
    outcome = tq("queue", command, *name, code=5)
    assert "does not exist" in outcome.err
    assert f"trioqueue --db {tq.url} init" in outcome.err
    assert list(tq.directory.iterdir()) == []
    tq("message", "post", "emails", "1", code=5)
    tq("dlq", "list", "emails", code=5)
    assert list(tq.directory.iterdir()) == []


def test_old_tables_are_left_alone_until_somebody_creates_a_queue(emails: Cli) -> None:
    other_tables(emails)
    assert "queue create NAME" in emails("queue", "list", code=6).err
    emails("queue", "create", "emails")
    assert len(emails("queue", "list").lines) == 1


@on_both
def test_no_answer_to_a_question_is_a_failure(
    emails: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    emails.kill("emails", "a")
    monkeypatch.setattr(asking, "at_terminal", lambda: True)
    assert "no answer" in emails("dlq", "purge", "emails", stdin="", code=1).err
    assert len(emails("dlq", "list", "emails").lines) == 1


@on_both
@pytest.mark.skipif(os.name == "nt", reason="no pseudo-terminals there")
def test_ctrl_c_at_a_question_is_130(emails: Cli) -> None:
    emails.kill("emails", "a")
    terminal, end = os.openpty()
    with emails.start("dlq", "purge", "emails", stdin=end) as process:
        assert process.stderr is not None
        question = process.stderr.read(len("Delete 1 dead letter"))
        assert question == "Delete 1 dead letter"
        err = press_ctrl_c(process)
    os.close(terminal)
    os.close(end)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "Error: interrupted"
    assert len(emails("dlq", "list", "emails").lines) == 1


def test_ctrl_c_in_a_process_is_130_and_one_line(emails: Cli) -> None:
    arguments = ("message", "post", "emails", "-")
    with emails.start(*arguments, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        # More than a pipe holds: once it is written, the command is reading.
        process.stdin.write("1" * 1_000_000)
        process.stdin.flush()
        err = press_ctrl_c(process)
    assert process.returncode == 130
    assert err == "Error: interrupted\n"


@pytest.mark.skipif(os.name == "nt", reason="pipes break otherwise there")
@pytest.mark.parametrize("arguments", [("--help",), ("queue", "list", "-o", "json")])
def test_a_broken_pipe_is_141_and_silent(
    emails: Cli, arguments: tuple[str, ...]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with emails.start(*arguments, stdout=writer) as process:
        os.close(writer)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (141, "")


def test_what_should_not_happen_is_one_line_unless_asked_for_more(
    emails: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> bool:
        raise RuntimeError("first\nsecond")

    emails.kill("emails", "a")
    monkeypatch.setattr(asking, "at_terminal", broken)
    outcome = emails("dlq", "purge", "emails", code=1)
    assert "unexpected RuntimeError: first second;" in outcome.err
    assert "TRIOQUEUE_DEBUG=1" in outcome.err
    assert len(outcome.err.splitlines()) == 1
    with pytest.raises(AssertionError, match="RuntimeError"):
        emails("dlq", "purge", "emails", env={"TRIOQUEUE_DEBUG": "1"})


def test_errors_of_several_tasks_count_as_their_first() -> None:
    down = errors.StoreUnavailableError("the database is gone")
    group = BaseExceptionGroup("", [ExceptionGroup("", [down]), down])
    failure = explain(group)
    assert failure is not None
    assert (failure.exit_code, failure.message) == (5, "the database is gone")
    failure = explain(BaseExceptionGroup("", [KeyboardInterrupt()]))
    assert failure is not None
    assert failure.exit_code == 130
    assert explain(ExceptionGroup("", [down, ZeroDivisionError()])) is None
    failure = explain(errors.StoreClosedError("closed"))
    assert isinstance(failure, click.ClickException)
    assert failure.exit_code == 1


@on_both
def test_the_module_runs_as_the_command_does(emails: Cli) -> None:
    outcome = emails.process("queue", "list", "-o", "jsonl")
    assert outcome.document["name"] == "emails"
    assert (outcome.code, outcome.err) == (0, "")
    outcome = emails.process("queue", "show", "nobody")
    assert (outcome.code, outcome.out) == (3, "")
    outcome = emails.process("queue", "show")
    assert outcome.err == (
        "Error: Missing argument 'NAME'; see 'trioqueue queue show --help'\n"
    )


def test_output_that_cannot_be_encoded_is_escaped(emails: Cli) -> None:
    emails("message", "post", "emails", '"grüße 日本"', "--id", "m1")
    narrow = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    outcome = emails.process("message", "peek", "emails", "-o", "jsonl", env=narrow)
    assert outcome.document["payload"] == "grüße 日本"
    arguments = ("message", "peek", "emails", "-o", "table")
    outcome = emails.process(*arguments, env=narrow, encoding="latin-1")
    assert outcome.code == 0
    assert "\\u65e5\\u672c" in outcome.out


def test_importing_the_command_starts_nothing() -> None:
    code = "import trioqueue.__main__, trioqueue.cli"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110  no path is needed otherwise
@pytest.mark.parametrize("form", ["table", "plain"])
def test_a_full_disk_and_a_closed_output_are_no_fault_of_the_program(
    tq: Cli, form: str
) -> None:
    command = f"{sys.executable} -m trioqueue -o {form} schedule preview --on day"
    for output, code, text in (
        ("> /dev/full", 1, "cannot write: No space left on device"),
        (">&-", 0, ""),
    ):
        done = subprocess.run(
            ["/bin/sh", "-c", f"{command} {output}"],
            cwd=tq.directory,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, text in done.stderr) == (code, True)
        assert "fault" not in done.stderr
