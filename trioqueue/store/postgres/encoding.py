"""Parameters as the server reads them: text, and bytes as they are.

Arrays are written here and not by psycopg, whose list dumper takes several times as
long for the hundreds of rows of a claim.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

TEXT: Final = 0
BINARY: Final = 1


def encode(value: Any) -> tuple[bytes | None, int]:
    """Write one parameter; return it with its format."""
    if value is None:
        return None, TEXT
    kind = type(value)
    if kind is bytes:
        return value, BINARY
    if kind is list:
        texts = bool(value) and type(value[0]) is str
        return (_text_array if texts else _int_array)(value), TEXT
    return str(value).encode(), TEXT


def encode_columns(
    types: Sequence[str], rows: Iterable[Sequence[Any]]
) -> list[bytes | None]:
    """Write rows as one array for each column."""
    columns = zip(*rows, strict=True)
    return [_WRITERS[kind](column) for kind, column in zip(types, columns, strict=True)]


def _int_array(values: Sequence[int | None]) -> bytes:
    if None in values:
        texts = ["NULL" if value is None else str(value) for value in values]
        return f"{{{','.join(texts)}}}".encode()
    return f"{{{','.join(map(str, values))}}}".encode()


def _text_array(values: Sequence[str | None]) -> bytes:
    return f"{{{','.join(map(_quote, values))}}}".encode()


def _quote(text: str | None) -> str:
    if text is None:
        return "NULL"
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _bytes_array(values: Sequence[bytes | None]) -> bytes:
    texts = ["NULL" if value is None else f'"\\\\x{value.hex()}"' for value in values]
    return f"{{{','.join(texts)}}}".encode()


_WRITERS: Final[dict[str, Callable[[Sequence[Any]], bytes]]] = {
    "int2": _int_array,
    "int4": _int_array,
    "int8": _int_array,
    "text": _text_array,
    "bytea": _bytes_array,
}
