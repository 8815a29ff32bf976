from __future__ import annotations

import socket
from datetime import UTC, datetime
from typing import Any

import pytest

import trioqueue
from tests.cli.helpers import Cli, on_both


def test_create_makes_the_file_and_prints_the_name_as_data(tq: Cli) -> None:
    outcome = tq("queue", "create", "emails")
    assert outcome.out == "emails\n"
    assert outcome.err == "queue 'emails' created\n"
    assert tq.file.exists()


@on_both
def test_creating_the_same_queue_again_changes_nothing(emails: Cli) -> None:
    outcome = emails("queue", "create", "emails")
    assert outcome.out == "emails\n"
    assert "already" in outcome.err


@on_both
def test_creating_it_with_other_options_is_a_conflict(emails: Cli) -> None:
    outcome = emails("queue", "create", "emails", "--max-attempts", "9", code=4)
    assert "trioqueue queue show emails" in outcome.err


@on_both
def test_every_option_of_create_reaches_the_queue(tq: Cli) -> None:
    tq(
        *("queue", "create", "emails", "--max-attempts", "-1", "--lease", "5m"),
        *("--heartbeat", "30s", "--max-extension", "2h", "--execution-limit", "1h"),
        *("--retry", "exponential:2s,factor=3,cap=10m,jitter=off"),
        *("--retention", "keep:1h", "--dead-letter-queue", "graves"),
        *("--dead-letter-retention", "keep:30d", "--max-payload-bytes", "1000"),
        *("--max-metadata-bytes", "10", "--content-type", "text/plain"),
        *("--content-type", "application/json"),
    )

    async def get(store: trioqueue.Store) -> trioqueue.Queue:
        return await store.get_queue("emails")

    assert tq.store(get).options == trioqueue.QueueOptions(
        max_attempts=-1,
        lease=trioqueue.LeasePolicy(
            base_seconds=300,
            heartbeat_seconds=30,
            max_extension_seconds=7200,
            execution_limit_seconds=3600,
        ),
        retry=trioqueue.RetryPolicy.exponential(2, 3, 600, jitter=False),
        retention=trioqueue.RetentionPolicy.keep(3600),
        dead_letter_queue="graves",
        dead_letter_retention=trioqueue.RetentionPolicy.keep(30 * 86400),
        max_payload_bytes=1000,
        max_metadata_bytes=10,
        content_types=("text/plain", "application/json"),
    )


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--retention", "forever", {"kind": "keep_forever", "seconds": None}),
        ("--retention", "delete", {"kind": "delete", "seconds": None}),
        ("--retention", "keep:1.5", {"kind": "keep", "seconds": 1.5}),
    ],
)
def test_json_shows_the_policy_asked_for(
    tq: Cli, option: str, value: str, expected: dict[str, Any]
) -> None:
    outcome = tq("queue", "create", "q", option, value, "-o", "json")
    assert outcome.document["options"]["retention"] == expected


@pytest.mark.parametrize(
    "arguments",
    [
        ("no spaces please",),
        ("q", "--max-attempts", "0"),
        ("q", "--lease", "0"),
        ("q", "--retention", "keep:0"),
        ("q", "--retention", "keep"),
        ("q", "--retry", "fixed"),
        ("q", "--retry", "fixed:1s,cap=2s"),
        ("q", "--retry", "exponential:1s,factor=0.5"),
        ("q", "--retry", "exponential,jitter=perhaps"),
        ("q", "--retry", "never"),
    ],
)
def test_wrong_options_are_refused_and_no_queue_is_made(
    tq: Cli, arguments: tuple[str, ...]
) -> None:
    outcome = tq("queue", "create", *arguments, code=2)
    assert outcome.err.startswith("Error: ")
    assert len(outcome.err.splitlines()) == 1
    assert not tq.file.exists() or tq("queue", "list", "-o", "json").document == []


@on_both
def test_list_shows_queues_by_name_with_exact_counts(emails: Cli) -> None:
    emails("queue", "create", "alerts")
    emails("message", "post", "emails", "1")
    emails("message", "post", "emails", "2")
    emails("message", "post", "emails", "3", "--delay", "1h")
    emails.claim("emails")
    documents = emails("queue", "list", "-o", "json").document
    assert [document["name"] for document in documents] == ["alerts", "emails"]
    counts = documents[1]["counts"]
    assert counts == {
        "INVISIBLE": 1,
        "PENDING": 1,
        "RUNNING": 1,
        "COMPLETED": 0,
        "CANCELED": 0,
        "ERRORED": 0,
    }
    assert documents[1]["oldest_ready_seconds"] >= 0
    assert documents[0]["oldest_ready_seconds"] is None


