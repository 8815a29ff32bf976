"""What callers ask an executor for, and who can be served together.

Requests for the same batch operation are merged into one run of it; the others run one
after the other; each gets its own outcome.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, final

import attrs
from outcome import Error, Outcome, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import trio

    from trioqueue.store.operations.core import Context, Operation

ContextMaker: TypeAlias = "Callable[[], Context]"


@final
@attrs.define(eq=False)
class Request:
    """One caller's work: an operation, and the task that waits for it.

    Attributes:
        operation: A batch operation, or with `items` None a single one.
        items: What the caller wants done by a batch operation.
        task: The Trio task to wake, if one sleeps on it.
        taken: Whether the work has begun, so that it can no longer be canceled.
        tries: How often it was begun and lost with its connection.
        outcome: The answer.
    """

    operation: Callable[..., Any]
    items: Sequence[Any] | None = None
    task: trio.lowlevel.Task | None = None
    taken: bool = False
    tries: int = 0
    outcome: Outcome[Any] | None = None


@final
class Unit:
    """Requests that are served by one run of an operation."""

    __slots__ = ("operation", "requests")

    def __init__(self, operation: Callable[..., Any], request: Request) -> None:
        self.operation = operation
        self.requests = [request]

    def start(self, context: Context) -> Operation[Any]:
        """Begin the operation, for all of them."""
        first = self.requests[0]
        if first.items is None:
            operation: Operation[Any] = self.operation(context)
            return operation
        items: list[Any] = []
        for request in self.requests:
            items += request.items or ()
        batch: Operation[Any] = self.operation(context, items)
        return batch

    def answer(self, value: Any) -> None:
        """Give each its part of what the operation returned."""
        first = self.requests[0]
        if first.items is None:
            first.outcome = Value(value)
            return
        start = 0
        for request in self.requests:
            end = start + len(request.items or ())
            request.outcome = Value(value[start:end])
            start = end

    def fail(self, error: Exception) -> None:
        """Give each the same error."""
        for request in self.requests:
            request.outcome = Error(error)


def name_of(operation: Callable[..., Any]) -> str:
    """Return what metrics call an operation."""
    while isinstance(operation, partial):
        operation = operation.func
    return operation.__name__


def units_of(requests: Sequence[Request]) -> list[Unit]:
    """Put together what one run can serve, in the order of the first of each."""
    units: list[Unit] = []
    merged: dict[Any, Unit] = {}
    for request in requests:
        unit = None if request.items is None else merged.get(request.operation)
        if unit is not None:
            unit.requests.append(request)
            continue
        unit = Unit(request.operation, request)
        units.append(unit)
        if request.items is not None:
            merged[request.operation] = unit
    return units
