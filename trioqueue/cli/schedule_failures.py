"""Errors about schedules in the words of the command, one line for each problem."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final

import click

from trioqueue.cli.failures import CONFLICT, NOT_FOUND, USAGE, Failure
from trioqueue.cli.lazy import LazyGroup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trioqueue.errors import Issue

ONE_RULE: Final = "trioqueue.schedule.one_rule"
"""In a context's ``meta``: options say what the rule is, there is no list of rules."""

_OPTIONS: Final = {
    "when": "the rule",
    "misfire": "--misfire",
    "jitter_seconds": "--jitter",
    "max_messages": "--max-messages",
    "start_at": "--start-at",
    "end_at": "--end-at",
    "priority": "--priority",
    "metadata": "--metadata",
    "content_type": "--content-type",
    "outages": "--outage",
    "country": "COUNTRY",
    "subdivision": "--subdivision",
    "years": "--years",
}
_RULE_OPTIONS: Final = {
    "expression": "--cron",
    "cron": "--cron",
    "rrule": "--rrule",
    "dtstart": "--dtstart",
    "rules": "the rule",
    "day": "--on",
    "days": "--on",
    "times": "--at",
    "tz": "--tz",
    "business_calendar": "--business-calendar",
}
"""These only where options say what the rule is."""
_ARGUMENT: Final = re.compile(r"\b(start_at|end_at|max_messages)\b")


class Problems(click.ClickException):
    """The input is wrong in one way or several: a line for each."""

    exit_code = USAGE

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = [" ".join(line.split()) for line in lines]
        super().__init__("; ".join(self.lines))

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the lines."""
        for line in self.lines:
            click.echo(f"Error: {line}", file=file, err=file is None)


def problem_line(issue: Issue | Mapping[str, Any], *, one_rule: bool) -> str:
    """Write an issue, or the document of one, with the option in it that is to blame.

    Args:
        issue: What is wrong.
        one_rule: Whether options, not a list of rules, say what the rule is.
    """
    if not isinstance(issue, Mapping):
        from trioqueue.cli.schedule_documents import issue_document

        issue = issue_document(issue)
    index = None if one_rule else issue["rule_index"]
    field = str(issue["field"])
    if index is None:
        names = _OPTIONS | _RULE_OPTIONS if one_rule else _OPTIONS
        field = names.get(re.sub(r"[\[.].*", "", field), field)
    else:
        field = f"rules[{index}].{field}"
    advice = f"; {issue['suggestion']}" if issue["suggestion"] else ""
    text = _ARGUMENT.sub(
        lambda found: _OPTIONS[found[0]], f"{issue['message']}{advice}"
    )
    if one_rule:
        text = text.replace("last_day=True", "--on last-day")
    return f"{field}: {text}"


def one_rule_given() -> bool:
    """Whether the present command was given a rule by options."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(ONE_RULE))


@contextmanager
def in_words() -> Iterator[None]:
    """Turn errors about schedules into click exceptions; let others pass."""
    try:
        yield
    except (click.ClickException, click.Abort, click.exceptions.Exit):
        raise
    except Exception as error:
        outcome = _outcome(error)
        if outcome is None:
            raise
        raise outcome from error


def _outcome(error: Exception) -> click.ClickException | None:
    """Return what to raise in place of an error; None for those of others."""
    # Here, because help should not wait for it.
    from trioqueue import errors

    match error:
        case errors.ValidationError(issues=issues):
            one_rule = one_rule_given()
            return Problems(problem_line(each, one_rule=one_rule) for each in issues)
        case errors.ScheduleNotFoundError(schedule_id=name):
            remedy = "see them with: trioqueue schedule list"
            return Failure(f"schedule {name!r} does not exist; {remedy}", NOT_FOUND)
        case errors.BusinessCalendarNotFoundError(calendar_id=name):
            remedy = "store it with: trioqueue schedule calendar put FILE"
            return Failure(
                f"business calendar {name!r} does not exist; {remedy}", NOT_FOUND
            )
        case errors.ScheduleExistsError(schedule_id=name, differences=found):
            which = f" (it differs in {', '.join(found)})" if found else ""
            return Failure(
                f"schedule {name!r} exists with other settings{which}; say --update "
                f"to change it, or see it with: trioqueue schedule show {name}",
                CONFLICT,
            )
        case _:
            return None


class ScheduleGroup(LazyGroup):
    """A group of commands about schedules."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand."""
        with in_words():
            return super().invoke(ctx)
