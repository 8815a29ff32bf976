from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

import trioqueue
from tests.cli.helpers import Cli, on_both


def stored(tq: Cli, message_id: str) -> trioqueue.Message:
    async def get(store: trioqueue.Store) -> trioqueue.Message:
        return await store.get_message("emails", message_id)

    return tq.store(get)


@on_both
def test_post_prints_the_id_alone_so_that_a_script_can_keep_it(emails: Cli) -> None:
    outcome = emails("message", "post", "emails", '{"to": "a@example.org"}')
    assert stored(emails, outcome.out.strip()).payload == {"to": "a@example.org"}
    assert outcome.err == "in queue 'emails', PENDING\n"


@on_both
def test_every_option_of_post_reaches_the_message(emails: Cli) -> None:
    emails(
        *("message", "post", "emails", "hello", "--content-type", "text/plain"),
        *("--id", "m1", "--priority", "4", "--max-attempts", "7"),
        *("--at", "2030-01-31T09:00:00+01:00"),
        *("--metadata", "tenant=a=b", "--metadata", 'trace:={"n": 1}'),
    )
    message = stored(emails, "m1")
    assert message.payload == "hello"
    assert message.priority == 4
    assert message.max_attempts == 7
    assert message.metadata == {"tenant": "a=b", "trace": {"n": 1}}
    assert message.scheduled_time is not None
    assert message.scheduled_time.isoformat() == "2030-01-31T08:00:00+00:00"


@on_both
def test_a_delay_keeps_it_invisible(emails: Cli) -> None:
    arguments = ("message", "post", "emails", "1", "--delay", "10m", "-o", "json")
    document = emails(*arguments).document
    assert document["state"] == "INVISIBLE"
    assert document["scheduled_time"] > document["created_at"]


@on_both
@pytest.mark.parametrize(
    ("content_type", "data", "payload"),
    [
        ("application/json", b'\xef\xbb\xbf{"n": 12345678901234567890}\n', None),
        ("text/plain", "grüße\n".encode(), "grüße\n"),
        ("image/png", b"\x89PNG\r\n\x00\xff", b"\x89PNG\r\n\x00\xff"),
    ],
)
@pytest.mark.parametrize("source", ["file", "stdin"])
def test_a_payload_comes_from_a_file_or_standard_input_unchanged(
    emails: Cli, content_type: str, data: bytes, payload: Any, source: str
) -> None:
    file = emails.directory / "payload"
    file.write_bytes(data)
    emails(
        *("message", "post", "emails", "-" if source == "stdin" else f"@{file}"),
        *("--content-type", content_type, "--id", "m1"),
        stdin=data,
    )
    expected = {"n": 12345678901234567890} if payload is None else payload
    assert stored(emails, "m1").payload == expected


def test_two_at_signs_stand_for_one(emails: Cli) -> None:
    arguments = ("--content-type", "text/plain", "--id", "m1")
    emails("message", "post", "emails", "@@alice", *arguments)
    assert stored(emails, "m1").payload == "@alice"


def test_a_negative_number_is_a_payload_after_a_double_dash(emails: Cli) -> None:
    emails("message", "post", "emails", "--id", "m1", "--", "-5")
    assert stored(emails, "m1").payload == -5


@on_both
def test_posting_the_same_again_is_safe_and_other_content_is_a_conflict(
    emails: Cli,
) -> None:
    for _ in range(2):
        assert emails("message", "post", "emails", "1", "--id", "m1").out == "m1\n"
    outcome = emails("message", "post", "emails", "2", "--id", "m1", code=4)
    assert "choose another --id" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("{to: 1}",), "not JSON"),
        (("NaN",), "payload"),
        (("@/nowhere/at/all",), "cannot read '/nowhere/at/all'"),
        (("1", "--at", "2030-01-31T09:00"), "no time zone"),
        (("1", "--at", "tomorrow"), "no ISO 8601 time"),
        (("1", "--at", "2030-01-31T09:00Z", "--delay", "1s"), "either --delay or --at"),
        (("1", "--delay", "ten minutes"), "no duration"),
        (("1", "--priority", "5"), "0<=x<=4"),
        (("1", "--max-attempts", "0"), "max_attempts"),
        (("1", "--id", "a b"), "message_id"),
        (("1", "--metadata", "tenant"), "KEY=TEXT"),
        (("1", "--metadata", "n:={"), "not JSON"),
        (("1", "--content-type", "json"), "content_type"),
    ],
)
def test_what_cannot_be_posted_is_refused_in_one_line(
    emails: Cli, arguments: tuple[str, ...], hint: str
) -> None:
    outcome = emails("message", "post", "emails", *arguments, code=2)
    assert hint in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert emails("message", "peek", "emails", "-o", "json").document == []


def test_a_text_that_is_not_utf_8_is_refused(emails: Cli) -> None:
    arguments = ("message", "post", "emails", "-", "--content-type", "text/plain")
    assert "not UTF-8" in emails(*arguments, stdin=b"\xff", code=2).err


@on_both
def test_peek_lists_in_the_order_of_claims_and_touches_nothing(emails: Cli) -> None:
    emails("message", "post", "emails", '"low"', "--id", "low", "--priority", "0")
    emails("message", "post", "emails", '"high"', "--id", "high", "--priority", "4")
    emails("message", "post", "emails", '"later"', "--id", "later", "--delay", "1h")
    for _ in range(2):
        lines = emails("message", "peek", "emails").lines
        assert [line.split("\t")[0] for line in lines] == ["high", "low", "later"]
    documents = emails("message", "peek", "emails", "-o", "json").document
    assert [document["payload"] for document in documents] == ["high", "low", "later"]


