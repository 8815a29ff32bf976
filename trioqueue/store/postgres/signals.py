"""Telling other processes what was committed, and hearing it from them.

`Mouth` sends hints with NOTIFY: after the commit, and for each queue at most once in a
while, since each commit that notifies waits for the one before it.  `Ears` listens on a
connection of its own.  Where notifications do not arrive (a pooler, a lost connection)
it looks into the database instead, as long as somebody waits.
"""

from __future__ import annotations

import json
import logging
import math
import random
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, final

import psycopg
import trio

from trioqueue.errors import TrioQueueError
from trioqueue.metrics.catalogue import WAKEUPS
from trioqueue.store.operations.core import Effects
from trioqueue.store.operations.read import get_message
from trioqueue.store.operations.watch import look
from trioqueue.store.postgres.driver import TrioConnection
from trioqueue.store.postgres.faults import translate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trioqueue.metrics.meters import Meters
    from trioqueue.store.executor import Executor
    from trioqueue.store.postgres.pool import Pool
    from trioqueue.store.postgres.session import Session
    from trioqueue.store.postgres.settings import Settings
    from trioqueue.store.wakeups import WakeUps

logger: Final = logging.getLogger("trioqueue.postgres")

HINT_SECONDS: Final = 0.05
"""The least time between two hints about the same queue or service, on average."""
BURST: Final = 20
"""How many hints may be sent at once where there were few before."""
FAREWELL_SECONDS: Final = 2.0
"""How long the last hints may take when a store is closed."""
LOOK_SECONDS: Final = 0.2
"""How often `Ears` looks for itself where it hears nothing."""
ECHO_SECONDS: Final = 2.0
"""How long the hint that it sends to itself may take to arrive."""
PROBE_SECONDS: Final = 15.0
"""How often a silent connection is tried."""
LONGEST_PAUSE: Final = 1.0
_MOST_BYTES: Final = 7500
_NOTIFY: Final = b"SELECT pg_notify($1, $2)"


def channel_of(schema: str) -> str:
    """Return the name under which the processes of a schema talk."""
    return f"trioqueue_{schema}"[:63]


