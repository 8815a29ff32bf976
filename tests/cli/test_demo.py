"""`trioqueue demo`: that it passes, that it can fail, that it leaves nothing behind."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli.helpers import Cli
from trioqueue.cli.demonstration import audit as audits
from trioqueue.cli.demonstration import coordinator
from trioqueue.cli.demonstration.accident import Accident, Recovery
from trioqueue.cli.demonstration.audit import Audit
from trioqueue.cli.demonstration.files import find_files, measure, message_id_of
from trioqueue.cli.demonstration.plan import Plan
from trioqueue.cli.demonstration.progress import Progress
from trioqueue.cli.demonstration.report import Report
from trioqueue.model import Message, MessageState

STRICT = {"PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"}
PID = re.compile(r"pid (\d+)")
STARTED = "worker 2 (pid "


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A directory of 300 small files."""
    return make_files(tmp_path / "files", 300)


def make_files(root: Path, count: int) -> Path:
    for number in range(count):
        folder = root / f"{number % 7}"
        folder.mkdir(parents=True, exist_ok=True)
        text = f"file {number}\n" * number
        (folder / f"text {number}.txt").write_text(text, newline="")
    return root


@pytest.fixture
def private_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place for temporary files, the test's own."""
    place = tmp_path / "tmp"
    place.mkdir()
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(name, str(place))
    return place


def pids_in(text: str) -> set[int]:
    return {int(number) for number in PID.findall(text)}


def all_end(pids: set[int]) -> bool:
    """Whether processes that are no children of ours end within a while."""
    deadline = time.monotonic() + 20
    left = set(pids)
    while left and time.monotonic() < deadline:
        for pid in list(left):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                left.discard(pid)
        time.sleep(0.02)
    return not left


def test_a_run_passes_and_leaves_nothing_behind(
    tq: Cli, files: Path, private_tmp: Path
) -> None:
    outcome = tq.process(
        *("demo", "--path", str(files), "--workers", "2", "-o", "json"), env=STRICT
    )
    assert outcome.code == 0, outcome
    document = outcome.document
    texts = [path.read_bytes() for path in files.rglob("*.txt")]
    expected = {
        "path": str(files),
        "files": 300,
        "bytes": sum(map(len, texts)),
        "lines": sum(text.count(b"\n") for text in texts),
        "workers": 2,
        "posted": 300,
        "completed": 300,
        "dead": 0,
        "lost": 0,
        "completed_twice": 0,
        "verified": 300,
        "changed_since": 0,
        "problems": [],
        "passed": True,
        "verdict": "demo passed",
    }
    assert {key: document[key] for key in expected} == expected
    killed = document["killed"]
    assert 0 < killed["held"] == killed["reclaimed"] <= document["ran_again"]
    assert killed["run_again_by"]
    assert killed["worker"] not in killed["run_again_by"]
    assert 0 < killed["reclaimed_after_seconds"] < document["total_seconds"]
    assert document["post_rate"] > document["run_rate"] > 0

    # Nothing but the story: no warnings, no tracebacks.
    story = "\n".join(line for line in outcome.err.splitlines() if "done" not in line)
    number = killed["worker"]
    held = r"1 message" if killed["held"] == 1 else rf"{killed['held']} messages"
    assert re.fullmatch(
        r"300 messages posted, one for each file below .*\n"
        r"worker 1 \(pid \d+\) started\n"
        r"worker 2 \(pid \d+\) started\n"
        rf"worker {number} \(pid {killed['pid']}\) killed with SIGKILL while it held "
        rf"{held}; they come back when their leases end\n"
        rf"(worker 3 \(pid \d+\) started in place of worker {number}\n)?"
        rf"{held} reclaimed after \d+\.\d s\n"
        rf"(worker 3 \(pid \d+\) started in place of worker {number}\n)?"
        r"run again by workers? [\d, and]+\n"
        r"checking every result",
        story,
    ), outcome.err
    pids = pids_in(outcome.err)
    assert len(pids) == 3
    assert all_end(pids)
    assert list(private_tmp.iterdir()) == []


def test_what_is_kept_can_be_looked_at(tq: Cli, tmp_path: Path) -> None:
    make_files(tmp_path / "files", 30)
    keep = tmp_path / "kept here"
    arguments = ("demo", "--path", str(tmp_path / "files"), "--limit", "20")
    outcome = tq.process(*arguments, "--workers", "1", "--keep", str(keep))
    assert outcome.code == 0, outcome
    *_, balance, verified, verdict = outcome.lines
    assert balance == "posted 20 = completed 20 + dead 0, lost 0"
    assert verified == ("every result verified against a direct computation: 20 of 20")
    assert verdict == "demo passed"
    look = outcome.err.splitlines()[-1].partition(": ")[2]
    command, *words = shlex.split(look)
    assert command == "trioqueue"
    assert tq(*words, "-o", "json").document["counts"]["COMPLETED"] == 20
    assert "exists already" in tq(*arguments, "--keep", str(keep), code=4).err


