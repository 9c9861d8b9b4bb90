"""What the database itself refuses, whoever writes to it; and the life of a key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from providers import secrets
from providers.addresses import BadAddress
from providers.models import ApiKey, Discovery, Provider

pytestmark = pytest.mark.django_db

GOOD = {"name": "a", "base_url": "http://h:8000/v1"}


def create_raw(model: Any, **fields: Any) -> Any:
    """A row written as it is: no form, no `clean`, no `save`."""
    with transaction.atomic():
        return model.objects.bulk_create([model(**fields)])[0]


def key(**fields: Any) -> ApiKey:
    return ApiKey.objects.register(
        fields.pop("secret", "secret-of-these-tests"), name="n", **fields
    )


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": "0"},
        {"name": "vllm-test.eu_1"},
        {"name": "x" * 63},
        {"base_url": "https://h/v1"},
        {"models_mode": "fallback", "model_ids": ["m"]},
        {"models_mode": "allowlist", "model_ids": ["m", "n"]},
        {"models_mode": "discover", "model_ids": ["kept for later"]},
        {"passthrough": "off"},
        {"passthrough": "control"},
        {"translation": "always"},
        {"connect_seconds": 0.1},
        {"source": "env"},
        {"source": "yaml"},
    ],
)
def test_the_database_takes_a_good_provider(fields):
    assert create_raw(Provider, **{**GOOD, **fields}).pk


@pytest.mark.parametrize(
    ("constraint", "fields"),
    [
        ("provider_name_is_a_slug", {"name": ""}),
        ("provider_name_is_a_slug", {"name": "A"}),
        ("provider_name_is_a_slug", {"name": "a/b"}),
        ("provider_name_is_a_slug", {"name": "a b"}),
        ("provider_name_is_a_slug", {"name": "-a"}),
        ("provider_name_is_a_slug", {"name": "a-"}),
        ("provider_name_is_a_slug", {"name": "ü"}),
        ("provider_name_is_a_slug", {"name": "a\n"}),
        ("provider_name_is_a_slug", {"name": "a\nb"}),
        ("provider_type_is_known", {"type": "openai"}),
        ("provider_type_is_known", {"type": ""}),
        ("provider_base_url_is_http", {"base_url": "ftp://h"}),
        ("provider_base_url_is_http", {"base_url": ""}),
        ("provider_base_url_is_http", {"base_url": "h:8000"}),
        ("provider_models_mode_is_known", {"models_mode": "guess", "model_ids": ["m"]}),
        ("provider_models_are_listed_where_needed", {"models_mode": "fallback"}),
        ("provider_models_are_listed_where_needed", {"models_mode": "allowlist", "model_ids": []}),
        ("provider_passthrough_is_known", {"passthrough": "everything"}),
        ("provider_translation_is_known", {"translation": "never"}),
        ("provider_seconds_are_positive", {"connect_seconds": 0}),
        ("provider_seconds_are_positive", {"first_byte_seconds": -1}),
        ("provider_seconds_are_positive", {"idle_seconds": 0}),
        ("provider_source_is_known", {"source": "api"}),
    ],
)
def test_the_database_refuses_a_bad_provider(constraint, fields):
    with pytest.raises(IntegrityError, match=constraint):
        create_raw(Provider, **{**GOOD, **fields})


def test_two_providers_cannot_have_one_name():
    create_raw(Provider, **GOOD)
    with pytest.raises(IntegrityError):
        create_raw(Provider, **GOOD)


def test_a_saved_base_url_is_normalised():
    assert Provider.objects.create(name="a", base_url="http://h:8000/").base_url == (
        "http://h:8000/v1"
    )


def test_a_base_url_that_is_none_is_not_saved():
    with pytest.raises(BadAddress):
        Provider.objects.create(name="a", base_url="ftp://h")


def test_an_upstream_key_is_kept_sealed_and_comes_back():
    row = Provider(**GOOD)
    row.api_key = "upstream-secret"
    row.save()
    held = Provider.objects.get()
    assert held.api_key == "upstream-secret"
    assert "upstream-secret" not in held.sealed_api_key
    assert "upstream-secret" not in repr(held.__dict__)


def test_an_upstream_key_copied_to_another_row_does_not_open():
    row = Provider(**GOOD)
    row.api_key = "upstream-secret"
    other = Provider(name="b", base_url="http://h", sealed_api_key=row.sealed_api_key)
    with pytest.raises(secrets.Unopenable):
        _ = other.api_key


def test_an_empty_upstream_key_is_none():
    row = Provider(**GOOD)
    row.api_key = "x"
    row.api_key = ""
    assert (row.sealed_api_key, row.api_key) == ("", "")


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": "A b"}, "name"),
        ({"base_url": "http://u:p@h"}, "base_url"),
        ({"models_mode": "allowlist"}, "model_ids"),
        ({"models_mode": "fallback", "model_ids": []}, "model_ids"),
        ({"model_ids": "m"}, "model_ids"),
        ({"model_ids": [1]}, "model_ids"),
        ({"model_ids": [""]}, "model_ids"),
        ({"model_ids": [" m"]}, "model_ids"),
        ({"model_ids": ["m", "m"]}, "model_ids"),
        ({"connect_seconds": 0.01}, "connect_seconds"),
        ({"idle_seconds": 90_000}, "idle_seconds"),
        ({"passthrough": "all"}, "passthrough"),
        ({"translation": "never"}, "translation"),
    ],
)
def test_validation_names_the_field_that_is_wrong(fields, wrong):
    with pytest.raises(ValidationError) as caught:
        Provider(**{**GOOD, **fields}).full_clean()
    assert list(caught.value.message_dict) == [wrong]


@pytest.mark.parametrize("model", ["x" * 256, "a\nb", "a\x1bb"])
def test_an_id_that_discovery_would_leave_out_is_not_listed_by_hand_either(model):
    with pytest.raises(ValidationError):
        Provider(**{**GOOD, "model_ids": [model]}).full_clean()


def test_a_discovery_goes_with_its_provider():
    Discovery.objects.create(provider=Provider.objects.create(**GOOD))
    Provider.objects.all().delete()
    assert not Discovery.objects.exists()


@pytest.mark.parametrize(
    ("constraint", "fields"),
    [
        ("api_key_kind_is_known", {"kind": "root"}),
        ("api_key_source_is_known", {"source": "api"}),
    ],
)
def test_the_database_refuses_a_bad_key(constraint, fields):
    with pytest.raises(IntegrityError, match=constraint):
        create_raw(ApiKey, **{"name": "n", "digest": "d", "hint": "…", **fields})


def test_the_database_refuses_a_key_that_succeeds_itself():
    held = key()
    with pytest.raises(IntegrityError, match="api_key_succeeds_another"), transaction.atomic():
        ApiKey.objects.filter(pk=held.pk).update(successor=held)


def test_two_keys_cannot_have_one_secret():
    key()
    with pytest.raises(IntegrityError), transaction.atomic():
        key()


def test_an_issued_key_is_known_by_its_secret_which_is_not_kept():
    issued, secret = ApiKey.objects.issue("who", source="env")
    held = ApiKey.objects.get()
    assert ApiKey.objects.holding(secret) == issued == held
    assert ApiKey.objects.holding(secret + "x") is None
    assert (held.name, held.source, held.kind, held.hint) == (
        "who",
        "env",
        "client",
        f"…{secret[-4:]}",
    )
    assert secret not in repr(held.__dict__)
    assert str(held) == f"who (…{secret[-4:]})"


NOW = timezone.now()
PAST, FUTURE = NOW - timedelta(hours=1), NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("fields", "state", "usable"),
    [
        ({}, "active", True),
        ({"expires": FUTURE}, "active", True),
        ({"expires": PAST}, "expired", False),
        ({"revoked": PAST}, "revoked", False),
        ({"retired": PAST}, "retired", False),
        ({"revoked": PAST, "retired": PAST, "expires": PAST}, "revoked", False),
        ({"retired": PAST, "expires": FUTURE}, "retired", False),
    ],
)
def test_the_state_of_a_key_and_whether_calls_may_use_it(fields, state, usable):
    held = key(**fields)
    assert (held.state, held.usable) == (state, usable)
    assert list(ApiKey.objects.usable()) == ([held] if usable else [])


def test_a_rotated_key_goes_on_for_the_overlap_beside_its_successor():
    held = key()
    before = timezone.now()
    successor, secret = held.rotate(timedelta(hours=2))

    held.refresh_from_db()
    assert held.expires is not None
    assert before + timedelta(hours=2) <= held.expires <= timezone.now() + timedelta(hours=2)
    assert held.successor == successor
    assert (held.state, successor.state) == ("rotated", "active")
    assert set(ApiKey.objects.usable()) == {held, successor}
    assert (successor.name, successor.kind, successor.expires) == (held.name, held.kind, None)
    assert ApiKey.objects.holding(secret) == successor


def test_an_earlier_expiry_is_kept_at_rotation():
    held = key(expires=FUTURE)
    held.rotate(timedelta(days=30))
    held.refresh_from_db()
    assert held.expires == FUTURE


def aged(**since: float) -> ApiKey:
    """A key that was made so long ago, for 90 days."""
    held = key(expires=timezone.now() + timedelta(days=90) - timedelta(**since))
    ApiKey.objects.update(created=timezone.now() - timedelta(**since))
    return ApiKey.objects.get(pk=held.pk)


@pytest.mark.parametrize("days", [0, 1, 89.9])
def test_a_successor_lives_as_long_as_its_predecessor_was_to(days):
    held = aged(days=days)
    for _ in range(3):
        held, _ = held.rotate(timedelta(hours=1))
        assert held.expires is not None
        assert abs(held.expires - held.created - timedelta(days=90)) < timedelta(seconds=30)


def test_a_successor_lives_as_long_as_was_chosen_for_it():
    until, _ = aged(days=1).rotate(timedelta(hours=1), expires=FUTURE)
    ever, _ = until.rotate(timedelta(hours=1), expires=None)
    assert (until.expires, ever.expires) == (FUTURE, None)


def test_a_key_that_expires_at_the_end_of_time_is_rotated():
    end = datetime.max.replace(tzinfo=UTC)
    successor, _ = key(expires=end).rotate(timedelta(hours=1))
    assert successor.expires == end


def test_without_overlap_a_rotated_key_ends_at_once():
    held = key()
    successor, _ = held.rotate(timedelta())
    held.refresh_from_db()
    assert (held.state, list(ApiKey.objects.usable())) == ("expired", [successor])


def test_a_key_is_rotated_once_also_from_a_copy_that_does_not_know_yet():
    held = key()
    copy = ApiKey.objects.get()
    held.rotate(timedelta(hours=1))
    for each in (held, copy):
        with pytest.raises(ValidationError, match="rotated"):
            each.rotate(timedelta(hours=1))
    assert ApiKey.objects.count() == 2


@pytest.mark.parametrize("end", ["revoked", "retired", "expires"])
def test_a_key_that_has_ended_is_not_rotated(end):
    held = key(**{end: PAST})
    with pytest.raises(ValidationError, match="cannot be rotated"):
        held.rotate(timedelta(hours=1))
    assert ApiKey.objects.count() == 1


def test_revoking_twice_keeps_the_first_time():
    held = key()
    held.revoke(PAST)
    held.revoke()
    held.refresh_from_db()
    assert held.revoked == PAST
    assert held.state == "revoked"


def test_a_revoked_key_is_still_known_by_its_secret():
    held = key()
    held.revoke()
    assert ApiKey.objects.holding("secret-of-these-tests") == held


def test_revoking_a_successor_leaves_its_predecessor_as_it_was():
    held = key()
    successor, _ = held.rotate(timedelta(hours=1))
    successor.revoke()
    held.refresh_from_db()
    assert list(ApiKey.objects.usable()) == [held]


def test_a_copy_that_does_not_know_of_a_revocation_does_not_undo_it():
    held, copy = key(), ApiKey.objects.get()
    held.revoke()
    with pytest.raises(ValidationError, match="revoked"):
        copy.rotate(timedelta(hours=1))
    held.refresh_from_db()
    assert held.state == "revoked"
