"""Reading regular expressions: what they are made of."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_NESTED: Final = 50
_COUNT: Final = re.compile(r"\{([0-9]{1,6})(,([0-9]{1,6})?)?\}")
_NAMED: Final = re.compile(r"\?<[A-Za-z_$][A-Za-z0-9_$]*>")

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Code points from the first to the second, inclusive; sorted, apart."""


def _is_one(ranges: Ranges) -> bool:
    return len(ranges) == 1 and ranges[0][0] == ranges[0][1]


class PatternProblem(ValueError):
    """A regular expression that cannot be used; its text says why."""


def _ranges(pairs: Iterable[tuple[int, int]]) -> Ranges:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(pairs):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _others(ranges: Ranges) -> Ranges:
    found, start = [], 0
    for low, high in ranges:
        if start < low:
            found.append((start, low - 1))
        start = high + 1
    if start <= sys.maxunicode:
        found.append((start, sys.maxunicode))
    return tuple(found)


def _of(text: str) -> Ranges:
    return _ranges((ord(char), ord(char)) for char in text)


_DIGITS: Final = ((48, 57),)
_WORD: Final = _ranges([(48, 57), (65, 90), (95, 95), (97, 122)])
_ENDS: Final = _of("\n\r\u2028\u2029")
_BLANKS: Final = _ranges(
    [
        *_of("\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff"),
        (0x2000, 0x200A),
    ]
)
_CLASSES: Final = {
    "d": _DIGITS,
    "D": _others(_DIGITS),
    "w": _WORD,
    "W": _others(_WORD),
    "s": _BLANKS,
    "S": _others(_BLANKS),
}
_CONTROLS: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "0": "\0"}

# What a parsed expression is made of: ("char", ranges), ("start",), ("end",),
# ("all", parts), ("any", branches), ("repeat", part, least, most or None).
Node: TypeAlias = tuple[Any, ...]


@final
class Parser:
    """Reads an expression."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def parse(self) -> Node:
        """Read all of it.

        Raises:
            PatternProblem: It is no expression, or uses what is not supported.
        """
        node = self._branches()
        if self._at < len(self._text):
            message = "has a ')' without its '('"
            raise PatternProblem(message)
        return node

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        char = self._peek()
        if not char:
            message = "ends too early"
            raise PatternProblem(message)
        self._at += 1
        return char

    def _branches(self) -> Node:
        branches = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else ("any", branches)

    def _sequence(self) -> Node:
        parts = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._repeated(self._atom()))
        return ("all", parts)

    def _repeated(self, node: Node) -> Node:
        char = self._peek()
        counted = _COUNT.match(self._text, self._at) if char == "{" else None
        if char not in ("*", "+", "?") and counted is None:
            return node
        if node[0] in ("start", "end"):
            message = f"repeats an anchor, at {self._at}"
            raise PatternProblem(message)
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(char, (0, 0))
        if counted is None:
            self._at += 1
        else:
            self._at = counted.end()
            least = int(counted[1])
            most = least if counted[2] is None else None
            if counted[3] is not None:
                most = int(counted[3])
            if most is not None and most < least:
                message = f"repeats at least {least} and at most {most} times"
                raise PatternProblem(message)
        if self._peek() == "?":  # how it is found does not matter, only whether
            self._at += 1
        if self._peek() in ("*", "+", "?"):
            message = f"has nothing to repeat at {self._at}"
            raise PatternProblem(message)
        return ("repeat", node, least, most)

    def _atom(self) -> Node:
        char = self._take()
        if char in ("*", "+", "?"):
            message = f"has nothing to repeat at {self._at - 1}"
            raise PatternProblem(message)
        if char == "(":
            return self._group()
        if char in ("^", "$"):
            return ("start",) if char == "^" else ("end",)
        match char:
            case "[":
                ranges = self._class()
            case ".":
                ranges = _others(_ENDS)
            case "\\":
                ranges = self._escape()
            case _:
                ranges = _of(char)
        return ("char", ranges)

    def _group(self) -> Node:
        if self._peek() == "?":
            named = _NAMED.match(self._text, self._at)
            if self._text.startswith("?:", self._at):
                self._at += 2
            elif named:
                self._at = named.end()
            else:
                message = "looks around or has flags, which is not supported"
                raise PatternProblem(message)
        self._depth += 1
        if self._depth > _MAX_NESTED:
            message = f"nests more than {_MAX_NESTED} groups"
            raise PatternProblem(message)
        node = self._branches()
        if self._peek() != ")":
            message = "has a '(' without its ')'"
            raise PatternProblem(message)
        self._at += 1
        self._depth -= 1
        return node

    def _escape(self) -> Ranges:
        char = self._take()
        if char in _CLASSES:
            return _CLASSES[char]
        if char in _CONTROLS:
            return _of(_CONTROLS[char])
        if char in ("x", "u"):
            return _of(self._code_point(char))
        if char.isascii() and char.isalnum():
            message = (
                f"uses \\{char}, which is not supported: no back-references, word "
                "boundaries or Unicode properties"
            )
            raise PatternProblem(message)
        return _of(char)

    def _code_point(self, kind: str) -> str:
        found = re.compile(
            r"[0-9A-Fa-f]{2}" if kind == "x" else r"[0-9A-Fa-f]{4}|\{[0-9A-Fa-f]{1,6}\}"
        ).match(self._text, self._at)
        number = -1 if found is None else int(found[0].strip("{}"), 16)
        if found is None or number > sys.maxunicode:
            message = f"has a \\{kind} without its digits"
            raise PatternProblem(message)
        self._at = found.end()
        return chr(number)

    def _class(self) -> Ranges:
        negated = self._peek() == "^"
        if negated:
            self._at += 1
        pairs: list[tuple[int, int]] = []
        while (char := self._take()) != "]":
            low = self._member(char)
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] != "]":
                self._at += 1
                high = self._member(self._take())
                if not (_is_one(low) and _is_one(high) and low <= high):
                    message = "has a range in [...] that does not rise"
                    raise PatternProblem(message)
                pairs.append((low[0][0], high[0][1]))
            else:
                pairs += low
        ranges = _ranges(pairs)
        return _others(ranges) if negated else ranges

    def _member(self, char: str) -> Ranges:
        if char != "\\":
            return _of(char)
        if self._peek() == "b":
            self._at += 1
            return _of("\b")
        if self._peek() == "-":
            self._at += 1
            return _of("-")
        return self._escape()
