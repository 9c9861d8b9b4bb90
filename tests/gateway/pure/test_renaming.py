"""Answers say the model that was asked for; nothing else of them changes, wherever they are cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import sse
from gateway.calls import parse
from gateway.dialects import Dialect
from gateway.errors import UpstreamBroke
from gateway.relay.streams import Untouched
from gateway.renaming import Renamed, whole
from gateway.translation import EventStream, Stamp
from gateway.translation.messages.native import NativeStream
from gateway.translation.responses import Echo, to_chat
from gateway.translation.responses.numbered import Numbered
from tests.recorded import load, names

ASKED = 'the "model" 模型'
NAMED = b'"model":' + json.dumps(ASKED, ensure_ascii=False).encode()
STREAMS = [name for name in names() if load(name).streamed and load(name).status == 200]
CHUNK = b'data: {"id":"x","model":"m","choices":[{"delta":{"content":"\xe4\xb8\x96"}}]}\n\n'


def untouched() -> EventStream:
    return Untouched(Dialect.OPENAI)


def told(pieces: list[bytes], beneath: EventStream | None = None) -> bytes:
    renamed = Renamed(beneath or untouched(), ASKED)
    return b"".join([*map(renamed.feed, pieces), renamed.end()])


def told_of(name: str) -> bytes:
    """The model as vLLM wrote it into every object that says one."""
    models = set(_models(load(name).body))
    assert len(models) <= 1
    return b'"model":' + json.dumps(models.pop()).encode() if models else NAMED


def _models(stream: bytes) -> list[str]:
    found = []
    for event in sse.Parser().feed(stream):
        value = json.loads(event.data) if event.data != b"[DONE]" else {}
        inner = value.get("response") or value.get("message")
        for said in (value, inner if isinstance(inner, dict) else {}):
            found += [said["model"]] if "model" in said else []
    return found


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("beneath", [untouched, NativeStream, Numbered])
def test_of_what_vllm_streams_only_the_model_changes(name: str, beneath: Any) -> None:
    reads, plain = list(load(name).reads), beneath()
    without = b"".join([*map(plain.feed, reads), plain.end()])

    assert told(reads, beneath()) == without.replace(told_of(name), NAMED)


@pytest.mark.parametrize("name", STREAMS)
def test_each_piece_of_whole_events_goes_out_as_one(name: str) -> None:
    """The client sees a chunk when the server has sent it."""
    renamed = Renamed(untouched(), ASKED)
    for piece in load(name).reads:
        assert renamed.feed(piece) == piece.replace(told_of(name), NAMED)
        assert piece.endswith(b"\n\n")


@given(st.sampled_from(STREAMS), st.lists(st.integers(1, 500), min_size=1))
def test_it_makes_no_difference_where_a_stream_is_cut(name: str, sizes: list[int]) -> None:
    body, at = load(name).body, 0
    pieces: list[bytes] = []
    while at < len(body):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(body[at : at + size])
        at += size

    assert told(pieces) == body.replace(told_of(name), NAMED)


def test_a_letter_that_is_cut_in_two_comes_out_whole() -> None:
    for at in range(len(CHUNK) + 1):
        assert told([CHUNK[:at], CHUNK[at:]]) == CHUNK.replace(b'"model":"m"', NAMED)


@pytest.mark.parametrize("end", [b"\r\n", b"\r", b"\n"])
def test_lines_end_as_the_server_ends_them(end: bytes) -> None:
    lines = (b": hello", b"id: 3", b"event: x", b'data: {"model":"m","a":[1, 2]}', b"retry: 9")
    stream = end.join((*lines, b"", b"data: [DONE]", b"", b""))

    for at in range(len(stream) + 1):
        assert told([stream[:at], stream[at:]]) == stream.replace(b'"model":"m"', NAMED)


def test_an_event_of_several_lines_of_data_stays_one_event() -> None:
    stream = b'event: x\ndata: {"a": {\ndata: "b": 1},\ndata: "model": "m"}\nid: 1\n\ndata: c\ndata: d\n\n'

    first, second = sse.Parser().feed(told([stream]))

    assert json.loads(first.data) == {"a": {"b": 1}, "model": ASKED}
    assert (first.name, second.data) == (b"x", b"c\nd")


def test_a_byte_order_mark_does_not_hide_the_first_event() -> None:
    [event] = sse.Parser().feed(told([sse.BYTE_ORDER_MARK + CHUNK]))

    assert json.loads(event.data)["model"] == ASKED


@pytest.mark.parametrize(
    "stream",
    [
        b": a comment\n\n",
        b"data: [DONE]\n\n",
        b'data: {"choices":[{"delta":{"content":"\\"model\\":\\"m\\""}}]}\n\n',
        b'data: {"choices":[{"model":"m"}],  "n" : 1.50}\n\n',
        b'data: {"error": {"message":"no", "param":"model"}}\n\n',
        b'data: {"message":"of a \\"model\\"","response":["model"],"x":"model"}\n\n',
        b'data: ["model"]\n\n',
        b'data: {"model":\n\n',
        b'data: {"model":"m"}} "model"\n\n',
        b'"model"\n\n\n\n',
        b'data: \xff "model"\n\n',
        b'data: {"a":' + b"[" * 100_000 + b'"model"\n\n',
        b'data: {"choices":[],"model',
    ],
)
def test_what_says_no_model_passes_byte_for_byte(stream: bytes) -> None:
    assert told([stream]) == stream


@pytest.mark.parametrize("within", ["response", "message"])
def test_the_object_within_an_event_is_named_too(within: str) -> None:
    stream = (
        b'event: e\ndata: {"type":"e","%s":{"id":"1","model":"m","metadata":{"model":"m"}}}\n\n'
    )
    inner = b'{"id":"1",%s,"metadata":{"model":"m"}}' % NAMED

    said = told([stream % within.encode()])

    assert said == b'event: e\ndata: {"type":"e","%s":%s}\n\n' % (within.encode(), inner)


def test_a_last_event_without_its_empty_line_is_named_too() -> None:
    stream = CHUNK.removesuffix(b"\n\n")

    assert told([stream]) == stream.replace(b'"model":"m"', NAMED)


def test_an_event_that_is_cut_off_is_left_out_before_the_error() -> None:
    renamed = Renamed(untouched(), ASKED)
    error = UpstreamBroke("It broke off.")

    said = renamed.feed(CHUNK + CHUNK[:20]) + renamed.broken(error)

    assert said == CHUNK.replace(b'"model":"m"', NAMED) + untouched().broken(error)


def test_the_response_that_a_break_makes_fail_is_named_too() -> None:
    """A translated stream is ended by an event that holds the whole response."""
    members = parse(b'{"model":"a","input":"Hi","stream":true}').members
    stamp = Stamp(1, lambda prefix: f"{prefix}_1")
    renamed = Renamed(to_chat(members, "m", stamp, Echo(store=False)).stream(), ASKED)

    said = renamed.feed(CHUNK) + renamed.broken(UpstreamBroke("It broke off."))

    last = json.loads(sse.Parser().feed(said)[-1].data)
    assert last["type"] == "response.failed"
    assert set(_models(said)) == {ASKED}


def test_an_event_too_long_to_be_one_is_the_servers_failure() -> None:
    renamed = Renamed(untouched(), ASKED)

    with pytest.raises(UpstreamBroke, match="longer than"):
        renamed.feed(b"data: " + b"x" * sse.MOST_EVENT_BYTES + b"\n")


def test_what_ended_the_stream_beneath_ended_it() -> None:
    beneath = NativeStream()
    renamed = Renamed(beneath, ASKED)

    renamed.feed(b'event: error\ndata: {"type":"error","error":{"message":"x"}}\n\n')

    assert renamed.is_over
    assert renamed.error is beneath.error is not None


@pytest.mark.parametrize(
    "name", [name for name in names() if load(name).status == 200 and not load(name).streamed]
)
def test_of_a_whole_answer_only_the_model_changes(name: str) -> None:
    body = load(name).body
    try:
        value = json.loads(body)
    except ValueError:
        assert whole(body, ASKED) == body
        return
    if not isinstance(value, dict) or "model" not in value:
        assert whole(body, ASKED) == body
    else:
        assert json.loads(whole(body, ASKED)) == {**value, "model": ASKED}
        assert list(json.loads(whole(body, ASKED))) == list(value)


@pytest.mark.parametrize("body", [b"", b"\xff\x00", b"[]", b'"model"', b'{"model":', b"{} "])
def test_what_is_no_object_with_a_model_stays(body: bytes) -> None:
    assert whole(body, ASKED) == body
