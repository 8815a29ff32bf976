from __future__ import annotations

import json
from datetime import UTC, datetime, time
from typing import Any

import pytest

import trioqueue
from tests.cli.helpers import Cli, on_both
from trioqueue.model.schedule import Misfire, Schedule
from trioqueue.schedules import Calendar, Cron, Monthly, Recurrence, Weekly

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


def test_create_prints_the_id_as_data_and_the_next_run_for_people(emails: Cli) -> None:
    outcome = emails(
        *("schedule", "create", "daily", "emails", "--cron", "0 9 * * *"),
        *("--tz", "Europe/Paris", *FROM_2040),
    )
    assert outcome.out == "daily\n"
    assert outcome.err == (
        "schedule 'daily' created; next run Sun 2040-01-01 09:00:00 +01:00 "
        "(Europe/Paris)\n"
    )


def test_creating_the_same_schedule_again_changes_nothing(emails: Cli) -> None:
    first = create(emails, "daily")
    arguments = ("--cron", "0 9 * * *", "--tz", "Europe/Paris", *FROM_2040)
    outcome = emails("schedule", "create", "daily", "emails", *arguments)
    assert outcome.out == "daily\n"
    assert "is there already" in outcome.err
    assert emails("schedule", "show", "daily", "-o", "json").document == first


@on_both
def test_other_settings_are_a_conflict_unless_they_are_an_update(emails: Cli) -> None:
    create(emails, "daily")
    other = ("schedule", "create", "daily", "emails", "--cron", "0 10 * * *")
    outcome = emails(*other, *FROM_2040, code=4)
    assert "it differs in " in outcome.err
    assert "--update" in outcome.err
    assert stored(emails, "daily").revision == 1
    outcome = emails(*other, *FROM_2040, "--update")
    assert outcome.err == (
        "schedule 'daily' updated; next run Sun 2040-01-01 10:00:00 +00:00 (UTC)\n"
    )
    assert stored(emails, "daily").revision == 2
    assert "is there already" in emails(*other, *FROM_2040, "--update").err
    assert stored(emails, "daily").revision == 2


@on_both
def test_update_creates_what_is_not_there(emails: Cli) -> None:
    assert create(emails, "new", "--update")["revision"] == 1


@on_both
def test_every_setting_reaches_the_schedule(emails: Cli) -> None:
    emails(
        *("schedule", "create", "all", "emails", '{"n": 1}'),
        *("--cron", "30 2 * * *", "--tz", "Europe/Paris", "--misfire", "all:7"),
        *("--jitter", "10m", "--max-messages", "5", "--priority", "4"),
        *("--start-at", "2040-07-01", "--end-at", "2041-01-01T00:00:00Z"),
        *("--metadata", "team=blue", "--metadata", "level:=3"),
    )
    found = stored(emails, "all")
    assert (found.queue, found.payload) == ("emails", {"n": 1})
    assert isinstance(found.when, Cron)
    assert found.when.tz == "Europe/Paris"
    assert found.misfire == Misfire.all(7)
    assert found.jitter_seconds == 600
    assert (found.max_messages, found.priority) == (5, 4)
    assert found.metadata == {"team": "blue", "level": 3}
    # Without an offset it is on the schedule's clock: Paris is two hours ahead in July.
    assert found.start_at == datetime(2040, 6, 30, 22, tzinfo=UTC)
    assert found.end_at == datetime(2041, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("--on", "day", "--at", "08:15"), "at 08:15"),
        (("--on", "business-day"), "business day"),
        (("--on", "first-business-day"), "first business day"),
        (("--on", "last-business-day"), "last business day"),
        (("--on", "last-day"), "last day"),
    ],
)
def test_days_in_words_are_rules(
    emails: Cli, arguments: tuple[str, ...], rule: str
) -> None:
    arguments = ("schedule", "create", "s", "emails", *arguments, "-o", "json")
    document = emails(*arguments).document
    assert rule in document["description"]


def test_days_of_the_week_and_of_the_month_are_rules(emails: Cli) -> None:
    start = ("schedule", "create")
    emails(*start, "a", "emails", "--on", "MON, fri", "--at", "17:00", "--at", "08:30")
    emails(*start, "b", "emails", "--on", "15", "--tz", "Asia/Tokyo")
    assert stored(emails, "a").when == Calendar(
        [Weekly((1, 5), times=(time(17), time(8, 30)))]
    )
    assert stored(emails, "b").when == Calendar([Monthly(day=15)], tz="Asia/Tokyo")


