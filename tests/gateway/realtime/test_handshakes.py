"""Who may open a session, where it goes, and what crosses with its handshake."""

from __future__ import annotations

import asyncio

import pytest

from tests.mounted import MASTER_KEY, UPSTREAM_KEY, error_of, key_of, provider
from tests.realtime_mounted import BEARER, MODEL, PATH

pytestmark = pytest.mark.anyio

CREDENTIAL = f"openai-insecure-api-key.{MASTER_KEY}"
OFFER = ["realtime", CREDENTIAL, "openai-beta.realtime-v1"]


@pytest.mark.parametrize(
    ("headers", "offered"),
    [
        (BEARER, None),
        ({"x-api-key": MASTER_KEY}, None),
        (None, OFFER),
        (None, ["realtime", "OpenAI-Insecure-API-Key." + MASTER_KEY]),
        ({"Authorization": f"bearer {MASTER_KEY}"}, ["openai-insecure-api-key.wrong"]),
    ],
    ids=["bearer", "x-api-key", "subprotocol", "subprotocol in capitals", "the header counts"],
)
async def test_a_key_opens_a_session_wherever_it_stands(gateway, vllm, headers, offered):
    async with gateway.connect(additional_headers=headers, subprotocols=offered) as client:
        await client.send("hello")
        assert await client.recv() == "hello"
    assert len(gateway.used_keys) == 1


async def test_no_credential_of_the_client_crosses_or_comes_back(gateway, vllm):
    headers = {"X-Api-Key": MASTER_KEY, "Cookie": "a=b", "Origin": "http://page.example"}
    headers |= {"X-Forwarded-User": "root", "X-Odd": MASTER_KEY, "X-Original-URL": "/admin"}
    headers["X-Kept"] = "1"
    target = f"{PATH}&odd={MASTER_KEY}&token=any"
    connecting = gateway.connect(target, additional_headers=headers, subprotocols=OFFER)
    async with connecting as client:
        told = client.response.headers
    [opened] = vllm.opened

    assert "odd" not in opened.path
    assert "token" not in opened.path
    assert [opened.values(name) for name in ("x-forwarded-user", "x-original-url")] == [[], []]
    assert MASTER_KEY not in str(opened.headers) + opened.path
    assert opened.values("authorization") == [f"Bearer {UPSTREAM_KEY}"]
    assert [opened.values(name) for name in ("cookie", "origin")] == [[], []]
    assert opened.values("x-kept") == ["1"]
    assert opened.values("sec-websocket-protocol") == ["realtime,openai-beta.realtime-v1"]
    assert opened.values("sec-websocket-extensions") == []
    assert opened.values("x-request-id") == [told["x-request-id"]]
    assert told["x-aurora-provider"] == "alpha"
    assert MASTER_KEY not in str(told)
    assert UPSTREAM_KEY not in str(told)


@pytest.mark.parametrize(
    ("offered", "chosen_upstream", "told"),
    [
        (OFFER, None, "realtime"),
        (OFFER, "openai-beta.realtime-v1", "openai-beta.realtime-v1"),
        ([CREDENTIAL], None, None),
        (["other", CREDENTIAL], None, None),
    ],
    ids=["none by the server", "by the server", "only the key offered", "nothing known offered"],
)
async def test_the_client_is_told_a_subprotocol(gateway, vllm, offered, chosen_upstream, told):
    vllm.subprotocol = chosen_upstream
    async with gateway.connect(additional_headers={}, subprotocols=offered) as client:
        assert client.subprotocol == told


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        (PATH, f"/v1/realtime?model={MODEL.replace('/', '%2F')}"),
        (f"/v1/realtime?a=%20b&mod%65l=vllm%2F{MODEL}&a=c", None),
        (f"/v1/realtime?model={MODEL}&intent=transcription", None),
        (f"/p/alpha/v1/realtime?model={MODEL}&x", f"/v1/realtime?model={MODEL}&x"),
        ("/p/alpha/realtime", "/v1/realtime"),
        ("/p/vllm/v1/realtime", "/v1/realtime"),
    ],
)
async def test_a_session_goes_where_its_path_and_query_say(gateway, vllm, target, sent):
    async with gateway.connect(target):
        pass
    [opened] = vllm.opened

    encoded = MODEL.replace("/", "%2F")
    others = {"a=%20b": f"/v1/realtime?a=%20b&model={encoded}&a=c"}
    expected = sent or next(
        (path for part, path in others.items() if part in target),
        f"/v1/realtime?model={encoded}&intent=transcription",
    )
    assert opened.path == expected
    record = await gateway.record()
    assert record["path"] == ("/p/{provider}" if "/p/" in target else "") + "/v1/realtime"
    assert record["model"] == (MODEL if "l=" in target else "")


