"""`trioqueue migrate`: a database's tables, brought up to date."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from tests.cli.helpers import UNSET, Cli, Outcome
from trioqueue.cli.root import cli
from trioqueue.store.sqlite.migrations import SCHEMA_VERSION
from trioqueue.store.sqlite.scripting import script


def tables(file: Path) -> dict[str, str]:
    """Return how everything of a database was made, spaces apart."""
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
        ).fetchall()
    return {name: " ".join(sql.split()) for name, sql in rows}


def run(file: Path, sql: str) -> None:
    """Run a script as the sqlite3 program would."""
    assert ".bail on\n" in sql
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(sql.replace(".bail on\n", ""))


def behind(tq: Cli) -> Outcome:
    """Check a database that is not up to date: no error, but exit code 1."""
    variables = dict.fromkeys(UNSET) | {"TRIOQUEUE_DB": tq.url}
    result = CliRunner().invoke(cli, ["migrate", "--check"], env=variables)
    assert result.exit_code == 1
    return Outcome(result.exit_code, result.stdout, result.stderr)


def older(tq: Cli) -> None:
    """Make a database as version 1 had it."""
    whole = script(0)
    head, _, tail = whole.partition("-- 0002_schedules")
    _, _, end = tail.partition("\n\nINSERT INTO tq_meta")
    sql = f"{head}\nINSERT INTO tq_meta{end}"
    run(tq.file, sql.replace(f"'{SCHEMA_VERSION}')", "'1')"))


def test_tables_are_made_and_the_second_time_nothing_is_done(tq: Cli) -> None:
    outcome = tq("migrate", "-o", "json")
    assert outcome.document == {
        "from_version": 0,
        "version": SCHEMA_VERSION,
        "up_to_date": True,
    }
    assert f"migrated from version 0 to {SCHEMA_VERSION}" in outcome.err
    assert "up to date" in tq("migrate").err
    tq("queue", "list")


def test_an_older_database_is_brought_up_to_date(tq: Cli) -> None:
    older(tq)
    outcome = behind(tq)
    assert outcome.out == "1\n"
    assert f"version 1, this trioqueue needs {SCHEMA_VERSION}" in outcome.err
    assert "migrated from version 1" in tq("migrate").err
    tq("queue", "create", "emails")
    tq("schedule", "create", "nightly", "emails", "--cron", "30 2 * * *")


def test_check_changes_nothing(tq: Cli) -> None:
    assert "version 0" in behind(tq).err
    assert not tq.file.exists()
    tq("migrate")
    assert "up to date" in tq("migrate", "--check").err


def test_the_script_makes_the_same_tables(tq: Cli) -> None:
    run(tq.file, tq("migrate", "--sql").out)
    made = tables(tq.file)
    tq("migrate", "--check")
    tq("queue", "create", "emails")
    assert tables(tq.file) == made
    tq.file = tq.directory / "other.db"
    tq.url = f"sqlite:///{tq.file}"
    tq("migrate")
    ours = {name: sql for name, sql in tables(tq.file).items() if "tq_" in name}
    assert ours == {name: sql for name, sql in made.items() if "tq_" in name}


def test_a_script_for_an_older_file_has_only_what_it_lacks(tq: Cli) -> None:
    older(tq)
    text = tq("migrate", "--sql").out
    assert "tq_schedules" in text
    assert "CREATE TABLE tq_messages" not in text
    assert tq("migrate", "--sql", "--from-version", "1").out == text
    run(tq.file, text)
    tq("migrate", "--check")
    tq("migrate")


def test_steps_that_a_script_made_are_not_made_again(tq: Cli) -> None:
    older(tq)
    with closing(sqlite3.connect(tq.file)) as connection:
        rows = connection.execute("SELECT name FROM _sqlite_migrations").fetchall()
    assert rows == [("0001_tables",)]
    tq("migrate")
    tq("queue", "create", "emails")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--check", "--sql"), 2),
        (("--from-version", "1"), 2),
        (("--sql", "--from-version", "99"), 6),
        (("--db", "sqlite://:memory:"), 2),
        (("--sql", "--db", "postgresql://h/jobs?schema=no%20spaces"), 2),
        (("--db", "redis://localhost"), 2),
        (("--db", "sqlite:////no/such/directory/jobs.db"), 5),
    ],
)
def test_wrong_use_is_told_on_one_line(
    tq: Cli, arguments: tuple[str, ...], code: int
) -> None:
    outcome = tq("migrate", *arguments, code=code)
    assert len(outcome.err.splitlines()) == 1


def test_a_newer_database_is_refused(tq: Cli) -> None:
    tq("migrate")
    with closing(sqlite3.connect(tq.file)) as connection, connection:
        connection.execute("UPDATE tq_meta SET value = '99'")
    assert "upgrade trioqueue" in tq("migrate", code=6).err
    assert "upgrade trioqueue" in tq("migrate", "--sql", code=6).err


def test_a_script_for_postgresql_needs_no_server(tq: Cli) -> None:
    url = "postgresql://nobody:secret@no.such.host/jobs?schema=work"
    outcome = tq("migrate", "--db", url, "--sql")
    assert 'CREATE SCHEMA IF NOT EXISTS "work"' in outcome.out
    assert "secret" not in outcome.out + outcome.err


def test_a_server_that_is_not_there_is_one_line_without_the_password(tq: Cli) -> None:
    url = "postgresql://nobody:secret@127.0.0.1:1/jobs"
    outcome = tq("migrate", "--db", url, "--check", code=5)
    assert "secret" not in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_postgresql_is_checked_and_takes_the_script(tq: Cli, postgres: Any) -> None:
    with postgres.schema() as schema:
        tq.url = postgres.store_url(schema)
        assert "version 0" in behind(tq).err
        with psycopg.connect(postgres.conninfo(), autocommit=True) as connection:
            connection.execute(tq("migrate", "--sql").out.encode())
        assert "up to date" in tq("migrate", "--check").err
