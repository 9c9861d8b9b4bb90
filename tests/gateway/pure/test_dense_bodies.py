"""Bodies that consist of names: refused before they cost anything."""

from __future__ import annotations

import pytest

from gateway import calls
from gateway.errors import InvalidRequest


def body(members: int, *, colon: str = ":", value: str = "1") -> bytes:
    pairs = ",".join(f'"{number}"{colon}{value}' for number in range(members))
    return f'{{"model":"m",{pairs}}}'.encode()


@pytest.mark.parametrize("colon", [":", " :", "\t\r\n :"])
def test_millions_of_names_are_refused_before_they_are_read(colon):
    with pytest.raises(InvalidRequest, match="more than 200000 names"):
        calls.parse(body(300_000, colon=colon))


def test_a_thousand_members_are_taken_and_no_more():
    assert len(calls.parse(body(999)).members) == 1000
    with pytest.raises(InvalidRequest, match="1000 members at most"):
        calls.parse(body(1000))


def test_json_within_a_string_counts_for_nothing():
    text = rb"\"key\": 1, " * 300_000
    assert calls.parse(b'{"model":"m","messages":"' + text + b'"}').selector == "m"


def test_many_messages_are_a_call_like_any_other():
    messages = b",".join([b'{"role":"user","content":"a word"}'] * 90_000)
    assert calls.parse(b'{"model":"m","messages":[' + messages + b"]}").selector == "m"
