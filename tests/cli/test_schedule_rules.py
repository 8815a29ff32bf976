"""Rules given by options: previews, what `validate` says, and bad input."""

from __future__ import annotations

import json

import pytest

from tests.cli.helpers import Cli

GAP = ("--on", "day", "--at", "02:30", "--tz", "Europe/Paris")
AFTER = ("--after", "2027-03-27T12:00")


def test_a_preview_needs_no_database(tq: Cli) -> None:
    outcome = tq("schedule", "preview", *GAP, *AFTER, "--count", "2", "-o", "table")
    assert outcome.lines == [
        "AT                              NOTE",
        "Sun 2027-03-28 03:30:00 +02:00  02:30 does not exist: the clocks go forward",
        "Mon 2027-03-29 02:30:00 +02:00  -",
    ]
    assert outcome.err == "times in Europe/Paris\n"
    assert list(tq.directory.iterdir()) == []


def test_a_preview_in_json_has_offsets_and_notes(tq: Cli) -> None:
    arguments = ("schedule", "preview", *GAP, *AFTER, "--count", "1", "-o", "json")
    assert tq(*arguments).document == [
        {
            "at": "2027-03-28T03:30:00+02:00",
            "tz": "Europe/Paris",
            "occurrence": "2027-03-28T03:30:00+02:00",
            "note": "2027-03-28 02:30 does not exist: the clocks go forward",
        }
    ]


@pytest.mark.parametrize(
    "rule",
    [
        ("--cron", "0 9 1 * *"),
        ("--rrule", "FREQ=MONTHLY;BYMONTHDAY=1", "--dtstart", "2030-01-01T09:00"),
        ("--on", "1", "--at", "09:00"),
    ],
    ids=lambda rule: rule[0],
)
def test_every_kind_of_rule_runs_on_its_own_clock(
    tq: Cli, rule: tuple[str, ...]
) -> None:
    outcome = tq(
        *("schedule", "preview", *rule, "--tz", "America/New_York"),
        *("--after", "2030-02-15", "--count", "2", "-o", "jsonl"),
    )
    assert [json.loads(line)["at"] for line in outcome.lines] == [
        "2030-03-01T09:00:00-05:00",
        "2030-04-01T09:00:00-04:00",
    ]


def test_a_moment_without_an_offset_is_on_the_schedules_clock(tq: Cli) -> None:
    rule = ("--cron", "0 * * * *", "--tz", "Asia/Tokyo", "--count", "1")
    for after in ("2030-01-01T00:00", "2029-12-31T15:00Z", "2030-01-01"):
        outcome = tq("schedule", "preview", *rule, "--after", after, "-o", "jsonl")
        assert outcome.document["at"] == "2030-01-01T01:00:00+09:00"


def test_a_preview_of_a_stored_schedule_keeps_to_its_limits(emails: Cli) -> None:
    emails(
        *("schedule", "create", "s", "emails", "--cron", "0 9 * * *"),
        *(
            "--start-at",
            "2040-01-01T09:00",
            "--end-at",
            "2040-01-04",
            "--tz",
            "Asia/Tokyo",
        ),
    )
    lines = emails("schedule", "preview", "s", "-o", "jsonl").lines
    assert [json.loads(line)["at"] for line in lines] == [
        f"2040-01-0{day}T09:00:00+09:00" for day in (1, 2, 3)
    ]
    emails(
        *("schedule", "create", "few", "emails", "--cron", "0 9 * * *"),
        *("--max-messages", "2"),
    )
    assert len(emails("schedule", "preview", "few").lines) == 2
    late = emails("schedule", "preview", "s", "--after", "2041-01-01")
    assert (late.out, late.err) == ("", "no runs to come\n")


def test_tz_prints_a_stored_schedule_in_another_zone(emails: Cli) -> None:
    emails(
        "schedule", "create", "s", "emails", "--cron", "0 9 * * *", "--tz", "Asia/Tokyo"
    )
    arguments = ("--after", "2040-01-01T00:00Z", "--count", "1", "--tz", "UTC")
    outcome = emails("schedule", "preview", "s", *arguments)
    assert outcome.out == "2040-01-02T00:00:00+00:00\t\n"
    assert outcome.err == "times in UTC\n"


def test_a_business_calendar_is_taken_from_the_database(emails: Cli) -> None:
    calendar = {
        "id": "office",
        "holidays": [{"kind": "on", "date": "2030-01-31", "name": "Inventory"}],
    }
    rule = (
        *("--on", "last-business-day", "--after", "2030-01-01", "--count", "1"),
        *("--business-calendar", "office"),
    )
    outcome = emails("schedule", "preview", *rule, code=3)
    assert "trioqueue schedule calendar put FILE" in outcome.err
    put = ("schedule", "calendar", "put", "-")
    kinds = emails(*put, stdin=json.dumps(calendar))
    assert kinds.out == "office\n"
    assert emails("schedule", "preview", *rule).out.startswith("2030-01-30T")


