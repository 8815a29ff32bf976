"""Noticing what other processes commit.

``PRAGMA data_version`` changes when another connection commits.  It costs a few
microseconds, so it is asked on the Trio thread, and only while somebody waits: often
while the file is in use, up to every 50 ms once nothing has happened for long.  A
change is followed by one cheap look at what those who wait are waiting for, so that
nobody takes the write lock in vain.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar, final

import trio

from trioqueue.errors import StoreUnavailableError
from trioqueue.store.operations.attempts import next_expiry
from trioqueue.store.operations.core import (
    CALENDAR,
    CLEANUP,
    CRON,
    RECLAIM,
    SCHEDULER,
)
from trioqueue.store.operations.schedule_fire import next_schedule
from trioqueue.store.operations.upkeep import next_due, next_release
from trioqueue.store.operations.watch import is_live, queues_with_ready

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioqueue.store.operations.core import Operation
    from trioqueue.store.sqlite.connection import Connection
    from trioqueue.store.wakeups import WakeUps

T = TypeVar("T")

FAST_SECONDS: Final = 0.004
SLOW_SECONDS: Final = 0.05
QUIET_SECONDS: Final = 10.0
"""How long nothing must have happened before the pauses begin to grow."""

_NEXT: Final[dict[str, Callable[[], Operation[int | None]]]] = {
    SCHEDULER: next_due,
    RECLAIM: next_expiry,
    CLEANUP: next_release,
    CRON: partial(next_schedule, CRON),
    CALENDAR: partial(next_schedule, CALENDAR),
}


@final
class Watcher:
    """Wakes the waiters of this process for what other processes commit."""

    def __init__(self, connection: Connection, hub: WakeUps) -> None:
        self._connection = connection
        self._hub = hub

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Watch until canceled."""
        seen = self._version()
        changed_at = trio.current_time()
        task_status.started()
        while True:
            quiet = trio.current_time() - changed_at
            growth = max(1.0, quiet / QUIET_SECONDS)
            await trio.sleep(min(SLOW_SECONDS, FAST_SECONDS * growth))
            if not self._hub.anybody_waits:
                continue
            version = self._version()
            if version not in (seen, None) and self._look():
                seen = version
                changed_at = trio.current_time()

    def _version(self) -> Any:
        try:
            return self._connection.statement("PRAGMA data_version")[0][0]
        except StoreUnavailableError:
            # Somebody has the file for himself for a moment; the next look will do.
            return None

    def _look(self) -> bool:
        """Tell every waiter what is there for it; False if the file cannot be read."""
        hub = self._hub
        try:
            queues = {
                queue
                for signal in hub.ready_signals
                if signal.waiting
                for queue in signal.queues
            }
            if queues:
                found = self._connection.drive(queues_with_ready(sorted(queues)))
                for queue in found:
                    hub.announce_ready(queue)
            for alarm in hub.alarms:
                operation = _NEXT.get(alarm.service)
                if alarm.waiting and operation is not None:
                    instant = self._connection.drive(operation())
                    if instant is not None:
                        alarm.announce(instant)
            for key in hub.finished_keys():
                if not self._connection.drive(is_live(*key)):
                    hub.announce_finished(key)
        except StoreUnavailableError:
            return False
        return True
