"""Where a JSON object ends is told while its pieces arrive, however they are cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.translation.chat import ObjectEnd

marks = st.text(alphabet='{}[]"\\ a\n', max_size=12) | st.text(max_size=4)
objects = st.dictionaries(marks, marks | st.dictionaries(marks, marks, max_size=2), max_size=3)


@given(objects, st.booleans(), st.integers(0, 9))
def test_it_is_reached_with_the_last_brace_and_no_sooner(value, readable, size):
    written = json.dumps(value, ensure_ascii=not readable)
    end = ObjectEnd()

    for at in range(0, len(written) - 1, size + 1):
        end.feed(written[at : min(at + size + 1, len(written) - 1)])
        assert not end.is_reached

    for last in ("}", " ", "\n"):
        end.feed(last)
        assert end.is_reached


@pytest.mark.parametrize("pieces", [["{}x"], ["{}", "{}"], ["{} ", "x"], ["[{"], ["{", '"', "}"]])
def test_what_goes_on_or_never_closes_has_no_end(pieces):
    end = ObjectEnd()
    for piece in pieces:
        end.feed(piece)

    assert not end.is_reached
