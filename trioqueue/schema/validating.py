"""Values against a JSON Schema: every violation, at a cost that is bounded."""

from __future__ import annotations

import itertools
import json
from contextvars import ContextVar
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, final

from trioqueue.errors import ValidationError, Violation
from trioqueue.model.payload import decode_json
from trioqueue.schema.formats import format_checks
from trioqueue.schema.patterns import compile_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MAX_VIOLATIONS: Final = 100
"""So many are listed; a value that is wrong everywhere is wrong enough."""
MAX_STEPS: Final = 200_000
"""Keywords looked at for one value, about: a second or so at the very most."""
MAX_NESTED: Final = 128
"""Keywords inside keywords, which take a few frames of the stack each."""
_LONGEST: Final = 300


class TooCostlyError(Exception):
    """The value takes more steps than it may."""


@final
class Budget:
    """What validating may still cost, for one value or several."""

    __slots__ = ("_left", "depth", "per_error")

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self._left = steps
        self.depth = 0
        self.per_error = 0

    def spend(self, steps: int) -> None:
        """Take so many steps away.

        Raises:
            TooCostlyError: There were not so many left.
        """
        self._left -= steps
        if self._left < 0:
            raise TooCostlyError

    def spend_error(self) -> None:
        """Take away what one error costs."""
        self.spend(self.per_error)


_BUDGET: Final[ContextVar[Budget]] = ContextVar("budget")


def library() -> Any:
    """Import jsonschema.

    Raises:
        ValidationError: It is not installed.
    """
    try:
        import jsonschema.validators
    except ImportError as error:
        raise ValidationError.of(
            "schema_id",
            f"schemas need jsonschema, which cannot be imported ({error}); "
            "run: pip install 'trioqueue[schema]'",
        ) from error
    return jsonschema.validators


def no_network() -> Any:
    """Return the schemas that schemas may refer to: the library's own, and no more."""
    return import_module("jsonschema_specifications").REGISTRY


