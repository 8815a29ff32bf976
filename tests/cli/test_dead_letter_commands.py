from __future__ import annotations

import pytest

from tests.cli.helpers import Cli, on_both
from trioqueue.cli import asking


@pytest.fixture
def dead(emails: Cli) -> Cli:
    """The command, where three messages of `emails` have died."""
    emails.kill("emails", "a", "b", "c")
    return emails


@on_both
def test_list_shows_newest_first_with_reason_and_last_error(dead: Cli) -> None:
    lines = [line.split("\t") for line in dead("dlq", "list", "emails").lines]
    assert [line[0] for line in lines] == ["c", "b", "a"]
    assert lines[0][1:5] == ["emails", "max_attempts", "1/1", "OSError: no such host"]


@on_both
def test_list_in_json_has_the_message_and_its_attempts(dead: Cli) -> None:
    document = dead("dlq", "list", "emails-dlq", "-o", "json").document[0]
    assert document["dead_letter_queue"] == "emails-dlq"
    assert document["message"]["payload"] == {"n": "c"}
    assert document["message"]["state"] == "ERRORED"
    assert document["attempts"][0]["error_type"] == "OSError"
    assert document["attempts"][0]["worker_id"] == "w1"
    assert document["died_at"].endswith("Z")


@on_both
def test_list_pages_and_filters(dead: Cli) -> None:
    first = dead("dlq", "list", "emails", "--limit", "2")
    assert first.err == "there are more: go on with --after b\n"
    rest = dead("dlq", "list", "emails", "--after", "b", "-o", "jsonl")
    assert rest.document["message"]["message_id"] == "a"
    none = dead("dlq", "list", "emails", "--reason", "discarded", "-o", "json")
    assert none.document == []
    assert none.err == "no such dead letters under 'emails'\n"


@on_both
def test_requeue_one_makes_it_pending_again(dead: Cli) -> None:
    outcome = dead("dlq", "requeue", "emails", "b")
    assert outcome.out == "b\n"
    assert outcome.err == "message 'b' is PENDING in queue 'emails'\n"
    assert len(dead("dlq", "list", "emails").lines) == 2
    document = dead("message", "show", "emails", "b", "-o", "json").document
    assert (document["state"], document["attempt"]) == ("PENDING", 0)


@on_both
def test_requeue_all_prints_how_many(dead: Cli) -> None:
    assert dead("dlq", "requeue", "emails", "--all").out == "3\n"
    outcome = dead("dlq", "requeue", "emails", "--all", "-o", "json")
    nothing = {"matched": 0, "skipped": {}, "missing": 0}
    assert outcome.document == {"requeued": 0, **nothing}
    assert outcome.err == "0 dead letters requeued\n"


@on_both
def test_requeue_all_takes_a_reason_a_target_and_a_spread(dead: Cli) -> None:
    dead("queue", "create", "later")
    none = dead("dlq", "requeue", "emails", "--all", "--reason", "lease_expired")
    assert none.out == "0\n"
    arguments = ("--all", "--target", "later", "--spread", "10m")
    assert dead("dlq", "requeue", "emails", *arguments).out == "3\n"
    counts = dead("queue", "show", "later", "-o", "json").document["counts"]
    assert (counts["PENDING"], counts["INVISIBLE"]) == (1, 2)


@pytest.mark.parametrize(
    "arguments", [(), ("a", "--all"), ("a", "--reason", "x"), ("a", "--spread", "1s")]
)
def test_requeue_refuses_to_guess(dead: Cli, arguments: tuple[str, ...]) -> None:
    dead("dlq", "requeue", "emails", *arguments, code=2)
    assert len(dead("dlq", "list", "emails").lines) == 3


@on_both
def test_requeue_into_a_queue_that_has_the_id_is_a_conflict(dead: Cli) -> None:
    dead("queue", "create", "later")
    dead("message", "post", "later", "1", "--id", "a")
    dead("dlq", "requeue", "emails", "a", "--target", "later", code=4)
    dead("dlq", "requeue", "emails", "nobody", code=3)


@on_both
def test_purge_without_a_terminal_needs_yes(dead: Cli) -> None:
    outcome = dead("dlq", "purge", "emails", code=2)
    assert "3 dead letters" in outcome.err
    assert "--yes" in outcome.err
    assert len(dead("dlq", "list", "emails").lines) == 3
    outcome = dead("dlq", "purge", "emails", "--yes", "-o", "json")
    assert outcome.document["deleted"] == outcome.document["matched"] == 3
    assert outcome.err == "3 dead letters deleted\n"


@on_both
def test_purge_of_nothing_needs_no_answer(emails: Cli) -> None:
    assert emails("dlq", "purge", "emails").out == "0\n"


@on_both
@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, 0), ("n\n", 1, 3)])
def test_purge_asks_at_a_terminal(
    dead: Cli, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, left: int
) -> None:
    monkeypatch.setattr(asking, "at_terminal", lambda: True)
    outcome = dead("dlq", "purge", "emails", stdin=answer, code=code)
    assert "Delete 3 dead letters in emails for good?" in outcome.err
    assert outcome.out == ("3\n" if code == 0 else "")
    assert len(dead("dlq", "list", "emails").lines) == left
