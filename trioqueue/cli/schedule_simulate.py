"""``trioqueue schedule simulate``: what would run when."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import click

from trioqueue.cli.output import say
from trioqueue.cli.schedule_rule import tz_option
from trioqueue.cli.schedule_times import instant, moment, now, span
from trioqueue.cli.schedule_view import SIMULATED_COLUMNS, lean
from trioqueue.cli.session import Session, common_options, with_session
from trioqueue.cli.worker import load_app

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from trioqueue.app import App
    from trioqueue.cli.output import Column
    from trioqueue.store import Store
    from trioqueue.testing.simulation import Simulation

_KINDS: Final = {
    "on_time": "on time",
    "catch_up": "made up for",
    "manual": "manual",
    "skipped": "skipped",
}


@click.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option(
    "--from",
    "start",
    type=moment,
    metavar="MOMENT",
    help="Where to begin, e.g. 2030-01-31 or 2030-01-31T09:00+01:00.  [default: now]",
)
@click.option(
    "--until", type=moment, metavar="MOMENT", required=True, help="Where to end."
)
@click.option(
    "--outage",
    "outages",
    type=span,
    multiple=True,
    metavar="FROM/TO",
    help="A time in which no service runs (repeat for more).",
)
@click.option(
    "--app",
    metavar="MODULE:APP",
    help="Take the schedules that an App declares, not those of the database.",
)
@tz_option(
    "The zone of moments without an offset, and of the times printed.  [default: UTC, "
    "and each schedule's own]"
)
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    default=10_000,
    show_default=True,
    help="Stop after so many runs.",
)
@common_options
@with_session
def simulate(
    session: Session,
    /,
    *,
    ids: tuple[str, ...],
    start: datetime | None,
    until: datetime,
    outages: tuple[tuple[datetime, datetime], ...],
    app: str | None,
    tz: str | None,
    limit: int,
) -> None:
    """List what schedules would run when, with the reasons, in no time.

    All of them, or those with an ID.  Nothing is posted.  KIND is on_time, catch_up
    (after an --outage) or skipped (by an exception).

    \b
    Examples:
      trioqueue schedule simulate --from 2030-01-01 --until 2031-01-01
      trioqueue schedule simulate nightly --from 2030-03-01 --until 2030-04-01 \\
          --outage 2030-03-10T00:00Z/2030-03-15T12:00Z
    """  # noqa: D301  \b tells click not to wrap a paragraph
    zone = tz or "UTC"
    begin = now() if start is None else instant(start, zone, "'--from'")
    span_of_time = (begin, instant(until, zone, "'--until'"))
    if span_of_time[1] < begin:
        raise click.UsageError(
            f"--until is before {'now' if start is None else '--from'}"
        )
    gaps = [(instant(a, zone), instant(b, zone)) for a, b in outages]

    async def run(source: Store | App) -> tuple[Simulation, dict[str, str]]:
        from trioqueue.testing.simulation import simulate

        zones = await _zones(source, ids)
        found = await simulate(
            source,
            *span_of_time,
            schedule_ids=ids or None,
            outages=gaps,
            limit=limit,
        )
        return found, zones

    if app is None:
        found, zones = session.run(run)
    else:
        import trio

        found, zones = trio.run(run, load_app(app))
    _print(session, found, zones if tz is None else {}, tz)
    if not found.complete:
        say(f"cut short after {limit} runs: say --limit for more")


async def _zones(source: Store | App, ids: Collection[str]) -> dict[str, str]:
    """Return the zones of schedules; look for those asked for."""
    import trio

    from trioqueue.app import App
    from trioqueue.errors import ScheduleNotFoundError

    await trio.lowlevel.checkpoint()
    if isinstance(source, App):
        declared = source.schedules
        for schedule_id in ids:
            if schedule_id not in declared:
                raise ScheduleNotFoundError(schedule_id)
        return {each.id: each.when.tz for each in declared.values()}
    if ids:
        return {name: (await source.get_schedule(name)).when.tz for name in ids}
    zones: dict[str, str] = {}
    after = None
    while page := await source.list_schedules(limit=1000, after=after):
        zones |= {each.id: each.when.tz for each in page}
        after = page[-1].id
    return zones


def _print(
    session: Session, found: Simulation, zones: dict[str, str], tz: str | None
) -> None:
    from trioqueue.cli.schedule_documents import simulated_document

    documents = [
        simulated_document(run, tz or zones[run.schedule_id]) for run in found.runs
    ]
    columns: Sequence[Column] = SIMULATED_COLUMNS
    if session.output.form == "table":
        columns = lean(SIMULATED_COLUMNS, documents)
    shown = {document["tz"] for document in documents}
    if len(shown) == 1:
        say(f"times in {shown.pop()}")
    session.output.items(documents, columns, empty="nothing would run")
    counts = Counter[str](run.kind for run in found.runs)
    parts = [f"{counts[kind]} {text}" for kind, text in _KINDS.items() if counts[kind]]
    if parts:
        schedules = len({run.schedule_id for run in found.runs})
        say(f"schedules: {schedules}; runs: {', '.join(parts)}")
    for schedule_id, reason in found.idle.items():
        say(f"schedule {schedule_id!r} would not run: {reason}")
