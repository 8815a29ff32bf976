"""`trioqueue metrics`: what it prints, writes and serves."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.helpers import Cli, on_both
from tests.metrics.scraping import Scrape
from tests.postgres_server import OwnServer
from trioqueue import Store
from trioqueue.metrics.catalogue import CATALOGUE
from trioqueue.metrics.files import FILES, read

APP = """
import trioqueue
app = trioqueue.App()
@app.task
async def send() -> None:
    print("sent", flush=True)
"""

no_signals_there = pytest.mark.skipif(os.name == "nt", reason="no such signals there")


def fill(tq: Cli) -> None:
    """Leave three messages of `emails` ready, one running, and one dead letter."""

    async def work(store: Store) -> None:
        for place in range(4):
            await store.post("emails", place)
        await store.claim("emails", worker_id="w1")
        await store.pause_queue("emails")

    tq.kill("emails", "dead")
    tq.store(work)


def check(scrape: Scrape) -> None:
    def messages(state: str) -> float | None:
        return scrape.get("trioqueue_messages", queue="emails", state=state)

    assert messages("PENDING") == 3
    assert messages("RUNNING") == 1
    assert messages("COMPLETED") == 0
    assert scrape.get("trioqueue_dead_letters", queue="emails") == 1
    assert scrape.get("trioqueue_queue_paused", queue="emails") == 1
    assert scrape.value("trioqueue_oldest_ready_age_seconds", queue="emails") > 0
    assert scrape.value("trioqueue_last_reported_timestamp_seconds") > 1.7e9


# show and list


@on_both
def test_show_prints_what_is_in_the_database_and_nothing_of_the_command(
    emails: Cli,
) -> None:
    fill(emails)
    outcome = emails("metrics", "show")
    assert outcome.err == ""
    scrape = Scrape(outcome.out)
    check(scrape)
    sampled = {
        metric.name
        for metric in CATALOGUE.values()
        if metric.source == "sampled" or metric.backend == "sqlite"
    }
    assert set(scrape.kinds) <= sampled
    assert {"trioqueue_messages", "trioqueue_workers_alive"} <= set(scrape.kinds)


def test_show_of_a_database_without_queues_says_when_it_looked(tq: Cli) -> None:
    tq("init")
    scrape = Scrape(tq("metrics", "show").out)
    assert scrape.value("trioqueue_last_reported_timestamp_seconds") > 0
    assert "trioqueue_messages" not in scrape.kinds


@pytest.mark.parametrize("verb", [["show"], ["serve", "127.0.0.1:0"]])
def test_a_database_that_is_not_there_is_not_made(tq: Cli, verb: list[str]) -> None:
    outcome = tq("metrics", *verb, code=5)
    assert "does not exist" in outcome.err
    assert not tq.file.exists()


@pytest.mark.parametrize("form", ["json", "jsonl", "plain", "table"])
def test_list_tells_every_metric(tq: Cli, form: str) -> None:
    outcome = tq("metrics", "list", "-o", form)
    names = re.findall(r"\btrioqueue_\w+", outcome.out)
    assert names == list(CATALOGUE)
    assert not tq.file.exists()
    if form == "json":
        (run,) = [d for d in outcome.document if d["name"].endswith("_run_seconds")]
        metric = CATALOGUE[run["name"]]
        assert run == {
            "name": "trioqueue_attempt_run_seconds",
            "type": "histogram",
            "labels": ["queue"],
            "source": "counted",
            "backend": None,
            "meaning": metric.help,
        }


# export


@pytest.mark.parametrize("kind", FILES)
def test_export_prints_a_file_as_it_is(tq: Cli, kind: str) -> None:
    outcome = tq("metrics", "export", kind)
    assert (outcome.out, outcome.err) == (read(kind), "")
    assert tq("metrics", "export", kind, "-").out == read(kind)


def test_export_writes_a_file_once(tq: Cli, tmp_path: Path) -> None:
    file = tmp_path / "dashboard.json"
    outcome = tq("metrics", "export", "grafana", str(file))
    assert outcome.lines == [str(file)]
    assert outcome.err == f"{file} written\n"
    assert file.read_text(encoding="utf-8") == read("grafana")
    file.write_text("mine")
    assert "exists already" in tq("metrics", "export", "alerts", str(file), code=4).err
    assert file.read_text() == "mine"
    document = tq("metrics", "export", "alerts", f"{file}2", "-o", "json").document
    assert document == {"file": f"{file}2", "kind": "alerts"}


def test_export_says_why_it_cannot_write(tq: Cli, tmp_path: Path) -> None:
    nowhere = tmp_path / "no" / "such" / "place"
    outcome = tq("metrics", "export", "scrape", str(nowhere), code=1)
    assert f"cannot write {nowhere}: No such file or directory" in outcome.err
    assert tq("metrics", "export", "scrape", str(tmp_path), code=4).out == ""


def test_export_knows_only_what_there_is(tq: Cli) -> None:
    outcome = tq("metrics", "export", "kibana", code=2)
    assert "'grafana', 'alerts', 'scrape'" in outcome.err


# serve


class Served:
    """A process that serves metrics."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url
        self.address = url.removeprefix("http://")

    def get(self, path: str) -> str:
        address = f"{self.url}{path}"
        with urllib.request.urlopen(address, timeout=20) as answer:  # noqa: S310  our own
            text: str = answer.read().decode()
        return text

    def connect(self, *, say: bytes = b"") -> socket.socket:
        host, _, port = self.address.rpartition(":")
        connection = socket.create_connection((host, int(port)))
        connection.sendall(say)
        return connection

    def stop(self, number: signal.Signals) -> str:
        """Send a signal; return what else it says."""
        self.process.send_signal(number)
        # A connection may be slow for 30 seconds; stopping must not wait for that.
        return self.process.communicate(timeout=25)[1]