def test_a_good_rule_is_valid_and_said_in_words(tq: Cli) -> None:
    outcome = tq("schedule", "validate", "--on", "last-day", "--at", "17:00")
    assert outcome.out == ""
    assert outcome.err == ("valid: the last day of every month at 17:00, UTC time\n")
    assert list(tq.directory.iterdir()) == []


def test_what_is_doubtful_is_told_without_an_error(tq: Cli) -> None:
    outcome = tq("schedule", "validate", "--on", "31", "-o", "json")
    (issue,) = outcome.document
    assert (issue["severity"], issue["field"]) == ("info", "day")
    assert "without a 31st" in issue["message"]
    assert outcome.err.startswith("valid: the 31st")
    text = tq("schedule", "validate", "--on", "31", "-o", "table").out
    assert text.startswith("info  --on: months without a 31st are left out")
    assert "--on last-day" in text


def test_every_error_is_listed_with_its_rule_field_and_reason(tq: Cli) -> None:
    rules = {
        "tz": "Mars/Base",
        "rules": [
            {"rule": "monthly", "day": 40},
            {"rule": "recurrence", "rrule": "FREQ=NEVER;BYDAY=XX"},
        ],
    }
    arguments = ("schedule", "validate", "--calendar", "-")
    outcome = tq(*arguments, "-o", "json", stdin=json.dumps(rules), code=2)
    found = {(each["rule_index"], each["field"]) for each in outcome.document}
    assert found == {(None, "tz"), (0, "day"), (1, "rrule"), (1, "dtstart")}
    assert {each["severity"] for each in outcome.document} == {"error"}
    zone = next(each for each in outcome.document if each["field"] == "tz")
    assert "Mars/Base" in zone["message"]
    assert "Europe/Paris" in zone["suggestion"]
    count = len(outcome.document)
    assert outcome.err == f"Error: {count} errors in the rule\n"
    plain = tq(*arguments, stdin=json.dumps(rules), code=2)
    assert [line.split("\t")[0] for line in plain.lines] == ["error"] * count
    table = tq(
        *arguments,
        "-o",
        "table",
        stdin=json.dumps(rules),
        code=2,
        env={"COLUMNS": "60"},
    )
    assert "…" not in table.out
    assert "rules[0].day: must be" in table.out


def test_create_tells_every_problem_on_a_line_of_its_own(emails: Cli) -> None:
    outcome = emails(
        *(
            "schedule",
            "create",
            "no spaces",
            "emails",
            "--rrule",
            "FREQ=NEVER;BYDAY=XX",
        ),
        *(
            "--dtstart",
            "2030-01-01",
            "--end-at",
            "2030-01-01",
            "--start-at",
            "2031-01-01",
        ),
        code=2,
    )
    lines = outcome.err.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["Error", "id"],
        ["Error", "--rrule"],
        ["Error", "--rrule"],
        ["Error", "--end-at"],
    ]
    assert lines[-1] == "Error: --end-at: must not be before --start-at"
    assert emails("schedule", "list", "-o", "json").document == []


WRONG_CRON = (
    "",
    "* * *",
    "* * * * * * *",
    "61 * * * *",
    "0 9 * * mon-xyz",
    "0 5-2 * * *",
    "*/0 * * * *",
    "R * * * *",
    "0 0 31 2 *",
    "@sometimes",
    "x" * 5000,
)


@pytest.mark.parametrize("expression", WRONG_CRON, ids=lambda text: repr(text[:20]))
def test_malformed_cron_is_refused_with_the_reason(
    emails: Cli, expression: str
) -> None:
    for arguments in (
        ("preview",),
        ("explain",),
        ("create", "s", "emails"),
    ):
        outcome = emails("schedule", *arguments, "--cron", expression, code=2)
        assert outcome.out == ""
        for line in outcome.err.splitlines():
            assert line.startswith("Error: --cron: ")
    outcome = emails("schedule", "validate", "--cron", expression, "-o", "json", code=2)
    assert "error" in {each["severity"] for each in outcome.document}


WRONG_RRULE = (
    "",
    "FREQ",
    "FREQ=",
    "FREQ=NEVER",
    "BYDAY=MO",
    "FREQ=DAILY;INTERVAL=0",
    "FREQ=DAILY;COUNT=1;UNTIL=20300101T000000Z",
    "FREQ=DAILY;BYHOUR=25",
    "FREQ=MONTHLY;BYDAY=9FR",
    "FREQ=DAILY;UNTIL=soon",
    "FREQ=DAILY;FREQ=DAILY",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
)


@pytest.mark.parametrize("text", WRONG_RRULE)
def test_malformed_recurrences_are_refused_with_the_reason(
    emails: Cli, text: str
) -> None:
    rule = ("--rrule", text, "--dtstart", "2030-01-01T09:00")
    for arguments in (("preview",), ("explain",), ("create", "s", "emails")):
        outcome = emails("schedule", *arguments, *rule, code=2)
        assert outcome.out == ""
        assert all(line.startswith("Error: ") for line in outcome.err.splitlines())
    assert emails("schedule", "validate", *rule, code=2).out.startswith("error\t")