@final
class Mouth:
    """Gathers what transactions changed, and tells the other processes."""

    def __init__(self, pool: Pool[Session], schema: str, name: str) -> None:
        self._pool = pool
        self._channel = channel_of(schema)
        self._name = name
        self._pending = Effects()
        self._finished = False
        self._wake = trio.Event()
        self._said: dict[str, float] = {}

    def tell(self, effects: Effects) -> None:
        """Note what a committed transaction has changed."""
        if effects.ready or effects.due or effects.aborts or effects.finished:
            self._finished = self._finished or bool(effects.finished)
            effects.finished = []
            self._pending.merge(effects)
            self._wake.set()

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Talk until canceled.  What cannot be said is dropped: hints may be lost."""
        task_status.started()
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            words, next_at = self._take()
            await self._say(words)
            if next_at < math.inf:
                with trio.move_on_at(next_at):
                    await trio.sleep_forever()
                self._wake.set()

    async def say_rest(self) -> None:
        """Say what is left, before the store is closed."""
        self._said.clear()
        words, _ = self._take()
        await self._say(words)

    async def say(self, *words: str) -> None:
        """Send notifications; without any, wait until some could be sent.

        Raises:
            StoreUnavailableError: The server could not be asked.
        """
        async with self._pool.lend() as session:
            try:
                for word in words:
                    await session.query(_NOTIFY, self._channel, word)
            except psycopg.Error as error:
                raise translate(error, "PostgreSQL", changes=False) from error

    async def _say(self, words: list[str]) -> None:
        if not words:
            return
        # Shielded: what was taken to be said is said, also if the store is closed now.
        with trio.move_on_after(FAREWELL_SECONDS, shield=True):
            try:
                await self.say(*words)
            except TrioQueueError as error:
                logger.debug("a hint could not be sent: %s", type(error).__name__)

    def _take(self) -> tuple[list[str], float]:
        """Return what may be said now, and when the rest may."""
        now = trio.current_time()
        pending, self._pending = self._pending, Effects()
        word: dict[str, Any] = {"s": self._name}
        later = math.inf
        ready = []
        for queue in pending.ready:
            if (at := self._may_say(f"r{queue}", now)) > now:
                self._pending.ready.add(queue)
                later = min(later, at)
            else:
                ready.append(queue)
        if ready:
            word["r"] = ready
        due = {}
        for service, instant in pending.due.items():
            if (at := self._may_say(f"d{service}", now)) > now:
                self._pending.add_due(service, instant)
                later = min(later, at)
            else:
                due[service] = instant
        if due:
            word["d"] = due
        if self._finished:
            if (at := self._may_say("f", now)) > now:
                later = min(later, at)
            else:
                self._finished = False
                word["f"] = 1
        words = [word] if len(word) > 1 else []
        words += [{"s": self._name, "a": list(key)} for key in pending.aborts]
        texts = [json.dumps(w, separators=(",", ":")) for w in words]
        everything = json.dumps({"s": self._name, "all": 1})
        return [t if len(t) < _MOST_BYTES else everything for t in texts], later

    def _may_say(self, subject: str, now: float) -> float:
        """Return when a subject may be spoken of; notes it if that is now.

        `_said` keeps, for each, up to when its share is used up.
        """
        used = max(self._said.get(subject, -math.inf), now - BURST * HINT_SECONDS)
        if used + HINT_SECONDS <= now:
            if len(self._said) > 10_000:
                self._said.clear()
            self._said[subject] = used + HINT_SECONDS
        return used + HINT_SECONDS


@final
class _DeafError(Exception):
    """Nothing can be heard, though no connection was lost."""


@final
class Ears:
    """Wakes the waiters of this process for what other processes commit."""

    def __init__(
        self,
        settings: Settings,
        hub: WakeUps,
        executor: Executor,
        name: str,
        say: Callable[..., Awaitable[None]],
        *,
        meters: Meters,
    ) -> None:
        self._settings = settings
        self._channel = channel_of(settings.schema)
        self._hub = hub
        self._executor = executor
        self._name = name
        self._mouth = say
        self._meters = meters
        self.hearing = False
        """Whether notifications arrive."""

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Listen until canceled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._look_round)
            if not self._settings.pooled:
                nursery.start_soon(self._listen)
            task_status.started()
            await trio.sleep_forever()
        raise AssertionError  # pragma: no cover

    async def _look_round(self) -> NoReturn:
        """Look for ourselves as long as nothing is heard and somebody waits."""
        while True:
            await trio.sleep(LOOK_SECONDS * random.uniform(0.75, 1.25))
            if not self.hearing and self._hub.anybody_waits:
                self._meters.count(WAKEUPS, "poll")
                await self._look()

    async def _look(self) -> None:
        wanted = self._hub.wanted()
        try:
            found = await self._executor.read(partial(look, *wanted))
        except TrioQueueError as error:
            logger.debug("could not look for changes: %s", error)
        else:
            self._hub.announce_found(found)

    async def _listen(self) -> NoReturn:
        failures = 0
        while True:
            try:
                # Where the server has but one connection left, it is for those who
                # work, not for us.
                await self._say()
                async with TrioConnection.opened(self._settings.conninfo) as connection:
                    await connection.listen(self._channel)
                    await self._hear(connection)
            except (psycopg.Error, _DeafError) as error:
                if self.hearing:
                    failures = 0
                if not failures:
                    logger.warning(
                        "not listening to the database, looking instead: %s",
                        error
                        if isinstance(error, _DeafError)
                        else translate(error, "PostgreSQL", changes=False),
                    )
            finally:
                self.hearing = False
            pause = min(LONGEST_PAUSE, 0.05 * 2.0 ** min(failures, 20))
            failures += 1
            await trio.sleep(pause * random.uniform(0.5, 1.0))

    async def _hear(self, connection: TrioConnection) -> NoReturn:
        """Hear notifications as long as they arrive.

        Raises:
            _DeafError: They do not.
            psycopg.Error: The connection is lost.
        """
        while True:
            with trio.move_on_after(
                PROBE_SECONDS if self.hearing else ECHO_SECONDS
            ) as s:
                if not self.hearing:
                    await self._say(json.dumps({"s": self._name, "echo": 1}))
                await self._hear_once(connection)
            if s.cancelled_caught:
                if not self.hearing:
                    raise _DeafError(
                        "notifications do not arrive; is there a pooler in between?"
                    )
                self.hearing = False  # until the echo is heard

    async def _say(self, *words: str) -> None:
        """Send notifications; without any, only see to it that some can be sent.

        Raises:
            _DeafError: They cannot.
        """
        try:
            await self._mouth(*words)
        except TrioQueueError as error:
            raise _DeafError(str(error)) from error

    async def _hear_once(self, connection: TrioConnection) -> None:
        notes = await connection.next_notifies()
        if not self.hearing:
            self.hearing = True
            # What was said while nobody listened is not said again.
            await self._look()
        for note in notes:
            await self._act_on(note.payload)

    async def _is_aborted(self, queue: str, message_id: str) -> bool:
        """Look whether it is true: anybody who may connect can send a hint."""
        try:
            message = await self._executor.read(partial(get_message, queue, message_id))
        except TrioQueueError:
            return False  # it is gone, or the next heartbeat will tell
        return message.lease is not None and message.lease.abort_requested

    async def _act_on(self, payload: str) -> None:
        try:
            word = json.loads(payload)
            if word.get("s") == self._name:
                return
            effects = Effects()
            effects.ready.update(word.get("r", ()))
            effects.due.update(word.get("d", {}))
            if "a" in word:
                queue, message_id = word["a"]
                if await self._is_aborted(queue, message_id):
                    effects.aborts.append((queue, message_id))
        except (ValueError, TypeError, AttributeError):
            logger.debug("a notification that is not ours: %r", payload[:100])
            return
        self._meters.count(WAKEUPS, "push")
        self._hub.announce(effects)
        waits_for_end = bool(self._hub.wanted()[2])
        if "all" in word or ("f" in word and waits_for_end):
            await self._look()
