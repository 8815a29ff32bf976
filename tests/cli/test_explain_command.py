"""``trioqueue explain``: what a person reads, and what a program does."""

from __future__ import annotations

import socket

from tests.cli.helpers import Cli, on_both
from trioqueue import Store
from trioqueue.store.operations.workers import Registration


def with_worker(tq: Cli) -> None:
    async def work(store: Store) -> None:
        about = Registration("w1", "box", 7, "1.2", ("emails",), 2, 60_000_000)
        await store.register_worker(about)

    tq.store(work)


@on_both
def test_all_reasons_are_told_with_what_to_do(tq: Cli) -> None:
    tq("queue", "create", "emails")
    tq("message", "post", "emails", "1", "--id", "m1")
    tq("message", "post", "emails", "2", "--id", "m2")
    tq("queue", "pause", "emails", "--reason", "deploy", "--by", "ada")
    lines = tq("explain", "emails", "m2", "-o", "table").lines
    assert lines[:2] == ["m2 in queue 'emails': PENDING", ""]
    text = " ".join(line.strip() for line in lines[2:])
    first, second, third = (text.index(f"{number}. ") for number in (1, 2, 3))
    assert text[first:second].startswith("1. queue 'emails' is paused since ")
    assert text[first:second].endswith(
        " ago) by ada: deploy -> let it go on: trioqueue queue resume emails  "
    )
    assert "2. no worker for queue 'emails' was seen" in text[second:third]
    assert "start one: trioqueue worker MODULE:APP" in text[second:third]
    assert "behind 1 other (" in text[third:]
    assert all(len(line) <= 100 for line in lines)


@on_both
def test_its_document_has_kinds_instants_and_facts(tq: Cli) -> None:
    tq("queue", "create", "emails")
    with_worker(tq)
    tq("message", "post", "emails", "1", "--id", "m1", "--delay", "1h")
    document = tq("explain", "emails", "m1", "-o", "json").document
    (reason,) = document.pop("reasons")
    assert document.pop("at").endswith("Z")
    assert document == {
        "queue": "emails",
        "message_id": "m1",
        "state": "INVISIBLE",
        "attempt": 0,
        "max_attempts": 3,
        "attempts": [],
    }
    assert set(reason) == {"kind", "text", "advice", "until", "facts"}
    assert reason["kind"] == "NOT_DUE"
    assert reason["until"] == reason["facts"]["due_at"]
    assert reason["until"].endswith("Z")
    assert reason["facts"]["delay_seconds"] == 3600
    assert "reasons\t" in tq("explain", "emails", "m1", "-o", "plain").out


def test_its_attempts_are_shown_with_their_errors(emails: Cli) -> None:
    with_worker(emails)
    emails.kill("emails", "m1", error="no such\x1bhost")
    out = emails("explain", "emails", "m1", "-o", "table").out
    assert out.startswith("m1 in queue 'emails': ERRORED\n\nit is a dead letter since ")
    assert "\n-> mend the cause, then: trioqueue dlq requeue emails m1\n" in out
    assert "\n\nattempts 1/1\nATTEMPT  OUTCOME  ERROR " in out
    assert "OSError: no such\\x1bhost" in out
    assert "\x1b" not in out


def test_the_command_that_it_advises_works(emails: Cli) -> None:
    emails.kill("emails", "m1")
    out = emails("explain", "emails", "m1", "-o", "table").out
    command = out.partition("then: trioqueue ")[2].splitlines()[0].split()
    assert command == ["dlq", "requeue", "emails", "m1"]
    emails(*command)
    document = emails("explain", "emails", "m1", "-o", "json").document
    assert document["state"] == "PENDING"


def test_a_pause_names_whoever_typed_it(emails: Cli) -> None:
    emails("message", "post", "emails", "1", "--id", "m1")
    emails("queue", "pause", "emails")
    (reason, *_) = emails("explain", "emails", "m1", "-o", "json").document["reasons"]
    assert reason["facts"]["paused_by"].endswith(f"@{socket.gethostname()}")


def test_lines_fit_a_narrow_terminal(emails: Cli) -> None:
    emails("message", "post", "emails", "1", "--id", "m1")
    out = emails("explain", "emails", "m1", "-o", "table", env={"COLUMNS": "40"}).lines
    assert len(out) > 8
    assert all(len(line) <= 40 for line in out), out


@on_both
def test_what_is_not_there_is_not_found(tq: Cli) -> None:
    tq("migrate")
    assert "queue 'emails' does not exist" in tq("explain", "emails", "m", code=3).err
    tq("queue", "create", "emails")
    assert "'m' is not in queue" in tq("explain", "emails", "m", code=3).err
    assert "Missing argument 'ID'" in tq("explain", "emails", code=2).err