def test_a_recurrence_is_a_rule(emails: Cli) -> None:
    emails(
        *(
            "schedule",
            "create",
            "s",
            "emails",
            "--rrule",
            "RRULE:FREQ=DAILY;INTERVAL=2",
        ),
        *("--dtstart", "2040-01-01T09:00", "--tz", "Europe/Berlin"),
    )
    rule = Recurrence("FREQ=DAILY;INTERVAL=2", "2040-01-01T09:00")
    when = stored(emails, "s").when
    assert when == Calendar([rule], tz="Europe/Berlin")


def test_what_show_tells_of_a_rule_creates_it_again(emails: Cli) -> None:
    emails(
        *("schedule", "create", "a", "emails", "--on", "last-day", "--at", "17:00"),
        *("--tz", "America/New_York"),
    )
    document = emails("schedule", "show", "a", "-o", "json").document
    emails(
        "schedule",
        "create",
        "b",
        "emails",
        "--calendar",
        "-",
        stdin=json.dumps(document["when"]),
    )
    create(emails, "c")
    document = emails("schedule", "show", "c", "-o", "json").document
    file = emails.directory / "rule.json"
    file.write_text(json.dumps(document["when"]))
    emails("schedule", "create", "d", "emails", "--calendar", str(file))
    assert stored(emails, "a").when == stored(emails, "b").when
    assert stored(emails, "c").when.describe() == stored(emails, "d").when.describe()


def test_payloads_are_read_as_those_of_messages(emails: Cli) -> None:
    start = ("schedule", "create")
    emails(*start, "a", "emails", "-", "--cron", "@daily", stdin='{"n": 2}')
    text = ("hello", "--content-type", "text/plain")
    emails(*start, "b", "emails", *text, "--cron", "@daily")
    emails(*start, "c", "emails", "--cron", "@daily")
    payloads = [stored(emails, name).payload for name in "abc"]
    assert payloads == [{"n": 2}, "hello", None]


@on_both
def test_a_schedule_needs_its_queue(emails: Cli) -> None:
    arguments = ("schedule", "create", "s", "nobody", "--cron", "@daily")
    assert "trioqueue queue create nobody" in emails(*arguments, code=3).err


def test_what_is_doubtful_is_told_on_stderr(emails: Cli) -> None:
    rules = {
        "tz": "UTC",
        "rules": [{"rule": "weekly", "days": [1]}],
        "exceptions": [{"exception": "skip", "date": "2040-01-01"}],
    }
    arguments = ("schedule", "create", "s", "emails", "--calendar", "-")
    outcome = emails(*arguments, stdin=json.dumps(rules))
    assert outcome.out == "s\n"
    assert outcome.err.startswith("warning: exceptions[0]: 'not on 2040-01-01' changes")


@on_both
def test_creating_a_paused_schedule_again_says_that_it_waits(emails: Cli) -> None:
    arguments = ("schedule", "create", "s", "emails", "--cron", "@daily")
    emails(*arguments)
    emails("schedule", "pause", "s")
    assert emails(*arguments).err.endswith("with these settings; it is PAUSED\n")


def test_a_business_calendar_may_be_named_beside_a_file_of_rules(emails: Cli) -> None:
    office = {"id": "office", "weekend_days": [1, 2]}
    emails("schedule", "calendar", "put", "-", stdin=json.dumps(office))
    rules = {"tz": "UTC", "rules": [{"rule": "business_days"}]}
    named = ("--calendar", "-", "--business-calendar", "office")
    create_it = ("schedule", "create", "s", "emails", *named)
    emails(*create_it, stdin=json.dumps(rules))
    assert stored(emails, "s").when.business_calendar_id == "office"
    cron = json.dumps({"kind": "cron", "expression": "@daily", "tz": "UTC"})
    assert "--business-calendar" in emails(*create_it, stdin=cron, code=2).err


def test_what_is_wrong_inside_a_file_of_rules_is_named_as_it_is_there(
    emails: Cli,
) -> None:
    cron = json.dumps({"kind": "cron", "expression": "61 * * * *", "tz": "UTC"})
    create_it = ("schedule", "create", "s", "emails", "--calendar", "-")
    outcome = emails(*create_it, stdin=cron, code=2)
    assert outcome.err.startswith("Error: expression: ")
    rules = {"tz": "UTC", "rules": [{"rule": "daily", "interval": 0}]}
    outcome = emails(*create_it, stdin=json.dumps(rules), code=2)
    assert outcome.err.startswith("Error: rules[0].interval: ")
