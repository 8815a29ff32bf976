"""``trioqueue schedule``: when messages are posted by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from trioqueue.cli import parameters
from trioqueue.cli.lazy import LazyCommand
from trioqueue.cli.output import say
from trioqueue.cli.schedule_failures import ScheduleGroup
from trioqueue.cli.schedule_rule import tz_option
from trioqueue.cli.schedule_view import (
    HISTORY_COLUMNS,
    SCHEDULE_COLUMNS,
    lean,
    schedule_rows,
    wrapped,
)
from trioqueue.cli.session import Session, common_options, with_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioqueue.cli.output import Column
    from trioqueue.model.schedule import Schedule, ScheduleRun
    from trioqueue.store import Store

STATES: Final = ("SCHEDULED", "PAUSED", "COMPLETED", "ERRORED")
PRINT_ZONE: Final = "Print times in this zone.  [default: the schedule's]"

COMMANDS: Final = {
    name: LazyCommand(f"trioqueue.cli.{module}:{attribute}", summary)
    for name, module, attribute, summary in (
        ("create", "schedule_create", "create", "Create a schedule."),
        ("list", "schedule", "list_command", "List schedules by id."),
        ("show", "schedule", "show", "Show a schedule's settings and how it stands."),
        ("preview", "schedule_look", "preview", "List the next runs."),
        (
            "validate",
            "schedule_look",
            "validate",
            "Say what is wrong or doubtful about a rule.",
        ),
        (
            "explain",
            "schedule_look",
            "explain",
            "Say in words what it does, and its next ten runs.",
        ),
        ("pause", "schedule_changes", "pause", "Stop a schedule until it is resumed."),
        ("resume", "schedule_changes", "resume", "Let it run again."),
        ("trigger", "schedule_changes", "trigger", "Post its message now."),
        ("history", "schedule", "history", "List what it has posted."),
        ("delete", "schedule_changes", "delete", "Delete a schedule and its history."),
        (
            "import-ics",
            "schedule_ics",
            "import_ics",
            "Create schedules from an iCalendar file.",
        ),
        (
            "export-ics",
            "schedule_ics",
            "export_ics",
            "Write a schedule as an iCalendar file.",
        ),
        (
            "simulate",
            "schedule_simulate",
            "simulate",
            "List what would run when, without running it.",
        ),
        (
            "calendar",
            "schedule_calendar",
            "calendar",
            "Store, show and delete business calendars.",
        ),
    )
}


@click.group(cls=ScheduleGroup, lazy=COMMANDS)
@common_options
def schedule() -> None:
    """Create, look at, pause and trigger schedules.

    Times are printed on the clock of the schedule's zone, with their offset.
    """


@click.command("list")
@click.argument("prefix", default="")
@click.option(
    "--state",
    type=click.Choice(STATES, case_sensitive=False),
    help="Only those in this state.",
)
@tz_option(PRINT_ZONE)
@parameters.limit_option(100)
@click.option("--after", metavar="ID", help="Go on after this schedule.")
@common_options
@with_session
def list_command(
    session: Session,
    /,
    *,
    prefix: str,
    state: str | None,
    tz: str | None,
    limit: int,
    after: str | None,
) -> None:
    """List schedules by id, with their next runs.

    PREFIX: only ids that begin with it.
    """
    from trioqueue.cli.schedule_documents import schedule_document
    from trioqueue.model.schedule import ScheduleState

    async def work(store: Store) -> list[Schedule]:
        return await store.list_schedules(
            prefix,
            limit=limit + 1,
            after=after,
            state=None if state is None else ScheduleState[state],
        )

    found = session.run(work)
    documents = [schedule_document(each, tz) for each in found[:limit]]
    columns: Sequence[Column] = SCHEDULE_COLUMNS
    if session.output.form == "table":
        columns = lean(SCHEDULE_COLUMNS, documents)
        zones = {tz or each.when.tz for each in found[:limit]}
        if len(zones) == 1:
            say(f"times in {zones.pop()}")
    session.output.items(
        documents,
        columns,
        empty="no such schedules"
        if prefix or after or state
        else "no schedules; create one with: trioqueue schedule create ID QUEUE",
    )
    if len(found) > limit:
        say(f"there are more: go on with --after {documents[-1]['id']}")


@click.command()
@click.argument("schedule_id", metavar="ID")
@tz_option(PRINT_ZONE)
@common_options
@with_session
def show(session: Session, /, *, schedule_id: str, tz: str | None) -> None:
    """Show a schedule's rule, settings, and how it stands."""
    from trioqueue.cli.schedule_documents import schedule_document

    async def work(store: Store) -> Schedule:
        return await store.get_schedule(schedule_id)

    document = schedule_document(session.run(work), tz)
    session.output.item(document, lambda: wrapped(schedule_rows(document)))


@click.command()
@click.argument("schedule_id", metavar="ID")
@tz_option(PRINT_ZONE)
@parameters.limit_option(20)
@click.option("--after", metavar="MESSAGE", help="Go on after this message.")
@common_options
@with_session
def history(
    session: Session,
    /,
    *,
    schedule_id: str,
    tz: str | None,
    limit: int,
    after: str | None,
) -> None:
    """List what a schedule has posted, newest first, also messages long gone.

    MERGED tells for how many other missed runs one stands.
    """
    from trioqueue.cli.schedule_documents import run_document

    async def work(store: Store) -> tuple[str, list[ScheduleRun]]:
        found = await store.get_schedule(schedule_id)
        runs = await store.schedule_history(schedule_id, limit=limit + 1, after=after)
        return tz or found.when.tz, runs

    zone, runs = session.run(work)
    documents = [run_document(run, zone) for run in runs[:limit]]
    if documents:
        say(f"times in {zone}")
    session.output.items(
        documents, HISTORY_COLUMNS, empty=f"schedule {schedule_id!r} has posted nothing"
    )
    if len(runs) > limit:
        say(f"there are more: go on with --after {documents[-1]['message_id']}")
