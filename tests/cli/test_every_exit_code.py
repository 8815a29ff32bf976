"""Every verb, in every situation that has an exit code of its own."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from tests.cli.helpers import Cli
from tests.cli.test_command_tree import LEAVES
from trioqueue.cli.failures import EXIT_CODES

Words = tuple[str, ...]

VERBS: dict[Words, Words] = {
    ("queue", "list"): (),
    ("queue", "show"): ("nobody",),
    ("queue", "pause"): ("nobody",),
    ("queue", "resume"): ("nobody",),
    ("message", "post"): ("nobody", "1"),
    ("message", "peek"): ("nobody",),
    ("message", "show"): ("nobody", "m"),
    ("message", "cancel"): ("nobody", "m"),
    ("dlq", "list"): ("nobody",),
    ("dlq", "requeue"): ("nobody", "m"),
    ("dlq", "purge"): ("nobody", "--yes"),
    ("schedule", "create"): ("s", "nobody", "--cron", "0 0 * * *"),
    ("schedule", "list"): (),
    ("schedule", "show"): ("nobody",),
    ("schedule", "preview"): ("nobody",),
    ("schedule", "explain"): ("nobody",),
    ("schedule", "pause"): ("nobody",),
    ("schedule", "resume"): ("nobody",),
    ("schedule", "trigger"): ("nobody",),
    ("schedule", "history"): ("nobody",),
    ("schedule", "delete"): ("nobody", "--yes"),
    ("schedule", "export-ics"): ("nobody",),
    ("schedule", "simulate"): ("--until", "2030-01-01T00:00:00Z"),
    ("schedule", "calendar", "list"): (),
    ("schedule", "calendar", "show"): ("nobody",),
    ("schedule", "calendar", "delete"): ("nobody", "--yes"),
    ("schema", "list"): (),
    ("schema", "get"): ("nobody",),
    ("schema", "deactivate"): ("nobody:1",),
    ("schema", "delete"): ("nobody", "--yes"),
    ("worker", "list"): (),
    ("worker", "quiet"): ("nobody",),
    ("metrics", "show"): (),
    ("explain",): ("nobody", "m"),
    ("export",): (),
    ("bench",): ("--messages", "1"),
}
"""Verbs that need a database that is there, each with what names nothing in it."""
NAMELESS = {verb for verb, names in VERBS.items() if not names} | {
    *(("bench",), ("schedule", "simulate")),
}
MAKE_ONE = {("init",), ("queue", "create"), ("migrate",), ("import",)} | {
    *(("schedule", "calendar", "put"), ("schedule", "calendar", "for-country")),
}
"""Verbs that make the database, and bring it up to date."""
ELSEWHERE = {
    *(("demo",), ("copy",), ("doctor",), ("completion",), ("version",), ("top",)),
    *(("schedule", "validate"), ("schedule", "import-ics")),
    *(("metrics", "export"), ("metrics", "list"), ("metrics", "serve")),
    *(("message", "list"), ("message", "requeue"), ("message", "delete")),
    *(("dlq", "delete"), ("queue", "update")),
    *(("schema", "register"), ("schema", "validate"), ("schema", "compat")),
}
"""Verbs that need no database, or more than a name: their own tests tell."""

verbs = pytest.mark.parametrize("verb", VERBS, ids=" ".join)


def one_line(err: str) -> bool:
    return err.startswith("Error: ") and err.count("\n") == 1


def test_no_verb_is_left_out() -> None:
    assert set(LEAVES) <= VERBS.keys() | MAKE_ONE | ELSEWHERE


@verbs
def test_5_there_is_no_database(tq: Cli, verb: Words) -> None:
    outcome = tq(*verb, *VERBS[verb], code=5)
    assert one_line(outcome.err)
    assert "does not exist" in outcome.err
    assert not tq.file.exists()


@verbs
def test_5_it_is_no_database(tq: Cli, verb: Words) -> None:
    tq.file.write_text("This is a letter, not a database. " * 100)
    outcome = tq(*verb, *VERBS[verb], code=5)
    assert one_line(outcome.err)
    assert "is not an SQLite database" in outcome.err


@verbs
def test_6_its_tables_are_newer(emails: Cli, verb: Words) -> None:
    with closing(sqlite3.connect(emails.file)) as connection, connection:
        connection.execute("UPDATE tq_meta SET value = 99 WHERE key = 'schema_version'")
    outcome = emails(*verb, *VERBS[verb], code=6)
    assert one_line(outcome.err)
    assert "99" in outcome.err


@verbs
def test_3_what_is_named_is_not_there(emails: Cli, verb: Words) -> None:
    if verb in NAMELESS:
        emails(*verb, *VERBS[verb])
        return
    outcome = emails(*verb, *VERBS[verb], code=3)
    assert outcome.out == ""
    assert one_line(outcome.err)


@pytest.mark.parametrize("verb", LEAVES, ids=" ".join)
def test_2_an_argument_too_many(tq: Cli, verb: Words) -> None:
    outcome = tq(*verb, *["extra"] * 9, code=2)
    assert one_line(outcome.err)
    assert f"'trioqueue {' '.join(verb)} --help'" in outcome.err
    assert not tq.file.exists()


@pytest.mark.skipif(os.name == "nt", reason="signals are others there")
def test_130_ctrl_c_ends_an_export(emails: Cli) -> None:
    reader, writer = os.pipe()
    for number in range(40):
        emails("message", "post", "emails", f'"{"x" * 9000} {number}"')
    # More than a pipe holds, and nobody reads.
    with emails.start("export", stdout=writer) as process:
        os.close(writer)
        os.read(reader, 10)
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        while os.read(reader, 1 << 16):
            pass
        _, err = process.communicate(timeout=30)
    os.close(reader)
    assert process.returncode in (0, 130)  # 0: it was done before it could hear
    assert "Traceback" not in err


def test_every_code_is_documented_in_help(tq: Cli) -> None:
    found = re.findall(r"(?m)^ +(\d+)  \S", tq("--help").out)
    assert [int(code) for code in found] == list(EXIT_CODES)


@pytest.mark.skipif(os.name == "nt", reason="no pseudo-terminals there")
@pytest.mark.parametrize("how", ["", "NO_COLOR", "--no-color", "TERM"])
def test_colours_are_for_terminals_and_can_be_off(emails: Cli, how: str) -> None:
    terminal, end = os.openpty()
    env = {"TERM": "xterm"} | ({how: "dumb"} if how.isupper() else {})
    words = (how,) if how.startswith("--") else ()
    with emails.start(*words, "doctor", stdout=end, env=env) as process:
        os.close(end)
        shown = b""
        try:
            while data := os.read(terminal, 4096):
                shown += data
        except OSError:
            pass  # the other end is closed
        process.communicate(timeout=30)
    os.close(terminal)
    assert b"schema" in shown
    assert (b"\x1b[32m" in shown) is (how == "")


def test_another_process_sees_the_codes(tq: Cli) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trioqueue", "queue", "list"],
        cwd=tq.directory,
        env=tq.environment(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 5