def _counted(keyword: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
    """Let a keyword cost something."""

    def check(*args: Any) -> Iterator[Any]:
        budget = _BUDGET.get()
        budget.spend(1)
        budget.depth += 1
        try:
            # Not left to the interpreter: where the stack ends in the middle of a
            # library that is no Python, its way to say so is not an exception of ours.
            if budget.depth > MAX_NESTED:
                message = "keywords are nested too deep"
                raise RecursionError(message)
            for error in keyword(*args) or ():
                budget.spend_error()
                yield error
        finally:
            budget.depth -= 1

    return check


def _pattern(validator: Any, pattern: str, value: Any, _: Any) -> Iterator[Any]:
    if validator.is_type(value, "string") and not _matches(pattern, value):
        from jsonschema.exceptions import ValidationError as Error

        yield Error(f"{value!r} does not match {pattern!r}")


def _matches(pattern: str, text: str) -> bool:
    return compile_pattern(pattern).search(text, _BUDGET.get().spend)


def _pattern_properties(
    validator: Any, patterns: Any, value: Any, _: Any
) -> Iterator[Any]:
    if validator.is_type(value, "object"):
        for pattern, schema in patterns.items():
            for name, item in value.items():
                if _matches(pattern, name):
                    yield from validator.descend(
                        item, schema, path=name, schema_path=pattern
                    )


def _additional_properties(
    validator: Any, allowed: Any, value: Any, schema: Any
) -> Iterator[Any]:
    if not validator.is_type(value, "object"):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, item in value.items():
        if name in known or any(_matches(pattern, name) for pattern in patterns):
            continue
        if allowed is False:
            from jsonschema.exceptions import ValidationError as Error

            yield Error(f"the property {name!r} is not allowed")
        else:
            yield from validator.descend(item, allowed, path=name)


def _unique_items(validator: Any, unique: Any, value: Any, _: Any) -> Iterator[Any]:
    if not unique or not validator.is_type(value, "array"):
        return
    seen: dict[str, int] = {}
    for index, item in enumerate(value):
        _BUDGET.get().spend(1)
        first = seen.setdefault(_same_text(item), index)
        if first != index:
            from jsonschema.exceptions import ValidationError as Error

            yield Error(f"the items {first} and {index} are the same")
            return


def _same_text(value: Any) -> str:
    """Write a value so that equal ones are written alike: 1 and 1.0 are one number."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


_OWN: Final[dict[str, Callable[..., Any]]] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
}


@lru_cache(maxsize=16)
def _bounded(kind: Any) -> Any:
    """Make a validator class of the library's whose cost is counted."""
    keywords = {
        name: _counted(_OWN.get(name) or keyword)
        for name, keyword in kind.VALIDATORS.items()
        if keyword is not None
    }
    return library().extend(kind, keywords, format_checker=format_checks())


class _Compiled:
    """A schema, ready to look at values."""

    def __init__(self, document: Any) -> None:
        validators = library()
        kind = validators.validator_for(
            document, default=validators.Draft202012Validator
        )
        # With this registry nothing is ever fetched.
        self._validator = _bounded(kind)(
            document, registry=no_network(), format_checker=format_checks()
        )

    def errors(self, value: Any) -> Iterable[Any]:
        """Find what is wrong with a value."""
        found: Iterable[Any] = self._validator.iter_errors(value)
        return found


@lru_cache(maxsize=256)
def _compiled(document: str) -> _Compiled:
    return _Compiled(json.loads(document))


def pointer(path: Iterable[str | int]) -> str:
    """Write a path as a JSON pointer: ``/items/0/price``."""
    return "".join(
        "/" + str(part).replace("~", "~0").replace("/", "~1") for part in path
    )


def violations(
    document: str, value: Any, *, size: int, budget: Budget
) -> list[Violation]:
    """List what a schema has against a JSON value, in the order of its places.

    Args:
        document: The schema as JSON; it has been checked.
        value: What to look at, as JSON has it.
        size: How large it is, in bytes.
        budget: What it may cost.

    Raises:
        TooCostlyError: That was not enough.
        ValidationError: jsonschema is not installed.
    """
    compiled = _compiled(document)
    # The text of an error holds the value that is wrong.
    budget.per_error = size // 500
    budget.depth = 0
    reset = _BUDGET.set(budget)
    try:
        found = list(itertools.islice(compiled.errors(value), MAX_VIOLATIONS))
    except RecursionError:
        return [violation("", "depth", "is nested too deep to be validated")]
    except TooCostlyError:
        raise
    except Exception as error:  # noqa: BLE001  a document that nobody has checked
        kind = type(error).__name__
        return [violation("", "schema", f"its schema is unusable: {kind}: {error}")]
    finally:
        _BUDGET.reset(reset)
    return [
        violation(pointer(error.absolute_path), error.validator, error.message)
        for error in sorted(found, key=lambda error: _order(error.absolute_path))
    ]


def _order(path: Iterable[str | int]) -> list[tuple[bool, str | int]]:
    return [(isinstance(part, str), part) for part in path]


def violation(path: str, code: str | None, message: str) -> Violation:
    """Name a violation of a payload."""
    if len(message) > _LONGEST:
        message = f"{message[: _LONGEST // 2]} … {message[-_LONGEST // 2 :]}"
    return Violation(f"payload{path}", message, code=code or "false")


def judge(document: str, content: bytes, budget: Budget) -> tuple[Violation, ...]:
    """List what a schema has against the content of a message.

    Raises:
        TooCostlyError: It cannot be known within the budget.
        ValidationError: jsonschema is not installed.
    """
    value = decode_json(content)
    return tuple(violations(document, value, size=len(content), budget=budget))


def judge_fully(document: str, content: bytes) -> tuple[Violation, ...]:
    """List what a schema has against a content, or that it cannot be known.

    Raises:
        ValidationError: jsonschema is not installed.
    """
    try:
        return judge(document, content, Budget())
    except TooCostlyError:
        return (violation("", "cost", "takes too many steps to validate"),)
