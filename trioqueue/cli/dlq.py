"""``trioqueue dlq``: list, requeue, delete and purge dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from trioqueue.cli import parameters
from trioqueue.cli.asking import confirm
from trioqueue.cli.bulk import Terms, terms_options
from trioqueue.cli.filters import Filters, filter_options
from trioqueue.cli.message_bulk import delete_many, requeue_many
from trioqueue.cli.message_view import DEAD_LETTER_COLUMNS
from trioqueue.cli.output import say
from trioqueue.cli.session import Session, common_options, with_session

if TYPE_CHECKING:
    from trioqueue.model import DeadLetter, Message
    from trioqueue.store import Store


@click.group()
@common_options
def dlq() -> None:
    """List, requeue, delete and purge dead letters.

    NAME is a dead letter queue (all that is kept under it), or a queue (its own dead
    letters).
    """


@dlq.command("list")
@click.argument("name")
@filter_options(dead=True)
@parameters.limit_option(100)
@click.option("--after", metavar="ID", help="Go on after this message.")
@common_options
@with_session
def list_command(
    session: Session, /, *, name: str, filters: Filters, limit: int, after: str | None
) -> None:
    """List the dead letters under NAME, newest first.

    Reasons are max_attempts, lease_expired, heartbeat_expired, discarded, undecodable
    and others.
    """
    from trioqueue.cli.documents import dead_letter_document

    async def work(store: Store) -> list[DeadLetter]:
        wanted = filters.build(store.now(), dead_letters_under=name)
        return await store.dead_letters(
            name,
            limit=limit + 1,
            after=after,
            wanted=wanted if filters.given else None,
        )

    found = session.run(work)
    documents = list(map(dead_letter_document, found[:limit]))
    such = "such " if filters.given else ""
    session.output.items(
        documents, DEAD_LETTER_COLUMNS, empty=f"no {such}dead letters under {name!r}"
    )
    if len(found) > limit:
        last = documents[-1]["message"]["message_id"]
        say(f"there are more: go on with --after {last}")


@dlq.command()
@click.argument("name")
@click.argument("message_id", required=False)
@click.option(
    "--all", "everything", is_flag=True, help="Requeue all (that match); do not ask."
)
@filter_options(dead=True)
@click.option(
    "--target", metavar="QUEUE", help="Put them in this queue, not where they were."
)
@click.option(
    "--spread",
    type=parameters.duration,
    default="0s",
    metavar="SPAN",
    help="Make them due evenly over so long, e.g. 10m.",
)
@terms_options
@common_options
@with_session
def requeue(
    session: Session,
    /,
    *,
    name: str,
    message_id: str | None,
    everything: bool,
    filters: Filters,
    target: str | None,
    spread: float,
    dry_run: bool,
    expect: int | None,
    yes: bool,
) -> None:
    """Give dead letters a new life: pending again, their attempts forgotten.

    Name one by its MESSAGE_ID, choose those that match, or say --all.

    \b
    Examples:
      trioqueue dlq requeue emails 0198c0de-…
      trioqueue dlq requeue emails --error ConnectionError --dry-run
      trioqueue dlq requeue emails --all --reason max_attempts --spread 10m
    """  # noqa: D301  \b tells click not to wrap a paragraph
    many = filters.given or everything
    if many == (message_id is not None):
        raise click.UsageError("give a MESSAGE_ID, say --all, or e.g. --error TEXT")
    if message_id is None:
        terms = Terms(dry_run, expect, yes or everything)
        requeue_many(session, filters, terms, target, spread, dead_letters_under=name)
        return
    if spread or dry_run or expect is not None:
        raise click.UsageError("--spread, --dry-run and --expect are for many")
    _requeue_one(session, name, message_id, target)


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
@click.argument("message_id", required=False)
@filter_options(dead=True)
@terms_options
@common_options
@with_session
def delete(
    session: Session,
    /,
    *,
    name: str,
    message_id: str | None,
    filters: Filters,
    dry_run: bool,
    expect: int | None,
    yes: bool,
) -> None:
    """Delete dead letters, for good: one by its MESSAGE_ID, or those that match.

    At a terminal it asks first; elsewhere it needs --yes.

    \b
    Examples:
      trioqueue dlq delete emails 0198c0de-…
      trioqueue dlq delete emails --error KeyError --until 7d --expect 12 --yes
    """  # noqa: D301  \b tells click not to wrap a paragraph
    if filters.given == (message_id is not None):
        raise click.UsageError(
            "give a MESSAGE_ID, or choose, e.g. with --error TEXT; all of them go with "
            f"'trioqueue dlq purge {name}'"
        )
    if message_id is None:
        terms = Terms(dry_run, expect, yes)
        delete_many(session, filters, terms, dead_letters_under=name)
        return
    if dry_run or expect is not None:
        raise click.UsageError("--dry-run and --expect are for many")
    if not yes:
        confirm(f"delete dead letter {message_id!r} of {name!r} for good")

    async def work(store: Store) -> None:
        await store.delete_dead_letter(name, message_id)

    session.run(work)
    session.output.done(
        message_id, {"deleted": 1}, f"dead letter {message_id!r} deleted"
    )


@dlq.command()
@click.argument("name")
@filter_options(dead=True)
@terms_options
@common_options
@with_session
def purge(
    session: Session,
    /,
    *,
    name: str,
    filters: Filters,
    dry_run: bool,
    expect: int | None,
    yes: bool,
) -> None:
    """Delete all dead letters under NAME that match, for good; print how many.

    At a terminal it asks first; elsewhere it needs --yes.
    """
    terms = Terms(dry_run, expect, yes)
    delete_many(session, filters, terms, dead_letters_under=name)
