"""`trioqueue init` and `trioqueue version`."""

from __future__ import annotations

import platform
import sqlite3
from contextlib import closing

import pytest

from tests.cli.helpers import Cli, on_both


def test_a_database_is_made_once(tq: Cli) -> None:
    outcome = tq("init", "-o", "json")
    assert outcome.document["created"] is True
    assert outcome.document["app"] is None
    assert "made the database" in outcome.err
    outcome = tq("init", "-o", "json")
    assert outcome.document["created"] is False
    assert tq("queue", "list").out == ""


@on_both
def test_a_database_that_is_there_is_left_as_it_is(tq: Cli) -> None:
    tq("queue", "create", "emails")
    assert "is there already" in tq("init").err
    assert len(tq("queue", "list").lines) == 1


def test_old_tables_are_brought_up_to_date(emails: Cli) -> None:
    emails.file.unlink()
    with closing(sqlite3.connect(emails.file)) as connection:
        connection.execute("CREATE TABLE mine (x)")
    assert "made the database" in emails("init").err
    with closing(sqlite3.connect(emails.file)) as connection:
        assert connection.execute("SELECT count(*) FROM mine").fetchone() == (0,)


def test_the_starter_runs_and_is_never_overwritten(tq: Cli) -> None:
    url = "sqlite:///jobs.db"
    outcome = tq.process("--db", url, "init", "--app", "starter.py")
    assert outcome.code == 0, outcome.err
    assert "wrote starter.py" in outcome.err
    assert "next: trioqueue worker starter:app" in outcome.err
    path = tq.directory / "starter.py"
    text = path.read_text()
    compile(text, "starter.py", "exec")
    path.write_text(f"{text}\n# mine\n")
    outcome = tq.process("--db", url, "init", "--app", "starter.py", "-o", "json")
    assert outcome.document["app_created"] is False
    assert path.read_text().endswith("# mine\n")


def test_what_the_starter_posts_its_worker_runs(tq: Cli) -> None:
    tq.process("--db", "sqlite:///jobs.db", "init", "--app", "starter.py")
    script = tq.directory / "both.py"
    script.write_text(
        "import trio, trioqueue, starter\n"
        "async def main():\n"
        "    await starter.main('Ada')\n"
        "    async with starter.app.open('sqlite:///jobs.db') as store:\n"
        "        assert await trioqueue.Worker(store, starter.app).run_once() == 1\n"
        "trio.run(main)\n"
    )
    tq.python("both.py")


@pytest.mark.parametrize("name", ["app.txt", "my-app.py", "app"])
def test_what_is_no_module_is_refused_before_anything_is_made(
    tq: Cli, name: str
) -> None:
    assert "no module's file" in tq("init", "--app", name, code=2).err
    assert list(tq.directory.iterdir()) == []


def test_a_starter_that_cannot_be_written_says_why(tq: Cli) -> None:
    err = tq("init", "--app", str(tq.directory / "nowhere" / "app.py"), code=1).err
    assert "No such file or directory" in err


def test_versions_are_those_that_are_installed(tq: Cli) -> None:
    document = tq("version", "-o", "json").document
    assert document["python"] == platform.python_version()
    assert document["sqlite"] == sqlite3.sqlite_version
    assert {"trioqueue", "trio", "click", "platform"} <= document.keys()
    assert ("psycopg" in document) == ("libpq" in document)
    assert tq("version", "-o", "table").lines[0].startswith("trioqueue")
