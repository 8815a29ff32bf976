"""What operations are made of.

An operation is a plain generator: it yields *queries* by name, receives their rows,
and does no I/O itself.  An executor drives it inside one transaction and gives it a
`Context`.  So what a claim or a failure means is written once, here, whatever the
database; the SQL behind each name lives in the dialect's own room.

Most operations work on a list of items and answer each item by itself, so that an
executor may serve many callers with one run: `Failure` answers one item without
failing its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar, final

import attrs

if TYPE_CHECKING:
    from trioqueue.store.low_water import LowWaterMarks

T = TypeVar("T")
ItemT = TypeVar("ItemT")

Row: TypeAlias = tuple[Any, ...]
Parameters: TypeAlias = Mapping[str, Any]


class Fetch(NamedTuple):
    """Run a query and receive its rows.  A list as parameter is an array."""

    name: str
    parameters: Parameters = MappingProxyType({})


class Execute(NamedTuple):
    """Run a statement; nothing comes back, so that several may be sent at once."""

    name: str
    parameters: Parameters = MappingProxyType({})


class ExecuteMany(NamedTuple):
    """Run a statement for each parameter row; nothing comes back."""

    name: str
    rows: Sequence[Row]


class Lock(NamedTuple):
    """Hold things by name until the transaction ends; nothing comes back.

    Who changes messages holds their queues shared; who changes a queue itself holds it
    exclusively, and so waits for the others.  A database with one writer at a time
    has nothing to do.  Rows read before the lock may have changed since.
    """

    keys: tuple[str, ...]
    exclusive: bool = False


def queue_lock(*names: str, exclusive: bool = False) -> Lock:
    """Hold queues as they are, whether or not they exist."""
    return Lock(tuple(f"queue:{name}" for name in names), exclusive)


def calendar_lock(calendar_id: str, *, exclusive: bool = False) -> Lock:
    """Hold a stored business calendar as it is."""
    return Lock((f"calendar:{calendar_id}",), exclusive)


def schema_lock(*schema_ids: str, exclusive: bool = False) -> Lock:
    """Hold all versions of schemas as they are."""
    return Lock(tuple(f"schema:{each}" for each in schema_ids), exclusive)


Query: TypeAlias = Fetch | Execute | ExecuteMany | Lock
Operation: TypeAlias = Generator[Query, Any, T]

SCHEDULER: Final = "scheduler"
RECLAIM: Final = "reclaim"
CLEANUP: Final = "cleanup"
CRON: Final = "cron"
CALENDAR: Final = "calendar"
METRICS: Final = "metrics"


@final
class Effects:
    """What a transaction changed that somebody may be waiting for.

    Collected while operations run; announced once the commit is durable.
    """

    __slots__ = (
        "aborts",
        "counts",
        "deleted",
        "due",
        "finished",
        "observed",
        "ready",
    )

    def __init__(self) -> None:
        self.ready: set[str] = set()
        """Queues that have new PENDING messages."""
        self.due: dict[str, int] = {}
        """For each service, the earliest instant at which it has work."""
        self.finished: list[tuple[str, str]] = []
        """(queue, message id) of messages that finished."""
        self.aborts: list[tuple[str, str]] = []
        """(queue, message id) of running messages that are to be canceled."""
        self.counts: dict[tuple[str, str, str], int] = {}
        """For metrics: (counter, queue or "", other label or "") and how many."""
        self.observed: list[tuple[tuple[str, str, str], Sequence[int]]] = []
        """For metrics: (histogram, queue, label) and values, in microseconds."""
        self.deleted: list[str] = []
        """Queues that are gone, and their metrics with them."""

    def count(self, metric: str, queue: str, label: str = "", n: int = 1) -> None:
        """Note for metrics that something happened; it counts once committed."""
        key = (metric, queue, label)
        self.counts[key] = self.counts.get(key, 0) + n

    def observe(
        self, metric: str, values: Sequence[int], queue: str = "", label: str = ""
    ) -> None:
        """Note values of a histogram: microseconds, or whatever it counts in."""
        self.observed.append(((metric, queue, label), values))

    def delete_queue(self, queue: str) -> None:
        """Note that a queue is gone; what was counted of it is forgotten."""
        self.deleted.append(queue)
        self.counts = {k: n for k, n in self.counts.items() if k[1] != queue}
        self.observed = [seen for seen in self.observed if seen[0][1] != queue]

    def add_due(self, service: str, instant: int) -> None:
        """Note that a service has work at an instant."""
        known = self.due.get(service)
        if known is None or instant < known:
            self.due[service] = instant

    def merge(self, other: Effects) -> None:
        """Take over another's effects."""
        self.ready |= other.ready
        for service, instant in other.due.items():
            self.add_due(service, instant)
        self.finished += other.finished
        self.aborts += other.aborts
        for queue in other.deleted:
            self.delete_queue(queue)
        if self.counts:
            for key, n in other.counts.items():
                self.counts[key] = self.counts.get(key, 0) + n
        else:
            self.counts = other.counts
        self.observed += other.observed


@final
@attrs.define(eq=False)
class Context:
    """What an operation may know besides its arguments.

    Attributes:
        now: The present instant in microseconds, taken once the transaction holds
            its locks.
        token: Draws the random bits of an attempt's token.
        salt: Seeds the draws of jitter.
        shared: Whether other transactions may commit between two statements of this
            one, so that what was not there may be there now.
        marks: Where claims need not look, if the database has such places.
        effects: Where the operation notes what others may wait for.
    """

    now: int
    token: Callable[[int], int]
    salt: bytes
    shared: bool = False
    marks: LowWaterMarks | None = None
    effects: Effects = attrs.field(factory=Effects)


@final
class Failure:
    """The answer to one item of a batch: this error, for its caller alone."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


def unwrap(answer: T | Failure) -> T:
    """Return the answer to an item, or raise what it failed with."""
    if isinstance(answer, Failure):
        raise answer.error
    return answer


class OvertakenError(Exception):
    """Another transaction has changed what this one relied on; it must run again."""


def tickets(count: int) -> Operation[Sequence[int]]:
    """Draw `count` rising numbers, each above all that this row's past has seen.

    They number messages, order the ready ones and fence attempts.
    """
    rows = yield Fetch("take_tickets", {"count": count})
    last: int = rows[-1][0]
    if len(rows) == count:
        return sorted(row[0] for row in rows)
    return range(last - count + 1, last + 1)
