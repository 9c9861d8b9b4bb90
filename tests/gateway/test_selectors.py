"""Where the text in `model` leads, over real sockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mounted import CHAT, MountedGateway, error_of, provider
from tests.scripted_vllm import ScriptedVllm

FLEET = {
    "vllm": ["org/only-here", "plain"],
    "vllm-test": ["meta-llama/X", "plain", "beta/deep/er"],
    "beta": ["vllm/foo", "meta-llama/X", "vllm-test"],
}


@pytest.fixture
def fleet(gateway: MountedGateway) -> Iterator[dict[str, ScriptedVllm]]:
    """Three servers on the gateway, by their providers' names."""
    with ScriptedVllm() as one, ScriptedVllm() as two, ScriptedVllm() as three:
        servers = dict(zip(FLEET, (one, two, three), strict=True))
        gateway.publish(
            *(provider(servers[name].url, name, models=models) for name, models in FLEET.items())
        )
        yield servers


@pytest.mark.parametrize(
    ("selector", "names", "upstream_model"),
    [
        ("vllm-test/meta-llama/X", "vllm-test", "meta-llama/X"),
        ("beta/meta-llama/X", "beta", "meta-llama/X"),
        ("vllm/meta-llama/X", "beta vllm-test", "meta-llama/X"),  # by type: any
        ("vllm/org/only-here", "vllm", "org/only-here"),
        ("vllm/plain", "vllm", "plain"),  # the provider of that name before the others of the type
        ("vllm/beta/deep/er", "vllm-test", "beta/deep/er"),
        ("meta-llama/X", "beta vllm-test", "meta-llama/X"),
        ("org/only-here", "vllm", "org/only-here"),
        ("plain", "vllm vllm-test", "plain"),
        ("beta/vllm/foo", "beta", "vllm/foo"),
        ("vllm/foo", "beta", "vllm/foo"),
        ("beta/deep/er", "vllm-test", "beta/deep/er"),
        ("vllm-test", "beta", "vllm-test"),
    ],
)
def test_a_call_goes_to_a_server_its_selector_means(
    gateway, fleet, selector, names, upstream_model
):
    answer = gateway.post(CHAT, {"model": selector})

    assert answer.status == 200
    name = answer.headers["x-aurora-provider"]
    assert name in names.split()
    assert [seen.json["model"] for seen in fleet[name].received] == [upstream_model]
    assert sum(len(server.received) for server in fleet.values()) == 1
    record = gateway.record()
    assert (record["provider"], record["model"]) == (name, upstream_model)


@pytest.mark.parametrize(
    "selector",
    ["nope", "vllm/nope", "beta/plain", "/plain", "plain/", "vllm/", "beta//meta-llama/X", " plain",
     "PLAIN", "vllm%2Fplain", "gamma/plain", "vllm\u0000/plain", "../plain"],
)  # fmt: skip
def test_a_selector_that_leads_nowhere_is_404(gateway, fleet, selector):
    answer = gateway.post(CHAT, {"model": selector})

    error = error_of(answer)
    assert (answer.status, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert error["type"] == "invalid_request_error"
    assert all(server.received == [] for server in fleet.values())
    assert gateway.record()["reason"].startswith("model_not_found")


def test_a_selector_is_repeated_in_the_error_but_not_at_any_length(gateway):
    answer = gateway.post(CHAT, {"model": "m" * 512})

    assert "m" * 100 in error_of(answer)["message"]
    assert len(answer.body) < 500
