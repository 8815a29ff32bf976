"""``trioqueue message list|cancel|requeue|delete``: many messages at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from trioqueue.cli import parameters
from trioqueue.cli.bulk import Doing, Terms, act_on_many, terms_options
from trioqueue.cli.filters import Filters, filter_options
from trioqueue.cli.message_view import LIST_COLUMNS
from trioqueue.cli.output import say
from trioqueue.cli.session import Session, common_options, with_session

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioqueue.cli.progress import Progress
    from trioqueue.model import BulkReport, Message, MessagePage, MessageSelection
    from trioqueue.store import Store

PAGE: int = 500


def _all_messages(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--all-messages",
        "everything",
        is_flag=True,
        help="Every message there is; one must say so if nothing else chooses.",
    )(function)


def _check_choice(filters: Filters, *, everything: bool) -> None:
    if everything and filters.given:
        raise click.UsageError("--all-messages goes with nothing else that chooses")
    if not everything and not filters.given:
        raise click.UsageError(
            "say which messages, e.g. with --queue, --error or --id, or --all-messages"
        )


@click.command("list")
@filter_options()
@parameters.limit_option(100)
@click.option("--after", metavar="PLACE", help="Go on where a page ended.")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Print all of them, page after page, as JSON lines (or -o plain).",
)
@common_options
@with_session
def list_command(
    session: Session,
    /,
    *,
    filters: Filters,
    limit: int,
    after: str | None,
    everything: bool,
) -> None:
    """List messages of all queues and states, oldest posted first.

    What finished is listed as long as its queue keeps it.

    \b
    Examples:
      trioqueue message list --queue mail --state ERRORED --error timeout --since 1h
      trioqueue message list --all --state ERRORED | jq -r .message_id
    """  # noqa: D301  \b tells click not to wrap a paragraph
    from trioqueue.cli.documents import message_document

    if everything:
        _stream(session, filters, after)
        return

    async def work(store: Store) -> MessagePage:
        wanted = filters.build(store.now(), dead_letters_under=None)
        return await store.find_messages(wanted, limit=limit, after=after)

    page = session.run(work)
    documents = list(map(message_document, page))
    session.output.items(documents, LIST_COLUMNS, empty="no such messages")
    if page.next is not None:
        say(f"there are more: go on with --after {page.next}")


def _stream(session: Session, filters: Filters, after: str | None) -> None:
    from trioqueue.cli.documents import message_document

    output = session.output
    if output.form == "json":
        raise click.UsageError("--all prints lines; say -o jsonl or -o plain")
    if output.form != "plain":
        output.form = "jsonl"

    async def work(store: Store) -> None:
        wanted = filters.build(store.now(), dead_letters_under=None)
        place = after
        while True:
            page = await store.find_messages(wanted, limit=PAGE, after=place)
            documents = list(map(message_document, page))
            if documents:
                output.items(documents, LIST_COLUMNS, empty="")
            place = page.next
            if place is None:
                return

    session.run(work)


@click.command()
@click.argument("queue", required=False)
@click.argument("message_id", required=False)
@filter_options(reason=False)
@_all_messages
@click.option("--reason", metavar="TEXT", help="Why; kept with the message.")
@click.option(
    "--abort",
    is_flag=True,
    help="If it is running, ask its worker to cancel the handler.",
)
@terms_options
@common_options
@with_session
def cancel(
    session: Session,
    /,
    *,
    queue: str | None,
    message_id: str | None,
    filters: Filters,
    everything: bool,
    reason: str | None,
    abort: bool,
    dry_run: bool,
    expect: int | None,
    yes: bool,
) -> None:
    """Withdraw messages that have not finished: one, or all that match.

    Those that wait are canceled at once.  Running ones need --abort, and end at their
    worker's next heartbeat at the latest.

    \b
    Examples:
      trioqueue message cancel mail 0198c0de-…
      trioqueue message cancel --queue mail --metadata tenant=acme --dry-run
    """  # noqa: D301  \b tells click not to wrap a paragraph
    terms = Terms(dry_run, expect, yes)
    if message_id is not None and queue is not None:
        if filters.given or everything or dry_run or expect is not None:
            raise click.UsageError("name one by QUEUE and MESSAGE_ID, or choose many")
        _cancel_one(session, queue, message_id, reason, abort=abort)
        return
    if queue is not None:
        raise click.UsageError(
            f"give a MESSAGE_ID as well, or choose many with --queue {queue}"
        )
    _check_choice(filters, everything=everything)

    async def act(
        store: Store, chosen: MessageSelection, progress: Progress
    ) -> BulkReport:
        return await store.cancel_matching(
            chosen, reason=reason, abort=abort, progress=progress
        )

    act_on_many(session, filters, terms, Doing("cancel", "canceled"), act)


def _cancel_one(
    session: Session, queue: str, message_id: str, reason: str | None, *, abort: bool
) -> None:
    from trioqueue.cli.documents import message_document

    async def work(store: Store) -> Message:
        return await store.cancel(queue, message_id, reason=reason, abort=abort)

    document = message_document(session.run(work))
    session.output.done(
        message_id,
        document,
        f"message {message_id!r} is canceled"
        if document["state"] == "CANCELED"
        else f"its worker is asked to cancel message {message_id!r}",
    )


@click.command()
@filter_options()
@_all_messages
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
    filters: Filters,
    everything: bool,
    target: str | None,
    spread: float,
    dry_run: bool,
    expect: int | None,
    yes: bool,
) -> None:
    """Give dead letters a new life: pending again, their attempts forgotten.

    \b
    Examples:
      trioqueue message requeue --queue mail --error TimeoutError --since 1h --dry-run
      trioqueue message list --state ERRORED -o jsonl | jq -r .message_id |
        trioqueue message requeue --queue mail --id - --yes
    """  # noqa: D301  \b tells click not to wrap a paragraph
    _check_choice(filters, everything=everything)
    requeue_many(session, filters, Terms(dry_run, expect, yes), target, spread)


def requeue_many(
    session: Session,
    filters: Filters,
    terms: Terms,
    target: str | None,
    spread: float,
    *,
    dead_letters_under: str | None = None,
) -> None:
    """Give a new life to all dead letters that match."""

    async def act(
        store: Store, chosen: MessageSelection, progress: Progress
    ) -> BulkReport:
        return await store.requeue_matching(
            chosen, target=target, spread_seconds=spread, progress=progress
        )

    noun = "message" if dead_letters_under is None else "dead letter"
    doing = Doing("requeue", "requeued", noun)
    act_on_many(
        session, filters, terms, doing, act, dead_letters_under=dead_letters_under
    )


@click.command()
@filter_options()
@_all_messages
@terms_options
@common_options
@with_session
def delete(
    session: Session,
    /,
    *,
    filters: Filters,
    everything: bool,
    dry_run: bool,
    expect: int | None,
    yes: bool,
) -> None:
    """Delete finished messages and dead letters, for good.

    What has not finished must be canceled first.

    \b
    Examples:
      trioqueue message delete --queue mail --state CANCELED --until 7d
      trioqueue message delete --queue mail --error KeyError --expect 12 --yes
    """  # noqa: D301  \b tells click not to wrap a paragraph
    _check_choice(filters, everything=everything)
    delete_many(session, filters, Terms(dry_run, expect, yes))


def delete_many(
    session: Session,
    filters: Filters,
    terms: Terms,
    *,
    dead_letters_under: str | None = None,
) -> None:
    """Delete all that match, for good."""

    async def act(
        store: Store, chosen: MessageSelection, progress: Progress
    ) -> BulkReport:
        return await store.delete_matching(chosen, progress=progress)

    noun = "message" if dead_letters_under is None else "dead letter"
    doing = Doing("delete", "deleted", noun, for_good=True)
    act_on_many(
        session, filters, terms, doing, act, dead_letters_under=dead_letters_under
    )
