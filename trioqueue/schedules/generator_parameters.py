"""Checks what a day generator is called with against its function's signature."""

from __future__ import annotations

import builtins
import inspect
import types
import typing
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, final

from trioqueue.errors import ValidationIssue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)
_VARIADIC = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD


@final
class _Unknown:
    """A name that exists only for type checkers: anything fits it."""

    def __class_getitem__(cls, item: object) -> type[_Unknown]:
        return cls


@final
class _Names(dict[str, Any]):
    """The names that a function's annotations may use."""

    def __init__(self, function: Any) -> None:
        super().__init__(vars(builtins))
        self.update(getattr(function, "__globals__", {}))

    def __missing__(self, key: str) -> object:
        return _Unknown


@final
class Parameters:
    """The parameters of a generator's function, after period and calendar.

    Args:
        function: The function; its annotations are read when they are first needed.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        given = list(inspect.signature(function).parameters.values())
        self.own = {p.name: p for p in given[2:] if p.kind not in _VARIADIC}
        self.takes_any = any(p.kind is p.VAR_KEYWORD for p in given)
        self.callable = (
            len([p for p in given[:2] if p.kind in _POSITIONAL]) == 2
            or any(p.kind is p.VAR_POSITIONAL for p in given[:2])
        ) and not any(p.kind is p.POSITIONAL_ONLY for p in given[2:])

    def complete(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return parameters with the defaults of those that are missing."""
        defaults = {
            name: parameter.default
            for name, parameter in self.own.items()
            if parameter.default is not parameter.empty
        }
        return {**defaults, **parameters}

    def issues(self, given: object) -> Iterator[ValidationIssue]:
        """Name parameters that are unknown, missing or of a wrong type."""
        if not isinstance(given, Mapping):
            yield ValidationIssue("parameters", f"expected a dict, got {given!r}")
            return
        types_of = self._types()
        for name, value in given.items():
            if name not in self.own:
                if not self.takes_any or not isinstance(name, str):
                    yield self._unknown(name)
            elif not _fits(value, wanted := types_of.get(name, Any)):
                yield ValidationIssue(
                    f"parameters.{name}", f"must be {_shown(wanted)}, got {value!r}"
                )
        for name, parameter in self.own.items():
            if name not in given and parameter.default is parameter.empty:
                yield ValidationIssue(f"parameters.{name}", "is missing")

    def _unknown(self, name: object) -> ValidationIssue:
        near = get_close_matches(str(name), self.own, 1)
        known = f"it has: {', '.join(self.own)}" if self.own else "it has none"
        return ValidationIssue(
            f"parameters.{name}",
            "there is no such parameter",
            suggestion=f"did you mean {near[0]!r}?" if near else known,
        )

    def _types(self) -> dict[str, Any]:
        names = _Names(self._function)
        try:
            return inspect.get_annotations(
                self._function, globals={}, locals=names, eval_str=True
            )
        except Exception:  # noqa: BLE001  annotations may hold any code
            return {}


def _fits(value: object, wanted: Any) -> bool:
    """Tell whether a JSON value is of a type; any fits a type that is not known."""
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, choice) for choice in arguments)
    if origin is typing.Annotated:
        return _fits(value, arguments[0])
    if origin is typing.Literal:
        return any(type(value) is type(one) and value == one for one in arguments)
    if isinstance(origin, type):
        return _fits_generic(value, origin, arguments)
    return _fits_class(value, types.NoneType if wanted is None else wanted)


def _fits_class(value: object, wanted: Any) -> bool:
    if not isinstance(wanted, type) or wanted in (_Unknown, Any, object):
        return True
    if isinstance(value, bool):
        return wanted is bool
    try:
        return isinstance(value, (int, float) if wanted is float else wanted)
    except TypeError:
        # Some classes are for type checkers alone, such as most protocols.
        return True


def _fits_generic(value: object, origin: type, arguments: tuple[Any, ...]) -> bool:
    if not isinstance(value, origin) or isinstance(value, str):
        return False
    if isinstance(value, Mapping) and len(arguments) == 2:
        return all(
            _fits(key, arguments[0]) and _fits(item, arguments[1])
            for key, item in value.items()
        )
    if isinstance(value, (list, tuple)) and len(arguments) == 1:
        return all(_fits(item, arguments[0]) for item in value)
    return True


def _shown(wanted: Any) -> str:
    return wanted.__name__ if type(wanted) is type else str(wanted)
