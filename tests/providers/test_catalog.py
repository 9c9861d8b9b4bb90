"""Rows become the snapshot that calls read."""

from __future__ import annotations

import logging
from dataclasses import FrozenInstanceError
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from aurora_site.keyring import Keyring
from providers import revision
from providers.catalog import Catalog, load
from providers.models import Alias, AliasTarget, ApiKey, Discovery, Provider
from providers.snapshot import AliasEntry, KeyEntry, TargetEntry

pytestmark = pytest.mark.django_db

UPSTREAM_SECRET = "upstream-secret-of-these-tests"
SERVED = [{"id": "m", "max_model_len": 4096, "owned_by": "vllm"}, {"id": "org/n"}]


def add(name: str = "a", *, discovered: Any = None, api_key: str = "", **fields: Any) -> Provider:
    row = Provider(name=name, base_url="http://h:8000/prefix", **fields)
    row.api_key = api_key
    row.save()
    if discovered is not None:
        Discovery.objects.create(provider=row, cards=discovered)
    return row


def add_alias(name: str, *targets: tuple[int, str, str], **fields: Any) -> Alias:
    row = Alias.objects.create(name=name, **fields)
    for tier, provider, model in targets:
        AliasTarget.objects.create(alias=row, tier=tier, provider=provider, model=model)
    return row


def models_of(name: str = "a") -> list[str]:
    return list(load().providers[name].models)


@pytest.mark.parametrize(
    ("mode", "listed", "discovered", "served"),
    [
        ("discover", [], None, []),
        ("discover", [], [], []),
        ("discover", [], SERVED, ["m", "org/n"]),
        ("discover", ["x"], SERVED, ["m", "org/n"]),
        ("discover", ["x"], None, []),
        ("fallback", ["x", "y"], None, ["x", "y"]),
        ("fallback", ["x", "y"], [], ["x", "y"]),
        ("fallback", ["x", "y"], SERVED, ["m", "org/n"]),
        ("allowlist", ["x", "y"], None, ["x", "y"]),
        ("allowlist", ["x", "m"], SERVED, ["x", "m"]),
    ],
)
def test_what_is_served_hangs_on_mode_list_and_discovery(mode, listed, discovered, served):
    add(models_mode=mode, model_ids=listed, discovered=discovered)
    assert models_of() == served


def test_a_card_is_the_servers_own_under_the_public_id():
    add(discovered=SERVED)
    cards = load().cards
    assert list(cards) == ["m", "org/n", "a/m", "a/org/n"]
    assert cards["a/m"] == {"id": "a/m", "object": "model", "owned_by": "a", "max_model_len": 4096}


def test_a_listed_model_keeps_the_card_that_the_server_has_for_it():
    row = add(models_mode="allowlist", model_ids=["m", "x"], discovered=SERVED)
    cards = load().cards
    assert cards["a/m"]["max_model_len"] == 4096
    assert cards["a/x"]["created"] == int(row.created.timestamp())


def test_an_entry_holds_what_a_call_needs():
    add(
        api_key=UPSTREAM_SECRET,
        passthrough="control",
        translation="always",
        connect_seconds=1,
        first_byte_seconds=2,
        idle_seconds=3,
    )
    entry = load().providers["a"]
    assert entry.authorization == f"Bearer {UPSTREAM_SECRET}"
    assert entry.address.server_root == "http://h:8000/prefix"
    assert entry.address.api_root == "http://h:8000/prefix/v1"
    assert (entry.type, entry.passthrough, entry.problem) == ("vllm", "control", "")
    assert entry.translation == "always"
    assert (entry.connect_seconds, entry.first_byte_seconds, entry.idle_seconds) == (1, 2, 3)


def test_a_server_without_a_key_is_sent_none():
    add()
    assert load().providers["a"].authorization is None


