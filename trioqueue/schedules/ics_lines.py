"""iCalendar text as components and properties (RFC 5545 3.1), within strict limits.

Everything here is linear in the length of the text, and the text is bounded, so that a
hostile file costs no more than an honest one.  Values stay as they were written: what
a date, a rule or a time zone means is decided by the same code that runs schedules.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, final

import attrs

from trioqueue.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_TEXT: Final = 1_048_576
MAX_LINE: Final = 65_536
MAX_ENTRIES: Final = 10_000
MAX_DEPTH: Final = 8
_NAME: Final = re.compile(r"\s*([A-Za-z0-9.-]{1,100})\s*(?=[;:])")
_PARAMETER: Final = re.compile(
    r";\s*([A-Za-z0-9-]{1,100})\s*=((?:\"[^\"]*\"|[^\";:])*)", re.ASCII
)
_ESCAPED: Final = re.compile(r"\\([\\;,nN])")


def refuse(message: str, line: int = 0) -> ValidationError:
    """Make the error for something wrong with the file, at a line if there is one."""
    return ValidationError.of("ics", f"line {line}: {message}" if line else message)


@final
@attrs.frozen(eq=False)
class Property:
    """One content line; its value is as it was written."""

    name: str
    parameters: Mapping[str, str]
    value: str
    line: int

    def text(self) -> str:
        """Return the value of a property that holds text."""
        return _ESCAPED.sub(
            lambda found: "\n" if found[1] in "nN" else found[1], self.value
        )


@final
@attrs.frozen(eq=False)
class Component:
    """What stands between a BEGIN and its END."""

    name: str
    line: int
    properties: list[Property] = attrs.field(factory=list)
    children: list[Component] = attrs.field(factory=list)

    def all(self, name: str) -> Iterator[Property]:
        """Give the properties of a name."""
        return (each for each in self.properties if each.name == name)

    def first(self, name: str) -> Property | None:
        """Return the first property of a name."""
        return next(self.all(name), None)

    def parts(self, name: str) -> Iterator[Component]:
        """Give the components of a name that are directly in it."""
        return (each for each in self.children if each.name == name)


def read_components(text: Any) -> list[Component]:
    """Read a file into its VCALENDARs.

    Raises:
        ValidationError: It is no iCalendar file, it is damaged, or it is too large.
    """
    check_text(text)
    roots: list[Component] = []
    open_ones: list[Component] = []
    for entries, (number, line) in enumerate(_unfolded(text), 1):
        if entries > MAX_ENTRIES:
            raise refuse(f"the file has more than {MAX_ENTRIES} lines", number)
        found = _read_line(number, line)
        if found.name == "BEGIN":
            component = Component(found.value.strip().upper(), number)
            _open(component, roots, open_ones)
        elif not open_ones:
            raise refuse(f"{line[:40]!r} stands outside of a VCALENDAR", number)
        elif found.name == "END":
            closed = open_ones.pop()
            if closed.name != found.value.strip().upper():
                raise refuse(
                    f"{line[:40]!r} does not end BEGIN:{closed.name[:40]} of line "
                    f"{closed.line}",
                    number,
                )
        else:
            open_ones[-1].properties.append(found)
    if open_ones:
        last = open_ones[-1]
        raise refuse(f"BEGIN:{last.name[:40]} has no END", last.line)
    if not roots:
        raise refuse("there is no VCALENDAR in it")
    return roots


def check_text(text: object) -> None:
    """Look at what can be wrong with a file as a whole, before anything is read.

    Raises:
        ValidationError: It is no text, or too long.
    """
    if not isinstance(text, str):
        hint = "; decode it as UTF-8 first" if isinstance(text, bytes) else ""
        raise refuse(f"expected a str, got {type(text).__name__}{hint}")
    if len(text) > MAX_TEXT:
        raise refuse(f"is {len(text)} characters long, the most is {MAX_TEXT}")
    if "\0" in text:
        raise refuse("holds a NUL character; it is no iCalendar file")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise refuse("holds half of a surrogate pair, which is no text") from None


def _open(
    component: Component, roots: list[Component], open_ones: list[Component]
) -> None:
    if open_ones:
        open_ones[-1].children.append(component)
    elif component.name == "VCALENDAR":
        roots.append(component)
    else:
        raise refuse(
            f"BEGIN:{component.name[:40]} where BEGIN:VCALENDAR was expected",
            component.line,
        )
    open_ones.append(component)
    if len(open_ones) > MAX_DEPTH:
        raise refuse(f"components are nested deeper than {MAX_DEPTH}", component.line)


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """Give logical lines with their numbers; any kind of line end is understood."""
    pieces: list[str] = []
    began, size = 0, 0
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        if line[0] in " \t" and pieces:
            pieces.append(line[1:])
        else:
            if pieces:
                yield began, "".join(pieces)
            pieces, began, size = [line], number, 0
        size += len(line)
        if size > MAX_LINE:
            raise refuse(f"is longer than {MAX_LINE} characters", began)
    if pieces:
        yield began, "".join(pieces)


def _read_line(number: int, line: str) -> Property:
    named = _NAME.match(line)
    if named is None:
        raise refuse(f"{line[:40]!r} is no property: NAME:VALUE", number)
    name = named[1].upper()
    place = named.end()
    parameters: dict[str, str] = {}
    while line[place] == ";":
        found = _PARAMETER.match(line, place)
        if found is None or found.end() == len(line):
            raise refuse(f"{name}: a parameter is malformed", number)
        parameters.setdefault(found[1].upper(), found[2].strip().strip('"'))
        place = found.end()
    if line[place] != ":":
        raise refuse(f"{name}: a parameter is malformed", number)
    return Property(name, MappingProxyType(parameters), line[place + 1 :], number)
