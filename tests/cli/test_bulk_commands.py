"""Bulk verbs: nothing without consent, exactly what was counted, honest exit codes."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tests.cli.helpers import Cli, on_both
from trioqueue import NewMessage, Store
from trioqueue.cli import asking

VERBS = ("cancel", "requeue", "delete")


async def fill(store: Store) -> None:
    """In `emails` d0 to d3 are dead, w0 to w2 wait and r0 runs; in `other` x0 waits."""
    news = [NewMessage(n, message_id=f"d{n}", max_attempts=1) for n in range(4)]
    await store.post_many("emails", news)
    for number, job in enumerate(await store.claim("emails", limit=4)):
        error = TimeoutError("slow") if number % 2 else ConnectionError("refused")
        await store.fail(job, error)
    await store.post("emails", 0, message_id="r0")
    await store.claim("emails")
    await store.post_many("emails", [NewMessage(n, message_id=f"w{n}") for n in "012"])
    await store.post("other", 0, message_id="x0")


@pytest.fixture
def full(emails: Cli) -> Cli:
    """The command, on two queues with messages of all kinds."""
    emails("queue", "create", "other")
    emails.store(fill)
    return emails


def counts(tq: Cli, queue: str = "emails") -> dict[str, int]:
    """Return how many messages are in each state that has any."""
    document = tq("queue", "show", queue, "-o", "json").document
    return {state: n for state, n in document["counts"].items() if n}


BEFORE = {"PENDING": 3, "RUNNING": 1, "ERRORED": 4}


@on_both
def test_a_dry_run_counts_by_queue_and_does_nothing(full: Cli) -> None:
    dry = full("message", "cancel", "--all-messages", "--dry-run")
    assert dry.lines == ["emails\t4", "other\t1"]
    assert dry.err == "would cancel 5 messages\n"
    table = full("message", "requeue", "--error", "slow", "--dry-run", "-o", "table")
    assert [line.split() for line in table.lines] == [
        ["QUEUE", "MESSAGES"],
        ["emails", "2"],
    ]
    arguments = ("--id", "d0", "--id", "nobody", "--dry-run", "-o", "json")
    dry = full("message", "delete", *arguments)
    assert dry.document == {
        "dry_run": True,
        "total": 1,
        "queues": {"emails": 1},
        "missing": 1,
    }
    assert "1 id that no matching message has" in dry.err
    for verb in ("requeue", "purge"):
        dry = full("dlq", verb, "emails", "--error", "ConnectionError", "--dry-run")
        assert dry.lines == ["emails\t2"]
    assert dry.err == "would delete 2 dead letters\n"
    none = full("dlq", "delete", "emails", "--error", "nothing", "--dry-run")
    assert (none.out, none.err.splitlines()[0]) == ("", "nothing matches")
    assert counts(full) == BEFORE


@on_both
def test_another_number_than_expected_is_a_conflict(full: Cli) -> None:
    for command in (
        ("message", "cancel", "--queue", "other"),
        ("message", "requeue", "--error", "slow"),
        ("message", "delete", "--error", "slow"),
        ("dlq", "requeue", "emails", "--error", "slow"),
        ("dlq", "requeue", "emails", "--all"),
        ("dlq", "delete", "emails", "--error", "slow"),
        ("dlq", "purge", "emails"),
    ):
        for more in (("--yes",), ("--dry-run",)):
            outcome = full(*command, "--expect", "7", *more, code=4)
            assert outcome.err.startswith("Error: 7 expected, ")
            assert outcome.err.endswith(" found; nothing was done\n")
            assert outcome.out == ""
    assert counts(full) == BEFORE
    full("message", "requeue", "--error", "slow", "--expect", "2", "--yes")
    assert counts(full) == {"PENDING": 5, "RUNNING": 1, "ERRORED": 2}


@on_both
def test_without_a_terminal_nothing_is_done_without_yes(full: Cli) -> None:
    for command in (
        ("message", "cancel", "--queue", "emails"),
        ("message", "requeue", "--queue", "emails"),
        ("message", "delete", "--queue", "emails"),
        ("dlq", "requeue", "emails", "--reason", "max_attempts"),
        ("dlq", "delete", "emails", "--since", "1d"),
        ("dlq", "delete", "emails", "d0"),
        ("dlq", "purge", "emails"),
    ):
        outcome = full(*command, code=2)
        assert "; say --yes to do it" in outcome.err
    assert counts(full) == BEFORE


@on_both
@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1)])
def test_at_a_terminal_it_asks_with_numbers_and_queues(
    full: Cli, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    monkeypatch.setattr(asking, "at_terminal", lambda: True)
    outcome = full("message", "cancel", "--all-messages", stdin="n\n", code=1)
    assert "Cancel 5 messages in emails (4), other (1)?" in outcome.err
    outcome = full("message", "requeue", "--error", "slow", stdin=answer, code=code)
    assert "Requeue 2 messages in emails?" in outcome.err
    if code:
        assert outcome.err.endswith("Error: nothing was done\n")
        assert counts(full) == BEFORE
    else:
        assert (outcome.out, outcome.err.splitlines()[-1]) == (
            "2\n",
            "2 messages requeued",
        )
    outcome = full("message", "delete", "--error", "refused", stdin=answer, code=code)
    assert "Delete 2 messages in emails for good?" in outcome.err


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_that_chooses_is_refused(full: Cli, verb: str) -> None:
    for more in ((), ("--yes",), ("--dry-run",), ("--expect", "4", "--yes")):
        outcome = full("message", verb, *more, code=2)
        assert "--all-messages" in outcome.err
    both = full("message", verb, "--all-messages", "--queue", "emails", code=2)
    assert "goes with nothing else" in both.err
    assert counts(full) == BEFORE
    # No line at all means no message, not all of them.
    assert full("message", verb, "--id", "-", "--yes", stdin="").out == "0\n"
    assert counts(full) == BEFORE


@on_both
def test_cancel_reports_what_runs_and_takes_it_with_abort(full: Cli) -> None:
    arguments = ("message", "cancel", "--queue", "emails", "--yes", "-o", "json")
    outcome = full(*arguments, "--reason", "no more", code=8)
    assert outcome.document == {
        "canceled": 3,
        "matched": 4,
        "skipped": {"running": 1},
        "missing": 0,
        "aborting": 0,
    }
    assert outcome.err.splitlines() == [
        "3 messages canceled",
        "Error: not all of them: 1 running (--abort asks their workers)",
    ]
    outcome = full(*arguments, "--abort")
    assert outcome.document["aborting"] == 1
    assert outcome.err == (
        "1 message canceled, 1 of them when their workers hear of it\n"
    )


@on_both
def test_delete_takes_what_has_finished(full: Cli) -> None:
    outcome = full("message", "delete", "--all-messages", "--yes")
    assert (outcome.out, outcome.err) == ("4\n", "4 messages deleted\n")
    assert counts(full) == {"PENDING": 3, "RUNNING": 1}
    outcome = full("message", "delete", "--state", "PENDING", "--yes", code=2)
    assert "cancel the others first" in outcome.err
    arguments = ("--id", "w0", "--id", "d0")
    outcome = full("message", "delete", *arguments, "--yes", code=8)
    assert "1 not finished (cancel them first), 1 id that no" in outcome.err


@on_both
def test_requeue_takes_a_target_and_a_spread(full: Cli) -> None:
    full("message", "post", "other", "0", "--id", "d0")
    arguments = ("--queue", "emails", "--target", "other", "--spread", "10m", "--yes")
    outcome = full("message", "requeue", *arguments, "-o", "jsonl", code=8)
    assert outcome.document["requeued"] == 3
    assert outcome.document["skipped"] == {"duplicate": 1}
    assert counts(full, "other") == {"PENDING": 2, "INVISIBLE": 3}
    outcome = full("message", "requeue", "--target", "nobody", *arguments[:2], code=2)
    assert "--yes" in outcome.err
    nowhere = ("--queue", "emails", "--target", "nobody", "--yes")
    assert "'nobody'" in full("message", "requeue", *nowhere, code=3).err


@on_both
def test_ids_that_nobody_has_are_not_found(full: Cli) -> None:
    for verb in VERBS:
        outcome = full("message", verb, "--id", "nobody", "--yes", code=3)
        assert outcome.out == "0\n"
        assert "1 id that no matching message has" in outcome.err
    outcome = full("dlq", "requeue", "emails", "--id", "w0", "--yes", code=3)
    assert "no matching" in outcome.err


@on_both
def test_one_list_feeds_another_command(full: Cli) -> None:
    arguments = ("--state", "ERRORED", "--error", "TimeoutError", "--since", "1h")
    lines = full("message", "list", *arguments, "-o", "plain").lines
    names = "".join(line.split("\t")[0] + "\n" for line in lines)
    outcome = full(
        "message", "requeue", "--queue", "emails", "--id", "-", "--yes", stdin=names
    )
    assert outcome.out == "2\n"
    assert counts(full) == {"PENDING": 5, "RUNNING": 1, "ERRORED": 2}


@on_both
def test_dead_letters_are_deleted_one_by_one_or_as_they_match(full: Cli) -> None:
    outcome = full("dlq", "delete", "emails", "d0", "--yes")
    assert (outcome.out, outcome.err) == ("d0\n", "dead letter 'd0' deleted\n")
    full("dlq", "delete", "emails", "d0", "--yes", code=3)
    outcome = full("dlq", "delete", "emails-dlq", "--error", "SLOW", "--yes")
    assert (outcome.out, outcome.err) == ("2\n", "2 dead letters deleted\n")
    listed = full("dlq", "list", "emails", "--error", "refused", "-o", "jsonl")
    assert listed.document["message"]["message_id"] == "d2"
    assert full("dlq", "list", "emails", "--error", "slow").err == (
        "no such dead letters under 'emails'\n"
    )


@pytest.mark.parametrize(
    "command",
    [
        ("message", "cancel", "emails"),
        ("message", "cancel", "emails", "w0", "--dry-run"),
        ("message", "cancel", "emails", "w0", "--queue", "emails"),
        ("dlq", "requeue", "emails", "d0", "--error", "slow"),
        ("dlq", "requeue", "emails", "d0", "--dry-run"),
        ("dlq", "delete", "emails"),
        ("dlq", "delete", "emails", "d0", "--error", "slow"),
        ("dlq", "delete", "emails", "d0", "--expect", "1"),
        ("message", "requeue", "--state", "PENDING", "--yes"),
        ("message", "cancel", "--state", "ERRORED", "--yes"),
    ],
)
def test_what_makes_no_sense_is_refused(full: Cli, command: tuple[str, ...]) -> None:
    full(*command, code=2)
    assert counts(full) == BEFORE


@on_both
def test_quiet_says_errors_only(full: Cli) -> None:
    arguments = ("--error", "slow", "--yes", "-q")
    assert full("message", "requeue", *arguments).err == ""
    failed = full("message", "cancel", "--queue", "emails", "--yes", "-q", code=8)
    assert failed.err.startswith("Error: not all of them")


@on_both
def test_what_was_done_before_a_failure_is_told(
    full: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail_half_way(store: Any, *_: object, progress: Any, **__: object) -> Any:
        progress(2, 4)
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "delete_matching", fail_half_way)
    outcome = full("dlq", "purge", "emails", "--yes", code=130)
    assert outcome.err.splitlines() == [
        "stopped after 2 of 4: what is done stays done",
        "Error: interrupted",
    ]


@on_both
def test_a_pipe_of_real_processes_requeues_what_the_first_one_lists(full: Cli) -> None:
    trioqueue = f"{sys.executable} -m trioqueue"
    script = (
        f"{trioqueue} message list --state ERRORED --error TimeoutError --since 1h "
        f"-o plain | cut -f 1 | {trioqueue} message requeue --queue emails --id - --yes"
    )
    outcome = subprocess.run(
        ["sh", "-c", script],  # noqa: S607  any shell
        env=full.environment(),
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=60,
    )
    assert (outcome.stdout, outcome.stderr) == ("2\n", "2 messages requeued\n")
