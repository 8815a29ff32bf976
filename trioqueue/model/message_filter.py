"""Which messages are meant: by queue, state, task, error, time, id, metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, final

import attrs

from trioqueue.errors import Issue, ValidationError
from trioqueue.model.message import MessageState
from trioqueue.model.payload import EncodingProblem, encode_json
from trioqueue.model.queue import queue_name_issues
from trioqueue.model.spans import instant_to_micros


def _as_tuple(value: Any) -> Any:
    """Keep what may be listed; a str is one thing, and no list of its letters."""
    if value is None or isinstance(value, (str, bytes, Mapping)):
        return value
    return tuple(value) if isinstance(value, Iterable) else value


@final
@attrs.frozen(kw_only=True)
class MessageFilter:
    """Which messages are meant: those to which all that is given applies.

    What is None, or no metadata, says nothing; an empty list fits no message.

    Attributes:
        queues: Only in these queues.
        states: Only in these states.
        task: Only calls of this task of an `App`.
        error: Only where the last attempt that failed has this in its error's type or
            text; upper and lower case are alike.
        since: Only posted at this instant or later.
        until: Only posted before this instant.
        ids: Only these message ids.
        metadata: Only with these values under these keys.
        reason: Only dead letters that died for this reason.
        dead_letters_under: Only dead letters under this name: a dead letter queue's
            (whichever queue they came from), or a queue's (its own).

    Raises:
        ValidationError: Something is wrong; every problem is named by its field.
    """

    queues: tuple[str, ...] | None = attrs.field(default=None, converter=_as_tuple)
    states: tuple[MessageState, ...] | None = attrs.field(
        default=None, converter=_as_tuple
    )
    task: str | None = None
    error: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    ids: tuple[str, ...] | None = attrs.field(default=None, converter=_as_tuple)
    metadata: Mapping[str, Any] = attrs.field(factory=dict)
    reason: str | None = None
    dead_letters_under: str | None = None

    def __attrs_post_init__(self) -> None:
        issues = [
            *_list_issues(self.queues, "queues", str),
            *_list_issues(self.states, "states", MessageState),
            *_list_issues(self.ids, "ids", str),
            *_text_issues(self.task, "task"),
            *_text_issues(self.error, "error"),
            *_text_issues(self.reason, "reason"),
            *_span_issues(self.since, self.until),
            *_metadata_issues(self.metadata),
        ]
        if not issues:
            for index, name in enumerate(self.queues or ()):
                issues += queue_name_issues(name, f"queues[{index}]")
        if self.dead_letters_under is not None:
            issues += queue_name_issues(self.dead_letters_under, "dead_letters_under")
        if issues:
            raise ValidationError(issues)

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing, so that every message fits."""
        return self == MessageFilter()


def _list_issues(value: Any, field: str, kind: type) -> list[Issue]:
    if value is None:
        return []
    if not isinstance(value, tuple):
        return [Issue(field, f"expected several {kind.__name__}, got {value!r}")]
    issues = []
    for index, item in enumerate(value):
        if not isinstance(item, kind):
            issues.append(
                Issue(f"{field}[{index}]", f"expected {kind.__name__}, got {item!r}")
            )
        elif isinstance(item, str):
            issues += _text_issues(item, f"{field}[{index}]")
    return issues


def _text_issues(value: Any, field: str) -> list[Issue]:
    if value is None:
        return []
    if not isinstance(value, str):
        return [Issue(field, f"expected a str, got {value!r}")]
    if not value:
        return [Issue(field, "must not be empty; leave it out to have any")]
    if "\0" in value or (not value.isprintable() and _is_broken(value)):
        return [Issue(field, "holds a NUL or a lone surrogate")]
    return []


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _span_issues(since: Any, until: Any) -> list[Issue]:
    issues: list[Issue] = []
    instants = []
    for value, field in ((since, "since"), (until, "until")):
        if value is None:
            continue
        try:
            instants.append(instant_to_micros(value, field))
        except ValidationError as error:
            issues += error.issues
    if len(instants) == 2 and instants[0] >= instants[1]:
        issues.append(Issue("until", "must be later than since"))
    return issues


def _metadata_issues(value: Any) -> list[Issue]:
    if not isinstance(value, Mapping):
        return [Issue("metadata", f"expected a mapping, got {value!r}")]
    issues = []
    for key, item in value.items():
        if not isinstance(key, str):
            issues.append(Issue("metadata", f"the key {key!r} is not a str"))
            continue
        try:
            encode_json(item)
        except EncodingProblem as problem:
            issues.append(Issue(f"metadata.{key}", str(problem)))
    return issues
