"""AURORA_RESPONSES_RETENTION_DAYS=0: a response says that nothing of it is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.responses.conftest import server
from tests.gateway.responses.making import (
    NATIVE,
    RESPONSES,
    create,
    events_of,
    native_response,
    native_stream,
)
from tests.mounted import MountedGateway
from tests.recorded import load
from tests.scripted_vllm import ScriptedVllm
from tests.serving import ServerThread

JSON_TYPE = [("content-type", "application/json")]


@pytest.fixture
def forgetful(
    server_thread: ServerThread, vllm: ScriptedVllm, limits: Any, way: str
) -> Iterator[MountedGateway]:
    """Keeps nothing, and knows `vllm` as `alpha`, which is spoken to in each `way`."""
    gateway = MountedGateway(server_thread, limits)
    gateway.publish(server(vllm, way))
    yield gateway
    gateway.close()


def will_answer(vllm: ScriptedVllm, way: str, stream: bool) -> None:
    """As a vLLM server that says of itself that it stores."""
    if way != NATIVE:
        vllm.will_replay(load("gen_chat_stream_usage" if stream else "gen_chat_plain"))
    elif stream:
        vllm.will_stream(*native_stream("Hi"))
    else:
        body = {**native_response("completed", "Hi"), "store": True}
        vllm.will_answer(200, JSON_TYPE, json.dumps(body).encode())


@pytest.mark.parametrize("asked", [{}, {"store": True}, {"store": None}, {"store": False}])
def test_whatever_was_asked_for_a_response_says_that_it_is_not_stored(
    forgetful: MountedGateway, vllm: ScriptedVllm, way: str, asked: dict[str, Any]
) -> None:
    will_answer(vllm, way, stream=False)

    answer = forgetful.post(RESPONSES, create(**asked))

    assert answer.status == 200
    if asked.get("store") is not False:  # a server that is told so says so itself, if anything
        assert answer.json["store"] is False


@pytest.mark.parametrize("asked", [{}, {"store": True}])
def test_each_event_with_a_response_says_that_it_is_not_stored(
    forgetful: MountedGateway, vllm: ScriptedVllm, way: str, asked: dict[str, Any]
) -> None:
    will_answer(vllm, way, stream=True)

    answer = forgetful.post(RESPONSES, create(stream=True, **asked))

    told = [event["response"]["store"] for event in events_of(answer.body) if "response" in event]
    assert len(told) >= 3
    assert not any(told)


@pytest.mark.parametrize("way", [NATIVE])
def test_no_server_is_asked_to_keep_what_aurora_does_not(
    forgetful: MountedGateway, vllm: ScriptedVllm
) -> None:
    will_answer(vllm, NATIVE, stream=False)

    forgetful.post(RESPONSES, create(store=True))

    assert json.loads(vllm.received[0].body)["store"] is False


def test_where_responses_are_kept_a_translated_one_says_so(
    stateful: MountedGateway, vllm: ScriptedVllm, way: str
) -> None:
    will_answer(vllm, way, stream=False)

    assert stateful.post(RESPONSES, create()).json["store"] is True
