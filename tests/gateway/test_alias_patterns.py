"""One alias for all the names that a client asks for, which change with its releases."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest

from providers.snapshot import AliasEntry, TargetEntry
from tests.mounted import CHAT, MASTER_KEY, MODEL, MountedGateway, error_of, provider
from tests.patience import PATIENCE_SECONDS
from tests.recorded import load
from tests.scripted_vllm import ScriptedVllm

NAMES = ("claude-haiku-4-5-20251001", "claude-opus-4-6", "claude-sonnet-5[1m]")
TURN: Any = [{"role": "user", "content": "Hi"}]


def everything(**settings: Any) -> AliasEntry:
    return AliasEntry("claude-*", ((TargetEntry("", MODEL),),), **settings)


@pytest.mark.parametrize("name", NAMES)
def test_claude_code_gets_the_operators_model_by_whatever_name_it_asks_for(
    gateway: MountedGateway, vllm: ScriptedVllm, name: str
) -> None:
    gateway.publish(provider(vllm.url), aliases=[everything(says_asked_model=True)])
    vllm.will_replay(load("full_messages_plain"))
    vllm.will_replay(load("full_messages_stream"))

    with anthropic.Anthropic(
        base_url=gateway.url, auth_token=MASTER_KEY, max_retries=0, timeout=PATIENCE_SECONDS
    ) as client:
        shown = client.models.retrieve(name)
        message = client.messages.create(model=name, max_tokens=8, messages=TURN)
        with client.messages.stream(model=name, max_tokens=8, messages=TURN) as stream:
            streamed = stream.get_final_message()

    assert (shown.id, message.model, streamed.model) == (name, name, name)
    assert [sent.json["model"] for sent in vllm.received] == [MODEL, MODEL]


def test_a_model_that_is_served_is_not_taken_by_a_catch_all(
    gateway: MountedGateway, vllm: ScriptedVllm
) -> None:
    catch_all = AliasEntry("*", ((TargetEntry("", "spare"),),))
    gateway.publish(provider(vllm.url, models=[MODEL, "spare"]), aliases=[catch_all])

    for asked in (MODEL, f"alpha/{MODEL}", f"vllm/{MODEL}", "gpt-4o", "alpha/gone"):
        gateway.post(CHAT, {"model": asked, "messages": TURN})

    sent = [received.json["model"] for received in vllm.received]
    assert sent == [MODEL, MODEL, MODEL, "spare", "spare"]


@pytest.mark.parametrize("written", ['"claude-\\n\\u0000"', '"claude-模型"', '"claude-\\""'])
def test_any_text_that_a_pattern_matches_is_said_back(
    gateway: MountedGateway, vllm: ScriptedVllm, written: str
) -> None:
    gateway.publish(provider(vllm.url), aliases=[everything(says_asked_model=True)])
    vllm.will_replay(load("full_chat_plain"))

    answer = gateway.call("POST", CHAT, f'{{"model": {written}, "messages": []}}'.encode())

    assert answer.status == 200
    assert answer.json["model"] == json.loads(written)


def test_a_pattern_that_nobody_serves_is_404_by_the_name_that_was_asked_for(
    gateway: MountedGateway, vllm: ScriptedVllm
) -> None:
    gateway.publish(provider(vllm.url, models=["other"]), aliases=[everything()])

    answer = gateway.post(CHAT, {"model": "claude-x", "messages": TURN})

    assert (answer.status, error_of(answer)["code"]) == (404, "model_not_found")
    assert "'claude-x'" in error_of(answer)["message"]
    assert vllm.received == []
