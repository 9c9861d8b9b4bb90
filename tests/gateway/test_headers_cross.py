"""What crosses from client to vLLM and back, seen on both wires."""

from __future__ import annotations

import uuid

import pytest

from tests.mounted import (
    CHAT,
    MASTER_KEY,
    MODEL,
    UPSTREAM_KEY,
    chat,
    pairs_named,
    provider,
    request,
)

CREDENTIALS = [
    ("X-Api-Key", "a-client-credential"),
    ("Api-Key", "a-client-credential"),
    ("X-Goog-Api-Key", "a-client-credential"),
    ("Cookie", "session=a-client-credential"),
    ("Set-Cookie", "session=a-client-credential"),
    ("Proxy-Authorization", "Basic a-client-credential"),
]


@pytest.mark.parametrize("header", CREDENTIALS, ids=[name for name, _ in CREDENTIALS])
def test_no_credential_of_the_client_reaches_vllm(gateway, vllm, header):
    gateway.call("POST", CHAT, chat(), [header])

    [seen] = vllm.received
    assert header[0].lower() not in seen.headers
    assert not any("a-client-credential" in value for _, value in seen.header_pairs)
    assert pairs_named(seen.header_pairs, "authorization") == [f"Bearer {UPSTREAM_KEY}"]
    assert not any(MASTER_KEY in value for _, value in seen.header_pairs)


def test_the_callers_key_does_not_cross_as_x_api_key_either(gateway, vllm):
    gateway.call("POST", CHAT, chat(), [("x-api-key", MASTER_KEY)], key=None)

    [seen] = vllm.received
    assert not any(MASTER_KEY in value for _, value in seen.header_pairs)
    assert seen.headers["authorization"] == f"Bearer {UPSTREAM_KEY}"


def test_a_provider_without_a_key_gets_no_authorization(gateway, vllm):
    gateway.publish(provider(vllm.url, key=None))
    gateway.call("POST", CHAT, chat())

    assert "authorization" not in vllm.received[0].headers


@pytest.mark.parametrize(
    "name",
    ["TE", "Trailer", "Upgrade", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Expect-Ct",
     "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Forwarded", "Via", "Origin", "Referer",
     "X-Aurora-Provider", "Sec-Fetch-Mode"],
)  # fmt: skip
def test_what_belongs_to_this_connection_or_its_network_stays_here(gateway, vllm, name):
    gateway.call("POST", CHAT, chat(), [(name, "h2c"), ("X-Kept", "1")])

    [seen] = vllm.received
    assert (name.lower() in seen.headers) == (name == "Expect-Ct")
    assert seen.headers["x-kept"] == "1"


def test_what_connection_names_is_dropped(gateway, vllm):
    pairs = [
        ("Connection", "keep-alive, X-Hop,x-other"),
        ("Connection", "X-Third"),
        ("X-Hop", "1"),
        ("X-Other", "1"),
        ("X-Third", "1"),
        ("X-Kept", "1"),
    ]
    gateway.call("POST", CHAT, chat(), pairs)

    [seen] = vllm.received
    assert {"x-hop", "x-other", "x-third", "connection"} & set(seen.headers) == set()
    assert seen.headers["x-kept"] == "1"


