"""Transactions that others have open on the database of a simulated run.

In virtual time a store need not look for changes, for it sees each one.  What the
user's own transaction holds is the exception: nobody sees it before its commit, and
nobody says when that is.  So while such transactions are open, all who wait look again
every virtual second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn, final

import trio

from trioqueue.errors import IllegalStateError
from trioqueue.store.operations.core import Effects

if TYPE_CHECKING:
    from collections.abc import Callable

LOOK_SECONDS: Final = 1.0
"""How long after the commit of the user's transaction its messages are found."""


class _Pending(NamedTuple):
    """What a transaction that may be open will have changed."""

    is_open: Callable[[], bool]
    queues: frozenset[str]
    services: frozenset[str]


@final
class ForeignWork:
    """The transactions that are open beside the stores of one run on one database.

    `expect` may be called from any thread, the rest only in the run.
    """

    def __init__(self) -> None:
        self._pending: dict[int, _Pending] = {}
        self._wake = trio.Event()
        self._token: trio.lowlevel.TrioToken | None = None
        self.holders: set[trio.lowlevel.Task] = set()
        """Trio tasks with a transaction in which they hold a file's write lock."""

    def check_free(self) -> None:
        """See that a task does not wait for a lock that it holds itself.

        Raises:
            IllegalStateError: It would.
        """
        if self.holders and trio.lowlevel.current_task() in self.holders:
            message = (
                "this task holds the file's write lock in a transaction of its own, so "
                "the store would wait for ever; use the transaction's own methods, or "
                "leave its block first"
            )
            raise IllegalStateError(message)

    def expect(
        self, connection: object, is_open: Callable[[], bool], effects: Effects
    ) -> None:
        """Note what a transaction will have changed once it is committed.

        Args:
            connection: Whose transaction it is; one entry is kept for each.
            is_open: Says whether it has a transaction open.
            effects: What was changed in it.
        """
        if self._token is None:
            return  # nobody waits, or whoever does looks for himself

        def note() -> None:
            known = self._pending.get(id(connection))
            queues, services = frozenset(effects.ready), frozenset(effects.due)
            if known is not None:
                queues, services = queues | known.queues, services | known.services
            self._pending[id(connection)] = _Pending(is_open, queues, services)
            self._wake.set()

        if trio.lowlevel.in_trio_run():
            note()
        else:
            self._token.run_sync_soon(note)

    @property
    def any_open(self) -> bool:
        """Whether a transaction of this process may stand in the way."""
        return any(pending.is_open() for pending in self._pending.values())

    async def run(
        self,
        announce: Callable[[Effects], None],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> NoReturn:
        """Tell those who wait to look, as long as transactions are open."""
        self._token = trio.lowlevel.current_trio_token()
        task_status.started()
        while True:
            if not self._pending:
                self._wake = trio.Event()
                await self._wake.wait()
            await trio.sleep(LOOK_SECONDS)
            announce(self._look())

    def _look(self) -> Effects:
        """Return what may have been committed, and forget what is over."""
        effects = Effects()
        # Over or not: the same connection may have begun another one since.
        for key, pending in list(self._pending.items()):
            if not pending.is_open():
                del self._pending[key]
            effects.ready |= pending.queues
            for service in pending.services:
                effects.add_due(service, 0)
        return effects
