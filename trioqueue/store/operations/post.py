"""Posting: every message gets its own answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from trioqueue.errors import (
    Issue,
    QueueNotFoundError,
    ValidationError,
)
from trioqueue.metrics.catalogue import DUPLICATES, POSTED
from trioqueue.model.message import Message, MessageState, PostOutcome, PostResult
from trioqueue.model.spans import (
    micros_to_instant,
    optional_instant,
)
from trioqueue.policies.priority import claim_key
from trioqueue.store.operations.core import SCHEDULER, Failure, queue_lock, tickets
from trioqueue.store.operations.rows import (
    find_rows,
    insert_messages,
    queue_named,
    queues_by_name,
)
from trioqueue.store.operations.same_content import answer_stored, answer_twin
from trioqueue.validators import chain_issues

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from trioqueue.model.lease_policy import LeasePolicy
    from trioqueue.model.queue import QueueOptions
    from trioqueue.store.operations.core import Context, Operation
    from trioqueue.store.operations.rows import AnyRow, QueueRow
    from trioqueue.store.operations.schema_checks import Verdict

MAX_BATCH: Final = 10_000


class Draft(NamedTuple):
    """A message to post, encoded and checked as far as its queue need not be known."""

    queue: str
    message_id: str
    generated: bool
    """Whether the id was made here, so that nobody can have used it before."""
    content: bytes
    content_type: str
    metadata_text: str | None
    priority: int
    delay: int | None
    scheduled_at: int | None
    max_attempts: int | None
    lease_text: str | None
    payload: Any
    metadata: Mapping[str, Any]
    lease: LeasePolicy | None
    schema_id: str | None = None
    schema_version: int | None = None
    elsewhere: bool = False
    """Whether who posts it can have it validated outside of the transaction."""
    verdict: Verdict | None = None
    """What came of that."""


def limit_issues(draft: Draft, options: QueueOptions) -> list[Issue]:
    """List what a queue's own limits say against a message."""
    issues = []
    if len(draft.content) > options.max_payload_bytes:
        issues.append(
            Issue(
                "payload",
                f"is {len(draft.content)} bytes, the queue takes at most "
                f"{options.max_payload_bytes}; store it elsewhere and post a reference",
            )
        )
    text = draft.metadata_text
    if text is not None and (size := len(text.encode())) > options.max_metadata_bytes:
        issues.append(
            Issue(
                "metadata",
                f"is {size} bytes, the queue takes at most "
                f"{options.max_metadata_bytes}",
            )
        )
    allowed = options.content_types
    if allowed is not None and draft.content_type not in allowed:
        issues.append(
            Issue(
                "content_type",
                f"{draft.content_type!r} is not accepted by the queue; "
                f"use one of {', '.join(allowed)}",
            )
        )
    if options.required_metadata or options.validators:
        issues += chain_issues(
            options, draft.content, draft.content_type, draft.metadata_text
        )
    return issues


def needs_schema(draft: Draft, options: QueueOptions) -> bool:
    """Say whether a message has to do with schemas at all."""
    return (
        draft.schema_id is not None
        or options.schema_id is not None
        or options.schema_required
    )


def more_issues(
    queue_name: str, drafts: Sequence[Draft]
) -> Operation[list[list[Issue]]]:
    """List what a queue and its schemas say against messages, besides all else.

    Raises:
        QueueNotFoundError: There is no such queue.
    """
    options = (yield from queue_named(queue_name)).options
    found = [limit_issues(draft, options) for draft in drafts]
    if any(needs_schema(draft, options) for draft in drafts):
        from trioqueue.store.operations.schema_checks import check_drafts

        checks = yield from check_drafts(drafts, {queue_name: options}, reading=True)
        for each, check in zip(found, checks, strict=True):
            each.extend(check.issues)
    return found


