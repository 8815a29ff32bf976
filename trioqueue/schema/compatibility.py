"""Whether a new schema accepts all that an old one accepts.

It is known for types, values, bounds, properties and items; of what else differs it is
said that it is not known.  A reference counts as what it leads to inside its document.
"""

from __future__ import annotations

from typing import Any, Final, final

import attrs

from trioqueue.model.payload import encode_json
from trioqueue.schema.validating import (
    Budget,
    TooCostlyError,
    pointer,
    violations,
)

_ALL: Final = frozenset(
    {"null", "boolean", "integer", "number", "string", "array", "object"}
)
_LEAST: Final = (
    "minimum",
    "exclusiveMinimum",
    "minLength",
    "minItems",
    "minProperties",
    "minContains",
)
_MOST: Final = (
    "maximum",
    "exclusiveMaximum",
    "maxLength",
    "maxItems",
    "maxProperties",
    "maxContains",
)
_LOOSENED_WHEN_GONE: Final = (
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "pattern",
    "format",
    "propertyNames",
    "contains",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
)
_SAY_NOTHING: Final = frozenset(
    {
        "$schema", "$id", "$comment", "$defs", "definitions", "$anchor", "title",
        "description", "default", "examples", "deprecated", "readOnly", "writeOnly",
        "contentEncoding", "contentMediaType", "contentSchema",
    }
)  # fmt: skip
_COMPARED: Final = frozenset(
    {
        "type", "enum", "const", "required", "properties", "additionalProperties",
        "items", "prefixItems", "multipleOf", "uniqueItems",
        *_LEAST, *_MOST, *_LOOSENED_WHEN_GONE,
    }
)  # fmt: skip
_MAX_PAIRS: Final = 5000


@final
@attrs.frozen
class Compatibility:
    """What is known of a new schema beside an old one.

    Attributes:
        problems: Where the new one refuses what the old one accepts, each with its
            place as a JSON pointer.
        undecided: Where it may.
    """

    problems: tuple[str, ...]
    undecided: tuple[str, ...]

    @property
    def compatible(self) -> bool:
        """Whether the new one surely accepts all that the old one accepts."""
        return not (self.problems or self.undecided)


def check_compatibility(old: Any, new: Any) -> Compatibility:
    """Compare two JSON Schemas: does the new one accept all that the old one accepts?

    Raises:
        ValidationError: One of them is no schema that can be registered, or jsonschema
            is not installed.
    """
    from trioqueue.schema.documents import check_document

    for document in (old, new):
        check_document(document)
    comparison = _Comparison(old, new)
    comparison.compare(old, new, "")
    return Compatibility(
        tuple(dict.fromkeys(comparison.problems)),
        tuple(dict.fromkeys(comparison.undecided)),
    )


