"""What passes at /p/…, for whom, and where it goes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mounted import (
    CHAT,
    MASTER_KEY,
    UPSTREAM_KEY,
    MountedGateway,
    error_of,
    key_of,
    provider,
)
from tests.scripted_vllm import ScriptedVllm

CLIENT_KEY = "a-client-secret-of-these-tests"
BOTH_KEYS = {MASTER_KEY: key_of(MASTER_KEY), CLIENT_KEY: key_of(CLIENT_KEY, kind="client")}

INFERENCE = [
    ("POST", path)
    for path in (
        "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses",
        "/v1/messages", "/v1/messages/count_tokens", "/v1/audio/transcriptions",
        "/v1/audio/translations", "/v1/score", "/v1/rerank", "/v2/rerank", "/v2/embed",
        "/tokenize", "/detokenize", "/pooling", "/score", "/rerank", "/classify",
        "/v1/chat/completions/batch",
    )
] + [("GET", "/v1/models")]  # fmt: skip
STATE = [
    ("GET", path) for path in ("/health", "/ping", "/version", "/load", "/metrics", "/openapi.json")
] + [
    ("POST", f"/v1/{path}/render")
    for path in ("chat/completions", "completions", "responses", "messages")
]
CONTROL = [
    ("POST", path)
    for path in (
        "/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/adapters", "/sleep", "/wake_up",
        "/pause", "/resume", "/reset_prefix_cache", "/reset_mm_cache", "/reset_encoder_cache",
        "/start_profile", "/stop_profile", "/abort_requests",
    )
] + [
    ("GET", "/is_sleeping"), ("GET", "/is_paused"), ("GET", "/tokenizer_info"),
    ("GET", "/server_info"), ("DELETE", "/adapters/sql-lora"),
]  # fmt: skip
NEVER = [
    ("POST", "/invocations"), ("POST", "/v1/invocations"), ("POST", "/inference/v1/generate"),
    ("POST", "/inference/v1/abort_requests"), ("POST", "/generative_scoring"),
    ("POST", "/collective_rpc"), ("POST", "/scale_elastic_ep"), ("POST", "/is_scaling_elastic_ep"),
    ("POST", "/init_weight_transfer_engine"), ("POST", "/update_weights"),
    ("POST", "/release_kv_cache_memory"), ("GET", "/get_world_size"), ("GET", "/docs"),
    ("GET", "/redoc"), ("GET", "/kv_event_sources"), ("POST", "/v1/systemone"), ("GET", "/"),
    ("GET", ""), ("GET", "/v1"), ("GET", "/v1/realtime"), ("GET", "/v1/models/x"),
    ("DELETE", "/adapters/a/b"), ("POST", "/v1/chat/completions/batch/x"),
]  # fmt: skip


def ids(routes):
    return [f"{method} {path}" for method, path in routes]


def allowing(vllm: ScriptedVllm, passthrough: str):
    return provider(vllm.url, passthrough=passthrough)


def asked_of(vllm: ScriptedVllm) -> list[tuple[str, str]]:
    came = (*vllm.received, *vllm.discoveries, *vllm.spec_requests, *vllm.probes)
    return [(seen.method, seen.path_and_query) for seen in came]


def body_for(method: str) -> bytes:
    return b'{"prompt":"x"}' if method == "POST" else b""


@pytest.mark.parametrize(("method", "path"), [*INFERENCE, *STATE], ids=ids([*INFERENCE, *STATE]))
def test_a_master_key_may_infer_and_read_state(gateway, vllm, method, path):
    gateway.call(method, f"/p/alpha{path}", body_for(method))

    assert asked_of(vllm) == [(method, path)]
    record = gateway.record()
    assert (record["path"], record["provider"]) == (f"/p/{{provider}}{path}", "alpha")


@pytest.mark.parametrize(("method", "path"), INFERENCE, ids=ids(INFERENCE))
def test_a_client_key_may_infer(gateway, vllm, method, path):
    gateway.publish(allowing(vllm, "inference"), keys=BOTH_KEYS)
    gateway.call(method, f"/p/alpha{path}", body_for(method), key=CLIENT_KEY)

    assert asked_of(vllm) == [(method, path)]


@pytest.mark.parametrize("setting", ["inference", "control"])
@pytest.mark.parametrize(("method", "path"), [*STATE, *CONTROL], ids=ids([*STATE, *CONTROL]))
def test_a_client_key_may_do_no_more(gateway, vllm, method, path, setting):
    gateway.publish(allowing(vllm, setting), keys=BOTH_KEYS)
    answer = gateway.call(method, f"/p/alpha{path}", body_for(method), key=CLIENT_KEY)

    error = error_of(answer)
    assert (answer.status, error["code"]) == (403, "not_permitted")
    assert error["type"] == "permission_error"
    assert asked_of(vllm) == []
    assert gateway.record()["reason"].startswith("not_permitted")


@pytest.mark.parametrize(("method", "path"), CONTROL, ids=ids(CONTROL))
def test_control_passes_only_where_the_provider_allows_it(gateway, vllm, method, path):
    refused = gateway.call(method, f"/p/alpha{path}", body_for(method))
    assert (refused.status, asked_of(vllm)) == (403, [])

    gateway.publish(allowing(vllm, "control"))
    gateway.call(method, f"/p/alpha{path}", body_for(method))
    assert asked_of(vllm) == [(method, path)]


@pytest.mark.parametrize(
    "route", [INFERENCE[0], STATE[0], CONTROL[0]], ids=["POST", "GET", "control"]
)
def test_nothing_passes_where_the_provider_is_set_off(gateway, vllm, route):
    gateway.publish(allowing(vllm, "off"))
    answer = gateway.call(route[0], f"/p/alpha{route[1]}", body_for(route[0]))

    assert (answer.status, error_of(answer)["code"]) == (403, "not_permitted")
    assert asked_of(vllm) == []


@pytest.mark.parametrize(("method", "path"), NEVER, ids=ids(NEVER))
def test_what_is_not_on_the_list_never_passes(gateway, vllm, method, path):
    gateway.publish(allowing(vllm, "control"))
    answer = gateway.call(method, f"/p/alpha{path}", body_for(method))

    assert (answer.status, error_of(answer)["code"]) == (404, "unknown_path")
    assert asked_of(vllm) == []
    assert gateway.record()["reason"].startswith("unknown_path")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/tokenize", "POST"),
        ("PUT", CHAT, "POST"),
        ("POST", "/metrics", "GET"),
        ("POST", "/v1/models", "GET"),
        ("HEAD", "/version", "GET"),
        ("OPTIONS", "/tokenize", "POST"),
        ("PATCH", "/adapters", "GET, POST"),
    ],
)
def test_a_wrong_method_is_405(gateway, vllm, method, path, allow):
    answer = gateway.call(method, f"/p/alpha{path}")

    assert (answer.status, answer.headers["allow"]) == (405, allow)
    assert asked_of(vllm) == []


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("/chat/completions", CHAT),
        ("/v1/chat/completions", CHAT),
        ("/embeddings", "/v1/embeddings"),
        ("/audio/transcriptions", "/v1/audio/transcriptions"),
        ("/messages/count_tokens", "/v1/messages/count_tokens"),
        ("/v1/tokenize", "/tokenize"),
        ("/v1/classify", "/classify"),
        ("/rerank", "/rerank"),
        ("/v1/rerank", "/v1/rerank"),
        ("/v2/rerank", "/v2/rerank"),
    ],
)
def test_a_path_may_be_written_with_or_without_v1(gateway, vllm, written, sent):
    gateway.call("POST", f"/p/alpha{written}", b"{}")

    assert asked_of(vllm) == [("POST", sent)]


def test_a_base_url_with_a_path_prefix_is_kept(gateway, vllm):
    gateway.publish(provider(f"http://127.0.0.1:{vllm.port}/team/a/v1/"))
    gateway.call("POST", "/p/alpha/tokenize", b"{}")
    gateway.call("POST", "/p/alpha/embeddings", b"{}")

    assert [path for _, path in asked_of(vllm)] == ["/team/a/tokenize", "/team/a/v1/embeddings"]


@pytest.mark.parametrize(
    "query",
    ["x=1", "a=%2F&b=%20+c&&=", "q=%E2%98%95", "redirect=http://x/?y=z", "?", "a;b", "%zz",
     'a="b"<c>', "a=%2e%7E&b=|^`{}\\\\", "a=[1]&b='*'"],
)  # fmt: skip
def test_the_query_is_kept_verbatim(gateway, vllm, query):
    gateway.call("POST", f"/p/alpha/tokenize?{query}", b"{}")

    assert asked_of(vllm) == [("POST", f"/tokenize?{query}")]


@pytest.mark.parametrize("name", ["sql-lora", "a%20b", "caf%C3%A9", "%E2%98%95", "a.b~c_d-e"])
def test_an_adapters_name_is_sent_as_it_is(gateway, vllm, name):
    gateway.publish(allowing(vllm, "control"))
    vllm.will_answer(200, body=b"Success")
    answer = gateway.call("DELETE", f"/p/alpha/adapters/{name}")

    assert (answer.status, answer.body) == (200, b"Success")
    assert asked_of(vllm) == [("DELETE", f"/adapters/{name}")]


@pytest.mark.parametrize("body", [b'{ "model": "any" ,"x":1.0e5}', b"not json", b"\x00\xff", b""])
def test_the_body_is_not_touched(gateway, vllm, body):
    gateway.call("POST", "/p/alpha/tokenize", body, [("Content-Type", "application/x-odd")])

    [seen] = vllm.received
    assert (seen.body, seen.headers.get("content-type")) == (body, "application/x-odd")
    assert seen.headers["authorization"] == f"Bearer {UPSTREAM_KEY}"
    assert not any(MASTER_KEY in value for _, value in seen.header_pairs)


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_a_compressed_body_passes_to_a_named_provider(gateway, vllm, encoding):
    answer = gateway.call(
        "POST", "/p/alpha/tokenize", b"\x1f\x8b", [("Content-Encoding", encoding)]
    )

    assert answer.status == 200
    assert vllm.received[0].headers["content-encoding"] == encoding


# Which server


@pytest.fixture
def fleet(gateway: MountedGateway) -> Iterator[dict[str, ScriptedVllm]]:
    """Three servers of one type by their providers' names; each has its own key."""
    names = {"vllm-b": ["shared", "only-b"], "vllm-a": ["shared"], "zeta": ["only-z"]}
    with ScriptedVllm() as one, ScriptedVllm() as two, ScriptedVllm() as three:
        servers = dict(zip(names, (one, two, three), strict=True))
        gateway.publish(
            *(
                provider(servers[name].url, name, models=models, key=f"the key of {name}")
                for name, models in names.items()
            )
        )
        yield servers