def test_a_directory_without_files_is_refused(tq: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    outcome = tq("demo", "--path", str(tmp_path / "empty"), code=2)
    assert "no files below" in outcome.err


def test_files_that_vanish_or_change_become_dead_and_a_wrong_result_is_found(
    tq: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_files(tmp_path / "files", 60)
    gone, grown, lied = (sorted(root.rglob("*.txt"))[n] for n in (1, 40, 50))
    begin = coordinator.Story.begin

    async def begin_later(story: coordinator.Story) -> datetime:
        gone.unlink()
        grown.write_text("something longer\n" * 100)
        return await begin(story)

    def lie(path: str) -> dict[str, Any]:
        facts = measure(path)
        return facts | {"lines": -1} if path == str(lied) else facts

    monkeypatch.setattr(coordinator.Story, "begin", begin_later)
    monkeypatch.setattr(audits, "measure", lie)
    outcome = tq.run("demo", "--path", str(root), "--workers", "2", "-o", "table")
    assert outcome.code == 1, outcome
    assert outcome.lines[-3:-1] == [
        "posted 60 = completed 58 + dead 2, lost 0",
        "results verified against a direct computation: 57 of 58",
    ]
    assert outcome.lines[-1].startswith("demo FAILED: message 1-text-")
    assert "has the result" in outcome.lines[-1] or "not {" in outcome.lines[-1]
    dead = [line for line in outcome.err.splitlines() if line.startswith("dead: ")]
    assert len(dead) == 2
    assert any("No such file" in line for line in dead)
    assert any("bytes, now 1700" in line for line in dead)


@pytest.mark.skipif(os.name == "nt", reason="no such signals there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything(
    tq: Cli, files: Path, private_tmp: Path, number: signal.Signals
) -> None:
    with tq.start("demo", "--path", str(files), "--workers", "2", env=STRICT) as demo:
        pids, text = started(demo.stderr)
        demo.send_signal(number)
        out, err = demo.communicate(timeout=30)
    assert (demo.returncode, out) == (130, ""), text + err
    assert err.splitlines()[-1] == "Error: interrupted"
    assert "Traceback" not in err
    assert all_end(pids | pids_in(err))
    assert list(private_tmp.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL there")
def test_workers_end_when_the_coordinator_is_killed(
    tq: Cli, files: Path, private_tmp: Path
) -> None:
    with tq.start("demo", "--path", str(files), "--workers", "2") as demo:
        pids, _ = started(demo.stderr)
        demo.kill()
        assert all_end(pids)
        _, err = demo.communicate(timeout=30)
    assert "Traceback" not in err


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL there")
def test_a_worker_that_ends_unasked_fails_the_demo(tq: Cli, files: Path) -> None:
    with tq.start("demo", "--path", str(files), "--workers", "2") as demo:
        pids, _ = started(demo.stderr)
        os.kill(max(pids), signal.SIGKILL)
        _, err = demo.communicate(timeout=30)
    assert demo.returncode == 1
    assert re.fullmatch(
        r"Error: worker \d ended unexpectedly, with code -9", err.splitlines()[-1]
    )
    assert all_end(pids | pids_in(err))


def started(stream: Any) -> tuple[set[int], str]:
    """Read the story until the second worker has started."""
    text = ""
    while STARTED not in text:
        line = stream.readline()
        assert line, text
        text += line
    return pids_in(text), text


# What the audit finds.

T0 = datetime(2030, 1, 1, tzinfo=UTC)


def posts_of(root: Path) -> dict[str, dict[str, Any]]:
    return dict(Plan.of(root, list(find_files(root)), 1, root).posts)


def message(message_id: str, result: Any, **fields: Any) -> Message:
    fields = {"state": MessageState.COMPLETED, "attempt": 1, "finished_at": T0} | fields
    return Message("files", message_id, None, result=result, **fields)


@pytest.fixture
def posts(tmp_path: Path) -> dict[str, dict[str, Any]]:
    """What is posted for three files."""
    return posts_of(make_files(tmp_path / "few", 3))


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
    assert found == ["z\n", os.path.join("a", "one"), os.path.join("b", "one")]


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
