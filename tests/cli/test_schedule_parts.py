from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, time

import click
import pytest

from tests.cli.helpers import Cli
from tests.cli.test_help import leaves
from trioqueue.cli import schedule_times
from trioqueue.cli.root import cli
from trioqueue.cli.schedule_documents import describe
from trioqueue.cli.schedule_failures import Problems, in_words, problem_line
from trioqueue.cli.schedule_settings import misfire
from trioqueue.errors import Issue, ValidationError, ValidationIssue
from trioqueue.model.schedule import Misfire
from trioqueue.schedules import Calendar, Daily

OWN = [path for path in leaves(cli) if path[0] == "schedule"]
VERBS = (
    "create list show preview validate explain pause resume trigger history delete "
    "import-ics export-ics simulate"
)
CALENDAR_VERBS = "list show put for-country delete"


def test_every_planned_command_is_there() -> None:
    assert {" ".join(path) for path in OWN} == {
        *(f"schedule {verb}" for verb in VERBS.split()),
        *(f"schedule calendar {verb}" for verb in CALENDAR_VERBS.split()),
    }


@pytest.mark.parametrize("path", OWN, ids=" ".join)
def test_each_command_explains_itself_and_takes_the_common_options(
    tq: Cli, path: tuple[str, ...]
) -> None:
    text = tq(*path, "--help").out
    assert text.startswith(f"Usage: trioqueue {' '.join(path)} ")
    assert "--db URL" in text
    assert "-o, --output" in text


def test_lists_of_commands_say_one_line_of_each(tq: Cli) -> None:
    text = tq("schedule", "--help").out
    for verb in VERBS.split():
        assert f"\n  {verb} " in text
    _, _, commands = text.partition("Commands:")
    assert "..." not in commands


@pytest.mark.parametrize(
    "arguments", [["schedule", "--help"], ["schedule", "create", "--help"]]
)
def test_help_imports_nothing_beyond_click_and_the_command(
    arguments: list[str],
) -> None:
    code = f"""
import sys
import trioqueue
before = set(sys.modules)
from trioqueue.cli.root import cli
cli({arguments!r}, standalone_mode=False)
for name in sorted(set(sys.modules) - before):
    if name.partition(".")[0] in ("trio", "trioqueue", "attr", "croniter", "icalendar"):
        print("imported", name)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    imported = [
        line.removeprefix("imported ")
        for line in done.stdout.splitlines()
        if line.startswith("imported ")
    ]
    assert "trioqueue.cli.schedule" in imported
    assert all(name.startswith("trioqueue.cli") for name in imported), imported
    assert "trioqueue.cli.schedule_simulate" not in imported


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("coalesce", Misfire.coalesce()),
        ("SKIP", Misfire.skip()),
        ("all", Misfire.all()),
        (" all:7 ", Misfire.all(7)),
    ],
)
def test_misfire_policies_are_read(text: str, policy: Misfire) -> None:
    assert misfire(text) == policy


@pytest.mark.parametrize("text", ["", "none", "all:", "all:x", "all:-1", "coalesce:2"])
def test_other_policies_are_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="coalesce, skip, all"):
        misfire(text)


def test_moments_are_instants_or_on_a_wall_clock() -> None:
    nine = datetime(2030, 7, 1, 7, tzinfo=UTC)
    for text in ("2030-07-01T09:00", "2030-07-01T07:00Z", "2030-07-01T03:00-04:00"):
        found = schedule_times.moment(text)
        assert schedule_times.instant(found, "Europe/Paris") == nine
    # 02:30 does not exist that day: it is as long after midnight.
    gap = schedule_times.moment("2027-03-28T02:30")
    assert schedule_times.instant(gap, "Europe/Paris") == datetime(
        2027, 3, 28, 1, 30, tzinfo=UTC
    )
    with pytest.raises(click.BadParameter, match="out of range"):
        first = schedule_times.moment("0001-01-01T00:00")
        schedule_times.instant(first, "Asia/Tokyo")
    assert schedule_times.span("2030-07-01/2030-07-02")[1].day == 2
    assert schedule_times.time_of_day("17:00") == time(17)


def test_instants_are_shown_with_weekday_and_offset() -> None:
    instant = datetime(2030, 7, 1, 7, 0, 0, 250_000, tzinfo=UTC)
    iso = schedule_times.in_zone(instant, "Asia/Kolkata")
    assert iso == "2030-07-01T12:30:00.250000+05:30"
    assert schedule_times.for_people(iso) == "Mon 2030-07-01 12:30:00 +05:30"
    assert schedule_times.brief(iso) == "2030-07-01 12:30 +05:30"
    later = iso.replace("12:30:00", "12:30:07")
    assert schedule_times.brief(later) == "2030-07-01 12:30:07 +05:30"
    old = schedule_times.in_zone(datetime(1880, 1, 1, tzinfo=UTC), "Europe/Paris")
    assert schedule_times.for_people(old).endswith(" +00:09:21")
    last = datetime.max.replace(tzinfo=UTC)
    assert schedule_times.in_zone(last, "Asia/Tokyo").endswith("+00:00")


def test_issues_name_the_option_that_is_to_blame() -> None:
    issue = ValidationIssue("day", "is wrong", "error", 0, "use last_day=True")
    assert problem_line(issue, one_rule=True) == "--on: is wrong; use --on last-day"
    assert problem_line(issue, one_rule=False) == (
        "rules[0].day: is wrong; use last_day=True"
    )
    end = Issue("end_at", "must not be before start_at")
    for one_rule in (True, False):
        assert problem_line(end, one_rule=one_rule) == (
            "--end-at: must not be before --start-at"
        )


def test_several_problems_are_several_lines(capsys: pytest.CaptureFixture[str]) -> None:
    issues = [Issue("a", "first\nline"), Issue("b", "second")]
    with pytest.raises(Problems) as caught, in_words():
        raise ValidationError(issues)
    caught.value.show()
    assert capsys.readouterr().err == "Error: a: first line\nError: b: second\n"
    assert caught.value.exit_code == 2


def test_a_day_of_rules_is_made_in_no_time(tq: Cli) -> None:
    """A preview far in the future costs no walk through the years before it."""
    rule = ("--cron", "* * * * * *", "--after", "9000-01-01", "--count", "3")
    assert len(tq("schedule", "preview", *rule).lines) == 3


def test_a_rule_that_is_broken_has_no_words_but_is_shown() -> None:
    assert describe(Calendar([Daily(interval=0)])) is None
    assert describe(Calendar([Daily()])) == "every day at 00:00, UTC time"
