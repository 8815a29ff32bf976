"""What a filter asks for, and which rows fit in the points that SQL is not asked.

What SQL of both kinds says alike is asked there; metadata, errors and tasks are read
here, of those that fit otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from trioqueue.errors import QueueNotFoundError
from trioqueue.model.message import LIVE_STATES, MessageState
from trioqueue.model.payload import (
    EncodingProblem,
    decode_json,
    encode_json,
    is_json,
    same_json,
)
from trioqueue.model.spans import instant_to_micros
from trioqueue.store.operations.core import Fetch
from trioqueue.store.operations.dead_letters import scope_of
from trioqueue.store.operations.rows import queues_by_name

if TYPE_CHECKING:
    from trioqueue.model.message_filter import MessageFilter
    from trioqueue.store.operations.core import Operation
    from trioqueue.store.operations.dead_letters import Scope

PAYLOAD_BYTES: Final = 4 * 1024 * 1024
"""About so much of payloads is read at once, or else one payload."""
ENDLESS: Final = 2**63 - 1


class Criteria(NamedTuple):
    """A filter, as the queries and `narrow` need it."""

    queue_ids: list[int] | None
    live: list[int]
    finished: list[int]
    since: int
    until: int
    reason: str | None = None
    dead_name: str | None = None
    scope: Scope | None = None
    ids: frozenset[str] | None = None
    task: str | None = None
    error: str | None = None
    metadata: tuple[tuple[str, Any, bytes], ...] = ()

    def fetch(self, name: str, **more: Any) -> Fetch:
        """Make a query that looks for fitting rows of one table."""
        live = name.startswith("live")
        parameters = {
            "states": self.live if live else self.finished,
            "since": self.since,
            "until": self.until,
            "queue_ids": self.queue_ids,
            **more,
        }
        if not live:
            parameters |= {"reason": self.reason, "dead_name": self.dead_name}
        return Fetch(name, parameters)


class Found(NamedTuple):
    """A message that fits, and how large its payload is."""

    id: int
    queue_id: int
    message_id: str
    state: int
    size: int


def criteria_of(wanted: MessageFilter) -> Operation[Criteria]:
    """Look up what a filter names.

    Raises:
        QueueNotFoundError: There is no such queue, or name of dead letters.
    """
    queue_ids: list[int] | None = None
    if wanted.queues is not None:
        known = yield from queues_by_name(wanted.queues)
        for name in wanted.queues:
            if name not in known:
                raise QueueNotFoundError(name)
        queue_ids = [queue.queue_id for queue in known.values()]
    elif wanted.ids is not None:
        queue_ids = [row[0] for row in (yield Fetch("every_queue"))]
    states = set(MessageState if wanted.states is None else wanted.states)
    scope = None
    dead_name = None
    if wanted.dead_letters_under is not None:
        scope = yield from scope_of(wanted.dead_letters_under)
        if scope.kind == "name":
            dead_name = str(scope.value)
        elif queue_ids is None or scope.value in queue_ids:
            queue_ids = [int(scope.value)]
        else:
            queue_ids = []
    if wanted.reason is not None or scope is not None:
        states &= {MessageState.ERRORED}
    return Criteria(
        queue_ids=queue_ids,
        live=sorted(int(state) for state in states if state in LIVE_STATES),
        finished=sorted(int(state) for state in states if state not in LIVE_STATES),
        since=_micros(wanted.since, -ENDLESS),
        until=_micros(wanted.until, ENDLESS),
        reason=wanted.reason,
        dead_name=dead_name,
        scope=scope,
        ids=None if wanted.ids is None else frozenset(wanted.ids),
        task=wanted.task,
        error=None if wanted.error is None else wanted.error.casefold(),
        metadata=tuple((k, v, encode_json(v)) for k, v in wanted.metadata.items()),
    )


def _micros(instant: Any, otherwise: int) -> int:
    return otherwise if instant is None else instant_to_micros(instant, "instant")


def narrow(criteria: Criteria, found: list[Found]) -> Operation[list[Found]]:
    """Keep what fits in those points too that the queries do not ask for."""
    if criteria.metadata and found:
        rows = yield Fetch("metadata_of", ids_of(found))
        fits = {row[0] for row in rows if _has_metadata(row[1], criteria.metadata)}
        found = [each for each in found if each.id in fits]
    if criteria.error is not None and found:
        rows = yield Fetch("last_errors_of", ids_of(found))
        fits = {row[0] for row in rows if _has_error(row[1:], criteria.error)}
        found = [each for each in found if each.id in fits]
    if criteria.task is not None and found:
        fits = set()
        for some in _by_size(found):
            rows = yield Fetch("payloads_of", ids_of(some))
            fits |= {row[0] for row in rows if _task_of(*row[1:]) == criteria.task}
        found = [each for each in found if each.id in fits]
    return found


def ids_of(found: Iterable[Found]) -> dict[str, list[int]]:
    """Return the parameters of a query that asks for these rows."""
    return {"ids": [each.id for each in found]}


def _by_size(found: Sequence[Found]) -> Iterator[list[Found]]:
    some: list[Found] = []
    total = 0
    for each in found:
        if some and total + each.size > PAYLOAD_BYTES:
            yield some
            some, total = [], 0
        some.append(each)
        total += each.size
    if some:
        yield some


def _has_metadata(
    stored_text: str | None, wanted: Sequence[tuple[str, Any, bytes]]
) -> bool:
    try:
        stored = {} if stored_text is None else json.loads(stored_text)
        return all(
            key in stored
            and stored[key] == value  # quick, and true of all that are the same
            and same_json(text, encode_json(stored[key]))
            for key, value, text in wanted
        )
    except (ValueError, TypeError):
        return False  # no JSON object: somebody else has written it


def _has_error(texts: Sequence[str | None], wanted: str) -> bool:
    return any(text is not None and wanted in text.casefold() for text in texts)


def _task_of(content_type: str, payload: bytes) -> str | None:
    """Return which task of an app a payload calls, if any."""
    if not is_json(content_type):
        return None
    try:
        call = decode_json(payload)
    except EncodingProblem:
        return None
    task = call.get("task") if isinstance(call, dict) else None
    return task if isinstance(task, str) else None
