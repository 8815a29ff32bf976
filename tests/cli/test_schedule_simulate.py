from __future__ import annotations

import json

import pytest

from tests.cli.helpers import Cli, on_both

JANUARY = ("--from", "2040-01-01", "--until", "2040-01-08")


@pytest.fixture
def two(emails: Cli) -> Cli:
    """A database with a daily schedule in Paris and a weekly one in New York."""
    start = ("schedule", "create")
    daily = ("--cron", "0 9 * * *", "--tz", "Europe/Paris")
    weekly = ("--on", "mon", "--at", "12:00", "--tz", "America/New_York")
    emails(*start, "daily", "emails", *daily)
    emails(*start, "weekly", "emails", *weekly, "--jitter", "1h")
    return emails


@on_both
def test_it_lists_what_would_run_when_in_order(two: Cli) -> None:
    outcome = two("schedule", "simulate", *JANUARY, "-o", "json")
    assert [(run["schedule_id"], run["at"]) for run in outcome.document] == [
        ("daily", "2040-01-01T09:00:00+01:00"),
        ("daily", "2040-01-02T09:00:00+01:00"),
        ("weekly", "2040-01-02T12:00:00-05:00"),
        *(("daily", f"2040-01-0{day}T09:00:00+01:00") for day in range(3, 8)),
    ]
    weekly = outcome.document[2]
    assert 0 < weekly["jitter_seconds"] < 3600
    assert weekly["tz"] == "America/New_York"
    assert outcome.err == "schedules: 2; runs: 8 on time\n"
    assert two("message", "peek", "emails", "-o", "json").document == []
    assert two("schedule", "history", "daily", "-o", "json").document == []


def test_a_table_tells_zones_and_delays_where_they_differ(two: Cli) -> None:
    lines = two("schedule", "simulate", *JANUARY, "-o", "table").lines
    header = ["AT", "ZONE", "SCHEDULE", "KIND", "DELAY"]
    assert lines[0].split() == header
    assert lines[1].startswith("Sun 2040-01-01 09:00:00 +01:00  Europe/Paris ")
    one = two("schedule", "simulate", "daily", *JANUARY, "-o", "table")
    assert one.lines[0].split() == ["AT", "SCHEDULE", "KIND"]
    assert one.err.startswith("times in Europe/Paris\n")
    plain = two("schedule", "simulate", "daily", *JANUARY).lines
    assert all(line.count("\t") == 5 for line in plain)


def test_ids_choose_schedules(two: Cli) -> None:
    outcome = two("schedule", "simulate", "weekly", *JANUARY)
    assert len(outcome.lines) == 1
    both = two("schedule", "simulate", "weekly", "daily", *JANUARY)
    assert len(both.lines) == 8


@on_both
def test_an_outage_is_dealt_with_as_each_schedule_says(two: Cli) -> None:
    two(
        *("schedule", "create", "all", "emails", "--cron", "0 9 * * *"),
        *("--misfire", "all:2"),
    )
    outage = ("--outage", "2040-01-02T00:00Z/2040-01-05T12:00Z")
    outcome = two(
        "schedule", "simulate", "daily", "all", *JANUARY, *outage, "-o", "json"
    )
    late = [run for run in outcome.document if run["kind"] == "catch_up"]
    assert {run["at"] for run in late} == {
        "2040-01-05T12:00:00+00:00",
        "2040-01-05T13:00:00+01:00",
    }
    merged = [run for run in late if run["merged"]]
    # Of four missed runs, the latest two; the first of them stands for the others.
    assert [(run["schedule_id"], run["merged"]) for run in merged] == [
        ("all", 2),
        ("daily", 3),
    ]
    assert merged[1]["notes"] == ["coalesced with 3 other missed runs"]
    assert outcome.err.endswith("on time, 3 made up for\n")


def test_exceptions_and_clock_changes_come_with_their_reasons(emails: Cli) -> None:
    rules = {
        "tz": "Europe/Paris",
        "rules": [{"rule": "daily", "times": ["02:30"]}],
        "exceptions": [{"exception": "skip", "date": "2040-03-24"}],
    }
    arguments = ("schedule", "create", "s", "emails", "--calendar", "-")
    emails(*arguments, stdin=json.dumps(rules))
    span = ("--from", "2040-03-24", "--until", "2040-03-26")
    outcome = emails("schedule", "simulate", *span, "-o", "table")
    assert [line.split("  ")[-1] for line in outcome.lines[1:]] == [
        "skipped by an exception",
        "02:30 does not exist: the clocks go forward",
    ]
    assert outcome.err == (
        "times in Europe/Paris\nschedules: 1; runs: 1 on time, 1 skipped\n"
    )


def test_schedules_that_would_not_run_say_why(two: Cli) -> None:
    two("schedule", "pause", "daily", "--reason", "holidays")
    outcome = two("schedule", "simulate", "daily", *JANUARY, "-o", "json")
    assert outcome.document == []
    assert outcome.err == (
        "nothing would run\nschedule 'daily' would not run: PAUSED: holidays\n"
    )


def test_moments_without_an_offset_are_in_tz_as_is_the_output(two: Cli) -> None:
    span = ("--from", "2040-01-01T17:00", "--until", "2040-01-01T17:00")
    outcome = two("schedule", "simulate", *span, "--tz", "Asia/Tokyo")
    assert outcome.lines[0].startswith("2040-01-01T17:00:00+09:00\tAsia/Tokyo\tdaily")


def test_a_limit_cuts_it_short_and_says_so(two: Cli) -> None:
    outcome = two("schedule", "simulate", *JANUARY, "--limit", "3")
    assert "cut short" in outcome.err
    assert 3 <= len(outcome.lines) < 8


def test_the_schedules_of_an_app_need_no_database(
    tq: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tq.directory / "simulated_jobs.py").write_text(
        "import trioqueue\n"
        "app = trioqueue.App()\n"
        "@app.schedule(trioqueue.Cron('0 9 * * *', tz='Asia/Tokyo'))\n"
        "@app.task(queue='reports')\n"
        "async def report(): ...\n"
    )
    monkeypatch.chdir(tq.directory)
    monkeypatch.syspath_prepend(str(tq.directory))
    arguments = ("schedule", "simulate", "--app", "simulated_jobs:app", *JANUARY)
    outcome = tq(*arguments, "-o", "json")
    (first, *_) = outcome.document
    assert first["at"] == "2040-01-01T09:00:00+09:00"
    assert len(outcome.document) == 8  # midnight UTC on both ends
    assert not tq.file.exists()
    name = first["schedule_id"]
    assert len(tq(*arguments, name).lines) == 8
    tq("schedule", "simulate", "nobody", *arguments[2:], code=3)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--until", "soon"),
        ("--from", "2040-01-02", "--until", "2040-01-01"),
        ("--until", "2001-01-01"),
        (*JANUARY, "--outage", "2040-01-01"),
        (*JANUARY, "--outage", "2040-01-02/2040-01-01"),
        (*JANUARY, "--outage", "x/y"),
        (*JANUARY, "--tz", "Mars/Base"),
        (*JANUARY, "--limit", "0"),
        (*JANUARY, "--app", "jobs"),
    ],
    ids=" ".join,
)
def test_wrong_spans_are_refused(two: Cli, arguments: tuple[str, ...]) -> None:
    outcome = two("schedule", "simulate", *arguments, code=2)
    assert outcome.out == ""
    assert len(outcome.err.splitlines()) == 1