@pytest.mark.parametrize(
    ("target", "headers", "told"),
    [
        (PATH, {}, (401, "invalid_api_key")),
        (PATH, {"Authorization": "Bearer wrong"}, (401, "invalid_api_key")),
        (
            PATH,
            {"Sec-WebSocket-Protocol": "openai-insecure-api-key.wrong"},
            (401, "invalid_api_key"),
        ),
        ("/v1/realtime", BEARER, (400, "invalid_request")),
        ("/v1/realtime?model=", BEARER, (400, "invalid_request")),
        ("/v1/realtime?model=alpha/other", BEARER, (404, "model_not_found")),
        ("/v1/responses?model=m", BEARER, (404, "unknown_path")),
        ("/admin/", BEARER, (404, "unknown_path")),
        ("/p/omega/v1/realtime", BEARER, (404, "provider_not_found")),
        ("/p/alpha/v1/chat/completions", BEARER, (404, "unknown_path")),
        ("/p/alpha//v1/realtime", BEARER, (400, "invalid_path")),
        ("/p/alpha/v1/realtime", {}, (401, "invalid_api_key")),
    ],
)
async def test_a_handshake_is_refused_in_the_one_shape(gateway, vllm, target, headers, told):
    answer = await gateway.refusal(target, headers)

    error = error_of(answer)
    assert (answer.status, error["code"]) == told
    record = await gateway.record()
    assert (record["status"], record["request_id"]) == (told[0], answer.headers["x-request-id"])
    assert record["reason"].startswith(told[1])
    assert vllm.opened == []


async def test_a_key_offered_twice_is_in_no_answer_and_no_log(gateway, vllm):
    offered = {"Sec-WebSocket-Protocol": f"{CREDENTIAL}, {CREDENTIAL}"}
    answer = await gateway.refusal("/v1/realtime", offered)

    assert (answer.status, error_of(answer)["param"]) == (400, "model")
    assert MASTER_KEY not in answer.body.decode()


async def test_passthrough_may_be_off(gateway, vllm):
    gateway.publish(provider(vllm.url, models=(MODEL,), passthrough="off"))
    answer = await gateway.refusal("/p/alpha/realtime")

    assert (answer.status, error_of(answer)["code"]) == (403, "not_permitted")


@pytest.mark.parametrize("target", ["/v1/realtime?model=alpha/m", "/p/alpha/v1/realtime"])
async def test_a_manager_key_opens_no_session(gateway, vllm, target):
    gateway.publish(
        provider(vllm.url, models=(MODEL,)), keys={MASTER_KEY: key_of(MASTER_KEY, kind="manager")}
    )
    answer = await gateway.refusal(target)

    assert (answer.status, error_of(answer)["type"]) == (403, "permission_error")
    assert "a client or master key" in error_of(answer)["message"]


async def test_a_client_key_may_pass_to_a_provider(gateway, vllm):
    gateway.publish(
        provider(vllm.url, models=(MODEL,)), keys={MASTER_KEY: key_of(MASTER_KEY, kind="client")}
    )
    async with gateway.connect("/p/alpha/v1/realtime") as client:
        await client.send("hello")
        assert await client.recv() == "hello"


@pytest.mark.parametrize(
    ("answered", "told"),
    [
        ((401, '{"error":"Unauthorized"}'), (502, "upstream_auth")),
        ((403, "not from this address"), (502, "upstream_auth")),
        ((403, ""), (400, "unsupported_endpoint")),
        ((404, '{"detail":"Not Found"}'), (400, "unsupported_endpoint")),
        ((307, ""), (502, "upstream_error")),
        ((200, "hello"), (502, "upstream_error")),
        ((503, "busy"), (503, "upstream_503")),
    ],
)
async def test_what_the_server_answers_to_the_handshake_is_told(gateway, vllm, answered, told):
    vllm.refuses = answered
    answer = await gateway.refusal()

    assert (answer.status, error_of(answer)["code"]) == told
    assert (await gateway.record())["provider"] == "alpha"
    assert len(vllm.opened) == 1


async def test_a_server_that_is_not_there_is_told(gateway, vllm):
    gateway.publish(provider("http://127.0.0.1:1", models=(MODEL,)))
    answer = await gateway.refusal()

    assert (answer.status, error_of(answer)["code"]) == (502, "upstream_unreachable")


async def test_a_server_that_does_not_answer_is_waited_for_no_longer_than_is_set(gateway, vllm):
    gateway.publish(provider(vllm.url, models=(MODEL,), first_byte_seconds=0.2))
    vllm.delay.clear()
    answer = await gateway.refusal()
    vllm.delay.set()

    assert (answer.status, error_of(answer)["code"]) == (504, "upstream_timeout")


async def test_another_server_of_the_model_takes_what_the_first_does_not(gateway, vllm):
    gateway.publish(
        provider("http://127.0.0.1:1", "alpha", models=(MODEL,)),
        provider(vllm.url, "beta", models=(MODEL,)),
    )
    async with gateway.connect(f"/v1/realtime?model={MODEL}") as client:
        assert client.response.headers["x-aurora-provider"] == "beta"


async def test_a_client_is_accepted_only_once_the_server_has_accepted(gateway, vllm):
    vllm.delay.clear()
    connecting = asyncio.create_task(gateway.connect().__aenter__())
    while not vllm.opened:  # noqa: ASYNC110 - what is waited for is on the wire
        await asyncio.sleep(0.01)
    assert gateway.running()["sessions"] == 1
    assert not connecting.done()
    vllm.delay.set()
    await (await connecting).close()


async def test_a_client_that_leaves_before_the_server_has_accepted_ends_the_handshake(
    gateway, vllm
):
    vllm.delay.clear()
    connecting = asyncio.create_task(gateway.connect().__aenter__())
    while not vllm.opened:  # noqa: ASYNC110 - what is waited for is on the wire
        await asyncio.sleep(0.01)
    connecting.cancel()
    record = await gateway.record()
    vllm.delay.set()

    assert (record["status"], record["reason"]) == (0, "the client left")
