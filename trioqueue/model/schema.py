"""Schemas as the registry keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import attrs

if TYPE_CHECKING:
    from datetime import datetime


@final
@attrs.frozen
class SchemaVersion:
    """One version of a schema; all but `active` never changes.

    Attributes:
        schema_id: The schema.
        version: Counted from 1; a number is never used again.
        document: The JSON Schema.
        description: What people may want to know about it.
        active: Whether new messages may be posted under it.
        created_at: When it was registered.
    """

    schema_id: str
    version: int
    document: Any
    description: str
    active: bool
    created_at: datetime
