"""A database that is slow or gone costs the copy of a response, not the call."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from gateway.state.values import StateLimits
from tests.gateway.responses.making import (
    NATIVE,
    RESPONSES,
    create,
    native_stream,
    next_event,
    show,
    will_say,
)
from tests.gateway.state.stores import PATIENT, locked, without_responses
from tests.mounted import error_of, request
from tests.processes import eventually
from tests.recorded import load

SHORT = replace(PATIENT, state_seconds=0.3, queued_copies=1, pauses_seconds=())


@pytest.fixture
def state_limits() -> StateLimits:
    return SHORT


def test_a_stream_goes_out_whole_while_the_database_is_locked(native, vllm):
    recording = load("full_resp_stream")
    with locked():
        vllm.will_replay(recording)
        answer = native.post(RESPONSES, create(stream=True))
        assert tuple(answer.chunks) == recording.reads


def test_each_chunk_goes_out_as_it_comes_while_the_database_is_locked(native, vllm):
    with locked():
        vllm.will_stream(*native_stream("a", "b", "c"), pause_seconds=0.02)
        answer = native.post(RESPONSES, create(stream=True))
        assert answer.chunks == native_stream("a", "b", "c")


def test_what_cannot_wait_any_more_is_lost_counted_and_logged(native, vllm):
    with locked():
        for number in range(3):
            will_say(vllm, NATIVE, "Hi", f"resp_{number}")
            assert native.post(RESPONSES, create()).json["id"] == f"resp_{number}"
        assert native.store.lost == 2

    assert "responses that were not kept: 1" in native.log_text
    eventually(lambda: show(native, "resp_0").status == 200)


def test_a_copy_that_waits_is_found_and_continued(native, vllm):
    with locked():
        will_say(vllm, NATIVE, "Hi!", "resp_1")
        native.post(RESPONSES, create("Hello"))
        will_say(vllm, NATIVE, "Fine.", "resp_2")

        assert show(native, "resp_1").json["status"] == "completed"
        second = native.post(RESPONSES, create("And?", previous_response_id="resp_1"))
        assert second.json["previous_response_id"] == "resp_1"


def test_a_database_that_fails_is_told_to_who_needs_it(native, vllm):
    with without_responses():
        for refused in (
            native.post(RESPONSES, create(previous_response_id="resp_1")),
            native.post(RESPONSES, create(background=True)),
            show(native, "resp_1"),
            native.call("DELETE", f"{RESPONSES}/resp_1"),
        ):
            assert (refused.status, error_of(refused)["code"]) == (503, "state_unavailable")
            assert refused.headers["retry-after"]
        assert vllm.received == []
        assert native.post(RESPONSES, create()).status == 200


def test_storing_does_not_hold_the_final_event_back(native, vllm):
    with locked():
        vllm.will_stall(after_chunks=native_stream("Hi"))
        client = native.connect()
        client.send(request("POST", RESPONSES, msgspec.json.encode(create(stream=True))))
        client.read_head()
        assert next_event(client, "response.completed")["response"]["status"] == "completed"
        client.close()
