"""``trioqueue version``: the versions of all that takes part."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import click

from trioqueue.cli.output import pairs
from trioqueue.cli.session import Session, format_option, with_session

_PARTS: Final = ("trio", "click", "psycopg", "psycopg-binary", "prometheus-client")
"""Packages whose version matters in a report; those not installed are left out."""


@click.command("version")
@format_option()
@with_session
def version_command(session: Session, /) -> None:
    """Show versions of trioqueue, Python, and all that takes part.

    \b
    Example: for a report of a fault
      trioqueue version -o json
    """  # noqa: D301  \b tells click not to wrap a paragraph
    document = versions()
    session.output.item(document, lambda: pairs(list(document.items())))


def versions() -> dict[str, str]:
    """Return what is installed, by name."""
    import sqlite3

    found = {
        "trioqueue": installed("trioqueue") or "(not installed)",
        "python": platform.python_version(),
        "platform": platform.platform(),
        "sqlite": sqlite3.sqlite_version,
    }
    for name in _PARTS:
        number = installed(name)
        if number is not None:
            found[name] = number
    if "psycopg" in found and (number := _libpq()):
        found["libpq"] = number
    return found


def installed(name: str) -> str | None:
    """Return a package's version; None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _libpq() -> str | None:
    try:
        from psycopg import pq
    except ImportError:
        return None  # psycopg is there, and libpq is not
    number = pq.version()
    return f"{number // 10000}.{number % 10000}"
