"""`trioqueue demo`: that it passes, that it can fail, that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import time
import urllib.error
import urllib.request
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.cli.helpers import Cli
from tests.metrics.scraping import Scrape
from trioqueue.cli.demonstration import audit as audits
from trioqueue.cli.demonstration import coordinator
from trioqueue.cli.demonstration.files import measure, message_id_of
from trioqueue.model import LeasePolicy

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
        rf"{held}; back once the lease ends\n"
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


def test_metrics_can_be_read_while_it_runs(tq: Cli, files: Path) -> None:
    arguments = ("demo", "--path", str(files), "--metrics", "127.0.0.1:0")
    with tq.start(*arguments, "--workers", "2", env=STRICT) as demo:
        assert demo.stderr is not None
        text = demo.stderr.readline()
        while STARTED not in text:
            text += demo.stderr.readline()
        whole, *workers = re.findall(r"metrics at (http://\S+)/metrics", text)
        assert len(workers) == 2
        in_queue: set[float] = set()
        by_workers = 0.0
        while len(in_queue) < 2 or not by_workers:
            seen = scrape(whole)
            done = {"queue": "files", "state": "COMPLETED"}
            in_queue.add(seen.value("trioqueue_messages", **done))
            ended = {"queue": "files", "outcome": "completed"}
            for url in [] if by_workers else workers:
                with suppress(OSError):  # one of them is killed, sooner or later
                    by_workers += scrape(url).value("trioqueue_attempts_total", **ended)
        posted = scrape(whole).value("trioqueue_messages_posted_total", queue="files")
        assert posted == 300
        with urllib.request.urlopen(f"{whole}/readyz") as answer:  # noqa: S310  our own
            assert json.load(answer)["ready"] is True
        _, err = demo.communicate(timeout=60)
    assert demo.returncode == 0, err
    assert re.search(r"started in place of worker \d; metrics at http://", err)
    with pytest.raises(urllib.error.URLError):
        scrape(whole)


def scrape(url: str) -> Scrape:
    address = f"{url}/metrics"
    with urllib.request.urlopen(address, timeout=20) as answer:  # noqa: S310  our own
        return Scrape(answer.read().decode())


def test_metrics_that_cannot_be_served_are_one_clear_line(tq: Cli, files: Path) -> None:
    arguments = ("demo", "--path", str(files), "--metrics")
    assert "is no address" in tq(*arguments, "nowhere", code=2).err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        outcome = tq.process(*arguments, address)
    assert outcome.code == 5
    assert f"cannot listen on {address}" in outcome.err.splitlines()[-1]


@pytest.fixture
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that end after half the usual time; for runs in this process."""
    options = coordinator.OPTIONS
    lease = LeasePolicy(base_seconds=1.2)
    monkeypatch.setattr(coordinator, "OPTIONS", attrs.evolve(options, lease=lease))


@pytest.mark.usefixtures("short_lease")
def test_what_is_kept_can_be_looked_at(tq: Cli, tmp_path: Path) -> None:
    make_files(tmp_path / "files", 30)
    keep = tmp_path / "kept here"
    arguments = ("demo", "--path", str(tmp_path / "files"), "--limit", "20")
    outcome = tq(*arguments, "--workers", "1", "--keep", str(keep))
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


@pytest.mark.usefixtures("short_lease")
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
    outcome = tq("demo", "--path", str(root), "--workers", "2", code=1)
    *_, balance, verified, verdict = outcome.lines
    assert balance == "posted 60 = completed 58 + dead 2, lost 0"
    assert verified == "results verified against a direct computation: 57 of 58"
    wrong = message_id_of(str(lied), root)
    assert verdict.startswith(f"demo FAILED: message {wrong} has the result")
    assert outcome.err.splitlines()[-1].startswith("Error: the demo failed")
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
