"""Bodies that consist of names or of values: refused before they cost anything."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import calls
from gateway.errors import InvalidRequest


def body(members: int, *, colon: str = ":", value: str = "1") -> bytes:
    pairs = ",".join(f'"{number}"{colon}{value}' for number in range(members))
    return f'{{"model":"m",{pairs}}}'.encode()


def check_values(value: bytes) -> None:
    calls.check_values({"model": msgspec.Raw(b'"m"'), "input": msgspec.Raw(value)})


def many(value: bytes, times: int) -> bytes:
    return b"[" + b",".join([value] * times) + b"]"


@pytest.mark.parametrize("colon", [":", " :", "\t\r\n :"])
def test_millions_of_names_are_refused_before_they_are_read(colon):
    with pytest.raises(InvalidRequest, match="more than 200000 names"):
        calls.parse(body(300_000, colon=colon))


@pytest.mark.parametrize("name", [rb'"\\"', rb'"\""', rb'"\\\""', rb'"\\\\"', b'""', b'":"'])
def test_no_name_hides_itself(name):
    objects = many(b"{" + name + b":1}", 200_001)
    with pytest.raises(InvalidRequest, match="more than 200000 names"):
        calls.parse(b'{"model":"m","tools":' + objects + b"}")


def test_a_thousand_members_are_taken_and_no_more():
    assert len(calls.parse(body(999)).members) == 1000
    with pytest.raises(InvalidRequest, match="1000 members at most"):
        calls.parse(body(1000))


@pytest.mark.parametrize(
    "text",
    [rb"\"key\": 1, ", b"a, [b], {c: d}: ", rb"\\:,", rb"\":,", b":,[{" * 16, b"QUJDRA=="],
)
@pytest.mark.parametrize("before", [b"", b"x", rb"\n"])
def test_what_stands_in_a_string_counts_for_nothing(text, before):
    string = b'"' + before + text * 300_000 + b'"'
    call = calls.parse(b'{"model":"m","messages":[{"content":' + string + b"}]}")
    assert call.selector == "m"
    calls.check_values(call.members)


def test_many_messages_are_a_call_like_any_other():
    messages = many(b'{"role":"user","content":"a word"}', 90_000)
    assert calls.parse(b'{"model":"m","messages":' + messages + b"}").selector == "m"


def test_a_prompt_may_be_a_million_numbers():
    assert calls.parse(b'{"model":"m","prompt":' + many(b"7", 1_000_000) + b"}").selector == "m"


@pytest.mark.parametrize("value", [b"1", b'""', rb'"\\"', rb'"\""', b"null", b" 1 ", b'","'])
def test_as_many_values_as_may_be_are_read_in_detail_and_no_more(value):
    check_values(many(value, 99_998))
    with pytest.raises(InvalidRequest, match="more than 100000 values"):
        check_values(many(value, 100_000))


@pytest.mark.parametrize("value", [b"[]", b"{}", b'{"":[]}', b"[[[1]]]", b'{"\\\\":{"\\"":1}}'])
def test_values_within_values_count_too(value):
    with pytest.raises(InvalidRequest, match="more than 100000 values"):
        check_values(many(value, 60_000))


def test_the_values_of_all_members_count_together():
    half = msgspec.Raw(many(b"1", 60_000))
    calls.check_values({"a": half})
    more = msgspec.Raw(many(b"1", 60_001))
    with pytest.raises(InvalidRequest, match="more than 100000 values") as caught:
        calls.check_values({"a": half, "b" * 1000: more})
    assert caught.value.param == "b" * 80


TEXTS = st.text(st.sampled_from('\\",:[{a\n'), max_size=12)
VALUES = st.recursive(
    TEXTS | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
)


def counted(value: object) -> int:
    """By the rules of `check_values`."""
    if not isinstance(value, (list, dict)):
        return 1
    within = list(value.values() if isinstance(value, dict) else value)
    return 1 + sum(map(counted, within)) + (not within)


@given(VALUES, st.integers(0, 60))
def test_values_are_counted_right_wherever_a_step_ends(value, before):
    """A step ends within `value`, which is `before` bytes before its end."""
    text = json.dumps(["x" * (calls.STEP_BYTES - before), value]).encode()
    filler = calls.MOST_VALUES - counted(value) - 4  # the lists, the x, and the model
    ones = b"," + many(b"1", filler)[1:]
    check_values(b"[" + text + ones)
    with pytest.raises(InvalidRequest):
        check_values(b"[1," + text + ones)
