"""``trioqueue schedule preview``, ``validate``, ``explain``: look before it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click

from trioqueue.cli.failures import USAGE, Failure
from trioqueue.cli.output import say, write_lines
from trioqueue.cli.schedule_failures import one_rule_given
from trioqueue.cli.schedule_rule import RuleText, rule_options, tz_option
from trioqueue.cli.schedule_times import instant, moment, now
from trioqueue.cli.schedule_view import ISSUE_COLUMNS, RUN_COLUMNS, issue_lines
from trioqueue.cli.session import Session, common_options, with_session

if TYPE_CHECKING:
    from datetime import datetime

    from trioqueue.cli.documents import Document
    from trioqueue.model.schedule import Schedule
    from trioqueue.schedules.business_days import BusinessCalendar
    from trioqueue.schedules.when import When
    from trioqueue.store import Store

ZONE_HELP = (
    "The zone of --cron, --rrule and --on.  [default: UTC]  Where the rule has its "
    "own, the zone in which to print times."
)


class Subject(NamedTuple):
    """What a command is to look at."""

    when: When
    zone: str
    schedule: Schedule | None = None


@click.command()
@click.argument("schedule_id", metavar="[ID]", required=False)
@rule_options
@tz_option(ZONE_HELP)
@click.option(
    "--count",
    type=click.IntRange(1, 10_000),
    metavar="N",
    default=10,
    show_default=True,
    help="How many runs.",
)
@click.option(
    "--after",
    type=moment,
    metavar="MOMENT",
    help="Only runs after it, e.g. 2030-01-31T09:00.  [default: now]",
)
@common_options
@with_session
def preview(
    session: Session,
    /,
    *,
    schedule_id: str | None,
    rule: RuleText,
    count: int,
    after: datetime | None,
) -> None:
    """List the next runs of a schedule, or of a rule given by options.

    A rule needs no database, unless it names a --business-calendar.

    \b
    Examples:
      trioqueue schedule preview nightly --count 3
      trioqueue schedule preview --cron '30 2 * * *' --tz Europe/Paris
      trioqueue schedule preview --on last-business-day --at 17:00
    """  # noqa: D301  \b tells click not to wrap a paragraph
    from trioqueue.cli.schedule_documents import next_runs, occurrence_document

    subject = look(session, schedule_id, rule)
    begin = now() if after is None else instant(after, subject.zone, "'--after'")
    runs = next_runs(subject.when, begin, count, subject.schedule)
    documents: list[Document] = [
        occurrence_document(found, subject.zone) for found in runs
    ]
    if documents:
        say(f"times in {subject.zone}")
    session.output.items(documents, RUN_COLUMNS, empty="no runs to come")


@click.command()
@rule_options
@tz_option("The zone of --cron, --rrule and --on.  [default: UTC]")
@common_options
@with_session
def validate(session: Session, /, *, rule: RuleText) -> None:
    """Say what is wrong or doubtful about a rule; nothing is stored.

    It needs no database.  Errors end it with the code for input that is not valid;
    warnings and hints do not.

    \b
    Examples:
      trioqueue schedule validate --cron '0 0 31 2 *'
      trioqueue schedule validate --calendar holidays.json -o json
    """  # noqa: D301  \b tells click not to wrap a paragraph
    from trioqueue.cli.schedule_documents import issue_document
    from trioqueue.errors import ValidationError

    rule.check_zone()
    when: When | None = None
    try:
        when = rule.when()
        documents = list(map(issue_document, when.validate()))
    except ValidationError as error:
        documents = list(map(issue_document, error.issues))
    errors = sum(document["severity"] == "error" for document in documents)
    valid = "" if when is None or errors else f"valid: {when.describe()}"
    if session.output.form == "table" and documents:
        # A table would be cut to the width of the terminal.
        write_lines(issue_lines(documents, one_rule=one_rule_given()))
    else:
        session.output.items(documents, ISSUE_COLUMNS, empty=valid)
    if errors:
        raise Failure(f"{errors} error{'s' if errors > 1 else ''} in the rule", USAGE)
    if documents:
        say(valid)


@click.command()
@click.argument("schedule_id", metavar="[ID]", required=False)
@rule_options
@tz_option(ZONE_HELP)
@common_options
@with_session
def explain(session: Session, /, *, schedule_id: str | None, rule: RuleText) -> None:
    """Say in words what a schedule does, or a rule given by options.

    When it runs, why it does not, what is doubtful about it, what becomes of runs that
    are missed, and the next ten runs, with a note on those that a change of the clocks
    or an exception moves.

    \b
    Examples:
      trioqueue schedule explain nightly --tz UTC
      trioqueue schedule explain --rrule 'FREQ=MONTHLY;BYDAY=-1FR' \\
          --dtstart 2030-01-01T09:00 --tz Europe/Berlin
    """  # noqa: D301  \b tells click not to wrap a paragraph
    from trioqueue.cli.schedule_explain import explanation, explanation_lines

    subject = look(session, schedule_id, rule)
    document = explanation(subject.when, now(), subject.zone, subject.schedule)
    session.output.item(document, lambda: explanation_lines(document))


def look(session: Session, schedule_id: str | None, rule: RuleText) -> Subject:
    """Find what the command line names, ready to be asked for runs.

    Raises:
        ValidationError: The rule has errors; all of them.
    """
    if schedule_id is not None:
        if rule.sources:
            raise click.UsageError(f"give either an ID or {rule.sources[0]}, not both")
        return _stored(session, schedule_id, rule.tz)
    if not rule.sources:
        raise click.UsageError("give the ID of a schedule, or a rule such as --cron")
    when = rule.when()
    if (named := when.business_calendar_id) is not None:
        refuse_errors(when)

        async def work(store: Store) -> BusinessCalendar:
            return await store.get_business_calendar(named)

        when = when.resolve(session.run(work))
    refuse_errors(when)
    return Subject(when, rule.tz or when.tz)


def _stored(session: Session, schedule_id: str, tz: str | None) -> Subject:
    async def work(store: Store) -> Subject:
        schedule = await store.get_schedule(schedule_id)
        when = schedule.when
        if (named := when.business_calendar_id) is not None:
            when = when.resolve(await store.get_business_calendar(named))
        return Subject(when, tz or when.tz, schedule)

    return session.run(work)


def refuse_errors(when: When) -> None:
    """Stop at a rule with errors.

    Raises:
        ValidationError: All of them.
    """
    from trioqueue.errors import ValidationError

    errors = [issue for issue in when.validate() if issue.severity == "error"]
    if errors:
        raise ValidationError(errors)
