"""Validators of one's own, and the rest of the chain that a queue sets up.

A validator is a plain function without side effects, registered by name in every
process that posts; a queue names those that its messages must pass.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from trioqueue.errors import Issue, ValidationError
from trioqueue.model.payload import EncodingProblem, decode_payload
from trioqueue.model.queue import queue_name_issues

if TYPE_CHECKING:
    from trioqueue.model.queue import QueueOptions

Validator: TypeAlias = Callable[
    [Any, Mapping[str, Any]], Iterable[Issue | str] | str | None
]
"""Takes a payload and its metadata; says what is wrong, if anything."""

F = TypeVar("F", bound=Validator)

_KNOWN: Final[dict[str, Validator]] = {}


def validator(name: str) -> Callable[[F], F]:
    """Register a function under a name that queues can give in ``validators``.

    It is called with the payload as JSON has it and the metadata, for each message,
    inside the transaction that stores it: it must be quick, and must not wait, read or
    change anything.  It returns or yields what is wrong: an `Issue`, or a text about
    the payload.

    Raises:
        ValidationError: It is no name, it is taken, or the function is async.
    """
    if issues := queue_name_issues(name, "name"):
        raise ValidationError(issues)

    def register(function: F) -> F:
        if not callable(function) or inspect.iscoroutinefunction(function):
            raise ValidationError.of(
                "validator", f"must be a plain function, got {function!r}"
            )
        known = _KNOWN.get(name)
        if known is not None and _home(known) != _home(function):
            raise ValidationError.of("name", f"{name!r} is taken by {known!r}")
        _KNOWN[name] = function
        return function

    return register


def _home(function: object) -> tuple[object, object]:
    """Tell functions apart; one whose module was loaded again stays the same."""
    return getattr(function, "__module__", None), getattr(
        function, "__qualname__", function
    )


def chain_issues(
    options: QueueOptions, content: bytes, content_type: str, metadata: str | None
) -> list[Issue]:
    """List what a queue's required metadata and its validators say of a message."""
    values: dict[str, Any] = {} if metadata is None else json.loads(metadata)
    issues = [
        Issue("metadata", f"the queue requires the key {key!r}")
        for key in options.required_metadata
        if key not in values
    ]
    for name in options.validators:
        function = _KNOWN.get(name)
        if function is None:
            issues.append(
                Issue(
                    "queue",
                    f"has the validator {name!r}, which this process does not know; "
                    f"import the module that registers it with @validator({name!r})",
                )
            )
            continue
        try:
            # Anew for each: none may change what the next one sees.
            payload = decode_payload(content, content_type)
        except EncodingProblem as error:
            return [*issues, Issue("payload", str(error))]
        issues += _ask(name, function, payload, dict(values))
    return issues


def _ask(
    name: str, function: Validator, payload: Any, metadata: Mapping[str, Any]
) -> list[Issue]:
    try:
        answer = function(payload, metadata)
        if answer is None:
            return []
        found = [answer] if isinstance(answer, (str, Issue)) else list(answer)
    except Exception as error:  # noqa: BLE001  it fails this message, with its reason
        kind = type(error).__name__
        return [Issue("payload", f"the validator {name!r} raised {kind}: {error}")]
    return [
        each if isinstance(each, Issue) else Issue("payload", str(each))
        for each in found
    ]
