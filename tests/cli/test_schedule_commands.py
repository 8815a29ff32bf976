from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio

import trioqueue
from tests.cli.helpers import Cli, on_both
from trioqueue.cli import asking
from trioqueue.model.schedule import Schedule
from trioqueue.services import CronProcessorService

FROM_2040 = ("--start-at", "2040-01-01")


def create(tq: Cli, name: str, *options: str) -> Any:
    """Create a schedule on `emails` that runs at 09:00 in Paris, from 2040 on."""
    rule = ("--cron", "0 9 * * *", "--tz", "Europe/Paris", *FROM_2040)
    arguments = ("schedule", "create", name, "emails", *rule, *options, "-o", "json")
    return tq(*arguments).document


def stored(tq: Cli, name: str) -> Schedule:
    async def get(store: trioqueue.Store) -> Schedule:
        return await store.get_schedule(name)

    return tq.store(get)


def serve(tq: Cli) -> None:
    """Let one batch of due schedules run."""

    async def work(store: trioqueue.Store) -> None:
        due = await store.next_schedule_run("cron")
        assert due is not None
        await trio.sleep((due - store.now()).total_seconds() + 0.01)
        assert await CronProcessorService(store).run_once()

    tq.store(work)


@on_both
def test_list_shows_ids_states_and_next_runs_with_their_zones(emails: Cli) -> None:
    create(emails, "a")
    create(emails, "b")
    emails("schedule", "pause", "b", "--reason", "holidays")
    arguments = ("schedule", "create", "c", "emails", "--on", "15", *FROM_2040)
    emails(*arguments, "--tz", "Asia/Tokyo")
    lines = emails("schedule", "list", "-o", "table").lines
    assert re.split("  +", lines[0]) == [
        *("ID", "STATE", "NEXT RUN", "ZONE", "QUEUE", "RUNS", "WHEN", "REASON")
    ]
    assert "2040-01-01 09:00 +01:00  Europe/Paris" in lines[1]
    assert "PAUSED" in lines[2]
    assert lines[2].endswith("holidays")
    assert "2040-01-15 00:00 +09:00  Asia/Tokyo" in lines[3]
    documents = emails("schedule", "list", "-o", "json").document
    assert [each["next_run"] for each in documents] == [
        "2040-01-01T09:00:00+01:00",
        None,
        "2040-01-15T00:00:00+09:00",
    ]
    in_utc = emails("schedule", "list", "a", "--tz", "UTC", "-o", "json").document
    assert in_utc[0]["next_run"] == "2040-01-01T08:00:00+00:00"
    assert in_utc[0]["tz"] == "Europe/Paris"


def test_a_table_leaves_out_what_is_the_same_in_each_row(emails: Cli) -> None:
    create(emails, "a")
    create(emails, "b")
    outcome = emails("schedule", "list", "-o", "table")
    assert re.split("  +", outcome.lines[0]) == [
        *("ID", "STATE", "NEXT RUN", "QUEUE", "RUNS", "WHEN")
    ]
    assert outcome.err == "times in Europe/Paris\n"
    assert emails("schedule", "list", "--tz", "UTC", "-o", "table").err == (
        "times in UTC\n"
    )
    plain = emails("schedule", "list").lines
    assert all(line.count("\t") == 7 for line in plain)


@on_both
def test_list_takes_a_prefix_a_state_and_a_place(emails: Cli) -> None:
    for name in ("a.1", "a.2", "b"):
        create(emails, name)
    emails("schedule", "pause", "a.2")

    def ids(*arguments: str) -> list[str]:
        lines = emails("schedule", "list", *arguments).lines
        return [line.split("\t")[0] for line in lines]

    assert ids() == ["a.1", "a.2", "b"]
    assert ids("a.") == ["a.1", "a.2"]
    assert ids("--state", "paused") == ["a.2"]
    assert ids("--after", "a.2") == ["b"]
    first = emails("schedule", "list", "--limit", "2")
    assert first.err == "there are more: go on with --after a.2\n"
    assert "no such schedules" in emails("schedule", "list", "zzz").err