def test_a_disabled_provider_is_not_there():
    add(enabled=False, discovered=SERVED)
    snapshot = load()
    assert (dict(snapshot.providers), dict(snapshot.cards)) == ({}, {})


def test_providers_are_in_the_order_of_their_names():
    for name in ("vllm-b", "vllm", "a"):
        add(name)
    assert list(load().providers) == ["a", "vllm", "vllm-b"]


@pytest.mark.parametrize("lost", [True, False])
def test_a_key_that_cannot_be_opened_is_a_problem_of_that_provider_alone(lost, settings, caplog):
    add("a", api_key=UPSTREAM_SECRET, discovered=SERVED)
    add("b", discovered=SERVED)
    if lost:
        settings.KEYRING = Keyring(("x" * 32,))
    else:
        Provider.objects.filter(name="a").update(sealed_api_key="cut")
    with caplog.at_level(logging.ERROR, "aurora.catalog"):
        entries = load().providers
    assert "enter it again" in entries["a"].problem
    assert entries["a"].authorization is None
    assert entries["b"].problem == ""
    assert list(entries["a"].models) == ["m", "org/n"]
    assert "provider a" in caplog.text


@pytest.mark.parametrize("url", ["http://", "http://u:p@h", "https://h?x"])
def test_an_address_that_was_spoilt_past_the_models_is_a_problem_of_that_provider_alone(url):
    add("a", discovered=SERVED)
    add("b", discovered=SERVED)
    Provider.objects.filter(name="a").update(base_url=url)
    assert list(load().providers["b"].models) == ["m", "org/n"]


def test_only_usable_keys_are_there_by_their_digests():
    past = timezone.now() - timedelta(seconds=1)
    future = timezone.now() + timedelta(hours=1)
    held = {
        name: ApiKey.objects.register(f"secret-{name}", name=name, **fields)
        for name, fields in {
            "plain": {},
            "expires later": {"expires": future},
            "expired": {"expires": past},
            "revoked": {"revoked": past},
            "retired": {"retired": past},
        }.items()
    }
    keys = load().keys
    assert set(keys) == {held["plain"].digest, held["expires later"].digest}
    entry = keys[held["expires later"].digest]
    assert (entry.name, entry.kind, entry.expires) == ("expires later", "master", future)
    assert entry.is_master


def test_a_rotated_key_and_its_successor_are_both_there():
    held, _ = ApiKey.objects.issue("a")
    successor, _ = held.rotate(timedelta(hours=1))
    assert set(load().keys) == {held.digest, successor.digest}


@pytest.mark.parametrize(("seconds", "usable"), [(None, True), (60, True), (-1, False)])
def test_a_key_read_some_time_ago_may_have_expired_since(seconds, usable):
    expires = None if seconds is None else timezone.now() + timedelta(seconds=seconds)
    entry = KeyEntry(ApiKey().id, "n", "…", "master", expires)
    assert entry.is_usable(timezone.now()) is usable


def test_the_number_of_queries_does_not_grow_with_the_rows(django_assert_max_num_queries):
    for number in range(20):
        add(f"p{number}", discovered=SERVED, api_key=UPSTREAM_SECRET)
        ApiKey.objects.issue(f"k{number}")
        add_alias(f"x{number}", (1, "", "m"), (2, "p1", "org/n"))
    with django_assert_max_num_queries(5):
        snapshot = load()
    assert (len(snapshot.providers), len(snapshot.keys), len(snapshot.cards)) == (20, 20, 62)
    assert len(snapshot.aliases) == 20


def test_an_alias_is_there_with_what_others_it_leads_to():
    add_alias("chat", (5, "", "small"), (2, "gpu-1", "m"))
    add_alias(
        "small",
        (1, "", "n"),
        policy="random",
        response_model="asked",
        resumes=True,
        queue_calls=0,
        queue_seconds=1.5,
    )
    add_alias("off", (1, "", "n"), enabled=False)
    n = TargetEntry("", "n")
    assert dict(load().aliases) == {
        "chat": AliasEntry("chat", ((TargetEntry("gpu-1", "m"),), (n,))),
        "small": AliasEntry("small", ((n,),), "random", True, True, 0, 1.5),
    }


