"""A server's own Messages stream goes out untouched, and an error within it as Anthropic words it."""

from __future__ import annotations

import json

import pytest

from gateway.errors import UpstreamBroke
from gateway.sse import MOST_EVENT_BYTES, Parser
from gateway.translation.chat import NO_REASON
from gateway.translation.messages.native import NativeStream
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
