"""Where to listen, and under which URL that can be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from trioqueue.errors import ValidationError

if TYPE_CHECKING:
    import trio

_DIGITS: Final = 5
_LAST_PORT: Final = 0xFFFF


class Address(NamedTuple):
    """Where to listen."""

    host: str | None
    """None: every address of this machine."""
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``HOST:PORT``, ``[IPV6]:PORT``, ``:PORT`` or ``PORT``.

        A port alone means this machine only; ``:PORT`` means every address.  Port 0
        takes one that is free.

        Raises:
            ValidationError: It is none of these.
        """
        host, colon, port = text.strip().rpartition(":")
        if not colon:
            host = "127.0.0.1"
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise _no_address(text)
        digits = port.isascii() and port.isdigit() and len(port) <= _DIGITS
        if not digits or int(port) > _LAST_PORT:
            raise _no_address(text)
        return cls(host or None, int(port))


def url_of(listener: trio.SocketListener) -> str:
    """Return the URL of a listener, as seen from this machine."""
    name: tuple[str, int] = listener.socket.getsockname()[:2]
    host, port = name
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  shown
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _no_address(text: str) -> ValidationError:
    return ValidationError.of(
        "address",
        f"{text!r} is no address; write e.g. 127.0.0.1:9464, [::1]:9464, 9464 for this "
        "machine only, or :9464 for every address",
    )
