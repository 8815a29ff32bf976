"""What every part of the store shares: the executor, the clock, the wake-ups."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

import trio

from trioqueue.errors import Issue, ValidationError
from trioqueue.metrics.meters import Meters
from trioqueue.model.queue import queue_name_issues
from trioqueue.model.spans import to_seconds
from trioqueue.store.requests import name_of

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from datetime import datetime

    from trioqueue.clock import Clock
    from trioqueue.model.spans import Seconds
    from trioqueue.store.borrowed import Transactions
    from trioqueue.store.executor import Executor
    from trioqueue.store.operations.core import Context, Operation
    from trioqueue.store.wakeups import WakeUps

T = TypeVar("T")
P = ParamSpec("P")

MAX_PAGE: Final = 10_000
PLANNERS: Final = 2
"""Threads that may count missed runs at once: one for each service that does."""
POLL_SECONDS: Final = 1.0
"""How long a waiter relies on wake-ups before it looks for itself."""


class StoreBase:
    """The store's means; its verbs are in the classes that derive from it."""

    def __init__(
        self,
        *,
        url: str,
        clock: Clock,
        executor: Executor,
        hub: WakeUps,
        source: random.Random,
        salt: bytes,
        worker_id: str,
        meters: Meters | None = None,
        transactions: Transactions | None = None,
    ) -> None:
        self._url = url
        self._clock = clock
        self._executor = executor
        self._hub = hub
        self._source = source
        self._salt = salt
        self._worker_id = worker_id
        self._meters = Meters() if meters is None else meters
        self._lent = transactions
        # Its own, because an app may keep all of Trio's threads busy.
        self._planners = trio.CapacityLimiter(PLANNERS)

    @property
    def url(self) -> str:
        """The address, without passwords."""
        return self._url

    @property
    def clock(self) -> Clock:
        """The clock that all its instants come from."""
        return self._clock

    @property
    def worker_id(self) -> str:
        """Who claims, where a claim does not say."""
        return self._worker_id

    @property
    def salt(self) -> bytes:
        """The seed of jitter, fixed in virtual time and random otherwise."""
        return self._salt

    @property
    def wakeups(self) -> WakeUps:
        """Who waits for what in this process; for services and workers."""
        return self._hub

    @property
    def sees_every_change(self) -> bool:
        """Whether wake-ups can be relied on, so that nobody needs to poll."""
        return self._executor.sees_every_change

    @property
    def meters(self) -> Meters:
        """What it has done, counted; `trioqueue.metrics.Metrics` shows it."""
        return self._meters

    @property
    def _transactions(self) -> Transactions:
        assert self._lent is not None  # noqa: S101  whoever opens a store has them
        return self._lent

    def now(self) -> datetime:
        """Return the present instant by the store's clock, aware, UTC."""
        return self._clock.now()

    def statistics(self) -> Any:
        """Return what the executor has done so far."""
        return self._executor.statistics()

    def __repr__(self) -> str:
        return f"<trioqueue.Store {self._url}>"

    async def _write(
        self,
        operation: Callable[Concatenate[Context, P], Operation[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        def bound(context: Context) -> Operation[T]:
            return operation(context, *args, **kwargs)

        # What metrics call it.
        bound.__name__ = name_of(operation)
        return await self._executor.write(bound)

    async def _read(
        self,
        operation: Callable[P, Operation[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        return await self._executor.read(partial(operation, *args, **kwargs))


def check_queue_name(name: object, field: str = "queue") -> str:
    """Return a queue's name.

    Raises:
        ValidationError: It cannot be one.
    """
    issues = queue_name_issues(name, field)
    if issues or not isinstance(name, str):
        raise ValidationError(issues)
    return name


def check_message_id(value: object, field: str = "message_id") -> str:
    """Return a message id to look for; any str may be asked for.

    Raises:
        ValidationError: It is not a str.
    """
    if not isinstance(value, str):
        raise ValidationError.of(field, f"expected a str, got {value!r}")
    return value


def check_count(value: object, field: str, *, most: int = MAX_PAGE) -> int:
    """Return a positive number of things asked for.

    Raises:
        ValidationError: It is not a whole number from 1 to `most`.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ValidationError.of(
            field, f"must be a whole number from 1 to {most}, got {value!r}"
        )
    return value


def check_spread(value: Seconds) -> float:
    """Return a span over which messages are to become due.

    Raises:
        ValidationError: It is no span, or too long.
    """
    spread = to_seconds(value, "spread_seconds")
    if not 0 <= spread <= 1e9:
        raise ValidationError.of(
            "spread_seconds", f"must be from 0 to 1e9, got {spread:g}"
        )
    return spread


def check_text(value: object, field: str, *, most: int = 1000) -> str | None:
    """Return an optional text that people write: a reason, a worker's name.

    Raises:
        ValidationError: It is not a str, is too long, or cannot be encoded.
    """
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > most or "\0" in value:
        raise ValidationError(
            [Issue(field, f"must be a str of at most {most} characters, no NUL")]
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValidationError.of(field, "holds a lone surrogate") from None
    return value
