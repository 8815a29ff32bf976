"""What ``open_store`` is given: a URL, read strictly."""

from __future__ import annotations

import re
import urllib.parse
from typing import Final, Literal, NamedTuple

from trioqueue.errors import ValidationError

_HELP: Final = (
    "write sqlite:///relative.db, sqlite:////absolute.db, sqlite://:memory: or "
    "postgresql://user@host/database"
)
_OWN_OPTIONS: Final = ("schema", "pool_size", "pooler", "statement_seconds")
_SCHEMA: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_$-]{0,62}")
_SECRET: Final = re.compile(r"((?:^|[?&])[^=&?]*password=)[^&#]*", re.IGNORECASE)

DEFAULT_SCHEMA: Final = "trioqueue"
DEFAULT_POOL_SIZE: Final = 8
DEFAULT_STATEMENT_SECONDS: Final = 30.0


class StoreURL(NamedTuple):
    """A store's address.

    Attributes:
        path: The SQLite file, or ``:memory:``; empty for PostgreSQL.
        shown: The URL as it may be shown: without passwords.
        kind: Which kind of database.
        conninfo: PostgreSQL: the URL as libpq takes it; holds the password.
        schema: PostgreSQL: where the tables are.
        pool_size: PostgreSQL: most connections that run statements.
        pooled: PostgreSQL: whether a pooler hands out server processes transaction by
            transaction.
        statement_seconds: PostgreSQL: how long the server may take to answer.
    """

    path: str
    shown: str
    kind: Literal["sqlite", "postgresql"] = "sqlite"
    conninfo: str = ""
    schema: str = DEFAULT_SCHEMA
    pool_size: int = DEFAULT_POOL_SIZE
    pooled: bool = False
    statement_seconds: float = DEFAULT_STATEMENT_SECONDS


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
        return _parse_postgresql(url)
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


def _parse_postgresql(url: str) -> StoreURL:
    shown = hide_password(url)
    if "#" in url or "\0" in url:
        raise ValidationError.of(
            "url", "write %23 for a # in a PostgreSQL URL, and no NUL"
        )
    scheme, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    authority, slash, database = place.partition("/")
    if authority.count("@") > 1 or "@" in database or "/" in database:
        # libpq would take a part of the password for the host, and name it in errors.
        raise ValidationError.of(
            "url", "write %40 for an @ and %2F for a / in a user, password or database"
        )
    own: dict[str, str] = {}
    libpq: list[str] = []
    for pair in filter(None, query.split("&")):
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValidationError.of("url", f"the option {name!r} has no value")
        if name in _OWN_OPTIONS:
            if name in own:
                raise ValidationError.of("url", f"the option {name!r} is given twice")
            own[name] = urllib.parse.unquote(value)
        else:
            libpq.append(pair)
    conninfo = f"{scheme}://{authority}{slash}{database}"
    if libpq:
        conninfo += f"?{'&'.join(libpq)}"
    schema = own.get("schema", DEFAULT_SCHEMA)
    if not _SCHEMA.fullmatch(schema):
        raise ValidationError.of(
            "url",
            f"schema={schema!r}: use letters, digits and _ $ -, begin with a letter "
            "or _, at most 63 characters",
        )
    pooler = own.get("pooler", "none")
    if pooler not in ("none", "session", "transaction"):
        raise ValidationError.of(
            "url", f"pooler={pooler!r}: write none, session or transaction"
        )
    pool_size = _number(own, "pool_size", DEFAULT_POOL_SIZE, 2, 1000)
    seconds = _number(own, "statement_seconds", DEFAULT_STATEMENT_SECONDS, 1, 86_400)
    return StoreURL(
        "",
        shown,
        "postgresql",
        conninfo,
        schema,
        int(pool_size),
        pooler == "transaction",
        seconds,
    )


def _number(
    own: dict[str, str], name: str, default: float, least: float, most: float
) -> float:
    text = own.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise ValidationError.of(
            "url", f"{name}={text!r}: write a whole number from {least} to {most}"
        )
    return int(text)


def hide_password(url: str) -> str:
    """Replace the password in a URL by ``***``."""
    try:
        parts = urllib.parse.urlsplit(url)
        secret = parts.password
        query = _SECRET.sub(r"\1***", parts.query)
    except ValueError:
        return "***"  # what cannot be taken apart may hold anything
    if secret is None and query == parts.query:
        return url
    netloc = parts.netloc
    if secret is not None:
        netloc = f"{parts.username or ''}:***@{netloc.rpartition('@')[2]}"
    return parts._replace(netloc=netloc, query=query).geturl()
