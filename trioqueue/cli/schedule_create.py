"""``trioqueue schedule create``: store a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from trioqueue.cli.output import say
from trioqueue.cli.schedule_failures import one_rule_given, problem_line
from trioqueue.cli.schedule_rule import RuleText, rule_options, tz_option
from trioqueue.cli.schedule_settings import Settings, settings_options
from trioqueue.cli.schedule_times import for_people
from trioqueue.cli.session import Session, common_options, with_session

if TYPE_CHECKING:
    from trioqueue.cli.documents import Document
    from trioqueue.model.schedule import Schedule
    from trioqueue.store import Store


@click.command()
@click.argument("schedule_id", metavar="ID")
@click.argument("queue")
@click.argument("payload", required=False)
@rule_options
@tz_option("The zone of --cron, --rrule and --on, e.g. Europe/Paris.  [default: UTC]")
@settings_options
@common_options
@with_session
def create(
    session: Session,
    /,
    *,
    schedule_id: str,
    queue: str,
    payload: str | None,
    rule: RuleText,
    settings: Settings,
) -> None:
    """Create a schedule ID that posts PAYLOAD to QUEUE whenever its rule says so.

    Exactly one of --cron, --rrule, --on, --calendar and --ics gives the rule.  PAYLOAD
    is a JSON value, @FILE, or - for standard input; without one it is null.

    Creating it again with the same settings does nothing.  A SPAN is written like 30s,
    10m or 1h30m; a MOMENT is ISO 8601, on the clock of the schedule's zone if it has no
    offset.

    \b
    Examples:
      trioqueue schedule create nightly reports --cron '30 2 * * *' --tz Europe/Paris
      trioqueue schedule create month-end reports '{"kind": "month"}' \\
          --on last-business-day --at 17:00 --tz America/New_York \\
          --business-calendar US-NY
      trioqueue schedule create review mail --rrule 'FREQ=MONTHLY;BYDAY=-1FR' \\
          --dtstart 2030-01-01T09:00 --tz Europe/Berlin --misfire skip
    """  # noqa: D301  \b tells click not to wrap a paragraph
    rule.check_zone()
    if payload == "-" and "-" in (rule.calendar, rule.ics):
        raise click.UsageError(
            f"{rule.sources[0]} and PAYLOAD cannot both be standard input"
        )
    wanted = settings.schedule(schedule_id, queue, rule.when(), payload)

    async def work(store: Store) -> tuple[Document, str]:
        return await put_schedule(store, wanted, update=settings.update)

    document, verb = session.run(work)
    tell_doubts(wanted)
    session.output.done(schedule_id, document, stored_words(document, verb))


async def put_schedule(
    store: Store, wanted: Schedule, *, update: bool
) -> tuple[Document, str]:
    """Create a schedule, or update it; say what was done.

    Raises:
        ScheduleExistsError: It exists with other settings, and is not to be updated.
    """
    from trioqueue.cli.schedule_documents import schedule_document
    from trioqueue.errors import ScheduleExistsError

    began = store.now()
    verb = "is there already, with these settings"
    try:
        made = await store.create_schedule(wanted)
        if made.created_at is not None and made.created_at >= began:
            verb = "created"
    except ScheduleExistsError:
        if not update:
            raise
        made = await store.update_schedule(wanted)
        verb = "updated"
    return schedule_document(made), verb


def stored_words(document: Document, verb: str) -> str:
    """Say what was done, and when it runs next."""
    text = f"schedule {document['id']!r} {verb}"
    if document["next_run"] is None:
        return f"{text}; it is {document['state']}"
    return f"{text}; next run {for_people(document['next_run'])} ({document['tz']})"


def tell_doubts(schedule: Schedule) -> None:
    """Say what is doubtful about a rule, on stderr."""
    for issue in schedule.when.validate():
        if issue.severity == "warning":
            say(f"warning: {problem_line(issue, one_rule=one_rule_given())}")
