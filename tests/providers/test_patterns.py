"""Names with `*`: what they match, and which of them comes first."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.patterns import Pattern, compiled, is_pattern, matching


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("claude-*", "claude-haiku-4-5-20251001"),
        ("claude-*", "claude-"),
        ("*", "anything/at all"),
        ("*", ""),
        ("anthropic/*", "anthropic/claude/haiku"),
        ("*haiku*", "haiku"),
        ("*-haiku-*", "claude-haiku-4-5"),
        ("claude-*-4-*", "claude-opus-4-4-1"),
        ("a*a", "aa"),
        ("a**b", "ab"),
        ("claude-*", "claude-*"),
        ("*", "two\nlines"),
    ],
)
def test_a_star_stands_for_any_characters(name: str, text: str) -> None:
    assert Pattern.of(name).matches(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("claude-*", "claude"),
        ("claude-*", "Claude-haiku"),
        ("claude-*", "my-claude-haiku"),
        ("*haiku", "haiku-4"),
        ("a*a", "a"),
        ("ab*bc", "abc"),
        ("a*b*c", "acb"),
        ("a*bc*bc", "abc"),
        ("claude-?*", "claude-x"),
        ("claude-[a-z]*", "claude-x"),
    ],
)
def test_nothing_else_is_a_wildcard_and_every_literal_must_be_there(name: str, text: str) -> None:
    assert not Pattern.of(name).matches(text)


names = st.text("ab/*", max_size=8).filter(is_pattern)


@given(names, st.text("ab/*", max_size=12))
def test_matching_is_as_a_star_of_a_regular_expression(name: str, text: str) -> None:
    parts = ".*".join(map(re.escape, name.split("*")))
    assert Pattern.of(name).matches(text) == bool(re.fullmatch(parts, text, re.DOTALL))


def test_matching_never_backtracks() -> None:
    """A regular expression of this name would not come to an end."""
    assert not Pattern.of("*" + "a*" * 100 + "b*").matches("a" * 512)


@given(st.lists(names | st.text("ab", max_size=3), unique=True, max_size=8), st.text("ab/*"))
def test_the_first_that_matches_has_the_most_literal_characters(held: list[str], text: str) -> None:
    def rank(name: str) -> tuple[int, int, str]:
        return -len(name.replace("*", "")), name.count("*"), name

    wanted = [name for name in held if is_pattern(name) and Pattern.of(name).matches(text)]
    assert matching(text, compiled(held)) == min(wanted, key=rank, default=None)


@pytest.mark.parametrize(
    ("held", "first"),
    [
        (["*", "claude-*", "claude-haiku-*"], "claude-haiku-*"),
        (["*-4-5", "claude-*"], "claude-*"),
        (["*claude-*", "claude-*"], "claude-*"),
        (["claude*haiku-4-5", "*laude-haiku-4-5"], "*laude-haiku-4-5"),
        (["claude-haiku", "other-*"], None),
    ],
)
def test_among_patterns_the_nearest_wins(held: list[str], first: str | None) -> None:
    for order in (held, held[::-1]):
        assert matching("claude-haiku-4-5", compiled(order)) == first
