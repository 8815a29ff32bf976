"""A worker's life as an operator sees it: signals, exit codes, logs, metrics."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.helpers import Cli, on_both
from trioqueue import Store
from trioqueue.cli.reload import difference, look

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no such signals there")

APP = """
import logging
import prometheus_client, trio, trioqueue

app = trioqueue.App()
sent = prometheus_client.Counter("mails_sent", "Mails sent.")

@app.task
async def wait(seconds: float) -> None:
    print("begun", flush=True)
    await trio.sleep(seconds)
    print("ended", flush=True)

@app.task
async def resist(seconds: float) -> None:
    print("begun", flush=True)
    with trio.CancelScope(shield=True):
        await trio.sleep(seconds)

@app.task
async def send(to: str) -> None:
    logging.getLogger("mail").warning("sending", extra={"to": to})
    sent.inc()
    print("sent", flush=True)
"""


def call(task: str, *args: Any) -> dict[str, Any]:
    return {"task": task, "args": list(args), "kwargs": {}}


class Life:
    """An app in the test's directory, and its messages."""

    def __init__(self, tq: Cli) -> None:
        self.tq = tq
        (tq.directory / "jobs.py").write_text(APP)
        tq("queue", "create", "default", "--retention", "forever")

    def post(self, *calls: dict[str, Any]) -> None:
        async def work(store: Store) -> None:
            for place, payload in enumerate(calls):
                await store.post("default", payload, message_id=f"m{place}")

        self.tq.store(work)

    def counts(self) -> dict[str, int]:
        state = self.tq("queue", "show", "default", "-o", "json").document["counts"]
        return {name: count for name, count in state.items() if count}

    def start(self, *options: str) -> Any:
        return self.tq.start("worker", "jobs:app", *options)


@pytest.fixture
def life(tq: Cli) -> Life:
    return Life(tq)


def read(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == f"{line}\n"


@on_both
@pytest.mark.parametrize(
    ("seconds", "signals", "code", "last"),
    [
        (0.5, [signal.SIGTERM], 0, "every job has finished"),
        (60, [signal.SIGTERM], 9, "cut off and given back"),
        (60, [signal.SIGINT] * 2, 130, "told to stop twice"),
        (60, [signal.SIGTERM] * 2, 143, "told to stop twice"),
    ],
)
def test_the_exit_code_tells_how_a_worker_was_stopped(
    life: Life,
    seconds: float,
    signals: list[signal.Signals],
    code: int,
    last: str,
) -> None:
    life.post(call("wait", seconds))
    grace = "1s" if code == 9 else "30s"
    with life.start("--grace", grace) as process:
        read(process, "begun")
        for number in signals:
            process.send_signal(number)
            time.sleep(0.2)  # two signals at one moment would be one
        _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert last in err.splitlines()[-1]
    assert life.counts() == {"PENDING" if code else "COMPLETED": 1}
    message = life.tq("message", "show", "default", "m0", "-o", "json").document
    assert message["attempt"] == (1 if code == 0 else 0)


def test_a_third_signal_ends_what_no_cancellation_reaches(life: Life) -> None:
    life.post(call("resist", 60))
    with life.start() as process:
        read(process, "begun")
        for _ in range(30):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            if process.poll() is not None:
                break
        assert process.wait(timeout=30) == -signal.SIGTERM


def test_draining_ends_when_nothing_is_ready(life: Life) -> None:
    life.post(*(call("send", "a@example.org") for _ in range(3)))
    outcome = life.tq.process("worker", "jobs:app", "--drain")
    assert outcome.code == 0
    assert outcome.lines == ["sent"] * 3
    assert outcome.err.splitlines()[-1] == "worker: nothing is left to do"
    assert life.counts() == {"COMPLETED": 3}


def test_a_worker_ends_after_as_many_jobs_as_it_may_run(life: Life) -> None:
    life.post(*(call("send", "a@example.org") for _ in range(5)))
    outcome = life.tq.process("worker", "jobs:app", "--max-jobs", "2")
    assert outcome.code == 0
    assert outcome.err.splitlines()[-1].endswith("as many jobs as it may")
    assert life.counts() == {"COMPLETED": 2, "PENDING": 3}


def test_json_logs_name_the_job_in_every_line_of_its_handler(life: Life) -> None:
    life.post(call("send", "a@example.org"))
    outcome = life.tq.process(
        *("worker", "jobs:app", "--drain", "--log-format", "json")
    )
    lines = [line for line in outcome.err.splitlines() if line.startswith("{")]
    (line,) = [line for line in map(json.loads, lines) if line["logger"] == "mail"]
    assert line["message"] == "sending"
    assert line["level"] == "warning"
    assert line["to"] == "a@example.org"
    assert (line["queue"], line["message_id"], line["attempt"]) == ("default", "m0", 1)


@on_both
def test_a_worker_serves_its_metrics_and_those_of_its_program(life: Life) -> None:
    with life.start("--metrics", "127.0.0.1:0") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"metrics at (http://\S+)/metrics", line):
                break
        url = found[1] if found else ""
        life.post(call("send", "a@example.org"))
        read(process, "sent")
        status = eventually(lambda: ask(f"{url}/readyz") if url else None)
        assert json.loads(status)["ready"] is True
        text = eventually(lambda: settled(url))
        families = {family.name: family for family in text}
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert families["mails_sent"].samples[0].value == 1
    assert families["trioqueue_worker_slots"].samples[0].value == 100
    assert "process_cpu_seconds" in families


