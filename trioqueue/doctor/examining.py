"""Examining the database that a URL names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from trioqueue.errors import ValidationError
from trioqueue.store.url import parse_url

if TYPE_CHECKING:
    from trioqueue.doctor.verdicts import Verdict


async def examine(url: str, *, thorough: bool = False) -> list[Verdict]:
    """Look at a database and judge it; nothing in it is changed.

    Args:
        url: The store's URL, as for `open_store`.
        thorough: Read all of an SQLite file and check it.

    Raises:
        ValidationError: The URL is wrong, or names no database that outlives this
            program.
    """
    if url.startswith(("postgres:", "postgresql:")):
        return await _examine_postgres(url)
    path = parse_url(url).path
    if path == ":memory:":
        raise ValidationError.of("url", "a database in memory ends with its program")
    # Here, because who has no SQLite file should not pay for this.
    from trioqueue.doctor import sqlite_facts, sqlite_rules

    # Abandoned, the thread only reads on, and ends with its file.
    facts = await trio.to_thread.run_sync(
        lambda: sqlite_facts.look(path, thorough=thorough), abandon_on_cancel=True
    )
    return sqlite_rules.judge(facts)


async def _examine_postgres(url: str) -> list[Verdict]:
    from trioqueue.doctor import postgres_facts, postgres_rules

    address = parse_url(url)
    facts = await postgres_facts.look(address.conninfo, address.schema, address.shown)
    return postgres_rules.judge(facts)