@contextmanager
def serving(tq: Cli, *command: str) -> Iterator[Served]:
    with tq.start(*command) as process:
        assert process.stderr is not None
        text = ""
        for line in process.stderr:
            text += line
            if found := re.search(r"metrics at (http://\S+)/metrics", line):
                yield Served(process, found[1])
                return
        pytest.fail(text)


@no_signals_there
@on_both
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_shows_the_database_until_told_to_stop(
    emails: Cli, number: signal.Signals
) -> None:
    fill(emails)
    with serving(emails, "metrics", "serve", "127.0.0.1:0") as served:
        scrape = Scrape(served.get("/metrics"))
        check(scrape)
        # Of the process itself, too.
        assert scrape.value("process_start_time_seconds") > 0
        assert json.loads(served.get("/readyz"))["ready"] is True
        assert served.get("/healthz") == "ok\n"
        rest = served.stop(number)
    assert (served.process.returncode, rest) == (0, "")


def slow_clients(served: Served) -> list[socket.socket]:
    """Connect as clients do that say half of something, or nothing, or never read."""
    ask = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    return [
        served.connect(),
        served.connect(say=ask[:-2]),
        served.connect(say=ask[:-2] + b"Content-Length: 5\r\n\r\n1"),
        served.connect(say=ask * 1000),
    ]


@no_signals_there
def test_serve_stops_at_once_whoever_is_connected(emails: Cli) -> None:
    with serving(emails, "metrics", "serve", "127.0.0.1:0") as served:
        connections = slow_clients(served)
        rest = served.stop(signal.SIGTERM)
    assert (served.process.returncode, rest) == (0, "")
    for connection in connections:
        connection.close()


@no_signals_there
def test_a_worker_stops_at_once_whoever_is_connected(tq: Cli) -> None:
    (tq.directory / "jobs.py").write_text(APP)
    command = ("worker", "jobs:app", "--grace", "10m", "--metrics", "127.0.0.1:0")
    tq("queue", "create", "default")
    tq("message", "post", "default", '{"task": "send", "args": [], "kwargs": {}}')
    with serving(tq, *command) as served:
        assert served.process.stdout is not None
        # Only once it works does it hear signals.
        assert served.process.stdout.readline() == "sent\n"
        connections = slow_clients(served)
        served.stop(signal.SIGTERM)
    assert served.process.returncode == 0
    for connection in connections:
        connection.close()


def test_serve_says_that_an_address_is_taken(emails: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        outcome = emails("metrics", "serve", address, code=5)
    assert f"cannot listen on {address}" in outcome.err


@no_signals_there
def test_serve_looks_as_often_as_it_is_told(emails: Cli) -> None:
    command = ("metrics", "serve", "127.0.0.1:0", "--interval", "50ms")
    with serving(emails, *command) as served:
        counted = {"queue": "emails", "state": "PENDING"}
        assert Scrape(served.get("/metrics")).get("trioqueue_messages", **counted) == 0
        emails("message", "post", "emails", "1")
        while not Scrape(served.get("/metrics")).get("trioqueue_messages", **counted):
            time.sleep(0.05)
        served.stop(signal.SIGTERM)


def test_serve_wants_an_address(emails: Cli) -> None:
    assert "is no address" in emails("metrics", "serve", "nowhere", code=2).err
    assert "Missing argument" in emails("metrics", "serve", code=2).err


@no_signals_there
def test_serve_outlives_its_database(tq: Cli, own_postgres: OwnServer) -> None:
    tq = Cli(tq.directory, own_postgres.store_url("served"))
    tq("queue", "create", "emails")
    with serving(tq, "metrics", "serve", "127.0.0.1:0") as served:
        own_postgres.stop("immediate")
        with pytest.raises(urllib.error.HTTPError, match="503") as refused:
            served.get("/readyz")
        refused.value.close()
        assert served.get("/healthz") == "ok\n"
        assert "trioqueue_build_info" in served.get("/metrics")
        served.stop(signal.SIGTERM)
    assert served.process.returncode == 0
    own_postgres.start()
