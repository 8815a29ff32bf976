"""``trioqueue worker list`` and ``quiet``, beside the command that runs one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from click.testing import CliRunner

from tests.cli.helpers import Cli, on_both
from trioqueue import Store
from trioqueue.cli.root import cli
from trioqueue.store.operations.workers import Beat, Registration

SECOND = 1_000_000


def registered(tq: Cli, *names: str, beat: Callable[[int], Beat] | None = None) -> None:
    """Let workers register as if they ran elsewhere, and beat once."""

    async def work(store: Store) -> None:
        for name in names:
            about = Registration(
                name, "box", 12, "1.2", ("emails", "a"), 4, 60 * SECOND
            )
            number = await store.register_worker(about)
            if beat is not None:
                await store.beat_worker(**beat(number)._asdict())

    tq.store(work)


@on_both
def test_workers_are_listed(tq: Cli) -> None:
    tq("migrate")
    assert tq("worker", "list", "-o", "json").document == []
    assert "no worker is alive; start one with" in tq("worker", "list").err
    registered(tq, "w1", beat=lambda number: Beat(number, 2, stopping=False))
    (found,) = tq("worker", "list", "-o", "json").document
    instants = {key: found.pop(key) for key in ("started_at", "last_beat")}
    assert all(text.endswith("Z") for text in instants.values())
    assert found == {
        "worker_id": "w1",
        "host": "box",
        "pid": 12,
        "version": "1.2",
        "queues": ["a", "emails"],
        "concurrency": 4,
        "running": 2,
        "quiet": False,
        "stopping": False,
        "stale": False,
        "status": "working",
    }
    header, line = tq("worker", "list", "-o", "table").lines
    assert header.split()[:4] == ["WORKER", "STATUS", "RUNNING", "OF"]
    assert " ".join(line.split()[:9]) == "w1 working 2 4 a, emails box 12 1.2"


@pytest.mark.parametrize(
    ("beat", "status"),
    [
        (lambda number: Beat(number, 0, stopping=False), "idle"),
        (lambda number: Beat(number, 1, stopping=True), "stopping"),
    ],
)
def test_the_status_is_a_word(tq: Cli, beat: Any, status: str) -> None:
    tq("migrate")
    registered(tq, "w1", beat=beat)
    assert tq("worker", "list", "-o", "json").document[0]["status"] == status


@on_both
def test_a_worker_is_told_to_be_quiet_and_to_go_on(tq: Cli) -> None:
    tq("migrate")
    registered(tq, "w1", "w2")
    outcome = tq("worker", "quiet", "w1")
    assert (outcome.out, outcome.err) == (
        "w1\n",
        "worker 'w1' is quiet; it runs 0 jobs\n",
    )
    listed = tq("worker", "list", "-o", "plain").lines
    assert [line.split("\t")[:2] for line in listed] == [
        ["w1", "quiet"],
        ["w2", "idle"],
    ]
    outcome = tq("worker", "quiet", "w1", "--resume", "-o", "json")
    assert outcome.document["quiet"] is False
    assert "may claim again" in outcome.err


@on_both
def test_a_worker_that_nobody_knows_is_not_found(tq: Cli) -> None:
    tq("migrate")
    outcome = tq("worker", "quiet", "w9", code=3)
    assert outcome.err == (
        "Error: no worker 'w9' is alive; see them with: trioqueue worker list\n"
    )


def test_stale_ones_are_listed_when_asked_for(tq: Cli) -> None:
    tq("migrate")

    async def work(store: Store) -> None:
        about = Registration("w1", "box", 12, "1.2", ("a",), 4, 1)
        await store.register_worker(about)

    tq.store(work)
    assert tq("worker", "list").out == ""
    assert tq("worker", "list", "--all", "-o", "plain").out.startswith("w1\tstale\t")


def test_options_may_stand_before_the_verb(tq: Cli) -> None:
    tq("migrate")
    registered(tq, "w1")
    for arguments in (
        ("worker", "-o", "json", "list"),
        ("worker", "--db", tq.url, "--output=json", "list"),
    ):
        outcome = tq(*arguments, env={"TRIOQUEUE_DB": tq.url})
        assert outcome.document[0]["worker_id"] == "w1"


def test_one_help_explains_both(tq: Cli) -> None:
    for option in ("--help", "-h"):
        text = tq("worker", option).out
        assert text.startswith("Usage: trioqueue worker [OPTIONS] MODULE:APP\n")
        assert "--concurrency N" in text
        assert "\nCommands:\n  list " in text
        assert "\n  quiet " in text
    assert tq("worker", "jobs:app", "--help").out == text
    assert tq("worker", "list", "--help").out.startswith("Usage: trioqueue worker list")


def test_without_a_verb_it_wants_an_app(tq: Cli) -> None:
    assert "Missing argument 'MODULE:APP'" in tq("worker", code=2).err
    assert "'lists' is not MODULE:APP" in tq("worker", "lists", code=2).err


def test_the_shell_completes_the_verbs(tq: Cli) -> None:
    variables = {
        "_TRIOQUEUE_COMPLETE": "bash_complete",
        "COMP_WORDS": "trioqueue worker ",
        "COMP_CWORD": "2",
    }
    result = CliRunner().invoke(
        cli, prog_name="trioqueue", complete_var="_TRIOQUEUE_COMPLETE", env=variables
    )
    assert {"plain,list", "plain,quiet"} <= set(result.stdout.split("\n"))


@on_both
def test_a_running_worker_is_there_until_it_ends(tq: Cli) -> None:
    (tq.directory / "jobs.py").write_text(
        "import trioqueue\n"
        "app = trioqueue.App()\n\n\n"
        "@app.task\n"
        "async def nothing() -> None: ...\n"
    )
    with tq.start("worker", "jobs:app", "--concurrency", "3") as process:

        async def seen(store: Store) -> Any:
            with trio.fail_after(60):
                while not (found := await store.list_workers()):  # noqa: ASYNC110  in another process
                    await trio.sleep(0.05)
            return found[0]

        tq("migrate")
        found = tq.store(seen)
        assert (found.pid, found.concurrency) == (process.pid, 3)
        assert found.queues == ("default",)
        process.terminate()
        assert process.wait(60) == 0
    assert tq("worker", "list", "--all").out == ""
