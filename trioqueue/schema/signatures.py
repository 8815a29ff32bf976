"""Schemas of tasks' calls, as far as their types say what JSON they take."""

from __future__ import annotations

import inspect
import types
import typing
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Literal,
    NewType,
    NotRequired,
    Required,
    Union,
)

from trioqueue.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trioqueue.task import Task

_PLAIN: Final[dict[Any, Any]] = {
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    None: {"type": "null"},
    type(None): {"type": "null"},
    list: {"type": "array"},
    tuple: {"type": "array"},
    dict: {"type": "object"},
}
_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)


def schema_of(*tasks: Task[Any, Any]) -> dict[str, Any]:
    """Return the JSON Schema of messages that call one of some tasks.

    It says which tasks there are, which arguments each takes, and of what type where
    that is int, float, str, bool, None, list, tuple, dict, Literal, Union, TypedDict or
    made of these.  Of other types, and of parameters without any, it says nothing: they
    take whatever JSON there is.

    Raises:
        ValidationError: No task is given, or two have the same name.
    """
    names = [task.name for task in tasks]
    if not names or len(set(names)) < len(names):
        raise ValidationError.of("tasks", "give tasks, each once")
    calls = []
    for task in tasks:
        properties, conditions = _call(task)
        is_it = {"properties": {"task": {"const": task.name}}}
        calls.append(
            {"if": is_it, "then": {"properties": properties, "allOf": conditions}}
        )
    return {
        "type": "object",
        "required": ["task", "args", "kwargs"],
        "additionalProperties": False,
        "properties": {
            "task": {"enum": names},
            "args": {"type": "array"},
            "kwargs": {"type": "object"},
        },
        "allOf": calls,
    }


def _call(task: Task[Any, Any]) -> tuple[dict[str, Any], list[Any]]:
    """Return what a call's properties look like, and what more must hold."""
    # What is a task's own business: its parameters without the job.
    signature = task._signature  # noqa: SLF001  see above
    hints = _hints(task.__wrapped__)
    positions: list[Any] = []
    rest: Any = False
    keywords: dict[str, Any] = {}
    others: Any = False
    conditions: list[Any] = []
    for name, parameter in signature.parameters.items():
        schema = schema_of_type(hints.get(name, Any))
        kind = parameter.kind
        if kind is parameter.VAR_POSITIONAL:
            rest = schema
        elif kind is parameter.VAR_KEYWORD:
            others = schema
        else:
            ways: list[Any] = []
            if kind in _POSITIONAL:
                positions.append(schema)
                ways.append({"properties": {"args": {"minItems": len(positions)}}})
            if kind is not parameter.POSITIONAL_ONLY:
                keywords[name] = schema
                ways.append({"properties": {"kwargs": {"required": [name]}}})
            if parameter.default is parameter.empty:
                conditions.append({"anyOf": ways} if len(ways) > 1 else ways[0])
    args: dict[str, Any] = {"items": rest}
    if positions:
        args["prefixItems"] = positions
    found = {
        "args": args,
        "kwargs": {"properties": keywords, "additionalProperties": others},
    }
    return found, conditions or [True]


def _hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        return typing.get_type_hints(inspect.unwrap(function))
    except Exception:  # noqa: BLE001  a name that is only there for type checkers
        return {}


def schema_of_type(hint: Any) -> Any:
    """Return the JSON Schema of a type; true where the type says nothing of JSON."""
    return _schema(hint, 0)


def _schema(hint: Any, depth: int) -> Any:
    if depth > 20:
        return True  # a type that holds itself
    if isinstance(hint, NewType):
        return _schema(hint.__supertype__, depth + 1)
    if typing.is_typeddict(hint):
        return _typed_dict(hint, depth)
    if _is_plain(hint):
        return dict(_PLAIN[hint])
    return _generic(typing.get_origin(hint), typing.get_args(hint), depth)


def _generic(origin: Any, arguments: tuple[Any, ...], depth: int) -> Any:
    """Return the schema of what is made of other types."""
    if origin is Literal:
        return _literal(arguments)
    if origin in (Union, types.UnionType):
        branches = [_schema(each, depth + 1) for each in arguments]
        return True if True in branches else {"anyOf": branches}
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0], depth + 1)}
    if origin is dict and arguments[0] in (str, Any):
        values = _schema(arguments[1], depth + 1)
        return {"type": "object", "additionalProperties": values}
    if origin is tuple:
        return _tuple(arguments, depth)
    return True


def _is_plain(hint: Any) -> bool:
    try:
        return hint in _PLAIN
    except TypeError:  # not hashable
        return False


def _literal(values: tuple[Any, ...]) -> Any:
    plain = all(value is None or type(value) in (int, str, bool) for value in values)
    return {"enum": list(values)} if plain else True


def _tuple(arguments: tuple[Any, ...], depth: int) -> Any:
    if len(arguments) == 2 and arguments[1] is ...:
        return {"type": "array", "items": _schema(arguments[0], depth + 1)}
    count = len(arguments)
    found: dict[str, Any] = {"type": "array", "minItems": count, "maxItems": count}
    if arguments:
        found["prefixItems"] = [_schema(each, depth + 1) for each in arguments]
    return found


def _typed_dict(hint: Any, depth: int) -> dict[str, Any]:
    try:
        hints = typing.get_type_hints(hint)
        marked = typing.get_type_hints(hint, include_extras=True)
    except Exception:  # noqa: BLE001  as above
        hints, marked = {}, {}
    found: dict[str, Any] = {
        "type": "object",
        "properties": {name: _schema(each, depth + 1) for name, each in hints.items()},
    }
    # Where annotations are texts, what is marked by them is not known to the class.
    required = [
        name
        for name in sorted(hint.__annotations__.keys() | hints.keys())
        if typing.get_origin(marked.get(name)) is Required
        or (
            name in hint.__required_keys__
            and typing.get_origin(marked.get(name)) is not NotRequired
        )
    ]
    if required:
        found["required"] = required
    return found
