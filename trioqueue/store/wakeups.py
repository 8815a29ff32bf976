"""Who waits for what, in this process.

After each commit an executor announces what it changed; those who wait for it wake.
Stores of one Trio run that share a database share their wake-ups too.  Announcements
are hints: everybody looks into the database before acting on one, and where changes may
go unseen (other processes) everybody also looks from time to time.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol, final

import trio

from trioqueue.store.foreign import ForeignWork

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trioqueue.store.operations.core import Effects
    from trioqueue.store.operations.watch import Found

_hubs: Final[trio.lowlevel.RunVar[dict[str, WakeUps]]] = trio.lowlevel.RunVar(
    "trioqueue_hubs"
)


class AbortListener(Protocol):
    """Holds jobs, and wants to know when one of them is to be canceled."""

    def on_abort(self, queue: str, message_id: str) -> None:
        """Hear that a running message is to be canceled."""
        ...


@final
class ReadySignal:
    """Wakes one waiter when a queue of its has ready messages.

    Clear it, look for messages, and if there are none, wait: nothing that becomes ready
    in between is missed.
    """

    def __init__(self, queues: Iterable[str]) -> None:
        self.queues = frozenset(queues)
        self.waiting = False
        self._event = trio.Event()

    def clear(self) -> None:
        """Forget earlier announcements."""
        if self._event.is_set():
            self._event = trio.Event()

    def set(self) -> None:
        """Wake the waiter."""
        self._event.set()

    async def wait(self) -> None:
        """Sleep until something was announced since the last `clear`."""
        self.waiting = True
        try:
            await self._event.wait()
        finally:
            self.waiting = False


@final
class Alarm:
    """Wakes a service when something falls due earlier than it had planned."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.waiting = False
        self.earliest: float = math.inf
        """The earliest instant with work that it knows of, in microseconds."""
        self._event = trio.Event()

    def clear(self) -> None:
        """Forget everything; call it before looking for work."""
        self.earliest = math.inf
        if self._event.is_set():
            self._event = trio.Event()

    def announce(self, instant: float) -> None:
        """Note that there is work at an instant; wakes if it is earlier than known."""
        if instant < self.earliest:
            self.earliest = instant
            self._event.set()

    def plan(self, instant: float | None) -> None:
        """Note what the service has found itself, without waking it."""
        if instant is not None and instant < self.earliest:
            self.earliest = instant

    async def wait(self) -> None:
        """Sleep until something earlier was announced since the last call."""
        self.waiting = True
        try:
            await self._event.wait()
        finally:
            self.waiting = False
            self._event = trio.Event()


@final
class WakeUps:
    """The waiters of one database in one Trio run."""

    def __init__(self) -> None:
        self.ready_signals: set[ReadySignal] = set()
        self.alarms: set[Alarm] = set()
        self._by_queue: dict[str, set[ReadySignal]] = {}
        self._finished: dict[tuple[str, str], set[trio.Event]] = {}
        self._abort_listeners: set[AbortListener] = set()
        self.foreign = ForeignWork()
        self.users = 0

    def announce(self, effects: Effects) -> None:
        """Wake everybody who waits for what a transaction changed."""
        for queue in effects.ready:
            self.announce_ready(queue)
        if effects.due and self.alarms:
            for alarm in self.alarms:
                instant = effects.due.get(alarm.service)
                if instant is not None:
                    alarm.announce(instant)
        if self._finished:
            for key in effects.finished:
                for event in self._finished.get(key, ()):
                    event.set()
        for queue, message_id in effects.aborts:
            for listener in self._abort_listeners:
                listener.on_abort(queue, message_id)

    def announce_ready(self, queue: str) -> None:
        """Wake those who wait for messages of a queue."""
        for signal in self._by_queue.get(queue, ()):
            signal.set()

    def announce_closing(self) -> None:
        """Wake everybody to look again: a store is closed, and some wait through it."""
        for signal in self.ready_signals:
            signal.set()
        for alarm in self.alarms:
            alarm.announce(0)
        for events in self._finished.values():
            for event in events:
                event.set()

    def wanted(self) -> tuple[set[str], set[str], list[tuple[str, str]]]:
        """List the queues, services and messages that somebody waits for."""
        queues = {
            queue
            for signal in self.ready_signals
            if signal.waiting
            for queue in signal.queues
        }
        services = {alarm.service for alarm in self.alarms if alarm.waiting}
        return queues, services, list(self._finished)

    def announce_found(self, found: Found) -> None:
        """Wake those who wait for what a look has found."""
        for queue in found.ready:
            self.announce_ready(queue)
        for alarm in self.alarms:
            if alarm.service in found.due:
                alarm.announce(found.due[alarm.service])
        for key in found.finished:
            self.announce_finished(key)

    def announce_finished(self, key: tuple[str, str]) -> None:
        """Wake those who wait for a message to finish."""
        for event in self._finished.get(key, ()):
            event.set()

    @property
    def anybody_waits(self) -> bool:
        """Whether a foreign change could interest anybody now."""
        return (
            bool(self._finished)
            or any(signal.waiting for signal in self.ready_signals)
            or any(alarm.waiting for alarm in self.alarms)
        )

    @contextmanager
    def listen_for_ready(self, signal: ReadySignal) -> Iterator[None]:
        """Set a signal, in the block, when one of its queues has ready messages."""
        self.add_signal(signal)
        try:
            yield
        finally:
            self.remove_signal(signal)

    def add_signal(self, signal: ReadySignal) -> None:
        """Begin to set a signal when one of its queues has ready messages."""
        self.ready_signals.add(signal)
        for queue in signal.queues:
            self._by_queue.setdefault(queue, set()).add(signal)

    def remove_signal(self, signal: ReadySignal) -> None:
        """Stop setting it."""
        self.ready_signals.discard(signal)
        for queue in signal.queues:
            waiters = self._by_queue[queue]
            waiters.discard(signal)
            if not waiters:
                del self._by_queue[queue]

    @contextmanager
    def listen_for_end(self, key: tuple[str, str]) -> Iterator[trio.Event]:
        """Give the block an event that is set when a message finishes."""
        event = trio.Event()
        self._finished.setdefault(key, set()).add(event)
        try:
            yield event
        finally:
            events = self._finished[key]
            events.discard(event)
            if not events:
                del self._finished[key]

    @contextmanager
    def listen_for_abort(self, listener: AbortListener) -> Iterator[None]:
        """Tell a holder of jobs, in the block, which messages are to be canceled."""
        self._abort_listeners.add(listener)
        try:
            yield
        finally:
            self._abort_listeners.discard(listener)


def join_hub(key: str | None) -> WakeUps:
    """Return the wake-ups of a database in this Trio run; None means a private one."""
    if key is None:
        return WakeUps()
    try:
        hubs = _hubs.get()
    except LookupError:
        hubs = {}
        _hubs.set(hubs)
    hub = hubs.setdefault(key, WakeUps())
    hub.users += 1
    return hub


def leave_hub(key: str | None) -> None:
    """Forget the wake-ups of a database once nobody uses them."""
    if key is None:
        return
    hubs = _hubs.get()
    hubs[key].users -= 1
    if not hubs[key].users:
        del hubs[key]
