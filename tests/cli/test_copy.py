"""`trioqueue copy`: everything of one database into another."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.cli.helpers import Cli
from trioqueue import Store
from trioqueue.store.copying import copy_store


@pytest.fixture
def full(emails: Cli) -> Cli:
    """A database with messages of several kinds."""
    emails.kill("emails", "dead")
    emails("message", "post", "emails", "1", "--id", "m1")
    emails("message", "post", "emails", "2", "--id", "m2", "--delay", "1h")
    emails("message", "post", "emails", "1", "--id", "m3")
    emails("schedule", "create", "nightly", "emails", "--cron", "30 2 * * *")
    return emails


def target(tq: Cli, name: str = "target") -> Cli:
    """The command on another database of the same directory."""
    other = Cli(tq.directory)
    other.file = tq.directory / f"{name}.db"
    other.url = f"sqlite:///{other.file}"
    return other


def test_everything_is_copied_and_counted(full: Cli) -> None:
    other = target(full)
    outcome = full("copy", full.url, other.url, "-o", "json")
    document = outcome.document
    assert (document["live"], document["finished"], document["schedules"]) == (3, 1, 1)
    assert document["queues"][0]["counts"]["PENDING"] == 2
    assert document["dry_run"] is False
    assert (
        "copied and counted: 1 queue, 3 live messages, 1 finished message, 1 attempt, "
        "1 schedule, 0 runs, 0 business calendars"
    ) in outcome.err
    for arguments in (
        ("message", "peek", "emails"),
        ("dlq", "list", "emails"),
        ("schedule", "list"),
    ):
        assert other(*arguments).out == full(*arguments).out, arguments


def test_a_table_shows_each_queue(full: Cli) -> None:
    outcome = full("copy", full.url, target(full).url, "-o", "table")
    header, row = outcome.lines
    assert header.split()[0] == "QUEUE"
    assert row.split() == ["emails", "2", "1", "0", "0", "0", "1"]


def test_a_dry_run_makes_no_file(full: Cli) -> None:
    other = target(full)
    outcome = full("copy", full.url, other.url, "--dry-run", "-o", "jsonl")
    assert outcome.document["dry_run"] is True
    assert "would be copied: 1 queue, 3 live messages" in outcome.err
    assert not other.file.exists()


def test_a_dry_run_finds_names_that_are_taken(full: Cli) -> None:
    other = target(full)
    other("queue", "create", "emails")
    for option in ("--dry-run", "--running=refuse"):
        outcome = full("copy", full.url, other.url, option, code=4)
        assert "already has queue 'emails'" in outcome.err
        assert outcome.out == ""
        assert len(outcome.err.splitlines()) == 1


def test_running_messages_are_refused_in_the_words_of_the_command(full: Cli) -> None:
    full.claim("emails")
    other = target(full)
    outcome = full("copy", full.url, other.url, code=4)
    assert "1 message is running" in outcome.err
    assert "--running expire" in outcome.err
    outcome = full("copy", full.url, other.url, "--running", "expire")
    assert "1 of them run, and expire there" in outcome.err


def test_a_database_that_is_not_there_is_not_made(tq: Cli) -> None:
    outcome = tq("copy", tq.url, target(tq).url, code=5)
    assert "does not exist" in outcome.err
    assert list(tq.directory.iterdir()) == []


@pytest.mark.parametrize("place", [0, 1])
def test_a_database_in_memory_is_refused(full: Cli, place: int) -> None:
    urls = [full.url, target(full).url]
    urls[place] = "sqlite://:memory:"
    assert "in memory ends with this command" in full("copy", *urls, code=2).err


def interrupt(full: Cli, other: Cli) -> None:
    """Begin a copy and never end it."""

    def stop(_done: int, _total: int) -> None:
        raise KeyError

    async def begin(source: Store) -> None:
        from trioqueue import open_store

        async with open_store(other.url) as end:
            with pytest.raises(KeyError):
                await copy_store(source, end, progress=stop)

    full.store(begin)


def test_after_an_interruption_the_same_command_begins_again(full: Cli) -> None:
    other = target(full)
    interrupt(full, other)
    assert "being copied" in other("queue", "list", "-o", "json").out
    outcome = full("copy", full.url, other.url)
    assert f"an unfinished copy from {full.url} was undone first" in outcome.err
    assert "being copied" not in other("queue", "list", "-o", "json").out


def test_what_was_put_into_an_unfinished_copy_is_lost_only_if_told_so(
    full: Cli,
) -> None:
    other = target(full)
    interrupt(full, other)
    other("message", "post", "emails", "1", "--id", "precious")
    outcome = full("copy", full.url, other.url, code=4)
    assert "'emails' has been used since" in outcome.err
    assert "(--discard)" in outcome.err
    full("copy", full.url, other.url, "--discard")
    assert "precious" not in other("message", "peek", "emails").out


def test_an_old_source_is_left_as_it_is(full: Cli) -> None:
    with closing(sqlite3.connect(full.file)) as connection, connection:
        connection.execute("UPDATE tq_meta SET value = '1'")
    outcome = full("copy", full.url, target(full).url, code=6)
    assert "version 1" in outcome.err
