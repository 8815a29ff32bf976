"""Finding messages by what they are, over all queues and states.

A message keeps its row's number when it finishes, so numbers are the order in which
all of them, live and finished, are looked at: whoever goes on after a number sees each
message once, whatever happens meanwhile.  Rows are looked at a bounded part at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from trioqueue.errors import MessageNotFoundError
from trioqueue.model.message import MessageState
from trioqueue.store.operations.core import Fetch
from trioqueue.store.operations.criteria import (
    ENDLESS,
    Criteria,
    Found,
    criteria_of,
    ids_of,
    narrow,
)
from trioqueue.store.operations.dead_letters import Scope, letters_from, position
from trioqueue.store.operations.rows import (
    FinishedRow,
    LiveRow,
    attempt_record,
    queue_named,
    queues_by_id,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioqueue.model.message import AttemptRecord, DeadLetter, Message
    from trioqueue.model.message_filter import MessageFilter
    from trioqueue.store.operations.core import Operation

SCAN_ROWS: Final = 2000
"""Rows of a table that one transaction looks at."""
NAMES_AT_ONCE: Final = 500
NEWEST: Final = (ENDLESS, ENDLESS)
"""The place before all dead letters, newest first."""


class DeadFound(NamedTuple):
    """A row of a dead letter, without what may be large."""

    id: int
    queue_id: int
    message_id: str
    state: int
    size: int
    created_at: int
    reason: str | None
    finished_at: int


class Extent(NamedTuple):
    """Where the numbers of rows begin and end at present."""

    before: int
    newest: int


def extent() -> Operation[Extent]:
    """Return between which numbers all rows are."""
    ((*numbers,),) = yield Fetch("row_extent")
    known = [number for number in numbers if number is not None]
    return Extent(min(known) - 1, max(known)) if known else Extent(0, 0)


class Part(NamedTuple):
    """What was found in a part of the rows, and where the next part begins."""

    found: list[Found]
    end: int


def look(criteria: Criteria, after: int, newest: int) -> Operation[Part]:
    """Look at the rows after a number, a bounded part of those up to `newest`."""
    end = newest
    tables = [
        name
        for name, states in (("live", criteria.live), ("finished", criteria.finished))
        if states
    ]
    place = {"after": after, "newest": newest, "skip": SCAN_ROWS - 1}
    for table in tables:
        name = "live_span_end" if table == "live" else "finished_span_end"
        rows = yield Fetch(name, place)
        if rows:
            end = min(end, rows[0][0])
    found: list[Found] = []
    for table in tables:
        name = "live_span" if table == "live" else "finished_span"
        rows = yield criteria.fetch(name, after=after, last=end)
        found += map(Found._make, rows)
    found.sort()
    return Part((yield from narrow(criteria, found)), end)


def look_up(criteria: Criteria, ids: Sequence[str]) -> Operation[list[Found]]:
    """Look for messages by their ids, in the order of their numbers."""
    found: list[Found] = []
    for start in range(0, len(ids), NAMES_AT_ONCE):
        named = list(ids[start : start + NAMES_AT_ONCE])
        for name, states in (
            ("live_named", criteria.live),
            ("finished_named", criteria.finished),
        ):
            if states and criteria.queue_ids:
                rows = yield criteria.fetch(name, message_ids=named)
                found += map(Found._make, rows)
    found.sort()
    return (yield from narrow(criteria, found))


def names_of(queue_ids: Sequence[int]) -> Operation[dict[int, str]]:
    """Return queues' names; those that are gone are missing."""
    queues = yield from queues_by_id(queue_ids)
    return {queue.queue_id: queue.name for queue in queues.values()}


class DeadPart(NamedTuple):
    """Dead letters that fit, newest first, and where the next part begins."""

    found: list[Found]
    before: tuple[int, int]
    at_end: bool


def scopes_of(criteria: Criteria) -> list[Scope]:
    """Return where all that fits is to be found among dead letters, if it is there.

    Each scope has an index, so that nothing else needs to be looked at.
    """
    if criteria.scope is not None:
        return [criteria.scope]
    dead = [int(MessageState.ERRORED)]
    if criteria.live or criteria.finished != dead or criteria.queue_ids is None:
        return []
    return [Scope("queue", queue_id) for queue_id in criteria.queue_ids]


