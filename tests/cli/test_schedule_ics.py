from __future__ import annotations

import json

import pytest

import trioqueue
from tests.cli.helpers import Cli, on_both
from trioqueue.cli.schedule_ics import schedule_ids
from trioqueue.model.schedule import Misfire, Schedule

EVENT = """BEGIN:VEVENT
UID:{uid}
DTSTAMP:20260101T000000Z
DTSTART;TZID=Europe/Paris:20400102T{hour}0000
RRULE:FREQ=WEEKLY;BYDAY=MO
SUMMARY:A meeting
END:VEVENT
"""


def ics(*uids: str, hour: str = "09") -> str:
    events = "".join(EVENT.format(uid=uid, hour=hour) for uid in uids)
    head = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//EN\n"
    return f"{head}{events}END:VCALENDAR\n".replace("\n", "\r\n")


def stored(tq: Cli, name: str) -> Schedule:
    async def get(store: trioqueue.Store) -> Schedule:
        return await store.get_schedule(name)

    return tq.store(get)


def ids(tq: Cli) -> list[str]:
    return [line.split("\t")[0] for line in tq("schedule", "list").lines]


def test_an_event_becomes_a_schedule_named_after_it(emails: Cli) -> None:
    file = emails.directory / "team.ics"
    file.write_text(ics("Team meeting/42@example.org"))
    outcome = emails(
        *("schedule", "import-ics", str(file), "emails", '{"n": 1}'),
        *("--misfire", "skip", "--priority", "3"),
    )
    assert outcome.out == "Team-meeting-42-example.org\n"
    assert outcome.err.endswith(
        "next run Mon 2040-01-02 09:00:00 +01:00 (Europe/Paris)\n"
    )
    found = stored(emails, "Team-meeting-42-example.org")
    assert (found.payload, found.priority) == ({"n": 1}, 3)
    assert found.misfire == Misfire.skip()


@on_both
def test_importing_again_does_nothing_and_changes_need_update(emails: Cli) -> None:
    arguments = ("schedule", "import-ics", "-", "emails", "--id", "team")
    emails(*arguments, stdin=ics("a"))
    assert "is there already" in emails(*arguments, stdin=ics("a")).err
    assert "--update" in emails(*arguments, stdin=ics("a", hour="10"), code=4).err
    outcome = emails(*arguments, "--update", stdin=ics("a", hour="10"))
    assert "updated; next run Mon 2040-01-02 10:00:00 +01:00" in outcome.err
    assert ids(emails) == ["team"]


def test_of_several_events_one_must_be_chosen(emails: Cli) -> None:
    arguments = ("schedule", "import-ics", "-", "emails")
    outcome = emails(*arguments, stdin=ics("a@x", "b@x"), code=2)
    assert "--uid" in outcome.err
    assert "'a@x', 'b@x'" in outcome.err
    many = emails(*arguments, stdin=ics(*map(str, range(12))), code=2)
    assert "and 2 more" in many.err
    assert emails(*arguments, "--uid", "b@x", stdin=ics("a@x", "b@x")).out == "b-x\n"
    outcome = emails(*arguments, "--uid", "c", stdin=ics("a@x", "b@x"), code=2)
    assert "there is no event 'c'" in outcome.err
    assert ids(emails) == ["b-x"]


def test_all_events_are_imported_under_their_own_ids(emails: Cli) -> None:
    arguments = ("schedule", "import-ics", "-", "emails", "--all")
    outcome = emails(*arguments, stdin=ics("a@x", "b@x"))
    assert outcome.lines == ["a-x", "b-x"]
    assert len(outcome.err.splitlines()) == 2
    documents = emails(*arguments, "-o", "json", stdin=ics("a@x", "b@x")).document
    assert [document["id"] for document in documents] == ["a-x", "b-x"]
    for wrong in (("--uid", "a@x"), ("--id", "s")):
        assert "--all" in emails(*arguments, *wrong, stdin=ics("a@x"), code=2).err


@on_both
def test_nothing_is_stored_if_one_of_all_events_is_wrong(emails: Cli) -> None:
    text = ics("good", "bad").replace(
        "BYDAY=MO\r\nSUMMARY:A meeting\r\nEND:VEVENT\r\nEND:VCAL",
        "BYDAY=XX\r\nEND:VEVENT\r\nEND:VCAL",
    )
    assert "XX" in text
    emails("schedule", "import-ics", "-", "emails", "--all", stdin=text, code=2)
    assert ids(emails) == []


