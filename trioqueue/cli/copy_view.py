"""What a copy or an import brought, as people and programs read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trioqueue.cli.failures import CONFLICT, Failure
from trioqueue.cli.output import Column, field, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trioqueue.cli.session import Session
    from trioqueue.store.copying import CopyReport

QUEUE_COLUMNS: Final = (
    Column("QUEUE", field("name")),
    Column("PENDING", field("counts.PENDING")),
    Column("INVISIBLE", field("counts.INVISIBLE")),
    Column("RUNNING", field("counts.RUNNING")),
    Column("COMPLETED", field("counts.COMPLETED")),
    Column("CANCELED", field("counts.CANCELED")),
    Column("DEAD", field("counts.ERRORED")),
)


def in_options(work: Callable[[], CopyReport]) -> CopyReport:
    """Name options of the command where the store names Python arguments."""
    from trioqueue.errors import IllegalStateError

    try:
        return work()
    except IllegalStateError as error:
        text = str(error).replace("(running='expire')", "(--running expire)")
        raise Failure(
            text.replace("(discard=True)", "(--discard)"), CONFLICT
        ) from error


def show_report(
    session: Session, report: CopyReport, *, verb: str, dry_run: bool, end: str
) -> None:
    """Print a report, and say what it means.

    Args:
        session: The command's.
        report: What was brought.
        verb: What was done, such as ``copied``.
        dry_run: Whether it only would be.
        end: What to do now.
    """
    from trioqueue.cli.documents import record

    document = record(report)
    document["running"] = report.running
    document["dry_run"] = dry_run
    if session.output.form in ("json", "jsonl"):
        session.output.item(document, tuple)
    else:
        session.output.items(document["queues"], QUEUE_COLUMNS, empty="no queues")
    for line in _words(report, verb, dry_run=dry_run):
        say(line)
    if not dry_run:
        say(end)


def _words(report: CopyReport, verb: str, *, dry_run: bool) -> Iterable[str]:
    if report.undone is not None:
        yield f"an unfinished copy from {report.undone} was undone first"
    said = f"would be {verb}" if dry_run else f"{verb} and counted"
    yield f"{said}: {counted_words(report)}"
    if report.running:
        yield f"{report.running} of them run, and {'would ' * dry_run}expire there"


def counted_words(report: CopyReport) -> str:
    """List how many of each kind there are."""
    return plural(
        (
            (len(report.queues), "queue"),
            (report.live, "live message"),
            (report.finished, "finished message"),
            (report.attempts, "attempt"),
            (report.schedules, "schedule"),
            (report.runs, "run"),
            (report.calendars, "business calendar"),
            *([(report.schemas, "schema version")] if report.schemas else []),
        )
    )


def plural(parts: Iterable[tuple[int, str]]) -> str:
    """Write ``1 queue, 2 messages``."""
    return ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in parts)