@final
class _Comparison:
    """Goes through two schemas side by side."""

    def __init__(self, old: Any, new: Any) -> None:
        self._roots = (old, new)
        self._pairs: set[tuple[int, int]] = set()
        self.problems: list[str] = []
        self.undecided: list[str] = []

    def _problem(self, path: str, text: str) -> None:
        self.problems.append(f"{path or '/'}: {text}")

    def _unknown(self, path: str, text: str) -> None:
        self.undecided.append(f"{path or '/'}: {text}")

    def compare(self, old: Any, new: Any, path: str) -> None:
        """Compare what two schemas say of the values at a place."""
        pair = (id(old), id(new))
        if pair in self._pairs:
            return  # a schema that refers to itself
        self._pairs.add(pair)
        if len(self._pairs) > _MAX_PAIRS:
            self._unknown(path, "there is too much to compare")
            return
        old, new = self._target(old, 0), self._target(new, 1)
        if old is False or new is True or new == {}:
            return
        if old == new and not ({"$ref", "$dynamicRef"} & _keywords(old)):
            return
        if new is False:
            self._problem(path, "nothing is accepted any more")
            return
        old = {} if old is True else old
        if self._tried(old, new, path):
            return
        self._unknowns(old, new, path)
        self._types(old, new, path)
        self._bounds(old, new, path)
        self._objects(old, new, path)
        self._arrays(old, new, path)
        for name in _LOOSENED_WHEN_GONE:
            if name in new and _differs(name, old, new):
                self._constraint(name, old, new, path)

    def _unknowns(self, old: Any, new: Any, path: str) -> None:
        """Name the keywords of which nothing is known here."""
        for name in sorted((set(old) | set(new)) - _COMPARED - _SAY_NOTHING):
            if _differs(name, old, new):
                self._unknown(path, f"{name!r} differs")
            elif name in ("$ref", "$dynamicRef", "$recursiveRef"):
                self._unknown(path, f"{name!r} may lead to something else")
        for name in ("unevaluatedItems", "unevaluatedProperties"):
            if name in new:
                self._unknown(path, f"something differs beside {name!r}")

    def _target(self, schema: Any, which: int) -> Any:
        """Follow references that stand alone and lead into the document."""
        for _ in range(100):
            if not isinstance(schema, dict) or set(schema) - _SAY_NOTHING != {"$ref"}:
                break
            found = _lookup(self._roots[which], schema["$ref"])
            if found is None:
                break
            schema = found
        return schema

    def _tried(self, old: Any, new: Any, path: str) -> bool:
        """Try all values that there are, if they are few and can be tried."""
        values = _values(old)
        references = {"$ref", "$dynamicRef", "$recursiveRef"}
        if values is None or references & _keywords(new):
            return False  # what is tried must stand by itself
        self._try(values, new, path)
        return True

    def _types(self, old: Any, new: Any, path: str) -> None:
        if missing := sorted(_types(old) - _types(new)):
            self._problem(path, f"no longer of type {', '.join(missing)}")
        for name in ("enum", "const"):
            if name in new and _differs(name, old, new):
                self._problem(path, f"limited by {name!r}")

    def _try(self, values: list[Any], new: Any, path: str) -> None:
        text = encode_json(new).decode()
        for value in values:
            try:
                found = violations(text, value, size=1000, budget=Budget(20_000))
            except TooCostlyError:
                self._unknown(path, "takes too many steps")
                return
            if found:
                self._problem(path, f"the value {value!r:.100} is no longer accepted")

    def _bounds(self, old: Any, new: Any, path: str) -> None:
        for name in _LEAST:
            if name in new and (name not in old or new[name] > old[name]):
                self._bound(name, old, new, path)
        for name in _MOST:
            if name in new and (name not in old or new[name] < old[name]):
                self._bound(name, old, new, path)
        if "multipleOf" in new:
            had, has = old.get("multipleOf"), new["multipleOf"]
            if had is None or had % has:
                self._problem(path, f"must be a multiple of {has}")
        if new.get("uniqueItems") and not old.get("uniqueItems"):
            self._problem(path, "its items must be unique")

    def _bound(self, name: str, old: Any, new: Any, path: str) -> None:
        if name in ("minContains", "maxContains"):
            self._unknown(path, f"{name!r} differs")
        elif (name.startswith("min") and new[name] <= 0 and name != "minimum") or (
            _implied(name, old, new[name])
        ):
            return
        else:
            self._problem(
                path, f"{name!r} is {new[name]}, was {old.get(name, 'unset')}"
            )

    def _objects(self, old: Any, new: Any, path: str) -> None:
        had, has = old.get("properties", {}), new.get("properties", {})
        for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
            self._problem(path, f"{name!r} is newly required")
        if "patternProperties" in old or "patternProperties" in new:
            # That they differ has been said; which of them counts for a name has not.
            if had != has or _rest(old) != _rest(new):
                self._unknown(path, "properties beside 'patternProperties'")
            return
        for name in sorted(set(had) | set(has)):
            inner = f"{path}/properties{pointer([name])}"
            if name not in has and _rest(new) is False and had[name] is not False:
                self._problem(inner, "is no longer allowed")
            else:
                before = had.get(name, _rest(old))
                self.compare(before, has.get(name, _rest(new)), inner)
        self.compare(_rest(old), _rest(new), f"{path}/additionalProperties")

    def _arrays(self, old: Any, new: Any, path: str) -> None:
        if isinstance(old.get("items"), list) or isinstance(new.get("items"), list):
            if old.get("items") != new.get("items"):
                self._unknown(path, "'items' is a list, as in older drafts")
            return
        had, has = old.get("prefixItems", []), new.get("prefixItems", [])
        old_rest, new_rest = old.get("items", True), new.get("items", True)
        for index in range(max(len(had), len(has))):
            self.compare(
                had[index] if index < len(had) else old_rest,
                has[index] if index < len(has) else new_rest,
                f"{path}/prefixItems/{index}",
            )
        self.compare(old_rest, new_rest, f"{path}/items")

    def _constraint(self, name: str, old: Any, new: Any, path: str) -> None:
        if name == "anyOf" and name in old:
            added = [branch for branch in new[name] if branch not in old[name]]
            if len(new[name]) - len(added) >= len(old[name]):
                return  # only more to choose from
        if name == "allOf" and name in old and all(b in old[name] for b in new[name]):
            return
        if name in ("pattern", "format") and name not in old:
            self._problem(path, f"{name!r} is new: {new[name]!r}")
        else:
            self._unknown(path, f"{name!r} differs")


def _differs(name: str, old: Any, new: Any) -> bool:
    return name not in old or name not in new or bool(old[name] != new[name])


def _rest(schema: Any) -> Any:
    return schema.get("additionalProperties", True)


def _implied(name: str, old: Any, bound: Any) -> bool:
    """Say whether another bound of the old schema is as tight."""
    other = {
        "minimum": "exclusiveMinimum",
        "maximum": "exclusiveMaximum",
    }.get(name)
    if other is not None and other in old and not isinstance(old[other], bool):
        had = old[other]
        return bool(had >= bound if name == "minimum" else had <= bound)
    wider = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}.get(name)
    if wider is not None and wider in old and not isinstance(bound, bool):
        had = old[wider]
        return bool(had > bound if wider == "minimum" else had < bound)
    return False


def _values(schema: Any) -> list[Any] | None:
    """Return the only values a schema can accept, if it lists them."""
    if "const" in schema:
        return [schema["const"]]
    values: list[Any] | None = schema.get("enum")
    return values


def _types(schema: Any) -> set[str]:
    named = schema.get("type")
    if named is None:
        values = _values(schema)
        return set(_ALL) if values is None else {_type_of(value) for value in values}
    found = {named} if isinstance(named, str) else set(named)
    return found | ({"integer"} if "number" in found else set())


def _type_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "number"
        case str():
            return "string"
    return "object" if isinstance(value, dict) else "array"


def _keywords(schema: Any) -> set[str]:
    found: set[str] = set()
    left = [schema]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            found |= value.keys()
            left += value.values()
        elif isinstance(value, list):
            left += value
    return found


def _lookup(root: Any, reference: str) -> Any:
    """Return what a JSON pointer inside a document leads to; None if it is no such."""
    if not reference.startswith("#") or (len(reference) > 1 and reference[1] != "/"):
        return None
    value = root
    for part in reference[2:].split("/") if len(reference) > 1 else ():
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value
