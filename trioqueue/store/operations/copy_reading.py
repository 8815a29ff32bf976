"""Reading a store to copy it: all that is there, page by page.

A copy reads many times, so it first takes a `Survey` and takes it again at the end: if
nothing changed in between, the pages together are one state of the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from trioqueue.store.operations.copy_rows import (
    CopiedCalendar,
    CopiedFinished,
    CopiedLive,
    CopiedQueue,
    CopiedRun,
    CopiedSchedule,
    CopiedSchema,
)
from trioqueue.store.operations.core import Fetch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioqueue.store.operations.core import Operation, Row

PAGE_ROWS: Final = 500
PAGE_BYTES: Final = 8 * 1024 * 1024
"""About so much a page holds at most, or else one message."""
ENDLESS: Final = 2**63 - 1


class Survey(NamedTuple):
    """A store as a whole; two are equal if nothing changed between them."""

    last_ticket: int
    sums: tuple[Row, ...]
    """Totals that no change of messages leaves as they were."""
    queues: tuple[CopiedQueue, ...]
    calendars: tuple[CopiedCalendar, ...]
    schedules: tuple[Row, ...]
    """(row, id, version, state, reason) of each."""
    first_id: int
    """No message has a lower number."""
    schemas: tuple[CopiedSchema, ...] = ()

    @property
    def live(self) -> int:
        """How many messages are live."""
        count: int = self.sums[0][0]
        return count

    @property
    def finished(self) -> int:
        """How many finished messages are kept."""
        count: int = self.sums[1][0]
        return count

    @property
    def attempts(self) -> int:
        """How many attempts are on record."""
        count: int = self.sums[1][1]
        return count

    @property
    def runs(self) -> int:
        """How many runs of schedules are on record."""
        count: int = self.sums[1][2]
        return count


class Page(NamedTuple):
    """Some messages, their attempts, and where the next page begins."""

    rows: Sequence[Row]
    attempts: Sequence[Row]
    last: int


def survey() -> Operation[Survey]:
    """Look at a whole store."""
    ((ticket, live_id, finished_id),) = yield Fetch("copy_extent")
    sums = yield Fetch("copy_live_sums")
    more = yield Fetch("copy_other_sums")
    queues = yield Fetch("copy_queues")
    calendars = yield Fetch("copy_calendars")
    schedules = yield Fetch("copy_schedule_states")
    schemas = yield Fetch("copy_schemas")
    known = [number for number in (live_id, finished_id) if number is not None]
    return Survey(
        last_ticket=ticket,
        sums=(tuple(map(int, sums[0])), tuple(map(_whole, more[0]))),
        queues=tuple(map(CopiedQueue._make, queues)),
        calendars=tuple(map(CopiedCalendar._make, calendars)),
        schedules=tuple(map(tuple, schedules)),
        first_id=min(known, default=ticket),
        schemas=tuple(map(CopiedSchema._make, schemas)),
    )


def _whole(value: int | None) -> int:
    return 0 if value is None else int(value)


def count_queue(queue_id: int) -> Operation[dict[int, int]]:
    """Count a queue's messages by state."""
    return dict((yield Fetch("count_states", {"queue_id": queue_id})))


def count_kept(first: int, last: int, horizon: int) -> Operation[int]:
    """Count what no clean-up deletes before an instant: messages by their numbers."""
    rows = yield Fetch("copy_kept", {"first": first, "last": last, "horizon": horizon})
    count: int = rows[0][0]
    return count


def live_page(after: int) -> Operation[Page | None]:
    """Read live messages after a number; None if there are none."""
    last = _last((yield Fetch("copy_live_sizes", _window(after))))
    if last is None:
        return None
    span = {"after": after, "last": last}
    rows = yield Fetch("copy_live", span)
    attempts = yield Fetch("copy_live_attempts", span)
    return Page(list(map(CopiedLive._make, rows)), attempts, last)


def finished_page(after: int) -> Operation[Page | None]:
    """Read finished messages after a number; None if there are none."""
    last = _last((yield Fetch("copy_finished_sizes", _window(after))))
    if last is None:
        return None
    span = {"after": after, "last": last}
    rows = yield Fetch("copy_finished", span)
    attempts = yield Fetch("copy_finished_attempts", span)
    return Page(list(map(CopiedFinished._make, rows)), attempts, last)


def _window(after: int) -> dict[str, int]:
    return {"after": after, "limit": PAGE_ROWS}


def _last(sizes: Sequence[Row]) -> int | None:
    """Return where a page ends; None if there is nothing to read."""
    last, total = None, 0
    for number, size in sizes:
        total += size
        if last is not None and total > PAGE_BYTES:
            break
        last = number
    return last


def schedule_page(after: int) -> Operation[list[CopiedSchedule]]:
    """Read schedules after a row."""
    rows = yield Fetch("copy_schedules", _window(after))
    return list(map(CopiedSchedule._make, rows))


def run_page(after: int) -> Operation[list[CopiedRun]]:
    """Read runs of schedules after one."""
    rows = yield Fetch("copy_runs", _window(after))
    return list(map(CopiedRun._make, rows))


def schemas_of_queue(queue_id: int) -> Operation[set[str]]:
    """List the schemas that a queue's messages were posted under."""
    rows = yield Fetch("copy_schemas_of_queue", {"queue_id": queue_id})
    return {row[0] for row in rows}


def first_of_queue(queue_id: int) -> Operation[list[int]]:
    """Return the lowest numbers of a queue's messages, if it has any."""
    rows = yield Fetch("copy_first_of_queue", {"queue_id": queue_id})
    return [number for number in rows[0] if number is not None]


class Taken(NamedTuple):
    """Names that a store has already."""

    kind: Literal["queue", "schedule", "business calendar", "schema"]
    names: tuple[str, ...]


def names_taken(
    queues: Sequence[str],
    schedules: Sequence[str],
    calendars: Sequence[str],
    schemas: Sequence[str] = (),
) -> Operation[list[Taken]]:
    """List which names a store has already."""
    found: list[Taken] = []
    rows = yield Fetch("queues_by_name", {"names": list(queues)})
    if rows:
        found.append(Taken("queue", tuple(sorted(row[1] for row in rows))))
    wanted = set(schedules)
    rows = yield Fetch("copy_schedule_states")
    if names := sorted(row[1] for row in rows if row[1] in wanted):
        found.append(Taken("schedule", tuple(names)))
    rows = yield Fetch("business_calendars_by_id", {"calendar_ids": list(calendars)})
    if rows:
        found.append(Taken("business calendar", tuple(sorted(row[0] for row in rows))))
    rows = yield Fetch("schemas_named", {"schema_ids": list(schemas)})
    if rows:
        found.append(Taken("schema", tuple(sorted(row[0] for row in rows))))
    return found


def unfinished() -> Operation[bool]:
    """Say whether a copy into this store was begun and never completed."""
    rows = yield Fetch("copy_mark_seen", {"key": "copy"})
    return bool(rows)
