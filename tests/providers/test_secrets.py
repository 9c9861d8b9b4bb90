"""Sealed values open in their own place only; keys are known by digests."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_site.keyring import Keyring
from providers import secrets
from providers.secrets import Place, Unopenable

PLACE = Place("provider", "1", "api_key")
OLD, NEW = "o" * 32, "n" * 32


@pytest.fixture
def keyring(settings):
    """Sets the keyring for the length of a test."""

    def use(*held: str) -> None:
        settings.KEYRING = Keyring(held)

    return use


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_sealed_opens_in_its_place(text):
    assert secrets.unseal(secrets.seal(text, PLACE), PLACE) == text


def test_the_same_text_is_sealed_differently_each_time():
    assert secrets.seal("x", PLACE) != secrets.seal("x", PLACE)


def test_a_sealed_value_does_not_show_its_text():
    sealed = secrets.seal("a-very-visible-secret", PLACE)
    assert "visible" not in sealed
    assert b"visible" not in base64.b64decode(sealed)


@pytest.mark.parametrize(
    "other",
    [
        Place("provider", "2", "api_key"),
        Place("apikey", "1", "api_key"),
        Place("provider", "1", "other"),
        Place("provider\x001", "", "api_key"),
    ],
)
def test_copied_to_another_place_it_does_not_open(other):
    with pytest.raises(Unopenable):
        secrets.unseal(secrets.seal("x", PLACE), other)


@pytest.mark.parametrize("byte", [0, 11, 12, -1])
def test_changed_in_any_byte_it_does_not_open(byte):
    raw = bytearray(base64.b64decode(secrets.seal("secret", PLACE)))
    raw[byte] ^= 1
    with pytest.raises(Unopenable):
        secrets.unseal(base64.b64encode(raw).decode(), PLACE)


@pytest.mark.parametrize("damaged", ["AAAA", "A", "not base64!", "ü"])
def test_what_was_never_sealed_does_not_open(damaged):
    with pytest.raises(Unopenable):
        secrets.unseal(damaged, PLACE)


def test_another_keyring_does_not_open_it_and_the_error_names_the_place(keyring):
    keyring(OLD)
    sealed = secrets.seal("the-secret", PLACE)
    keyring(NEW)
    with pytest.raises(Unopenable, match="api_key of provider 1") as caught:
        secrets.unseal(sealed, PLACE)
    assert "the-secret" not in str(caught.value)


def test_a_rotated_keyring_still_opens_it_and_seals_with_the_newest(keyring):
    keyring(OLD)
    before = secrets.seal("x", PLACE)
    keyring(NEW, OLD)
    assert secrets.unseal(before, PLACE) == "x"
    after = secrets.seal("x", PLACE)
    keyring(NEW)
    assert secrets.unseal(after, PLACE) == "x"
    with pytest.raises(Unopenable):
        secrets.unseal(before, PLACE)


def test_a_digest_is_one_for_each_secret_of_the_keyring_newest_first(keyring):
    keyring(OLD)
    (old,) = secrets.digests("key")
    keyring(NEW)
    (new,) = secrets.digests("key")
    keyring(NEW, OLD)
    assert secrets.digests("key") == (new, old)
    assert old != new


@given(st.text())
def test_any_text_has_a_digest_that_does_not_hold_it(text):
    (digest,) = secrets.digests(text)
    assert len(digest) == 64
    assert set(digest) <= set("0123456789abcdef")


@given(st.text(), st.text())
def test_two_secrets_have_two_digests(one, other):
    assert (secrets.digests(one) == secrets.digests(other)) is (one == other)


def test_a_new_key_holds_256_bits_and_is_recognised_by_its_prefix():
    made = {secrets.new_key() for _ in range(100)}
    assert len(made) == 100
    for key in made:
        assert key.startswith("aurora-")
        rest = key.removeprefix("aurora-")
        assert len(base64.urlsafe_b64decode(rest + "=" * (-len(rest) % 4))) == 32


@pytest.mark.parametrize(
    ("secret", "hint"),
    [("", "…"), ("short", "…"), ("x" * 15, "…"), ("x" * 12 + "last", "…last"), ("k" * 99, "…kkkk")],
)
def test_a_hint_tells_keys_apart_without_giving_them_away(secret, hint):
    assert secrets.hint(secret) == hint