@on_both
def test_peek_filters_by_state_and_priority(emails: Cli) -> None:
    emails("message", "post", "emails", "1", "--id", "a", "--priority", "1")
    emails("message", "post", "emails", "2", "--id", "b", "--delay", "1h")
    one = emails("message", "peek", "emails", "--state", "invisible").lines
    assert [line.split("\t")[0] for line in one] == ["b"]
    one = emails("message", "peek", "emails", "--priority", "1").lines
    assert [line.split("\t")[0] for line in one] == ["a"]
    none = emails("message", "peek", "emails", "--state", "COMPLETED")
    assert (none.out, none.err) == ("", "no such messages in 'emails'\n")


@on_both
def test_peek_goes_on_where_a_page_ended(emails: Cli) -> None:
    for name in "abc":
        emails("message", "post", "emails", "1", "--id", name)
    first = emails("message", "peek", "emails", "--limit", "2")
    assert first.err == "there are more: go on with --after b\n"
    rest = emails("message", "peek", "emails", "--limit", "2", "--after", "b")
    assert [line.split("\t")[0] for line in rest.lines] == ["c"]


def caught() -> OSError:
    """Return an error with its traceback."""
    try:
        Path("/nowhere\nat all").read_bytes()
    except OSError as error:
        return error
    raise AssertionError


@on_both
def test_show_tells_every_attempt_with_its_worker_and_error(tq: Cli) -> None:
    tq("queue", "create", "emails", "--retry", "fixed:0")
    tq("message", "post", "emails", '{"to": 1}', "--id", "m1", "--metadata", "k=v")

    async def fail_once(store: trioqueue.Store) -> None:
        (job,) = await store.claim("emails", worker_id="w1")
        await store.fail(job, caught())
        await store.claim("emails", worker_id="w2")

    tq.store(fail_once)
    text = tq("message", "show", "emails", "m1", "-o", "table").out
    assert "FileNotFoundError: " in text
    assert "'/nowhere\\nat all'" in text
    assert "w1" in text
    assert "RUNNING" in text
    assert "leased until" in text
    assert "Traceback" not in text
    text = tq("message", "show", "emails", "m1", "-o", "table", "--tracebacks").out
    assert "Traceback (most recent call last)" in text
    assert "    Path(" in text
    document = tq("message", "show", "emails", "m1", "-o", "json").document
    first, second = document["attempts"]
    assert first["error_type"] == "FileNotFoundError"
    assert "nowhere" in first["error_message"]
    assert first["worker_id"] == "w1"
    assert second["ended_at"] is None
    assert document["lease"]["expires_at"].endswith("Z")
    assert document["metadata"] == {"k": "v"}
    due = tq("message", "peek", "emails").lines[0].split("\t")[5]
    assert due == document["lease"]["expires_at"]


@on_both
def test_show_finds_finished_messages_that_the_queue_keeps(tq: Cli) -> None:
    tq("queue", "create", "emails", "--retention", "forever")
    tq("message", "post", "emails", "1", "--id", "m1")

    async def complete(store: trioqueue.Store) -> None:
        (job,) = await store.claim("emails")
        await store.complete(job, {"sent": 1})

    tq.store(complete)
    text = tq("message", "show", "emails", "m1", "-o", "table").out
    assert "COMPLETED" in text
    assert '{"sent": 1}' in text


@on_both
def test_bytes_are_base64_with_a_mark_in_json(emails: Cli, tmp_path: Path) -> None:
    file = tmp_path / "logo.png"
    file.write_bytes(b"\x89PNG\x00")
    arguments = ("--content-type", "image/png", "--id", "m1")
    emails("message", "post", "emails", f"@{file}", *arguments)
    document = emails("message", "show", "emails", "m1", "-o", "json").document
    assert document["payload_encoding"] == "base64"
    assert base64.b64decode(document["payload"]) == b"\x89PNG\x00"
    assert "base64" in emails("message", "show", "emails", "m1", "-o", "table").out
    emails("message", "post", "emails", '"text"', "--id", "m2")
    document = emails("message", "show", "emails", "m2", "-o", "json").document
    assert "payload_encoding" not in document


@on_both
def test_cancel_withdraws_a_waiting_message_with_its_reason(tq: Cli) -> None:
    tq("queue", "create", "emails", "--retention", "forever")
    tq("message", "post", "emails", "1", "--id", "m1")
    outcome = tq("message", "cancel", "emails", "m1", "--reason", "sent by hand")
    assert (outcome.out, outcome.err) == ("m1\n", "message 'm1' is canceled\n")
    text = tq("message", "show", "emails", "m1", "-o", "table").out
    assert "CANCELED" in text
    assert "sent by hand" in text
    assert "CANCELED" in tq("message", "cancel", "emails", "m1", code=4).err


@on_both
def test_canceling_a_running_message_needs_abort(emails: Cli) -> None:
    emails("message", "post", "emails", "1", "--id", "m1")
    emails.claim("emails")
    assert "pass --abort" in emails("message", "cancel", "emails", "m1", code=4).err
    outcome = emails("message", "cancel", "emails", "m1", "--abort", "--reason", "stop")
    assert "is asked to cancel" in outcome.err
    text = emails("message", "show", "emails", "m1", "-o", "table").out
    assert "stop" in text
