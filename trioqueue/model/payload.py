"""Payloads, results and metadata: values in, bytes stored, the same values out."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from trioqueue.model.message import JSON_TYPE

_CONTENT_TYPE: Final = re.compile(
    r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(\s*;\s*[^\x00-\x1f\x7f]*)?"
)
MAX_DEPTH: Final = 200
"""How deep lists and objects may be nested, so that what was stored can be read."""

_encode: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":")
).encode
_decode: Final = json.JSONDecoder().decode
_decode_raw: Final = json.JSONDecoder().raw_decode  # looks for no blanks: faster


class EncodingProblem(ValueError):
    """A value that cannot be stored; its text says what is wrong with it."""


def content_type_problem(content_type: object) -> str | None:
    """Say what is wrong with a content type, if anything."""
    if content_type == JSON_TYPE:
        return None
    if (
        isinstance(content_type, str)
        and len(content_type) <= 255
        and _CONTENT_TYPE.fullmatch(content_type)
    ):
        return None
    return f"must look like application/json or text/plain, got {content_type!r}"


def is_json(content_type: str) -> bool:
    """Say whether a content type is JSON's, parameters (``; charset=``) aside."""
    return content_type == JSON_TYPE or (
        content_type.partition(";")[0].strip() == JSON_TYPE
    )


def encode_json(value: Any) -> bytes:
    """Write a JSON value exactly: no NaN, no coerced keys, no lone surrogates.

    Raises:
        EncodingProblem: It is not a JSON value.
    """
    try:
        text = _encode(value)
        if text.count("[") + text.count("{") > MAX_DEPTH:
            _check_depth(value)
        if "{" in text:
            _check_keys(value)
        return text.encode()
    except UnicodeEncodeError:
        problem = "holds a lone surrogate, which is no character and has no bytes"
    except RecursionError:
        problem = f"is nested more than {MAX_DEPTH} deep, or holds itself"
    except (TypeError, ValueError) as error:
        problem = f"is not a JSON value: {error}"
    raise EncodingProblem(problem)


def _check_depth(value: Any) -> None:
    """Refuse what a reader with less stack to spare could not decode."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            item
            for outer in level
            if isinstance(outer, (dict, list, tuple))
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise RecursionError


def _check_keys(value: Any) -> None:
    """Refuse keys that JSON would silently turn into strings."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                message = f"the key {key!r} is not a string"
                raise TypeError(message)
            if isinstance(item, (dict, list, tuple)):
                _check_keys(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            if isinstance(item, (dict, list, tuple)):
                _check_keys(item)


def decode_json(data: bytes | str) -> Any:
    """Read a JSON value that `encode_json` wrote.

    Raises:
        EncodingProblem: These bytes are no JSON.
    """
    try:
        text = data if isinstance(data, str) else data.decode()
        value, end = _decode_raw(text)
        if end == len(text):
            return value
        return _decode(text)
    except (ValueError, RecursionError) as error:
        problem = f"is not JSON: {error}"
    raise EncodingProblem(problem)


def same_json(one: bytes | str | None, other: bytes | str | None) -> bool:
    """Say whether two JSON texts say the same: the order of keys says nothing."""
    if one == other:
        return True
    if one is None or other is None:
        return False
    try:
        texts = [json.dumps(decode_json(text), sort_keys=True) for text in (one, other)]
    except EncodingProblem:
        return False
    return texts[0] == texts[1]


def encode_payload(payload: Any, content_type: str) -> bytes:
    """Turn a payload into the bytes that are stored.

    ``application/json`` takes any JSON value, ``text/*`` a str, anything else bytes.

    Raises:
        EncodingProblem: The payload is not of that kind.
    """
    if is_json(content_type):
        return encode_json(payload)
    if content_type.startswith("text/"):
        if not isinstance(payload, str):
            problem = f"must be a str for {content_type}, got {type(payload).__name__}"
            raise EncodingProblem(problem)
        try:
            return payload.encode()
        except UnicodeEncodeError:
            problem = "holds a lone surrogate, which is no character and has no bytes"
        raise EncodingProblem(problem)
    if not isinstance(payload, (bytes, bytearray, memoryview)):
        problem = f"must be bytes for {content_type}, got {type(payload).__name__}"
        raise EncodingProblem(problem)
    return bytes(payload)


def decode_payload(data: bytes, content_type: str) -> Any:
    """Turn stored bytes back into the payload.

    Raises:
        EncodingProblem: The bytes are not of that content type.
    """
    if is_json(content_type):
        return decode_json(data)
    if content_type.startswith("text/"):
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            problem = f"is not UTF-8: {error}"
        raise EncodingProblem(problem)
    return data
