"""Schemas themselves: whether a document is one that can be used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from trioqueue.errors import Issue, ValidationError
from trioqueue.model.payload import EncodingProblem, decode_json, encode_json
from trioqueue.schema.pattern_parsing import PatternProblem
from trioqueue.schema.patterns import compile_pattern
from trioqueue.schema.validating import (
    Budget,
    TooCostlyError,
    library,
    no_network,
    pointer,
    violations,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES: Final = 131_072
MAX_DEPTH: Final = 64
_MAX_ISSUES: Final = 100
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_SAMPLES: Final[tuple[Any, ...]] = (None, False, 0, "", [], {})
_UNEVALUATED: Final = "unevaluatedProperties"


def check_document(document: Any) -> str:
    """Return a schema as the text that is stored.

    Raises:
        ValidationError: It is no schema, or uses what is not supported; every problem
            is named.
    """
    if not isinstance(document, (dict, bool)):
        raise ValidationError.of(
            "document",
            f"a JSON Schema is an object, true or false, got {type(document).__name__}",
        )
    try:
        text = encode_json(document).decode()
    except EncodingProblem as error:
        raise ValidationError.of("document", str(error)) from None
    if len(text.encode()) > MAX_BYTES:
        raise ValidationError.of(
            "document", f"is {len(text.encode())} bytes, the most is {MAX_BYTES}"
        )
    if _depth(document) > MAX_DEPTH:
        raise ValidationError.of("document", f"is nested more than {MAX_DEPTH} deep")
    # As JSON has it: the caller's may change, and may hold tuples.
    if issues := _issues(json.loads(text), text):
        raise ValidationError(issues[:_MAX_ISSUES])
    return text


def check_document_text(text: str) -> str:
    """Return a stored schema, if it is one that can be used.

    Raises:
        ValidationError: It is none.
    """
    try:
        document = decode_json(text)
    except EncodingProblem as error:
        raise ValidationError.of("document", str(error)) from None
    return check_document(document)


def _depth(document: Any) -> int:
    depth, level = 0, [document]
    while level:
        depth += 1
        level = [
            item
            for outer in level
            if isinstance(outer, (dict, list, tuple))
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return depth


def _issues(document: Any, text: str) -> list[Issue]:
    kind = library().validator_for(document, default=None)
    if kind is None and isinstance(document, dict) and "$schema" in document:
        return [
            Issue(
                "document/$schema",
                f"{document['$schema']!r} is not known; use "
                "https://json-schema.org/draft/2020-12/schema, or leave it out",
            )
        ]
    return _meta_issues(document, "", kind) or _own_issues(document) or _endless(text)


def _meta_issues(schema: Any, path: str, kind: Any = None) -> list[Issue]:
    """List what the meta-schema has against a schema."""
    kind = kind or library().Draft202012Validator
    validator = kind(kind.META_SCHEMA, registry=no_network())
    try:
        return [
            Issue(f"document{path}{pointer(error.absolute_path)}", error.message[:300])
            for error in validator.iter_errors(schema)
        ]
    except RecursionError:
        return [Issue(f"document{path}", "is nested too deep to be checked")]


def _own_issues(document: Any) -> list[Issue]:
    """List what is a schema but is not supported here."""
    issues: list[Issue] = []
    names: set[str] = set()
    for path, schema in _subschemas(document, issues):
        names |= schema.keys()
        patterns = [("pattern", schema["pattern"])] if "pattern" in schema else []
        patterns += [
            (f"patternProperties{pointer([each])}", each)
            for each in schema.get("patternProperties", ())
        ]
        for place, pattern in patterns:
            try:
                compile_pattern(pattern)
            except PatternProblem as error:
                message = f"the expression {pattern[:100]!r} {error}"
                issues.append(Issue(f"document{path}/{place}", message))
    if {_UNEVALUATED, "patternProperties"} <= names:
        issues.append(
            Issue("document", f"{_UNEVALUATED} beside patternProperties is unsupported")
        )
    return issues


def _subschemas(
    document: Any, issues: list[Issue]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Visit every schema in a document, those too that only a reference leads to.

    What is wrong with references is added to `issues`.
    """
    from referencing.jsonschema import DRAFT202012, specification_with

    dialect = document.get("$schema") if isinstance(document, dict) else None
    specification: Any = DRAFT202012
    if dialect is not None:
        specification = specification_with(dialect, default=DRAFT202012)
    root = specification.create_resource(document)
    paths = _paths(document)
    left = [(root, no_network().resolver_with_root(root), True)]
    visited: set[int] = set()
    while left:
        resource, resolver, checked = left.pop()
        schema = resource.contents
        if not isinstance(schema, dict) or id(schema) in visited:
            continue
        visited.add(id(schema))
        path = paths.get(id(schema), "")
        if not checked and (wrong := _meta_issues(schema, path)):
            issues += wrong
            continue
        yield path, schema
        left += [
            (inner, resolver.in_subresource(inner), checked)
            for inner in resource.subresources()
        ]
        for keyword in _REFERENCES:
            if keyword not in schema:
                continue
            found = _follow(resolver, schema[keyword])
            if isinstance(found, str):
                issues.append(Issue(f"document{path}/{keyword}", found))
            elif id(found.contents) in paths:  # not one of the library's own
                target = specification.create_resource(found.contents)
                left.insert(0, (target, found.resolver, False))


def _follow(resolver: Any, reference: str) -> Any:
    """Return what a reference leads to, or a text that says why it leads nowhere."""
    from referencing.exceptions import Unresolvable

    try:
        return resolver.lookup(reference)
    except Unresolvable:
        return (
            f"{reference!r} leads nowhere inside the document; nothing is ever fetched "
            "from elsewhere: put it under $defs"
        )
    except Exception as error:  # noqa: BLE001  the library raises various kinds
        return f"{reference!r} cannot be followed: {error}"


def _paths(document: Any) -> dict[int, str]:
    """Map every object in a document, by identity, to its place."""
    found: dict[int, str] = {}
    left: list[tuple[str, Any]] = [("", document)]
    while left:
        path, value = left.pop()
        if isinstance(value, dict):
            found[id(value)] = path
            left += [(path + pointer([k]), item) for k, item in value.items()]
        elif isinstance(value, list):
            left += [(f"{path}/{i}", item) for i, item in enumerate(value)]
    return found


def _endless(text: str) -> list[Issue]:
    """Try it on something of each type: a schema may refer to itself without end."""
    try:
        for sample in _SAMPLES:
            found = violations(text, sample, size=1, budget=Budget(50_000))
            if any(each.code == "depth" for each in found):
                return [Issue("document", "refers to itself without end")]
    except TooCostlyError:
        return [Issue("document", "takes too many steps even for an empty value")]
    return []
