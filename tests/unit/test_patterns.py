"""Regular expressions of schemas: what they match, and what it may cost."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioqueue.schema.pattern_parsing import PatternProblem
from trioqueue.schema.patterns import MAX_STATES, Pattern, compile_pattern

ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", "[a-c]", "(?:)"])
COUNTS = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,}", "*?", "{0}"])


def free(steps: int) -> None:
    assert steps >= 0


def larger(smaller: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{}{}".format, smaller, smaller),
        st.builds("(?:{}|{})".format, smaller, smaller),
        st.builds("({}){}".format, smaller, COUNTS),
        st.builds("^{}".format, smaller),
        st.builds("{}$".format, smaller),
    )


PATTERNS = st.recursive(ATOMS, larger, max_leaves=8)
TEXTS = st.text("abc1\n", max_size=8)


def search(pattern: str, text: str) -> bool:
    return compile_pattern(pattern).search(text, free)


@given(PATTERNS, st.lists(TEXTS, min_size=1, max_size=5))
def test_it_matches_what_pythons_own_do(pattern: str, texts: list[str]) -> None:
    own = re.compile(pattern.replace("$", r"\Z"))
    for text in texts:
        assert search(pattern, text) == bool(own.search(text)), (pattern, text)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (r"^\d{4}-\d{2}$", "2026-01", "2026-1"),
        ("^[a-z]+(-[a-z]+)*$", "a-bc-d", "a--b"),
        ("^(?<year>[0-9]+)$", "12", "a"),
        (r"^\w+\.\w$", "a_1.b", "a-1.b"),
        (r"^\u0041\x42\u{43}$", "ABC", "abc"),
        (r"[\]\-\\]", "-", "a"),
        ("^[^]$", "x", ""),
        ("a{,2}", "a{,2}", "aa"),
        (r"\s", "\u00a0", "a"),
        ("^$", "", "a"),
        ("end$", "the end", "end\n"),
        ("^é.$", "é\N{GRINNING FACE}", "é"),
    ],
)
def test_it_reads_what_schemas_use(pattern: str, yes: str, no: str) -> None:
    assert search(pattern, yes)
    assert not search(pattern, no)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "without its"),
        (")", "without its"),
        ("[a", "too early"),
        ("a\\", "too early"),
        ("*", "nothing to repeat"),
        ("a**", "nothing to repeat"),
        ("^*", "anchor"),
        ("a{2,1}", "at least 2"),
        ("[b-a]", "rise"),
        (r"[\d-z]", "rise"),
        ("(?=a)", "looks around"),
        ("(?i)a", "flags"),
        (r"(a)\1", "back-references"),
        (r"\bword", "boundaries"),
        (r"\p{L}", "properties"),
        (r"\u12", "digits"),
        (r"\u{110000}", "digits"),
        ("(" * 51 + ")" * 51, "nests"),
        (f"a{{{MAX_STATES}}}", "too large"),
        ("((a{99}){99}){99}", "too large"),
    ],
)
def test_it_says_what_it_cannot_do(pattern: str, why: str) -> None:
    with pytest.raises(PatternProblem, match=re.escape(why)):
        Pattern(pattern)


def test_the_cost_grows_with_the_text_only() -> None:
    spent = 0

    def spend(steps: int) -> None:
        nonlocal spent
        spent += steps

    assert not Pattern("^(a+)+$").search("a" * 10_000 + "b", spend)
    assert spent < 100
    assert not Pattern("^(a|aa|aaa)*$").search("a" * 10_000 + "b", spend)
    assert spent < 200


def test_what_has_to_be_built_costs() -> None:
    class Poor(Exception):
        pass

    left = 1000

    def spend(steps: int) -> None:
        nonlocal left
        left -= steps
        if left < 0:
            raise Poor

    text = "ab" * 50 + "abbaabababbbabaaababbabbaab" * 50
    with pytest.raises(Poor):
        Pattern("(a|b)*a(a|b){200}c").search(text, spend)


def test_what_was_built_is_forgotten_in_time() -> None:
    pattern = Pattern("^[^x]*$")
    text = "".join(chr(code) for code in range(0x4E00, 0x4E00 + 20_900))
    for _ in range(3):
        assert pattern.search(text, free)
    assert not pattern.search(text + "x", free)
