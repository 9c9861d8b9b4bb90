"""What crosses, in each direction: nothing secret, nothing of one connection, all of the rest."""

from __future__ import annotations

import re
import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway import headers
from gateway.header_names import Rules
from gateway.headers import LEAST_SECRET_BYTES
from providers import key_headers

OWN = "Bearer the-provider-key"
HOP_BY_HOP = (
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization",
    b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
)  # fmt: skip
CREDENTIALS = (
    b"authorization", b"x-api-key", b"api-key", b"cookie", b"set-cookie", b"x-goog-api-key",
)  # fmt: skip
ONLY_OURS_TO_SEND_UPSTREAM = (
    b"host", b"content-length", b"accept-encoding", b"expect", b"x-request-id",
    b"forwarded", b"via", b"x-real-ip", b"x-forwarded-for", b"x-forwarded-proto",
    b"x-forwarded-host", b"x-aurora-anything", b"origin", b"referer", b"sec-fetch-site",
    b"x-amzn-sagemaker-adapter-identifier", b"x-amzn-sagemaker-session-id",
)  # fmt: skip
ONLY_OURS_TO_SEND_BACK = (
    b"server", b"date", b"www-authenticate", b"x-request-id", b"x-aurora-provider", b"location",
    b"access-control-allow-origin",
)  # fmt: skip
KEY = "the-key-of-the-caller"
OF_SIGN_ON = (
    b"x-forwarded-user", b"x-forwarded-email", b"x-forwarded-groups", b"x-forwarded-preferred-username",
    b"x-auth-request-user", b"x-auth-request-email", b"x-auth-request-access-token", b"x-remote-user",
    b"remote-user", b"remote-groups", b"remote_user", b"x-amzn-oidc-data", b"x-amzn-oidc-identity",
    b"x-goog-iap-jwt-assertion", b"x-goog-authenticated-user-email", b"cf-access-jwt-assertion",
    b"cf-access-authenticated-user-email", b"x-ms-client-principal", b"x-ms-client-principal-name",
    b"x-pomerium-jwt-assertion", b"x-pomerium-claim-email", b"x-vouch-user", b"x-webauth-user",
    b"x-authentik-username", b"tailscale-user-login", b"x-consumer-username", b"x-userinfo",
    b"x-ssl-client-s-dn", b"ssl-client-cert", b"x-client-cert", b"x-id-token", b"x-access-token",
    b"x-user", b"x_forwarded_user", b"x-user-id", b"x-saml-subject", b"x-email",
)  # fmt: skip
OF_THE_WAY_IN = (
    b"x-original-url", b"x-original-uri", b"x-rewrite-url", b"x-http-method-override",
    b"x-http-method", b"x-method-override", b"x-http-host-override", b"x-host", b"x-forwarded",
    b"x-forwarded-prefix", b"x-client-ip", b"true-client-ip", b"cf-connecting-ip", b"cf-ray",
    b"x-cluster-client-ip", b"x-azure-clientip", b"x-scheme", b"x-accel-redirect", b"proxy",
    b"x-envoy-original-path", b"x-functions-key", b"x-litellm-key", b"http2-settings",
)  # fmt: skip
ORDERS_TO_PROXIES = (
    b"x-accel-redirect", b"x-accel-expires", b"x-accel-buffering", b"x-accel-limit-rate",
    b"x-accel-charset", b"x-sendfile", b"x-sendfile2", b"x-sendfile-temporary",
    b"x-lighttpd-send-file", b"lighttpd-send-tempfile", b"x-litespeed-location", b"x-reproxy-url",
    b"x-reproxy-file", b"surrogate-control", b"cdn-cache-control", b"x-envoy-upstream-service-time",
)  # fmt: skip
ORDERS_TO_BROWSERS = (
    b"clear-site-data", b"strict-transport-security", b"alt-svc", b"refresh", b"link", b"nel",
    b"report-to", b"reporting-endpoints", b"service-worker-allowed", b"sourcemap", b"x-sourcemap",
    b"public-key-pins", b"access-control-allow-credentials", b"access-control-allow-headers",
    b"set-cookie2", b"content-location", b"via", b"x-powered-by", b"status", b"authentication-info",
    b"x-auth-token", b"x-amz-security-token", b"speculation-rules", b"x_accel_redirect",
)  # fmt: skip
TO_SERVERS = (
    b"accept", b"accept-language", b"content-type", b"user-agent", b"traceparent", b"tracestate",
    b"baggage", b"x-session-id", b"x-data-parallel-rank", b"openai-organization", b"openai-project",
    b"openai-beta", b"anthropic-version", b"anthropic-beta", b"x-stainless-os", b"x-stainless-retry-count",
    b"idempotency-key", b"x-correlation-id", b"x-b3-traceid", b"x-custom", b"priority", b"cache-control",
    b"anthropic-dangerous-direct-browser-access", b"x-stainless-runtime", b"x-amzn-trace-id", b"metadata",
)  # fmt: skip
TO_CLIENTS = (
    b"content-type", b"content-length", b"content-encoding", b"content-disposition", b"retry-after",
    b"cache-control", b"vary", b"etag", b"x-ratelimit-remaining-tokens", b"x-ratelimit-limit-requests",
    b"openai-processing-ms", b"server-timing", b"x-custom", b"x-vllm-version",
)  # fmt: skip
NEVER_TO_SERVERS = (
    HOP_BY_HOP + CREDENTIALS + ONLY_OURS_TO_SEND_UPSTREAM + OF_SIGN_ON + OF_THE_WAY_IN
)
NEVER_TO_CLIENTS = (
    HOP_BY_HOP + CREDENTIALS + ONLY_OURS_TO_SEND_BACK + ORDERS_TO_PROXIES + ORDERS_TO_BROWSERS
)