def test_what_is_off_is_no_alias_for_others_either():
    add_alias("chat", (1, "", "off"))
    add_alias("off", (1, "", "n"), enabled=False)
    assert load().aliases["chat"].tiers == ((TargetEntry("", "off"),),)


def test_aliases_that_were_made_a_cycle_past_the_forms_are_cut_and_told_of_once(caplog):
    add_alias("a", (1, "", "b"), (1, "", "m"))
    add_alias("b", (1, "", "a"), (2, "", "n"))
    with caplog.at_level(logging.ERROR, "aurora.catalog"):
        aliases = load().aliases
    assert aliases["a"].tiers == ((TargetEntry("", "m"),),)
    assert aliases["b"].tiers == ((TargetEntry("", "n"),),)
    [line] = [record.message for record in caplog.records]
    assert "a -> b -> a" in line or "b -> a -> b" in line


def test_an_alias_without_targets_breaks_nothing():
    add_alias("empty")
    add_alias("chat", (1, "", "empty"), (3, "", "m"))
    assert load().aliases["empty"].tiers == ()
    assert load().aliases["chat"].tiers == ((TargetEntry("", "m"),),)


def test_a_snapshot_knows_which_changes_it_has_seen():
    add()
    assert load().revision == revision.current()


def test_no_secret_shows_in_a_snapshot_or_its_parts():
    add(api_key=UPSTREAM_SECRET, discovered=SERVED)
    key, secret = ApiKey.objects.issue("who")
    snapshot = load()
    shown = repr([snapshot, snapshot.providers["a"], list(snapshot.keys.values())])
    assert UPSTREAM_SECRET not in shown
    assert secret not in shown
    assert Provider.objects.get().sealed_api_key not in shown
    assert key.name in shown


def test_a_snapshot_does_not_change():
    add(discovered=SERVED)
    snapshot = load()
    with pytest.raises(FrozenInstanceError):
        snapshot.revision = 0  # type: ignore[misc]
    for mapping in (
        snapshot.providers,
        snapshot.keys,
        snapshot.cards,
        snapshot.providers["a"].models,
    ):
        with pytest.raises(TypeError):
            mapping["x"] = 1  # type: ignore[index]


def test_with_nothing_in_the_database_the_snapshot_is_empty():
    snapshot = load()
    assert (len(snapshot.providers), len(snapshot.keys), len(snapshot.cards)) == (0, 0, 0)


def test_a_catalog_holds_the_snapshot_that_was_published_last():
    held = Catalog()
    assert not held.current().is_loaded
    first = load()
    held.publish(first)
    assert held.current() is first
    assert first.is_loaded
    second = load()
    held.publish(second)
    assert held.current() is second


@pytest.mark.parametrize(
    ("mode", "cards", "answered", "known"),
    [
        ("discover", None, False, False),
        ("discover", [], False, False),
        ("discover", SERVED, True, True),
        ("fallback", None, False, False),
        ("allowlist", None, False, True),
    ],
)
def test_it_is_known_whether_a_server_has_ever_said_what_it_serves(mode, cards, answered, known):
    row = add(models_mode=mode, model_ids=[] if mode == "discover" else ["x"])
    if cards is not None:
        when = timezone.now() if answered else None
        Discovery.objects.create(provider=row, cards=cards, answered=when)
    assert load().providers["a"].models_known is known


def test_what_a_start_has_read_does_not_take_the_place_of_what_was_published_since():
    catalog, before = Catalog(), load()
    catalog.begin_with(before)
    assert catalog.current() is before

    newer, late = load(), Catalog()
    late.publish(newer)
    late.begin_with(before)
    assert late.current() is newer