def post(
    context: Context, drafts: Sequence[Draft]
) -> Operation[list[PostResult | Failure]]:
    """Store messages; each gets its own outcome, in order.

    The same id with the same content is a duplicate and returns what is stored; with
    other content it is a conflict.
    """
    names = {draft.queue for draft in drafts}
    yield queue_lock(*names)
    queues = yield from queues_by_name(names)
    answers: list[PostResult | Failure | None] = [None] * len(drafts)
    accepted: list[int] = []
    refused: dict[int, list[Issue]] = {}
    with_schemas = False
    for index, draft in enumerate(drafts):
        queue = queues.get(draft.queue)
        if queue is None:
            error = QueueNotFoundError(draft.queue)
            answers[index] = PostResult(PostOutcome.INVALID, None, error)
            continue
        options = queue.options
        with_schemas = with_schemas or needs_schema(draft, options)
        if issues := limit_issues(draft, options):
            refused[index] = issues
        else:
            accepted.append(index)
    twins = yield from _answer_known(drafts, accepted, queues, answers)
    fresh = [index for index in accepted if answers[index] is None]
    if with_schemas:
        # After that: what is stored stays answered, whatever its schema says by now.
        undecided, drafts = yield from _check_schemas(
            drafts, fresh, twins, queues, refused
        )
        fresh, twins = _without(fresh, twins, refused, undecided)
        for index, failure in undecided.items():
            answers[index] = failure
    for index, wrong in refused.items():
        answers[index] = PostResult(PostOutcome.INVALID, None, ValidationError(wrong))
    if fresh:
        yield from _insert(context, drafts, fresh, queues, answers)
    for index, first in twins:
        answers[index] = answer_twin(drafts[index], drafts[first], answers[first])
    if len(fresh) < len(drafts):
        _count_duplicates(context, drafts, answers)
    return answers  # type: ignore[return-value]  # every index has its answer now


def _count_duplicates(
    context: Context,
    drafts: Sequence[Draft],
    answers: Sequence[PostResult | Failure | None],
) -> None:
    for draft, answer in zip(drafts, answers, strict=True):
        if isinstance(answer, PostResult) and answer.outcome is PostOutcome.DUPLICATE:
            context.effects.count(DUPLICATES, draft.queue)


def _check_schemas(
    drafts: Sequence[Draft],
    fresh: Sequence[int],
    twins: Sequence[tuple[int, int]],
    queues: Mapping[str, QueueRow],
    refused: dict[int, list[Issue]],
) -> Operation[tuple[dict[int, Failure], Sequence[Draft]]]:
    """Look at what is not stored yet; what is wrong with it is added to `refused`.

    Returns:
        Those that must be validated elsewhere, and the drafts with their versions.
    """
    # Here, because a queue without schemas should not pay for them.
    from trioqueue.store.operations.schema_checks import check_drafts

    looked_at = sorted({*fresh, *refused, *(index for index, _ in twins)})
    options = {name: queue.options for name, queue in queues.items()}
    checks = yield from check_drafts([drafts[i] for i in looked_at], options)
    undecided: dict[int, Failure] = {}
    changed = list(drafts)
    for index, check in zip(looked_at, checks, strict=True):
        changed[index] = drafts[index]._replace(
            schema_id=check.schema_id, schema_version=check.version
        )
        if check.issues:
            refused[index] = refused.get(index, []) + list(check.issues)
        elif check.undecided is not None and index not in refused:
            undecided[index] = Failure(check.undecided)
    return undecided, changed


def _without(
    fresh: Sequence[int],
    twins: Sequence[tuple[int, int]],
    refused: Collection[int],
    undecided: Collection[int],
) -> tuple[list[int], list[tuple[int, int]]]:
    """Take out what is refused; the next of the same id takes its place."""
    good = [index for index in fresh if index not in refused and index not in undecided]
    heirs: dict[int, int] = {}
    kept = []
    for index, first in twins:
        if index in refused or index in undecided:
            continue
        if first in refused:
            heir = heirs.setdefault(first, index)
            if heir != index:
                kept.append((index, heir))
        else:
            kept.append((index, first))
    return sorted([*good, *heirs.values()]), kept


