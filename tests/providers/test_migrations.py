"""Migrations of a database that is in use: real rows, taken over as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

pytestmark = pytest.mark.django_db(transaction=True)

FIRST = ("providers", "0001_initial")
SECOND = ("providers", "0002_routes_translation_and_owners")
BEFORE_KINDS = ("providers", "0008_login_attempts")
KINDS = ("providers", "0009_key_kinds")


def migrated(*targets: tuple[str, str]) -> Any:
    """The apps as they are after migrating, forwards or back."""
    executor = MigrationExecutor(connection)
    executor.migrate(list(targets))
    return MigrationExecutor(connection).loader.project_state(list(targets)).apps


@pytest.fixture
def first() -> Iterator[Any]:
    """The apps as they were at first. What other apps have built on later states comes back."""
    yield migrated(FIRST)
    migrated(*MigrationExecutor(connection).loader.graph.leaf_nodes())


@pytest.fixture
def key(first: Any) -> Callable[..., Any]:
    keys = first.get_model("providers", "ApiKey").objects

    def make(name: str, **fields: Any) -> Any:
        return keys.create(name=name, digest=name, hint="…", **fields)

    return make


def owners(apps: Any) -> dict[str, UUID]:
    keys = apps.get_model("providers", "ApiKey").objects
    return dict(keys.values_list("name", "owner"))


def test_a_chain_of_rotations_gets_the_owner_that_its_first_key_is(key):
    third = key("third")
    second = key("second", successor=third)
    chain = key("first", successor=second)
    alone = key("alone")
    retired = key("retired", source="env")

    found = owners(migrated(SECOND))

    assert found["first"] == found["second"] == found["third"] == chain.id
    assert (found["alone"], found["retired"]) == (alone.id, retired.id)


def test_a_circle_of_rotations_is_one_owners(key):
    one, two = key("one"), key("two")
    one.successor, two.successor = two, one
    one.save()
    two.save()

    found = owners(migrated(SECOND))

    assert found["one"] == found["two"]
    assert found["one"] in {one.id, two.id}


def test_more_keys_than_one_batch_are_all_taken_over(key):
    held = {key(str(number)).id for number in range(501)}
    assert set(owners(migrated(SECOND)).values()) == held


def test_providers_and_what_was_discovered_stay_and_say_nothing_new(first):
    row = first.get_model("providers", "Provider").objects.create(name="a", base_url="http://h/v1")
    discoveries = first.get_model("providers", "Discovery").objects
    discoveries.create(provider=row, cards=[{"id": "m"}], error="down")

    apps = migrated(SECOND)

    kept = apps.get_model("providers", "Discovery").objects.get()
    assert (kept.cards, kept.error, kept.routes) == ([{"id": "m"}], "down", None)
    assert kept.provider.translation == "auto"


def test_the_way_back_loses_no_key(key):
    key("after", successor=None)
    migrated(SECOND)
    back = migrated(FIRST)
    assert [held.name for held in back.get_model("providers", "ApiKey").objects.all()] == ["after"]


@pytest.fixture
def before_kinds() -> Iterator[Any]:
    """The apps as they were when each key was a master key."""
    yield migrated(BEFORE_KINDS)
    migrated(*MigrationExecutor(connection).loader.graph.leaf_nodes())


def test_a_key_that_there_was_before_there_were_kinds_stays_a_master_key(before_kinds):
    before_kinds.get_model("providers", "ApiKey").objects.create(name="a", digest="a", hint="…")

    held = migrated(KINDS).get_model("providers", "ApiKey").objects.get()

    assert (held.kind, held.issued_by) == ("master", None)


def test_the_release_before_goes_on_making_master_keys_after_the_migration(before_kinds):
    migrated(KINDS)

    keys = before_kinds.get_model("providers", "ApiKey").objects
    keys.create(name="a", digest="a", hint="…")

    assert keys.get().kind == "master"
