"""``trioqueue dlq``: list, requeue and purge dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from trioqueue.cli import parameters
from trioqueue.cli.asking import confirm
from trioqueue.cli.message_view import DEAD_LETTER_COLUMNS
from trioqueue.cli.output import say
from trioqueue.cli.session import Session, common_options, with_session

if TYPE_CHECKING:
    from trioqueue.model import DeadLetter, Message
    from trioqueue.store import Store


@click.group()
@common_options
def dlq() -> None:
    """List, requeue and purge dead letters.

    NAME is a dead letter queue (all that is kept under it), or a queue (its own dead
    letters).
    """


@dlq.command("list")
@click.argument("name")
@click.option("--reason", metavar="REASON", help="Only those that died for it.")
@parameters.limit_option(100)
@click.option("--after", metavar="ID", help="Go on after this message.")
@common_options
@with_session
def list_command(
    session: Session, /, *, name: str, reason: str | None, limit: int, after: str | None
) -> None:
    """List the dead letters under NAME, newest first.

    Reasons are max_attempts, lease_expired, heartbeat_expired, discarded, undecodable
    and others.
    """
    from trioqueue.cli.documents import dead_letter_document

    async def work(store: Store) -> list[DeadLetter]:
        return await store.dead_letters(
            name, limit=limit + 1, after=after, reason=reason
        )

    found = session.run(work)
    documents = list(map(dead_letter_document, found[:limit]))
    session.output.items(
        documents, DEAD_LETTER_COLUMNS, empty=f"no dead letters under {name!r}"
    )
    if len(found) > limit:
        last = documents[-1]["message"]["message_id"]
        say(f"there are more: go on with --after {last}")


@dlq.command()
@click.argument("name")
@click.argument("message_id", required=False)
@click.option("--all", "everything", is_flag=True, help="Requeue all of them.")
@click.option(
    "--reason", metavar="REASON", help="With --all: only those that died for this."
)
@click.option(
    "--target", metavar="QUEUE", help="Put them in this queue, not where they were."
)
@click.option(
    "--spread",
    type=parameters.duration,
    default="0s",
    metavar="SPAN",
    help="With --all: make them due evenly over so long, e.g. 10m.",
)
@common_options
@with_session
def requeue(
    session: Session,
    /,
    *,
    name: str,
    message_id: str | None,
    everything: bool,
    reason: str | None,
    target: str | None,
    spread: float,
) -> None:
    """Give dead letters a new life: pending again, their attempts forgotten.

    Name one by its MESSAGE_ID, or say --all.

    \b
    Examples:
      trioqueue dlq requeue emails 0198c0de-…
      trioqueue dlq requeue emails --all --reason max_attempts --spread 10m
    """  # noqa: D301  \b tells click not to wrap a paragraph
    if everything == (message_id is not None):
        raise click.UsageError("give either a MESSAGE_ID or --all")
    if message_id is not None:
        if reason is not None or spread:
            raise click.UsageError("--reason and --spread go with --all")
        _requeue_one(session, name, message_id, target)
        return

    async def work(store: Store) -> int:
        return await store.requeue_all(
            name, reason=reason, target=target, spread_seconds=spread
        )

    count = session.run(work)
    session.output.done(count, {"requeued": count}, f"{_letters(count)} requeued")


def _requeue_one(
    session: Session, name: str, message_id: str, target: str | None
) -> None:
    from trioqueue.cli.documents import message_document

    async def work(store: Store) -> Message:
        return await store.requeue(name, message_id, target=target)

    moved = session.run(work)
    session.output.done(
        message_id,
        message_document(moved),
        f"message {message_id!r} is {moved.state.name} in queue {moved.queue!r}",
    )


@dlq.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@common_options
@with_session
def purge(session: Session, /, *, name: str, yes: bool) -> None:
    """Delete all dead letters under NAME, for good, and print how many.

    At a terminal it asks first; elsewhere it needs --yes.
    """

    async def count_letters(store: Store) -> int:
        return (await store.dead_letter_stats(name)).count

    async def work(store: Store) -> int:
        return await store.purge_dead_letters(name)

    if not yes and (count := session.run(count_letters)):
        confirm(f"delete {_letters(count)} under {name!r} for good")
    count = session.run(work)
    session.output.done(count, {"purged": count}, f"{_letters(count)} deleted")


def _letters(count: int) -> str:
    return f"{count} dead letter{'' if count == 1 else 's'}"
