"""JSON Schemas: what they say of values, of one another, and of tasks.

All of it is pure; the registry is in the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trioqueue._lazy import lazy_names

if TYPE_CHECKING:
    from trioqueue.schema.compatibility import Compatibility as Compatibility
    from trioqueue.schema.compatibility import (
        check_compatibility as check_compatibility,
    )
    from trioqueue.schema.signatures import schema_of as schema_of

_HOMES: Final = {
    "trioqueue.schema.compatibility": ("Compatibility", "check_compatibility"),
    "trioqueue.schema.signatures": ("schema_of",),
}

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
