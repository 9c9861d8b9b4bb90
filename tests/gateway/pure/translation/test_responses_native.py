"""A native answer goes on untouched, but for what only Aurora can say of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import sse
from gateway.errors import UpstreamBroke
from gateway.translation.responses import Echo, Restamped, Watch, final
from gateway.translation.responses.blocks import sequence_number
from tests import recorded
from tests.gateway.pure.translation.responses_client import Events, cut, told, unhurried

STREAM = recorded.load("full_resp_stream").body
BODY = recorded.load("full_resp_plain").body
ECHO = Echo("resp_before", "conv_1", background=True, id="resp_mine")
STAMPED = {
    "id": "resp_mine",
    "previous_response_id": "resp_before",
    "conversation": {"id": "conv_1"},
    "background": True,
}


def test_where_aurora_has_nothing_to_say_every_byte_passes():
    assert told(Restamped(Echo()), [STREAM]) == STREAM
    assert told(Restamped(Echo(store=False)), [STREAM]) == STREAM
    assert Restamped(Echo()).whole(BODY) is BODY


def test_response_objects_say_what_is_aurora_s_and_every_other_event_passes_byte_for_byte():
    stamped = told(Restamped(ECHO), [STREAM])

    before, after = STREAM.split(b"\n\n"), stamped.split(b"\n\n")
    changed = [old.split(b"\n")[0] for old, new in zip(before, after, strict=True) if old != new]
    assert changed == [
        b"event: response.created",
        b"event: response.in_progress",
        b"event: response.completed",
    ]
    for old, new in zip(Events.read(STREAM).events, Events.read(stamped).events, strict=True):
        expected = {**old, "response": {**old["response"], **STAMPED}} if "response" in old else old
        assert new == expected


def test_a_whole_response_says_what_is_aurora_s_and_an_error_passes():
    refusal = b'{"error": {"message": "no"}}'

    assert json.loads(Restamped(ECHO).whole(BODY)) == {**json.loads(BODY), **STAMPED}
    assert Restamped(ECHO).whole(refusal) == refusal
    assert Restamped(ECHO).whole(b"oh") == b"oh"


@unhurried
@given(cut(STREAM), st.sampled_from([Echo(), ECHO]))
def test_a_native_stream_cut_anywhere_gives_the_same_bytes(pieces, echo):
    assert told(Restamped(echo), pieces) == told(Restamped(echo), [STREAM])


@unhurried
@given(cut(STREAM), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_a_watch_finds_the_final_response_however_lines_end(pieces, end):
    watch = Watch()
    for piece in pieces:
        watch.feed(piece.replace(b"\n", end))

    assert watch.response is not None
    assert json.loads(watch.response) == Events.read(STREAM).final
    kept = final(watch.response)
    assert kept is not None
    assert kept.status == "incomplete"


def test_events_without_a_name_are_known_by_their_type():
    stream = b"".join(sse.event(event.data) for event in sse.Parser().feed(STREAM))
    watch = Watch()
    watch.feed(stream)

    events = [
        json.loads(event.data) for event in sse.Parser().feed(told(Restamped(ECHO), [stream]))
    ]
    assert [event["response"]["id"] for event in events if "response" in event] == ["resp_mine"] * 3
    assert watch.response is not None


def test_no_number_in_the_text_is_taken_for_the_event_s():
    said = 'event: response.completed\ndata: {"sequence_number":99}'
    delta = {"type": "response.output_text.delta", "delta": said, "sequence_number": 4}
    event = sse.event(json.dumps(delta).encode(), b"response.output_text.delta")
    watch = Watch()
    watch.feed(event)

    assert sequence_number(event) == 4
    assert watch.response is None


@pytest.mark.parametrize(("fed", "number"), [(b"", 0), (STREAM, 16), (STREAM[:-200], 15)])
def test_a_broken_native_stream_ends_with_an_error_event_that_has_the_next_number(fed, number):
    stream = Restamped(Echo())
    stream.feed(fed)

    (event,) = sse.Parser().feed(stream.broken(UpstreamBroke("It broke off.")))

    assert event.name == b"error"
    said = json.loads(event.data)
    assert (said["type"], said["sequence_number"]) == ("error", number)
    assert said["message"] == "It broke off."


def test_what_is_longer_than_an_event_can_be_is_not_watched_and_not_passed():
    watch = Watch(most_bytes=10)
    watch.feed(b"data: 1\n\n")
    watch.feed(b"data: 12345")
    watch.feed(STREAM)
    assert watch.response is None

    with pytest.raises(UpstreamBroke):
        Restamped(ECHO).feed(b"data: " + b"x" * (sse.MOST_EVENT_BYTES + 1))