@pytest.mark.parametrize(
    "header",
    [
        ("User-Agent", "OpenAI/Python 1.109.1"),
        ("Accept", "text/event-stream"),
        ("Accept-Language", "de, en;q=0.5"),
        ("Content-Type", "application/json; charset=utf-8"),
        ("Content-Type", "text/plain"),
        ("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("X-Stainless-Lang", "python"),
        ("OpenAI-Beta", "assistants=v2"),
        ("X-Empty", ""),
        ("X-Utf-8", "café ☕".encode().decode("latin-1")),
    ],
    ids=lambda header: header[0],
)
def test_everything_else_crosses_as_it_came(gateway, vllm, header):
    gateway.call("POST", CHAT, chat(), [header])

    assert pairs_named(vllm.received[0].header_pairs, header[0].lower()) == [header[1]]


def test_utf_8_in_a_header_is_kept_whatever_else_is_there(gateway, vllm):
    utf_8 = "café ☕".encode().decode("latin-1")
    gateway.call("POST", CHAT, chat(), [("X-Other", "caf\xe9"), ("X-Name", utf_8)])

    assert vllm.received[0].headers["x-name"] == utf_8


def test_a_header_given_twice_crosses_twice(gateway, vllm):
    gateway.call("POST", CHAT, chat(), [("X-Two", "b"), ("X-Other", "1"), ("x-two", "a")])

    assert pairs_named(vllm.received[0].header_pairs, "x-two") == ["b", "a"]


@pytest.mark.parametrize("name", ["user-agent", "accept", "content-type", "cookie", "connection"])
def test_a_header_the_client_did_not_send_is_not_added(gateway, vllm, name):
    raw = request("POST", CHAT, chat()).replace(b"Content-Type: application/json\r\n", b"")
    client = gateway.connect()
    client.send(raw)
    client.read_answer()

    assert name not in vllm.received[0].headers


def test_vllm_sees_these_headers_and_no_others(gateway, vllm):
    gateway.call("POST", CHAT, chat())

    assert sorted(name.lower() for name, _ in vllm.received[0].header_pairs) == [
        "accept-encoding",
        "authorization",
        "content-length",
        "content-type",
        "host",
        "x-request-id",
    ]
    assert vllm.received[0].headers["host"] == f"127.0.0.1:{vllm.port}"


@pytest.mark.parametrize("given", ["gzip, br", "*", "", None])
def test_vllm_is_asked_for_an_uncompressed_answer(gateway, vllm, given):
    gateway.call("POST", CHAT, chat(), [] if given is None else [("Accept-Encoding", given)])

    assert pairs_named(vllm.received[0].header_pairs, "accept-encoding") == ["identity"]


def test_a_compressed_answer_is_relayed_as_it_is(gateway, vllm):
    vllm.will_answer(200, [("content-encoding", "gzip"), ("content-type", "a/b")], b"\x1f\x8b..")

    answer = gateway.call("POST", CHAT, chat())

    assert (answer.body, answer.headers["content-encoding"]) == (b"\x1f\x8b..", "gzip")


# Back to the client


@pytest.mark.parametrize(
    "name",
    ["Set-Cookie", "Date", "WWW-Authenticate", "Location", "Alt-Svc", "Keep-Alive",
     "Strict-Transport-Security", "X-Aurora-Other", "Access-Control-Allow-Origin", "Upgrade",
     "Proxy-Authenticate"],
)  # fmt: skip
def test_what_vllm_says_of_its_own_connection_does_not_come_back(gateway, vllm, name):
    vllm.will_answer(200, [(name, "sentinel"), ("X-Kept", "1"), ("content-type", "a/b")], b"{}")

    answer = gateway.call("POST", CHAT, chat())

    assert "sentinel" not in dict(answer.pairs).values()
    assert answer.headers["x-kept"] == "1"


def test_the_server_names_itself(gateway):
    answer = gateway.call("POST", CHAT, chat())

    assert pairs_named(answer.pairs, "server") == ["aurora"]


def test_what_the_upstreams_connection_names_is_dropped(gateway, vllm):
    vllm.will_answer(200, [("Connection", "X-Hop"), ("X-Hop", "1"), ("X-Kept", "1")], b"{}")

    answer = gateway.call("POST", CHAT, chat())

    assert "x-hop" not in answer.headers
    assert answer.headers["x-kept"] == "1"


def test_headers_of_an_answer_cross_as_they_came(gateway, vllm):
    pairs = [("X-Two", "b"), ("X-Two", "a"), ("X-Bytes", "caf\xe9"), ("Cache-Control", "no-store")]
    vllm.will_answer(200, [*pairs, ("content-type", "text/event-stream")], b"data: 1\n\n")

    answer = gateway.call("POST", CHAT, chat(stream=True))

    assert pairs_named(answer.pairs, "x-two") == ["b", "a"]
    assert pairs_named(answer.pairs, "x-bytes") == ["caf\xe9"]
    assert pairs_named(answer.pairs, "cache-control") == ["no-store"]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("body", [b'{"error":{"message":"Busy"}}', b'{"error":"busy"}', b""])
def test_retry_after_is_kept(gateway, vllm, status, body):
    vllm.will_answer(status, [("Retry-After", "7"), ("content-type", "application/json")], body)

    answer = gateway.call("POST", CHAT, chat())

    assert (answer.status, answer.headers["retry-after"]) == (status, "7")


@pytest.mark.parametrize(
    "path", [CHAT, "/v1/messages", "/v1/responses", "/p/alpha/v1/chat/completions"]
)
def test_proxies_are_told_to_hold_no_stream_back(gateway, path):
    said = {"messages": [{"role": "user", "content": "x"}], "input": "x", "max_tokens": 5}
    answer = gateway.post(path, {"model": f"alpha/{MODEL}", "stream": True, **said})

    assert answer.status == 200
    assert pairs_named(answer.pairs, "x-accel-buffering") == ["no"]
    assert pairs_named(answer.pairs, "cache-control") == ["no-cache"]
    assert "content-length" not in answer.headers


def test_an_answer_that_is_no_stream_tells_proxies_nothing(gateway):
    answer = gateway.call("POST", CHAT, chat())

    assert "x-accel-buffering" not in answer.headers


FROM_SERVERS = [
    "X-Accel-Redirect", "X-Accel-Limit-Rate", "X-Sendfile", "X-Lighttpd-Send-File", "Clear-Site-Data",
    "Via", "Refresh", "Service-Worker-Allowed", "SourceMap", "Link", "NEL", "Report-To", "X-Auth-Token",
    "Authorization", "Access-Control-Allow-Credentials", "Public-Key-Pins", "X-Powered-By",
]  # fmt: skip


@pytest.mark.parametrize("body", [b"{}", b'{"error":{"message":"no"}}'])
@pytest.mark.parametrize("status", [200, 400, 503])
@pytest.mark.parametrize("stream", [False, True])
def test_no_answer_gives_orders_for_auroras_origin(gateway, vllm, status, body, stream):
    kind = "text/event-stream" if stream else "application/json"
    pairs = [(name, "sentinel") for name in FROM_SERVERS]
    vllm.will_answer(status, [*pairs, ("X-Kept", "1"), ("content-type", kind)], body)

    answer = gateway.call("POST", CHAT, chat(stream=stream))

    assert answer.status == status
    assert "sentinel" not in dict(answer.pairs).values()


@pytest.mark.parametrize("value", [b"a\x01b", b"a\x7fb", b"\x1b[2J"])
def test_no_control_character_comes_back(gateway, vllm, value):
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-odd: %b\r\nx-kept: 1\r\n\r\n{}" % value
    vllm.will_send(head)
    answer = gateway.call("POST", CHAT, chat())

    assert "x-odd" not in answer.headers
    assert answer.status in (200, 502)
    assert answer.status == 502 or answer.headers["x-kept"] == "1"


@pytest.mark.parametrize("path", [CHAT, "/p/alpha/version"])
@pytest.mark.parametrize("status", ["099", "101", "102", "199", "600", "700", "999"])
def test_a_status_that_is_none_of_http_is_answered_for(gateway, vllm, status, path):
    vllm.will_send(f"HTTP/1.1 {status} Odd\r\ncontent-length: 0\r\n\r\n".encode(), then="close")
    method, body = ("POST", chat()) if path == CHAT else ("GET", b"")
    answer = gateway.call(method, path, body)

    assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_broke")


def test_interim_answers_without_end_are_no_answer(gateway, vllm):
    vllm.will_send(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 40, then="stall")
    answer = gateway.call("POST", CHAT, chat())

    assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_broke")


# What a server must not take for its own proxy's word

FROM_CLIENTS = [
    "X-Forwarded-User", "X-Auth-Request-Email", "X-Remote-User", "Remote-User", "X-Amzn-Oidc-Identity",
    "X-Goog-Iap-Jwt-Assertion", "Cf-Access-Authenticated-User-Email", "X-MS-Client-Principal-Id",
    "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-Method-Override", "X_Forwarded_User",
    "X-Pomerium-Claim-Email", "Proxy", "True-Client-Ip",
]  # fmt: skip
PATHS = [CHAT, "/p/alpha/v1/chat/completions", "/p/vllm/v1/chat/completions"]


@pytest.mark.parametrize("path", PATHS)
def test_no_server_is_told_by_a_client_who_it_is(gateway, vllm, path):
    pairs = [(name, "sentinel") for name in FROM_CLIENTS]
    gateway.call("POST", path, chat(), [*pairs, ("X-Kept", "1")])

    [seen] = vllm.received
    assert "sentinel" not in dict(seen.header_pairs).values()
    assert seen.headers["x-kept"] == "1"


@pytest.mark.parametrize("path", PATHS)
def test_the_callers_key_reaches_no_server_by_any_other_way(gateway, vllm, path):
    query = f"a=1&api_key=x&key={MASTER_KEY}&odd={MASTER_KEY}&odd2=Bearer%20{MASTER_KEY}&b=%2F"
    pairs = [("X-Odd", MASTER_KEY), ("X-Odder", f"a={MASTER_KEY};b"), ("X-Request-Id", MASTER_KEY)]
    gateway.call("POST", f"{path}?{query}", chat(), pairs)

    [seen] = vllm.received
    assert seen.path_and_query.endswith("?a=1&b=%2F")
    assert not any(MASTER_KEY in value for _, value in seen.header_pairs)


# The request's id

SANE = ["a", "x" * 128, "req_1-2:3/4~!", '"{}"']
INSANE = ["x" * 129, "", "two words", "caf\xe9", "tab\tbed", "x" * 5000]


@pytest.mark.parametrize("given", SANE)
def test_a_sane_request_id_is_everywhere(gateway, vllm, given):
    answer = gateway.call("POST", CHAT, chat(), [("X-Request-Id", given)])

    assert pairs_named(answer.pairs, "x-request-id") == [given]
    assert pairs_named(vllm.received[0].header_pairs, "x-request-id") == [given]
    assert gateway.record()["request_id"] == given


@pytest.mark.parametrize("given", INSANE, ids=range(len(INSANE)))
def test_an_insane_request_id_is_replaced_everywhere(gateway, vllm, given):
    answer = gateway.call("POST", CHAT, chat(), [("X-Request-Id", given)])

    [made] = pairs_named(answer.pairs, "x-request-id")
    assert str(uuid.UUID(made)) == made
    assert pairs_named(vllm.received[0].header_pairs, "x-request-id") == [made]
    assert gateway.record()["request_id"] == made


def test_each_call_without_an_id_gets_its_own(gateway, vllm):
    vllm.will_answer(200, [("x-request-id", "vllm's own")], b"{}")
    answers = [gateway.call("POST", CHAT, chat()) for _ in range(2)]

    made = [pairs_named(answer.pairs, "x-request-id") for answer in answers]
    assert made[0] != made[1]
    assert [[line["request_id"]] for line in gateway.records] == made


@pytest.mark.parametrize(
    ("method", "path", "body", "key"),
    [
        ("POST", CHAT, b"not json", MASTER_KEY),
        ("POST", CHAT, b"{}", "wrong"),
        ("GET", CHAT, b"", MASTER_KEY),
        ("GET", "/nowhere", b"", None),
        ("GET", "/health", b"", None),
        ("GET", "/ready", b"", None),
        ("GET", "/v1/models", b"", MASTER_KEY),
        ("HEAD", "/v1/models", b"", MASTER_KEY),
        ("GET", "/p/alpha/nowhere", b"", MASTER_KEY),
    ],
)
def test_the_id_is_on_every_answer(gateway, method, path, body, key):
    answer = gateway.call(method, path, body, [("X-Request-Id", "mine")], key=key)

    assert pairs_named(answer.pairs, "x-request-id") == ["mine"]
    assert gateway.record()["request_id"] == "mine"


@pytest.mark.parametrize("status", [200, 400, 500])
def test_the_provider_that_answered_is_named(gateway, vllm, status):
    vllm.will_answer(status, [("x-aurora-provider", "liar")], b'{"error":{"message":"no"}}')

    answer = gateway.call("POST", CHAT, chat())

    assert pairs_named(answer.pairs, "x-aurora-provider") == ["alpha"]
