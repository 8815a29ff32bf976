"""Statements as the server gets them: names qualified, parameters numbered."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from trioqueue.errors import ValidationError
from trioqueue.store.postgres.statements import MANY_TYPES, STATEMENTS

_SCHEMA: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_$-]*")
_LONGEST_NAME: Final = 63
_TABLE: Final = re.compile(r"\btq_\w+")
_PARAMETER: Final = re.compile(r"(?<!:):([a-z]\w*)")
_PLACEHOLDER: Final = re.compile(r"\{(rows|ids|array(\d+))\}")
_COMMENT: Final = re.compile(r"--[^\n]*")


class Compiled(NamedTuple):
    """A statement ready to be prepared.

    Attributes:
        sql: Its text, with parameters ``$1``, ``$2``, ...
        names: The parameters by name, in the order of their numbers; of a statement for
            many rows none.
        many: Whether it is for many rows: then each parameter is an array.
        columns: How many columns such a row has, 0 for other statements.
    """

    sql: bytes
    names: tuple[str, ...]
    many: bool
    columns: int


def quote_schema(schema: str) -> str:
    """Quote a schema's name for SQL.

    Raises:
        ValidationError: It is no name that trioqueue takes.
    """
    if not _SCHEMA.fullmatch(schema) or len(schema) > _LONGEST_NAME:
        message = (
            f"{schema!r} is no name for a schema: use letters, digits and _ $ -, "
            f"begin with a letter or _, at most {_LONGEST_NAME} characters"
        )
        raise ValidationError.of("schema", message)
    return f'"{schema}"'


@lru_cache(maxsize=2048)
def compile_statement(name: str, schema: str) -> Compiled:
    """Turn the statement of this name into what the server gets."""
    sql = " ".join(_COMMENT.sub("", STATEMENTS[name]).split())
    prefix = quote_schema(schema)
    sql = _TABLE.sub(lambda found: f"{prefix}.{found[0]}", sql)
    types = MANY_TYPES.get(name)
    if types is not None:
        return Compiled(_expand(sql, types).encode(), (), many=True, columns=len(types))
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        return f"${numbers.setdefault(found[1], len(numbers) + 1)}"

    sql = _PARAMETER.sub(number, sql)
    return Compiled(sql.encode(), tuple(numbers), many=False, columns=0)


def _expand(sql: str, types: tuple[str, ...]) -> str:
    """Write arrays in the place of a statement's parameter rows."""
    arrays = [f"${place}::{kind}[]" for place, kind in enumerate(types, 1)]
    columns = ", ".join(f"column{place}" for place in range(1, len(types) + 1))

    def replace(found: re.Match[str]) -> str:
        if found[1] == "rows":
            return f"unnest({', '.join(arrays)}) AS r({columns})"
        return arrays[0 if found[1] == "ids" else int(found[2]) - 1]

    return _PLACEHOLDER.sub(replace, sql)
