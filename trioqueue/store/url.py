"""What ``open_store`` is given: a URL, read strictly."""

from __future__ import annotations

import urllib.parse
from typing import Final, NamedTuple

from trioqueue.errors import ValidationError

_HELP: Final = (
    "write sqlite:///relative.db, sqlite:////absolute.db or sqlite://:memory:"
)


class StoreURL(NamedTuple):
    """A store's address.

    Attributes:
        path: The SQLite file, or ``:memory:``.
        shown: The URL as it may be shown: without passwords.
    """

    path: str
    shown: str


def parse_url(url: str) -> StoreURL:
    """Read a store's URL.

    Raises:
        ValidationError: It is not one this version can open.
    """
    if not isinstance(url, str):
        raise ValidationError.of("url", f"expected a str, got {url!r}; {_HELP}")
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ValidationError.of("url", f"{hide_password(url)!r} is no URL; {_HELP}")
    if scheme in ("postgresql", "postgres"):
        raise ValidationError.of(
            "url", f"PostgreSQL is not available in this version; {_HELP}"
        )
    if scheme != "sqlite":
        raise ValidationError.of("url", f"unknown kind of store {scheme!r}; {_HELP}")
    if "?" in rest or "#" in rest:
        raise ValidationError.of(
            "url", f"SQLite takes no ?options (write %3F for a question mark); {_HELP}"
        )
    path = urllib.parse.unquote(rest)
    if path in (":memory:", "/:memory:"):
        return StoreURL(":memory:", "sqlite://:memory:")
    if not path.startswith("/") or path == "/" or "\0" in path:
        shown = hide_password(url)
        raise ValidationError.of("url", f"{shown!r} names no file; {_HELP}")
    return StoreURL(path[1:], url)


def hide_password(url: str) -> str:
    """Replace the password in a URL by ``***``."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return "***"  # what cannot be taken apart may hold anything
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username or ''}:***@{host}").geturl()
