"""The client leaves: what was generated for it alone ends, and nothing of it is kept."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.gateway.responses.making import (
    RESPONSES,
    create,
    next_event,
    show,
    streamed_by,
    wait_for_status,
)
from tests.gateway.state.stores import locked
from tests.mounted import MountedGateway, error_of, request
from tests.raw_http import RawClient


def called(gateway: MountedGateway, **members: Any) -> RawClient:
    client = gateway.connect()
    client.send(request("POST", RESPONSES, msgspec.json.encode(create(**members))))
    return client


def check_left(gateway: MountedGateway, vllm: Any) -> None:
    vllm.wait_until_left()
    assert gateway.record()["reason"] == "the client left"
    assert not gateway.store._backlog.waiting
    assert gateway.store.lost == 0


def test_before_the_answer(stateful, vllm):
    vllm.will_stall()
    client = called(stateful)
    vllm.wait_until_received()
    client.close()

    check_left(stateful, vllm)


def test_within_a_stream(stateful, vllm, way):
    vllm.will_stall(after_chunks=streamed_by(way, "a", "b")[:3])
    client = called(stateful, stream=True)
    client.read_head()
    created = next_event(client, "response.created")["response"]["id"]
    client.close()

    check_left(stateful, vllm)
    assert error_of(show(stateful, created))["code"] == "response_not_found"


def test_while_what_it_goes_on_from_is_looked_up(native, vllm):
    with locked():
        client = called(native, background=True)
        native.wait_until_calls(1)
        client.close()
        assert native.record()["reason"] == "the client left"
    assert vllm.received == []


@pytest.mark.parametrize("stream", [True, False])
def test_what_runs_in_the_background_runs_on(stateful, vllm, way, stream):
    vllm.will_stream(*streamed_by(way, "Hi", "!"), pause_seconds=0.02)
    client = called(stateful, background=True, stream=stream)
    if stream:
        client.read_head()
        id = next_event(client, "response.created")["response"]["id"]
    else:
        id = client.read_answer().json["id"]
    client.close()

    response = wait_for_status(stateful, id, "completed")
    assert response["output"][0]["content"][0]["text"] == "Hi!"
    assert vllm.left_at == []