@pytest.mark.parametrize(
    ("name", "body", "taken_by"),
    [
        ("vllm-b", b"{}", "vllm-b"),
        ("vllm-a", b'{"model":"only-b"}', "vllm-a"),  # named: the model does not matter
        ("zeta", b"{}", "zeta"),
        ("vllm", b"{}", "vllm-a"),
        ("vllm", b"", "vllm-a"),
        ("vllm", b"not json", "vllm-a"),
        ("vllm", b'{"model":"nobody"}', "vllm-a"),
        ("vllm", b'{"model":7}', "vllm-a"),
        ("vllm", b'{"model":"shared"}', "vllm-a"),
        ("vllm", b'{"model":"only-b"}', "vllm-b"),
        ("vllm", b'{"model":"only-z","a":1}', "zeta"),
        ("vllm", b'{"a":"%b","model":"only-z"}' % (b"x" * 200_000), "zeta"),
    ],
)
def test_a_call_goes_to_the_named_server_or_by_its_model(gateway, fleet, name, body, taken_by):
    answer = gateway.call("POST", f"/p/{name}/tokenize", body)

    assert answer.headers["x-aurora-provider"] == taken_by
    assert {key: len(server.received) for key, server in fleet.items()} == {
        **dict.fromkeys(fleet, 0),
        taken_by: 1,
    }
    [seen] = fleet[taken_by].received
    assert seen.body == body
    assert seen.headers["authorization"] == f"Bearer the key of {taken_by}"
    assert gateway.record()["provider"] == taken_by


