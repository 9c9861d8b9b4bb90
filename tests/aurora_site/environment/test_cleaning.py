"""What is cut off a value before anybody judges it, and what is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_site.environment.cleaning import EDGES, cleaned, parts


@pytest.mark.parametrize(
    "text",
    [
        "value",
        " value ",
        "\tvalue\n",
        "value\r\n",
        "value\r",
        "\ufeffvalue",
        "\ufeff value\xa0",
        "value\u200b",
        '"value"',
        "'value'",
        '"value"\r\n',
        '\ufeff"value"\n',
    ],
)
def test_what_a_paste_or_a_mount_brings_along_is_cut_off(text):
    assert cleaned(text) == "value"


@pytest.mark.parametrize(
    "text",
    ["", '"', "'", "\"a'", "a'b", "it's", 'say "hi"', "a#b", "a b", "$HOME", "a\\b", '"a","b"'],
)
def test_what_belongs_to_a_value_is_kept(text):
    assert cleaned(text) == text


def test_blanks_inside_quotes_are_kept():
    assert cleaned('" pass word "\n') == " pass word "


@pytest.mark.parametrize("text", ["", " ", "\r\n", '""', "''", ' "" ', "\ufeff"])
def test_nothing_but_blanks_and_quotes_is_nothing(text):
    assert cleaned(text) == ""


@given(st.text(), st.sampled_from(["", '"', "'"]), st.text(EDGES, max_size=3))
def test_one_pair_of_quotes_is_taken_off_and_never_a_second(text, quote, edge):
    if quote or not (set(text[:1] + text[-1:]) & {'"', "'", *EDGES}):
        inside = f"{quote}{text}{quote}"
        assert cleaned(f"{edge}{inside}{edge}") in {text, inside}


@pytest.mark.parametrize(
    "text",
    [
        "a,b",
        " a , b ,",
        '"a","b"',
        "'a', 'b'",
        '"a",b',
        "a\nb\n",
        "a\r\nb",
        "a,,b,a",
    ],
)
def test_a_list_is_taken_apart_and_each_part_cleaned(text):
    assert parts(cleaned(text)) == ("a", "b")


def test_a_quoted_list_is_the_same_list():
    assert parts(cleaned('"a,b"')) == parts(cleaned("a,b")) == ("a", "b")
