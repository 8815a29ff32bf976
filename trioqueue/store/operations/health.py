"""A look that shows whether the database can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trioqueue.errors import SchemaVersionError
from trioqueue.store.operations.core import Fetch

if TYPE_CHECKING:
    from trioqueue.store.operations.core import Operation


SCHEMA_VERSION: Final = 4
"""The tables that operations know: both databases have as many steps."""


def check_schema() -> Operation[None]:
    """See that the tables are still those that this code knows.

    Raises:
        SchemaVersionError: Somebody has migrated them meanwhile, or taken them away.
    """
    rows = yield Fetch("schema_version")
    found = int(rows[0][0]) if rows else 0
    if found != SCHEMA_VERSION:
        message = (
            f"the database has schema version {found} now, this process was started "
            f"with version {SCHEMA_VERSION}; restart it with the "
            "trioqueue that migrated it"
        )
        raise SchemaVersionError(message, found=found, known=SCHEMA_VERSION)