any_case = st.sampled_from([bytes.lower, bytes.upper, bytes.title])
listed = st.sampled_from(NEVER_TO_SERVERS + NEVER_TO_CLIENTS + TO_SERVERS + TO_CLIENTS)
names = st.builds(lambda change, name: change(name), any_case, listed) | st.binary(max_size=12)
values = (
    st.binary(max_size=12)
    | st.sampled_from([b"Bearer " + KEY.encode(), KEY.encode(), b"a=" + KEY.encode() + b";"])
    | st.text("abc;=, ", max_size=8).map(str.encode)
)
connections = st.tuples(
    st.sampled_from([b"connection", b"Connection", b"CONNECTION"]),
    st.lists(names, max_size=3).map(b" ,\t".join),
)
lists = st.lists(st.tuples(names, values) | connections, max_size=8)
TOKEN = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-z]+")
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def named_by_connection(pairs: list[tuple[bytes, bytes]]) -> set[bytes]:
    return {
        part.strip().lower()
        for name, value in pairs
        if name.lower() == b"connection"
        for part in value.split(b",")
    }


def lowered(pairs: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value in pairs]


def check_crossing(
    crossing: list[tuple[bytes, bytes]],
    pairs: list[tuple[bytes, bytes]],
    never: tuple[bytes, ...],
    always: tuple[bytes, ...],
) -> None:
    """What holds of any set of headers in either direction."""
    left = iter(lowered(pairs))
    assert all(pair in left for pair in crossing), "nothing is added, changed or put elsewhere"
    named = named_by_connection(pairs)
    for name, value in crossing:
        assert TOKEN.fullmatch(name)
        assert not CONTROL.search(value)
        assert name not in never
        assert name not in named
    crossed = [name for name, _ in crossing]
    for name, value in lowered(pairs):
        if name in always and name not in named and not CONTROL.search(value):
            assert name in crossed or KEY.encode() in value


@given(lists, st.none() | st.just(OWN))
@example([(b"connection", b"x-custom"), (b"X-Custom", b"1")], OWN)
@example([(b"Authorization", b"Bearer secret"), (b"AUTHORIZATION", b"again")], None)
@example([(b"authorization", b"Bearer " + KEY.encode()), (b"x-custom", b"k=" + KEY.encode())], OWN)
def test_a_server_gets_of_any_headers_what_it_may_and_then_ours(pairs, authorization):
    sent = headers.to_upstream(pairs, authorization, "r-1")
    ours = [(b"accept-encoding", b"identity"), (b"x-request-id", b"r-1")]
    if authorization is not None:
        ours.append((b"authorization", OWN.encode()))
    crossing = sent[: len(sent) - len(ours)]

    assert sent[len(crossing) :] == ours
    check_crossing(crossing, pairs, NEVER_TO_SERVERS, TO_SERVERS)
    shown = [
        each for each in key_headers.secrets(lowered(pairs)) if len(each) >= LEAST_SECRET_BYTES
    ]
    assert not any(secret.encode("latin-1") in value for secret in shown for _, value in crossing)


@given(lists)
def test_a_client_gets_of_any_headers_what_it_may(pairs):
    check_crossing(headers.to_client(pairs), pairs, NEVER_TO_CLIENTS, TO_CLIENTS)


@pytest.mark.parametrize("name", NEVER_TO_SERVERS)
@pytest.mark.parametrize("change", [bytes.lower, bytes.upper, bytes.title])
def test_no_server_is_told(name, change):
    sent = headers.to_upstream([(change(name), b"the client's")], None, "r")
    assert b"the client's" not in dict(sent).values()


