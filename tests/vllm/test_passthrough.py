"""vLLM's own routes through `/p/…`."""

from __future__ import annotations

import httpx
import pytest

from tests.vllm.servers import EMBED_MODEL, TEXT_MODEL, Server


def test_tokenize_answers_as_vllm_itself_does(http: httpx.Client, text: Server) -> None:
    body = {"model": TEXT_MODEL, "prompt": "Hello, world!"}
    ours = http.post("/p/vllm/tokenize", json=body)
    assert ours.status_code == 200
    assert ours.headers["x-aurora-provider"] == "vllm"
    assert ours.content == httpx.post(text.url + "/tokenize", json=body).content


def test_pooling_answers_as_vllm_itself_does(http: httpx.Client, embed: Server) -> None:
    body = {"model": EMBED_MODEL, "input": "Hello, world!", "task": "embed"}
    ours = http.post("/p/vllm-embed/pooling", json=body)
    theirs = httpx.post(embed.url + "/pooling", json=body)
    assert ours.status_code == theirs.status_code == 200
    assert ours.json()["data"] == theirs.json()["data"]


def test_the_models_of_one_server_are_its_own_ids(http: httpx.Client) -> None:
    assert [model["id"] for model in http.get("/p/vllm/v1/models").json()["data"]] == [TEXT_MODEL]
    listed = http.get("/p/vllm-embed/models").json()["data"]
    assert [model["id"] for model in listed] == [EMBED_MODEL]


def test_the_state_of_a_server_is_shown_to_a_master_key(http: httpx.Client) -> None:
    answer = http.get("/p/vllm/metrics")
    assert answer.status_code == 200
    assert "vllm:num_requests_running" in answer.text


@pytest.mark.parametrize("path", ["/sleep", "/v1/load_lora_adapter", "/invocations", "/pause"])
def test_a_control_route_is_refused(http: httpx.Client, path: str) -> None:
    answer = http.post(f"/p/vllm{path}", json={})
    assert answer.status_code in {403, 404}
    assert answer.json()["error"]["message"]
    assert "x-aurora-provider" not in answer.headers  # not a refusal of vLLM's


def test_nothing_passes_without_a_key(aurora: Server) -> None:
    answer = httpx.post(aurora.url + "/p/vllm/tokenize", json={"prompt": "Hello"})
    assert answer.status_code == 401
