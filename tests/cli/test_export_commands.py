"""`trioqueue export` and `trioqueue import`."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.cli.helpers import Cli, on_both


def fill(tq: Cli) -> None:
    tq("queue", "create", "emails", "--retention", "forever")
    tq.kill("emails", "dead")
    tq("message", "post", "emails", "1", "--id", "m1")
    tq("message", "post", "emails", '"grüße"', "--id", "m2", "--delay", "1h")
    tq("schedule", "create", "nightly", "emails", "--cron", "30 2 * * *")


def another(tq: Cli) -> Cli:
    other = Cli(tq.directory)
    other.file = tq.directory / "other.db"
    other.url = f"sqlite:///{other.file}"
    return other


@on_both
def test_an_export_is_imported_as_it_was(tq: Cli) -> None:
    fill(tq)
    file = tq.directory / "backup.jsonl"
    outcome = tq("export", str(file))
    assert outcome.out == f"{file}\n"
    assert (
        "exported: 1 queue, 3 messages, 1 attempt, 1 schedule, 0 runs, "
        "0 business calendars"
    ) in outcome.err
    other = another(tq)
    outcome = other("import", str(file), "-o", "table")
    assert outcome.lines[1].split() == ["emails", "1", "1", "0", "0", "0", "1"]
    assert "imported and counted: 1 queue, 2 live messages" in outcome.err
    for arguments in (
        ("message", "show", "emails", "m2"),
        ("dlq", "list", "emails"),
        ("schedule", "list"),
    ):
        assert other(*arguments).out == tq(*arguments).out
    again = other("export")
    assert again.out == file.read_text()


def test_by_standard_streams_in_processes_of_their_own(tq: Cli) -> None:
    fill(tq)
    outcome = tq.process("export", "-q")
    assert (outcome.code, outcome.err) == (0, "")
    other = another(tq)
    with other.start("import", "-", stdin=-1) as process:
        out, err = process.communicate(outcome.out, timeout=60)
    assert process.returncode == 0, err
    assert out.startswith("emails\t1\t1\t")
    assert other("export").out == outcome.out


@pytest.mark.skipif(os.name == "nt", reason="pipes break otherwise there")
def test_a_reader_that_goes_is_no_error(tq: Cli) -> None:
    fill(tq)
    reader, writer = os.pipe()
    os.close(reader)
    with tq.start("export", stdout=writer) as process:
        os.close(writer)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (141, "")


def test_a_file_is_private_and_never_replaced_unless_told_so(tq: Cli) -> None:
    fill(tq)
    file = tq.directory / "backup.jsonl"
    tq("export", str(file))
    if os.name != "nt":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text("precious")
    assert "exists already; say --force" in tq("export", str(file), code=4).err
    assert file.read_text() == "precious"
    tq("export", str(file), "--force")
    assert file.read_text() != "precious"
    assert not list(tq.directory.glob("*.partial"))


def test_a_file_that_cannot_be_written_says_why(tq: Cli) -> None:
    fill(tq)
    nowhere = tq.directory / "nowhere" / "x.jsonl"
    assert "cannot write" in tq("export", str(nowhere), code=1).err
    assert "does not exist" in tq("export", "--queue", "nobody", code=3).err


def test_an_export_that_fails_leaves_no_file(tq: Cli) -> None:
    fill(tq)
    file = tq.directory / "x.jsonl"
    tq("export", str(file), "--queue", "nobody", code=3)
    assert not list(tq.directory.glob("x.jsonl*"))


def test_only_one_queue(tq: Cli) -> None:
    fill(tq)
    tq("queue", "create", "other")
    document = tq(
        "export", str(tq.directory / "x"), "--queue", "other", "-o", "json"
    ).document
    assert (document["queues"], document["messages"]) == (1, 0)


def test_a_dry_run_checks_all_and_makes_no_database(tq: Cli) -> None:
    fill(tq)
    file = tq.directory / "x.jsonl"
    tq("export", str(file))
    other = another(tq)
    outcome = other("import", str(file), "--dry-run", "-o", "json")
    assert outcome.document["dry_run"] is True
    assert "would be imported: 1 queue, 2 live messages" in outcome.err
    assert not other.file.exists()
    assert (
        "already has queue 'emails'" in tq("import", str(file), "--dry-run", code=4).err
    )
    assert "already has queue 'emails'" in tq("import", str(file), code=4).err


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "line 1: this is no export of trioqueue"),
        (b"hello\n", "line 1: this is no export of trioqueue"),
        (b'{"trioqueue":9}\n', "line 1: the export has version 9"),
        (b'{"trioqueue":1,"content":"export"}\n', "line 1: the file is cut off"),
        (b'{"trioqueue":1,"content":"export"}\n{}\n', "line 2: the field 'type'"),
    ],
)
@pytest.mark.parametrize("by", ["file", "stdin"])
def test_a_wrong_file_makes_no_database(
    tq: Cli, content: bytes, problem: str, by: str
) -> None:
    file: Path = tq.directory / "x.jsonl"
    file.write_bytes(content)
    if by == "file":
        outcome = tq("import", str(file), code=2)
    else:
        outcome = tq("import", stdin=content, code=2)
    assert problem in outcome.err
    assert not tq.file.exists()


def test_messages_that_ran_are_told_in_the_words_of_the_command(tq: Cli) -> None:
    fill(tq)
    tq.claim("emails")
    file = tq.directory / "x.jsonl"
    assert "1 of the messages run" in tq("export", str(file)).err
    other = another(tq)
    err = other("import", str(file), code=4).err
    assert "1 message was running" in err
    assert "--running expire" in err
    assert not other.file.exists()
    outcome = other("import", str(file), "--running", "expire")
    assert "1 of them run, and expire there" in outcome.err


def test_a_file_that_is_not_there_is_told(tq: Cli) -> None:
    assert "cannot read" in tq("import", "nowhere.jsonl", code=2).err
    assert "does not exist" in tq("export", code=5).err
    assert not tq.file.exists()
