"""A server's own Messages stream goes out untouched, and an error within it as Anthropic words it."""

from __future__ import annotations

import json

import pytest

from gateway.errors import UpstreamBroke
from gateway.sse import MOST_EVENT_BYTES, Parser
from gateway.translation.chat import NO_REASON
from gateway.translation.messages.native import MOST_OPEN_BYTES, NativeStream
from tests.recorded import load

STREAM = load("full_messages_stream").body
DONE = b"data: [DONE]\n\n"
WORDED = (
    b'event: error\ndata: {"type":"error","error":{"type":"internal_error","message":"Died."}}\n\n'
)
OF_CHAT = b'data: {"error": {"message": "Died.", "type": "InternalServerError", "code": 500}}\n\n'
ANTHROPIC = {"type": "error", "error": {"type": "api_error", "message": "Died."}}


def passed(*pieces: bytes) -> bytes:
    stream = NativeStream()
    return b"".join([*map(stream.feed, pieces), stream.end()])


def test_a_stream_that_ends_well_is_untouched_wherever_it_is_cut():
    for cut in range(len(STREAM)):
        assert passed(STREAM[:cut], STREAM[cut:]) == STREAM


@pytest.mark.parametrize("error", [WORDED, OF_CHAT], ids=["worded", "of chat"])
@pytest.mark.parametrize("rest", [b"", DONE])
def test_an_error_within_it_is_worded_as_anthropics_and_is_the_last_event(error, rest):
    begun = STREAM[: STREAM.index(b"event: content_block_delta")]

    for pieces in ((begun, error + rest), (begun + error, rest), (begun + error + rest,)):
        told = passed(*pieces)
        assert told.startswith(begun)
        [last] = Parser().feed(told.removeprefix(begun))
        assert (last.name, json.loads(last.data)) == (b"error", ANTHROPIC)


def test_an_error_that_comes_in_pieces_is_told_once_it_is_whole():
    begun = STREAM[: STREAM.index(b"event: content_block_delta")]
    at = WORDED.index(b"data")

    for cut in range(at, len(WORDED)):
        assert passed(begun, WORDED[:cut], WORDED[cut:]) == passed(begun, WORDED)


BEGUN = STREAM[: STREAM.index(b"event: content_block_delta")]
ERRORS = {
    "worded": WORDED,
    "of chat": OF_CHAT,
    "without the space": WORDED.replace(b": ", b":"),
    "of chat, without the space": OF_CHAT.replace(b"data: ", b"data:"),
    "of chat, with blanks": OF_CHAT.replace(b'{"error"', b'{ "error"'),
    "behind a comment": b": working\n\n" + WORDED,
    "behind a comment of its own": b": working\n" + WORDED,
    "with an id": b"id: 7\n" + WORDED,
    "named behind its data": b"".join(reversed(WORDED[:-1].splitlines(keepends=True))) + b"\n",
    "in two lines": OF_CHAT.replace(b'{"error"', b'{\ndata: "error"'),
}


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_an_error_is_seen_however_it_is_framed_and_cut(error, ends):
    begun, error, done = (text.replace(b"\n", ends) for text in (BEGUN, error, DONE))
    ours = error.find(b"event") if error.startswith((b":", b"id")) else 0

    for cut in range(len(error)):
        told = passed(begun + error[:cut], error[cut:] + done)
        assert told.startswith(begun + error[:ours])
        assert b"DONE" not in told
        last = Parser().feed(told)[-1]
        assert (last.name, json.loads(last.data)) == (b"error", ANTHROPIC)
    letters = [bytes([letter]) for letter in begun + error + done]
    assert json.loads(Parser().feed(passed(*letters))[-1].data) == ANTHROPIC


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_a_stream_without_an_error_is_untouched_in_whatever_pieces(ends):
    odd = b": a\n\ndata: first\nevent: ping\n\nid: 1\n\nodd\n\n" + STREAM + b"data: cut sho"
    stream = odd.replace(b"\n", ends)

    assert passed(*(bytes([letter]) for letter in stream)) == stream
    for cut in range(len(stream)):
        assert passed(stream[:cut], stream[cut:]) == stream


def test_no_more_is_held_than_the_line_of_a_name():
    stream = NativeStream()
    begun = b"event: content_block_delta\ndata: " + b"x" * 100

    assert stream.feed(begun) == begun
    assert stream.feed(b"y" * 10_000) == b"y" * 10_000
    assert stream.held_bytes == 0


def test_a_long_event_without_a_name_is_held_no_longer_than_it_may_be():
    stream = NativeStream()
    assert stream.feed(b"data: " + b"x" * 100) == b""
    told = stream.feed(b"x" * MOST_OPEN_BYTES)

    assert told == b"data: " + b"x" * (100 + MOST_OPEN_BYTES)
    assert stream.held_bytes == 0


@pytest.mark.parametrize("data", [b"not json", b"[]", b'{"error": 3}', b'{"error":{"message":1}}'])
def test_an_error_that_says_nothing_is_one_still(data):
    [event] = Parser().feed(passed(b"event: error\ndata: " + data + b"\n\n"))

    assert json.loads(event.data)["error"] == {"type": "api_error", "message": NO_REASON}


def test_an_error_that_is_never_whole_is_one_still():
    [event] = Parser().feed(passed(b"event: error\ndata: {"))

    assert event.name == b"error"


def test_an_error_that_is_too_long_is_one_still():
    [event] = Parser().feed(passed(b"event: error\ndata: ", bytes(MOST_EVENT_BYTES + 1)))

    assert json.loads(event.data)["error"] == {"type": "api_error", "message": NO_REASON}


def test_words_that_look_like_an_error_are_a_models():
    data = rb'data: {"delta":{"text":"event: error\ndata: {\"error\""}}'
    said = b"event: content_block_delta\n" + data + b"\n\n"

    assert passed(said) == said


def test_a_stream_that_breaks_off_is_ended_by_an_error():
    stream = NativeStream()
    begun = stream.feed(STREAM[:100])

    events = Parser().feed(begun + stream.broken(UpstreamBroke("It broke.")))

    assert events[-1].name == b"error"
    assert json.loads(events[-1].data)["error"] == {"type": "api_error", "message": "It broke."}
