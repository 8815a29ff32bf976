"""``trioqueue explain``: why a message is not running."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

import click

from trioqueue.cli.message_view import ATTEMPT_COLUMNS, tries
from trioqueue.cli.output import safe, table, terminal_width
from trioqueue.cli.session import Session, common_options, with_session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trioqueue.cli.documents import Document
    from trioqueue.model import Explanation
    from trioqueue.store import Store

WIDEST: Final = 100
"""Where nobody says how wide a line may be, or it may be very wide."""


@click.command()
@click.argument("queue")
@click.argument("message_id", metavar="ID")
@common_options
@with_session
def explain(session: Session, /, *, queue: str, message_id: str) -> None:
    """Say why a message is not running, and what to do about it.

    Every reason that holds is told, the most important first: not due yet, waiting for
    a retry, its queue paused and by whom, no worker, all workers quiet or busy, behind
    so many others, held by which worker until when, finished or dead.  Below that are
    its attempts, with their errors.

    \b
    Examples:
      trioqueue explain emails welcome-1
      trioqueue explain emails welcome-1 -o json | jq -r '.reasons[].kind'
    """  # noqa: D301  \b tells click not to wrap a paragraph

    async def work(store: Store) -> Explanation:
        return await store.explain(queue, message_id)

    document = explanation_document(session.run(work))
    session.output.item(document, lambda: explanation_lines(document))


def explanation_document(found: Explanation) -> Document:
    """Describe an explanation; kinds of reasons go by name."""
    from trioqueue.cli.documents import record

    return record(found)


def explanation_lines(document: Document) -> Iterable[str]:
    """Write an explanation for people."""
    width = min(terminal_width() or WIDEST, WIDEST)
    name = safe(document["message_id"])
    yield f"{name} in queue {document['queue']!r}: {document['state']}"
    many = len(document["reasons"]) > 1
    for number, reason in enumerate(document["reasons"], start=1):
        yield ""
        head = f"{number}. " if many else ""
        yield from _wrapped(head, " " * len(head), reason["text"], width)
        if reason["advice"]:
            indent = " " * len(head) + "-> "
            yield from _wrapped(indent, " " * len(indent), reason["advice"], width)
    if document["attempts"]:
        yield ""
        yield f"attempts {tries(document)}"
        yield from table(document["attempts"], ATTEMPT_COLUMNS)


def _wrapped(first: str, others: str, text: str, width: int) -> Iterable[str]:
    return textwrap.wrap(
        safe(text),
        width,
        initial_indent=first,
        subsequent_indent=others,
        # Ids and commands are copied from here.
        break_long_words=False,
        break_on_hyphens=False,
    )
