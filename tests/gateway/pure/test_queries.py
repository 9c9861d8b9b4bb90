"""What of a query crosses: all of it as it came, but for credentials."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import queries

KEY = "sk-a-usable-key"


def is_key(text: str) -> bool:
    return text == KEY


@pytest.mark.parametrize(
    "query",
    [
        b"", b"a", b"a=1&b=2", b"level=1&mode=abort&tags=weights&tags=kv_cache", b"model=a%2Fb+c",
        b"&&", b"a=%zz", b"intent=transcription", b"stream=true&starting_after=3",
        b"include_tokens=1", b"max_tokens=5", b"keys=a", b"monkey=1",
    ],
)  # fmt: skip
def test_a_query_without_credentials_crosses_as_it_came(query):
    assert queries.crossing(query, is_key) == query


@pytest.mark.parametrize(
    "name",
    [
        "api_key", "apikey", "api-key", "apiKey", "API_KEY", "key", "access_token", "token", "auth",
        "authorization", "auth_token", "password", "client_secret", "x-api-key", "id_token", "jwt",
        "subscription-key", "X-Amz-Signature", "accessToken", "ap%69_key", "api.key", "token[]",
    ],
)  # fmt: skip
def test_what_is_named_as_a_credential_does_not_cross(name):
    query = f"a=1&{name}=anything&b=2".encode()
    assert queries.crossing(query, is_key) == b"a=1&b=2"


@pytest.mark.parametrize(
    "parameter",
    [
        f"foo={KEY}", f"foo=Bearer+{KEY}", f"foo=Bearer%20{KEY}", f"{KEY}=1", KEY, f"foo=[{KEY}]",
        f"foo=a,{KEY}", "foo=" + "".join(f"%{ord(letter):02x}" for letter in KEY), f"foo=x;key={KEY}",
    ],
)  # fmt: skip
def test_a_usable_key_crosses_under_no_name(parameter):
    assert queries.crossing(f"a=1&{parameter}".encode(), is_key) == b"a=1"


def test_a_query_that_takes_long_to_look_through_does_not_cross():
    assert queries.crossing(b"&".join([b"a=1"] * 257), is_key) == b""


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8) | st.just(KEY)), max_size=6))
def test_of_any_query_what_crosses_is_as_it_came_and_holds_no_key(pairs):
    parts = [f"{quote(name)}={quote(value)}".encode() for name, value in pairs]
    crossed = queries.crossing(b"&".join(parts), is_key)

    assert KEY.encode() not in crossed
    left = iter(parts)
    assert all(part in left for part in crossed.split(b"&") if part)
