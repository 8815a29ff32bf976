"""``trioqueue message list``: what is found, page by page, in every format."""

from __future__ import annotations

import json

import pytest

from tests.cli.helpers import Cli, on_both
from trioqueue import NewMessage, Store


@pytest.fixture
def mixed(emails: Cli) -> Cli:
    """The command, on two queues with messages of several kinds.

    In `emails` e0 to e3, of which e0 and e2 have died of two errors; in `other` o0.
    """
    emails("queue", "create", "other")

    async def fill(store: Store) -> None:
        for number in range(4):
            call = {"task": "send" if number < 2 else "bill", "args": [number]}
            metadata = {"tenant": "acme" if number % 2 else "apex", "n": number}
            await store.post(
                "emails",
                call,
                message_id=f"e{number}",
                metadata=metadata,
                max_attempts=1,
            )
        await store.post_many("other", [NewMessage(0, message_id="o0")])
        errors = {"e0": TimeoutError("slow"), "e2": KeyError("Paid")}
        for job in await store.claim("emails", limit=4, worker_id="w1"):
            if job.message_id in errors:
                await store.fail(job, errors[job.message_id])
            else:
                await store.release(job)

    emails.store(fill)
    return emails


def listed(tq: Cli, *arguments: str) -> list[str]:
    """Return the ids that a list has."""
    lines = tq("message", "list", *arguments, "-o", "jsonl").lines
    return [json.loads(line)["message_id"] for line in lines]


@on_both
def test_it_lists_all_queues_with_their_last_errors(mixed: Cli) -> None:
    lines = [line.split("\t") for line in mixed("message", "list").lines]
    assert [line[:5] for line in lines] == [
        ["e0", "emails", "ERRORED", "1/1", "TimeoutError: slow"],
        ["e1", "emails", "PENDING", "0/1", ""],
        ["e2", "emails", "ERRORED", "1/1", "KeyError: 'Paid'"],
        ["e3", "emails", "PENDING", "0/1", ""],
        ["o0", "other", "PENDING", "0/3", ""],
    ]
    table = mixed("message", "list", "-o", "table", "--queue", "other").lines
    assert table[0].split() == [
        *("ID", "QUEUE", "STATE", "TRIES", "LAST", "ERROR", "POSTED", "PAYLOAD")
    ]
    document = mixed("message", "list", "-o", "json", "--limit", "1").document[0]
    assert document["attempts"][0]["error_type"] == "TimeoutError"


@on_both
def test_every_filter_chooses(mixed: Cli) -> None:
    for arguments, expected in (
        (("--queue", "other"), ["o0"]),
        (("--queue", "other", "--queue", "emails"), ["e0", "e1", "e2", "e3", "o0"]),
        (("--state", "errored"), ["e0", "e2"]),
        (("--state", "PENDING", "--queue", "emails"), ["e1", "e3"]),
        (("--task", "send"), ["e0", "e1"]),
        (("--error", "PAID"), ["e2"]),
        (("--error", "timeout"), ["e0"]),
        (("--since", "1h"), ["e0", "e1", "e2", "e3", "o0"]),
        (("--since", "2030-01-31T09:00:00Z"), []),
        (("--until", "1h"), []),
        (("--id", "e1", "--id", "o0", "--id", "nobody"), ["e1", "o0"]),
        (("--metadata", "tenant=acme"), ["e1", "e3"]),
        (("--metadata", "n:=3"), ["e3"]),
        (("--metadata", "n=3"), []),
        (("--reason", "max_attempts", "--task", "bill"), ["e2"]),
    ):
        assert listed(mixed, *arguments) == expected


@on_both
def test_ids_come_from_standard_input(mixed: Cli) -> None:
    arguments = ("message", "list", "--id", "-", "-o", "plain")
    lines = mixed(*arguments, stdin="e3\n\n  o0 \ne3\n").lines
    assert [line.split("\t")[0] for line in lines] == ["e3", "o0"]
    none = mixed(*arguments, stdin="")
    assert (none.out, none.err) == ("", "no such messages\n")


@on_both
def test_pages_say_where_they_end(mixed: Cli) -> None:
    first = mixed("message", "list", "--limit", "2")
    assert [line.split("\t")[0] for line in first.lines] == ["e0", "e1"]
    place = first.err.removeprefix("there are more: go on with --after ").strip()
    assert listed(mixed, "--after", place) == ["e2", "e3", "o0"]
    last = mixed("message", "list", "--limit", "3", "--after", place)
    assert last.err == ""


@on_both
def test_all_pages_stream_as_lines(mixed: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trioqueue.cli.message_bulk.PAGE", 2)
    for form in ("table", "jsonl"):
        outcome = mixed("message", "list", "--all", "-o", form)
        names = [json.loads(line)["message_id"] for line in outcome.lines]
        assert names == ["e0", "e1", "e2", "e3", "o0"]
        assert outcome.err == ""
    plain = mixed("message", "list", "--all", "--state", "ERRORED", "-o", "plain")
    assert [line.split("\t")[0] for line in plain.lines] == ["e0", "e2"]
    assert mixed("message", "list", "--all", "--until", "1h").out == ""


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        (("--state", "DEAD"), 2, "is not one of"),
        (("--since", "yesterday"), 2, "or a span such as 10m"),
        (("--since", "2030-01-31T09:00"), 2, "no time zone"),
        (("--since", "999999999999d"), 2, "before the year 1"),
        (("--since", "1h", "--until", "2h"), 2, "until"),
        (("--metadata", "tenant"), 2, "KEY=TEXT"),
        (("--error", ""), 2, "error"),
        (("--after", "e1"), 2, "no place"),
        (("--all", "-o", "json"), 2, "-o jsonl"),
        (("--queue", "nobody"), 3, "does not exist"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(
    mixed: Cli, arguments: tuple[str, ...], code: int, hint: str
) -> None:
    assert hint in mixed("message", "list", *arguments, code=code).err
