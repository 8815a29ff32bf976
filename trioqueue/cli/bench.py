"""``trioqueue bench``: what a database can do, beside what its disk can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from trioqueue.cli import parameters
from trioqueue.cli.failures import CONFLICT, Failure
from trioqueue.cli.output import pairs
from trioqueue.cli.session import Session, common_options, with_session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trioqueue.store import Store


@click.command()
@click.option(
    "--seconds",
    type=parameters.duration,
    metavar="SPAN",
    help="How long each part lasts.  [default: 3s]",
)
@click.option(
    "--messages",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    help="How many messages to post and drain, instead of a time.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1000),
    metavar="N",
    default=20,
    show_default=True,
    help="How many post, and how many work, at once.",
)
@click.option(
    "--yes", is_flag=True, help="Even if there are live messages: it slows others down."
)
@common_options
@with_session
def bench(
    session: Session,
    /,
    *,
    seconds: float | None,
    messages: int | None,
    concurrency: int,
    yes: bool,
) -> None:
    """Measure what the database at --db can do, in a queue that is removed afterwards.

    Posts messages of 100 bytes, each durable before the next of the same sender; then
    claims and completes them all; then measures how long it takes from posting to an
    idle queue until another connection has claimed the message.  Beside that: how many
    commits a second the disk itself, or the server, manages one after the other.

    \b
    Examples:
      trioqueue bench
      trioqueue --db postgresql://localhost/jobs bench --seconds 10s --concurrency 50
    """  # noqa: D301  \b tells click not to wrap a paragraph
    if seconds is not None and messages is not None:
        raise click.UsageError("give either --seconds or --messages, not both")
    if seconds is not None and not 0.1 <= seconds <= 3600:
        raise click.UsageError("--seconds goes from 0.1 to 1h")
    from trioqueue.cli.benchmark import Plan, measure

    plan = Plan(3.0 if seconds is None else seconds, messages, concurrency)

    async def work(store: Store) -> dict[str, Any]:
        live = await _live(store)
        if live and not yes:
            raise Failure(
                f"this database is in use (live messages: {live}), and others would be "
                "slowed down; say --yes to do it all the same, or use another database",
                CONFLICT,
            )
        return await measure(store, session.url, plan)

    document = session.run(work)
    session.output.item(document, lambda: _lines(document))


async def _live(store: Store) -> int:
    from trioqueue.model import MessageState

    count = 0
    after: str | None = None
    while queues := await store.list_queues(limit=1000, after=after):
        for queue in queues:
            counts = (await store.queue_state(queue.name)).counts
            count += sum(
                counts[state]
                for state in (
                    MessageState.INVISIBLE,
                    MessageState.PENDING,
                    MessageState.RUNNING,
                )
            )
        after = queues[-1].name
    return count


def _lines(document: dict[str, Any]) -> Iterable[str]:
    raw = document["raw_commits_per_second"]

    def rate(name: str) -> str:
        value = document[name]
        times = f"   {value / raw:.1f} x the raw commits" if raw else ""
        return f"{value:>10,.0f} /s{times}"

    latency = document["pickup_seconds"]
    return pairs(
        (
            ("database", document["db"]),
            ("messages", f"{document['messages']:>10,}"),
            ("raw commits", f"{raw:>10,.0f} /s   one after the other"),
            ("posts", rate("posts_per_second")),
            ("drain", rate("drained_per_second")),
            ("pick-up p50", f"{latency['p50'] * 1000:>10.2f} ms"),
            ("pick-up p99", f"{latency['p99'] * 1000:>10.2f} ms"),
        )
    )
