"""What opening a database gives a store, whatever kind it is."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Final, final

import attrs
import trio

from trioqueue.store.operations.core import METRICS, Context

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioqueue.clock import Clock
    from trioqueue.metrics.meters import Meters
    from trioqueue.store.borrowed import Transactions
    from trioqueue.store.executor import Executor
    from trioqueue.store.low_water import LowWaterMarks
    from trioqueue.store.operations.core import Effects
    from trioqueue.store.wakeups import WakeUps

_TOKEN_BITS: Final = 63
_opened: Final[trio.lowlevel.RunVar[int]] = trio.lowlevel.RunVar("trioqueue_opened")


@final
@attrs.frozen
class Chance:
    """Where random bits come from.

    Attributes:
        source: The generator.
        salt: The seed of jitter.
    """

    source: random.Random
    salt: bytes

    @classmethod
    def of_run(cls, last_ticket: int, *, virtual: bool) -> Chance:
        """Choose it.

        In virtual time a run repeats exactly, ids and tokens included; all the same its
        stores must differ, also two of them on one database.
        """
        if virtual:
            return cls(random.Random(f"{last_ticket} {_place_in_run()}"), b"")
        return cls(random.Random(), os.urandom(16))


@final
@attrs.frozen
class Database:
    """An open database.

    Attributes:
        executor: What runs operations.
        hub: Who waits for what.
        clock: Where the store's time comes from.
        chance: Where its random bits come from.
        meters: What is counted of all it does.
        transactions: Ways into transactions that are not its own.
    """

    executor: Executor
    hub: WakeUps
    clock: Clock
    chance: Chance
    meters: Meters
    transactions: Transactions


def context_maker(
    clock: Clock,
    chance: Chance,
    *,
    shared: bool = False,
    marks: LowWaterMarks | None = None,
) -> Callable[[], Context]:
    """Return what makes a context for each run of an operation."""

    def token(_: int) -> int:
        return chance.source.getrandbits(_TOKEN_BITS)

    def make() -> Context:
        return Context(clock.now_us(), token, chance.salt, shared, marks)

    return make


def local_announcer(hub: WakeUps) -> Callable[[Effects], None]:
    """Return what announces commits where nobody else can change the database.

    There the metrics reporter need not look now and then: it hears of each change.
    """

    def announce(effects: Effects) -> None:
        effects.due[METRICS] = 0
        hub.announce(effects)

    return announce


def _place_in_run() -> int:
    """Return how many stores this Trio run has opened before."""
    place = _opened.get(0)
    _opened.set(place + 1)
    return place
