"""Which connections are open, and which of them must make room for others.

Whoever asks quickly is served, however many others dawdle: when there are too many, the
one that has kept the server waiting for the longest time is cut off.
"""

from __future__ import annotations

from typing import Final, final

import trio

MOST_CONNECTIONS: Final = 100
MOST_UNSENT: Final = 16 * 1024 * 1024
"""How many bytes of answers may wait to be read, before some clients are cut off."""


@final
class Peer:
    """The other end of one connection.

    Attributes:
        scope: Ends the connection when canceled.
        waiting_since: Since when the server waits for it; None: it is the other way
            round.
        unsent: How long the answer is that it does not take in.
    """

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.waiting_since: float | None = trio.current_time()
        self.unsent = 0

    def is_waited_for(self) -> None:
        """Note that it is its turn, from now on."""
        self.waiting_since = trio.current_time()

    def waits(self) -> None:
        """Note that it is the server's turn."""
        self.waiting_since = None


@final
class Crowd:
    """All open connections of a server."""

    def __init__(self) -> None:
        self._peers: set[Peer] = set()

    def __len__(self) -> int:
        """Count them."""
        return len(self._peers)

    def admit(self, peer: Peer) -> bool:
        """Let one more in; say whether there is room."""
        if len(self._peers) >= MOST_CONNECTIONS and not self._cut_one_off():
            return False
        self._peers.add(peer)
        return True

    def leave(self, peer: Peer) -> None:
        """Forget one; harmless when repeated."""
        self._peers.discard(peer)

    def will_send(self, peer: Peer, size: int) -> None:
        """Note that an answer of so many bytes is on its way to somebody."""
        peer.unsent = size
        others = [other for other in self._peers if other is not peer and other.unsent]
        unsent = size + sum(other.unsent for other in others)
        others.sort(key=_patience_left)
        for other in others:
            if unsent <= MOST_UNSENT:
                break
            unsent -= other.unsent
            self._cut_off(other)
        peer.is_waited_for()

    def _cut_one_off(self) -> bool:
        slow = [peer for peer in self._peers if peer.waiting_since is not None]
        if not slow:
            return False
        self._cut_off(min(slow, key=_patience_left))
        return True

    def _cut_off(self, peer: Peer) -> None:
        self._peers.discard(peer)
        peer.scope.cancel(reason="others need its place")


def _patience_left(peer: Peer) -> float:
    return peer.waiting_since or 0.0
