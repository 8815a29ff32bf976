"""Rows as the server sends them in its binary format, without psycopg's adapters."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg.pq.abc import PGresult

_int: Final = partial(int.from_bytes, byteorder="big", signed=True)
_id: Final = partial(int.from_bytes, byteorder="big", signed=False)

_READERS: Final[dict[int, Callable[[bytes], Any]]] = {
    16: lambda data: data != b"\0",  # bool
    17: bytes,  # bytea
    20: _int,  # int8
    21: _int,  # int2
    23: _int,  # int4
    25: bytes.decode,  # text
    26: _id,  # oid
    2278: lambda _: None,  # void
}
"""By the number of the type."""


def decode_rows(result: PGresult) -> list[tuple[Any, ...]]:
    """Return a result's rows."""
    readers = [_READERS[result.ftype(column)] for column in range(result.nfields)]
    rows = []
    for row in range(result.ntuples):
        values = []
        for column, read in enumerate(readers):
            data = result.get_value(row, column)
            values.append(None if data is None else read(data))
        rows.append(tuple(values))
    return rows
