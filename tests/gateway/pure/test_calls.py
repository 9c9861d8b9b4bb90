"""Bodies: only `model` changes on the way, and whatever is wrong with one is a refusal."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway import calls
from gateway.errors import InvalidJson, InvalidRequest

NAME_OF_ANOTHER_MODEL = "meta-llama/Llama-3.1-8B-Instruct"

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
gaps = st.text(" \t\r\n", max_size=2)


@st.composite
def spelled(draw: st.DrawFn, value: Any) -> str:
    """`value` as JSON that no encoder of ours would write: escapes, spaces, exponents."""
    text = json.dumps(value, ensure_ascii=draw(st.booleans()), indent=draw(st.none() | st.just(1)))
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1000:
        text = draw(st.sampled_from([text, f"{text}.000", f"{text}e0", f"{text}E+00"]))
    return text


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, dict[str, str]]:
    """A body with a model, and each member's value as it stands there."""
    members = draw(st.dictionaries(names.filter(lambda name: name != "model"), values, max_size=5))
    shown = [(name, draw(spelled(value))) for name, value in members.items()]
    model = draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
    shown.insert(draw(st.integers(0, len(shown))), ("model", draw(spelled(model))))
    ascii_names = draw(st.booleans())
    gap = draw(gaps)
    written = ",".join(
        f"{gap}{json.dumps(name, ensure_ascii=ascii_names)}{gap}:{gap}{value}{gap}"
        for name, value in shown
    )
    return f"{gap}{{{written}}}{gap}".encode(), dict(shown)


@given(bodies(), names.filter(bool))
def test_only_the_model_changes_and_every_other_value_stays_byte_for_byte(body, upstream_model):
    raw, shown = body
    call = calls.parse(raw)
    sent = calls.read_members(call.body_for(upstream_model))

    assert call.selector == json.loads(shown["model"])
    assert list(sent) == list(shown)  # in their order
    assert json.loads(bytes(sent.pop("model"))) == upstream_model
    shown.pop("model")
    assert {name: bytes(value) for name, value in sent.items()} == {
        name: value.encode() for name, value in shown.items()
    }


@given(bodies())
def test_the_body_sent_is_json_that_another_parser_reads_alike(body):
    raw, _ = body
    sent = calls.parse(raw).body_for(NAME_OF_ANOTHER_MODEL)
    assert json.loads(sent) == {**json.loads(raw), "model": NAME_OF_ANOTHER_MODEL}


@given(st.binary(max_size=60))
@example(b"")
@example(b"\xff")
@example(b"null")
@example(b'{"model":"\xff"}')
@example(b'{"model":"\\ud800"}')
@example(b'{"\xff":1,"model":"x"}')
@example(b'{"\\ud800":1,"model":"x"}')
@example(b'{"model":"x","a":"\xff"}')
@example(b'{"model":"x","a":"\\ud800"}')
@example(b'\xef\xbb\xbf{"model":"x"}')
def test_no_bytes_raise_anything_but_a_refusal(body):
    with contextlib.suppress(InvalidRequest):
        calls.parse(body).body_for("y")
    calls.model_named(body)


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_no_bytes_within_an_object_raise_anything_but_a_refusal(name, value):
    with contextlib.suppress(InvalidRequest):
        calls.parse(b'{"model":"x","' + name + b'":' + value + b"}").body_for("y")


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"model":"x"', b'{"model":"x"}x', b"{'model':1}", b"\0"]
)
def test_what_is_not_json_is_invalid_json(body):
    with pytest.raises(InvalidJson, match="not valid JSON") as caught:
        calls.parse(body)
    assert (caught.value.status, caught.value.code) == (400, "invalid_json")


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"model"', b"true", b'[{"model":"x"}]'])
def test_json_that_is_no_object_is_invalid_json(body):
    with pytest.raises(InvalidJson, match="must be a JSON object"):
        calls.parse(body)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"Model":"x"}',
        b'{"model":null}',
        b'{"model":1}',
        b'{"model":["x"]}',
        b'{"model":{}}',
        b'{"model":""}',
        b'{"model":"' + b"x" * 513 + b'"}',
    ],
)
def test_a_missing_or_unusable_model_is_named_as_the_parameter(body):
    with pytest.raises(InvalidRequest, match="model") as caught:
        calls.parse(body)
    assert (caught.value.status, caught.value.code, caught.value.param) == (
        400,
        "invalid_request",
        "model",
    )


def test_a_selector_may_be_as_long_as_the_limit():
    longest = "x" * calls.MOST_SELECTOR_CHARACTERS
    assert calls.parse(msgspec.json.encode({"model": longest})).selector == longest


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (b'{"model":"a","model":"b"}', b'{"model":"y"}'),
        (b'{"model":"a","x":1,"x":2}', b'{"model":"y","x":2}'),
        (b'{"x":1,"model":"a","x": 2 }', b'{"x":2,"model":"y"}'),
        (b'{"x":1,"\\u0078":2,"model":"a"}', b'{"x":2,"model":"y"}'),
        (b'{"m\\u006fdel":"a"}', b'{"model":"y"}'),
    ],
)
def test_of_a_member_given_twice_the_last_counts_and_only_it_is_sent(body, sent):
    assert calls.parse(body).body_for("y") == sent


def test_the_last_model_given_is_the_selector():
    assert calls.parse(b'{"model":"a","model":"b"}').selector == "b"


@pytest.mark.parametrize(("open_", "close"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("whole", [True, False])
def test_json_nested_100_000_deep_is_refused_or_passed_but_never_more(open_, close, whole):
    depth = 100_000
    middle = b"1" if open_ != b"[" else b""
    deep = open_ * depth + middle + (close * depth if whole else b"")
    for body in (deep, b'{"model":"x","a":' + deep + b"}"):
        with pytest.raises(InvalidJson):
            calls.parse(body)
        assert calls.model_named(body) is None


@pytest.mark.parametrize(
    ("body", "model"),
    [
        (b'{"model":"a/b"}', "a/b"),
        (b'{"model":1}', None),
        (b"{}", None),
        (b"", None),
        (b"--boundary\r\n", None),
        (b'{"model":"\\ud800"}', None),
    ],
)
def test_the_model_of_a_body_that_need_not_have_one(body, model):
    assert calls.model_named(body) == model


def test_a_call_does_not_show_what_its_body_holds():
    assert "confidential" not in repr(calls.parse(b'{"model":"x","prompt":"confidential"}'))
