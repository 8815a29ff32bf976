"""A small HTTP/1.1 server for pages that are read by machines, on h11 and Trio.

It answers GET and HEAD on a few fixed paths.  It is meant for the inside of a network:
there is no TLS and no login; but nobody who is slow, careless or malicious can keep it
from answering others, or make it hold much memory.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias, final

import trio

from trioqueue.errors import StoreUnavailableError
from trioqueue.metrics.address import Address, url_of
from trioqueue.metrics.conversation import Conversation, Page
from trioqueue.metrics.crowd import Crowd, Peer

if TYPE_CHECKING:
    from typing import NoReturn

    import h11

logger: Final = logging.getLogger("trioqueue.metrics")

Headers: TypeAlias = Mapping[str, str]
Route: TypeAlias = Callable[[Headers], Awaitable[Page]]


@final
class HttpServer:
    """Serves some routes.

    Args:
        routes: For each path what answers it.
    """

    def __init__(self, routes: Mapping[str, Route]) -> None:
        self._routes = dict(routes)
        self._crowd = Crowd()

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._crowd)

    async def serve(
        self,
        address: Address,
        *,
        task_status: trio.TaskStatus[Sequence[str]] = trio.TASK_STATUS_IGNORED,
    ) -> NoReturn:
        """Serve until canceled; reports the URLs it can be reached at, once it can.

        Canceled, it closes all connections at once.

        Raises:
            StoreUnavailableError: The address cannot be listened on; the text says why.
        """
        try:
            listeners = await trio.open_tcp_listeners(address.port, host=address.host)
        except (OSError, ValueError) as error:  # ValueError: the host is no name at all
            host = "*" if address.host is None else address.host
            reason = getattr(error, "strerror", None) or error
            message = (
                f"cannot listen on {host}:{address.port}: {reason}; "
                "is the port in use, or the address not this machine's?"
            )
            raise StoreUnavailableError(message) from error
        task_status.started(list(dict.fromkeys(map(url_of, listeners))))
        await trio.serve_listeners(self._serve_connection, listeners)

    async def _serve_connection(self, stream: trio.SocketStream) -> None:
        peer = Peer()
        with peer.scope:
            async with stream:
                conversation = Conversation(stream, self._crowd, peer, self._answer)
                try:
                    if self._crowd.admit(peer):
                        await conversation.run()
                    else:
                        await conversation.turn_away()
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    pass  # it has gone, and nothing is lost
                except Exception:
                    # Whatever somebody sends must not take the worker down.
                    logger.exception("a connection failed")
                finally:
                    self._crowd.leave(peer)

    async def _answer(self, request: h11.Request) -> Page:
        await trio.lowlevel.checkpoint()
        path = _path_of(request.target)
        route = self._routes.get(path)
        if request.method not in {b"GET", b"HEAD"}:
            return Page.text(405, "only GET and HEAD", (("allow", "GET, HEAD"),))
        if route is None:
            return Page.text(404, f"there are: {' '.join(sorted(self._routes))}")
        headers: dict[str, str] = {}
        for raw_name, raw_value in request.headers:
            name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        try:
            return await route(headers)
        except Exception:
            # A page that fails must not take the worker down, nor go unnoticed.
            logger.exception("the page %s failed", path)
            return Page.text(500, "this page failed; see the log")


def _path_of(target: bytes) -> str:
    """Return the path of a request's target, which proxies are sent as a whole URL."""
    text = target.decode("ascii", "replace").partition("?")[0]
    if "://" in text and not text.startswith("/"):
        text = f"/{text.partition('://')[2].partition('/')[2]}"
    return text