def test_an_empty_list_says_how_to_begin(emails: Cli) -> None:
    outcome = emails("schedule", "list", "-o", "json")
    assert outcome.out == "[]\n"
    assert "trioqueue schedule create ID QUEUE" in outcome.err


def test_ids_can_be_piped_from_a_list_into_other_commands(emails: Cli) -> None:
    for name in ("a", "b"):
        create(emails, name)
    for line in emails("schedule", "list").lines:
        name = line.split("\t")[0]
        assert emails("schedule", "pause", name).out == f"{name}\n"
    assert emails("schedule", "list", "--state", "SCHEDULED").lines == []


def test_show_wraps_what_is_long_and_cuts_nothing(emails: Cli) -> None:
    months = ",".join(map(str, range(1, 12)))
    rule = ("--cron", f"0,7,14,21,28,35,42 1,3,5,7,9,11 1,5,9,13 {months} *")
    emails("schedule", "create", "s", "emails", *rule)
    out = emails("schedule", "show", "s", "-o", "table", env={"COLUMNS": "60"}).out
    description = emails("schedule", "show", "s", "-o", "json").document["description"]
    assert max(map(len, out.splitlines())) <= 60
    assert "…" not in out
    assert description in " ".join(out.split())


@on_both
def test_show_in_a_table_says_all_that_was_set(emails: Cli) -> None:
    create(
        emails,
        "s",
        "--misfire",
        "skip",
        "--jitter",
        "90s",
        "--max-messages",
        "3",
        "--priority",
        "1",
        "--metadata",
        "k=v",
    )
    out = emails("schedule", "show", "s", "-o", "table", "--tz", "UTC").out
    for text in (
        "state         SCHEDULED\n",
        "cron          0 9 * * *\n",
        "zone          Europe/Paris\n",
        "next run      Sun 2040-01-01 08:00:00 +00:00\n",
        "last run      -\n",
        "limits        from Sat 2039-12-31 23:00:00 +00:00, 3 runs in all\n",
        "skip: runs missed by more than a minute are left out",
        "each message waits up to 1m30s",
        "priority      1\n",
        'metadata      {"k": "v"}\n',
        "payload       null\n",
    ):
        assert text in out


@on_both
def test_pause_and_resume_say_when_it_runs_again(emails: Cli) -> None:
    create(emails, "s")
    document = emails(
        "schedule", "pause", "s", "--reason", "why", "-o", "json"
    ).document
    assert (document["state"], document["reason"]) == ("PAUSED", "why")
    outcome = emails("schedule", "resume", "s")
    assert outcome.out == "s\n"
    assert outcome.err == (
        "schedule 's' resumed; next run Sun 2040-01-01 09:00:00 +01:00 (Europe/Paris)\n"
    )


@on_both
def test_trigger_posts_a_message_now_and_prints_its_id(emails: Cli) -> None:
    create(emails, "s")
    outcome = emails("schedule", "trigger", "s")
    message = emails("message", "show", "emails", outcome.out.strip(), "-o", "json")
    assert message.document["state"] == "PENDING"
    assert outcome.err == "in queue 'emails', PENDING\n"
    history = emails("schedule", "history", "s", "-o", "json").document
    assert [(run["message_id"], run["kind"]) for run in history] == [
        (outcome.out.strip(), "manual")
    ]
    assert history[0]["tz"] == "Europe/Paris"
    posted = datetime.fromisoformat(history[0]["posted_at"])
    assert abs(datetime.now(UTC) - posted) < timedelta(minutes=1)
    assert stored(emails, "s").run_count == 0