def _answer_known(
    drafts: Sequence[Draft],
    accepted: list[int],
    queues: Mapping[str, QueueRow],
    answers: list[PostResult | Failure | None],
) -> Operation[list[tuple[int, int]]]:
    """Answer drafts whose id the store knows; return those that repeat in the batch.

    A pair (index, first) says that the draft at `index` has the id of an earlier one,
    and must be answered after it; it is taken out of `accepted`.
    """
    named: dict[tuple[str, str], int] = {}
    twins = []
    for index in accepted:
        draft = drafts[index]
        if draft.generated:
            continue
        first = named.setdefault((draft.queue, draft.message_id), index)
        if first != index:
            twins.append((index, first))
    if not named:
        return twins
    by_queue: dict[str, list[str]] = {}
    for queue_name, message_id in named:
        by_queue.setdefault(queue_name, []).append(message_id)
    stored: dict[int, AnyRow] = {}
    for queue_name, message_ids in by_queue.items():
        found = yield from find_rows(queues[queue_name].queue_id, message_ids)
        for message_id, row in found.items():
            index = named[queue_name, message_id]
            stored[index] = row
            answers[index] = answer_stored(drafts[index], row)
    for index, first in twins:
        if first in stored:
            answers[index] = answer_stored(drafts[index], stored[first])
    unanswered = [pair for pair in twins if answers[pair[0]] is None]
    repeated = {index for index, _ in unanswered}
    accepted[:] = [index for index in accepted if index not in repeated]
    return unanswered


def _insert(
    context: Context,
    drafts: Sequence[Draft],
    fresh: list[int],
    queues: Mapping[str, QueueRow],
    answers: list[PostResult | Failure | None],
) -> Operation[None]:
    numbers = yield from tickets(len(fresh))
    now, effects = context.now, context.effects
    created_at = micros_to_instant(now)
    posted, invisible = PostOutcome.POSTED, MessageState.INVISIBLE
    rows = []
    if len(queues) == 1:
        effects.count(POSTED, drafts[fresh[0]].queue, n=len(fresh))
    else:
        for index in fresh:
            effects.count(POSTED, drafts[index].queue)
    for index, ticket in zip(fresh, numbers, strict=True):
        draft = drafts[index]
        queue = queues[draft.queue]
        maximum = draft.max_attempts
        if maximum is None:
            maximum = queue.options.max_attempts
        scheduled = draft.scheduled_at
        if draft.delay is not None:
            scheduled = now + draft.delay
        if scheduled is not None and scheduled > now:
            state, due, ready = invisible, scheduled, scheduled
            effects.add_due(SCHEDULER, scheduled)
        else:
            state, due, ready = MessageState.PENDING, None, now
            effects.ready.add(draft.queue)
        rows.append(
            (
                ticket,
                queue.queue_id,
                draft.message_id,
                int(state),
                draft.priority,
                claim_key(draft.priority, ready),
                ticket,
                due,
                now,
                scheduled,
                draft.delay,
                maximum,
                draft.lease_text,
                draft.content_type,
                draft.metadata_text,
                draft.content,
                draft.schema_id,
                draft.schema_version,
            )
        )
        answers[index] = PostResult(
            posted,
            Message(
                draft.queue,
                draft.message_id,
                draft.payload,
                draft.content_type,
                draft.metadata,
                draft.priority,
                state,
                created_at,
                optional_instant(scheduled),
                0,
                maximum,
                None,
                draft.lease,
                schema_id=draft.schema_id,
                schema_version=draft.schema_version,
            ),
        )
    named = [
        (queues[drafts[index].queue].queue_id, drafts[index].message_id)
        for index in fresh
        if not drafts[index].generated
    ]
    yield from insert_messages(context, rows, named)
