"""What people type: durations, instants, policies, payloads.

Each reader takes a text and returns a value, or raises ``click.BadParameter``.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from trioqueue.cli.output import standard_input

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trioqueue.model import RetentionPolicy, RetryPolicy

T = TypeVar("T")
AnyFunction = TypeVar("AnyFunction", bound="Callable[..., Any]")

_UNITS: Final = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
}
_NUMBER: Final = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_SECONDS: Final = re.compile(_NUMBER)
_PART: Final = re.compile(rf"({_NUMBER})(ms|s|m|h|d|w)")
_DURATION: Final = re.compile(rf"(?:{_NUMBER}(?:ms|s|m|h|d|w))+")


def duration(text: str) -> float:
    """Read a span: ``30s``, ``5m``, ``2h``, ``1d``, ``1h30m``, or plain seconds."""
    text = text.strip().lower()
    if _SECONDS.fullmatch(text):
        return float(text)
    if not _DURATION.fullmatch(text):
        raise click.BadParameter(
            f"{text!r} is no duration; write e.g. 30s, 5m, 2h, 1d, 1h30m or 1.5"
        )
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def show_duration(seconds: float) -> str:
    """Write a span so that `duration` reads it: the other way round."""
    if seconds in (float("inf"), float("-inf")):
        return "no limit"
    whole, fraction = divmod(round(seconds * 1000), 1000)
    parts = []
    for unit in ("d", "h", "m"):
        count, whole = divmod(whole, int(_UNITS[unit]))
        if count:
            parts.append(f"{count}{unit}")
    if whole or fraction or not parts:
        parts.append(f"{whole + fraction / 1000:g}s")
    return "".join(parts)


def instant(text: str) -> datetime:
    """Read an ISO 8601 instant; it must say its time zone."""
    try:
        value = datetime.fromisoformat(text.strip())
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no ISO 8601 time; write e.g. 2030-01-31T09:00:00Z"
        ) from None
    if value.utcoffset() is None:
        raise click.BadParameter(
            f"{text!r} has no time zone; add Z for UTC, or an offset such as +02:00"
        )
    return value


def moment(text: str) -> datetime | float:
    """Read an instant, or a span such as ``10m``: so long ago, in seconds."""
    try:
        return duration(text)
    except click.BadParameter:
        pass
    try:
        return instant(text)
    except click.BadParameter as error:
        raise click.BadParameter(f"{error.message}, or a span such as 10m") from None


def retention(text: str) -> RetentionPolicy:
    """Read ``delete``, ``keep:SPAN`` or ``forever``."""
    from trioqueue.model import RetentionPolicy

    kind, _, span = text.strip().partition(":")
    match kind, span:
        case "delete", "":
            return RetentionPolicy.delete()
        case "forever", "":
            return RetentionPolicy.keep_forever()
        case "keep", span if span:
            return _checked(lambda: RetentionPolicy.keep(duration(span)))
        case _:
            raise click.BadParameter(
                f"{text!r} is no retention; write delete, forever, or e.g. keep:1h"
            )


_RETRY_HELP: Final = (
    "write e.g. exponential, exponential:2s,factor=3,cap=10m,jitter=off, fixed:30s or "
    "linear:10s,cap=5m"
)


def retry_policy(text: str) -> RetryPolicy:
    """Read ``KIND[:SPAN][,cap=SPAN][,factor=NUMBER][,jitter=on|off]``."""
    from trioqueue.model import RetryPolicy

    kind, _, rest = text.strip().partition(":")
    if "," in kind:
        kind, _, rest = text.strip().partition(",")
        rest = f",{rest}"
    span, *settings = rest.split(",")
    base = duration(span) if span else None
    match kind:
        case "exponential":
            values = _settings(settings, ("factor", "cap_seconds", "jitter"))
            if base is not None:
                values["base_seconds"] = base
            return _checked(lambda: RetryPolicy.exponential(**values))
        case "fixed" if base is not None:
            _settings(settings, ())
            return _checked(lambda: RetryPolicy.fixed(base))
        case "linear" if base is not None:
            values = _settings(settings, ("cap_seconds",))
            return _checked(lambda: RetryPolicy.linear(base, **values))
        case _:
            raise click.BadParameter(f"{text!r} is no retry policy; {_RETRY_HELP}")


def _settings(texts: Iterable[str], allowed: tuple[str, ...]) -> dict[str, Any]:
    readers: dict[str, tuple[str, Callable[[str], Any]]] = {
        "cap": ("cap_seconds", duration),
        "factor": ("factor", float),
        "jitter": ("jitter", {"on": True, "off": False}.__getitem__),
    }
    values: dict[str, Any] = {}
    for text in texts:
        key, _, value = text.partition("=")
        name, read = readers.get(key.strip(), ("", str))
        try:
            values[name] = read(value.strip())
            known = name in allowed
        except (ValueError, KeyError):
            known = False
        if not known:
            raise click.BadParameter(
                f"{text!r} is no setting of this retry policy; {_RETRY_HELP}"
            )
    return values


def _checked(make: Callable[[], T]) -> T:
    """Make a policy, and refuse what the policy itself refuses."""
    from trioqueue.errors import ValidationError

    try:
        return make()
    except ValidationError as error:
        raise click.BadParameter(str(error)) from None


def metadata_pair(text: str) -> tuple[str, Any]:
    """Read ``key=text``, or ``key:=JSON`` for another kind of value."""
    key, found, value = text.partition("=")
    if not found or not key.rstrip(":"):
        raise click.BadParameter(f"{text!r} is no KEY=TEXT (or KEY:=JSON)")
    if not key.endswith(":"):
        return key, value
    try:
        return key[:-1], json.loads(value)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"{value!r} is not JSON: {error}") from None


LAST_VERSION: Final = 2**31 - 1
"""No schema has a higher version."""


def schema_place(text: str) -> tuple[str, int | None]:
    """Read ``id`` or ``id:version``."""
    schema_id, found, version = text.partition(":")
    if not found:
        return schema_id, None
    if not (version.isascii() and version.isdigit() and int(version[:9]) > 0):
        raise click.BadParameter(f"{text!r} is no ID[:VERSION], such as order:2")
    return schema_id, int(version[:9])


def payload(text: str, content_type: str) -> Any:
    """Read a payload as its content type asks: a JSON value, a str, or bytes.

    ``-`` reads standard input, ``@name`` a file; ``@@`` stands for a leading ``@``.
    """
    data = _payload_bytes(text)
    try:
        if content_type == "application/json":
            return json.loads(data.decode("utf-8-sig"))
        return data.decode() if content_type.startswith("text/") else data
    except UnicodeDecodeError as error:
        problem = f"the payload is not UTF-8: {error}"
    except (ValueError, RecursionError) as error:
        problem = (
            f"the payload is not JSON: {error}; quote it for the shell, e.g. "
            """'{"to": "a@example.org"}', or name another --content-type"""
        )
    raise click.BadParameter(problem, param_hint="'PAYLOAD'")


def _payload_bytes(text: str) -> bytes:
    if text == "-":
        return standard_input().read()
    if text.startswith("@@"):
        text = text[1:]
    elif text.startswith("@"):
        try:
            return Path(text[1:]).read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise click.BadParameter(
                f"cannot read {text[1:]!r}: {reason} (@@ stands for a leading @)",
                param_hint="'PAYLOAD'",
            ) from None
    # Bytes that were no UTF-8 on the command line come back as they were.
    return text.encode(errors="surrogateescape")


def limit_option(default: int) -> Callable[[AnyFunction], AnyFunction]:
    """Make the option of every list: how much of it to print."""
    return click.option(
        "--limit",
        type=click.IntRange(1, 9999),
        metavar="N",
        default=default,
        show_default=True,
        help="Print at most so many.",
    )