def test_ids_made_of_uids_are_allowed_distinct_and_stable() -> None:
    assert schedule_ids(["a@b", "plain.id:1_x-"]) == {
        "a@b": "a-b",
        "plain.id:1_x-": "plain.id:1_x",
    }
    clash = schedule_ids(["a@b", "a/b", "x" * 500, "日本"])
    assert len(set(clash.values())) == 4
    assert all(
        len(name) <= 128 and name.isascii() and "@" not in name
        for name in clash.values()
    )
    assert clash == schedule_ids(["日本", "x" * 500, "a/b", "a@b"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Dear all,",
        "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
        ics("a").replace("END:VEVENT\r\n", ""),
        ics("a").replace("FREQ=WEEKLY", "FREQ=NEVER"),
        ics("a").replace("20400102", "20401399"),
        ics("a").replace("Europe/Paris", "Mars/Base"),
        "x" * 2_000_000,
    ],
    ids=["empty", "letter", "no event", "no end", "rule", "date", "zone", "huge"],
)
def test_files_that_are_wrong_are_refused_with_a_reason(emails: Cli, text: str) -> None:
    for options in ((), ("--all",)):
        outcome = emails(
            "schedule", "import-ics", "-", "emails", *options, stdin=text, code=2
        )
        assert outcome.out == ""
        lines = [each for each in outcome.err.splitlines() if each[:5] != "note:"]
        assert all(line.startswith("Error: ") for line in lines)
    assert ids(emails) == []


def test_file_and_payload_cannot_both_be_standard_input(emails: Cli) -> None:
    arguments = ("schedule", "import-ics", "-", "emails", "-")
    assert "standard input" in emails(*arguments, stdin=ics("a"), code=2).err


@on_both
def test_what_is_exported_is_imported_as_it_was(emails: Cli) -> None:
    emails(
        *("schedule", "create", "a", "emails", "--on", "last-business-day"),
        *("--at", "17:00", "--tz", "America/New_York"),
    )
    outcome = emails("schedule", "export-ics", "a")
    assert outcome.out.startswith("BEGIN:VCALENDAR")
    arguments = ("schedule", "import-ics", "-", "emails", "--id", "b")
    emails(*arguments, stdin=outcome.out)
    assert stored(emails, "a").when == stored(emails, "b").when


def test_export_writes_a_file_with_the_line_ends_of_the_format(emails: Cli) -> None:
    emails("schedule", "create", "a", "emails", "--on", "15")
    file = emails.directory / "a.ics"
    outcome = emails("schedule", "export-ics", "a", str(file))
    assert outcome.out == f"{file}\n"
    data = file.read_bytes()
    assert data.count(b"\r\n") == data.count(b"\n") > 3
    document = emails("schedule", "export-ics", "a", str(file), "-o", "json").document
    assert document == {"schedule_id": "a", "file": str(file), "bytes": len(data)}
    wrong = str(emails.directory / "no" / "a.ics")
    assert "cannot write" in emails("schedule", "export-ics", "a", wrong, code=2).err


def test_export_writes_a_stored_business_calendar_in(emails: Cli) -> None:
    office = {"id": "office", "holidays": [{"kind": "on", "date": "2040-01-31"}]}
    emails("schedule", "calendar", "put", "-", stdin=json.dumps(office))
    rule = ("--on", "last-business-day", "--business-calendar", "office")
    emails("schedule", "create", "a", "emails", *rule)
    text = emails("schedule", "export-ics", "a").out
    after = ("--after", "2040-01-01", "--count", "1")
    outcome = emails("schedule", "preview", "--ics", "-", *after, stdin=text)
    assert outcome.out.startswith("2040-01-30T")


def test_cron_cannot_be_exported_and_says_so(emails: Cli) -> None:
    emails("schedule", "create", "a", "emails", "--cron", "@daily")
    outcome = emails("schedule", "export-ics", "a", code=2)
    assert "cron" in outcome.err
    assert "trioqueue schedule preview a" in outcome.err


def test_a_rule_may_be_an_event_everywhere(emails: Cli) -> None:
    text = ics("a@x", "b@x")
    rule = ("--ics", "-", "--uid", "b@x")
    after = ("--after", "2040-01-01", "--count", "1", "--tz", "UTC")
    outcome = emails("schedule", "preview", *rule, *after, stdin=text)
    assert outcome.out == "2040-01-02T08:00:00+00:00\t\n"
    assert emails("schedule", "validate", *rule, stdin=text).err.startswith("valid: ")
    assert emails("schedule", "create", "s", "emails", *rule, stdin=text).out == "s\n"


def test_what_was_put_right_on_the_way_is_told(emails: Cli) -> None:
    text = ics("a").replace("20400102", "20400103")  # no Monday
    outcome = emails("schedule", "import-ics", "-", "emails", stdin=text)
    assert outcome.err.startswith("note: event 'a': ")
    assert "does not yield DTSTART" in outcome.err.splitlines()[0]
    rule = ("--ics", "-", "--after", "2040-01-01", "--count", "1")
    assert emails("schedule", "preview", *rule, stdin=text).err.startswith("note: ")