def settled(url: str) -> Any:
    """Return the metrics once the job's end has been counted."""
    families = list(text_string_to_metric_families(ask(f"{url}/metrics")))
    ended = [f for f in families if f.name == "trioqueue_attempts" and f.samples]
    return families if ended else None


def ask(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310  our own
        text: str = answer.read().decode()
    return text


def eventually(look: Callable[[], Any]) -> Any:
    """Look until there is something to see."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if seen := look():
            return seen
        time.sleep(0.05)
    pytest.fail("nothing to see")


def test_an_address_in_use_is_one_line_and_no_worker(life: Life) -> None:
    with life.start("--metrics", "127.0.0.1:0") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"http://(\S+)/metrics", line):
                break
        taken = found[1] if found else ""
        outcome = life.tq.process("worker", "jobs:app", "--metrics", taken)
    assert outcome.code == 5
    assert f"cannot listen on {taken}" in outcome.err.splitlines()[-1]


def test_an_address_that_is_none_is_wrong_usage(life: Life) -> None:
    outcome = life.tq.process("worker", "jobs:app", "--metrics", "nowhere")
    assert outcome.code == 2
    assert "is no address" in outcome.err.splitlines()[-1]


def test_a_worker_starts_anew_when_the_code_changes(life: Life) -> None:
    jobs = life.tq.directory / "jobs.py"
    said = '\nprint("version {}", flush=True)\n'
    jobs.write_text(APP + said.format(1))
    with life.start("--reload") as process:
        read(process, "version 1")
        jobs.write_text(APP + said.format(2) + "\n")
        read(process, "version 2")
        jobs.write_text("this is not Python")
        assert process.stderr is not None
        for line in process.stderr:
            if "waiting for a change" in line:
                break
        jobs.write_text(APP + said.format("the third") + "\n")
        read(process, "version the third")
        life.post(call("wait", 1))
        read(process, "begun")
        process.send_signal(signal.SIGINT)
        read(process, "ended")
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert life.counts() == {"COMPLETED": 1}


def test_changes_are_seen_where_code_is_and_nowhere_else(tmp_path: Path) -> None:
    for name in ("a.py", "pkg/b.py", "pyproject.toml", "notes.txt", ".git/c.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    (tmp_path / "env").mkdir()
    (tmp_path / "env/pyvenv.cfg").touch()
    (tmp_path / "env/d.py").touch()
    before = look(str(tmp_path))
    seen = {str(Path(name).relative_to(tmp_path)) for name in before}
    assert seen == {"a.py", "pkg/b.py", "pyproject.toml"}
    (tmp_path / "a.py").write_text("22")
    (tmp_path / "pkg/b.py").unlink()
    (tmp_path / "new.py").touch()
    changed = difference(before, look(str(tmp_path)))
    assert [Path(name).name for name in changed] == ["a.py", "new.py", "b.py"]
