"""``trioqueue schedule import-ics`` and ``export-ics``: iCalendar files."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from trioqueue.cli.failures import USAGE, Failure
from trioqueue.cli.output import Column, field, say
from trioqueue.cli.schedule_create import put_schedule, stored_words, tell_doubts
from trioqueue.cli.schedule_input import read_text
from trioqueue.cli.schedule_settings import Settings, settings_options
from trioqueue.cli.session import Session, common_options, with_session

if TYPE_CHECKING:
    from datetime import datetime

    from trioqueue.cli.documents import Document
    from trioqueue.schedules.when import When
    from trioqueue.store import Store

LONGEST_ID: Final = 128
DIGEST: Final = 8
_FORBIDDEN: Final = re.compile(r"[^A-Za-z0-9._:-]+")
IMPORTED_COLUMNS: Final = (Column("ID", field("id")),)


@click.command("import-ics")
@click.argument("file")
@click.argument("queue")
@click.argument("payload", required=False)
@click.option("--uid", metavar="UID", help="Which event, where the file has several.")
@click.option("--all", "everything", is_flag=True, help="All events of the file.")
@click.option(
    "--id",
    "schedule_id",
    metavar="ID",
    help="The schedule's id.  [default: the event's UID, with - for other characters]",
)
@settings_options
@common_options
@with_session
def import_ics(
    session: Session,
    /,
    *,
    file: str,
    queue: str,
    payload: str | None,
    uid: str | None,
    everything: bool,
    schedule_id: str | None,
    settings: Settings,
) -> None:
    """Create schedules from an iCalendar FILE, or - for standard input.

    They post PAYLOAD (null, if it is not given) to QUEUE whenever the event begins.
    Importing the same file again does nothing; say --update to take over changes.

    \b
    Examples:
      trioqueue schedule import-ics team.ics reports --id team-report
      curl -s https://example.org/all.ics | trioqueue schedule import-ics - mail --all
    """  # noqa: D301  \b tells click not to wrap a paragraph
    if everything and (uid is not None or schedule_id is not None):
        raise click.UsageError(
            "--all takes every event under its own id: no --uid, --id"
        )
    if file == "-" and payload == "-":
        raise click.UsageError("FILE and PAYLOAD cannot both be standard input")
    wanted = [
        settings.schedule(name, queue, when, payload)
        for name, when in _events(
            read_text(file, "'FILE'"), uid, schedule_id, everything=everything
        ).items()
    ]

    async def work(store: Store) -> list[tuple[Document, str]]:
        import trio

        await trio.lowlevel.checkpoint()
        return [
            await put_schedule(store, each, update=settings.update) for each in wanted
        ]

    stored = session.run(work)
    for each in wanted:
        tell_doubts(each)
    if not everything:
        document, verb = stored[0]
        session.output.done(document["id"], document, stored_words(document, verb))
        return
    documents = [document for document, _ in stored]
    session.output.items(documents, IMPORTED_COLUMNS, empty="no events")
    for document, verb in stored:
        say(stored_words(document, verb))


def _events(
    text: str, uid: str | None, schedule_id: str | None, *, everything: bool
) -> dict[str, When]:
    """Read events as rules, by the ids that their schedules are to have."""
    from trioqueue.schedules.ics_reading import events_in, read_ics

    found = events_in(text)
    if uid is not None and uid not in found:
        names = ", ".join(map(repr, found[:10])) or "none"
        raise click.BadParameter(
            f"there is no event {uid!r}; there are: {names}", param_hint="'--uid'"
        )
    if uid is None and not everything and len(found) > 1:
        names = ", ".join(map(repr, found[:10]))
        more = f" and {len(found) - 10} more" if len(found) > 10 else ""
        raise click.UsageError(
            f"FILE has {len(found)} events: choose one with --uid, or say --all: "
            f"{names}{more}"
        )
    chosen = found if everything or uid is None else [uid]
    if not chosen:
        read_ics(text)  # it says what is missing
    events: dict[str, When] = {}
    for event, name in schedule_ids(chosen).items():
        result = read_ics(text, event)
        for note in result.notes:
            say(f"note: event {event!r}: {note}")
        events[schedule_id or name] = result.calendar
    return events


def schedule_ids(uids: list[str]) -> dict[str, str]:
    """Make ids of UIDs; those that would be the same, or too long, get a digest."""
    plain = {uid: _FORBIDDEN.sub("-", uid).strip("-") or "event" for uid in uids}
    counts = Counter(plain.values())
    ids = {}
    for uid, name in plain.items():
        if counts[name] > 1 or len(name) > LONGEST_ID:
            digest = hashlib.sha256(uid.encode()).hexdigest()[:DIGEST]
            name = f"{name[: LONGEST_ID - DIGEST - 1]}-{digest}"  # noqa: PLW2901  it
        ids[uid] = name
    return ids


@click.command("export-ics")
@click.argument("schedule_id", metavar="ID")
@click.argument("file", required=False)
@common_options
@with_session
def export_ics(session: Session, /, *, schedule_id: str, file: str | None) -> None:
    """Write a schedule as an iCalendar FILE, or to standard output.

    What RFC 5545 cannot say is written as dates; import-ics reads it back as it was.
    """
    from trioqueue.schedules.calendar import Calendar

    async def work(store: Store) -> tuple[When, datetime]:
        when = (await store.get_schedule(schedule_id)).when
        if (named := when.business_calendar_id) is not None:
            when = when.resolve(await store.get_business_calendar(named))
        return when, store.now()

    found, now = session.run(work)
    if not isinstance(found, Calendar):
        raise Failure(
            f"schedule {schedule_id!r} is a cron expression, which iCalendar cannot "
            f"say; see its runs with: trioqueue schedule preview {schedule_id}",
            USAGE,
        )
    # What is written out as dates begins today, or it would be long past.
    data = found.to_ics(summary=schedule_id, after=now).encode()
    if file is None:
        # Bytes, because the ends of lines belong to the format.
        click.echo(data, nl=False)
        return
    try:
        Path(file).write_bytes(data)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise click.BadParameter(
            f"cannot write {file!r}: {reason}", param_hint="'FILE'"
        ) from None
    document = {"schedule_id": schedule_id, "file": file, "bytes": len(data)}
    session.output.done(file, document, f"schedule {schedule_id!r} written to {file!r}")
