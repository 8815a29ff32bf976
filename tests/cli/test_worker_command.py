from __future__ import annotations

import os
import signal
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.helpers import Cli, on_both

APP = '''
import logging
import signal
import trio
from trioqueue import StoreUnavailableError

class FakeApp:
    """Has App's `run`, and says what it was asked for."""

    def __init__(self, *errors):
        self.errors = errors

    async def run(self, url, queues=None, concurrency=100, grace_seconds=30, **more):
        print(url, queues, concurrency, grace_seconds, flush=True)
        logging.getLogger("jobs").info("logged")
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            raise ExceptionGroup("tasks failed", list(self.errors))

class Stoppable:
    async def run(self, url, **options):
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            print("ready", flush=True)
            async for _ in signals:
                return

class Sleeper:
    async def run(self, url, **options):
        print("ready", flush=True)
        await trio.sleep_forever()

app = FakeApp()
down = FakeApp(StoreUnavailableError("the disk is full"))
bug = FakeApp(ZeroDivisionError("division by zero"))
both = FakeApp(StoreUnavailableError("the disk is full"), ZeroDivisionError("oh"))
stoppable = Stoppable()
sleeper = Sleeper()
number = 5
class Holder:
    app = app
'''


@pytest.fixture
def worker(
    tq: Cli, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Cli]:
    """The command, in a directory with a module `jobs`."""
    (tq.directory / "jobs.py").write_text(APP)
    monkeypatch.chdir(tq.directory)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tq
    for name in [name for name in sys.modules if name.partition(".")[0] == "jobs"]:
        del sys.modules[name]


def test_worker_hands_its_options_to_the_app(worker: Cli) -> None:
    outcome = worker(
        *("worker", "jobs:app", "--queue", "a", "--queue", "b"),
        *("--concurrency", "7", "--grace", "1m30s"),
    )
    assert outcome.out == f"{worker.url} ['a', 'b'] 7 90.0\n"
    assert outcome.err.startswith(f"worker: jobs:app on {worker.url}, queues a, b;")


def test_worker_has_the_defaults_of_the_app(worker: Cli) -> None:
    outcome = worker("--db", "sqlite:///x.db", "worker", "jobs:Holder.app")
    assert outcome.out == "sqlite:///x.db None 100 30.0\n"


@pytest.mark.parametrize(
    ("reference", "hint"),
    [
        ("jobs", "is not MODULE:APP"),
        (":app", "is not MODULE:APP"),
        ("jobs:", "is not MODULE:APP"),
        ("nowhere:app", "no module 'nowhere' in "),
        ("jobs.inner:app", "no module 'jobs.inner' in "),
        ("jobs:ap", "'jobs' has no 'ap'"),
        ("jobs:number", "is a int, not an App"),
        ("jobs:FakeApp", "is a class, not an App"),
    ],
)
def test_what_is_no_app_is_said_in_one_line(
    worker: Cli, reference: str, hint: str
) -> None:
    outcome = worker("worker", reference, code=2)
    assert hint in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert outcome.out == ""


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("import nowhere_at_all", "ModuleNotFoundError: No module named"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_a_module_that_fails_says_where(worker: Cli, source: str, hint: str) -> None:
    Path("jobs_broken.py").write_text(source)
    outcome = worker("worker", "jobs_broken:app", code=1)
    assert "importing 'jobs_broken' failed: " in outcome.err
    assert hint in outcome.err
    assert "jobs_broken.py" in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_database_that_is_gone_ends_it_with_one_line(worker: Cli) -> None:
    outcome = worker("worker", "jobs:down", code=5)
    assert outcome.err.splitlines()[1:] == ["Error: the disk is full"]


@pytest.mark.parametrize("app", ["bug", "both"])
def test_a_fault_in_the_program_keeps_its_traceback(worker: Cli, app: str) -> None:
    outcome = worker("worker", f"jobs:{app}", code=1)
    assert "Traceback" in outcome.err
    assert "ZeroDivisionError" in outcome.err
    last = outcome.err.splitlines()[-1]
    assert last == "Error: the worker ended by an unexpected error"


@pytest.mark.parametrize("safe_path", ["", "1"])
def test_the_current_directory_is_searched_first(worker: Cli, safe_path: str) -> None:
    outcome = worker.process("worker", "jobs:app", env={"PYTHONSAFEPATH": safe_path})
    assert outcome.out == f"{worker.url} None 100 30.0\n"
    assert "INFO jobs: logged" in outcome.err


def test_log_level_is_heeded(worker: Cli) -> None:
    outcome = worker.process("worker", "jobs:app", "--log-level", "error")
    assert "logged" not in outcome.err


@pytest.mark.skipif(os.name == "nt", reason="no such signals there")
@pytest.mark.parametrize(
    ("app", "number", "code", "last"),
    [
        ("stoppable", signal.SIGTERM, 0, "Ctrl-C stops it"),
        ("stoppable", signal.SIGINT, 0, "Ctrl-C stops it"),
        ("sleeper", signal.SIGINT, 130, "Error: interrupted"),
    ],
)
def test_signals_end_the_worker(
    worker: Cli, app: str, number: signal.Signals, code: int, last: str
) -> None:
    with worker.start("worker", f"jobs:{app}") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert err.splitlines()[-1].endswith(last)


REAL_APP = """
import trioqueue

app = trioqueue.App()

@app.task(queue="emails")
async def send(to: str) -> None:
    print("sent to", to, flush=True)
"""


POST = """
import os, trio, jobs

async def main():
    async with jobs.app.open(os.environ["TRIOQUEUE_DB"]):
        await jobs.send.enqueue("a@example.org")

trio.run(main)
"""


@on_both
@pytest.mark.skipif(os.name == "nt", reason="no such signals there")
def test_a_real_app_creates_its_queue_works_and_stops_gracefully(tq: Cli) -> None:
    (tq.directory / "jobs.py").write_text(REAL_APP)
    (tq.directory / "post.py").write_text(POST)
    with tq.start("worker", "jobs:app") as process:
        assert process.stdout is not None
        tq.python("post.py")
        assert process.stdout.readline() == "sent to a@example.org\n"
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in err) == (0, False)
    password = urllib.parse.urlsplit(tq.url).password
    assert password is None or password not in err
    counts = tq("queue", "show", "emails", "-o", "json").document["counts"]
    assert {state for state, count in counts.items() if count} <= {"COMPLETED"}, counts


def test_a_queue_without_tasks_is_refused(tq: Cli) -> None:
    (tq.directory / "jobs.py").write_text(REAL_APP)
    outcome = tq.process("worker", "jobs:app", "--queue", "nobody")
    assert outcome.code == 2
    assert "'nobody'" in outcome.err.splitlines()[-1]
