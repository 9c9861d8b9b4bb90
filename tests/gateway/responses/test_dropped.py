"""A response that cannot be kept says so, where that is not out yet; all else goes out as it came."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from gateway.state.values import StateLimits
from tests.gateway.responses.making import (
    NATIVE,
    RESPONSES,
    create,
    events_of,
    native_response,
    native_stream,
    show,
    streamed_by,
    will_say,
)
from tests.gateway.state.stores import PATIENT, locked
from tests.scripting import answer as vllm_answer


@pytest.fixture
def state_limits() -> StateLimits:
    """Room for one response that waits."""
    return replace(PATIENT, state_seconds=0.3, queued_copies=1)


def said(answer, stream: bool):
    return events_of(answer.body)[-1]["response"] if stream else answer.json


@pytest.mark.parametrize("stream", [True, False])
def test_what_is_dropped_says_that_it_is_not_stored(stateful, vllm, way, stream):
    with locked():
        for number, stored in enumerate([True, False, False]):
            if stream:
                vllm.will_stream(*streamed_by(way, "Hi", id=f"resp_{number}"))
            else:
                will_say(vllm, way, "Hi", f"resp_{number}")
            answer = stateful.post(RESPONSES, create(stream=stream))
            told = said(answer, stream)
            assert told.get("store", True) is stored
            assert told["status"] == "completed"
    assert stateful.store.lost == 2
    assert show(stateful, told["id"]).status == 404


def test_of_a_stream_only_the_last_event_is_other_than_the_servers(native, vllm):
    events = native_stream("a", "b", id="resp_2")
    with locked():
        will_say(vllm, NATIVE, "Hi", "resp_1")
        native.post(RESPONSES, create())
        vllm.will_stream(*events, pause_seconds=0.02)
        answer = native.post(RESPONSES, create(stream=True))

    *same, last = answer.chunks
    assert same == events[:-1]
    expected = events_of(events[-1])[0]
    expected["response"]["store"] = False
    assert events_of(last) == [expected]


def test_a_plain_answer_of_which_a_part_is_out_goes_out_as_it_came(native, vllm):
    body = msgspec.json.encode(native_response("completed", "a" * 300_000, "resp_2"))
    length = ("content-length", str(len(body)))
    head = vllm_answer(200, [("content-type", "application/json"), length])
    with locked():
        will_say(vllm, NATIVE, "Hi", "resp_1")
        native.post(RESPONSES, create())
        vllm.will_send(head + body[:100_000], body[100_000:], pause_seconds=0.01)

        assert native.post(RESPONSES, create()).body == body
    assert native.store.lost == 1


def test_what_has_the_id_of_another_response_is_not_stored_and_says_so(native, vllm):
    will_say(vllm, NATIVE, "one")
    native.post(RESPONSES, create())
    will_say(vllm, NATIVE, "another")
    answer = native.post(RESPONSES, create()).json
    assert (answer["store"], answer["output"][0]["content"][0]["text"]) == (False, "another")
    kept = show(native, "resp_of_vllm").json
    assert kept["output"][0]["content"][0]["text"] == "one"