def look_at_dead(criteria: Criteria, before: tuple[int, int]) -> Operation[DeadPart]:
    """Look at the dead letters under the filter's name that died before others."""
    scope = criteria.scope
    if scope is None:
        return DeadPart([], before, at_end=True)
    rows = yield scope.fetch(
        "dead_span", before_at=before[0], before_id=before[1], limit=SCAN_ROWS
    )
    seen = list(map(DeadFound._make, rows))
    found = [Found(*row[:5]) for row in seen if _fits(criteria, row)]
    if seen:
        before = (seen[-1].finished_at, seen[-1].id)
    fitting = yield from narrow(criteria, found)
    return DeadPart(fitting, before, at_end=len(seen) < SCAN_ROWS)


def _fits(criteria: Criteria, row: DeadFound) -> bool:
    return (
        row.state in criteria.finished
        and criteria.since <= row.created_at < criteria.until
        and criteria.reason in (None, row.reason)
        and (criteria.queue_ids is None or row.queue_id in criteria.queue_ids)
        and (criteria.ids is None or row.message_id in criteria.ids)
    )


class Page(NamedTuple):
    """A part of a page: its messages, and how to go on."""

    messages: list[Message]
    last: int
    """The number of the last of them, if there is any."""
    more: bool
    """Whether another message fits that found no room."""
    end: int
    at_end: bool


def page(criteria: Criteria, after: int, room: int) -> Operation[Page]:
    """Show the messages that fit, of a bounded part of the rows after a number."""
    if criteria.ids is None:
        found, end = yield from look(criteria, after, ENDLESS)
    else:
        found = yield from look_up(criteria, sorted(criteria.ids))
        found = [each for each in found if each.id > after]
        end = ENDLESS
    chosen = found[:room]
    messages = yield from _messages(chosen)
    last = chosen[-1].id if chosen else after
    return Page(messages, last, len(found) > room, end, end == ENDLESS)


def _messages(found: Sequence[Found]) -> Operation[list[Message]]:
    """Show messages to users, with their attempts."""
    if not found:
        return []
    rows: dict[int, LiveRow | FinishedRow] = {}
    for row in (yield Fetch("live_by_row", ids_of(found))):
        rows[row[0]] = LiveRow._make(row)
    for row in (yield Fetch("finished_by_row", ids_of(found))):
        rows[row[0]] = FinishedRow._make(row)
    records: dict[int, tuple[AttemptRecord, ...]] = {}
    for message_row, *rest in (yield Fetch("attempts_of_rows", ids_of(found))):
        known = records.get(message_row, ())
        records[message_row] = (*known, attempt_record(tuple(rest)))
    queues = yield from queues_by_id({each.queue_id for each in found})
    messages = []
    for each in found:
        row = rows[each.id]
        attempts = records.get(each.id, ())
        if isinstance(row, LiveRow):
            attempts += row.running_attempt()
        messages.append(row.to_message(queues[each.queue_id].name, attempts))
    return messages


def number_of(queue_name: str, message_id: str) -> Operation[int]:
    """Return the number of a message's row, for a page to go on after it.

    Raises:
        QueueNotFoundError, MessageNotFoundError: There is no such thing.
    """
    queue = yield from queue_named(queue_name)
    everything = Criteria([queue.queue_id], [0, 1, 2], [3, 4, 5], -ENDLESS, ENDLESS)
    found = yield from look_up(everything, [message_id])
    if not found:
        hint = "the page cannot go on after it; start again without after="
        raise MessageNotFoundError(queue_name, message_id, hint)
    return found[0].id


def dead_start(
    wanted: MessageFilter, after: tuple[str, str] | str | None
) -> Operation[tuple[Criteria, tuple[int, int]]]:
    """Return which dead letters to look for, and where to begin.

    Raises:
        QueueNotFoundError, MessageNotFoundError: There is no such thing.
    """
    criteria = yield from criteria_of(wanted)
    start = NEWEST
    if after is not None and criteria.scope is not None:
        name = wanted.dead_letters_under or ""
        start = yield from position(criteria.scope, name, after)
    return criteria, start


def dead_page(
    criteria: Criteria, before: tuple[int, int], room: int
) -> Operation[tuple[list[DeadLetter], DeadPart]]:
    """Show the dead letters that fit, of a bounded part."""
    part = yield from look_at_dead(criteria, before)
    chosen = part.found[:room]
    rows = yield Fetch("finished_by_row", ids_of(chosen))
    by_id = {row[0]: FinishedRow._make(row) for row in rows}
    letters = yield from letters_from([by_id[each.id] for each in chosen])
    return letters, part
