from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tests.cli.helpers import Cli, on_both
from trioqueue import LeasePolicy, Message, MessageState
from trioqueue.cli import output
from trioqueue.cli.documents import iso, message_document, plain_value

COLUMNS = (
    output.Column("ID", output.field("id")),
    output.Column("TEXT", output.field("text"), free=True),
    output.Column("N", output.field("in.n")),
)


def rows(*texts: str) -> list[dict[str, Any]]:
    return [
        {"id": f"m{i}", "text": text, "in": {"n": i}} for i, text in enumerate(texts)
    ]


@pytest.fixture
def full(emails: Cli) -> Cli:
    for n in range(3):
        text = json.dumps({"to": f"{n}@example.org", "text": "long " * 20})
        emails("message", "post", "emails", text, "--id", f"message-{n}")
    return emails


@on_both
def test_the_four_formats_say_the_same(full: Cli) -> None:
    documents = full("message", "peek", "emails", "-o", "json").document
    lines = full("message", "peek", "emails", "-o", "jsonl").lines
    assert list(map(json.loads, lines)) == documents
    ids = [document["message_id"] for document in documents]
    plain = full("message", "peek", "emails", "-o", "plain").lines
    assert [line.split("\t")[0] for line in plain] == ids
    assert [json.loads(line.split("\t")[4]) for line in plain] == [
        document["payload"] for document in documents
    ]
    header, *table = full("message", "peek", "emails", "-o", "table").lines
    assert header.split() == [
        "ID",
        "STATE",
        "TRIES",
        "PRIORITY",
        "PAYLOAD",
        "DUE",
        "WORKER",
    ]
    assert [line.split()[0] for line in table] == ids


def test_no_terminal_means_plain_lines_without_a_header(full: Cli) -> None:
    assert full("message", "peek", "emails").lines[0].startswith("message-0\tPENDING\t")


@on_both
def test_one_record_is_one_document_in_each_format(full: Cli) -> None:
    arguments = ("message", "show", "emails", "message-0")
    document = full(*arguments, "-o", "json").document
    assert full(*arguments, "-o", "jsonl").document == document
    plain = dict(line.split("\t") for line in full(*arguments).lines)
    assert set(plain) == set(document)
    assert json.loads(plain["payload"]) == document["payload"]
    posted = full("message", "post", "emails", "1", "-o", "jsonl")
    assert posted.document["payload"] == 1


def test_a_table_is_cut_to_the_width_of_the_terminal(full: Cli) -> None:
    for width in (60, 80, 120):
        lines = full(
            *("message", "peek", "emails", "-o", "table"), env={"COLUMNS": str(width)}
        ).lines
        assert max(map(len, lines)) <= width
        assert lines[1].startswith("message-0  PENDING  0/3    2         ")
        assert "…" in lines[1]
    uncut = full("message", "peek", "emails", "-o", "table").out
    assert "…" not in uncut


def test_an_empty_list_says_so_on_stderr_alone(emails: Cli) -> None:
    for form, expected in (
        ("table", ""),
        ("plain", ""),
        ("jsonl", ""),
        ("json", "[]\n"),
    ):
        outcome = emails("message", "peek", "emails", "-o", form)
        assert outcome.out == expected
        assert outcome.err == "no such messages in 'emails'\n"


def test_nothing_is_ever_coloured(full: Cli) -> None:
    for env in ({"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}):
        assert "\x1b" not in full("queue", "list", "-o", "table", env=env).out
        assert "\x1b" not in full("--help", env=env).out


def test_columns_are_aligned_also_with_wide_characters() -> None:
    lines = list(output.table(rows("日本", "e\u0301a", "plain"), COLUMNS))
    assert lines == [
        "ID  TEXT   N",
        "m0  日本   0",
        "m1  e\u0301a     1",
        "m2  plain  2",
    ]


def test_free_text_is_cut_before_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "terminal_width", lambda: 15)
    lines = list(output.table(rows("日本語日本語", "short"), COLUMNS))
    assert lines == ["ID  TEXT      N", "m0  日本語…   0", "m1  short     1"]
    monkeypatch.setattr(output, "terminal_width", lambda: 8)
    lines = list(output.table(rows("many words"), COLUMNS))
    assert lines == ["ID  TEX…", "m0  man…"]


def test_very_long_names_are_cut_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "terminal_width", lambda: 60)
    document = {"id": "x" * 128, "text": "text", "in": {"n": 5}}
    (_, line) = output.table([document], COLUMNS)
    assert line == "x" * 50 + "…  text  5"


def test_control_characters_are_shown_not_obeyed() -> None:
    assert output.safe("a\tb\n\x1b[2J\u202e") == "a\\tb\\n\\x1b[2J\\u202e"
    assert output.safe("grüße 日本") == "grüße 日本"


def test_documents_have_instants_in_utc_and_states_by_name() -> None:
    east = timezone(timedelta(hours=2))
    message = Message(
        "q",
        "m",
        {"a": [1, None]},
        state=MessageState.RUNNING,
        created_at=datetime(2030, 1, 31, 9, tzinfo=east),
        lease_policy=LeasePolicy(heartbeat_seconds=math.inf),
    )
    document = message_document(message)
    assert document["state"] == "RUNNING"
    assert document["created_at"] == "2030-01-31T07:00:00.000000Z"
    assert document["lease_policy"]["heartbeat_seconds"] == "inf"
    assert datetime.fromisoformat(document["created_at"]) == message.created_at
    json.dumps(document, allow_nan=False)


def test_values_inside_documents_become_json() -> None:
    assert plain_value({MessageState.PENDING: (1, b"\xff")}) == {"PENDING": [1, "/w=="]}
    assert output.to_second(iso(datetime(2030, 1, 31, 9, tzinfo=UTC))) == (
        "2030-01-31T09:00:00Z"
    )
