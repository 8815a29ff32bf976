from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.helpers import Cli, on_both
from trioqueue.cli import asking

OFFICE = {
    "id": "office",
    "holidays": [
        {"kind": "fixed", "month": 12, "day": 25, "name": "Christmas"},
        {"kind": "on", "date": "2030-05-02", "name": "Inventory"},
    ],
    "weekend_days": [5, 6],
    "name": "The office",
}


def put(tq: Cli, document: Any = OFFICE, *options: str) -> str:
    text = json.dumps(document)
    return tq("schedule", "calendar", "put", "-", *options, stdin=text).out


def test_put_stores_a_calendar_and_makes_the_file(tq: Cli) -> None:
    file = tq.directory / "office.json"
    file.write_text(json.dumps(OFFICE))
    outcome = tq("schedule", "calendar", "put", str(file))
    assert outcome.out == "office\n"
    assert outcome.err == "business calendar 'office' stored: 2 holidays\n"
    assert tq("schedule", "calendar", "show", "office", "-o", "json").document == OFFICE


def test_the_example_in_the_help_of_put_works(tq: Cli) -> None:
    text = tq("schedule", "calendar", "put", "--help").out
    example = text[text.index('{"id"') : text.index("]}") + 2]
    outcome = tq("schedule", "calendar", "put", "-", stdin=example)
    assert outcome.err == "business calendar 'office' stored: 1 holiday\n"


@on_both
def test_what_show_prints_can_be_put_again(tq: Cli) -> None:
    put(tq)
    document = tq("schedule", "calendar", "show", "office", "-o", "json").document
    put(tq, document | {"id": "copy"})
    lines = tq("schedule", "calendar", "list").lines
    assert [line.split("\t")[0] for line in lines] == ["copy", "office"]


def test_show_lists_the_holidays_of_a_year(tq: Cli) -> None:
    put(tq)
    arguments = ("schedule", "calendar", "show", "office", "-o", "table")
    assert tq(*arguments, "--year", "2030").lines == [
        "id       office",
        "name     The office",
        "weekend  Fri, Sat",
        "",
        "Holidays in 2030:",
        "DATE        DAY  NAME",
        "2030-05-02  Thu  Inventory",
        "2030-12-25  Wed  Christmas",
    ]
    put(tq, {"id": "plain"})
    out = tq(
        "schedule", "calendar", "show", "plain", "-o", "table", "--year", "2030"
    ).out
    assert out.endswith("No holidays in 2030.\n")


@on_both
def test_list_goes_on_where_a_page_ended(tq: Cli) -> None:
    tq("queue", "create", "q")
    assert "for-country" in tq("schedule", "calendar", "list").err
    for name in ("a", "b", "c"):
        put(tq, {"id": name, "weekend_days": []})
    first = tq("schedule", "calendar", "list", "--limit", "2", "-o", "table")
    assert first.lines[0].split() == ["ID", "WEEKEND", "HOLIDAYS", "NAME", "SOURCE"]
    assert first.lines[1].split() == ["a", "none", "0", "-", "-"]
    assert first.err == "there are more: go on with --after b\n"
    assert len(tq("schedule", "calendar", "list", "--after", "b").lines) == 1


def test_for_country_stores_public_holidays_as_dates(tq: Cli) -> None:
    pytest.importorskip("holidays")
    arguments = ("schedule", "calendar", "for-country", "US", "--years", "2026-2027")
    outcome = tq(*arguments, "--subdivision", "NY")
    assert outcome.out == "US-NY\n"
    out = tq(
        "schedule", "calendar", "show", "US-NY", "-o", "table", "--year", "2026"
    ).out
    assert "2026-11-26  Thu  Thanksgiving Day\n" in out
    assert tq(*arguments, "--id", "usa").out == "usa\n"
    one = ("schedule", "calendar", "for-country", "DE", "--years", "2026", "-o", "json")
    dates = [each["date"] for each in tq(*one).document["holidays"]]
    assert {date[:4] for date in dates} == {"2026"}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("XX", "--years", "2026"), "COUNTRY: "),
        (("US", "--years", "2026", "--subdivision", "ZZ"), "--subdivision: "),
        (("US", "--years", "20"), "2026-2030"),
        (("US", "--years", "2030-2026"), "2026-2030"),
        (("US", "--years", "1000-2000"), "--years: "),
        (("US",), "--years"),
        (("US", "--years", "2026", "--id", "a b"), "id: "),
    ],
)
def test_wrong_countries_and_years_are_refused(
    tq: Cli, arguments: tuple[str, ...], text: str
) -> None:
    pytest.importorskip("holidays")
    outcome = tq("schedule", "calendar", "for-country", *arguments, code=2)
    assert text in outcome.err
    assert len(outcome.err.splitlines()) == 1
    tq("queue", "create", "q")
    assert tq("schedule", "calendar", "list").lines == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"id": "a b"}',
        '{"id": "a", "weekend_days": [9]}',
        '{"id": "a", "weekend_days": [1, 2, 3, 4, 5, 6, 7]}',
        '{"id": "a", "holidays": {"x": 1}}',
        '{"id": "a", "holidays": [{"kind": "moon"}]}',
        '{"id": "a", "holidays": [{"kind": "on", "date": "2030-02-30"}]}',
        '{"id": "a", "color": "red"}',
    ],
)
def test_calendars_that_are_wrong_are_refused(tq: Cli, text: str) -> None:
    outcome = tq("schedule", "calendar", "put", "-", stdin=text, code=2)
    assert outcome.out == ""
    assert all(line.startswith("Error: ") for line in outcome.err.splitlines())
    tq("queue", "create", "q")
    assert tq("schedule", "calendar", "list").lines == []


@on_both
def test_delete_asks_and_refuses_a_calendar_in_use(
    emails: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(emails)
    rule = ("--on", "business-day", "--business-calendar", "office")
    emails("schedule", "create", "s", "emails", *rule)
    delete = ("schedule", "calendar", "delete", "office")
    assert "--yes" in emails(*delete, code=2).err
    assert "'s'" in emails(*delete, "--yes", code=4).err
    emails("schedule", "delete", "s", "--yes")
    monkeypatch.setattr(asking, "at_terminal", lambda: True)
    assert emails(*delete, stdin="y\n").out == "office\n"
    assert emails("schedule", "calendar", "list").lines == []


@pytest.mark.parametrize("verb", [("show",), ("delete", "--yes")])
def test_an_unknown_calendar_is_3(emails: Cli, verb: tuple[str, ...]) -> None:
    outcome = emails("schedule", "calendar", verb[0], "nobody", *verb[1:], code=3)
    assert "trioqueue schedule calendar put FILE" in outcome.err


@on_both
def test_a_changed_calendar_moves_runs_to_come(emails: Cli) -> None:
    put(emails, {"id": "office"})
    rule = ("--on", "last-business-day", "--business-calendar", "office")
    start = ("--start-at", "2040-01-01")
    emails("schedule", "create", "s", "emails", *rule, *start)

    def next_run() -> str:
        document = emails("schedule", "show", "s", "-o", "json").document
        return str(document["next_run"])

    assert next_run() == "2040-01-31T00:00:00+00:00"
    put(emails, {"id": "office", "holidays": [{"kind": "on", "date": "2040-01-31"}]})
    assert next_run() == "2040-01-30T00:00:00+00:00"
