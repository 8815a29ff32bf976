"""How everything at a glance looks in a terminal of any size: pure text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from trioqueue.cli.output import cut, fill, safe, text_width
from trioqueue.cli.workers import worker_status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioqueue.model import NextRun, Overview, QueueOverview, WorkerInfo

GAP: Final = "  "
NARROWEST: Final = 8
"""A name is not cut below this, while there are other columns to leave out."""
BOLD, PLAIN = "\x1b[1m", "\x1b[0m"


class Rates(NamedTuple):
    """What changed in a queue from one look to the next, each second.

    Attributes:
        net: By how much the messages that have not finished have grown.
        finished: How many finished, where that is kept for a while.
    """

    net: float
    finished: float | None


class Block(NamedTuple):
    """A part of the screen.

    Attributes:
        columns: The headers; a name first, the least important one last.
        rows: The cells; those that matter most first, if they do not all fit.
        empty: What to say if there are none.
    """

    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    empty: str


def rates(before: Overview | None, now: Overview) -> dict[str, Rates]:
    """Derive what happens in each second from two looks.

    Both are lower bounds: what came and went in between leaves no trace, and what the
    cleanup service has deleted seems not to have finished.
    """
    if before is None:
        return {}
    seconds = (now.at - before.at).total_seconds()
    if seconds <= 0:
        return {}
    known = {queue.name: queue for queue in before.queues}
    found = {}
    for queue in now.queues:
        if queue.name in known:
            old = known[queue.name]
            live = sum(_live(queue)) - sum(_live(old))
            done = sum(_finished(queue)) - sum(_finished(old))
            found[queue.name] = Rates(
                live / seconds,
                max(0, done) / seconds if queue.keeps_finished else None,
            )
    return found


def _counts(queue: QueueOverview) -> list[int]:
    """Return the counts: INVISIBLE, PENDING, RUNNING, COMPLETED, CANCELED, ERRORED."""
    return [count for _, count in sorted(queue.counts.items())]


def _live(queue: QueueOverview) -> list[int]:
    return _counts(queue)[:3]


def _finished(queue: QueueOverview) -> list[int]:
    return _counts(queue)[3:]


def blocks(view: Overview, speed: dict[str, Rates]) -> list[Block]:
    """Say what there is, as texts."""
    queues = sorted(view.queues, key=lambda queue: (-sum(_live(queue)), queue.name))
    return [
        Block(
            (
                *("QUEUE", "PENDING", "RUNNING", "DEAD", "OLDEST READY", "INVISIBLE"),
                *("NET/S", "DONE/S", "STATUS"),
            ),
            [_queue_cells(queue, speed.get(queue.name)) for queue in queues],
            "no queues; create one with: trioqueue queue create NAME",
        ),
        Block(
            ("WORKER", "STATUS", "RUNNING", "LAST BEAT", "QUEUES", "PID", "HOST"),
            [_worker_cells(worker, view) for worker in view.workers],
            "no worker is alive; start one with: trioqueue worker MODULE:APP",
        ),
        Block(
            ("SCHEDULE", "NEXT RUN", "IN", "QUEUE"),
            [_run_cells(run, view) for run in view.schedules],
            "no schedule will run",
        ),
    ]


def _queue_cells(queue: QueueOverview, speed: Rates | None) -> tuple[str, ...]:
    invisible, pending, running, _, _, dead = _counts(queue)
    oldest = queue.oldest_ready_seconds
    done = None if speed is None else speed.finished
    return (
        queue.name,
        *map(str, (pending, running, dead)),
        "-" if oldest is None else age(oldest),
        str(invisible),
        "-" if speed is None else f"{_one_digit(speed.net):+g}",
        "-" if done is None else f"{_one_digit(done):g}",
        "paused" if queue.paused else "-",
    )


def _worker_cells(worker: WorkerInfo, view: Overview) -> tuple[str, ...]:
    return (
        safe(worker.worker_id),
        worker_status(worker),
        f"{worker.running}/{worker.concurrency}",
        f"{age((view.at - worker.last_beat).total_seconds())} ago",
        ",".join(worker.queues),
        str(worker.pid),
        safe(worker.host),
    )


def _run_cells(run: NextRun, view: Overview) -> tuple[str, ...]:
    seconds = (run.next_run - view.at).total_seconds()
    return (
        safe(run.schedule_id),
        f"{run.next_run:%Y-%m-%d %H:%M:%S}Z",
        age(seconds) if seconds > 0 else "now",
        run.queue,
    )


def _one_digit(value: float) -> float:
    return round(value, 1) if abs(value) < 100 else round(value)


def age(seconds: float) -> str:
    """Write a span in at most two units, so that a column of them is narrow."""
    whole = max(0, int(seconds))
    for unit, size, below, part in (("d", 86400, "h", 3600), ("h", 3600, "m", 60)):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // part}{below}"
    return f"{whole // 60}m{whole % 60}s" if whole >= 60 else f"{whole}s"


def screen(
    view: Overview,
    speed: dict[str, Rates],
    *,
    width: int,
    height: int | None = None,
    title: str = "",
    footer: str = "",
    bold: bool = False,
) -> list[str]:
    """Lay everything out, in no more lines and cells than there are.

    Args:
        view: What there is.
        speed: What happens in each second, by queue.
        width: Cells of a line.
        height: Lines (None: any number).
        title: The first line ("": none).
        footer: The last line ("": none).
        bold: Whether headers stand out.
    """
    parts = blocks(view, speed)
    around = bool(title) + bool(footer)
    limits = _share(parts, None if height is None else height - around)
    lines = [title] if title else []
    for part, limit in zip(parts, limits, strict=True):
        if limit:
            lines += [""] if lines else []
            lines += _block(part, limit - 1, width, bold=bold)
    if footer:
        # Below all the rest, or in place of what would be the last line.
        lines = lines[: None if height is None else height - 1]
        lines += (
            ["", footer] if height is None or len(lines) + 2 <= height else [footer]
        )
    return [line if line.startswith(BOLD) else cut(line, width) for line in lines]


def _share(parts: Sequence[Block], height: int | None) -> list[int]:
    """Return how many lines, header and gap included, each part may take."""
    wanted = [2 + max(1, len(part.rows)) for part in parts]
    if height is None or sum(wanted) <= height:
        return wanted
    given = [0] * len(parts)
    rest = height
    for place in range(len(parts)):
        # A gap, a header, and a row at least; or the part is not there at all.
        if rest >= 3:
            given[place] = 3
            rest -= 3
    while rest and any(g and g < w for g, w in zip(given, wanted, strict=True)):
        for place, most in enumerate(wanted):
            if rest and given[place] and given[place] < most:
                given[place] += 1
                rest -= 1
    return given


def _block(part: Block, limit: int, width: int, *, bold: bool) -> list[str]:
    """Write a header and rows; `limit` counts both."""
    rows = part.rows
    more = ""
    if len(rows) > limit - 1:
        shown = max(1, limit - 2)
        more = f"... and {len(rows) - shown} more" if limit > 2 else ""
        rows = rows[:shown]
    columns = [
        [header, *(row[place] for row in rows)]
        for place, header in enumerate(part.columns)
    ]
    widths = [max(map(text_width, column)) for column in columns]
    kept = _fitting(widths, width)
    if kept:
        excess = sum(widths[place] for place in kept) + len(GAP) * (len(kept) - 1)
        widths[0] = max(1, widths[0] - max(0, excess - width))
    lines = []
    for line in zip(*columns, strict=True):
        cells = [fill(line[place], widths[place]) for place in kept]
        lines.append(cut(GAP.join(cells).rstrip(), width))
    if bold:
        lines[0] = f"{BOLD}{lines[0]}{PLAIN}"
    if not part.rows:
        lines.append(cut(part.empty, width))
    return lines + ([more] if more else [])


def _fitting(widths: list[int], width: int) -> list[int]:
    """Return the columns that fit, the least important ones left out."""
    kept = list(range(len(widths)))
    while len(kept) > 1:
        least = min(widths[0], NARROWEST) + sum(
            widths[place] + len(GAP) for place in kept[1:]
        )
        if least <= width:
            break
        kept.pop()
    return kept
