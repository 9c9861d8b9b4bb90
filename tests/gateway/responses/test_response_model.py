"""Responses of an alias that says what was asked for: so does what is kept, and what runs on."""

from __future__ import annotations

import pytest

from providers.snapshot import AliasEntry, KeyEntry, TargetEntry
from tests.gateway.responses.conftest import server
from tests.gateway.responses.making import (
    RESPONSES,
    create,
    events_of,
    show,
    streamed_by,
    wait_for_status,
    will_say,
)
from tests.mounted import MODEL, MountedGateway
from tests.scripted_vllm import ScriptedVllm

NAME = "the-model"


@pytest.fixture
def asking(
    stateful: MountedGateway, vllm: ScriptedVllm, way: str, keys: dict[str, KeyEntry]
) -> MountedGateway:
    alias = AliasEntry(NAME, ((TargetEntry("alpha", MODEL),),), says_asked_model=True)
    stateful.publish(server(vllm, way), keys=keys, aliases=[alias])
    return stateful


def test_the_copy_says_it_too(asking: MountedGateway, vllm: ScriptedVllm, way: str) -> None:
    will_say(vllm, way, "Hi!")

    said = asking.post(RESPONSES, create(model=NAME)).json

    assert said["model"] == NAME
    assert show(asking, said["id"]).json == said


def test_the_copy_of_a_stream_says_it_too(
    asking: MountedGateway, vllm: ScriptedVllm, way: str
) -> None:
    vllm.will_stream(*streamed_by(way, "Hi", "!"))

    told = events_of(asking.post(RESPONSES, create(model=NAME, stream=True)).body)

    responses = [event["response"] for event in told if "response" in event]
    assert {response["model"] for response in responses} == {NAME}
    assert show(asking, responses[-1]["id"]).json == responses[-1]


def test_a_background_response_says_it_from_the_start(
    asking: MountedGateway, vllm: ScriptedVllm, way: str
) -> None:
    vllm.will_stream(*streamed_by(way, "Hi", "!"), pause_seconds=0.02)

    queued = asking.post(RESPONSES, create(model=NAME, background=True)).json

    assert (queued["status"], queued["model"]) == ("queued", NAME)
    assert wait_for_status(asking, queued["id"], "completed")["model"] == NAME
    told = events_of(show(asking, f"{queued['id']}?stream=true").body)
    assert {event["response"]["model"] for event in told if "response" in event} == {NAME}


def test_one_that_no_server_answered_says_it(asking: MountedGateway, vllm: ScriptedVllm) -> None:
    vllm.will_refuse()

    queued = asking.post(RESPONSES, create(model=NAME, background=True)).json

    assert wait_for_status(asking, queued["id"], "failed")["model"] == NAME


def test_without_the_setting_it_is_the_servers_model(
    stateful: MountedGateway, vllm: ScriptedVllm, way: str, keys: dict[str, KeyEntry]
) -> None:
    alias = AliasEntry(NAME, ((TargetEntry("alpha", MODEL),),))
    stateful.publish(server(vllm, way), keys=keys, aliases=[alias])
    vllm.will_stream(*streamed_by(way, "Hi"))

    queued = stateful.post(RESPONSES, create(model=NAME, background=True)).json

    assert queued["model"] == MODEL
    assert wait_for_status(stateful, queued["id"], "completed")["model"] == MODEL
