"""`trioqueue bench`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.helpers import Cli, on_both
from trioqueue.cli import benchmark


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "RAW_SECONDS", 0.05)
    monkeypatch.setattr(benchmark, "PICKUPS", 3)


@on_both
def test_it_measures_and_leaves_nothing_behind(tq: Cli) -> None:
    tq("init")
    document: Any = tq("bench", "--messages", "30", "-o", "json").document
    assert document["messages"] == 30
    assert document["posts_per_second"] > 0
    assert document["drained_per_second"] > 0
    assert document["raw_commits_per_second"] > 0
    latency = document["pickup_seconds"]
    assert latency["count"] == 3
    assert 0 < latency["p50"] <= latency["p99"]
    assert tq("queue", "list").out == ""


def test_a_table_is_for_people(emails: Cli) -> None:
    outcome = emails("bench", "--seconds", "0.1s", "-o", "table", "--concurrency", "3")
    assert [line.split()[0] for line in outcome.lines] == [
        *("database", "messages", "raw", "posts", "drain", "pick-up", "pick-up"),
    ]
    assert [path.name for path in emails.directory.iterdir()] == [emails.file.name]


def test_a_database_in_use_is_left_alone_unless_told_so(emails: Cli) -> None:
    emails("message", "post", "emails", "1", "--delay", "1h")
    err = emails("bench", "--messages", "1", code=4).err
    assert "in use (live messages: 1)" in err
    emails("bench", "--messages", "1", "--yes")
    assert len(emails("message", "peek", "emails").lines) == 1


def test_wrong_usage_is_told(tq: Cli) -> None:
    both = ("bench", "--seconds", "1", "--messages", "1")
    assert "not both" in tq(*both, code=2).err
    assert "0.1 to 1h" in tq("bench", "--seconds", "0", code=2).err
    assert "does not exist" in tq("bench", code=5).err
    assert not tq.file.exists()
