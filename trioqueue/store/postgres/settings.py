"""What a PostgreSQL store is told in its URL."""

from __future__ import annotations

from typing import final

import attrs


@final
@attrs.frozen
class Settings:
    """How to reach the database, and what to rely on there.

    Attributes:
        conninfo: libpq's connection string; holds the password.
        schema: Where the tables are.
        pool_size: Most connections that run statements; one more listens.
        pooled: Whether a pooler such as PgBouncer hands out the server's processes
            transaction by transaction: nothing may be kept in a session then.
        relaxed: Whether a commit may be lost if the server crashes.
        statement_seconds: How long the server may take to answer.
    """

    conninfo: str = attrs.field(repr=False)
    schema: str = "trioqueue"
    pool_size: int = 8
    pooled: bool = False
    relaxed: bool = False
    statement_seconds: float = 30.0
