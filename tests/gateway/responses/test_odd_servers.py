"""What servers say in the background that no server should: nothing is stored that cannot be."""

from __future__ import annotations

import pytest

from tests.gateway.responses.making import (
    RESPONSES,
    create,
    events_of,
    native_event,
    native_response,
    wait_for_status,
)

BEGUN = native_event("response.created", 0, response=native_response("in_progress"))
DONE = native_event("response.completed", 9, response=native_response("completed", "Hi"))


@pytest.fixture
def told(native, vllm):
    """`told(*events)` is the stream of a background response whose server says these."""

    def tell(*events):
        vllm.will_stream(*events)
        answer = native.post(RESPONSES, create(background=True, stream=True))
        id = events_of(answer.body)[0]["response"]["id"]
        wait_for_status(native, id, "completed", "failed")
        again = native.call("GET", f"{RESPONSES}/{id}?stream=true")
        assert again.body == answer.body
        return answer.body

    return tell


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 2**70, -1])
def test_an_event_whose_number_cannot_be_kept_is_left_out(told, number):
    odd = native_event("response.output_text.delta", number, delta="odd")

    events = events_of(told(BEGUN, odd, DONE))

    assert [event["type"] for event in events] == ["response.created", "response.completed"]


def test_after_the_greatest_number_comes_the_end(told):
    last = native_event("response.output_text.delta", 2**63 - 2, delta="x")

    assert events_of(told(BEGUN, last, DONE))[-1]["type"] == "response.completed"


def test_an_end_whose_number_cannot_be_kept_fails_it(told):
    end = native_event("response.completed", 2**70, response=native_response("completed", "Hi"))

    assert events_of(told(BEGUN, end))[-1]["type"] == "response.failed"


def test_an_event_of_many_lines_stays_one_event(told):
    lines = (
        b"event: response.output_text.delta\n"
        b'data: {"type":"response.output_text.delta",\ndata: "sequence_number":1,"delta":"x"}\n\n'
    )

    body = told(BEGUN, lines, DONE)

    assert [event["sequence_number"] for event in events_of(body)] == [0, 1, 9]
    assert all(line.startswith((b"event: ", b"data: ")) for line in body.splitlines() if line)


@pytest.mark.parametrize("kind", ["x\\n\\nevent: made_up\\ndata: {}", "x\\ry", "", "x" * 300])
def test_a_type_that_cannot_be_a_name_is_left_out(told, kind):
    odd = b'data: {"type":"%b","sequence_number":1}\n\n' % kind.encode()

    body = told(BEGUN, odd, DONE)

    assert [event["sequence_number"] for event in events_of(body)] == [0, 9]
    assert b"made_up" not in body


def test_a_status_of_an_end_before_the_end_changes_nothing(told):
    early = native_event("response.in_progress", 1, response=native_response("completed"))
    delta = native_event("response.output_text.delta", 2, delta="x")

    events = events_of(told(BEGUN, early, delta, DONE))

    assert [event["sequence_number"] for event in events] == [0, 1, 2, 9]
    assert events[-1]["type"] == "response.completed"
