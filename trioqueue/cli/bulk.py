"""Acting on many messages: count, ask, act, and say what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeVar

import click

from trioqueue.cli.asking import confirm
from trioqueue.cli.failures import CONFLICT, NOT_FOUND, PARTIAL, Failure
from trioqueue.cli.output import Column, field, say
from trioqueue.cli.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trioqueue.cli.filters import Filters
    from trioqueue.cli.session import Session
    from trioqueue.model import BulkReport, MessageSelection
    from trioqueue.store import Store

    Act = Callable[[Store, MessageSelection, Progress], Awaitable[BulkReport]]

AnyFunction = TypeVar("AnyFunction", bound="Callable[..., Any]")

COUNT_COLUMNS: Final = (
    Column("QUEUE", field("queue")),
    Column("MESSAGES", field("messages")),
)
SHOWN_QUEUES: Final = 3
_KINDS: Final = {
    "running": "running (--abort asks their workers)",
    "gone": "gone by now",
    "changed": "no longer in that state",
    "finished": "finished",
    "live": "not finished (cancel them first)",
    "not_dead": "not dead",
    "duplicate": "already in the target queue",
}
"""Why messages are left as they are, in the words of the command."""


class Doing(NamedTuple):
    """A verb, in the forms that sentences need."""

    verb: Literal["cancel", "requeue", "delete"]
    past: str
    noun: str = "message"
    for_good: bool = False

    @property
    def ing(self) -> str:
        """Return what a progress bar calls it."""
        return {"cancel": "canceling", "requeue": "requeueing"}.get(
            self.verb, "deleting"
        )

    def counted(self, count: int) -> str:
        """Write ``3 messages``."""
        return f"{count} {self.noun}{'' if count == 1 else 's'}"


class Terms(NamedTuple):
    """What must be true before anything is done."""

    dry_run: bool
    expect: int | None
    yes: bool


def terms_options(function: AnyFunction) -> AnyFunction:
    """Add ``--dry-run``, ``--expect`` and ``--yes``."""
    options = (
        click.option(
            "--dry-run", is_flag=True, help="Only say how many there are, by queue."
        ),
        click.option(
            "--expect",
            type=click.IntRange(min=0),
            metavar="N",
            help="Do nothing (exit code 4) unless exactly so many match.",
        ),
        click.option(
            "--yes",
            is_flag=True,
            help="Do not ask.  Without a terminal nobody can be asked.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def act_on_many(
    session: Session,
    filters: Filters,
    terms: Terms,
    doing: Doing,
    act: Act,
    *,
    dead_letters_under: str | None = None,
) -> None:
    """Choose messages, and do to exactly these what was asked for.

    Args:
        session: The command's.
        filters: Which messages.
        terms: What must be true before.
        doing: What is done, in words.
        act: Does it.
        dead_letters_under: The name whose dead letters are meant, if they are.

    Raises:
        Failure: Another number than expected, no consent, or some were left.
    """
    with Progress("looking", counts=False) as progress:

        async def choose(store: Store) -> MessageSelection:
            wanted = filters.build(store.now(), dead_letters_under=dead_letters_under)
            return await store.select_messages(
                wanted, verb=doing.verb, progress=progress
            )

        chosen = session.run(choose)
    if terms.expect is not None and chosen.total != terms.expect:
        raise Failure(
            f"{terms.expect} expected, {doing.counted(chosen.total)} found; nothing "
            "was done",
            CONFLICT,
        )
    if terms.dry_run:
        _show_counts(session, chosen, doing)
        return
    if chosen.total and not terms.yes:
        ending = " for good" if doing.for_good else ""
        confirm(
            f"{doing.verb} {doing.counted(chosen.total)} {_where(chosen)}{ending}",
            refused="nothing was done",
        )
    _show_report(session, _run(session, chosen, doing, act), doing)


def _run(
    session: Session, chosen: MessageSelection, doing: Doing, act: Act
) -> BulkReport:
    with Progress(doing.ing) as progress:
        progress(0, chosen.total)
        try:
            return session.run(lambda store: act(store, chosen, progress))
        except BaseException:
            if progress.done:
                say(
                    f"stopped after {progress.done} of {chosen.total}: what is done "
                    "stays done"
                )
            raise


def _where(chosen: MessageSelection) -> str:
    """Write ``in mail``, or ``in mail (3), reports (2)``."""
    if len(chosen.counts) == 1:
        return f"in {next(iter(chosen.counts))}"
    parts = [f"{name} ({count})" for name, count in chosen.counts.items()]
    more = len(parts) - SHOWN_QUEUES
    shown = ", ".join(parts[:SHOWN_QUEUES])
    return f"in {shown}{f' and {more} other queues' if more > 0 else ''}"


def _show_counts(session: Session, chosen: MessageSelection, doing: Doing) -> None:
    queues = dict(chosen.counts)
    if session.output.form in ("json", "jsonl"):
        document = {
            "dry_run": True,
            "total": chosen.total,
            "queues": queues,
            "missing": chosen.missing,
        }
        session.output.item(document, tuple)
    else:
        rows = [{"queue": name, "messages": count} for name, count in queues.items()]
        session.output.items(rows, COUNT_COLUMNS, empty="nothing matches")
    missing = f"; {_missing(chosen.missing)}" if chosen.missing else ""
    say(f"would {doing.verb} {doing.counted(chosen.total)}{missing}")


def _show_report(session: Session, report: BulkReport, doing: Doing) -> None:
    document = {
        doing.past: report.done,
        "matched": report.matched,
        "skipped": dict(report.skipped),
        "missing": report.missing,
    }
    text = f"{doing.counted(report.done)} {doing.past}"
    if doing.verb == "cancel":
        document["aborting"] = report.aborting
        if report.aborting:
            text += f", {report.aborting} of them when their workers hear of it"
    session.output.done(report.done, document, text)
    left = [f"{n} {_KINDS.get(kind, kind)}" for kind, n in report.skipped.items()]
    if report.missing and not report.matched:
        raise Failure(_missing(report.missing), NOT_FOUND)
    if report.missing:
        left.append(_missing(report.missing))
    if left:
        raise Failure(f"not all of them: {', '.join(left)}", PARTIAL)


def _missing(count: int) -> str:
    if count == 1:
        return "1 id that no matching message has"
    return f"{count} ids that no matching message has"
