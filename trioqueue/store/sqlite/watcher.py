"""Noticing what other processes commit.

``PRAGMA data_version`` changes when another connection commits.  It costs a few
microseconds, so it is asked on the Trio thread, and only while somebody waits: often
while the file is in use, up to every 50 ms once nothing has happened for long.  A
change is followed by one cheap look at what those who wait are waiting for, so that
nobody takes the write lock in vain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn, final

import trio

from trioqueue.errors import StoreUnavailableError
from trioqueue.metrics.catalogue import WAKEUPS
from trioqueue.store.operations.watch import look

if TYPE_CHECKING:
    from trioqueue.metrics.meters import Meters
    from trioqueue.store.sqlite.connection import Connection
    from trioqueue.store.wakeups import WakeUps

FAST_SECONDS: Final = 0.004
SLOW_SECONDS: Final = 0.05
QUIET_SECONDS: Final = 10.0
"""How long nothing must have happened before the pauses begin to grow."""


@final
class Watcher:
    """Wakes the waiters of this process for what other processes commit."""

    def __init__(self, connection: Connection, hub: WakeUps, meters: Meters) -> None:
        self._connection = connection
        self._hub = hub
        self._meters = meters

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
            found = self._connection.drive(look(*hub.wanted()))
        except StoreUnavailableError:
            return False
        hub.announce_found(found)
        self._meters.count(WAKEUPS, "poll")
        return True
