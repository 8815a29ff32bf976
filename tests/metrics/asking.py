"""A client of the metrics server, as programs have one, and as none should be."""

from __future__ import annotations

import http.client
from contextlib import suppress
from typing import Any, final

import trio


@final
class Client:
    """Asks one server."""

    def __init__(self, url: str) -> None:
        self.address = url.removeprefix("http://")
        host, _, port = self.address.rpartition(":")
        self.host, self.port = host.strip("[]"), int(port)

    async def get(self, path: str, method: str = "GET", **headers: str) -> Any:
        """Ask for a page; return status, headers (names in lower case) and body."""

        def ask() -> Any:
            connection = http.client.HTTPConnection(self.address, timeout=20)
            names = {name.replace("_", "-"): text for name, text in headers.items()}
            connection.request(method, path, headers=names)
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            return answer.status, dict(answer.getheaders()), body

        return await trio.to_thread.run_sync(ask)

    async def connect(self) -> trio.SocketStream:
        """Open a connection, to say what one likes on it."""
        return await trio.open_tcp_stream(self.host, self.port)

    async def say(self, *parts: bytes, end: bool = False) -> bytes:
        """Send bytes, and return all that comes back; `end`: nothing more will come."""
        answer = bytearray()

        async def send() -> None:
            # Whoever is refused is not listened to any more.
            with suppress(trio.BrokenResourceError):
                for part in parts:
                    await stream.send_all(part)
                if end:
                    await stream.send_eof()

        async with await self.connect() as stream, trio.open_nursery() as nursery:
            nursery.start_soon(send)
            async for chunk in stream:
                answer += chunk
            nursery.cancel_scope.cancel()
        return bytes(answer)
