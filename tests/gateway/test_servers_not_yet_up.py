"""A configured server has not answered yet: its model may well be there, so clients are to repeat."""

from __future__ import annotations

import time
from types import SimpleNamespace

import openai
import pytest

from providers.snapshot import AliasEntry, TargetEntry
from tests.mounted import CHAT, MASTER_KEY, MODEL, error_of, provider

SILENT = "http://127.0.0.1:1/v1"


@pytest.fixture(autouse=True)
def fleet(gateway, vllm):
    """`alpha` serves MODEL; `beta` has never said what it serves."""
    gateway.publish(
        provider(vllm.url),
        provider(SILENT, "beta", models=(), models_known=False),
        aliases=[AliasEntry("chat", ((TargetEntry("", "new"),),))],
    )


@pytest.mark.parametrize("model", ["new", "org/new", "vllm/new", "beta/new", "chat"])
def test_a_call_for_a_model_of_a_server_not_yet_up_is_503_with_retry_after(gateway, model):
    answer = gateway.post(CHAT, {"model": model, "messages": []})

    error = error_of(answer)
    assert (answer.status, error["code"], error["param"]) == (503, "models_unknown", "model")
    assert "'beta'" in error["message"]
    assert answer.headers["retry-after"] == "5"
    assert gateway.record()["reason"].startswith("models_unknown")


def test_looking_up_a_model_of_a_server_not_yet_up_is_503_too(gateway):
    assert gateway.call("GET", "/v1/models/new").status == 503


def test_a_provider_that_has_answered_does_not_have_what_it_did_not_list(gateway):
    answer = gateway.post(CHAT, {"model": "alpha/new", "messages": []})

    assert (answer.status, error_of(answer)["code"]) == (404, "model_not_found")


def test_what_is_known_is_served_and_listed_meanwhile(gateway):
    assert gateway.post(CHAT, {"model": MODEL, "messages": []}).status == 200
    assert len(gateway.call("GET", "/v1/models").json["data"]) == 2


def test_once_it_has_answered_what_it_lacks_is_404(gateway, vllm):
    gateway.publish(provider(vllm.url), provider(SILENT, "beta", models=("other",)))

    assert gateway.post(CHAT, {"model": "new", "messages": []}).status == 404


def test_openais_own_client_repeats_until_it_is_up(gateway, vllm, monkeypatch):
    """Its first tries come before the server's news. It is to wait as long as it is told."""
    tries: list[object] = []
    pauses: list[float] = []
    clock = SimpleNamespace(sleep=pauses.append, time=time.time)
    monkeypatch.setattr("openai._base_client.time", clock)

    def publish_after_the_first(request):
        tries.append(request)
        if len(tries) == 2:
            gateway.publish(provider(vllm.url, models=("new",)))

    hooks = {"request": [publish_after_the_first]}
    http = openai.DefaultHttpxClient(event_hooks=hooks)
    with openai.OpenAI(
        api_key=MASTER_KEY, base_url=f"{gateway.url}/v1", http_client=http
    ) as client:
        client.chat.completions.create(model="new", messages=[])

    assert (len(tries), pauses) == (2, [5.0])
