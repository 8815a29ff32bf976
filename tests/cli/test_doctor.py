"""`trioqueue doctor`: what is seen of real databases."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from tests.cli.helpers import UNSET, Cli, Outcome
from trioqueue.cli.root import cli
from trioqueue.doctor import sqlite_facts


def test_the_deepest_mount_of_a_file_counts(tmp_path: Path) -> None:
    place = str(tmp_path / "a b").replace(" ", "\\040")
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/sda / ext4 rw 0 0\n"
        f"server:/x {tmp_path} nfs rw 0 0\n"
        f"none {place} tmpfs rw 0 0\n"
        f"none {tmp_path}/a btrfs rw 0 0\n"
        f"/dev/sdb {tmp_path} xfs rw 0 0\n"
        "broken\n"
    )
    for name, kind in (("a b/f", "tmpfs"), ("f", "xfs"), ("a/f", "btrfs")):
        assert sqlite_facts.filesystem_of(tmp_path / name, str(mounts)) == kind
    assert sqlite_facts.filesystem_of(Path("/jobs.db"), str(mounts)) == "ext4"
    assert sqlite_facts.filesystem_of(tmp_path, str(tmp_path / "nowhere")) is None


def diagnose(tq: Cli, *arguments: str, code: int | None = 0) -> Outcome:
    """Run the doctor, whose exit code 7 is no error of its own.

    None: either code, because a server for tests has settings that hurt.
    """
    variables = dict.fromkeys(UNSET) | {"TRIOQUEUE_DB": tq.url}
    result = CliRunner().invoke(cli, ["doctor", *arguments], env=variables)
    outcome = Outcome(result.exit_code, result.stdout, result.stderr)
    assert outcome.code in ((0, 7) if code is None else (code,)), outcome
    assert "Error" not in outcome.err
    return outcome


def levels(outcome: Outcome) -> dict[str, str]:
    return {each["check"]: each["level"] for each in outcome.document}


def test_a_healthy_file_is_ok(emails: Cli) -> None:
    outcome = diagnose(emails, "--thorough", "-o", "json")
    found = levels(outcome)
    for check in ("library", "file", "schema", "journal", "WAL", "lock", "integrity"):
        assert found[check] == "ok", outcome.document
    assert "0 problems" in outcome.err


def test_a_file_that_is_not_there_is_a_problem_and_not_made(tq: Cli) -> None:
    outcome = diagnose(tq, "-o", "json", code=7)
    assert levels(outcome) == {"library": "ok", "file": "problem"}
    assert not tq.file.exists()


def test_people_get_whole_sentences(tq: Cli) -> None:
    lines = diagnose(tq, "-o", "table", code=7).lines
    assert lines[1].startswith("problem  file     ")
    text = " ".join(" ".join(lines).split())
    assert "does not exist -> name another with --db, or make it with:" in text
    # A path, which cannot be broken, is as long as it is.
    assert max(len(line) for line in lines if "/" not in line) <= 88


@pytest.mark.parametrize("form", ["plain", "jsonl"])
def test_programs_get_one_line_a_check(emails: Cli, form: str) -> None:
    lines = diagnose(emails, "-o", form).lines
    assert len(lines) == len(diagnose(emails, "-o", "json").document)


def test_a_file_that_is_no_database_is_a_problem(tq: Cli) -> None:
    tq.file.write_text("This is a letter, not a database. " * 100)
    outcome = diagnose(tq, "-o", "json", code=7)
    assert levels(outcome)["file"] == "problem"
    tq.file.unlink()
    tq.file.mkdir()
    assert "is no file" in diagnose(tq, "-o", "json", code=7).out


def test_a_damaged_file_is_found_if_looked_at_thoroughly(emails: Cli) -> None:
    emails("message", "post", "emails", "1")
    with closing(sqlite3.connect(emails.file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'tq_messages_ids'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with emails.file.open("r+b") as file:
        file.seek((page - 1) * size + 8)
        file.write(b"\xff" * 64)
    outcome = diagnose(emails, "--thorough", "-o", "json", code=7)
    assert "damaged" in outcome.out


def test_an_older_and_an_empty_schema_are_told_apart(emails: Cli) -> None:
    with closing(sqlite3.connect(emails.file)) as connection, connection:
        connection.execute("UPDATE tq_meta SET value = '1'")
    assert levels(diagnose(emails, "-o", "json", code=7))["schema"] == "problem"
    with closing(sqlite3.connect(emails.file)) as connection, connection:
        connection.execute("DROP TABLE tq_meta")
    assert levels(diagnose(emails, "-o", "json"))["schema"] == "warning"


def test_a_lock_that_is_kept_is_a_problem(
    emails: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_facts, "LOCK_SECONDS", 0.05)
    with closing(sqlite3.connect(emails.file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        outcome = diagnose(emails, "-o", "json", code=7)
    assert levels(outcome)["lock"] == "problem"
    assert levels(diagnose(emails, "-o", "json"))["lock"] == "ok"


def test_a_file_that_may_only_be_read_is_judged_by_its_rights(
    emails: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    found = levels(diagnose(emails, "-o", "json", code=7))
    assert (found["file"], found["lock"]) == ("problem", "warning")


def test_work_that_nobody_does_is_noticed(emails: Cli) -> None:
    emails("message", "post", "emails", "1", "--delay", "1h")
    late = (time.time_ns() // 1000) - 3_600_000_000
    with closing(sqlite3.connect(emails.file)) as connection, connection:
        connection.execute("UPDATE tq_messages SET due_at = ?", [late])
    outcome = diagnose(emails, "-o", "json")
    assert levels(outcome)["services"] == "warning"
    assert "no scheduler service runs" in outcome.out


def test_instants_from_the_future_are_noticed(emails: Cli) -> None:
    ahead = (time.time_ns() // 1000) + 3_600_000_000
    with closing(sqlite3.connect(emails.file)) as connection, connection:
        connection.execute("UPDATE tq_queues SET updated_at = ?", [ahead])
    assert levels(diagnose(emails, "-o", "json", code=7))["clock"] == "problem"


def test_looking_changes_nothing(emails: Cli) -> None:
    before = emails.file.read_bytes()
    diagnose(emails, "--thorough")
    assert emails.file.read_bytes() == before


def test_a_database_in_memory_is_refused(tq: Cli) -> None:
    assert "in memory" in tq("doctor", "--db", "sqlite://:memory:", code=2).err


def test_a_server_that_is_not_there_is_a_problem_without_the_password(tq: Cli) -> None:
    tq.url = "postgresql://nobody:secret@127.0.0.1:1/jobs"
    outcome = diagnose(tq, "-o", "json", code=7)
    assert levels(outcome) == {"server": "problem"}
    assert "secret" not in outcome.out + outcome.err


def test_a_real_server_is_looked_at_from_top_to_bottom(tq: Cli, postgres: Any) -> None:
    with postgres.schema() as schema:
        tq.url = postgres.store_url(schema)
        found = levels(diagnose(tq, "-o", "json", code=None))
        assert found["schema"] == "warning"
        with psycopg.connect(postgres.conninfo(), autocommit=True) as connection:
            connection.execute(tq("migrate", "--sql").out.encode())
        outcome = diagnose(tq, "-o", "json", code=None)
    found = levels(outcome)
    for check in ("server", "version", "rights", "schema", "LISTEN", "clock"):
        assert found[check] == "ok", outcome.document
    for check in ("dead rows", "connections", "services", "copy"):
        assert found[check] == "ok", outcome.document
    assert not any("could not be looked at" in v["text"] for v in outcome.document)


def test_rights_that_are_lacking_are_named(tq: Cli, postgres: Any) -> None:
    role = postgres.new_name("role")
    with postgres.schema() as schema:
        tq.url = postgres.store_url(schema)
        with psycopg.connect(postgres.conninfo(), autocommit=True) as connection:

            def run(statement: str) -> None:
                connection.execute(statement.encode())

            run(tq("migrate", "--sql").out)
            run(f"CREATE ROLE {role}")
            try:
                run(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
                run(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}")
                tq.url = f"{tq.url}&options=-c%20role%3D{role}"
                outcome = diagnose(tq, "-o", "json", code=7)
            finally:
                run(f"DROP OWNED BY {role}")
                run(f"DROP ROLE {role}")
    (rights,) = [v for v in outcome.document if v["check"] == "rights"]
    assert rights["level"] == "problem"
    assert "INSERT, UPDATE, DELETE on tq_messages" in rights["text"]
    assert "USAGE on tq_tickets" in rights["text"]


def test_a_role_that_may_work_but_not_copy_is_warned(tq: Cli, postgres: Any) -> None:
    role = postgres.new_name("role")
    with postgres.schema() as schema:
        url = tq.url = postgres.store_url(schema)
        with psycopg.connect(postgres.conninfo(), autocommit=True) as connection:

            def run(statement: str) -> None:
                connection.execute(statement.encode())

            def rights() -> dict[str, str]:
                outcome = diagnose(tq, "-o", "json", code=None)
                (found,) = [v for v in outcome.document if v["check"] == "rights"]
                return dict(found)

            script = tq("migrate", "--sql").out
            run(script)
            run(f"CREATE ROLE {role}")
            try:
                # What the last lines of the script say.
                for line in script.splitlines():
                    if line.startswith("-- GRANT"):
                        run(line.removeprefix("-- ").replace("TO app", f"TO {role}"))
                tq.url = f"{url}&options=-c%20role%3D{role}"
                assert rights()["level"] == "ok"
                run(f"REVOKE UPDATE ON SEQUENCE {schema}.tq_tickets FROM {role}")
                found = rights()
                assert found["level"] == "warning"
                assert "UPDATE on tq_tickets" in found["text"]
                assert tq("queue", "create", "jobs", code=0)
            finally:
                run(f"DROP OWNED BY {role}")
                run(f"DROP ROLE {role}")


def test_a_transaction_that_is_open_is_seen(
    tq: Cli, postgres: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trioqueue.doctor.postgres_rules.LONG_SECONDS", -1.0)
    tq.url = postgres.store_url("trioqueue_none")
    with psycopg.connect(postgres.conninfo()) as connection:
        connection.execute("SELECT txid_current()")
        pid = connection.info.backend_pid
        outcome = diagnose(tq, "-o", "json", code=None)
    (found,) = [v for v in outcome.document if v["check"] == "transactions"]
    assert found["level"] == "warning"
    assert f"pg_terminate_backend({pid})" in found["advice"] or "more" in found["text"]
