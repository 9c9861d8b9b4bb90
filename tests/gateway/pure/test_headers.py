"""What crosses, in each direction: nothing secret, nothing of one connection, all of the rest."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway import headers

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
CROSS_BOTH_WAYS = (
    b"content-type", b"user-agent", b"accept", b"traceparent", b"retry-after", b"openai-organization",
    b"anthropic-version", b"x-custom", b"cache-control", b"vary", b"metadata", b"x-stainless-os",
)  # fmt: skip

any_case = st.sampled_from([bytes.lower, bytes.upper, bytes.title])
token = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12).map(str.encode)
names = st.builds(
    lambda change, name: change(name),
    any_case,
    token
    | st.sampled_from(
        HOP_BY_HOP
        + CREDENTIALS
        + ONLY_OURS_TO_SEND_UPSTREAM
        + ONLY_OURS_TO_SEND_BACK
        + CROSS_BOTH_WAYS
    ),
)
values = st.binary(max_size=12)
connections = st.tuples(
    st.sampled_from([b"connection", b"Connection", b"CONNECTION"]),
    st.lists(names, max_size=3).map(b" ,\t".join),
)
lists = st.lists(st.tuples(names, values) | connections, max_size=8)


def named_by_connection(pairs: list[tuple[bytes, bytes]]) -> set[bytes]:
    return {
        part.strip().lower()
        for name, value in pairs
        if name.lower() == b"connection"
        for part in value.split(b",")
    }


def barred(name: bytes, listed: tuple[bytes, ...], prefixes: tuple[bytes, ...]) -> bool:
    suffixes = (b"-token", b"-secret", b"-api-key", b"-subscription-key", b"-password")
    if name.endswith(suffixes):
        return True
    return name in HOP_BY_HOP + CREDENTIALS + listed or name.startswith(prefixes)


def barred_upstream(name: bytes) -> bool:
    prefixes = (b"x-forwarded-", b"x-aurora-", b"sec-", b"proxy-")
    return barred(name, ONLY_OURS_TO_SEND_UPSTREAM, prefixes)


def barred_back(name: bytes) -> bool:
    listed = (*ONLY_OURS_TO_SEND_BACK, b"alt-svc", b"strict-transport-security")
    return barred(name, listed, (b"x-aurora-", b"access-control-"))


@given(lists, st.none() | st.just(OWN))
@example([(b"connection", b"x-custom"), (b"X-Custom", b"1")], OWN)
@example([(b"Authorization", b"Bearer secret"), (b"AUTHORIZATION", b"again")], None)
def test_upstream_gets_what_is_not_barred_unchanged_and_in_order_then_ours(pairs, authorization):
    named = named_by_connection(pairs)
    crossing = [
        (name.lower(), value)
        for name, value in pairs
        if not barred_upstream(name.lower()) and name.lower() not in named
    ]
    ours = [(b"accept-encoding", b"identity"), (b"x-request-id", b"r-1")]
    if authorization is not None:
        ours.append((b"authorization", OWN.encode()))
    assert headers.to_upstream(pairs, authorization, "r-1") == crossing + ours


@given(lists)
def test_the_client_gets_what_is_not_barred_unchanged_and_in_order(pairs):
    named = named_by_connection(pairs)
    assert headers.to_client(pairs) == [
        (name.lower(), value)
        for name, value in pairs
        if not barred_back(name.lower()) and name.lower() not in named
    ]


@given(lists, st.none() | st.just(OWN))
def test_no_credential_crosses_in_either_direction(pairs, authorization):
    upstream = headers.to_upstream(pairs, authorization, "r-1")
    back = headers.to_client(pairs)
    own = [] if authorization is None else [(b"authorization", OWN.encode())]
    assert [pair for pair in upstream if pair[0] in CREDENTIALS] == own
    assert [pair for pair in back if pair[0] in CREDENTIALS] == []


@pytest.mark.parametrize("name", HOP_BY_HOP + CREDENTIALS)
@pytest.mark.parametrize("change", [bytes.lower, bytes.upper, bytes.title])
def test_what_never_crosses_does_not_in_any_case(name, change):
    pairs = [(change(name), b"secret")]
    assert (name, b"secret") not in headers.to_upstream(pairs, None, "r")
    assert headers.to_client(pairs) == []


@pytest.mark.parametrize("name", ONLY_OURS_TO_SEND_UPSTREAM)
def test_what_speaks_of_the_way_to_aurora_does_not_go_upstream(name):
    sent = headers.to_upstream([(name, b"the client's")], None, "r")
    assert b"the client's" not in dict(sent).values()


@pytest.mark.parametrize("name", ONLY_OURS_TO_SEND_BACK)
def test_what_aurora_says_itself_does_not_come_from_the_server(name):
    assert headers.to_client([(name, b"the server's")]) == []


@pytest.mark.parametrize("name", CROSS_BOTH_WAYS)
def test_what_belongs_to_the_call_crosses_both_ways(name):
    pair = (name, b'v\xff; a="b" ')
    assert pair in headers.to_upstream([pair], None, "r")
    assert headers.to_client([pair]) == [pair]


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
