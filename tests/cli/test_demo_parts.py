"""The parts of `trioqueue demo`: what its audit finds, what it says, its files."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from trioqueue.cli.demonstration.accident import Accident, Recovery
from trioqueue.cli.demonstration.audit import Audit
from trioqueue.cli.demonstration.files import find_files, measure, message_id_of
from trioqueue.cli.demonstration.plan import Plan
from trioqueue.cli.demonstration.progress import Progress
from trioqueue.cli.demonstration.report import Report
from trioqueue.model import Message, MessageState

# What the audit finds.

T0 = datetime(2030, 1, 1, tzinfo=UTC)


def make_files(root: Path) -> Path:
    root.mkdir()
    for number in range(3):
        (root / f"{number}.txt").write_text(f"{number}\n" * number)
    return root


def posts_of(root: Path) -> dict[str, dict[str, Any]]:
    return dict(Plan.of(root, list(find_files(root)), 1, root).posts)


def message(
    message_id: str, result: Any, state: MessageState = MessageState.COMPLETED
) -> Message:
    return Message(
        *("files", message_id, None),
        result=result,
        state=state,
        attempt=1,
        finished_at=T0,
    )


@pytest.fixture
def posts(tmp_path: Path) -> dict[str, dict[str, Any]]:
    """What is posted for three files."""
    return posts_of(make_files(tmp_path / "few"))


def right(posts: dict[str, dict[str, Any]]) -> list[Message]:
    return [message(key, measure(file["path"])) for key, file in posts.items()]


def closed(audit: Audit, completions: list[str]) -> Audit:
    audit.compare_ledgers(completions)
    audit.close()
    return audit


def test_the_audit_finds_nothing_where_all_is_right(
    posts: dict[str, dict[str, Any]],
) -> None:
    audit = Audit(posts)
    audit.examine(right(posts))
    closed(audit, list(posts)[1:])  # a worker that was killed lacks a line
    assert audit.problems == []
    assert (audit.completed, audit.verified, audit.lost) == (3, 3, 0)
    assert audit.last_first_try == T0


@pytest.mark.parametrize("key", ["size", "lines", "sha256"])
def test_the_audit_finds_a_wrong_result(
    posts: dict[str, dict[str, Any]], key: str
) -> None:
    first, *rest = right(posts)
    audit = Audit(posts)
    audit.examine([message(first.message_id, first.result | {key: 9}), *rest])
    (problem,) = closed(audit, []).problems
    assert problem.startswith(f"message {first.message_id} has the result")


def test_the_audit_finds_what_is_lost_or_was_never_posted(
    posts: dict[str, dict[str, Any]],
) -> None:
    first, second, _ = right(posts)
    audit = Audit(posts)
    audit.examine([first, second, second, message("stranger", None)])
    assert closed(audit, []).problems == [
        f"message {second.message_id} is there twice",
        "message stranger was never posted",
        "1 messages are lost",
    ]


def test_the_audit_finds_a_message_that_has_not_finished(
    posts: dict[str, dict[str, Any]],
) -> None:
    first, *rest = right(posts)
    audit = Audit(posts)
    audit.examine([message(first.message_id, None, state=MessageState.PENDING), *rest])
    assert closed(audit, []).problems == [
        f"message {first.message_id} is PENDING",
        "1 messages are lost",
    ]


def test_the_audit_compares_the_ledgers(posts: dict[str, dict[str, Any]]) -> None:
    first, second, third = right(posts)
    audit = Audit(posts)
    audit.examine(
        [first, second, message(third.message_id, None, state=MessageState.ERRORED)]
    )
    ids = [first.message_id, first.message_id, third.message_id]
    assert closed(audit, ids).problems == [
        "1 messages were completed twice",
        "1 accepted completions are gone",
    ]
    assert (audit.dead, audit.lost, audit.twice) == (1, 0, 1)


def test_the_audit_leaves_out_files_that_have_changed_since(
    posts: dict[str, dict[str, Any]],
) -> None:
    messages = right(posts)
    gone, grown, _ = (Path(file["path"]) for file in posts.values())
    gone.unlink()
    grown.write_text("changed")
    audit = Audit(posts)
    audit.examine(messages)
    assert closed(audit, []).problems == []
    assert (audit.completed, audit.verified, audit.changed) == (3, 1, 2)


# What it says.


def report(posts: dict[str, dict[str, Any]], **fields: Any) -> Report:
    audit = Audit(posts)
    audit.examine(right(posts))
    plan = Plan(Path("there"), posts, 1, Path("here"))
    facts: dict[str, Any] = {"accident": None, "recovery": None}
    return Report(
        plan, audit, **facts | fields, post_seconds=1, run_seconds=1, total_seconds=2
    )


def test_a_run_that_was_too_short_for_an_accident_passes_all_the_same(
    posts: dict[str, dict[str, Any]],
) -> None:
    short = report(posts)
    assert short.verdict == "demo passed"
    assert short.document()["killed"] is None
    assert json.loads(json.dumps(short.document()))["run_rate"] == 3.0
    assert list(short.lines())[-1] == "demo passed"


def test_messages_that_do_not_come_back_fail_the_demo(
    posts: dict[str, dict[str, Any]],
) -> None:
    failed = report(
        posts,
        accident=Accident(2, 77, T0, ("a", "b")),
        recovery=Recovery(1, 2.5, (1,)),
    )
    assert failed.verdict == (
        "demo FAILED: the killed worker held 2 messages, 1 came back"
    )
    failed.audit.problems += ["one", "two", "three"]
    assert failed.verdict.startswith("demo FAILED: one; two; three; and 1 more")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_that_makes_way_for_the_story(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "30")
    progress = Progress(10)
    for done in (0, 5, 5):
        progress.show(done)
    progress.say("half-way\x1b")
    progress.show(10)
    progress.close()
    progress.close()
    bars = [f"[{'-' * 18}] 0 of 10", f"[{'#' * 9}{'-' * 9}] 5 of 10"]
    assert terminal.getvalue() == (
        f"\r{bars[0]}\r{bars[1]}\r{' ' * 28}\rhalf-way\\x1b\n\r[{'#' * 17}] 10 of 10\n"
    )


def test_elsewhere_each_quarter_gets_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(1000)
    for done in (0, 249, 250, 260, 800, 1000, 1000):
        progress.show(done)
    progress.close()
    assert capsys.readouterr().err.splitlines() == [
        f"{done} of 1,000 messages done" for done in ("250", "800", "1,000")
    ]


# The work.


def test_only_regular_files_of_ones_own_are_found(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("b", "a", "site-packages", "__pycache__"):
        (root / name).mkdir(parents=True)
        (root / name / "one").write_text("1")
    (root / "z\n").write_text("22")
    (root / "link").symlink_to(root / "a" / "one")
    if os.name == "posix":
        os.mkfifo(root / "pipe")
        if sys.platform == "linux":
            Path(os.fsdecode(os.fsencode(root) + b"/\xff")).write_text("3")
    found = [os.path.relpath(file["path"], root) for file in find_files(root)]
    assert found == ["z\n", str(Path("a", "one")), str(Path("b", "one"))]


def test_ids_are_readable_valid_and_differ(tmp_path: Path) -> None:
    names = ["a/b", "a-b", "a b", "ä", "x" * 300 + "1", "y" + "x" * 299 + "1"]
    ids = [message_id_of(str(tmp_path / name), tmp_path) for name in names]
    assert len(set(ids)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9._:-]{1,256}", one) for one in ids)
    assert ids[0].startswith("a-b:")


@pytest.mark.parametrize("count", [1, 2, 10, 300, 2500, 100_000])
def test_slots_and_pauses_suit_any_number_of_files(count: int) -> None:
    posts: dict[str, dict[str, Any]] = {str(n): {} for n in range(count)}
    plan = Plan(Path(), posts, 3, Path())
    assert 1 <= plan.slots <= 40
    assert 0.005 <= plan.pause_seconds <= 1
