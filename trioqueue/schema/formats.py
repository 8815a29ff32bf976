"""Formats that are checked: always the same ones, whatever else is installed."""

from __future__ import annotations

import ipaddress
import re
import uuid
from datetime import date, datetime, time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_OFFSET: Final = r"(?:[Zz]|[+-]\d{2}:\d{2})"
_TIME: Final = re.compile(
    rf"\d{{2}}:\d{{2}}:\d{{2}}(?:\.\d{{1,9}})?{_OFFSET}", re.ASCII
)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_UUID: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE
)
_FRACTION: Final = re.compile(r"\.\d+")


def _is_date(text: str) -> bool:
    return _DATE.fullmatch(text) is not None and bool(date.fromisoformat(text))


def _is_time(text: str) -> bool:
    # Without its fraction, of which Python takes six digits at most.
    short = _FRACTION.sub("", text.upper())
    found = _TIME.fullmatch(text)
    return found is not None and time.fromisoformat(short).tzinfo is not None


def _is_date_time(text: str) -> bool:
    day, rest = text[:10], text[11:]
    separated = text[10:11] in ("T", "t")
    return separated and _is_date(day) and _is_time(rest) and bool(_instant(text))


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(_FRACTION.sub("", text.upper()))


def _is_email(text: str) -> bool:
    name, at, host = text.rpartition("@")
    return bool(name and at and host) and not any(char.isspace() for char in text)


def _is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None and bool(uuid.UUID(text))


FORMATS: Final[dict[str, Callable[[str], object]]] = {
    "date": _is_date,
    "time": _is_time,
    "date-time": _is_date_time,
    "email": _is_email,
    "ipv4": ipaddress.IPv4Address,
    "ipv6": lambda text: "%" not in text and ipaddress.IPv6Address(text),
    "uuid": _is_uuid,
}
"""What says whether a text has a format: true, false or a ValueError."""


@lru_cache(maxsize=1)
def format_checks() -> Any:
    """Return what the library asks about formats."""
    from jsonschema import FormatChecker

    checker = FormatChecker(formats=[])
    for name, fits in FORMATS.items():
        checker.checks(name, raises=ValueError)(_on_texts(fits))
    return checker


def _on_texts(fits: Callable[[str], object]) -> Callable[[object], bool]:
    return lambda value: not isinstance(value, str) or bool(fits(value))