def test_history_lists_runs_newest_first_by_the_schedules_clock(emails: Cli) -> None:
    emails(
        "schedule", "create", "s", "emails", "--cron", "* * * * * *", "--misfire", "all"
    )

    serve(emails)
    run, *_ = emails("schedule", "history", "s", "-o", "json").document
    assert run["kind"] == "on_time"
    assert run["message_id"].startswith("s:")
    assert run["occurrence"].endswith("+00:00")
    outcome = emails("schedule", "history", "s", "-o", "table", "--tz", "Asia/Tokyo")
    assert outcome.lines[0].split() == [
        "OCCURRENCE",
        "KIND",
        "MERGED",
        "POSTED",
        "MESSAGE",
    ]
    assert "+09:00  on_time" in outcome.lines[1]
    assert outcome.err == "times in Asia/Tokyo\n"


@on_both
def test_history_goes_on_where_a_page_ended(emails: Cli) -> None:
    create(emails, "s")
    assert "has posted nothing" in emails("schedule", "history", "s").err
    posted = [emails("schedule", "trigger", "s").out.strip() for _ in range(3)]
    first = emails("schedule", "history", "s", "--limit", "2")
    assert first.err.splitlines()[-1] == (
        f"there are more: go on with --after {posted[1]}"
    )
    rest = emails("schedule", "history", "s", "--after", posted[1])
    assert [line.split("\t")[-1] for line in rest.lines] == [posted[0]]


@on_both
def test_delete_needs_a_yes_and_leaves_messages(
    emails: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(emails, "Sales")
    emails("schedule", "trigger", "Sales")
    outcome = emails("schedule", "delete", "Sales", code=2)
    assert "say --yes" in outcome.err
    monkeypatch.setattr(asking, "at_terminal", lambda: True)
    outcome = emails("schedule", "delete", "Sales", stdin="n\n", code=1)
    assert "Delete schedule 'Sales' and its history?" in outcome.err
    assert "no answer" in emails("schedule", "delete", "Sales", stdin="", code=1).err
    assert stored(emails, "Sales").id == "Sales"
    outcome = emails("schedule", "delete", "Sales", stdin="y\n")
    assert outcome.out == "Sales\n"
    assert len(emails("message", "peek", "emails").lines) == 1
    emails("schedule", "delete", "Sales", "--yes", code=3)


@on_both
@pytest.mark.parametrize(
    "arguments",
    [
        *((verb, "nobody") for verb in ("show", "pause", "resume", "trigger")),
        *((verb, "nobody") for verb in ("history", "preview", "explain", "export-ics")),
        ("delete", "nobody", "--yes"),
        ("simulate", "nobody", "--until", "2999-01-01"),
    ],
    ids=lambda arguments: str(arguments[0]),
)
def test_an_unknown_id_is_3_and_says_where_ids_are(
    emails: Cli, arguments: tuple[str, ...]
) -> None:
    outcome = emails("schedule", *arguments, code=3)
    assert outcome.out == ""
    assert outcome.err == (
        "Error: schedule 'nobody' does not exist; see them with: trioqueue schedule "
        "list\n"
    )


def test_a_completed_schedule_says_so_and_cannot_be_paused(emails: Cli) -> None:
    every_second = ("--cron", "* * * * * *", "--max-messages", "1")
    emails("schedule", "create", "s", "emails", *every_second)
    serve(emails)
    outcome = emails("schedule", "pause", "s", code=4)
    assert len(outcome.err.splitlines()) == 1
    text = emails("schedule", "explain", "s", "-o", "table").out
    assert "COMPLETED" in text
    assert "it does not run any more" in text
    assert text.endswith("It has no runs to come.\n")


def test_without_a_database_commands_say_how_to_make_one(tq: Cli) -> None:
    outcome = tq("schedule", "list", code=5)
    assert f"trioqueue --db sqlite:///{tq.file} init" in outcome.err
    tq("schedule", "create", "s", "q", "--cron", "@daily", code=5)
    assert list(tq.directory.iterdir()) == []