WRONG_USE = {
    "no rule": (),
    "two rules": ("--cron", "@daily", "--on", "day"),
    "a recurrence without a start": ("--rrule", "FREQ=DAILY"),
    "a start without a recurrence": ("--cron", "@daily", "--dtstart", "2030-01-01"),
    "times beside cron": ("--cron", "@daily", "--at", "17:00"),
    "a uid beside cron": ("--cron", "@daily", "--uid", "x"),
    "business days of cron": ("--cron", "@daily", "--business-calendar", "US"),
    "no such days": ("--on", "holidays"),
    "no such weekday": ("--on", "mon,tues"),
    "no time of day": ("--on", "day", "--at", "25:00"),
    "a time with an offset": ("--on", "day", "--at", "17:00+01:00"),
    "no such zone": ("--cron", "@daily", "--tz", "Mars/Base"),
    "an empty zone": ("--cron", "@daily", "--tz", ""),
    "a zone that is a path": ("--cron", "@daily", "--tz", "../../etc/passwd"),
    "a day that is none": ("--on", "0"),
    "no such file": ("--calendar", "nowhere.json"),
    "a directory": ("--ics", "."),
    "no JSON": ("--calendar", "letter.txt"),
    "no object": ("--calendar", "list.json"),
    "no rules": ("--calendar", "empty.json"),
    "an unknown kind": ("--calendar", "kind.json"),
    "an unknown rule": ("--calendar", "rule.json"),
    "no iCalendar": ("--ics", "letter.txt"),
    "not UTF-8": ("--ics", "bytes.ics"),
}


@pytest.mark.parametrize("name", WRONG_USE)
@pytest.mark.parametrize("verb", ["create", "preview", "validate", "explain"])
def test_wrong_use_is_2_and_says_what_to_do(
    emails: Cli, monkeypatch: pytest.MonkeyPatch, verb: str, name: str
) -> None:
    monkeypatch.chdir(emails.directory)
    for file, text in {
        "letter.txt": b"Dear all,\n",
        "list.json": b"[]",
        "empty.json": b"{}",
        "kind.json": b'{"kind": "moon"}',
        "rule.json": b'{"tz": "UTC", "rules": [{"rule": "sometimes"}]}',
        "bytes.ics": b"\xff\xfe\x00",
    }.items():
        (emails.directory / file).write_bytes(text)
    ids = ("s", "emails") if verb == "create" else ()
    outcome = emails("schedule", verb, *ids, *WRONG_USE[name], code=2)
    lines = outcome.err.splitlines()
    assert lines
    assert all(line.startswith("Error: ") for line in lines)
    assert "Traceback" not in outcome.err
    assert "unexpected" not in outcome.err
    assert emails("schedule", "list", "-o", "json").document == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--misfire", "sometimes"),
        ("--misfire", "all:0"),
        ("--misfire", "all:1001"),
        ("--misfire", "skip:3"),
        ("--jitter", "soon"),
        ("--jitter", "400d"),
        ("--max-messages", "0"),
        ("--start-at", "tomorrow"),
        ("--end-at", "2020-01-01"),
        ("--priority", "7"),
        ("--metadata", "novalue"),
        ("--metadata", "trioqueue.x=1"),
        ("--content-type", "text/plain"),
    ],
    ids=" ".join,
)
def test_settings_that_cannot_be_are_refused(
    emails: Cli, arguments: tuple[str, ...]
) -> None:
    outcome = emails(
        "schedule", "create", "s", "emails", "--cron", "@daily", *arguments, code=2
    )
    assert len(outcome.err.splitlines()) == 1
    assert emails("schedule", "list", "-o", "json").document == []


def test_contradictions_of_a_whole_command_line_are_refused(emails: Cli) -> None:
    for arguments in (
        ("preview", "s", "--cron", "@daily"),
        ("explain", "s", "--on", "day"),
        ("create", "s", "emails", "-", "--calendar", "-"),
        ("create", "s", "emails", "--ics", "a.ics", "--tz", "UTC"),
        ("validate", "--calendar", "a.json", "--tz", "UTC"),
    ):
        outcome = emails("schedule", *arguments, code=2)
        assert len(outcome.err.splitlines()) == 1


def test_a_rule_that_ends_at_once_is_refused(emails: Cli) -> None:
    rule = ("--rrule", "FREQ=DAILY;COUNT=3", "--dtstart", "2001-01-01")
    outcome = emails("schedule", "create", "s", "emails", *rule, code=2)
    assert "never runs from now on" in outcome.err
    assert emails("schedule", "preview", *rule).err == "no runs to come\n"
    old = emails("schedule", "preview", *rule, "--after", "2001-01-01T12:00")
    assert len(old.lines) == 2