def test_a_provider_named_like_its_type_comes_first_but_not_before_the_model(gateway, vllm):
    with ScriptedVllm() as other:
        gateway.publish(
            provider(vllm.url, "vllm", models=["m"]), provider(other.url, "alpha", models=["n"])
        )
        for body in (b"{}", b'{"model":"n"}'):
            gateway.call("POST", "/p/vllm/tokenize", body)

        assert [len(vllm.received), len(other.received)] == [1, 1]


def test_the_policy_is_that_of_the_server_that_was_chosen(gateway, fleet):
    gateway.publish(
        provider(fleet["vllm-a"].url, "vllm-a", models=["a"], passthrough="off"),
        provider(fleet["vllm-b"].url, "vllm-b", models=["b"], passthrough="inference"),
    )

    assert gateway.call("POST", "/p/vllm/tokenize", b'{"model":"a"}').status == 403
    assert gateway.call("POST", "/p/vllm/tokenize", b'{"model":"b"}').status == 200


@pytest.mark.parametrize("name", ["nobody", "ALPHA", "alpha2", "alp", "openai", "%E2%98%95"])
def test_an_unknown_provider_is_404(gateway, vllm, name):
    answer = gateway.call("POST", f"/p/{name}/tokenize", b"{}")

    assert (answer.status, error_of(answer)["code"]) == (404, "provider_not_found")
    assert asked_of(vllm) == []
