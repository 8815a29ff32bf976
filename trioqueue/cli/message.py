"""``trioqueue message``: post messages, look at them; see also `message_bulk`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from trioqueue.cli import parameters
from trioqueue.cli.filters import STATES
from trioqueue.cli.message_bulk import cancel, delete, list_command, requeue
from trioqueue.cli.message_view import MESSAGE_COLUMNS, due, message_lines
from trioqueue.cli.output import say
from trioqueue.cli.session import Session, common_options, with_session

if TYPE_CHECKING:
    from datetime import datetime

    from trioqueue.model import Message
    from trioqueue.store import Store


@click.group()
@common_options
def message() -> None:
    """Post, list, show, cancel, requeue and delete messages."""


@message.command()
@click.argument("queue")
@click.argument("payload")
@click.option(
    "--content-type",
    default="application/json",
    show_default=True,
    metavar="TYPE",
    help="How to read the payload: JSON, text/* as it is, anything else as bytes.",
)
@click.option(
    "--id",
    "message_id",
    metavar="ID",
    help="Its id, unique in the queue; posting the same content under it again is "
    "safe.  [default: a new UUID]",
)
@click.option(
    "--priority",
    type=click.IntRange(0, 4),
    metavar="N",
    help="Higher first.  [default: 2]",
)
@click.option(
    "--delay",
    "delay_seconds",
    type=parameters.duration,
    metavar="SPAN",
    help="How long it waits: 30s, 10m, 2h, 1d.",
)
@click.option(
    "--at",
    "scheduled_time",
    type=parameters.instant,
    metavar="TIME",
    help="Until when it waits, e.g. 2030-01-31T09:00:00+01:00.",
)
@click.option(
    "--max-attempts",
    type=int,
    metavar="N",
    help="How often it may be tried; -1: no limit.  [default: the queue's]",
)
@click.option(
    "--metadata",
    multiple=True,
    type=parameters.metadata_pair,
    metavar="KEY=TEXT",
    help="Kept beside the payload; KEY:=JSON for numbers and other values (repeat "
    "for more).",
)
@click.option(
    "--schema",
    "schema",
    type=parameters.schema_place,
    metavar="ID[:VERSION]",
    help="The schema that its payload must fit.  [default: the queue's]",
)
@common_options
@with_session
def post(
    session: Session,
    /,
    *,
    queue: str,
    payload: str,
    delay_seconds: float | None,
    scheduled_time: datetime | None,
    metadata: tuple[tuple[str, Any], ...],
    content_type: str,
    schema: tuple[str | None, int | None] | None,
    **options: Any,
) -> None:
    """Post a message to QUEUE and print its id.

    PAYLOAD is a JSON value, @FILE, or - for standard input (@@ stands for a leading @).
    When this returns, the message survives a power cut.

    \b
    Examples:
      trioqueue message post emails '{"to": "a@example.org"}'
      trioqueue message post emails @mail.json --at 2030-01-31T09:00:00Z --id jan-31
      date | trioqueue message post log - --content-type text/plain
      trioqueue message post numbers -- -1
    """  # noqa: D301  \b tells click not to wrap a paragraph
    from trioqueue.cli.documents import message_document

    if delay_seconds is not None and scheduled_time is not None:
        raise click.UsageError("give either --delay or --at, not both")
    value = parameters.payload(payload, content_type)
    schema_id, version = schema or (None, None)

    async def work(store: Store) -> Message:
        return await store.post(
            queue,
            value,
            delay_seconds=delay_seconds,
            scheduled_time=scheduled_time,
            content_type=content_type,
            metadata=dict(metadata) or None,
            schema_id=schema_id,
            schema_version=version,
            **options,
        )

    document = message_document(session.run(work))
    until = f" until {due(document)}" if document["state"] == "INVISIBLE" else ""
    session.output.done(
        document["message_id"],
        document,
        f"in queue {queue!r}, {document['state']}{until}",
    )


@message.command()
@click.argument("queue")
@parameters.limit_option(10)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(STATES, case_sensitive=False),
    help="Only messages in this state (repeat for more).  [default: those that have "
    "not finished]",
)
@click.option(
    "--priority", type=click.IntRange(0, 4), metavar="N", help="Only this priority."
)
@click.option("--after", metavar="ID", help="Go on after this message.")
@common_options
@with_session
def peek(
    session: Session,
    /,
    *,
    queue: str,
    limit: int,
    states: tuple[str, ...],
    priority: int | None,
    after: str | None,
) -> None:
    """List a queue's messages without touching them.

    Pending ones come in the order in which they will be claimed, then running ones by
    deadline, invisible ones by due time, and finished ones newest first.
    """
    from trioqueue.cli.documents import message_document
    from trioqueue.model import MessageState

    async def work(store: Store) -> list[Message]:
        return await store.peek(
            queue,
            limit=limit + 1,
            states=[MessageState[state] for state in states] or None,
            priority_range=None if priority is None else (priority, priority),
            after=after,
        )

    found = session.run(work)
    documents = list(map(message_document, found[:limit]))
    session.output.items(
        documents, MESSAGE_COLUMNS, empty=f"no such messages in {queue!r}"
    )
    if len(found) > limit:
        say(f"there are more: go on with --after {documents[-1]['message_id']}")


@message.command()
@click.argument("queue")
@click.argument("message_id")
@click.option("--tracebacks", is_flag=True, help="Print tracebacks too.")
@common_options
@with_session
def show(session: Session, /, *, queue: str, message_id: str, tracebacks: bool) -> None:
    """Show a message, and every attempt with its worker and error.

    Dead letters, and finished messages that the queue keeps, are shown as well.
    """
    from trioqueue.cli.documents import message_document

    async def work(store: Store) -> Message:
        return await store.get_message(queue, message_id)

    document = message_document(session.run(work))
    session.output.item(
        document, lambda: message_lines(document, tracebacks=tracebacks)
    )


for command in (list_command, cancel, requeue, delete):
    message.add_command(command)
