"""Strings that were cut within an emoji: kept as they came, or read with U+FFFD for the half."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import calls, surrogates
from gateway.errors import InvalidJson

CUT = {
    rb'"cut \ud83d here"': "cut \ufffd here",
    rb'"\uD83D"': "\ufffd",
    rb'"\udE00 at the start"': "\ufffd at the start",
    rb'"twice \ud83d\ud83d\ude00"': "twice \ufffd\U0001f600",
    rb'"a backslash before: \\\ud83d"': "a backslash before: \\\ufffd",
    rb'["deep", {"a": "\ud83dx"}]': ["deep", {"a": "\ufffdx"}],
}


@pytest.mark.parametrize("value", CUT)
def test_a_cut_string_keeps_its_bytes(value):
    body = b'{"model":"m","text":' + value + b"}"

    call = calls.parse(body)

    assert bytes(memoryview(call.members["text"])) == value
    assert call.body_for("m") == body


@pytest.mark.parametrize(("value", "read"), CUT.items())
def test_where_it_is_read_the_half_is_replaced(value, read):
    members = surrogates.mended_members({"text": msgspec.Raw(value)})

    assert msgspec.json.decode(members["text"]) == read


def test_what_is_no_half_stays_and_costs_no_copy():
    members = {"text": msgspec.Raw(rb'"\ud83d\ude00 \\ud83d \n"'), "n": msgspec.Raw(b"1")}

    assert surrogates.mended_members(members) is members
    plain = {"text": msgspec.Raw(b'"plain"')}
    assert surrogates.mended_members(plain) is plain


def test_of_a_call_with_a_half_the_other_members_stay():
    members = {"whole": msgspec.Raw(rb'"\ud83d\ude00"'), "cut": msgspec.Raw(rb'["\ud83d"]')}

    mended = surrogates.mended_members(members)

    assert list(mended) == ["whole", "cut"]
    assert mended["whole"] is members["whole"]
    assert msgspec.json.decode(mended["cut"]) == ["\ufffd"]


def test_beside_private_characters_of_the_same_range_the_half_is_replaced():
    call = calls.parse(rb'{"model":"m","text":"\ue83d \ud83d"}')

    assert bytes(memoryview(call.members["text"])) == rb'"\ue83d \ufffd"'


def test_a_body_of_halves_alone_is_refused():
    body = b'{"model":"m","text":"' + rb"\ud83d" * (surrogates.MOST_HALVES + 1) + b'"}'

    with pytest.raises(InvalidJson):
        calls.parse(body)


def test_a_half_among_escapes_without_end_is_not_looked_for():
    body = b'{"model":"m","text":"' + rb"\n" * surrogates.MOST_BACKSLASHES + rb"\ud83d" + b'"}'

    with pytest.raises(InvalidJson):
        calls.parse(body)


@given(st.text(st.characters(codec=None), max_size=20))
def test_any_string_that_python_writes_is_taken_and_kept(text):
    value = json.dumps(text).encode()
    body = b'{"model":"m","text":' + value + b"}"

    call = calls.parse(body)
    mended = msgspec.json.decode(surrogates.mended_members(call.members)["text"])

    if not any("\ue800" <= character <= "\uefff" for character in text):
        assert call.body_for("m") == body
    paired = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert mended.replace("\ufffd", "") == paired.replace("\ufffd", "")


def test_a_byte_order_mark_before_the_body_is_no_part_of_it():
    assert calls.parse(b'\xef\xbb\xbf{"model":"m"}').body_for("m") == b'{"model":"m"}'
    assert calls.model_named(b'\xef\xbb\xbf{"model":"m"}') == "m"
