"""``trioqueue queue``: queues; see also `queue_update`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from trioqueue.cli import parameters
from trioqueue.cli.output import pairs, say
from trioqueue.cli.queue_update import update
from trioqueue.cli.queue_view import QUEUE_COLUMNS, queue_rows
from trioqueue.cli.session import Session, common_options, with_session

if TYPE_CHECKING:
    from trioqueue.cli.documents import Document
    from trioqueue.model import Queue, QueueState
    from trioqueue.store import Store


@click.group()
@common_options
def queue() -> None:
    """List, show, create, update, pause and resume queues."""


@queue.command("list")
@click.argument("prefix", default="")
@parameters.limit_option(100)
@click.option("--after", metavar="NAME", help="Go on after this name.")
@common_options
@with_session
def list_command(
    session: Session, /, *, prefix: str, limit: int, after: str | None
) -> None:
    """List queues by name, with exact counts.

    PREFIX: only names that begin with it.
    """
    from trioqueue.cli.documents import queue_document
    from trioqueue.errors import QueueNotFoundError

    async def work(store: Store) -> list[Document]:
        documents = []
        for found in await store.list_queues(prefix, limit=limit + 1, after=after):
            try:
                state = await store.queue_state(found.name)
            except QueueNotFoundError:
                continue  # deleted since it was listed
            documents.append(queue_document(found, state))
        return documents

    documents = session.run(work)
    session.output.items(
        documents[:limit],
        QUEUE_COLUMNS,
        empty="no queues; create one with: trioqueue queue create NAME"
        if not (prefix or after)
        else "no such queues",
    )
    if len(documents) > limit:
        say(f"there are more: go on with --after {documents[limit - 1]['name']}")


@queue.command()
@click.argument("name")
@common_options
@with_session
def show(session: Session, /, *, name: str) -> None:
    """Show a queue's options, exact counts, and what comes next.

    The next deadline is the instant at which a running message's lease ends or a
    delayed message falls due.
    """
    from trioqueue.cli.documents import queue_document

    async def work(store: Store) -> tuple[Queue, QueueState]:
        return await store.get_queue(name), await store.queue_state(name)

    found, state = session.run(work)
    document = queue_document(found, state)
    session.output.item(document, lambda: pairs(queue_rows(document)))


@queue.command()
@click.argument("name")
@click.option(
    "--max-attempts",
    type=int,
    metavar="N",
    default=3,
    show_default=True,
    help="How often a message may be tried; -1: no limit.",
)
@click.option(
    "--lease",
    type=parameters.duration,
    metavar="SPAN",
    help="How long a worker holds a message before its first heartbeat.  "
    "[default: 30s]",
)
@click.option(
    "--heartbeat",
    type=parameters.duration,
    metavar="SPAN",
    help="The longest gap between a worker's heartbeats.  [default: the lease decides]",
)
@click.option(
    "--max-extension",
    type=parameters.duration,
    metavar="SPAN",
    help="The most that heartbeats add to a lease in all.  [default: no cap]",
)
@click.option(
    "--execution-limit",
    type=parameters.duration,
    metavar="SPAN",
    help="The longest a handler may run.  [default: no limit]",
)
@click.option(
    "--retry",
    type=parameters.retry_policy,
    metavar="POLICY",
    default="exponential",
    show_default=True,
    help="How long a failed message waits: exponential[:BASE][,factor=N][,cap=SPAN]"
    "[,jitter=on|off], linear:STEP[,cap=SPAN] or fixed:SPAN.",
)
@click.option(
    "--retention",
    type=parameters.retention,
    metavar="POLICY",
    default="delete",
    show_default=True,
    help="What becomes of completed and canceled messages: delete, keep:SPAN, forever.",
)
@click.option(
    "--dead-letter-queue",
    metavar="NAME",
    help="The name under which dead letters are kept.  [default: NAME-dlq]",
)
@click.option(
    "--dead-letter-retention",
    type=parameters.retention,
    metavar="POLICY",
    default="forever",
    show_default=True,
    help="What becomes of dead letters.",
)
@click.option(
    "--max-payload-bytes",
    type=click.IntRange(min=0),
    metavar="N",
    default=262_144,
    show_default=True,
    help="The largest payload accepted.",
)
@click.option(
    "--max-metadata-bytes",
    type=click.IntRange(min=0),
    metavar="N",
    default=16_384,
    show_default=True,
    help="The largest metadata accepted.",
)
@click.option(
    "--content-type",
    "content_types",
    multiple=True,
    metavar="TYPE",
    help="Accept only this content type (repeat for more).  [default: all]",
)
@click.option(
    "--schema",
    "schema_id",
    metavar="ID",
    help="The schema of messages that name none themselves; see `trioqueue schema`.",
)
@click.option(
    "--schema-required",
    is_flag=True,
    help="Refuse messages without a schema, and those that are not JSON.",
)
@click.option(
    "--require-metadata",
    "required_metadata",
    multiple=True,
    metavar="KEY",
    help="Refuse messages whose metadata lacks this key (repeat for more).",
)
@click.option(
    "--validator",
    "validators",
    multiple=True,
    metavar="NAME",
    help="A function, registered in the processes that post, that every message must "
    "pass (repeat for more).",
)
@common_options
@with_session
def create(
    session: Session,
    /,
    *,
    name: str,
    lease: float | None,
    heartbeat: float | None,
    max_extension: float | None,
    execution_limit: float | None,
    content_types: tuple[str, ...],
    **options: Any,
) -> None:
    """Create a queue, and the database file if there is none.

    Creating it again with the same options does nothing.  A SPAN is written like 30s,
    5m, 2h, 1d or 1h30m; a plain number means seconds.

    \b
    Examples:
      trioqueue queue create emails
      trioqueue queue create reports --lease 5m --retry fixed:1m --retention keep:7d
      trioqueue queue create hooks --retry exponential:2s,factor=3,cap=10m
    """  # noqa: D301  \b tells click not to wrap a paragraph
    from trioqueue.cli.documents import queue_document
    from trioqueue.model import LeasePolicy, QueueOptions

    wanted = QueueOptions(
        lease=LeasePolicy(
            base_seconds=lease,
            heartbeat_seconds=heartbeat,
            max_extension_seconds=max_extension,
            execution_limit_seconds=execution_limit,
        ),
        content_types=content_types or None,
        **options,
    )

    async def work(store: Store) -> tuple[Queue, bool]:
        began = store.now()
        made = await store.create_queue(name, wanted)
        return made, made.created_at >= began

    made, is_new = session.run(work, create=True)
    session.output.done(
        made.name,
        queue_document(made),
        f"queue {name!r} created"
        if is_new
        else f"queue {name!r} is there already, with these options",
    )


@queue.command()
@click.argument("name")
@click.option("--reason", metavar="TEXT", help="Why; `queue show` tells it.")
@click.option(
    "--by", metavar="WHO", help="Who pauses it.  [default: your user name @ this host]"
)
@common_options
@with_session
def pause(
    session: Session, /, *, name: str, reason: str | None, by: str | None
) -> None:
    """Let nobody claim messages; jobs that run go on.

    Pausing a paused queue changes the reason, and who gave it.
    """
    from trioqueue.cli.documents import queue_document
    from trioqueue.cli.queue_view import user_at_host

    who = user_at_host() if by is None else by

    async def work(store: Store) -> Queue:
        return await store.pause_queue(name, reason, by=who)

    paused = session.run(work)
    session.output.done(name, queue_document(paused), f"queue {name!r} paused")


@queue.command()
@click.argument("name")
@common_options
@with_session
def resume(session: Session, /, *, name: str) -> None:
    """Let messages be claimed again."""
    from trioqueue.cli.documents import queue_document

    async def work(store: Store) -> Queue:
        return await store.resume_queue(name)

    resumed = session.run(work)
    session.output.done(name, queue_document(resumed), f"queue {name!r} resumed")


queue.add_command(update)
