"""One connection: requests in, answers out, by h11.

Whoever is slow, sends too much or breaks the protocol loses the connection, and nothing
else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, final

import h11
import trio

if TYPE_CHECKING:
    from trioqueue.metrics.crowd import Crowd, Peer

REQUEST_SECONDS: Final = 30.0
"""How long one request may take: waiting for it, answering, and sending the answer."""
MOST_BODY: Final = 64 * 1024
LINGER_SECONDS: Final = 1.0
"""How long what is still sent is thrown away before the connection is closed ..."""
MOST_IGNORED: Final = 1024 * 1024
"""... and how much of it: what arrives after the end would destroy the answer."""
_CHUNK: Final = 16 * 1024
_CLOSE: Final = (("connection", "close"),)


class Page(NamedTuple):
    """An answer."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def text(
        cls, status: int, text: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> Page:
        """Make a page of plain text."""
        return cls(status, "text/plain; charset=utf-8", f"{text}\n".encode(), headers)


Answer: TypeAlias = Callable[[h11.Request], Awaitable[Page]]


@final
class Conversation:
    """What is said on one connection.

    Args:
        stream: The connection.
        crowd: Who else there is.
        peer: The other end, as the crowd knows it.
        answer: Makes the answer to a request; raises nothing.
    """

    def __init__(
        self, stream: trio.SocketStream, crowd: Crowd, peer: Peer, answer: Answer
    ) -> None:
        self._stream = stream
        self._crowd = crowd
        self._peer = peer
        self._answer = answer
        self._http = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        """Answer requests until one of the two sides has had enough.

        Raises:
            trio.BrokenResourceError: The other side has gone.
        """
        await trio.lowlevel.checkpoint()
        more = True
        while more:
            more = False
            self._peer.is_waited_for()
            with trio.move_on_after(REQUEST_SECONDS):
                try:
                    more = await self._answer_one()
                except h11.RemoteProtocolError as error:
                    await self._refuse(error.error_status_hint, str(error))

    async def turn_away(self) -> None:
        """Say that there is no room; what was asked does not matter."""
        with trio.move_on_after(LINGER_SECONDS):
            await self._send(Page.text(503, "too many connections", _CLOSE))

    async def _answer_one(self) -> bool:
        """Answer one request; say whether another may follow."""
        request = await self._read()
        if request is None:
            return False
        self._peer.waits()
        page = await self._answer(request)
        await self._send(page, head=request.method == b"HEAD")
        if self._http.our_state is h11.MUST_CLOSE:
            await self._linger()
            return False
        self._http.start_next_cycle()
        return True

    async def _read(self) -> h11.Request | None:
        """Read a request to its end; None: there is none, or it has been refused."""
        request: h11.Request | None = None
        announced = received = 0
        while True:
            match event := await self._next_event():
                case h11.Request():
                    request, announced = event, _announced(event)
                case h11.Data(data=data):
                    received += len(data)
                case h11.EndOfMessage():
                    return request
                case _:
                    return None
            if max(announced, received) > MOST_BODY:
                await self._refuse(413, "nothing is to be sent here")
                return None

    async def _next_event(self) -> Any:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                await trio.lowlevel.checkpoint()
                return event
            if self._http.they_are_waiting_for_100_continue:
                go = h11.InformationalResponse(status_code=100, headers=[])
                await self._stream.send_all(self._http.send(go) or b"")
            self._http.receive_data(await self._stream.receive_some(_CHUNK))

    async def _refuse(self, status: int, text: str) -> None:
        """Tell a client what is wrong with its request, if it can still hear."""
        if self._http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            await self._send(Page.text(status, text, _CLOSE))
            await self._linger()
        await trio.lowlevel.checkpoint()

    async def _send(self, page: Page, *, head: bool = False) -> None:
        headers = [
            ("content-type", page.content_type),
            ("content-length", str(len(page.body))),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            *page.headers,
        ]
        http = self._http
        data = http.send(h11.Response(status_code=page.status, headers=headers)) or b""
        data += http.send(h11.Data(data=b"" if head else page.body)) or b""
        data += http.send(h11.EndOfMessage()) or b""
        self._crowd.will_send(self._peer, len(data))
        await self._stream.send_all(data)
        self._peer.unsent = 0

    async def _linger(self) -> None:
        """Let the answer arrive, whatever is still being sent."""
        with trio.move_on_after(LINGER_SECONDS):
            await self._stream.send_eof()
            ignored = 0
            while ignored < MOST_IGNORED:
                data = await self._stream.receive_some(_CHUNK)
                if not data:
                    break
                ignored += len(data)


def _announced(request: h11.Request) -> int:
    """Return how long a request says that its body is; 0 if it does not say."""
    lengths = (text for name, text in request.headers if name == b"content-length")
    return int(next(lengths, 0))
