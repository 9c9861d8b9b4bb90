"""Tables that a spreadsheet opens and nothing in them runs."""

from __future__ import annotations

import csv
import io
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers import csv_text

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


def cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def test_quotes_commas_and_line_ends_are_quoted_as_rfc_4180_says() -> None:
    assert csv_text.text([("a", 'say "hi", you\r\nthere')]) == '"a","say ""hi"", you\r\nthere"\r\n'


@pytest.mark.parametrize(
    "name",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =cmd|' /C calc'!A0", "＝1"],  # noqa: RUF001
)
def test_what_begins_like_a_formula_is_text(name: str) -> None:
    assert cells(csv_text.text([("ok", name)])) == [["ok", f"'{name}"]]


@pytest.mark.parametrize("name", ["Chat UI", "a=1", "", "…abcd", "1+1", "aurora--=x"])
def test_everything_else_stays_as_it_is(name: str) -> None:
    assert cells(csv_text.text([(name,)])) == [[name]]


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=4))
def test_every_table_comes_back_but_for_the_apostrophes(rows: list[list[str]]) -> None:
    read = cells(csv_text.text(rows))

    assert len(read) == len(rows)
    for before, after in zip(chain(*rows), chain(*read), strict=True):
        assert after in {before, f"'{before}"}
        assert not after.lstrip().startswith(("=", "+", "-", "@"))
