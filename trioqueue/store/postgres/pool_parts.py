"""What a pool is made of: its members, its borrowers, and its shared back-off."""

from __future__ import annotations

import math
import random
from contextlib import suppress
from typing import Final, Generic, Protocol, TypeVar, final

import attrs
import trio

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 1.0


class Poolable(Protocol):
    """What a pool can hold."""

    @property
    def usable(self) -> bool:
        """Whether it may be lent again; asking costs nothing."""
        ...

    async def check(self) -> None:
        """Make one round trip; raises if that fails."""
        ...

    def kill(self) -> None:
        """Let go of it at once; harmless when repeated."""
        ...

    async def close(self) -> None:
        """Say good-bye to the server and let go."""
        ...


T = TypeVar("T", bound=Poolable)


async def say_goodbye(member: Poolable) -> None:  # noqa: ASYNC910  lend and run have checkpoints
    """Close a member that is killed next, so how that fails changes nothing."""
    with suppress(Exception):
        await member.close()


@final
@attrs.frozen
class PoolStatistics:
    """How a pool is doing.

    Attributes:
        size: How many members it may have.
        open: How many it has, lent ones included.
        idle: How many of these are free.
        waiting: How many borrowers have none yet, those who connect included.
        connects: How many attempts to connect succeeded, since the pool was made.
        failures: How many failed.
        discarded: How many members were killed because they were broken.
        longest_wait_seconds: The longest that a borrower has waited, in vain or not.
    """

    size: int
    open: int
    idle: int
    waiting: int
    connects: int
    failures: int
    discarded: int
    longest_wait_seconds: float


@final
@attrs.define(eq=False)
class Entry(Generic[T]):
    """A member, with the Trio times since when it is idle and known to work."""

    member: T
    idle_since: float
    proven_at: float


@final
@attrs.define(eq=False)
class Borrower(Generic[T]):
    """Who waits for a member; `served` with an entry, or with the right to connect."""

    ticket: int
    nap: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    served: bool = False
    entry: Entry[T] | None = None


@final
class Backoff:
    """Whether the server is away, and when to try it again."""

    def __init__(self) -> None:
        self.failures = 0
        self.retry_at = -math.inf
        self.reason: Exception | None = None

    def failed(self, error: Exception, seen: int) -> None:
        """Note a failure; attempts that ran side by side lengthen the pause once.

        Args:
            error: Why it failed.
            seen: The number of failures when the attempt began.
        """
        self.reason = error
        if seen == self.failures:
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(seen, 30))
            self.failures += 1
            self.retry_at = trio.current_time() + pause * random.uniform(0.5, 1.0)

    def succeeded(self) -> None:
        """Forget it all: the server is there."""
        self.failures = 0
        self.retry_at = -math.inf
        self.reason = None
