"""Headers to a caller: in every form that is understood, and in no other."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from gateway.auth import authenticate
from gateway.errors import Unauthorized
from providers import secrets
from providers.snapshot import KeyEntry
from tests.gateway.pure.snapshots import snapshot

SECRET = "aurora-correct-horse-battery-staple"
KEY = KeyEntry(uuid.uuid4(), "tests", "…aple", "master")
CLIENT_SECRET = "aurora-key-of-another-kind-000000"
CLIENT_KEY = KeyEntry(uuid.uuid4(), "someone", "…0000", "client")
GOOD = SECRET.encode()


def known(**keys: KeyEntry):
    return snapshot(keys={secrets.digests(secret)[0]: key for secret, key in keys.items()})


KNOWN = known(**{SECRET: KEY, CLIENT_SECRET: CLIENT_KEY})


@pytest.mark.parametrize(
    "pairs",
    [
        [(b"authorization", b"Bearer " + GOOD)],
        [(b"authorization", b"bearer " + GOOD)],
        [(b"authorization", b"BEARER " + GOOD)],
        [(b"authorization", b"Bearer   " + GOOD + b"  ")],
        [(b"x-api-key", GOOD)],
        [(b"x-api-key", b" " + GOOD + b" ")],
        [(b"authorization", b"Bearer " + GOOD), (b"x-api-key", b"wrong")],
        [(b"authorization", b"Bearer " + GOOD), (b"authorization", b"Bearer wrong")],
        [(b"cookie", b"a=b"), (b"x-api-key", GOOD)],
        [(b"api-key", GOOD)],
        [(b"authorization", b"Bearer wrong"), (b"x-api-key", GOOD)],
        [(b"authorization", b"Basic wrong"), (b"api-key", GOOD)],
        [(b"authorization", b""), (b"x-api-key", GOOD)],
        [(b"authorization", b"Bearer wrong"), (b"authorization", b"Bearer " + GOOD)],
    ],
)
def test_a_key_is_understood_in_its_documented_forms(pairs):
    caller = authenticate(pairs, KNOWN)
    assert caller.key is KEY
    assert caller.is_master


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [(b"authorization", b"")],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Bearer ")],
        [(b"authorization", GOOD)],
        [(b"authorization", b"Basic " + GOOD)],
        [(b"authorization", b"Bearer\t" + GOOD)],
        [(b"authorization", b"Bearer " + GOOD[:-1])],
        [(b"authorization", b"Bearer " + GOOD + b"x")],
        [(b"authorization", b"Bearer " + GOOD.upper())],
        [(b"x-api-key", b"wrong")] * 4 + [(b"x-api-key", GOOD)],  # so many are looked up
        [(b"x-api-key", b"")],
        [(b"x-api-key", b"Bearer " + GOOD)],
        [(b"cookie", GOOD)],
        [(b"x-api-key", GOOD + b"\0")],
    ],
)
def test_anything_else_is_unauthorized(pairs):
    with pytest.raises(Unauthorized) as caught:
        authenticate(pairs, KNOWN)
    assert caught.value.status == 401
    assert "www-authenticate" in caught.value.headers
    assert SECRET not in str(caught.value)


def test_without_any_key_nobody_may_call():
    with pytest.raises(Unauthorized):
        authenticate([(b"authorization", b"Bearer " + GOOD)], snapshot())


def test_a_key_that_expired_since_it_was_read_is_worded_like_an_unknown_one():
    ended = KeyEntry(KEY.id, "n", "…", "master", timezone.now() - timedelta(seconds=1))
    words = []
    for keys in (known(**{SECRET: ended}), snapshot()):
        with pytest.raises(Unauthorized) as caught:
            authenticate([(b"x-api-key", GOOD)], keys)
        words.append(str(caught.value))
    assert words[0] == words[1]


def test_a_key_that_expires_later_is_good():
    later = KeyEntry(KEY.id, "n", "…", "master", timezone.now() + timedelta(seconds=60))
    assert authenticate([(b"x-api-key", GOOD)], known(**{SECRET: later})).key is later


def test_a_key_of_another_kind_is_no_master():
    assert not authenticate([(b"x-api-key", CLIENT_SECRET.encode())], KNOWN).is_master


@pytest.mark.parametrize(
    "length", [secrets.MOST_CALLER_KEY_CHARACTERS, secrets.MOST_CALLER_KEY_CHARACTERS + 1]
)
def test_a_key_has_a_longest_length(length):
    secret = "k" * length
    if length <= secrets.MOST_CALLER_KEY_CHARACTERS:
        assert authenticate([(b"x-api-key", secret.encode())], known(**{secret: KEY})).key is KEY
        return
    with pytest.raises(Unauthorized):
        authenticate([(b"x-api-key", secret.encode())], known(**{secret: KEY}))


names = st.sampled_from([b"authorization", b"x-api-key", b"cookie"]) | st.binary(max_size=8)
values = (
    st.binary(max_size=40)
    | st.builds(b"Bearer ".__add__, st.binary(max_size=40))
    | st.integers(0, 2000).map(lambda length: b"x" * length)
)


@given(st.lists(st.tuples(names, values), max_size=4))
def test_header_bytes_of_any_kind_are_unauthorized_and_nothing_worse(pairs):
    with pytest.raises(Unauthorized):
        authenticate(pairs, KNOWN)


def test_a_caller_shows_no_secret():
    assert SECRET not in repr(authenticate([(b"x-api-key", GOOD)], KNOWN))
