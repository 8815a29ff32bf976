"""What a worker runs: a handler for each queue."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, runtime_checkable

from trioqueue.current import working_on
from trioqueue.errors import ValidationError
from trioqueue.store.base import check_queue_name
from trioqueue.tracing import processing, tracing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trioqueue.model.message import Job

logger: Final = logging.getLogger("trioqueue.worker")

Handler: TypeAlias = "Callable[[Job], Awaitable[Any]]"


class HandlerSource(Protocol):
    """Something that knows handlers by queue; an `App` is one."""

    def handlers(self) -> Mapping[str, Handler]:
        """Return a handler for each queue."""
        ...


@runtime_checkable
class RetryingHandler(Protocol):
    """A handler that knows how long its failed messages wait."""

    async def __call__(self, job: Job) -> Any:
        """Run the handler."""
        ...

    def retry_seconds(self, job: Job) -> float | None:
        """Return the wait after this attempt; None leaves it to the queue's policy."""
        ...


def ask_retry_seconds(handler: Handler, job: Job) -> float | None:
    """Ask a handler how long its message waits; None if the queue's policy says so."""
    if not isinstance(handler, RetryingHandler):
        return None
    try:
        return handler.retry_seconds(job)
    except Exception:
        logger.exception("the retry policy of %r failed", handler)
        return None


async def run_handler(handler: Handler, job: Job) -> Any:
    """Run a handler, or say that it should have been async.

    The Trio task that calls this is the job's from here on.
    """
    working_on.set(job)
    awaitable: Any = handler(job)
    if not hasattr(awaitable, "__await__"):
        message = (
            f"the handler {handler!r} must be an async function; give plain functions "
            "to an App, which runs them in threads"
        )
        raise TypeError(message)
    if (api := tracing()) is not None:
        with processing(api, job):
            return await awaitable
    return await awaitable


def choose_handlers(
    handlers: Mapping[str, Handler] | HandlerSource, queues: Iterable[str] | None
) -> dict[str, Handler]:
    """Return the handlers of the queues that are asked for."""
    known = handlers if isinstance(handlers, Mapping) else handlers.handlers()
    for queue, handler in known.items():
        check_queue_name(queue, "handlers")
        if not callable(handler):
            raise ValidationError.of(
                "handlers", f"expected an async function for {queue!r}, got {handler!r}"
            )
    if isinstance(queues, str):
        raise ValidationError.of("queues", f"expected a list of names, got {queues!r}")
    names = list(known) if queues is None else list(dict.fromkeys(queues))
    missing = [name for name in names if name not in known]
    if missing or not names:
        problem = (
            f"there is no handler for {', '.join(map(repr, missing))}"
            if missing
            else "there is nothing to work on"
        )
        raise ValidationError.of(
            "queues", f"{problem}; handlers: {', '.join(map(repr, known)) or 'none'}"
        )
    return {name: known[name] for name in names}