@pytest.mark.parametrize("name", NEVER_TO_CLIENTS)
@pytest.mark.parametrize("change", [bytes.lower, bytes.upper, bytes.title])
def test_no_client_is_told(name, change):
    assert headers.to_client([(change(name), b"the server's")]) == []


@pytest.mark.parametrize("name", TO_SERVERS)
def test_servers_are_told_what_is_of_the_call(name):
    pair = (name, b'v\xff; a="b" ')
    assert pair in headers.to_upstream([pair], None, "r")


@pytest.mark.parametrize("name", TO_CLIENTS)
def test_clients_are_told_what_is_of_the_answer(name):
    pair = (name, b'v\xff; a="b" ')
    assert headers.to_client([pair]) == [pair]


@pytest.mark.parametrize("value", [b"a\0b", b"a\nb", b"a\rb", b"\x1b[2J", b"\x7f", b"\x01"])
def test_a_value_with_control_characters_crosses_in_no_direction(value):
    assert headers.to_client([(b"x-custom", value)]) == []
    assert (b"x-custom", value) not in headers.to_upstream([(b"x-custom", value)], None, "r")


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"caf\xe9", b"a\n", b"(a)"])
def test_what_is_no_name_crosses_in_no_direction(name):
    assert headers.to_client([(name, b"1")]) == []
    assert (name, b"1") not in headers.to_upstream([(name, b"1")], None, "r")


RULES = Rules.of(["x-user-id", "x-auth-token", "cookie"], ["x-team", "x-internal-*"])


@pytest.mark.parametrize(
    ("name", "up", "down"),
    [
        (b"x-user-id", True, True),
        (b"x_user_id", True, True),
        (b"x-auth-token", False, False),
        (b"cookie", False, False),
        (b"x-team", False, False),
        (b"x-teams", True, True),
        (b"x-internal-", False, False),
        (b"x-internal-route", False, False),
        (b"x-user", False, True),
    ],
)
def test_an_operator_may_name_more_of_both_kinds(name, up, down):
    pair = (name, b"1")
    assert (pair in headers.to_upstream([pair], None, "r", RULES)) is up
    assert (pair in headers.to_client([pair], RULES)) is down


@pytest.mark.parametrize("default", [b"a", b"-", b"json", b"EMPTY"])
def test_a_librarys_default_for_a_key_takes_no_header_along(default):
    kept = [(b"content-type", b"application/json"), (b"x-title", b"EMPTY - or not")]
    sent = headers.to_upstream([*kept, (b"api-key", default)], None, "r")
    assert sent[: len(kept)] == kept
    assert headers.request_id([(b"x-request-id", b"EMPTY-json"), (b"api-key", default)]) == (
        "EMPTY-json"
    )


def test_a_request_id_that_is_the_callers_key_is_replaced():
    pairs = [(b"authorization", b"Bearer " + KEY.encode()), (b"x-request-id", KEY.encode())]
    assert KEY not in headers.request_id(pairs)


def test_a_header_given_twice_crosses_twice():
    pairs = [(b"x-custom", b"1"), (b"x-other", b"2"), (b"x-custom", b"3")]
    assert headers.to_client(pairs) == pairs


@pytest.mark.parametrize("id_", ["a", "!", "~", "x" * 128, "chatcmpl-1", "a,b;c=d", '"<>'])
def test_a_sane_request_id_is_kept(id_):
    assert headers.request_id([(b"x-request-id", id_.encode())]) == id_


@pytest.mark.parametrize(
    "id_",
    [b"", b" ", b"a b", b"a\n", b"\n", b"a\tb", b"x" * 129, b"\x7f", b"\xc3\xa9", b"\xff", b"a\0"],
)
def test_an_insane_request_id_is_replaced(id_):
    made = headers.request_id([(b"x-request-id", id_)])
    assert str(uuid.UUID(made)) == made


@given(lists)
def test_a_request_id_is_always_visible_ascii_and_bounded(pairs):
    made = headers.request_id(pairs)
    assert 1 <= len(made) <= 128
    assert all("!" <= c <= "~" for c in made)


def test_two_calls_without_a_request_id_get_two():
    assert headers.request_id([]) != headers.request_id([])


def test_of_two_request_ids_the_first_counts():
    assert headers.request_id([(b"x-request-id", b"a"), (b"x-request-id", b"b")]) == "a"


@pytest.mark.parametrize(("name", "value"), [(b"a", b"1"), (b"b", b"2"), (b"c", None)])
def test_the_first_value_of_a_name(name, value):
    assert headers.first([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")], name) == value
