"""Messages against their schemas, inside the transaction that stores them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from trioqueue.errors import Issue, ValidationError
from trioqueue.model.payload import EncodingProblem, is_json
from trioqueue.schema.validating import (
    Budget,
    TooCostlyError,
    judge,
    judge_fully,
)
from trioqueue.store.operations.core import Fetch, schema_lock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trioqueue.model.queue import QueueOptions
    from trioqueue.store.operations.core import Operation
    from trioqueue.store.operations.post import Draft

QUICK_BYTES: Final = 8192
"""A message no larger than this may be validated while others wait for it ..."""
QUICK_STEPS: Final = 10_000
"""... if all of a transaction's together take no more than this: some 20 ms."""


class Verdict(NamedTuple):
    """What a schema has said of a message."""

    document: str
    issues: tuple[Issue, ...]


def verdict_on(document: str, content: bytes) -> Verdict:
    """Ask a schema, however long it takes (within bounds)."""
    try:
        return Verdict(document, judge_fully(document, content))
    except ValidationError as error:  # jsonschema is missing
        return Verdict(document, error.issues)


class UndecidedError(Exception):
    """A message must be validated outside of the transaction, and posted again."""

    def __init__(self, document: str) -> None:
        self.document = document
        super().__init__("it takes too long to validate in a transaction")


class Check(NamedTuple):
    """What has come of looking at one message."""

    schema_id: str | None = None
    version: int | None = None
    issues: tuple[Issue, ...] = ()
    undecided: UndecidedError | None = None


class _Wanted(NamedTuple):
    schema_id: str
    version: int | None


def check_drafts(
    drafts: Sequence[Draft],
    options: Mapping[str, QueueOptions],
    *,
    reading: bool = False,
) -> Operation[list[Check]]:
    """Validate messages, each against its own schema or its queue's.

    Args:
        drafts: The messages.
        options: Those of each queue.
        reading: Nothing will be stored, so that nothing need be held.
    """
    wanted = [_wanted(draft, options[draft.queue]) for draft in drafts]
    names = sorted({each.schema_id for each in wanted if isinstance(each, _Wanted)})
    known: dict[_Wanted, tuple[int, str]] = {}
    if names:
        if not reading:
            yield schema_lock(*names)
        known = yield from _find(names, wanted)
    budget = Budget(QUICK_STEPS)
    checks = []
    for draft, want in zip(drafts, wanted, strict=True):
        if not isinstance(want, _Wanted):
            checks.append(Check(draft.schema_id, draft.schema_version, want))
        elif want not in known:
            which = "" if want.version is None else f" {want.version}"
            message = (
                f"schema {want.schema_id!r} has no active version{which}; "
                "register one with register_schema"
            )
            checks.append(Check(*want, (Issue("schema_id", message),)))
        else:
            version, document = known[want]
            judged = _judge(draft, document, budget)
            checks.append(Check(want.schema_id, version, *judged))
    return checks


def _wanted(draft: Draft, options: QueueOptions) -> _Wanted | tuple[Issue, ...]:
    """Return which schema counts for a message, or what is wrong without one."""
    schema_id, version = draft.schema_id, draft.schema_version
    if schema_id is None:
        schema_id, version = options.schema_id, None
    if schema_id is None:
        if not options.schema_required:
            return ()
        message = "the queue requires one, and neither it nor the message names one"
        return (Issue("schema_id", message),)
    if is_json(draft.content_type):
        return _Wanted(schema_id, version)
    if draft.schema_id is None and not options.schema_required:
        return ()
    message = (
        f"{draft.content_type!r} cannot be validated by schema {schema_id!r}: "
        "only application/json can"
    )
    return (Issue("content_type", message),)


def _find(
    names: Sequence[str], wanted: Sequence[_Wanted | tuple[Issue, ...]]
) -> Operation[dict[_Wanted, tuple[int, str]]]:
    found: dict[_Wanted, tuple[int, str]] = {}
    if any(isinstance(each, _Wanted) and each.version is None for each in wanted):
        rows = yield Fetch("active_schemas", {"schema_ids": list(names)})
        for row in rows:
            found[_Wanted(row[0], None)] = (row[1], row[2])
    for want in {each for each in wanted if isinstance(each, _Wanted)}:
        if want.version is None:
            continue
        rows = yield Fetch("schema_version_of", want._asdict())
        if rows and rows[0][4]:  # active
            found[want] = (rows[0][1], rows[0][2])
    return found


def _judge(
    draft: Draft, document: str, budget: Budget
) -> tuple[tuple[Issue, ...], UndecidedError | None]:
    verdict = draft.verdict
    if verdict is not None and verdict.document == document:
        return verdict.issues, None
    try:
        if not draft.elsewhere:
            return judge_fully(document, draft.content), None
        if len(draft.content) <= QUICK_BYTES:
            return judge(document, draft.content, budget), None
    except TooCostlyError:
        pass
    except ValidationError as error:  # jsonschema is missing
        return error.issues, None
    except EncodingProblem as error:
        return (Issue("payload", str(error)),), None
    return (), UndecidedError(document)
