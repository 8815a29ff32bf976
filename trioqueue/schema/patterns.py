"""Regular expressions whose cost grows with the text, whatever they say.

Python's own may need longer than the universe lasts for ``(a+)+$`` and thirty letters,
and cannot be interrupted.  These are matched by an automaton that is built as far as
texts need it.  They are the part of ECMAScript's expressions that an automaton can do:
no look-around, no back-references, no word boundaries.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, final

from trioqueue.schema.pattern_parsing import Node, Parser, PatternProblem, Ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_STATES: Final = 1000
"""How large an automaton may be, counted repetitions written out."""
_MAX_KEPT: Final = 20_000


class _State(NamedTuple):
    """One state of the automaton; where it goes by itself, or for which characters."""

    kind: str
    nexts: tuple[int, ...] = ()
    ranges: Ranges = ()


@final
class _Builder:
    """Turns a parsed expression into states."""

    def __init__(self) -> None:
        self.states: list[_State] = []

    def add(self, state: _State) -> int:
        if len(self.states) >= MAX_STATES:
            message = f"is too large: it takes more than {MAX_STATES} states"
            raise PatternProblem(message)
        self.states.append(state)
        return len(self.states) - 1

    def build(self, node: Node, after: int) -> int:
        match node:
            case ("char", ranges):
                return self.add(_State("char", (after,), ranges))
            case ("all", parts):
                for part in reversed(parts):
                    after = self.build(part, after)
                return after
            case ("any", branches):
                nexts = tuple(self.build(branch, after) for branch in branches)
                return self.add(_State("split", nexts))
            case ("repeat", part, least, most):
                return self._repeat(part, least, most, after)
        return self.add(_State(node[0], (after,)))

    def _repeat(self, part: Node, least: int, most: int | None, after: int) -> int:
        if most is None:
            loop = self.add(_State("split"))
            body = self.build(part, loop)
            self.states[loop] = _State("split", (body, after))
            after = loop
        else:
            end = after
            for _ in range(most - least):
                # A state for each, so that a count of what is empty ends as well.
                after = self.add(_State("split", (self.build(part, after), end)))
        for _ in range(least):
            after = self.build(part, self.add(_State("split", (after,))))
        return after


@final
class _Place:
    """Where the automaton may be after some text; what follows is found once."""

    __slots__ = ("matched", "moves", "states")

    def __init__(self, states: frozenset[int], *, matched: bool) -> None:
        self.states = states
        self.matched = matched
        self.moves: dict[str, _Place] = {}


@final
class Pattern:
    """A regular expression, ready to search texts."""

    def __init__(self, text: str) -> None:
        """Read an expression.

        Raises:
            PatternProblem: It is none, or uses what is not supported.
        """
        builder = _Builder()
        self._match = builder.add(_State("match"))
        self._start = builder.build(Parser(text).parse(), self._match)
        self._states = tuple(builder.states)
        self._forget()

    def _forget(self) -> None:
        self._places: dict[frozenset[int], _Place] = {}
        self._kept = 0
        self._again = self._reach([self._start])
        self._first = self._place(self._reach([self._start], at_start=True))

    def search(self, text: str, spend: Callable[[int], None]) -> bool:
        """Say whether it matches anywhere in a text.

        `spend` is told of the work, in units of some microseconds, and may raise.
        """
        spend(len(text) // 256)
        place = self._first
        for char in text:
            if place.matched:
                return True
            following = place.moves.get(char)
            if following is None:
                spend(1 + len(place.states) // 8)
                following = self._move(place, char)
            place = following
        if place.matched:
            return True
        ends = [
            self._states[state].nexts[0]
            for state in place.states
            if self._states[state].kind == "end"
        ]
        reached = self._reach(ends, at_start=not text, at_end=True)
        return self._match in reached

    def _move(self, place: _Place, char: str) -> _Place:
        if self._kept > _MAX_KEPT:
            self._forget()
        code = ord(char)
        nexts: list[int] = []
        for index in place.states:
            state = self._states[index]
            if state.kind == "char" and _contains(state.ranges, code):
                nexts += state.nexts
        following = self._place(self._reach(nexts) | self._again)
        place.moves[char] = following
        self._kept += 1
        return following

    def _place(self, states: frozenset[int]) -> _Place:
        known = self._places.get(states)
        if known is None:
            self._kept += len(states)
            known = self._places[states] = _Place(states, matched=self._match in states)
        return known

    def _reach(
        self, starts: Iterable[int], *, at_start: bool = False, at_end: bool = False
    ) -> frozenset[int]:
        """Find where it gets from some states without reading anything."""
        found: set[int] = set()
        left = list(starts)
        while left:
            index = left.pop()
            if index in found:
                continue
            found.add(index)
            kind, nexts, _ = self._states[index]
            if (
                kind == "split"
                or (kind == "start" and at_start)
                or (kind == "end" and at_end)
            ):
                left += nexts
        return frozenset(found)


def _contains(ranges: Ranges, code: int) -> bool:
    index = bisect_right(ranges, (code, sys.maxunicode + 1))
    return index > 0 and ranges[index - 1][1] >= code


@lru_cache(maxsize=512)
def compile_pattern(text: str) -> Pattern:
    """Read an expression; the same text gives the same object.

    Raises:
        PatternProblem: It is none, or uses what is not supported.
    """
    return Pattern(text)
