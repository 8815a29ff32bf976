from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

import trioqueue
from tests.cli.helpers import Cli, on_both
from trioqueue.cli import schedule_explain, schedule_look
from trioqueue.model.schedule import Schedule, ScheduleState
from trioqueue.schedules import Cron

NOW = datetime(2027, 3, 20, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def spring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Explain as if it were a week before the clocks of Europe go forward."""
    monkeypatch.setattr(schedule_look, "now", lambda: NOW)


def test_a_rule_is_explained_without_a_database(tq: Cli) -> None:
    outcome = tq(
        *("schedule", "explain", "--on", "day", "--at", "02:30"),
        *("--tz", "Europe/Paris", "-o", "table"),
    )
    assert outcome.lines == [
        "when  every day at 02:30, Europe/Paris time",
        "zone  Europe/Paris, now UTC+01:00",
        "",
        "Next runs, Europe/Paris time:",
        "AT                              NOTE",
        *(
            f"{day} 2027-03-{n} 02:30:00 +01:00  -"
            for day, n in (
                ("Sun", 21),
                ("Mon", 22),
                ("Tue", 23),
                ("Wed", 24),
                ("Thu", 25),
                ("Fri", 26),
                ("Sat", 27),
            )
        ),
        "Sun 2027-03-28 03:30:00 +02:00  02:30 does not exist: the clocks go forward",
        "Mon 2027-03-29 02:30:00 +02:00  -",
        "Tue 2027-03-30 02:30:00 +02:00  -",
    ]
    assert outcome.err == ""
    assert list(tq.directory.iterdir()) == []


def test_a_recurrence_is_shown_as_it_was_written(tq: Cli) -> None:
    rule = ("--rrule", "FREQ=MONTHLY;BYDAY=-1FR", "--dtstart", "2026-01-01T09:00")
    outcome = tq("schedule", "explain", *rule, "-o", "table")
    assert "rrule  FREQ=MONTHLY;BYDAY=-1FR from 2026-01-01T09:00:00\n" in outcome.out
    assert "Fri 2027-03-26 09:00:00 +00:00\n" in outcome.out
    assert "NOTE" not in outcome.out


def test_what_is_doubtful_is_told(tq: Cli) -> None:
    outcome = tq("schedule", "explain", "--on", "31", "-o", "table")
    assert "Worth knowing:\ninfo  --on: months without a 31st" in outcome.out
    document = tq("schedule", "explain", "--on", "31", "-o", "json").document
    assert [issue["severity"] for issue in document["issues"]] == ["info"]


def test_exceptions_are_among_the_notes(tq: Cli) -> None:
    rules = {
        "tz": "UTC",
        "rules": [{"rule": "daily", "times": ["09:00"]}],
        "exceptions": [
            {"exception": "skip", "date": "2027-03-22"},
            {"exception": "reschedule", "date": "2027-03-23", "to": "2027-03-24T15:00"},
        ],
    }
    arguments = ("schedule", "explain", "--calendar", "-", "-o", "json")
    document = tq(*arguments, stdin=json.dumps(rules)).document
    assert document["id"] is None
    runs = {run["at"]: run for run in document["runs"]}
    moved = runs["2027-03-24T15:00:00+00:00"]
    assert moved["occurrence"] == "2027-03-23T09:00:00+00:00"
    assert moved["note"] == "rescheduled from 2027-03-23 09:00"
    assert not any(at.startswith("2027-03-22") for at in runs)
    assert len(runs) == 10


@on_both
def test_all_that_is_stored_is_said_in_words(emails: Cli) -> None:
    emails(
        *("schedule", "create", "s", "emails", "--cron", "0 9 * * 1-5"),
        *("--tz", "Europe/Paris", "--misfire", "all:5", "--jitter", "10m"),
        *("--start-at", "2040-01-01", "--end-at", "2040-01-10", "--max-messages", "9"),
    )
    out = emails("schedule", "explain", "s", "-o", "table", "--tz", "UTC").out
    for text in (
        "schedule  s\n",
        "cron      0 9 * * 1-5\n",
        "zone      Europe/Paris, now UTC+01:00\n",
        "state     SCHEDULED, next run Mon 2040-01-02 08:00:00 +00:00\n",
        "queue     emails\n",
        "misfire   all: runs missed by more than a minute are made up for in order;",
        "jitter    each message waits up to 10m,",
        "limits    from Sat 2039-12-31 23:00:00 +00:00, until Mon 2040-01-09 23:00:00",
        "Next runs, UTC time:\nAT\nMon 2040-01-02 08:00:00 +00:00\n",
    ):
        assert text in out
    document = emails("schedule", "explain", "s", "-o", "json").document
    assert len(document["runs"]) == 6
    assert document["runs"][0]["at"] == "2040-01-02T09:00:00+01:00"
    assert (document["state"], document["queue"]) == ("SCHEDULED", "emails")


def test_a_paused_schedule_says_why_and_how_to_go_on(emails: Cli) -> None:
    emails("schedule", "create", "s", "emails", "--cron", "0 9 * * *")
    emails("schedule", "pause", "s", "--reason", "the printer burns")
    out = emails("schedule", "explain", "s", "-o", "table").out
    assert (
        "PAUSED: the printer burns; it waits for: trioqueue schedule resume s\n" in out
    )
    assert "Next runs, UTC time, were it not PAUSED:\nAT\n" in out


def test_each_state_says_what_to_do() -> None:
    one = Schedule("s", "q", Cron("@daily"), next_run=NOW.replace(hour=11))

    def words(**changes: Any) -> str:
        return schedule_explain.status_words(attrs.evolve(one, **changes), NOW, "UTC")

    assert "it should have run at Sat 2027-03-20 11:00:00 +00:00" in words()
    assert "trioqueue worker" in words()
    assert "SCHEDULED, next run" in words(next_run=NOW)
    errored = words(state=ScheduleState.ERRORED, reason="no queue", next_run=None)
    assert errored == (
        "ERRORED: no queue; mend that, then: trioqueue schedule resume s"
    )
    assert words(state=ScheduleState.COMPLETED) == (
        "COMPLETED; it does not run any more"
    )
    assert words(next_run=None) == "SCHEDULED"


@on_both
def test_a_stored_business_calendar_decides(emails: Cli) -> None:
    office = {
        "id": "office",
        "holidays": [{"kind": "on", "date": "2027-03-31", "name": "Inventory"}],
    }
    emails("schedule", "calendar", "put", "-", stdin=json.dumps(office))
    emails(
        *("schedule", "create", "s", "emails", "--on", "last-business-day"),
        *("--business-calendar", "office"),
    )
    document = emails("schedule", "explain", "s", "-o", "json").document
    assert document["runs"][0]["at"] == "2027-03-30T00:00:00+00:00"
    assert "office" in document["description"]
    assert document["when"]["business_calendar"] == "office"


def test_plain_output_has_one_field_a_line(emails: Cli) -> None:
    emails("schedule", "create", "s", "emails", "--cron", "0 9 * * *")
    fields = dict(line.split("\t") for line in emails("schedule", "explain", "s").lines)
    assert fields["tz"] == "UTC"
    assert len(json.loads(fields["runs"])) == 10


def test_what_a_schedule_is_called_moves_no_cursor(emails: Cli) -> None:
    emails("schedule", "create", "s", "emails", "--cron", "0 9 * * *")

    async def pause(store: trioqueue.Store) -> None:
        await store.pause_schedule("s", "a\x1b[2Jb")

    emails.store(pause)
    for verb in ("explain", "show", "list"):
        out = emails("schedule", verb, *["s"][verb == "list" :], "-o", "table").out
        assert "\x1b" not in out
        assert "a\\x1b[2Jb" in out