@on_both
def test_list_goes_on_where_a_page_ended(tq: Cli) -> None:
    for name in ("a", "b", "c", "x"):
        tq("queue", "create", name)
    first = tq("queue", "list", "--limit", "2", "-o", "jsonl")
    assert first.err == "there are more: go on with --after b\n"
    rest = tq("queue", "list", "--limit", "2", "--after", "b")
    assert [line.split("\t")[0] for line in rest.lines] == ["c", "x"]
    assert rest.err == ""


@on_both
def test_list_takes_a_prefix(tq: Cli) -> None:
    for name in ("mail.in", "mail.out", "other"):
        tq("queue", "create", name)
    lines = tq("queue", "list", "mail.").lines
    assert [line.split("\t")[0] for line in lines] == ["mail.in", "mail.out"]
    assert "no such queues" in tq("queue", "list", "zzz").err


@on_both
def test_show_says_why_it_is_paused_and_what_comes_next(emails: Cli) -> None:
    emails("message", "post", "emails", "1", "--at", "2030-01-31T09:00:00+01:00")
    emails("message", "post", "emails", "2")
    emails("queue", "pause", "emails", "--reason", "the relay is down")
    text = emails("queue", "show", "emails", "-o", "table").out
    assert "the relay is down" in text
    assert "2030-01-31T08:00:00.000000Z" in text
    assert "exponential:1s,factor=2,cap=1h,jitter=on" in text
    document = emails("queue", "show", "emails", "-o", "json").document
    assert document["paused"] is True
    assert document["pause_reason"] == "the relay is down"
    assert document["earliest_deadline"] == "2030-01-31T08:00:00.000000Z"
    assert document["counts"]["PENDING"] == 1
    paused_at = datetime.fromisoformat(document["paused_at"])
    assert abs((datetime.now(UTC) - paused_at).total_seconds()) < 60


@on_both
def test_show_in_plain_form_has_one_field_a_line(emails: Cli) -> None:
    lines = emails("queue", "show", "emails").lines
    fields = dict(line.split("\t") for line in lines)
    assert fields["counts.PENDING"] == "0"
    assert fields["options.lease.base_seconds"] == "30.0"
    assert fields["dead_letter_queue"] == "emails-dlq"


@pytest.mark.parametrize(
    ("option", "value", "shown"),
    [
        ("--retry", "linear:10s,cap=5m", "linear:10s,cap=5m"),
        ("--retry", "fixed:1m30s", "fixed:1m30s"),
        (
            "--retry",
            "exponential,jitter=off",
            "exponential:1s,factor=2,cap=1h,jitter=off",
        ),
        ("--max-attempts", "-1", "no limit"),
        ("--retention", "forever", "forever"),
        ("--heartbeat", "10s", "base 30s, heartbeat 10s"),
    ],
)
def test_show_writes_policies_as_create_reads_them(
    tq: Cli, option: str, value: str, shown: str
) -> None:
    tq("queue", "create", "q", option, value)
    assert shown in tq("queue", "show", "q", "-o", "table").out


@on_both
def test_pause_stops_claims_and_resume_allows_them(emails: Cli) -> None:
    emails("message", "post", "emails", "1")
    document = emails("queue", "pause", "emails", "-o", "json").document
    assert document["paused"]
    assert not document["pause_reason"]

    async def claim(store: trioqueue.Store) -> int:
        return len(await store.claim("emails"))

    assert emails.store(claim) == 0
    assert emails("queue", "resume", "emails").err == "queue 'emails' resumed\n"
    assert emails.store(claim) == 1


@on_both
def test_a_pause_says_who_paused(tq: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    tq("queue", "create", "emails")
    monkeypatch.setenv("LOGNAME", "ada")
    paused = tq("queue", "pause", "emails", "--reason", "deploy", "-o", "json").document
    assert paused["paused_by"] == f"ada@{socket.gethostname()}"
    assert (
        f" by ada@{socket.gethostname()}: deploy"
        in tq(*("queue", "show", "emails", "-o", "table")).out
    )
    paused = tq("queue", "pause", "emails", "--by", "the night shift", "-o", "json")
    assert paused.document["paused_by"] == "the night shift"
    assert tq("queue", "resume", "emails", "-o", "json").document["paused_by"] is None


def test_a_pause_by_nobody_known_names_nobody(
    emails: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> str:
        raise OSError("no such user")

    monkeypatch.setattr("getpass.getuser", nobody)
    paused = emails("queue", "pause", "emails", "-o", "json").document
    assert (paused["paused"], paused["paused_by"]) == (True, None)
